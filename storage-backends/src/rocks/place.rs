//! The directory of a store: whether there is one, and how one comes into being.
//!
//! `store` is 12 bytes: "HLROCKS\0" and a format version, u32 little-endian. It gets its name last; what an
//! interrupted creation left is recognised and made anew.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::identity::{leads_nowhere, look};
use crate::opening::open_regular;
use crate::{Error, Place, Result};

const STORE: &str = "store";
const CREATING: &str = "store.new";
const DATABASE: &str = "db";
const MAGIC: &[u8; 8] = b"HLROCKS\0";
const VERSION: u32 = 1;

/// The directory of the database.
pub(super) fn database(directory: &Path) -> PathBuf {
    directory.join(DATABASE)
}

/// Whether anything but an empty directory, or what an interrupted creation left, is at the path.
pub(super) fn exists(directory: &Path) -> bool {
    // What can't be looked into is there; why it can't be is for opening to tell.
    leads_nowhere(directory) || is_taken(directory).unwrap_or_else(|_| directory.exists())
}

fn is_taken(directory: &Path) -> io::Result<bool> {
    match is_vacant(directory) {
        Ok(vacant) => Ok(!vacant),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(true),
        Err(error) => Err(error),
    }
}

fn is_vacant(directory: &Path) -> io::Result<bool> {
    let (mut is_empty, mut creating) = (true, false);
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        if name != CREATING && name != DATABASE {
            return Ok(false);
        }
        creating |= name == CREATING;
        is_empty = false;
    }
    Ok(creating || is_empty)
}

/// Whether a database of RocksDB is here: then a file `store` that is missing or another is damage.
fn has_database(directory: &Path) -> bool {
    database(directory).join("CURRENT").is_file()
}

/// The canonical path of a directory that has a store of this version.
pub(super) fn existing(directory: &Path) -> Result<PathBuf> {
    let fault = |source| Error::system("open", directory, source);
    let Some(found) = look("open", directory)? else {
        return Err(Error::Missing {
            path: directory.to_owned(),
        });
    };
    let not_a_store = |found: &str| Error::NotAStore {
        path: directory.to_owned(),
        found: found.to_owned(),
    };
    if !found.is_dir() {
        return Err(not_a_store("a file, not a directory"));
    }
    let directory = directory.canonicalize().map_err(fault)?;
    let path = directory.join(STORE);
    let bytes = match read_start(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if is_vacant(&directory).map_err(fault)? {
                return Err(not_a_store("an empty directory"));
            }
            if has_database(&directory) {
                let reason = "the file is missing";
                return Err(Error::corrupt(&path, Place::Structure, reason));
            }
            return Err(not_a_store("a directory without the file `store`"));
        }
        Err(error) => return Err(Error::system("open", &path, error)),
    };
    let Some(version) = bytes.strip_prefix(MAGIC) else {
        if has_database(&directory) {
            let reason = "the file doesn't begin as it must";
            return Err(Error::corrupt(&path, Place::Offset(0), reason));
        }
        return Err(Error::NotAStore {
            path,
            found: "a file of another kind".to_owned(),
        });
    };
    match <[u8; 4]>::try_from(version).map(u32::from_le_bytes) {
        Ok(VERSION) => {}
        Ok(found) => {
            return Err(Error::Version {
                path,
                found,
                supported: VERSION,
            });
        }
        Err(_) => {
            let place = Place::Offset(MAGIC.len() as u64);
            return Err(Error::corrupt(&path, place, "the file has a wrong length"));
        }
    }
    if !database(&directory).is_dir() {
        let reason = "the directory `db` is missing";
        return Err(Error::corrupt(&directory, Place::Structure, reason));
    }
    Ok(directory)
}

/// The file, or as much of it as shows that it is too long.
fn read_start(path: &Path) -> io::Result<Vec<u8>> {
    use io::Read;
    let mut bytes = Vec::new();
    open_regular(path)?.take(64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Makes an empty store, whose database `found` makes; gives the directory's canonical path. If that fails, nothing is left.
pub(super) fn create(path: &Path, found: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    look("create", path)?;
    let fault = |source| Error::system("create", path, source);
    if is_taken(path).map_err(fault)? {
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
        .and_then(|directory| make(&directory, found).map(|()| directory));
    if made.is_err() && is_new {
        // Goes if it is empty; else somebody else is at work in it.
        let _ = fs::remove_dir(path);
    }
    made
}

fn exists_already(path: &Path) -> Error {
    Error::Exists {
        path: path.to_owned(),
    }
}

/// Makes the files, in a directory that is there.
fn make(directory: &Path, found: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if let Some(parent) = directory.parent() {
        sync_directory(parent)?;
    }
    let fresh = directory.join(CREATING);
    let fault = |source| Error::system("create", &fresh, source);
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&fresh)
        .map_err(fault)?;
    lock(&file, directory)?;
    // Whoever had the lock before may have made the store, or failed and taken this very file away.
    let is_held = is_at(&file, &fresh);
    let refused = match is_taken(directory) {
        Ok(false) if is_held => {
            let filled = fill(directory, &mut file, found);
            return filled.inspect_err(|_| take_back(directory));
        }
        Ok(false) => Error::InUse {
            path: directory.to_owned(),
        },
        Ok(true) => exists_already(directory),
        Err(error) => fault(error),
    };
    if is_held {
        let _ = fs::remove_file(&fresh);
    }
    Err(refused)
}

/// Makes the database, and gives `file`, which is `store.new`, its content and name.
fn fill(directory: &Path, file: &mut File, found: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let fresh = directory.join(CREATING);
    let fault = |source| Error::system("create", &fresh, source);
    let database = database(directory);
    match fs::remove_dir_all(&database) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fault(error)),
        _ => {}
    }
    found(&database)?;
    file.write_all(MAGIC).map_err(fault)?;
    file.write_all(&VERSION.to_le_bytes()).map_err(fault)?;
    file.sync_all().map_err(fault)?;
    sync_directory(directory)?;
    fs::rename(&fresh, directory.join(STORE)).map_err(fault)?;
    sync_directory(directory)
}

