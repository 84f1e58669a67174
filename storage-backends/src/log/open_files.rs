//! The files that this process has open to read, of all of its append-logs: a bounded number at once, so that a chain of
//! thousands of segments doesn't use up the process's descriptors. A file that was closed for another one is opened again
//! when it is asked for.
//!
//! Invariants:
//! 1. A file is read through descriptors of one device and inode. If its name leads to another file by now, reading is an
//!    error, and never gives that file's bytes.
//! 2. Nobody waits for somebody else's reading: a file that is being read is not closed for another one.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use crate::opening;

/// At most so many files are open to read, of the 1,024 that a process may have by default; a few more while that many threads
/// read files that were closed.
const OPEN_MAX: usize = if cfg!(test) { 8 } else { 256 };

/// Those that are open, in the order in which they were opened or last spared.
static OPEN: Mutex<VecDeque<Weak<OpenFile>>> = Mutex::new(VecDeque::new());

/// A file to read from, open or not.
#[derive(Debug)]
pub(super) struct OpenFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
    length: u64,
    file: RwLock<Option<Arc<File>>>,
    /// It was read since it was last spared.
    is_recent: AtomicBool,
    /// It is not closed for another one.
    is_pinned: AtomicBool,
}

impl OpenFile {
    /// Opens a regular file.
    pub(super) fn new(path: &Path) -> io::Result<Arc<Self>> {
        let (file, identity, length) = open_regular(path)?;
        let open = Arc::new(Self {
            path: path.to_owned(),
            identity,
            length,
            file: RwLock::new(Some(Arc::new(file))),
            is_recent: AtomicBool::new(true),
            is_pinned: AtomicBool::new(false),
        });
        enlist(&open);
        Ok(open)
    }

    /// Its length when it was opened first.
    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// Keeps the file open from now on.
    pub(super) fn pin(self: &Arc<Self>) -> io::Result<()> {
        self.is_pinned.store(true, Ordering::Release);
        // A thread that was about to close it has done so, and then it is opened again here; or it sees that it is pinned.
        self.with(|_| Ok(()))
    }

    /// Gives the file to `read`, opened again if it was closed.
    pub(super) fn with<T>(
        self: &Arc<Self>,
        read: impl FnOnce(&File) -> io::Result<T>,
    ) -> io::Result<T> {
        let held = self.file.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &*held {
            // Not written where it is set already: all readers share its cache line.
            if !self.is_recent.load(Ordering::Relaxed) {
                self.is_recent.store(true, Ordering::Relaxed);
            }
            return read(file);
        }
        // Let go before it is opened again, which takes this lock to write.
        drop(held);
        // Read whatever becomes of it: where all others are pinned, it is the first to be closed, at once and as often as it
        // would be opened.
        read(&*self.open_again()?)
    }

    fn open_again(self: &Arc<Self>) -> io::Result<Arc<File>> {
        let mut held = self.file.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread was faster between the two locks.
        if let Some(file) = &*held {
            return Ok(Arc::clone(file));
        }
        let (file, identity, _) = open_regular(&self.path)?;
        // The name may have been given to a rewritten file, or to one that somebody copied here: at the same offsets it has
        // other records.
        if identity != self.identity {
            return Err(io::Error::other("another file has its name by now"));
        }
        let file = Arc::new(file);
        *held = Some(Arc::clone(&file));
        drop(held);
        enlist(self);
        Ok(file)
    }
}

/// Opens a file, which has to be a regular one.
fn open_regular(path: &Path) -> io::Result<(File, (u64, u64), u64)> {
    let file = match opening::open_regular(path) {
        Err(error) if is_out_of_descriptors(&error) => {
            // EMFILE or ENFILE: what is open only to save opening it again goes first, so a reader fails only where the
            // descriptors are the host's own.
            close_down_to(0);
            opening::open_regular(path)?
        }
        outcome => outcome?,
    };
    let found = file.metadata()?;
    Ok((file, (found.dev(), found.ino()), found.len()))
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let code = error.raw_os_error();
    [Errno::MFILE, Errno::NFILE]
        .map(|errno| Some(errno.raw_os_error()))
        .contains(&code)
}

