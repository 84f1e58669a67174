//! The few things that the append-log does with files, as a trait, so that tests can fail, stop and forget.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::iter;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use super::open_files::OpenFile;
use crate::opening;
use crate::toolbox::names::sync_directory;

/// What is written past the system's cache are multiples of this, from multiples of it to multiples of it.
pub(super) const PAGE_BYTES: usize = 4096;

/// A directory's file system.
pub(super) trait Files: Send + Sync + fmt::Debug {
    /// The names in a directory.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;
    /// Makes a directory if there is none.
    fn create_directory(&self, path: &Path) -> io::Result<()>;
    /// Makes an empty file, in place of any that is there.
    fn create(&self, path: &Path) -> io::Result<Box<dyn FileHandle>>;
    /// Opens a file to write to it.
    fn open(&self, path: &Path) -> io::Result<Box<dyn FileHandle>>;
    /// Opens a file, which has to be a regular one, to read from it.
    fn open_to_read(&self, path: &Path) -> io::Result<Box<dyn ReadHandle>>;
    /// Bytes that the file system gave to a file.
    fn allocated(&self, path: &Path) -> io::Result<u64>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory survive loss of power.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;
    /// Makes files survive loss of power, at the same time. Fails with the number of the first file that could not
    /// be synced.
    fn sync(&self, files: &[&dyn FileHandle]) -> Result<(), (usize, io::Error)>;
}

/// A file that is written to.
pub(super) trait FileHandle: Send + Sync + fmt::Debug {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Writes whole pages, and leaves none of them in the system's cache where that is possible. Address, length and offset
    /// are multiples of [`PAGE_BYTES`].
    fn write_pages(&self, pages: &[u8], offset: u64) -> io::Result<()> {
        self.write_at(pages, offset)
    }
    fn cut(&self, length: u64) -> io::Result<()>;
    /// Gives the pages within a range back to the file system, which then read as zeros; the length stays.
    /// False if this file system can't.
    fn punch(&self, offset: u64, length: u64) -> io::Result<bool>;
    fn sync(&self) -> io::Result<()>;
    /// Has the system begin to write what was written to a range, which a later sync then has to do no more. It may
    /// as well do nothing.
    fn begin_sync(&self, offset: u64, length: u64);
}

