//! The life of a store that is a directory: whether there is one, how one comes into being, and how one that could not be made goes
//! again.
//!
//! A store exists once its directory has the file `store`, which gets its name last. Creating makes the other files first, under
//! a lock on `store.new`; what an interrupted creation left is recognised and rebuilt, and one that fails leaves nothing.

use std::fs::{self, DirEntry, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::names::sync_directory;
use crate::identity::{count_names, leads_nowhere, look};
use crate::opening::open_own;
#[cfg(feature = "log")]
use crate::opening::open_regular;
use crate::{DamageAt, Error, Result};

pub(crate) const STORE: &str = "store";
/// What the file `store` is called until all else is there.
pub(crate) const CREATING: &str = "store.new";

/// What the directories of one backend's stores hold.
pub(crate) trait Content {
    /// Whether creating makes such a file, or directory, before the store has its name. `store.new` is one.
    fn is_first(&self, entry: &DirEntry) -> bool;

    /// Whether files are here that only a store has: then a file `store` that is missing or another is damage.
    fn is_of_store(&self, directory: &Path) -> io::Result<bool>;

    /// Makes all files of an empty store, and gives `fresh`, which is there and locked, its content and the name `store`. All
    /// is on the disk when it returns.
    fn fill(&self, directory: &Path, fresh: &Path) -> Result<()>;

    /// Takes away what [`fill`](Self::fill) makes besides the file `store`, as far as it is there and can be removed.
    fn empty(&self, directory: &Path);
}

/// Whether anything but an empty directory, or what an interrupted creation left, is at the path.
pub(crate) fn exists(content: &impl Content, directory: &Path) -> bool {
    // What can't be looked into counts as there; opening says why it can't be.
    leads_nowhere(directory) || is_taken(content, directory).unwrap_or_else(|_| directory.exists())
}

fn is_taken(content: &impl Content, directory: &Path) -> io::Result<bool> {
    match is_vacant(content, directory) {
        Ok(vacant) => Ok(!vacant),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(true),
        Err(error) => Err(error),
    }
}

/// Whether a directory is empty but for the first files of a store that never came into being.
fn is_vacant(content: &impl Content, directory: &Path) -> io::Result<bool> {
    let (mut is_empty, mut creating) = (true, false);
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if !content.is_first(&entry) {
            return Ok(false);
        }
        creating |= entry.file_name() == CREATING;
        is_empty = false;
    }
    Ok(creating || is_empty)
}

/// Whether it is a file of one name, with as many bytes at most as one that creating makes. Any other is somebody's, and writing
/// to it would destroy it.
pub(crate) fn is_small_file(entry: &DirEntry, bytes_max: u64) -> bool {
    entry
        .metadata()
        .is_ok_and(|found| found.is_file() && found.len() <= bytes_max && count_names(&found) <= 1)
}

fn not_a_store(path: &Path, found: &str) -> Error {
    Error::NotAStore {
        path: path.to_owned(),
        found: found.to_owned(),
    }
}

/// The canonical path of a directory that may have a store.
pub(crate) fn enter(path: &Path) -> Result<PathBuf> {
    match look("open", path)? {
        None => Err(Error::Missing {
            path: path.to_owned(),
        }),
        Some(found) if !found.is_dir() => Err(not_a_store(path, "a file, not a directory")),
        Some(_) => path
            .canonicalize()
            .map_err(|source| Error::system("open", path, source)),
    }
}

/// What a directory is, which was entered by `path`, and which has no file `store`.
pub(crate) fn without_store(content: &impl Content, path: &Path, directory: &Path) -> Error {
    let told = || -> io::Result<Error> {
        if is_vacant(content, directory)? {
            return Ok(not_a_store(path, "an empty directory"));
        }
        if content.is_of_store(directory)? {
            let store = directory.join(STORE);
            return Ok(Error::corrupt(
                &store,
                DamageAt::Structure,
                "the file is missing",
            ));
        }
        Ok(not_a_store(path, "a directory without the file `store`"))
    };
    told().unwrap_or_else(|source| Error::system("open", path, source))
}

/// A store that was just made.
#[derive(Debug)]
pub(crate) struct Made {
    /// Its canonical path.
    pub(crate) directory: PathBuf,
    /// Whether the directory was made for it.
    #[cfg_attr(not(feature = "log"), allow(dead_code))]
    is_new: bool,
}

/// Makes an empty store. If that fails, nothing is left of it.
pub(crate) fn create(content: &impl Content, path: &Path) -> Result<Made> {
    let fault = |source| Error::system("create", path, source);
    look("create", path)?;
    if is_taken(content, path).map_err(fault)? {
        return Err(exists_already(path));
    }
    let is_new = match fs::create_dir(path) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        Err(error) => return Err(fault(error)),
    };
    let made = path
        .canonicalize()
        .map_err(fault)
        .and_then(|directory| make(content, path, &directory).map(|()| Made { directory, is_new }));
    if made.is_err() && is_new {
        // Only an empty directory goes: in any other, somebody else is at work.
        let _ = fs::remove_dir(path);
    }
    made
}

