//! The directory of a store: whether there is one, and how one comes into being.
//!
//! A store exists once its directory has the file `store`, which gets its name last. Creating makes the others
//! first, under a lock on `store.new`; what an interrupted creation left is recognised and made anew, and one that fails
//! leaves nothing.

use std::collections::hash_map::RandomState;
use std::fs::{self, DirEntry, File};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::create_segment;
use super::files::{Files, SystemFiles};
use super::format::{FileKind, Named, SUPERBLOCK_BYTES, StoreId, Superblock, VERSION};
use super::home::lock_for_writing;
use super::mark::{MARK_BYTES, Mark, MarkFile};
use super::options::LogOptions;
use super::shared::Site;
use super::values::{ValueFile, sync_directory};
use crate::identity::{count_names, leads_nowhere, look};
use crate::{Error, Extent, Place, Result};

const CREATING: &str = "store.new";

/// The files that creating makes before the store has its name.
const FIRST: [Named; 4] = [
    Named::Bodies(0),
    Named::Heads(0),
    Named::Meta(0),
    Named::Mark,
];

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

/// Whether a directory is empty but for the first files of a store that never came into being.
fn is_vacant(directory: &Path) -> io::Result<bool> {
    let (mut is_empty, mut creating) = (true, false);
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let named = Named::of(&name.to_string_lossy());
        if !is_small(&entry) || !(FIRST.contains(&named) || named == Named::New) {
            return Ok(false);
        }
        creating |= name == CREATING;
        is_empty = false;
    }
    Ok(creating || is_empty)
}

/// Whether it is a file as long as one that creating makes.
fn is_small(entry: &DirEntry) -> bool {
    entry
        .metadata()
        .is_ok_and(|found| found.is_file() && found.len() <= MARK_BYTES as u64)
}

