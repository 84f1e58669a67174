//! The stores that this process has open.
//!
//! A store is open once in a process, however many callers open it: its readers and its writer share one [`Home`], and the
//! options of the first one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rocksdb::{ColumnFamily, ColumnFamilyDescriptor, DB};

use super::directory::{self, StoreLock};
use super::fault::fault;
use super::options::RocksOptions;
use super::rows::initialise_rows;
use crate::identity::Identity;
use crate::rows::{SharedIndex, Table};
use crate::toolbox::open_stores::OpenStores;
use crate::{DamageAt, Error, Result};

/// One open store.
pub(super) struct Home {
    pub(super) directory: PathBuf,
    pub(super) database: DB,
    pub(super) index: Arc<SharedIndex>,
    pub(super) written: AtomicBool,
    // Last, so that the database is closed before another process gets in.
    _lock: StoreLock,
}

/// By what their databases are: RocksDB's own lock counts between processes only, and goes by names within one.
static OPEN: OpenStores<Home> = OpenStores::new();

/// Opens a store, or joins those who have it open.
pub(super) fn open(directory: &Path, options: RocksOptions) -> Result<Arc<Home>> {
    let mut homes = OPEN.begin();
    let path = directory::database(directory);
    let identity = Identity::of(&path)?;
    if let Some(home) = homes.find(&identity) {
        return Ok(home);
    }
    let lock = directory::take_lock(directory)?;
    // Without this file RocksDB takes the database for an empty one, and would make a new one in the place of the chain.
    if !path.join("CURRENT").is_file() {
        let reason = "the file `CURRENT` is missing";
        return Err(Error::corrupt(&path, DamageAt::Structure, reason));
    }
    let home = Arc::new(Home {
        directory: directory.to_owned(),
        database: open_database(&path, &options, false)?,
        index: Arc::default(),
        written: AtomicBool::new(false),
        _lock: lock,
    });
    homes.add(identity, &home);
    Ok(home)
}

/// Makes the database of an empty store, all of it on the disk.
pub(super) fn initialise(path: &Path, options: &RocksOptions) -> Result<()> {
    let database = open_database(path, options, true)?;
    initialise_rows(&database, path)
}

fn open_database(path: &Path, options: &RocksOptions, create: bool) -> Result<DB> {
    let mut database = options.database();
    database.create_if_missing(create);
    database.create_missing_column_families(create);
    let cache = options.cache();
    // RocksDB has this family in any case; so a version that knows of no rows by keys opens the store too, which it would refuse to with
    // a family more.
    let default = std::iter::once(ColumnFamilyDescriptor::new(
        rocksdb::DEFAULT_COLUMN_FAMILY_NAME,
        options.keyed(&cache),
    ));
    let families = Table::ALL
        .iter()
        .map(|table| ColumnFamilyDescriptor::new(table.name(), options.table(*table, &cache)));
    let operation = if create { "create" } else { "open" };
    DB::open_cf_descriptors(&database, path, default.chain(families)).map_err(fault(
        path,
        operation,
        DamageAt::Structure,
    ))
}

impl Home {
    /// The column family of a table.
    pub(super) fn family(&self, table: Table) -> Result<&ColumnFamily> {
        family(&self.database, &self.directory, table)
    }
}

pub(super) fn family<'a>(database: &'a DB, path: &Path, table: Table) -> Result<&'a ColumnFamily> {
    database.cf_handle(table.name()).ok_or_else(|| {
        let reason = format!("the column family {} is missing", table.name());
        Error::corrupt(path, DamageAt::Structure, reason)
    })
}

/// The column family of rows by keys.
pub(super) fn keyed_family<'a>(database: &'a DB, path: &Path) -> Result<&'a ColumnFamily> {
    let name = rocksdb::DEFAULT_COLUMN_FAMILY_NAME;
    database.cf_handle(name).ok_or_else(|| {
        let reason = format!("the column family {name} is missing");
        Error::corrupt(path, DamageAt::Structure, reason)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::create;
    use super::*;

    #[test]
    fn a_lock_is_given_back_though_a_process_that_is_being_started_has_its_descriptor() {
        let folder = tempfile::tempdir().unwrap();
        drop(create(&folder.path().join("chain"), RocksOptions::default()).unwrap());
        let lock = directory::take_lock(&folder.path().join("chain")).unwrap();
        let inherited = lock.inherited();
        assert!(directory::take_lock(&folder.path().join("chain")).is_err());
        drop(lock);
        drop(directory::take_lock(&folder.path().join("chain")).unwrap());
        drop(inherited);
    }
}
