//! The databases that this process has open, each once, by what the file is; and the locks that keep writers apart.
//!
//! A process holds one descriptor of a database besides those of SQLite, from before SQLite's first until after its last. It
//! must not come and go: whenever a process closes any descriptor of a file, the system drops all of its POSIX locks on that
//! file (<https://sqlite.org/howtocorrupt.html>, 2.2). By those SQLite tells other processes that the database is in use here,
//! and knows whether it may remove the log.
//!
//! Two locks keep a second writer out:
//!
//! - one on `FILE.lock`, which is the same for all paths that lead to the file's one name;
//! - on Linux, one on a byte of FILE far behind its end, where SQLite locks nothing. It belongs to the file itself, so it
//!   also holds after the file was renamed or mounted elsewhere, and after `FILE.lock` was removed. It is of the kind that
//!   belongs to a descriptor (OFD), and so does not end with other descriptors.

use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::files::{beside, refused};
use super::schema;
use crate::identity::{Identity, count_names};
use crate::opening;
use crate::toolbox::open_stores::OpenStores;
use crate::{Error, Result};

/// One open database. SQLite's connections to it are closed before this is dropped.
#[derive(Debug)]
pub(super) struct Presence {
    path: PathBuf,
    /// To read: for the lock of readers that SQLite doesn't guard. On other systems it is only kept.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    file: File,
    /// To write: for the writer's lock. Opened with the first writer, and kept, as all descriptors are.
    writable: Mutex<Option<File>>,
    written: AtomicBool,
    /// Connections of this process that hold on to a moment for as long as somebody likes.
    moments: AtomicUsize,
}

static OPEN: OpenStores<Presence> = OpenStores::new();

impl Presence {
    /// Opens the database at a canonical path, or joins those who have it open. Refuses what is certainly not a store
    /// of this version, and a file that has several names.
    pub(super) fn enter(path: &Path) -> Result<Arc<Self>> {
        let fault = refused("open", path);
        let mut open = OPEN.begin();
        let found = path.metadata().map_err(&fault)?;
        refuse_names(path, count_names(&found))?;
        // Before the file is opened: closing a second descriptor would drop the locks that SQLite has on it.
        let identity = Identity::from(path, &found);
        if let Some(presence) = open.find(&identity) {
            return presence.under(path);
        }
        let mut file = opening::open_regular(path).map_err(&fault)?;
        // What is noted as open has to be the file that is open.
        if Identity::from(path, &file.metadata().map_err(&fault)?) != identity {
            return Err(fault(io::Error::other("it was replaced meanwhile")));
        }
        let mut head = Vec::with_capacity(schema::HEAD_BYTES);
        let bytes = schema::HEAD_BYTES as u64;
        io::copy(&mut file.by_ref().take(bytes), &mut head).map_err(&fault)?;
        schema::refuse_stranger_file(path, &head)?;
        let presence = Arc::new(Self {
            path: path.to_owned(),
            file,
            writable: Mutex::default(),
            written: AtomicBool::new(false),
            moments: AtomicUsize::new(0),
        });
        open.add(identity, &presence);
        Ok(presence)
    }