/// Whether files are here that only a store has: then a file `store` that is missing or another is damage.
pub(super) fn has_segments(directory: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(directory)? {
        let named = Named::of(&entry?.file_name().to_string_lossy());
        if matches!(named, Named::Heads(_) | Named::Bodies(_)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The canonical path of a directory that has a store.
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
    match Named::Store.path(&directory).metadata() {
        Ok(_) => {
            refuse_links(&directory)?;
            Ok(directory)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if is_vacant(&directory).map_err(fault)? {
                return Err(not_a_store("an empty directory"));
            }
            if has_segments(&directory).map_err(fault)? {
                let path = Named::Store.path(&directory);
                return Err(Error::corrupt(
                    &path,
                    Place::Structure,
                    "the file is missing",
                ));
            }
            Err(not_a_store("a directory without the file `store`"))
        }
        Err(error) => Err(fault(error)),
    }
}

/// A store that was just made.
#[derive(Debug)]
pub(super) struct Made {
    /// Its canonical path.
    pub(super) directory: PathBuf,
    /// Whether the directory was made for it.
    is_new: bool,
}

impl Made {
    /// Takes the store away again that could not be opened, unless somebody else has done so and written to it.
    pub(super) fn take_back(&self) {
        let path = Named::Store.path(&self.directory);
        let Ok(file) = File::open(&path) else {
            return;
        };
        if file.try_lock().is_ok() && is_at(&file, &path) && is_as_made(&self.directory) {
            take_back(&self.directory);
            if self.is_new {
                let _ = fs::remove_dir(&self.directory);
            }
        }
    }
}

/// Refuses files of a store that other directories have too, by hard links or symbolic ones: the lock is on the file
/// `store`, so a writer there would append to them, and punch holes into them, unnoticed.
fn refuse_links(directory: &Path) -> Result<()> {
    let fault = |source| Error::system("open", directory, source);
    for entry in fs::read_dir(directory).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        if Named::of(&entry.file_name().to_string_lossy()) == Named::Other {
            continue;
        }
        let reason = match entry.metadata() {
            Ok(found) if found.is_symlink() => {
                "it is a symbolic link; a store's files have to be in its directory".to_owned()
            }
            Ok(found) if found.is_file() && count_names(&found) > 1 => {
                let names = count_names(&found);
                format!(
                    "the file has {names} names (hard links), by which another store may hold it; \
                     copy the store in place of linking it, or remove the other names"
                )
            }
            Ok(_) => continue,
            // Removed by a writer meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(fault(error)),
        };
        let path = entry.path();
        return Err(Error::Unusable { path, reason });
    }
    Ok(())
}

/// Makes the files of an empty store. If that fails, nothing is left of them.
pub(super) fn create(path: &Path) -> Result<Made> {
    let fault = |source| Error::system("create", path, source);
    look("create", path)?;
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
        .and_then(|directory| make(path, &directory).map(|()| Made { directory, is_new }));
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
fn make(path: &Path, directory: &Path) -> Result<()> {
    let fault = |source| Error::system("create", path, source);
    if let Some(parent) = directory.parent() {
        SystemFiles.sync_directory(parent).map_err(fault)?;
    }
    let fresh = directory.join(CREATING);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&fresh)
        .map_err(|source| Error::system("create", &fresh, source))?;
    lock_for_writing(&file, path)?;
    // Whoever had the lock before may have made the store, or failed and taken this very file away.
    let is_held = is_at(&file, &fresh);
    let refused = match is_taken(directory) {
        Ok(false) if is_held => {
            let filled = fill(Arc::new(SystemFiles), directory, &fresh);
            return filled.inspect_err(|_| take_back(directory));
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
/// stays, to be made anew.
fn take_back(directory: &Path) {
    let fresh = directory.join(CREATING);
    let _ = fs::rename(Named::Store.path(directory), &fresh);
    for named in FIRST {
        let path = named.path(directory);
        let _ = fs::remove_file(path.with_extension("new"));
        let _ = fs::remove_file(path);
    }
    let _ = fs::remove_file(fresh);
}

/// Whether a store has nothing but what creating made.
fn is_as_made(directory: &Path) -> bool {
    let is_first = |entry: &DirEntry| {
        let named = Named::of(&entry.file_name().to_string_lossy());
        is_small(entry) && (FIRST.contains(&named) || named == Named::Store)
    };
    fs::read_dir(directory)
        .is_ok_and(|mut entries| entries.all(|entry| entry.is_ok_and(|entry| is_first(&entry))))
}

/// Whether an open file is the one at a path.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(named)) = (file.metadata(), path.metadata()) else {
        return false;
    };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

/// Makes all files of a store, `fresh` being there already, and gives that one its name.
pub(super) fn fill(files: Arc<dyn Files>, directory: &Path, fresh: &Path) -> Result<()> {
    let superblock = Superblock {
        kind: FileKind::Store,
        version: VERSION,
        store: random_id(),
        number: 0,
        fields: [random(), random(), 0, 0, 0],
    };
    let seed = [superblock.fields[0], superblock.fields[1]];
    let options = LogOptions::default();
    let site = Site::new(
        Arc::clone(&files),
        directory,
        superblock.store,
        seed,
        options,
    );
    create_segment(&site, 0, Extent::default(), VERSION)?;
    ValueFile::create(&site, 0)?;
    let mark = Mark {
        heads: SUPERBLOCK_BYTES as u64,
        values: SUPERBLOCK_BYTES as u64,
        ..Mark::default()
    };
    MarkFile::create(&*files, directory, &superblock.store, mark)?;
    let fault = |source| Error::system("create", fresh, source);
    let file = files.open(fresh).map_err(fault)?;
    file.write_at(&superblock.encode(), 0).map_err(fault)?;
    file.sync().map_err(fault)?;
    sync_directory(&site)?;
    files
        .rename(fresh, &Named::Store.path(directory))
        .map_err(fault)?;
    sync_directory(&site)
}

/// A number that nobody can foretell: hash maps take their keys from the system's randomness.
fn random() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish()
}

fn random_id() -> StoreId {
    let mut id = StoreId::default();
    id[..8].copy_from_slice(&random().to_le_bytes());
    id[8..].copy_from_slice(&random().to_le_bytes());
    id
}
