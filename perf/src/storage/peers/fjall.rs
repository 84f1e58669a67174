//! fjall: write batches over two keyspaces. Everything is as it comes.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use hubledger_storage::{Block, Durability, Id};

use super::{place_bytes, read_place};
use crate::storage::keeper::{Index, Keeper};
use crate::storage::workload::Place;

/// So long compactions are waited for at most.
const SETTLE_MAX: Duration = Duration::from_secs(600);

/// Blocks by height, ids with their places.
pub(crate) struct PlainFjall {
    database: Database,
    blocks: Keyspace,
    ids: Keyspace,
    mode: PersistMode,
    index: Index,
}

impl PlainFjall {
    pub(crate) fn open(directory: &Path, durability: Durability, index: Index) -> Result<Self> {
        let database = Database::builder(directory.join("db")).open()?;
        let blocks = database.keyspace("blocks", KeyspaceCreateOptions::default)?;
        let ids = database.keyspace("ids", KeyspaceCreateOptions::default)?;
        let mode = match durability {
            Durability::Disk => PersistMode::SyncData,
            Durability::Os | Durability::Memory => PersistMode::Buffer,
        };
        Ok(Self {
            database,
            blocks,
            ids,
            mode,
            index,
        })
    }
}

impl Keeper for PlainFjall {
    fn append(&mut self, run: &[Block]) -> Result<()> {
        let mut batch = self.database.batch().durability(Some(self.mode));
        for block in run {
            let value: [&[u8]; 2] = [&block.header, &block.body];
            batch.insert(&self.blocks, block.height.to_be_bytes(), value.concat());
            if self.index.is_kept() {
                for entry in &block.index {
                    let place = place_bytes(block.height, entry.position);
                    batch.insert(&self.ids, entry.key, place);
                }
            }
        }
        Ok(batch.commit()?)
    }

    fn locate(&self, key: &Id) -> Result<Option<Place>> {
        Ok(self.ids.get(key)?.and_then(|value| read_place(&value)))
    }

    /// Waits for the compactions that are due.
    fn finish(self: Box<Self>) -> Result<()> {
        let started = Instant::now();
        while self.database.outstanding_flushes() > 0 || self.database.active_compactions() > 0 {
            ensure!(started.elapsed() < SETTLE_MAX, "fjall compacts without end");
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}
