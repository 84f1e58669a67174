//! The backend `sqlite:FILE`: one SQLite database in WAL mode.
//!
//! Beside FILE live SQLite's `FILE-wal` and `FILE-shm`, which belong to the store and must move with it,
//! and `FILE.lock`, which is empty. Invariants:
//!
//! 1. A store comes into being whole: it is made as `FILE.creating` and renamed.
//! 2. Tables, rows and commits are those of `rows`; a commit is one SQLite transaction.
//! 3. One process writes: the writer holds an advisory lock on `FILE.lock` for its life. Readers need no lock.
//! 4. What is not a store of ours is inspected as an immutable file: without locks, journals or changes.
//!
//! A limit comes from SQLite itself: committed transactions that are still in `FILE-wal` are dropped when their frames
//! are damaged, or the file is taken away, since SQLite can't tell either from a crash; closing the store moves them to
//! FILE.

mod fault;
mod options;
mod place;
mod pool;
mod rows;
mod schema;

pub use options::SqliteOptions;

use std::path::Path;
use std::sync::Arc;

use crate::check::{Repaired, Report};
use crate::rows::{Remembering, RowReader, RowWriter, SharedIndex, found};
use crate::{BlockReader, Error, Place, Result, Store};
use fault::Site;
use pool::{Mode, Pool};
use rows::{SqliteBatch, SqliteEngine, SqliteRows};

/// Creates an empty store. See [`StoreUrl::create`](crate::StoreUrl::create).
pub(crate) fn create(path: &Path, options: SqliteOptions) -> Result<Store> {
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
    let site = Site::new(&fresh);
    schema::create(&site, |connection| {
        found(&mut SqliteBatch::new(connection, &site, "create"), &path)
    })?;
    place::rename_durably(&fresh, &path)?;
    assemble(&path, lock, options)
}

/// Opens a store. See [`StoreUrl::open`](crate::StoreUrl::open).
pub(crate) fn open(path: &Path, options: SqliteOptions) -> Result<Store> {
    let path = inspect(path)?;
    let lock = place::lock(&path)?;
    assemble(&path, lock, options)
}

/// Opens a store only to read. See [`StoreUrl::open_read_only`](crate::StoreUrl::open_read_only).
pub(crate) fn open_read_only(path: &Path, options: SqliteOptions) -> Result<Arc<dyn BlockReader>> {
    let path = inspect(path)?;
    let rows = SqliteRows::new(Pool::new(Site::new(&path), Mode::Alone, options));
    Ok(Arc::new(RowReader::new(rows, Arc::default())?))
}

/// Whether anything but an empty file is at the path.
pub(crate) fn exists(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|found| !found.is_file() || found.len() > 0)
}

fn assemble(path: &Path, lock: place::Lock, options: SqliteOptions) -> Result<Store> {
    let index = Arc::new(SharedIndex::default());
    let engine = SqliteEngine::open(Site::new(path), lock, options)?;
    let writer = RowWriter::new(engine, Arc::clone(&index), options.index)?;
    let rows = SqliteRows::new(Pool::new(Site::new(path), Mode::BesideWriter, options));
    Ok(Store {
        reader: Arc::new(RowReader::new(rows, index)?),
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

/// Checks all that the store holds. See [`StoreUrl::check`](crate::StoreUrl::check).
pub(crate) fn check(path: &Path, report: &mut Report) -> Result<()> {
    let path = inspect(path)?;
    let options = SqliteOptions::default();
    let rows = || SqliteRows::new(Pool::new(Site::new(&path), Mode::Alone, options));
    let sqlite = rows();
    let intact = sqlite.integrity(&mut |reason| report.damage(&path, Place::Structure, reason));
    report.sound(intact)?;
    let reader = RowReader::new(Remembering::new(rows()), Arc::default());
    match report.sound(reader)? {
        Some(reader) => crate::rows::check(&sqlite, &reader, report),
        None => Ok(()),
    }
}

/// Makes the index anew if it is damaged. See [`StoreUrl::repair`](crate::StoreUrl::repair).
pub(crate) fn repair(path: &Path, done: &mut dyn FnMut(Repaired)) -> Result<()> {
    let path = inspect(path)?;
    let lock = place::lock(&path)?;
    crate::rows::repair(
        SqliteEngine::open(Site::new(&path), lock, SqliteOptions::default())?,
        done,
    )
}
