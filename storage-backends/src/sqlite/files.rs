//! The files of a store in their directory: names, appearance, size, and whether anything can be written there.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::presence::lock_name;
use crate::identity::look;
use crate::{DamageAt, Error, Result};

/// Names that SQLite gives to files beside a database.
const JOURNALS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// SQLite's smallest page: no database is smaller.
const SMALLEST_PAGE_BYTES: u64 = 512;

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
    let Some(found) = look("open", path)? else {
        return Err(Error::Missing {
            path: path.to_owned(),
        });
    };
    if found.is_dir() {
        return not_a_store("a directory");
    }
    if !found.is_file() {
        return not_a_store("not a regular file");
    }
    if found.len() == 0 {
        return not_a_store("an empty file");
    }
    let canonical = path.canonicalize().map_err(refused("open", path))?;
    // Refused here, since SQLite takes a short file for an empty database, whatever is in it.
    if found.len() < SMALLEST_PAGE_BYTES {
        if was_made(&canonical) {
            let reason = format!(
                "a store was made here, and it has only {} bytes",
                found.len()
            );
            return Err(Error::corrupt(&canonical, DamageAt::Structure, reason));
        }
        return not_a_store("no SQLite database");
    }
    refuse_strange_journals(&canonical)?;
    Ok(canonical)
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

/// Whether a store was made at a canonical path: since then there is `FILE.lock`. What is no store there is what damage left.
pub(super) fn was_made(path: &Path) -> bool {
    beside(path, ".lock").exists()
}

/// The canonical path of a file that is to be created: its directory has to exist.
pub(super) fn canonical_new(path: &Path) -> Result<PathBuf> {
    look("create", path)?;
    // An empty file counts as absent, but a symbolic link may lead to it from elsewhere.
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

/// A journal whose database is gone would be replayed into a new database of the same name.
pub(super) fn refuse_stale_journals(path: &Path) -> Result<()> {
    match filled_journal(path)? {
        Some(path) => Err(Error::Exists { path }),
        None => Ok(()),
    }
}

/// Whether nothing can be made beside a database: its file system is mounted only to read, or the directory forbids it.
#[cfg(unix)]
pub(super) fn is_read_only(path: &Path) -> bool {
    use rustix::fs::{Access, access};
    use rustix::io::Errno;
    let directory = path.parent().unwrap_or(path);
    matches!(
        access(directory, Access::WRITE_OK),
        Err(Errno::ROFS | Errno::ACCESS)
    )
}

#[cfg(not(unix))]
pub(super) fn is_read_only(_: &Path) -> bool {
    false
}

/// The write-ahead log, or the journal, if there is anything in it.
pub(super) fn filled_journal(path: &Path) -> Result<Option<PathBuf>> {
    for suffix in ["-wal", "-journal"] {
        let journal = beside(path, suffix);
        if size(&journal)? > 0 {
            return Ok(Some(journal));
        }
    }
    Ok(None)
}

/// Removes what a creation that was interrupted left behind.
pub(super) fn remove_remains(fresh: &Path) -> Result<()> {
    // The database last: a journal that a crash left without it would be replayed into the next database of that name.
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

/// All bytes of a database that nobody has open.
pub(super) fn content(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(refused("create", path))
}

/// Takes a store away again that was made with this content and could not be opened, unless somebody else has done so and
/// written to it.
pub(super) fn take_back(path: &Path, made: &[u8]) {
    // If the lock is taken, somebody else uses the store, and it stays.
    let Ok(_lock) = lock_name(path) else {
        return;
    };
    // Only what is as it was made, to the byte, holds nothing of anybody's.
    let has_no_log = matches!(size(&beside(path, "-wal")), Ok(0));
    if has_no_log && fs::read(path).is_ok_and(|content| content == made) {
        let _ = remove_remains(path);
    }
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

pub(super) fn refused(operation: &'static str, path: &Path) -> impl Fn(io::Error) -> Error {
    move |source| Error::system(operation, path, source)
}
