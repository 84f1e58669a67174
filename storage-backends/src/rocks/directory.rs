//! The directory of a store: the file that says what it is, and the database.
//!
//! `store` is 12 bytes: "HLROCKS\0" and a format version, u32 little-endian.

use std::ffi::OsStr;
use std::fs::{self, DirEntry, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::opening::{open_own, open_regular};
use crate::toolbox::directory::{self, CREATING, Content, STORE, is_small_file};
use crate::toolbox::names::sync_directory;
use crate::{DamageAt, Error, Result};

const DATABASE: &str = "db";
const MAGIC: &[u8; 8] = b"HLROCKS\0";
const VERSION: u32 = 1;
/// Length of the file `store`.
const STORE_BYTES: u64 = MAGIC.len() as u64 + 4;

/// The directory of the database.
pub(super) fn database(directory: &Path) -> PathBuf {
    directory.join(DATABASE)
}

/// What the directory of a store holds, whose database is made by this function.
struct Database<F>(F);

impl<F: Fn(&Path) -> Result<()>> Content for Database<F> {
    fn is_first(&self, entry: &DirEntry) -> bool {
        let name = entry.file_name();
        (name == CREATING && is_small_file(entry, STORE_BYTES))
            || (name == DATABASE && entry.file_type().is_ok_and(|found| found.is_dir()))
    }

    fn is_of_store(&self, directory: &Path) -> io::Result<bool> {
        Ok(has_database(directory))
    }

    fn fill(&self, directory: &Path, fresh: &Path) -> Result<()> {
        let fault = |source| Error::system("create", fresh, source);
        let sync = |directory: &Path| {
            sync_directory(directory).map_err(|source| Error::system("sync", directory, source))
        };
        let database = database(directory);
        // An interrupted creation may have left a part of a database here, with which RocksDB would go on.
        match fs::remove_dir_all(&database) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fault(error)),
            _ => {}
        }
        (self.0)(&database)?;
        let mut file = open_own(File::options().write(true), fresh).map_err(fault)?;
        file.write_all(MAGIC).map_err(fault)?;
        file.write_all(&VERSION.to_le_bytes()).map_err(fault)?;
        // All else is on the disk before the file has the name by which the directory is a store.
        file.sync_all().map_err(fault)?;
        sync(directory)?;
        fs::rename(fresh, directory.join(STORE)).map_err(fault)?;
        sync(directory)
    }

    fn empty(&self, directory: &Path) {
        let _ = fs::remove_dir_all(database(directory));
    }
}

/// A store that is there, whose database is not to be made.
const EXISTING: Database<fn(&Path) -> Result<()>> = Database(|_| Ok(()));

/// Whether anything but an empty directory, or what an interrupted creation left, is at the path.
pub(super) fn exists(directory: &Path) -> bool {
    directory::exists(&EXISTING, directory)
}

/// Makes an empty store, whose database `found` makes; gives the directory's canonical path. If that fails, nothing is left.
pub(super) fn create(path: &Path, found: impl Fn(&Path) -> Result<()>) -> Result<PathBuf> {
    directory::create(&Database(found), path).map(|made| made.directory)
}

/// Whether a database of RocksDB is here: then a file `store` that is missing or another is damage.
fn has_database(directory: &Path) -> bool {
    database(directory).join("CURRENT").is_file()
}