/// A file that is read from.
pub(super) trait ReadHandle: Send + Sync + fmt::Debug {
    /// Its length when it was opened.
    fn length(&self) -> u64;
    /// Keeps the file open from now on, so that it can be read whatever becomes of its name.
    fn pin(&self) -> io::Result<()>;
    /// Fills a buffer from an offset on, as far as the file has bytes; gives how many.
    fn fill(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Appends `length` bytes from an offset on to a buffer, as far as the file has them; gives how many.
    fn append(&self, into: &mut Vec<u8>, length: usize, offset: u64) -> io::Result<usize>;
}

/// The operating system's.
#[derive(Debug)]
pub(super) struct SystemFiles;

impl Files for SystemFiles {
    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        fs::read_dir(directory)?
            .map(|entry| Ok(name_of(&entry?.file_name())))
            .collect()
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        }
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FileHandle>> {
        let file = opening::open_own(File::options().write(true).create(true), path)?;
        // Once it is known to be the store's own.
        file.set_len(0)?;
        Ok(Box::new(SystemFile::new(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn FileHandle>> {
        let file = opening::open(File::options().write(true), path)?;
        Ok(Box::new(SystemFile::new(file)))
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Box<dyn ReadHandle>> {
        Ok(Box::new(OpenFile::new(path)?))
    }

    fn allocated(&self, path: &Path) -> io::Result<u64> {
        // POSIX leaves the unit open; all systems that Rust runs on have 512.
        Ok(fs::metadata(path)?.blocks() * 512)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        sync_directory(directory)
    }

    /// A thread for each but the first, since file systems commit concurrent syncs together: two one after the other take
    /// twice the time.
    fn sync(&self, files: &[&dyn FileHandle]) -> Result<(), (usize, io::Error)> {
        let Some((first, others)) = files.split_first() else {
            return Ok(());
        };
        thread::scope(|scope| {
            let syncs: Vec<_> = others
                .iter()
                .map(|file| scope.spawn(|| file.sync()))
                .collect();
            let first = first.sync();
            let outcomes = syncs.into_iter().map(|sync| {
                sync.join()
                    .unwrap_or_else(|_| Err(io::Error::other("the syncing thread panicked")))
            });
            // All are waited for, whichever fails.
            let outcomes: Vec<_> = iter::once(first).chain(outcomes).collect();
            outcomes
                .into_iter()
                .enumerate()
                .try_for_each(|(number, outcome)| outcome.map_err(|error| (number, error)))
        })
    }
}

/// Whether a hole was punched by `punch`, which does it once.
#[cfg(target_os = "linux")]
fn punched(punch: impl FnMut() -> rustix::io::Result<()>) -> io::Result<bool> {
    use rustix::io::{Errno, retry_on_intr};
    // A signal that the host handles interrupts fallocate(2), and says nothing of the file; what was punched may be punched again.
    match retry_on_intr(punch) {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Names of ours are ASCII; any other one is equally not ours in whatever spelling.
fn name_of(name: &OsStr) -> String {
    name.to_string_lossy().into_owned()
}

impl ReadHandle for Arc<OpenFile> {
    fn length(&self) -> u64 {
        OpenFile::length(self)
    }

    fn pin(&self) -> io::Result<()> {
        OpenFile::pin(self)
    }

    fn fill(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < into.len() {
            let rest = &mut into[filled..];
            let at = offset + filled as u64;
            match self.with(|file| Ok(rustix::io::pread(file, &mut *rest, at)?)) {
                // The end of the file, which another program may have cut; pread(2) may give less than was asked for without
                // that too.
                Ok(0) => break,
                Ok(count) => filled += count,
                // A handler of the host's signals ran (signal(7)); that says nothing of the file.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn append(&self, into: &mut Vec<u8>, length: usize, offset: u64) -> io::Result<usize> {
        let start = into.len();
        into.reserve_exact(length);
        while into.len() - start < length {
            let at = offset + (into.len() - start) as u64;
            // Read into spare capacity as it is: setting it to zero first would cost as much as the copy.
            let read = self.with(|file| {
                let spare = rustix::buffer::spare_capacity(into);
                Ok(rustix::io::pread(file, spare, at)?)
            });
            match read {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        // There may have been more room than was asked for.
        into.truncate(start + length);
        Ok(into.len() - start)
    }
}

#[derive(Debug)]
struct SystemFile {
    file: File,
    /// The same file, past the cache, once it was asked for; nothing where that isn't possible.
    direct: OnceLock<Option<File>>,
    is_refused: AtomicBool,
}

impl SystemFile {
    const fn new(file: File) -> Self {
        Self {
            file,
            direct: OnceLock::new(),
            is_refused: AtomicBool::new(false),
        }
    }

    fn direct(&self) -> Option<&File> {
        if self.is_refused.load(Ordering::Relaxed) {
            return None;
        }
        // Some file systems have no O_DIRECT (tmpfs before Linux 6.6); there, pages are written through the cache.
        let direct = self.direct.get_or_init(|| open_direct(&self.file).ok());
        direct.as_ref()
    }
}

/// Opens an open file once more, past the cache; by its number, since its name may be another file's by now.
#[cfg(target_os = "linux")]
fn open_direct(file: &File) -> io::Result<File> {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::DIRECT.bits().cast_signed();
    File::options()
        .write(true)
        .custom_flags(flags)
        .open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

#[cfg(not(target_os = "linux"))]
fn open_direct(_file: &File) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

impl FileHandle for SystemFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn write_pages(&self, pages: &[u8], offset: u64) -> io::Result<()> {
        if let Some(direct) = self.direct() {
            match direct.write_all_at(pages, offset) {
                // EINVAL (open(2), O_DIRECT): the file system wants another alignment, or an earlier short write left an offset
                // that has none.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    self.is_refused.store(true, Ordering::Relaxed);
                }
                outcome => return outcome,
            }
        }
        self.write_at(pages, offset)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    #[cfg(target_os = "linux")]
    fn punch(&self, offset: u64, length: u64) -> io::Result<bool> {
        use rustix::fs::{FallocateFlags, fallocate};
        // The kernel takes PUNCH_HOLE only together with KEEP_SIZE (fallocate(2)).
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        punched(|| fallocate(&self.file, flags, offset, length))
    }

    #[cfg(not(target_os = "linux"))]
    fn punch(&self, _offset: u64, _length: u64) -> io::Result<bool> {
        Ok(false)
    }

    fn sync(&self) -> io::Result<()> {
        // fdatasync(2) writes a new length too, which is all of the metadata that reading back needs; times are left out.
        self.file.sync_data()
    }

    /// Linux begins to write the dirty pages of a range that is said to be of no more use, and drops only those that are
    /// clean and not mapped.
    #[cfg(target_os = "linux")]
    fn begin_sync(&self, offset: u64, length: u64) {
        use rustix::fs::{Advice, fadvise};
        // Advice alone: the sync that follows writes whatever wasn't begun, and reports what fails.
        let _ = fadvise(
            &self.file,
            offset,
            std::num::NonZeroU64::new(length),
            Advice::DontNeed,
        );
    }

    #[cfg(not(target_os = "linux"))]
    fn begin_sync(&self, _offset: u64, _length: u64) {}
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn a_signal_while_a_hole_is_punched_is_no_failure() {
        let punched_after = |outcomes: &[Result<(), Errno>]| {
            let mut outcomes = outcomes.iter().copied();
            let outcome = punched(|| outcomes.next().unwrap());
            assert_eq!(outcomes.next(), None, "not asked as often as it should be");
            outcome
        };
        let interrupted = Err(Errno::INTR);
        assert!(punched_after(&[interrupted, interrupted, Ok(())]).unwrap());
        assert!(!punched_after(&[interrupted, Err(Errno::OPNOTSUPP)]).unwrap());
        let error = punched_after(&[interrupted, Err(Errno::IO)]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::IO.raw_os_error()));
    }
}
