//! The files of a store in their directory: names, the writer's lock, appearance and size.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Names that SQLite gives to files beside a database.
const JOURNALS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// SQLite's smallest page: no database is smaller.
const SMALLEST_PAGE_BYTES: u64 = 512;

/// The writer's lock, held until dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// The path with a suffix.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// The canonical path of a file that may be a store.
pub(super) fn canonical_existing(path: &Path) -> Result<PathBuf> {
    let not_a_store = |found: &str| {
        Err(Error::NotAStore {
            path: path.to_owned(),
            found: found.to_owned(),
        })
    };
    let found = match path.metadata() {
        Ok(found) => found,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Err(Error::Missing {
                path: path.to_owned(),
            });
        }
        Err(error) => return Err(refused("open", path)(error)),
    };
    if found.is_dir() {
        return not_a_store("a directory");
    }
    if !found.is_file() {
        return not_a_store("not a regular file");
    }
    match found.len() {
        0 => return not_a_store("an empty file"),
        // SQLite itself takes a short file for an empty database, whatever is in it.
        1..SMALLEST_PAGE_BYTES => return not_a_store("no SQLite database"),
        _ => {}
    }
    let path = path.canonicalize().map_err(refused("open", path))?;
    refuse_strange_journals(&path)?;
    Ok(path)
}

/// SQLite itself opens whatever is beside the database, and waits for ever for the other end of a pipe.
fn refuse_strange_journals(path: &Path) -> Result<()> {
    for journal in JOURNALS.iter().map(|suffix| beside(path, suffix)) {
        if journal.metadata().is_ok_and(|found| !found.is_file()) {
            let reason = "it is no regular file, as a journal has to be";
            let error = io::Error::new(io::ErrorKind::InvalidInput, reason);
            return Err(refused("open", &journal)(error));
        }
    }
    Ok(())
}

/// The canonical path of a file that is to be created: its directory has to exist.
pub(super) fn canonical_new(path: &Path) -> Result<PathBuf> {
    // An empty file there counts as absent, but through links it may be elsewhere.
    if let Ok(canonical) = path.canonicalize() {
        return Ok(canonical);
    }
    let name = path.file_name().ok_or_else(|| {
        refused("create", path)(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path has no file name",
        ))
    })?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let directory = directory.canonicalize().map_err(refused("create", path))?;
    Ok(directory.join(name))
}

/// Takes the writer's lock.
pub(super) fn lock(path: &Path) -> Result<Lock> {
    let lock = beside(path, ".lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock)
        .map_err(refused("lock", &lock))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(Error::InUse {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(refused("lock", &lock)(error)),
    }
}

/// A journal whose database is gone would be replayed into a new database of the same name.
pub(super) fn refuse_stale_journals(path: &Path) -> Result<()> {
    for suffix in ["-wal", "-journal"] {
        let journal = beside(path, suffix);
        if size(&journal)? > 0 {
            return Err(Error::Exists { path: journal });
        }
    }
    Ok(())
}

/// Removes what a creation that was interrupted left behind.
pub(super) fn remove_remains(fresh: &Path) -> Result<()> {
    let journals = JOURNALS.iter().map(|suffix| beside(fresh, suffix));
    for path in journals.chain([fresh.to_owned()]) {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(refused("create", &path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Renames a file so that the new name survives loss of power.
pub(super) fn rename_durably(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(refused("create", to))?;
    #[cfg(unix)]
    if let Some(directory) = to.parent() {
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(refused("create", to))?;
    }
    Ok(())
}

/// Bytes of the database and its write-ahead log: what pruning can give back.
pub(super) fn content_bytes(path: &Path) -> Result<u64> {
    Ok(size(path)? + size(&beside(path, "-wal"))?)
}

/// Bytes of all files of the store.
pub(super) fn store_bytes(path: &Path) -> Result<u64> {
    Ok(content_bytes(path)? + size(&beside(path, "-shm"))? + size(&beside(path, ".lock"))?)
}

fn size(path: &Path) -> Result<u64> {
    match path.metadata() {
        Ok(found) => Ok(found.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(refused("measure", path)(error)),
    }
}

fn refused(operation: &'static str, path: &Path) -> impl Fn(io::Error) -> Error {
    move |source| Error::system(operation, path, source)
}
