//! The lock that keeps other processes out of a store, and how it is taken without ever being lost.
//!
//! It is flock(2) on the file `store`: shared while a process only reads, exclusive from its first writer on. flock(2) makes a
//! shared lock exclusive by giving it up first, and where another process reads too, the second step fails after the first has
//! been done. A third that became a writer in between would change files under readers that believe in their lock.
//!
//! So whoever wants the exclusive lock holds one on the file `mark` meanwhile, the gate, which nobody keeps: while one process
//! tries, no other does, and the shared lock can always be taken back. Version 0.1 takes the lock on `store` alone, in the same
//! way, and so excludes this one, and is excluded, but for one moment: if it becomes a writer while the lock is given up here,
//! it is lost. That is noted, and nothing is read from then on.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::format::Named;
use super::shared::missing_file;
use crate::opening::open_regular;
use crate::toolbox::directory::{is_at, lock_failure};
use crate::{Error, Result};

/// The lock on a store, held until dropped.
#[derive(Debug)]
pub(super) struct StoreLock {
    /// The file `store`.
    file: File,
    directory: PathBuf,
    is_exclusive: AtomicBool,
    is_lost: AtomicBool,
}

impl StoreLock {
    /// Keeps writers of other processes out.
    pub(super) fn shared(file: File, directory: &Path) -> Result<Self> {
        let taken = without_interruption(|| file.try_lock_shared());
        taken.map_err(|error| lock_failure(error, directory))?;
        Ok(Self::of(file, directory, false))
    }

    /// Keeps all other processes out.
    pub(super) fn exclusive(file: File, directory: &Path) -> Result<Self> {
        // Without a mark nobody can have the store open, and so nobody a lock to lose.
        let _gate = enter_gate(directory)?;
        let taken = without_interruption(|| file.try_lock());
        taken.map_err(|error| lock_failure(error, directory))?;
        Ok(Self::of(file, directory, true))
    }

    fn of(file: File, directory: &Path, is_exclusive: bool) -> Self {
        Self {
            file,
            directory: directory.to_owned(),
            is_exclusive: AtomicBool::new(is_exclusive),
            is_lost: AtomicBool::new(false),
        }
    }

    /// Keeps all other processes out from now on. If that fails, what was kept out before still is.
    pub(super) fn make_exclusive(&self) -> Result<()> {
        self.make_exclusive_with(|| {})
    }

    /// The same; `in_between` is called where the lock is given up.
    fn make_exclusive_with(&self, in_between: impl FnOnce()) -> Result<()> {
        self.check()?;
        // Not through the gate again: another process that only tries would be in the way.
        if self.is_exclusive.load(Ordering::Acquire) {
            return Ok(());
        }
        let mark = Named::Mark.path(&self.directory);
        let _gate = enter_gate(&self.directory)?.ok_or_else(|| missing_file(&mark))?;
        let Err(error) = without_interruption(|| self.file.try_lock()) else {
            self.is_exclusive.store(true, Ordering::Release);
            return Ok(());
        };
        in_between();
        if without_interruption(|| self.file.try_lock_shared()).is_err() {
            self.is_lost.store(true, Ordering::Release);
            let store = self.directory.display();
            tracing::error!(%store, "another process took the lock away; the store is read no more");
        }
        Err(lock_failure(error, &self.directory))
    }

    /// Fails once the lock was lost, since another process may be writing.
    pub(super) fn check(&self) -> Result<()> {
        if self.is_lost.load(Ordering::Acquire) {
            return Err(in_use(&self.directory));
        }
        Ok(())
    }
}

impl Drop for StoreLock {
    fn drop(&mut self) {
        // As the gate's: not by closing alone.
        let _ = self.file.unlock();
    }
}

/// The right to try for the exclusive lock.
#[derive(Debug)]
pub(super) struct Gate(File);

impl Drop for Gate {
    fn drop(&mut self) {
        // Closing gives a lock back only when no process has the descriptor any more, and one that is being started has it
        // until it runs its program.
        let _ = self.0.unlock();
    }
}

/// Takes the right to try for the exclusive lock; nothing if there is no mark.
pub(super) fn enter_gate(directory: &Path) -> Result<Option<Gate>> {
    let path = Named::Mark.path(directory);
    let gate = match open_regular(&path) {
        Ok(gate) => gate,
        // Damage, of which loading tells more.
        Err(error)
            if [io::ErrorKind::NotFound, io::ErrorKind::InvalidInput].contains(&error.kind()) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(Error::system("open", &path, error)),
    };
    let taken = without_interruption(|| gate.try_lock());
    taken.map_err(|error| lock_failure(error, directory))?;
    let gate = Gate(gate);
    // Repair puts another mark in its place, which others lock.
    if !is_at(&gate.0, &path) {
        return Err(in_use(directory));
    }
    Ok(Some(gate))
}

