//! The directory of a store: what creating makes in it, and what must not be in it.

use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::create_segment;
use super::files::{Files, SystemFiles};
use super::format::{FileKind, Named, SUPERBLOCK_BYTES, Superblock, VERSION};
use super::lock::enter_gate;
use super::mark::{MARK_BYTES, Mark, MarkFile};
use super::options::LogOptions;
use super::shared::LogContext;
use super::tables::DIRECTORY as TABLES;
use super::values::{ValueFile, sync_directory};
use crate::identity::count_names;
use crate::toolbox::directory::{self, Content, Made, is_small_file};
use crate::toolbox::random;
use crate::{Error, Extent, Result};

/// The files that creating makes before the store has its name.
const FIRST: [Named; 4] = [
    Named::Bodies(0),
    Named::Heads(0),
    Named::Values(0),
    Named::Mark,
];

/// What the directory of an append-log holds.
struct Segments;

impl Content for Segments {
    fn is_first(&self, entry: &DirEntry) -> bool {
        let named = Named::of(&entry.file_name().to_string_lossy());
        is_small(entry) && (FIRST.contains(&named) || named == Named::New)
    }

    fn is_of_store(&self, directory: &Path) -> io::Result<bool> {
        has_segments(directory)
    }

    fn fill(&self, directory: &Path, fresh: &Path) -> Result<()> {
        fill(Arc::new(SystemFiles), directory, fresh)
    }

    fn empty(&self, directory: &Path) {
        for named in FIRST {
            let path = named.path(directory);
            let _ = fs::remove_file(path.with_extension("new"));
            let _ = fs::remove_file(path);
        }
    }
}

/// Whether anything but an empty directory, or what an interrupted creation left, is at the path.
pub(super) fn exists(directory: &Path) -> bool {
    directory::exists(&Segments, directory)
}

/// Makes the files of an empty store. If that fails, nothing is left of them.
pub(super) fn create(path: &Path) -> Result<Made> {
    directory::create(&Segments, path)
}

/// Takes a store away again that could not be opened, unless somebody else has done so and written to it.
pub(super) fn take_back(made: &Made) {
    // Of whoever is at the gate, the lock may be given up at this moment, and the store would seem to be nobody's.
    let Ok(_gate) = enter_gate(&made.directory) else {
        return;
    };
    made.take_back(&Segments, is_as_made);
}

/// The canonical path of a directory that has a store.
pub(super) fn existing(path: &Path) -> Result<PathBuf> {
    let directory = directory::enter(path)?;
    match Named::Store.path(&directory).metadata() {
        Ok(_) => {
            refuse_links(&directory)?;
            Ok(directory)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(directory::without_store(&Segments, path, &directory))
        }
        Err(error) => Err(Error::system("open", path, error)),
    }
}

/// Whether files are here that only a store has.
pub(super) fn has_segments(directory: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(directory)? {
        let named = Named::of(&entry?.file_name().to_string_lossy());
        if matches!(named, Named::Heads(_) | Named::Bodies(_)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether it can be a file that creating makes, of which the mark is the longest.
fn is_small(entry: &DirEntry) -> bool {
    is_small_file(entry, MARK_BYTES as u64)
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

/// Refuses files of a store that other directories have too, by hard links or symbolic ones: the lock is on the file
/// `store`, so a writer there would append to them, and punch holes into them, unnoticed.
fn refuse_links(directory: &Path) -> Result<()> {
    let fault = |source| Error::system("open", directory, source);
    for entry in fs::read_dir(directory).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let name = entry.file_name();
        if Named::of(&name.to_string_lossy()) == Named::Other && name != TABLES {
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

/// Makes all files of a store, `fresh` being there already, and gives that one its name.
pub(super) fn fill(files: Arc<dyn Files>, directory: &Path, fresh: &Path) -> Result<()> {
    let fault = |source| Error::system("create", fresh, source);
    let drawn = random::draw().map_err(fault)?;
    let [first, second] = drawn.seed;
    let superblock = Superblock {
        kind: FileKind::Store,
        version: VERSION,
        store: drawn.store,
        number: 0,
        fields: [first, second, 0, 0, 0],
    };
    let options = LogOptions::default();
    let context = LogContext::new(
        Arc::clone(&files),
        directory,
        drawn.store,
        drawn.seed,
        options,
    );
    create_segment(&context, 0, Extent::default(), VERSION)?;
    ValueFile::create(&context, 0)?;
    let mark = Mark {
        heads: SUPERBLOCK_BYTES as u64,
        values: SUPERBLOCK_BYTES as u64,
        ..Mark::default()
    };
    // A mark from the first on: where every store has one, a missing mark is damage and never a store that is too new.
    MarkFile::create(&*files, directory, &drawn.store, mark)?;
    let file = files.open(fresh).map_err(fault)?;
    file.write_at(&superblock.encode(), 0).map_err(fault)?;
    file.sync().map_err(fault)?;
    // All other files have their names on the disk first: the file `store` says that there is a whole store.
    sync_directory(&context)?;
    files
        .rename(fresh, &Named::Store.path(directory))
        .map_err(fault)?;
    // And this name too, before anybody is told that the store exists.
    sync_directory(&context)
}
