//! The backend `sqlite:FILE`: one SQLite database in WAL mode.
//!
//! Beside FILE live SQLite's `FILE-wal` and `FILE-shm`, which belong to the store and must move with it,
//! and `FILE.lock`, which is empty. Invariants:
//!
//! 1. A store comes into being whole: it is made as `FILE.creating` and renamed.
//! 2. A run, a truncation, a floor, a named value: each is one SQLite transaction, in which the one row of
//!    `state` changes too. So extent and content can't disagree but by damage.
//! 3. One process writes: the writer holds an advisory lock on `FILE.lock` for its life. Readers need no lock.
//! 4. Every row carries a checksum over its key and its value. What doesn't match is reported, never
//!    returned; and "absent" is answered only after the neighbouring rows proved sound, which finds a
//!    damaged key wherever it would have mattered (see `reader`).
//! 5. What is not a store of ours is inspected as an immutable file: without locks, journals or changes.
//!
//! Two limits come from SQLite itself, whose pages have no checksums. A damaged pointer within an index
//! page, if it happens to lead to another sound row or page, can hide rows from a look-up by key. And committed transactions that are still in
//! `FILE-wal` are dropped when their frames are damaged, or the file is taken away, since SQLite can't tell
//! either from a crash; closing the store moves them to FILE.

mod fault;
mod place;
mod reader;
mod schema;
mod writer;

use std::path::Path;
use std::sync::Arc;

use crate::{BlockReader, Error, Result, Store};
use fault::Site;
use reader::SqliteReader;
use writer::SqliteWriter;

/// Creates an empty store. See [`StoreUrl::create`](crate::StoreUrl::create).
pub(crate) fn create(path: &Path) -> Result<Store> {
    if exists(path) {
        return Err(Error::Exists {
            path: path.to_owned(),
        });
    }
    let path = place::canonical_new(path)?;
    let lock = place::lock(&path)?;
    // Again, now that nobody else can be creating it.
    if exists(&path) {
        return Err(Error::Exists { path });
    }
    place::refuse_stale_journals(&path)?;
    let fresh = place::beside(&path, ".creating");
    place::remove_remains(&fresh)?;
    schema::create(&Site::new(&fresh))?;
    place::rename_durably(&fresh, &path)?;
    assemble(&path, lock)
}

/// Opens a store. See [`StoreUrl::open`](crate::StoreUrl::open).
pub(crate) fn open(path: &Path) -> Result<Store> {
    let path = inspect(path)?;
    let lock = place::lock(&path)?;
    assemble(&path, lock)
}

/// Opens a store only to read. See [`StoreUrl::open_read_only`](crate::StoreUrl::open_read_only).
pub(crate) fn open_read_only(path: &Path) -> Result<Arc<dyn BlockReader>> {
    let path = inspect(path)?;
    Ok(Arc::new(SqliteReader::open(
        Site::new(&path),
        reader::Mode::Alone,
    )?))
}

/// Whether anything but an empty file is at the path.
pub(crate) fn exists(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|found| !found.is_file() || found.len() > 0)
}

fn assemble(path: &Path, lock: place::Lock) -> Result<Store> {
    let writer = SqliteWriter::open(Site::new(path), lock)?;
    let reader = SqliteReader::open(Site::new(path), reader::Mode::BesideWriter)?;
    Ok(Store {
        reader: Arc::new(reader),
        writer: Box::new(writer),
    })
}

/// Refuses what is not a store of this version, without touching it; gives the path's canonical form, so
/// that all names of a file share one lock.
fn inspect(path: &Path) -> Result<std::path::PathBuf> {
    let path = place::canonical_existing(path)?;
    schema::inspect(&Site::new(&path))?;
    Ok(path)
}