    /// SQLite names the log after the path that a connection was opened with, so two paths would have two logs.
    fn under(self: Arc<Self>, path: &Path) -> Result<Arc<Self>> {
        if self.path == path {
            return Ok(self);
        }
        let known = self.path.display();
        Err(Error::Unusable {
            path: path.to_owned(),
            reason: format!("this process has the same file open as {known}"),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Counts one more moment that is held, unless there are as many as there may be.
    pub(super) fn hold_moment(&self, most: usize) -> bool {
        let one_more = |held: usize| (held < most).then_some(held + 1);
        let counted = self
            .moments
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        counted.is_ok()
    }

    pub(super) fn let_moment_go(&self) {
        self.moments.fetch_sub(1, Ordering::Relaxed);
    }

    /// Takes the writer's lock.
    pub(super) fn lock(self: &Arc<Self>) -> Result<Lock> {
        self.lock_too(lock_name(&self.path)?)
    }

    /// Takes the writer's lock where the one on the name is held already.
    pub(super) fn lock_too(self: &Arc<Self>, by_name: NameLock) -> Result<Lock> {
        // Within the process the byte says nothing: it is locked through one descriptor, by which it could be locked again.
        if self.written.swap(true, Ordering::Acquire) {
            return Err(self.in_use());
        }
        // From here on, dropping gives it back, also if the next lock is refused.
        let lock = Lock {
            presence: Arc::clone(self),
            turn: Mutex::default(),
            _by_name: by_name,
        };
        let mut writable = self.writable.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match &mut *writable {
            Some(file) => file,
            none => {
                let file = opening::open(File::options().read(true).write(true), &self.path);
                none.insert(file.map_err(refused("open", &self.path))?)
            }
        };
        match byte::try_lock(file) {
            Ok(true) => {}
            Ok(false) => return Err(self.in_use()),
            Err(error) => return Err(refused("lock", &self.path)(error)),
        }
        drop(writable);
        Ok(lock)
    }

    /// Keeps writers of all processes out until the last handle of this process is gone. False if there is one.
    #[cfg(target_os = "linux")]
    pub(super) fn keep_writers_out(&self) -> Result<bool> {
        byte::try_lock_shared(&self.file).map_err(refused("lock", &self.path))
    }

    /// Elsewhere all that can be told is whether SQLite's files are those of a writer.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn keep_writers_out(&self) -> Result<bool> {
        Ok(!beside(&self.path, "-shm").exists())
    }

    fn in_use(&self) -> Error {
        Error::InUse {
            path: self.path.clone(),
        }
    }
}

/// The writers' lock, held until dropped.
#[derive(Debug)]
pub(super) struct Lock {
    presence: Arc<Presence>,
    turn: Mutex<()>,
    _by_name: NameLock,
}

impl Lock {
    /// One of those who share the lock writes at a time, as long as it has this.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        // What a panic left undone in the database, SQLite takes back.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anybody in this process holds on to a moment.
    pub(super) fn are_moments_held(&self) -> bool {
        self.presence.moments.load(Ordering::Relaxed) > 0
    }
}

/// The lock on the file beside a database, until it is dropped.
#[derive(Debug)]
pub(super) struct NameLock(File);

impl Drop for NameLock {
    fn drop(&mut self) {
        // Not by closing alone: a process that another thread is starting holds the descriptor until it runs its program, and would keep
        // the lock for as long.
        let _ = self.0.unlock();
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The byte before the flag: the next writer of this process locks it through the same descriptor, and an unlocking that
        // came later would take its lock away.
        let writable = self
            .presence
            .writable
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &*writable
            && let Err(error) = byte::unlock(file)
        {
            tracing::warn!(path = %self.presence.path.display(), %error, "a lock was not given back");
        }
        self.presence.written.store(false, Ordering::Release);
    }
}

/// Takes the lock on the file beside a database, which need not be there yet.
pub(super) fn lock_name(path: &Path) -> Result<NameLock> {
    let lock = beside(path, ".lock");
    let file = opening::open(
        File::options().create(true).truncate(false).write(true),
        &lock,
    );
    let file = file.map_err(refused("lock", &lock))?;
    match file.try_lock() {
        Ok(()) => Ok(NameLock(file)),
        Err(TryLockError::WouldBlock) => Err(Error::InUse {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(refused("lock", &lock)(error)),
    }
}

/// SQLite names its log after the database's name. Through another name it would neither find what is in the log nor see
/// who uses it: readers would be given an older chain, and writers destroy the store.
fn refuse_names(path: &Path, names: u64) -> Result<()> {
    if names <= 1 {
        return Ok(());
    }
    Err(Error::Unusable {
        path: path.to_owned(),
        reason: format!(
            "the file has {names} names (hard links), and SQLite keeps a log beside each; remove the others, or copy the file"
        ),
    })
}

/// Locks on the last byte that a file could have.
#[cfg(target_os = "linux")]
mod byte {
    use std::fs::File;
    use std::io;

    use nix::errno::Errno;
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc::{F_RDLCK, F_UNLCK, F_WRLCK, SEEK_SET, c_int, flock, off_t};

    pub(super) fn try_lock(file: &File) -> io::Result<bool> {
        set(file, F_WRLCK)
    }

    pub(super) fn try_lock_shared(file: &File) -> io::Result<bool> {
        set(file, F_RDLCK)
    }

    pub(super) fn unlock(file: &File) -> io::Result<()> {
        set(file, F_UNLCK).map(drop)
    }

    fn set(file: &File, kind: c_int) -> io::Result<bool> {
        let byte = flock {
            // The constants are small.
            l_type: kind as i16,
            l_whence: SEEK_SET as i16,
            // SQLite locks bytes from 2^30 on (<https://sqlite.org/fileformat2.html#the_lock_byte_page>), far from this one.
            l_start: off_t::MAX - 1,
            l_len: 1,
            l_pid: 0,
        };
        loop {
            return match fcntl(file, FcntlArg::F_OFD_SETLK(&byte)) {
                Ok(_) => Ok(true),
                Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
                // By a signal, where the file system is another machine's (fcntl(2)).
                Err(Errno::EINTR) => continue,
                Err(error) => Err(error.into()),
            };
        }
    }
}

/// Elsewhere the lock on the name has to do.
#[cfg(not(target_os = "linux"))]
mod byte {
    use std::fs::File;
    use std::io;

    pub(super) fn try_lock(_: &File) -> io::Result<bool> {
        Ok(true)
    }

    pub(super) fn unlock(_: &File) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_name_is_given_back_though_a_process_that_is_being_started_has_its_descriptor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chain.db");
        let lock = lock_name(&path).unwrap();
        let inherited = lock.0.try_clone().unwrap();
        assert!(matches!(lock_name(&path), Err(Error::InUse { .. })));
        drop(lock);
        drop(lock_name(&path).unwrap());
        drop(inherited);
    }
}
