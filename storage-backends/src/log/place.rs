//! The directory of a store: whether there is one, and how one comes into being.
//!
//! A store exists once its directory has the file `store`, which gets its name last. Creating makes the others
//! first, under a lock on `store.new`; what an interrupted creation left is recognised and made anew.

use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::create_segment;
use super::files::{Files, SystemFiles};
use super::format::{FileKind, Named, SUPERBLOCK_BYTES, Salt, StoreId, Superblock};
use super::home::lock_for_writing;
use super::mark::{MARK_BYTES, Mark, MarkFile};
use super::options::LogOptions;
use super::shared::Site;
use super::values::{ValueFile, sync_directory};
use crate::table::KeyHash;
use crate::{Error, Extent, Result};

const CREATING: &str = "store.new";

/// Whether anything but an empty directory, or what an interrupted creation left, is at the path.
pub(super) fn exists(directory: &Path) -> bool {
    match fs::read_dir(directory) {
        Err(error) => error.kind() != io::ErrorKind::NotFound,
        Ok(_) => !is_vacant(directory),
    }
}

/// Whether a directory is empty but for the first files of a store that never came into being.
fn is_vacant(directory: &Path) -> bool {
    let Ok(entries) = fs::read_dir(directory) else {
        return false;
    };
    let mut count = 0;
    let mut creating = false;
    for entry in entries {
        let Ok(entry) = entry else {
            return false;
        };
        let name = entry.file_name();
        let first = [
            Named::Bodies(0),
            Named::Heads(0),
            Named::Meta(0),
            Named::Mark,
        ];
        let named = Named::of(&name.to_string_lossy());
        let small = entry
            .metadata()
            .is_ok_and(|found| found.is_file() && found.len() <= MARK_BYTES as u64);
        if !small || !(first.contains(&named) || named == Named::New) {
            return false;
        }
        creating |= name == CREATING;
        count += 1;
    }
    creating || count == 0
}

/// The canonical path of a directory that has a store.
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
    match Named::Store.path(&directory).metadata() {
        Ok(_) => Ok(directory),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let found = match is_vacant(&directory) {
                true => "an empty directory",
                false => "a directory without the file `store`",
            };
            Err(not_a_store(found))
        }
        Err(error) => Err(fault(error)),
    }
}

/// Makes the files of an empty store; gives the directory's canonical path.
pub(super) fn create(path: &Path) -> Result<PathBuf> {
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
    // Again, now that nobody else can be creating it.
    if exists(&directory) {
        return Err(exists_already());
    }
    fill(Arc::new(SystemFiles), &directory, &fresh)?;
    Ok(directory)
}

/// Makes all files of a store, `fresh` being there already, and gives that one its name.
pub(super) fn fill(files: Arc<dyn Files>, directory: &Path, fresh: &Path) -> Result<()> {
    let superblock = Superblock {
        kind: FileKind::Store,
        store: random_id(),
        number: 0,
        fields: [random(), random(), 0, 0, 0],
    };
    let site = Site {
        files: Arc::clone(&files),
        directory: directory.to_owned(),
        store: superblock.store,
        salt: Salt::new(&superblock.store),
        hash: KeyHash {
            seed: [superblock.fields[0], superblock.fields[1]],
        },
        options: LogOptions::default(),
    };
    create_segment(&site, 0, Extent::default())?;
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