/// The canonical path of a directory that has a store of this version.
pub(super) fn existing(path: &Path) -> Result<PathBuf> {
    let directory = directory::enter(path)?;
    let store = directory.join(STORE);
    let bytes = match read_start(&store) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(directory::without_store(&EXISTING, path, &directory));
        }
        Err(error) => return Err(Error::system("open", &store, error)),
    };
    let Some(version) = bytes.strip_prefix(MAGIC) else {
        if has_database(&directory) {
            let reason = "the file doesn't begin as it must";
            return Err(Error::corrupt(&store, DamageAt::Offset(0), reason));
        }
        return Err(Error::NotAStore {
            path: store,
            found: "a file of another kind".to_owned(),
        });
    };
    match <[u8; 4]>::try_from(version).map(u32::from_le_bytes) {
        Ok(VERSION) => {}
        Ok(found) => {
            return Err(Error::Version {
                path: store,
                found,
                supported: VERSION,
            });
        }
        Err(_) => {
            let damage_at = DamageAt::Offset(MAGIC.len() as u64);
            return Err(Error::corrupt(
                &store,
                damage_at,
                "the file has a wrong length",
            ));
        }
    }
    if !database(&directory).is_dir() {
        let reason = "the directory `db` is missing";
        return Err(Error::corrupt(&directory, DamageAt::Structure, reason));
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

/// The lock that keeps other processes out, until it is dropped.
#[derive(Debug)]
pub(super) struct StoreLock(File);

#[cfg(test)]
impl StoreLock {
    /// Another descriptor of the same, as a process has it that is being started.
    pub(super) fn inherited(&self) -> File {
        self.0.try_clone().expect("a descriptor")
    }
}

impl Drop for StoreLock {
    fn drop(&mut self) {
        // Not by closing alone: a process that another thread is starting holds the descriptor until it runs its program, and would keep
        // the lock for as long.
        let _ = self.0.unlock();
    }
}

/// Takes the lock that keeps other processes out.
pub(super) fn take_lock(directory: &Path) -> Result<StoreLock> {
    let path = directory.join(STORE);
    let file = open_regular(&path).map_err(|source| Error::system("open", &path, source))?;
    directory::lock(&file, directory)?;
    Ok(StoreLock(file))
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

    fn initialise(database: &Path) -> Result<()> {
        fs::create_dir(database).unwrap();
        fs::write(database.join("CURRENT"), "stands in for one").unwrap();
        Ok(())
    }

    #[test]
    fn a_creation_that_fails_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chain");
        let fails = |database: &Path| {
            initialise(database)?;
            Err(Error::argument("create", "it fails"))
        };
        create(&path, fails).unwrap_err();
        assert!(!path.exists());
        fs::create_dir(&path).unwrap();
        create(&path, fails).unwrap_err();
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        create(&path, initialise).unwrap();
        existing(&path).unwrap();
        assert!(matches!(create(&path, fails), Err(Error::Exists { .. })));
        existing(&path).unwrap();
    }

    /// Names that somebody put into an otherwise empty directory.
    #[cfg(unix)]
    #[test]
    fn creating_neither_follows_nor_overwrites_nor_waits_for_what_has_the_names_of_its_files() {
        use std::os::unix::fs::symlink;
        type Prepare = fn(at: &Path, foreign: &Path);
        let pipe: Prepare = |at, _| {
            rustix::fs::mkfifoat(rustix::fs::CWD, at, rustix::fs::Mode::RWXU).unwrap();
        };
        let linked: Prepare = |at, foreign| symlink(foreign, at).unwrap();
        let hard_linked: Prepare = |at, foreign| fs::hard_link(foreign, at).unwrap();
        let longer: Prepare = |at, _| fs::write(at, "thirteen byte").unwrap();
        let directory: Prepare = |at, _| fs::create_dir(at).unwrap();
        let cases = [
            (CREATING, pipe),
            (CREATING, linked),
            (CREATING, hard_linked),
            (CREATING, longer),
            (CREATING, directory),
            (DATABASE, pipe),
            (DATABASE, linked),
            (DATABASE, hard_linked),
        ];
        for (number, (name, prepare)) in cases.into_iter().enumerate() {
            let folder = tempfile::tempdir().unwrap();
            let (path, foreign) = (folder.path().join("chain"), folder.path().join("foreign"));
            fs::create_dir(&path).unwrap();
            fs::write(&foreign, "precious").unwrap();
            // With this a directory counts as one where creating was interrupted.
            fs::write(path.join(CREATING), "").unwrap();
            let at = path.join(name);
            if name == CREATING {
                fs::remove_file(&at).unwrap();
            }
            prepare(&at, &foreign);
            let error = create(&path, initialise).unwrap_err();
            assert!(matches!(error, Error::Exists { .. }), "{number}: {error}");
            assert!(at.symlink_metadata().is_ok(), "{number}");
            assert_eq!(fs::read(&foreign).unwrap(), b"precious", "{number}");
        }
    }

    #[test]
    fn beside_a_database_a_damaged_file_store_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        create(folder.path(), initialise).unwrap();
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
