//! RocksDB: write batches, a Bloom filter of ten bits a key, blocks and ids in column families of their own, so that
//! sorting ids doesn't move blocks. Everything else is as it comes.

use std::path::Path;

use anyhow::{Context as _, Result};
use hubledger_storage::{Block, Durability, Id};
use rocksdb::{
    BlockBasedOptions, ColumnFamily, DB, DEFAULT_COLUMN_FAMILY_NAME, Options,
    WaitForCompactOptions, WriteBatch, WriteOptions,
};

use super::{place_bytes, read_place};
use crate::storage::keeper::{Index, Keeper};
use crate::storage::workload::Place;

const IDS: &str = "ids";
/// Bits of the filter for each key.
const FILTER_BITS: f64 = 10.0;

/// Blocks by height, ids with their places.
pub(crate) struct PlainRocksDb {
    database: DB,
    writing: WriteOptions,
    index: Index,
}

impl PlainRocksDb {
    pub(crate) fn open(directory: &Path, durability: Durability, index: Index) -> Result<Self> {
        let mut tables = BlockBasedOptions::default();
        tables.set_bloom_filter(FILTER_BITS, false);
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_block_based_table_factory(&tables);
        let families = [DEFAULT_COLUMN_FAMILY_NAME, IDS].map(|name| (name, options.clone()));
        let database = DB::open_cf_with_opts(&options, directory.join("db"), families)?;
        let mut writing = WriteOptions::default();
        writing.set_sync(durability == Durability::Disk);
        Ok(Self {
            database,
            writing,
            index,
        })
    }

    fn ids(&self) -> Result<&ColumnFamily> {
        self.database
            .cf_handle(IDS)
            .context("no column family of ids")
    }
}

impl Keeper for PlainRocksDb {
    fn append(&mut self, run: &[Block]) -> Result<()> {
        let mut batch = WriteBatch::default();
        let ids = self.ids()?;
        for block in run {
            // One value of two parts, without putting them together first.
            let value: [&[u8]; 2] = [&block.header, &block.body];
            batch.put(block.height.to_be_bytes(), value.concat());
            if self.index.is_kept() {
                for entry in &block.index {
                    batch.put_cf(ids, entry.key, place_bytes(block.height, entry.position));
                }
            }
        }
        self.database.write_opt(batch, &self.writing)?;
        Ok(())
    }

    fn locate(&self, key: &Id) -> Result<Option<Place>> {
        let found = self.database.get_pinned_cf(self.ids()?, key)?;
        Ok(found.and_then(|value| read_place(&value)))
    }

    /// Waits for the compactions that are due.
    fn finish(self: Box<Self>) -> Result<()> {
        self.database
            .wait_for_compact(&WaitForCompactOptions::default())?;
        Ok(())
    }
}
