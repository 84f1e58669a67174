//! jmt with SHA-256 and its nodes in RocksDB, which is as it comes but for a Bloom filter of ten bits. A batch is a version and a write batch;
//! nodes and values that it replaces are removed with it, so that only the last state is kept, as ours.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use jmt::storage::{LeafNode, Node, NodeKey, TreeReader};
use jmt::{KeyHash, OwnedValue, Sha256Jmt, Version};
use rocksdb::{
    BlockBasedOptions, ColumnFamily, DB, DEFAULT_COLUMN_FAMILY_NAME, Options, WriteBatch,
};

use crate::state::rows::{Key, Value};
use crate::state::updates::Updates;

const VALUES: &str = "values";
/// Bits of the filter for each key.
const FILTER_BITS: f64 = 10.0;

/// Nodes by their keys, and values by the hashes of theirs.
pub(super) struct JmtRows {
    stored: Stored,
    version: Version,
}

struct Stored(DB);

impl JmtRows {
    pub(super) fn create(directory: &Path) -> Result<Self> {
        let mut tables = BlockBasedOptions::default();
        tables.set_bloom_filter(FILTER_BITS, false);
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_block_based_table_factory(&tables);
        let families = [DEFAULT_COLUMN_FAMILY_NAME, VALUES].map(|name| (name, options.clone()));
        let database = DB::open_cf_with_opts(&options, directory.join("db"), families)?;
        Ok(Self {
            stored: Stored(database),
            version: 0,
        })
    }
}

impl Stored {
    fn values(&self) -> Result<&ColumnFamily> {
        self.0
            .cf_handle(VALUES)
            .context("no column family of values")
    }
}

impl TreeReader for Stored {
    fn get_node_option(&self, key: &NodeKey) -> Result<Option<Node>> {
        match self.0.get_pinned(borsh::to_vec(key)?)? {
            Some(node) => Ok(Some(borsh::from_slice(&node)?)),
            None => Ok(None),
        }
    }

    /// Only the last version is kept.
    fn get_value_option(&self, _: Version, key: KeyHash) -> Result<Option<OwnedValue>> {
        Ok(self.0.get_cf(self.values()?, key.0)?)
    }

    fn get_rightmost_leaf(&self) -> Result<Option<(NodeKey, LeafNode)>> {
        bail!("only restoring a tree asks for it")
    }
}

impl Updates for JmtRows {
    fn put(&mut self, rows: &[(Key, Value)]) -> Result<[u8; 32]> {
        let values = rows
            .iter()
            .map(|(key, value)| (KeyHash(*key), Some(value.to_vec())));
        let tree = Sha256Jmt::new(&self.stored);
        let (root, changes) = tree.put_value_set(values, self.version)?;
        let mut batch = WriteBatch::default();
        for (key, node) in changes.node_batch.nodes() {
            batch.put(borsh::to_vec(key)?, borsh::to_vec(node)?);
        }
        for ((_, key), value) in changes.node_batch.values() {
            let value = value.as_deref().context("nothing is removed")?;
            batch.put_cf(self.stored.values()?, key.0, value);
        }
        for stale in &changes.stale_node_index_batch {
            batch.delete(borsh::to_vec(&stale.node_key)?);
        }
        self.stored.0.write(batch)?;
        self.version += 1;
        Ok(root.0)
    }

    fn value(&self, key: &Key) -> Result<Option<Vec<u8>>> {
        self.stored.get_value_option(self.version, KeyHash(*key))
    }
}
