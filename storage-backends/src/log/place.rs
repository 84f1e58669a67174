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
use super::mark::MarkFile;
use super::options::LogOptions;
use super::shared::Site;
use super::values::{ValueFile, sync_directory};
use crate::identity::{count_names, leads_nowhere, look};
use crate::table::KeyHash;
use crate::{Error, Extent, Result};

const CREATING: &str = "store.new";

/// Whether anything but an empty directory, or what an interrupted creation left, is at the path.
pub(super) fn exists(directory: &Path) -> bool {
    match fs::read_dir(directory) {
        Err(error) => error.kind() != io::ErrorKind::NotFound || leads_nowhere(directory),
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
            .is_ok_and(|found| found.is_file() && found.len() <= SUPERBLOCK_BYTES as u64);
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
            let found = match is_vacant(&directory) {
                true => "an empty directory",
                false => "a directory without the file `store`",
            };
            Err(not_a_store(found))
        }
        Err(error) => Err(fault(error)),
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

/// Makes the files of an empty store; gives the directory's canonical path.
pub(super) fn create(path: &Path) -> Result<PathBuf> {
    let exists_already = || Error::Exists {
        path: path.to_owned(),
    };
    look("create", path)?;
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
    let mark = MarkFile::create(&*files, directory, &superblock.store)?;
    let mark_path = Named::Mark.path(directory);
    mark.sync()
        .map_err(|source| Error::system("create", &mark_path, source))?;
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
