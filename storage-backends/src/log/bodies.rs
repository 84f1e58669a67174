//! Writing the bodies of a run: gathered in buffers and, where a run is large and is to be synced, written past the
//! system's cache by a thread of their own while the next are gathered.
//!
//! A large run is somebody catching up. Through the cache it would push out what others read, and most of what it
//! costs is the system's copying of it.
//!
//! Only whole pages can be written past the cache. What is before the first and behind the last of a run goes through it,
//! so that no page is ever written in both ways.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::{io, thread};

use memmap2::MmapMut;

use super::disk::GrowingFile;
use super::files::{FileHandle, PAGE_BYTES};
use super::format::{BODY_HEAD_BYTES, Salt, body_head, padded};
use crate::{Block, Error, Result};

/// Bodies are gathered up to this much before they are written …
const BUFFER_BYTES: usize = 1 << 20;
/// … but those from this size on are written from where they are, if it is through the cache.
const WHOLE_BYTES: usize = 64 << 10;
/// Buffers of this size, of which there are [`PAGE_BUFFERS`], are filled and written past the cache.
const PAGES_BYTES: usize = 4 << 20;
const PAGE_BUFFERS: usize = 2;
/// So much of a body is copied at a time and then added to its checksum, while it is in the processor's cache.
const STRIDE: usize = 16 << 10;

/// How bodies get to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Through the system's cache, which writes them when it is told to.
    Cached,
    /// The same, and the disk begins with them at once, since they are to be synced next.
    Begun,
    /// Past the cache.
    PastCache,
}

/// The buffers, kept from run to run.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    cached: Vec<u8>,
    pages: Vec<Pages>,
}

impl Buffers {
    /// Writes the bodies of a run to the end of their file, does something else with their checksums while the last are
    /// on their way, and gives what that gave.
    pub(super) fn write<T>(
        &mut self,
        file: &mut GrowingFile,
        run: &[Block],
        salt: Salt,
        way: Way,
        then: impl FnOnce(&[u32]) -> Result<T>,
    ) -> Result<T> {
        if way == Way::PastCache {
            return self.write_past_cache(file, run, salt, then);
        }
        let mut checksums = Vec::with_capacity(run.len());
        let mut begun = file.end;
        for block in run {
            let checksum = salt.checksum(&block.body);
            self.write_cached(file, block, salt, checksum)?;
            checksums.push(checksum);
            if way == Way::Begun && file.end - begun >= BUFFER_BYTES as u64 {
                begin_sync(file, &mut begun);
            }
        }
        self.flush(file)?;
        if way == Way::Begun {
            begin_sync(file, &mut begun);
        }
        then(&checksums)
    }

    fn write_cached(
        &mut self,
        file: &mut GrowingFile,
        block: &Block,
        salt: Salt,
        checksum: u32,
    ) -> Result<()> {
        self.cached.extend_from_slice(&head(block, salt, checksum));
        if block.body.len() >= WHOLE_BYTES {
            self.flush(file)?;
            file.push("append", &block.body)?;
        } else {
            self.cached.extend_from_slice(&block.body);
        }
        self.cached.extend_from_slice(&[0; 8][..padding(block)]);
        if self.cached.len() >= BUFFER_BYTES {
            self.flush(file)?;
        }
        Ok(())
    }

    fn flush(&mut self, file: &mut GrowingFile) -> Result<()> {
        if self.cached.is_empty() {
            return Ok(());
        }
        file.push("append", &self.cached)?;
        self.cached.clear();
        Ok(())
    }

    fn write_past_cache<T>(
        &mut self,
        file: &mut GrowingFile,
        run: &[Block],
        salt: Salt,
        then: impl FnOnce(&[u32]) -> Result<T>,
    ) -> Result<T> {
        let (full, to_write) = channel();
        let (written, free) = channel();
        while self.pages.len() < PAGE_BUFFERS {
            let pages = Pages::new().map_err(file.fault("append"))?;
            self.pages.push(pages);
        }
        for pages in self.pages.drain(..) {
            // The receiving end lives until the end of this function, so this can't fail.
            let _ = written.send(pages);
        }
        let handle = &*file.file;
        let (outcome, writing, end) = thread::scope(|scope| {
            let writer = scope.spawn(move || write_all(handle, &to_write, &written));
            let mut gathering = Gathering::new(file.end, full, &free);
            let gathered = run.iter().try_fold(Vec::new(), |mut checksums, block| {
                checksums.push(gathering.gather(block, salt)?);
                Some(checksums)
            });
            // This drops the sending end too, without which the writing thread would wait for more for ever.
            let end = gathering.finish();
            // Gathering ends early only if the writing failed, whose error is returned first.
            let outcome = gathered.map(|checksums| then(&checksums));
            let panicked = |_| Err(io::Error::other("the writing thread panicked"));
            (outcome, writer.join().unwrap_or_else(panicked), end)
        });
        self.pages = free.try_iter().collect();
        writing.map_err(file.fault("append"))?;
        // Only when all was written: after a failure the end is where it was, and what is behind it is cut off.
        file.end = end;
        outcome.unwrap_or_else(|| {
            let source = io::Error::other("the writing thread ended early");
            Err(Error::system("append", &file.path, source))
        })
    }
}

