//! The backend `rocksdb:DIR`: a RocksDB database, with a column family for each table of `rows`; the rows by keys are in the one that
//! every database has.
//!
//! DIR has the file `store`, which says what the directory is and carries the lock, and the directory `db`, which
//! belongs to RocksDB. Invariants:
//!
//! 1. A store comes into being whole: `store` gets its name last.
//! 2. Tables, rows and commits are those of `rows`; a commit is one write batch.
//! 3. One process has a store open, in it one writer and any number of readers. The lock is on the file `store`; within the
//!    process it is the directory `db` itself that counts, whatever its paths. Hard links to RocksDB's files do no
//!    harm: it never writes to a file again that it has closed, so a copy made of links stays as it was.
//! 4. The database is closed with nothing in its write-ahead log. While it is open, a commit that is still in the log
//!    shares a limit with every such log: damage to its very end can't be told from a crash. Damage anywhere before
//!    is reported.

mod backend;
mod directory;
mod fault;
mod home;
mod options;
mod rows;

pub(crate) use backend::RocksBackend;
pub use options::RocksOptions;

use std::path::Path;
use std::sync::Arc;

use crate::check::{Repaired, Report};
use crate::rows::{Remembering, RowReader, RowTableWriter, RowWriter};
use crate::{BlockReader, Damage, DamageAt, Result, Store};
use home::Home;
use rows::{RocksDatabase, RocksRows};

/// Creates an empty store. See [`StoreUrl::create`](crate::StoreUrl::create).
fn create(directory: &Path, options: RocksOptions) -> Result<Store> {
    let directory = directory::create(directory, |database| home::initialise(database, &options))?;
    open(&directory, options)
}

/// Opens a store. See [`StoreUrl::open`](crate::StoreUrl::open).
fn open(directory: &Path, options: RocksOptions) -> Result<Store> {
    let home = home::open(&directory::existing(directory)?, options)?;
    let engine = RocksDatabase::begin(&home)?;
    let tables = RowTableWriter::new(engine.other())?;
    let writer = RowWriter::new(engine, Arc::clone(&home.index), options.index)?;
    let reader = reader(home)?;
    Ok(Store {
        reader: Arc::new(reader),
        writer: Box::new(writer),
        tables: Box::new(tables),
    })
}

/// Opens a store only to read. See [`StoreUrl::open_read_only`](crate::StoreUrl::open_read_only).
fn open_read_only(directory: &Path, options: RocksOptions) -> Result<Arc<dyn BlockReader>> {
    let home = home::open(&directory::existing(directory)?, options)?;
    Ok(Arc::new(reader(home)?))
}

/// Opens a store to save what is in it. See [`StoreUrl::open_damaged`](crate::StoreUrl::open_damaged).
fn open_damaged(directory: &Path, options: RocksOptions) -> Result<Arc<dyn BlockReader>> {
    let home = home::open(&directory::existing(directory)?, options)?;
    let index = Arc::clone(&home.index);
    Ok(Arc::new(RowReader::of_damaged(RocksRows { home }, index)?))
}

fn reader(home: Arc<Home>) -> Result<RowReader<RocksRows>> {
    let index = Arc::clone(&home.index);
    RowReader::new(RocksRows { home }, index)
}

/// Whether anything but an empty directory is at the path.
fn exists(directory: &Path) -> bool {
    directory::exists(directory)
}

/// Checks all that the store holds. See [`StoreUrl::check`](crate::StoreUrl::check).
fn check(directory: &Path, report: &mut Report) -> Result<()> {
    report.locate_by(by_block);
    let directory = directory::existing(directory)?;
    let Some(home) = report.sound(home::open(&directory, RocksOptions::default()))? else {
        return Ok(());
    };
    let rows = RocksRows {
        home: Arc::clone(&home),
    };
    let index = Arc::clone(&home.index);
    let reader = RowReader::new(Remembering::new(RocksRows { home }), index);
    match report.sound(reader)? {
        Some(reader) => crate::rows::check(&rows, &reader, report),
        None => Ok(()),
    }
}

/// The file and the offset that RocksDB names when it can't read a block are where the damage is, whichever of the
/// block's rows was asked for.
fn by_block(damage: Damage) -> Damage {
    let block = || {
        let (_, after) = damage.reason.rsplit_once(" in ")?;
        let (file, after) = after.split_once(" offset ")?;
        let (offset, _) = after.split_once(' ')?;
        Some((file.into(), offset.parse().ok()?))
    };
    match block() {
        Some((path, offset)) => Damage {
            path,
            damage_at: DamageAt::Offset(offset),
            ..damage
        },
        None => damage,
    }
}

/// Rebuilds the index if it is damaged. See [`StoreUrl::repair`](crate::StoreUrl::repair).
fn repair(directory: &Path, done: &mut dyn FnMut(Repaired)) -> Result<()> {
    let home = home::open(&directory::existing(directory)?, RocksOptions::default())?;
    crate::rows::repair(RocksDatabase::begin(&home)?, done)
}
