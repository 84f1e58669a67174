//! The backend `sqlite:FILE`: one SQLite database in WAL mode.
//!
//! Beside FILE live SQLite's `FILE-wal` and `FILE-shm`, which belong to the store and must move with it,
//! and `FILE.lock`, which is empty. Invariants:
//!
//! 1. A store comes into being whole: it is made as `FILE.creating` and renamed. If that or the first opening fails, only
//!    `FILE.lock` is left.
//! 2. Tables, rows and commits are those of `rows`; a commit is one SQLite transaction.
//! 3. One process writes: its two writers, of blocks and of tables, hold two locks until both are gone, one by the file's name and one by the file itself; a file
//!    with several names is refused (see `presence`). Readers need no lock.
//! 4. What is not a store of ours is recognised by its first bytes, before SQLite touches it.
//! 5. Where nothing can be written, SQLite can't make `FILE-shm`, without which it reads no log. There a store is read as an
//!    immutable file if its log is empty, and writers are kept out meanwhile.
//!
//! A limit comes from SQLite itself: committed transactions that are still in `FILE-wal` are dropped when their frames
//! are damaged, or the file is taken away, since SQLite can't tell either from a crash; closing the store moves them to
//! FILE.

mod backend;
mod fault;
mod files;
mod keyed;
mod moment;
mod options;
mod pool;
mod presence;
mod rows;
mod schema;

pub(crate) use backend::SqliteBackend;
pub use options::SqliteOptions;

use std::path::Path;
use std::sync::Arc;

use crate::check::{Repaired, Report};
use crate::identity::leads_nowhere;
use crate::rows::{Remembering, RowReader, RowTableWriter, RowWriter, SharedIndex, initialise};
use crate::toolbox::names::rename_durably;
use crate::{BlockReader, DamageAt, Error, Result, Store};
use fault::DatabaseFile;
use pool::{Mode, Pool};
use presence::{Lock, NameLock, Presence};
use rows::{SqliteBatch, SqliteDatabase, SqliteRows};

/// Creates an empty store. See [`StoreUrl::create`](crate::StoreUrl::create).
fn create(path: &Path, options: SqliteOptions) -> Result<Store> {
    if !leads_nowhere(path) && exists(path) {
        return Err(Error::Exists {
            path: path.to_owned(),
        });
    }
    let path = files::canonical_new(path)?;
    // Kept until the store is open: between creating and opening, another process could take it.
    let lock = presence::lock_name(&path)?;
    // Again, now that nobody else can be creating it.
    if exists(&path) {
        return Err(Error::Exists { path });
    }
    // Before anything is made: SQLite would replay them into the new database.
    files::refuse_stale_journals(&path)?;
    let fresh = files::beside(&path, ".creating");
    files::remove_remains(&fresh)?;
    let file = DatabaseFile::new(&fresh);
    let made = schema::create(&file, |connection| {
        initialise(&mut SqliteBatch::new(connection, &file, "create"), &path)
    });
    let made = made
        .and_then(|()| files::content(&fresh))
        .and_then(|content| {
            let renamed = rename_durably(&fresh, &path).map_err(files::refused("create", &path));
            renamed.map(|()| content)
        });
    match made {
        Ok(content) => {
            open_made(&path, lock, options).inspect_err(|_| files::take_back(&path, &content))
        }
        Err(error) => {
            let _ = files::remove_remains(&fresh);
            Err(error)
        }
    }
}

/// Opens a store that was just made, whose name is locked.
fn open_made(path: &Path, lock: NameLock, options: SqliteOptions) -> Result<Store> {
    let presence = Presence::enter(path)?;
    let lock = presence.lock_too(lock)?;
    assemble(presence, lock, options)
}

/// Opens a store. See [`StoreUrl::open`](crate::StoreUrl::open).
fn open(path: &Path, options: SqliteOptions) -> Result<Store> {
    let presence = enter(path)?;
    let lock = presence.lock()?;
    assemble(presence, lock, options)
}