fn head(block: &Block, salt: Salt, checksum: u32) -> [u8; BODY_HEAD_BYTES] {
    // Within the bounds of every append.
    body_head(salt, block.body.len() as u32, block.height, checksum)
}

fn padding(block: &Block) -> usize {
    let length = BODY_HEAD_BYTES + block.body.len();
    padded(length) - length
}

/// Has the disk begin with the bodies from `begun` on.
fn begin_sync(file: &GrowingFile, begun: &mut u64) {
    file.file.begin_sync(*begun, file.end - *begun);
    *begun = file.end;
}

/// A buffer whose addresses are, but for whole pages, offsets in the file. In huge pages where the system has them: the
/// disk is given each page by itself.
#[derive(Debug)]
struct Pages {
    bytes: MmapMut,
    /// What is filled.
    from: usize,
    to: usize,
    /// The offset in the file that belongs to the buffer's start.
    offset: u64,
}

impl Pages {
    fn new() -> io::Result<Self> {
        let bytes = MmapMut::map_anon(PAGES_BYTES)?;
        #[cfg(target_os = "linux")]
        if let Err(error) = bytes.advise(memmap2::Advice::HugePage) {
            tracing::debug!(%error, "without huge pages");
        }
        Ok(Self {
            bytes,
            from: 0,
            to: 0,
            offset: 0,
        })
    }

    /// Empties it, for what comes at an offset of the file.
    fn begin(&mut self, at: u64) {
        let within = (at % PAGE_BYTES as u64) as usize;
        (self.from, self.to) = (within, within);
        self.offset = at - within as u64;
    }

    fn room(&self) -> usize {
        PAGES_BYTES - self.to
    }

    fn end(&self) -> u64 {
        self.offset + self.to as u64
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.to..self.to + bytes.len()].copy_from_slice(bytes);
        self.to += bytes.len();
    }

    /// Takes in a body for which there is room, with its head, reading it once: the head holds the checksum, which is known
    /// only then.
    fn push_body(&mut self, block: &Block, salt: Salt) -> u32 {
        let head_at = self.to;
        self.push(&[0; BODY_HEAD_BYTES]);
        let mut checksum = salt.checksum(&[]);
        for stride in block.body.chunks(STRIDE) {
            self.push(stride);
            checksum = salt.continued(checksum, stride);
        }
        self.bytes[head_at..head_at + BODY_HEAD_BYTES]
            .copy_from_slice(&head(block, salt, checksum));
        checksum
    }

    /// What is filled: before the first whole page, whole pages, and behind them.
    fn parts(&self) -> [(&[u8], u64); 3] {
        let first = self.from.next_multiple_of(PAGE_BYTES).min(self.to);
        let last = (self.to - self.to % PAGE_BYTES).max(first);
        [self.from..first, first..last, last..self.to].map(|range| {
            let offset = self.offset + range.start as u64;
            (&self.bytes[range], offset)
        })
    }
}

/// Writes buffers until no more come.
fn write_all(
    file: &dyn FileHandle,
    to_write: &Receiver<Pages>,
    written: &Sender<Pages>,
) -> io::Result<()> {
    for pages in to_write {
        let [before, whole, behind] = pages.parts();
        for (bytes, offset) in [before, behind] {
            if !bytes.is_empty() {
                file.write_at(bytes, offset)?;
            }
        }
        if !whole.0.is_empty() {
            file.write_pages(whole.0, whole.1)?;
        }
        // If nobody fills it again, it isn't needed.
        let _ = written.send(pages);
    }
    Ok(())
}

/// The bodies of a run on their way into buffers. Everything gives nothing once the writing has failed.
struct Gathering<'a> {
    pages: Option<Pages>,
    end: u64,
    full: Sender<Pages>,
    free: &'a Receiver<Pages>,
}

impl<'a> Gathering<'a> {
    fn new(at: u64, full: Sender<Pages>, free: &'a Receiver<Pages>) -> Self {
        Self {
            pages: None,
            end: at,
            full,
            free,
        }
    }

    /// A buffer with some room.
    fn pages(&mut self) -> Option<&mut Pages> {
        if self.pages.as_ref().is_some_and(|pages| pages.room() == 0) {
            self.send()?;
        }
        if self.pages.is_none() {
            // Two buffers in all: gathering waits for the disk instead of taking memory for the whole run. If the writing
            // failed, nobody frees one, and the other end is gone.
            let mut pages = self.free.recv().ok()?;
            pages.begin(self.end);
            self.pages = Some(pages);
        }
        self.pages.as_mut()
    }