fn exists_already(path: &Path) -> Error {
    Error::Exists {
        path: path.to_owned(),
    }
}

/// Makes the files, in a directory that is there. `path` is how the caller named it.
fn make(content: &impl Content, path: &Path, directory: &Path) -> Result<()> {
    let fault = |source| Error::system("create", path, source);
    // The directory may have been made just now, and a store in a directory whose name a crash takes is lost as a whole.
    if let Some(parent) = directory.parent() {
        sync_directory(parent).map_err(fault)?;
    }
    let fresh = directory.join(CREATING);
    // Not emptied: until the lock is taken, somebody else may be creating a store in this very file. And what was looked at by its
    // name may have been exchanged since.
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    let file =
        open_own(&mut options, &fresh).map_err(|source| Error::system("create", &fresh, source))?;
    lock(&file, path)?;
    // Another process that had the lock before may have made the store, or failed and removed this file: then the lock is on a
    // file that nobody else will find.
    let is_held = is_at(&file, &fresh);
    let refused = match is_taken(content, directory) {
        Ok(false) if is_held => {
            let filled = content.fill(directory, &fresh);
            return filled.inspect_err(|_| take_back(content, directory));
        }
        Ok(false) => Error::InUse {
            path: path.to_owned(),
        },
        Ok(true) => exists_already(path),
        Err(error) => fault(error),
    };
    if is_held {
        let _ = fs::remove_file(&fresh);
    }
    Err(refused)
}

/// Takes away what creating made, `store.new` last, so that what is left is vacant at any moment. What can't be removed
/// stays, to be rebuilt.
fn take_back(content: &impl Content, directory: &Path) {
    let fresh = directory.join(CREATING);
    let _ = fs::rename(directory.join(STORE), &fresh);
    content.empty(directory);
    let _ = fs::remove_file(fresh);
}

#[cfg(feature = "log")]
impl Made {
    /// Takes the store away again that could not be opened, unless somebody else has done so and written to it: then it is
    /// not `as_made` any more.
    pub(crate) fn take_back(&self, content: &impl Content, as_made: impl FnOnce(&Path) -> bool) {
        let path = self.directory.join(STORE);
        let Ok(file) = open_regular(&path) else {
            return;
        };
        if file.try_lock().is_ok() && is_at(&file, &path) && as_made(&self.directory) {
            take_back(content, &self.directory);
            if self.is_new {
                let _ = fs::remove_dir(&self.directory);
            }
        }
    }
}

/// Whether an open file is the one at a path.
#[cfg(unix)]
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(open), Ok(named)) = (file.metadata(), path.metadata()) else {
        return false;
    };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

/// A file that is open can't be taken away.
#[cfg(not(unix))]
pub(crate) fn is_at(_file: &File, path: &Path) -> bool {
    path.exists()
}

/// Takes the lock that keeps other processes out of a store; it is held until the file is dropped.
pub(crate) fn lock(file: &File, directory: &Path) -> Result<()> {
    file.try_lock()
        .map_err(|error| lock_failure(error, directory))
}

/// Why the lock of the store in a directory could not be taken.
pub(crate) fn lock_failure(error: TryLockError, directory: &Path) -> Error {
    match error {
        TryLockError::WouldBlock => Error::InUse {
            path: directory.to_owned(),
        },
        TryLockError::Error(source) => Error::system("lock", &directory.join(STORE), source),
    }
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A backend that takes whatever it finds for its own.
    struct Credulous;

    impl Content for Credulous {
        fn is_first(&self, _: &DirEntry) -> bool {
            true
        }

        fn is_of_store(&self, _: &Path) -> io::Result<bool> {
            Ok(false)
        }

        fn fill(&self, _: &Path, fresh: &Path) -> Result<()> {
            fs::write(fresh, "filled").map_err(|source| Error::system("create", fresh, source))
        }

        fn empty(&self, _: &Path) {}
    }

    /// As if it had been put there after the directory was looked into.
    #[test]
    fn what_takes_the_place_of_the_first_file_is_refused_when_it_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let (directory, foreign) = (folder.path().join("chain"), folder.path().join("foreign"));
        fs::create_dir(&directory).unwrap();
        fs::write(&foreign, "precious").unwrap();
        let fresh = directory.join(CREATING);
        let refusal = || {
            let error = create(&Credulous, &directory).unwrap_err().to_string();
            assert!(error.contains(CREATING), "{error}");
            fs::remove_file(&fresh).unwrap();
            error
        };
        std::os::unix::fs::symlink(&foreign, &fresh).unwrap();
        assert!(refusal().contains("a symbolic link"));
        fs::hard_link(&foreign, &fresh).unwrap();
        assert!(refusal().contains("2 names"));
        rustix::fs::mkfifoat(rustix::fs::CWD, &fresh, rustix::fs::Mode::RWXU).unwrap();
        assert!(refusal().contains("a pipe"));
        assert_eq!(fs::read(&foreign).unwrap(), b"precious");
    }
}