/// Takes away what creating made, `store.new` last, so that what is left is vacant at any moment. What can't be removed
/// stays, to be made anew.
fn take_back(directory: &Path) {
    let fresh = directory.join(CREATING);
    let _ = fs::rename(directory.join(STORE), &fresh);
    let _ = fs::remove_dir_all(database(directory));
    let _ = fs::remove_file(fresh);
}

/// Whether an open file is the one at a path.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(open), Ok(named)) = (file.metadata(), path.metadata()) else {
        return false;
    };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

/// A file that is open can't be taken away.
#[cfg(not(unix))]
fn is_at(_file: &File, path: &Path) -> bool {
    path.exists()
}

fn sync_directory(directory: &Path) -> Result<()> {
    File::open(directory)
        .and_then(|file| file.sync_all())
        .map_err(|source| Error::system("sync", directory, source))
}

/// Takes the lock that keeps other processes out; it is held until the file is dropped.
pub(super) fn take_lock(directory: &Path) -> Result<File> {
    let path = directory.join(STORE);
    let file = open_regular(&path).map_err(|source| Error::system("open", &path, source))?;
    lock(&file, directory)?;
    Ok(file)
}

fn lock(file: &File, directory: &Path) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(Error::InUse {
            path: directory.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(Error::system("lock", directory, source)),
    }
}

/// Bytes of all files under a directory, but for RocksDB's diaries.
///
/// RocksDB writes a diary for people to read (`LOG`, `LOG.old.*`), and notes the settings that it was opened with (`OPTIONS-*`),
/// from threads of its own and at times of its own. They would make the size of a store differ from one moment to the
/// next though nobody changed the store. Both are bounded: see [`RocksOptions`](super::RocksOptions).
///
/// It is the files' lengths that count, not the blocks that they have: a file system gives a file its blocks when it writes it out, which
/// is later and at a time of its own, and a journal has some that are set aside for its end.
pub(super) fn bytes(directory: &Path) -> Result<u64> {
    let fault = |source| Error::system("measure", directory, source);
    let mut sum = 0;
    for entry in fs::read_dir(directory).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        if is_diary(&entry.file_name()) {
            continue;
        }
        match entry.metadata() {
            Ok(found) if found.is_dir() => sum += bytes(&entry.path())?,
            Ok(found) => sum += found.len(),
            // Removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(fault(error)),
        }
    }
    Ok(sum)
}

fn is_diary(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name == "LOG" || name.starts_with("LOG.old.") || name.starts_with("OPTIONS-")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Of made-up files: beside a real database RocksDB merges others whenever it likes.
    #[test]
    fn the_size_of_a_store_does_not_depend_on_what_rocksdb_tells_people() {
        let directory = tempfile::tempdir().unwrap();
        let database = database(directory.path());
        fs::create_dir(&database).unwrap();
        fs::write(directory.path().join(STORE), [0; 12]).unwrap();
        fs::write(database.join("000007.sst"), [0; 5000]).unwrap();
        fs::write(database.join("MANIFEST-000005"), [0; 300]).unwrap();
        assert_eq!(bytes(directory.path()).unwrap(), 5312);
        for name in ["LOG", "LOG.old.1796031744944852", "OPTIONS-000016"] {
            fs::write(database.join(name), [b'.'; 100_000]).unwrap();
            assert_eq!(bytes(directory.path()).unwrap(), 5312, "{name}");
        }
    }

    fn found(database: &Path) -> Result<()> {
        fs::create_dir(database).unwrap();
        fs::write(database.join("CURRENT"), "stands in for one").unwrap();
        Ok(())
    }

    #[test]
    fn a_creation_that_fails_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chain");
        let fails = |database: &Path| {
            found(database)?;
            Err(Error::argument("create", "it fails"))
        };
        create(&path, fails).unwrap_err();
        assert!(!path.exists());
        fs::create_dir(&path).unwrap();
        create(&path, fails).unwrap_err();
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        create(&path, found).unwrap();
        existing(&path).unwrap();
        assert!(matches!(create(&path, fails), Err(Error::Exists { .. })));
        existing(&path).unwrap();
    }

    #[test]
    fn beside_a_database_a_damaged_file_store_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        create(folder.path(), found).unwrap();
        let store = folder.path().join(STORE);
        for content in [&b""[..], b"HLROCKX\0\x01\0\0\0", b"HLROCKS\0\x01"] {
            fs::write(&store, content).unwrap();
            assert!(existing(folder.path()).unwrap_err().is_corrupt());
        }
        fs::remove_file(&store).unwrap();
        assert!(existing(folder.path()).unwrap_err().is_corrupt());
        fs::remove_dir_all(database(folder.path())).unwrap();
        let error = existing(folder.path()).unwrap_err();
        assert!(matches!(error, Error::NotAStore { .. }), "{error}");
    }
}
