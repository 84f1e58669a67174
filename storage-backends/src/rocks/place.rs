//! The directory of a store: whether there is one, and how one comes into being.
//!
//! `store` is 12 bytes: "HLROCKS\0" and a format version, u32 little-endian. It gets its name last; what an
//! interrupted creation left is recognised and made anew.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

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
    match fs::read_dir(directory) {
        Err(error) => error.kind() != io::ErrorKind::NotFound,
        Ok(_) => !is_vacant(directory),
    }
}

fn is_vacant(directory: &Path) -> bool {
    let Ok(entries) = fs::read_dir(directory) else {
        return false;
    };
    let names: Vec<_> = entries
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect();
    let is = |name: &io::Result<std::ffi::OsString>, expected: &str| {
        name.as_ref().is_ok_and(|name| name == expected)
    };
    let creating = names.iter().any(|name| is(name, CREATING));
    names.is_empty()
        || creating
            && names
                .iter()
                .all(|name| is(name, CREATING) || is(name, DATABASE))
}

/// The canonical path of a directory that has a store of this version.
pub(super) fn existing(directory: &Path) -> Result<PathBuf> {
    let fault = |source| Error::system("open", directory, source);
    let found = match directory.metadata() {
        Ok(found) => found,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Err(Error::Missing {
                path: directory.to_owned(),
            });
        }
        Err(error) => return Err(fault(error)),
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
            let found = match is_vacant(&directory) {
                true => "an empty directory",
                false => "a directory without the file `store`",
            };
            return Err(not_a_store(found));
        }
        Err(error) => return Err(Error::system("open", &path, error)),
    };
    let Some(version) = bytes.strip_prefix(MAGIC) else {
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

/// Makes an empty store, whose database `found` makes; gives the directory's canonical path.
pub(super) fn create(path: &Path, found: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let exists_already = || Error::Exists {
        path: path.to_owned(),
    };
    if exists(path) {
        return Err(exists_already());
    }
    let fault = |source| Error::system("create", path, source);
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(fault(error)),
        _ => {}
    }
    let directory = path.canonicalize().map_err(fault)?;
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
    lock(&file, &directory)?;
    // Again, now that nobody else can be creating it.
    if exists(&directory) {
        return Err(exists_already());
    }
    let database = database(&directory);
    match fs::remove_dir_all(&database) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fault(error)),
        _ => {}
    }
    found(&database)?;
    file.write_all(MAGIC).map_err(fault)?;
    file.write_all(&VERSION.to_le_bytes()).map_err(fault)?;
    file.sync_all().map_err(fault)?;
    sync_directory(&directory)?;
    fs::rename(&fresh, directory.join(STORE)).map_err(fault)?;
    sync_directory(&directory)?;
    Ok(directory)
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

/// Bytes that all files under a directory take, but for what is set aside for the end of a journal.
pub(super) fn bytes(directory: &Path) -> Result<u64> {
    let fault = |source| Error::system("measure", directory, source);
    let mut sum = 0;
    for entry in fs::read_dir(directory).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        match entry.metadata() {
            Ok(found) if found.is_dir() => sum += bytes(&entry.path())?,
            Ok(found) => sum += allocated(&found),
            // Removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(fault(error)),
        }
    }
    Ok(sum)
}

#[cfg(unix)]
fn allocated(found: &fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    (found.blocks() * 512).min(found.len())
}

#[cfg(not(unix))]
fn allocated(found: &fs::Metadata) -> u64 {
    found.len()
}