fn assemble(presence: Arc<Presence>, lock: Lock, options: SqliteOptions) -> Result<Store> {
    let (index, lock) = (Arc::new(SharedIndex::default()), Arc::new(lock));
    let engine = || SqliteDatabase::open(DatabaseFile::new(presence.path()), lock.clone(), options);
    let writer = RowWriter::new(engine()?, Arc::clone(&index), options.index)?;
    let tables = RowTableWriter::new(engine()?)?;
    let rows = SqliteRows::new(Pool::new(presence, Mode::BesideWriter, options));
    Ok(Store {
        reader: Arc::new(RowReader::new(rows, index)?),
        writer: Box::new(writer),
        tables: Box::new(tables),
    })
}

/// Opens a store only to read. See [`StoreUrl::open_read_only`](crate::StoreUrl::open_read_only).
fn open_read_only(path: &Path, options: SqliteOptions) -> Result<Arc<dyn BlockReader>> {
    let presence = enter(path)?;
    let mode = reading_mode(&presence)?;
    let rows = SqliteRows::new(Pool::new(presence, mode, options));
    Ok(Arc::new(RowReader::new(rows, Arc::default())?))
}

/// Opens a store to save what is in it. See [`StoreUrl::open_damaged`](crate::StoreUrl::open_damaged).
fn open_damaged(path: &Path) -> Result<Arc<dyn BlockReader>> {
    let presence = enter(path)?;
    let mode = reading_mode(&presence)?;
    let rows = SqliteRows::new(Pool::new(presence, mode, SqliteOptions::default()));
    Ok(Arc::new(RowReader::of_damaged(rows, Arc::default())?))
}

/// How a store is read that is opened without a writer.
fn reading_mode(presence: &Presence) -> Result<Mode> {
    let path = presence.path();
    // Beside a writer the files that SQLite needs are there, and the reader follows what the writer does.
    if !files::is_read_only(path) || !presence.keep_writers_out()? {
        return Ok(Mode::Alone);
    }
    match files::filled_journal(path)? {
        None => Ok(Mode::Immutable),
        // One that was killed has left them.
        Some(_) if files::beside(path, "-shm").exists() => Ok(Mode::Alone),
        Some(path) => Err(Error::Unusable {
            path,
            reason: "it holds commits that are not in the database yet, and SQLite can't read them where nothing can be \
                     written; open the store once where it can be written, or copy the database and this file to such a place"
                .to_owned(),
        }),
    }
}

/// Whether anything but an empty file is at the path.
fn exists(path: &Path) -> bool {
    leads_nowhere(path)
        || path
            .metadata()
            .is_ok_and(|found| !found.is_file() || found.len() > 0)
}

/// Enters a store under its canonical path, so that symbolic links make no difference.
fn enter(path: &Path) -> Result<Arc<Presence>> {
    Presence::enter(&files::canonical_existing(path)?)
}

/// Checks all that the store holds. See [`StoreUrl::check`](crate::StoreUrl::check).
fn check(path: &Path, report: &mut Report) -> Result<()> {
    let presence = enter(path)?;
    let path = presence.path().to_owned();
    let (mode, options) = (reading_mode(&presence)?, SqliteOptions::default());
    let rows = || SqliteRows::new(Pool::new(Arc::clone(&presence), mode, options));
    let sqlite = rows();
    let intact = sqlite.integrity(&mut |reason| report.damage(&path, DamageAt::Structure, reason));
    report.sound(intact)?;
    let reader = RowReader::new(Remembering::new(rows()), Arc::default());
    match report.sound(reader)? {
        Some(reader) => crate::rows::check(&sqlite, &reader, report),
        None => Ok(()),
    }
}

/// Rebuilds the index if it is damaged. See [`StoreUrl::repair`](crate::StoreUrl::repair).
fn repair(path: &Path, done: &mut dyn FnMut(Repaired)) -> Result<()> {
    let presence = enter(path)?;
    let lock = Arc::new(presence.lock()?);
    let file = DatabaseFile::new(presence.path());
    crate::rows::repair(
        SqliteDatabase::open(file, lock, SqliteOptions::default())?,
        done,
    )
}
