//! redb: one write transaction for each run, durable at once. Everything is as it comes.

use std::path::Path;

use anyhow::Result;
use hubledger_storage::{Block, Durability, Id};
use redb::{Database, ReadableDatabase as _, TableDefinition};

use crate::storage::keeper::{Index, Keeper};
use crate::storage::workload::Place;

const BLOCKS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("blocks");
const IDS: TableDefinition<'_, &[u8; 32], (u64, u32)> = TableDefinition::new("ids");

/// Blocks by height, ids with their places.
pub(crate) struct PlainRedb {
    database: Database,
    durability: redb::Durability,
    index: Index,
}

impl PlainRedb {
    pub(crate) fn open(directory: &Path, durability: Durability, index: Index) -> Result<Self> {
        let database = Database::create(directory.join("blocks.redb"))?;
        // Readers find both tables, also before the first run.
        let transaction = database.begin_write()?;
        transaction.open_table(BLOCKS)?;
        transaction.open_table(IDS)?;
        transaction.commit()?;
        let durability = match durability {
            Durability::Disk => redb::Durability::Immediate,
            Durability::Os | Durability::Memory => redb::Durability::None,
        };
        Ok(Self {
            database,
            durability,
            index,
        })
    }
}

impl Keeper for PlainRedb {
    fn append(&mut self, run: &[Block]) -> Result<()> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(self.durability)?;
        {
            let mut blocks = transaction.open_table(BLOCKS)?;
            let mut ids = transaction.open_table(IDS)?;
            for block in run {
                let value: [&[u8]; 2] = [&block.header, &block.body];
                blocks.insert(block.height, &value.concat()[..])?;
                if self.index.is_kept() {
                    for entry in &block.index {
                        ids.insert(&entry.key, (block.height, entry.position))?;
                    }
                }
            }
        }
        Ok(transaction.commit()?)
    }

    fn locate(&self, key: &Id) -> Result<Option<Place>> {
        let ids = self.database.begin_read()?.open_table(IDS)?;
        let found = ids.get(key)?;
        Ok(found.map(|found| {
            let (height, position) = found.value();
            Place { height, position }
        }))
    }

    fn finish(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}