fn enlist(file: &Arc<OpenFile>) {
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    open.push_back(Arc::downgrade(file));
    if open.len() > OPEN_MAX {
        close_some(&mut open, OPEN_MAX);
    }
}

fn close_down_to(count: usize) {
    close_some(
        &mut OPEN.lock().unwrap_or_else(PoisonError::into_inner),
        count,
    );
}

/// Closes files, those that nobody reads first, until so many are open, or all others are being read.
fn close_some(open: &mut VecDeque<Weak<OpenFile>>, count: usize) {
    open.retain(|file| file.strong_count() > 0);
    // Each is spared once for having been read, and once for being read right now: so this ends though all are in use.
    let mut patience = 2 * open.len();
    while open.len() > count && patience > 0 {
        patience -= 1;
        let Some(next) = open.pop_front() else {
            return;
        };
        let Some(file) = next.upgrade() else {
            continue;
        };
        if file.is_recent.swap(false, Ordering::Relaxed) {
            open.push_back(next);
            continue;
        }
        // Tried and never waited for: a thread that opens a file again has that file locked and may wait for this list. Whether
        // the file is pinned is seen under its lock, so that none is closed after it was pinned.
        match file.file.try_write() {
            Ok(mut held) if !file.is_pinned.load(Ordering::Acquire) => *held = None,
            _ => open.push_back(next),
        };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::FileExt;

    use super::*;

    fn first_byte(file: &Arc<OpenFile>) -> io::Result<u8> {
        file.with(|file| {
            let mut byte = [0];
            file.read_exact_at(&mut byte, 0)?;
            Ok(byte[0])
        })
    }

    #[test]
    fn many_files_are_read_through_few_descriptors() {
        let directory = tempfile::tempdir().unwrap();
        let path = |number: u8| directory.path().join(number.to_string());
        let files: Vec<_> = (0..60)
            .map(|number| {
                std::fs::write(path(number), [number]).unwrap();
                OpenFile::new(&path(number)).unwrap()
            })
            .collect();
        for round in 0..3 {
            for (number, file) in (0..).zip(&files) {
                assert_eq!(first_byte(file).unwrap(), number, "round {round}");
            }
        }
        let open = files
            .iter()
            .filter(|file| file.file.read().unwrap().is_some());
        // Other tests of this process have theirs.
        assert!(open.count() <= OPEN_MAX);
    }

    #[test]
    fn a_file_is_read_though_all_that_may_be_open_are_pinned() {
        let directory = tempfile::tempdir().unwrap();
        let open = |number: u8| {
            let path = directory.path().join(number.to_string());
            std::fs::write(&path, [number]).unwrap();
            OpenFile::new(&path).unwrap()
        };
        let pinned: Vec<_> = (0..OPEN_MAX as u8).map(open).collect();
        pinned.iter().for_each(|file| file.pin().unwrap());
        let one_more = open(99);
        for _ in 0..3 {
            assert_eq!(first_byte(&one_more).unwrap(), 99);
        }
    }

    #[test]
    fn a_name_that_leads_to_another_file_gives_no_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, [1]).unwrap();
        let file = OpenFile::new(&path).unwrap();
        std::fs::write(directory.path().join("other"), [2]).unwrap();
        std::fs::rename(directory.path().join("other"), &path).unwrap();
        assert_eq!(first_byte(&file).unwrap(), 1, "it is still open");
        *file.file.write().unwrap() = None;
        let error = first_byte(&file).unwrap_err();
        assert!(error.to_string().contains("another file"), "{error}");
    }

    #[test]
    fn what_is_no_file_is_refused_and_a_pipe_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        assert!(OpenFile::new(directory.path()).is_err());
        let pipe = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let error = OpenFile::new(&pipe).unwrap_err();
        assert!(error.to_string().contains("regular"), "{error}");
    }
}