fn in_use(directory: &Path) -> Error {
    Error::InUse {
        path: directory.to_owned(),
    }
}

/// flock(2) can be interrupted by a signal where the file system is another machine's.
fn without_interruption(
    mut attempt: impl FnMut() -> std::result::Result<(), TryLockError>,
) -> std::result::Result<(), TryLockError> {
    loop {
        match attempt() {
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::home::{open_home, open_read_only};
    use super::super::options::LogOptions;
    use super::*;
    use crate::StoreUrl;

    /// A directory with a store, and a way to open the file that the lock is on. Each descriptor stands for a process.
    struct Processes(tempfile::TempDir);

    impl Processes {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            drop(StoreUrl::Log(folder.path().into()).create().unwrap());
            Self(folder)
        }

        fn file(&self) -> File {
            open_regular(&Named::Store.path(self.0.path())).unwrap()
        }

        fn reader(&self) -> StoreLock {
            StoreLock::shared(self.file(), self.0.path()).unwrap()
        }

        /// Whether any process has a lock.
        fn are_any(&self) -> bool {
            self.file().try_lock().is_err()
        }
    }

    #[track_caller]
    fn assert_in_use<T>(outcome: Result<T>) {
        let error = outcome.map(drop).unwrap_err();
        assert!(matches!(error, Error::InUse { .. }), "{error}");
    }

    #[test]
    fn of_two_readers_that_want_to_write_at_once_neither_does_and_both_keep_their_locks() {
        let processes = Processes::new();
        let (one, two) = (processes.reader(), processes.reader());
        assert_in_use(one.make_exclusive_with(|| {
            assert_in_use(two.make_exclusive());
            let third = StoreLock::exclusive(processes.file(), processes.0.path());
            assert_in_use(third);
        }));
        one.check().unwrap();
        two.check().unwrap();
        drop(two);
        assert!(processes.are_any(), "the lock of the first is gone");
        one.make_exclusive().unwrap();
        assert_in_use(StoreLock::shared(processes.file(), processes.0.path()));
        drop(one);
        assert!(!processes.are_any());
    }

    #[test]
    fn a_lock_is_given_back_though_a_process_that_is_being_started_has_its_descriptor() {
        let processes = Processes::new();
        let lock = StoreLock::exclusive(processes.file(), processes.0.path()).unwrap();
        let inherited = lock.file.try_clone().unwrap();
        drop(lock);
        assert!(!processes.are_any());
        drop(inherited);
    }

    #[test]
    fn a_writer_is_held_up_by_nobody_who_only_tries() {
        let processes = Processes::new();
        let writer = StoreLock::exclusive(processes.file(), processes.0.path()).unwrap();
        let _tries = enter_gate(processes.0.path()).unwrap().unwrap();
        writer.make_exclusive().unwrap();
    }

    /// Version 0.1 knows no gate.
    #[test]
    fn a_lock_that_another_version_took_in_between_is_known_to_be_lost() {
        let processes = Processes::new();
        let path = processes.0.path();
        let home = open_home(path, LogOptions::default()).unwrap();
        let reader = open_read_only(path, LogOptions::default()).unwrap();
        let other = processes.file();
        other.try_lock_shared().unwrap();
        let lock = home.lock().unwrap();
        assert_in_use(lock.make_exclusive_with(|| other.try_lock().unwrap()));
        assert_in_use(reader.extent());
        assert_in_use(reader.block(0));
        assert_in_use(reader.named_value("name"));
        assert_in_use(open_home(path, LogOptions::default()));
        drop(other);
        assert_in_use(StoreUrl::Log(path.into()).open());
        // Whoever opens it anew reads what is there by now.
        drop((reader, home));
        drop(StoreUrl::Log(path.into()).open().unwrap());
    }

    #[test]
    fn without_a_mark_no_lock_is_given_up() {
        let processes = Processes::new();
        let reader = processes.reader();
        std::fs::remove_file(Named::Mark.path(processes.0.path())).unwrap();
        assert!(reader.make_exclusive().unwrap_err().is_corrupt());
        assert!(processes.are_any());
    }
}