    /// Sends the buffer on; all but the last end with a page.
    fn send(&mut self) -> Option<()> {
        if let Some(pages) = self.pages.take() {
            self.end = pages.end();
            self.full.send(pages).ok()?;
        }
        Some(())
    }

    fn push(&mut self, mut bytes: &[u8]) -> Option<()> {
        while !bytes.is_empty() {
            let pages = self.pages()?;
            let (now, rest) = bytes.split_at(bytes.len().min(pages.room()));
            pages.push(now);
            bytes = rest;
        }
        Some(())
    }

    /// Takes in a block's body and gives its checksum.
    fn gather(&mut self, block: &Block, salt: Salt) -> Option<u32> {
        let pages = self.pages()?;
        let checksum = if pages.room() >= BODY_HEAD_BYTES + block.body.len() {
            pages.push_body(block, salt)
        } else {
            let checksum = salt.checksum(&block.body);
            self.push(&head(block, salt, checksum))?;
            self.push(&block.body)?;
            checksum
        };
        self.push(&[0; 8][..padding(block)])?;
        Some(checksum)
    }

    fn finish(mut self) -> u64 {
        let _ = self.send();
        self.end
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::files::{Files, SystemFiles};
    use super::super::format::SUPERBLOCK_BYTES;
    use super::*;

    fn block(height: u64, bytes: usize) -> Block {
        let body = (0..bytes).map(|at| (at * 7 + at / 251 + height as usize) as u8);
        Block {
            height,
            id: [3; 32],
            header: "a header".into(),
            body: body.collect::<Vec<_>>().into(),
            index: Vec::new(),
        }
    }

    fn file(directory: &std::path::Path, name: &str) -> GrowingFile {
        let path = directory.join(name);
        let file = SystemFiles.create(&path).unwrap();
        file.write_at(&[7; SUPERBLOCK_BYTES], 0).unwrap();
        GrowingFile {
            path,
            file,
            end: SUPERBLOCK_BYTES as u64,
            synced: 0,
        }
    }

    #[test]
    fn every_way_writes_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let salt = Salt::of(&[1; 16]);
        let ways = [Way::Cached, Way::Begun, Way::PastCache];
        let mut files = ways.map(|way| file(directory.path(), &format!("{way:?}")));
        let mut buffers = Buffers::default();
        let page = PAGE_BYTES - BODY_HEAD_BYTES;
        // About pages, about buffers, over several buffers, and so that a run ends with a page.
        let runs: [&[usize]; 7] = [
            &[0],
            &[1, page, page - 1, page + 1, 9],
            &[70_000; 130],
            &[PAGES_BYTES - 1, 3, PAGES_BYTES, PAGES_BYTES + 1, 0],
            &[3 * PAGES_BYTES + 77],
            &[5_000_000, 100],
            &[12],
        ];
        let mut height = 0;
        for sizes in runs {
            let run: Vec<_> = (height..).zip(sizes).map(|(h, s)| block(h, *s)).collect();
            height += run.len() as u64;
            let expected: Vec<u32> = run.iter().map(|b| salt.checksum(&b.body)).collect();
            for (file, way) in files.iter_mut().zip(ways) {
                let found = buffers.write(file, &run, salt, way, |sums| Ok(sums.to_vec()));
                assert_eq!(found.unwrap(), expected);
            }
            let [first, others @ ..] = &files;
            let bytes = std::fs::read(&first.path).unwrap();
            assert_eq!(bytes.len() as u64, first.end);
            for other in others {
                assert_eq!(other.end, first.end);
                assert!(std::fs::read(&other.path).unwrap() == bytes, "{sizes:?}");
            }
        }
        assert!(buffers.pages.len() == PAGE_BUFFERS, "buffers come back");
    }

    #[derive(Debug)]
    struct Full(u64);

    impl FileHandle for Full {
        fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
            match offset + bytes.len() as u64 > self.0 {
                true => Err(io::ErrorKind::StorageFull.into()),
                false => Ok(()),
            }
        }
        fn cut(&self, _: u64) -> io::Result<()> {
            Ok(())
        }
        fn punch(&self, _: u64, _: u64) -> io::Result<bool> {
            Ok(false)
        }
        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
        fn begin_sync(&self, _: u64, _: u64) {}
    }

    #[test]
    fn a_write_that_fails_is_an_error_wherever_it_is() {
        let salt = Salt::of(&[1; 16]);
        let run: Vec<_> = (0..20).map(|height| block(height, 1 << 20)).collect();
        for room in [0, 5_000_000, 9_000_000, 20_970_000] {
            let mut file = GrowingFile {
                path: "bodies".into(),
                file: Box::new(Full(room)),
                end: 80,
                synced: 80,
            };
            let written =
                Buffers::default().write(&mut file, &run, salt, Way::PastCache, |_| Ok(()));
            let error = written.unwrap_err().to_string();
            assert!(error.contains("bodies"), "{error}");
            assert_eq!(file.end, 80);
        }
    }
}
