//! A file as it is read: every read is a positioned one, which can fail and can't end the process, whatever the disk, the
//! file system or another program does to the file meanwhile. (A memory map can: where its bytes can't be had, the system
//! sends SIGBUS. See `docs/adr/0001-positioned-reads.md`.)
//!
//! Invariants:
//! 1. Only bytes below `length` are given out; above are those that a writer hasn't shown yet.
//! 2. A read gives as many bytes as were asked for, or an error with file and offset: [`Error::Corrupt`] where the file is
//!    shorter than it has to be or the disk can't read it, [`Error::Io`] for any other failure.
//! 3. No more memory is asked for than the file has bytes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::files::{Files, ReadHandle};
use super::format::SUPERBLOCK_BYTES;
use crate::{DamageAt, Error, Result};

/// Bytes that are read at once by those who read a file from front to back.
const PIECE_BYTES: usize = if cfg!(test) { 512 } else { 256 << 10 };
/// What a disk can't read is looked for in parts of this size, since a file system reads no less at a time.
const PAGE_BYTES: u64 = 4096;

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(0);

/// See the [module](self).
#[derive(Debug, Clone)]
pub(super) struct ReadFile {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    /// No other file that this process reads, or has read, has it.
    number: u64,
    handle: Box<dyn ReadHandle>,
    length: AtomicU64,
}

impl ReadFile {
    /// Opens a file and shows all of it.
    pub(super) fn open(files: &dyn Files, path: &Path) -> io::Result<Self> {
        let handle = files.open_to_read(path)?;
        Ok(Self {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
                length: AtomicU64::new(handle.length()),
                handle,
            }),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.inner.path
    }

    /// What tells it from every other file, also from a later one of the same name.
    pub(super) fn number(&self) -> u64 {
        self.inner.number
    }

    /// How many bytes may be read.
    pub(super) fn length(&self) -> u64 {
        self.inner.length.load(Ordering::Acquire)
    }

    /// Shows as many bytes as were written, or as count.
    pub(super) fn show(&self, length: u64) {
        self.inner.length.store(length, Ordering::Release);
    }

    /// Keeps the file open until it is dropped: another one is about to get its name.
    pub(super) fn pin(&self) -> Result<()> {
        let pinned = self.inner.handle.pin();
        pinned.map_err(|source| Error::system("open", self.path(), source))
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    pub(super) fn corrupt(&self, at: u64, reason: impl Into<String>) -> Error {
        Error::corrupt(self.path(), DamageAt::Offset(at), reason)
    }

    /// Fills a buffer from an offset on.
    pub(super) fn fill(&self, into: &mut [u8], offset: u64) -> Result<()> {
        self.check_range(offset, into.len())?;
        let filled = self.inner.handle.fill(into, offset);
        let filled = filled.map_err(|error| self.failure(offset, into.len(), error))?;
        // Another program cut the file while it was read.
        if filled < into.len() {
            return Err(self.ends_within(offset, into.len()));
        }
        Ok(())
    }

    /// A few bytes from an offset on.
    pub(super) fn array<const N: usize>(&self, offset: u64) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// Some bytes from an offset on.
    pub(super) fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.append(&mut bytes, length, offset)?;
        Ok(bytes)
    }

    /// The same, to be shared.
    pub(super) fn bytes(&self, offset: u64, length: usize) -> Result<Bytes> {
        self.read(offset, length).map(Bytes::from)
    }

    /// The superblock's bytes, or all there are.
    pub(super) fn head(&self) -> Result<Vec<u8>> {
        self.read(0, self.length().min(SUPERBLOCK_BYTES as u64) as usize)
    }

    fn append(&self, into: &mut Vec<u8>, length: usize, offset: u64) -> Result<()> {
        // Checked first, since the length may come from damaged bytes: no more memory is asked for than the file has bytes.
        self.check_range(offset, length)?;
        into.reserve_exact(length);
        let read = self.inner.handle.append(into, length, offset);
        let read = read.map_err(|error| self.failure(offset, length, error))?;
        if read < length {
            return Err(self.ends_within(offset, length));
        }
        Ok(())
    }

    fn check_range(&self, offset: u64, length: usize) -> Result<()> {
        let end = offset.checked_add(length as u64);
        match end.is_some_and(|end| end <= self.length()) {
            true => Ok(()),
            false => Err(self.ends_within(offset, length)),
        }
    }

    fn ends_within(&self, offset: u64, length: usize) -> Error {
        self.corrupt(
            offset,
            format!("the file ends within {length} bytes that should be here"),
        )
    }

    fn failure(&self, offset: u64, length: usize, error: io::Error) -> Error {
        if is_of_the_medium(&error) {
            return self.corrupt(
                offset,
                format!("{length} bytes can't be read here: {error}"),
            );
        }
        let source = io::Error::new(error.kind(), format!("at byte {offset}: {error}"));
        Error::system("read", self.path(), source)
    }
}

/// Whether a read failed because of what is, or isn't, on the disk, and not because of this process or the system.
fn is_of_the_medium(error: &io::Error) -> bool {
    use rustix::io::Errno;
    #[cfg(target_os = "linux")]
    const KNOWN: &[Errno] = &[
        Errno::IO,
        // How file systems and block devices say that a checksum, a structure or a sector is bad.
        Errno::BADMSG,
        Errno::UCLEAN,
        Errno::NODATA,
        Errno::REMOTEIO,
    ];
    #[cfg(not(target_os = "linux"))]
    const KNOWN: &[Errno] = &[Errno::IO];
    let code = error.raw_os_error();
    KNOWN.iter().any(|errno| code == Some(errno.raw_os_error()))
}

/// A file that is read from front to back, a large piece at a time.
#[derive(Debug)]
pub(super) struct Pieces<'a> {
    file: &'a ReadFile,
    held: Vec<u8>,
    held_at: u64,
    /// Where bytes could not be read, and why, where reading goes on behind them.
    unreadable: Option<Vec<Unreadable>>,
}

/// A place that could not be read; its bytes count as zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) reason: String,
}

impl<'a> Pieces<'a> {
    pub(super) const fn new(file: &'a ReadFile) -> Self {
        Self {
            file,
            held: Vec::new(),
            held_at: 0,
            unreadable: None,
        }
    }

    /// The same for a check, which goes on behind what can't be read: such bytes are zeros, and noted.
    pub(super) const fn going_on(file: &'a ReadFile) -> Self {
        Self {
            file,
            held: Vec::new(),
            held_at: 0,
            unreadable: Some(Vec::new()),
        }
    }

    pub(super) const fn file(&self) -> &'a ReadFile {
        self.file
    }

    /// The places that could not be read so far, and forgets them.
    pub(super) fn take_unreadable(&mut self) -> Vec<Unreadable> {
        self.unreadable
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Some bytes; `None` if the file ends before them or within.
    pub(super) fn get(&mut self, offset: u64, length: usize) -> Result<Option<&[u8]>> {
        let end = offset.checked_add(length as u64);
        if end.is_none_or(|end| end > self.file.length()) {
            return Ok(None);
        }
        let from = match self.within(offset, length) {
            Some(from) => from,
            None => {
                self.load(offset, length)?;
                0
            }
        };
        Ok(Some(&self.held[from..from + length]))
    }

    /// What comes from an offset on, as much as is read at once; empty at the file's end.
    pub(super) fn next(&mut self, offset: u64) -> Result<&[u8]> {
        let rest = self.file.length().saturating_sub(offset);
        let length = rest.min(PIECE_BYTES as u64) as usize;
        Ok(self.get(offset, length)?.unwrap_or_default())
    }

    fn within(&self, offset: u64, length: usize) -> Option<usize> {
        let from = usize::try_from(offset.checked_sub(self.held_at)?).ok()?;
        (from.checked_add(length)? <= self.held.len()).then_some(from)
    }

    fn load(&mut self, offset: u64, asked: usize) -> Result<()> {
        let rest = self.file.length() - offset;
        let length = (asked.max(PIECE_BYTES) as u64).min(rest) as usize;
        self.held.clear();
        if self.held.capacity() > 2 * length {
            // A read fills all the room there is, so a short piece in a large buffer would be read as a long one.
            self.held = Vec::new();
        }
        self.held_at = offset;
        let mut outcome = self.file.append(&mut self.held, length, offset);
        if outcome.is_err() && self.unreadable.is_none() && length > asked {
            // Only what was asked for counts: a bad sector in what is read ahead must not spoil what is sound.
            self.held.clear();
            outcome = self.file.append(&mut self.held, asked, offset);
        }
        match (outcome, &mut self.unreadable) {
            (Err(Error::Corrupt { .. }), Some(unreadable)) => {
                self.held.clear();
                read_around(self.file, &mut self.held, length, offset, unreadable)
            }
            (outcome, _) => {
                if outcome.is_err() {
                    self.held.clear();
                }
                outcome
            }
        }
    }
}

/// Reads page by page, with zeros in place of those that can't be read.
fn read_around(
    file: &ReadFile,
    into: &mut Vec<u8>,
    length: usize,
    offset: u64,
    unreadable: &mut Vec<Unreadable>,
) -> Result<()> {
    let end = offset + length as u64;
    let mut at = offset;
    while at < end {
        let next = ((at / PAGE_BYTES + 1) * PAGE_BYTES).min(end);
        let page = (next - at) as usize;
        let before = into.len();
        match file.append(into, page, at) {
            Ok(()) => {}
            Err(Error::Corrupt { reason, .. }) => {
                into.resize(before, 0);
                into.resize(before + page, 0);
                note(unreadable, at, page as u64, reason);
            }
            Err(error) => return Err(error),
        }
        at = next;
    }
    Ok(())
}

/// Places side by side are one; one that is met again is known.
fn note(unreadable: &mut Vec<Unreadable>, offset: u64, length: u64, reason: String) {
    let holds =
        |held: &Unreadable| held.offset <= offset && offset + length <= held.offset + held.length;
    // Pieces overlap, so one bad page is met several times.
    if unreadable.iter().any(holds) {
        return;
    }
    if let Some(last) = unreadable.last_mut()
        && last.offset + last.length == offset
    {
        last.length += length;
        return;
    }
    unreadable.push(Unreadable {
        offset,
        length,
        reason,
    });
}
