//! A store that forgets what the contract lets a loss of power take: of the blocks, of each named value and of each table set, any of what
//! came after the last commit that was to be on the disk, each for itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use hubledger::testing::Numbers;
use hubledger_storage::{
    Block, BlockWriter, Durability, MemoryStore, Part, Position, PruneReceipt, Receipt, Result,
    Store, TableCommit, TableReceipt, TableWriter,
};

/// What was done, and how much of it is on the disk.
struct Done<T> {
    all: Vec<T>,
    durable: usize,
}

impl<T> Default for Done<T> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            durable: 0,
        }
    }
}

impl<T> Done<T> {
    fn push(&mut self, operation: T, durability: Durability) {
        self.all.push(operation);
        if durability == Durability::Disk {
            self.sync();
        }
    }

    fn sync(&mut self) {
        self.durable = self.all.len();
    }

    /// Forgets some of what isn't on the disk; all that is left then is.
    fn forget(&mut self, numbers: &mut Numbers) {
        let loose = (self.all.len() - self.durable) as u64;
        self.all
            .truncate(self.durable + numbers.below(loose + 1) as usize);
        self.sync();
    }
}

enum OfBlocks {
    Append(Vec<Block>),
    Truncate(u64),
    Replace(u64, Vec<Block>),
    Prune(Part, u64, u64),
}

impl OfBlocks {
    fn again(&self, writer: &mut dyn BlockWriter) {
        let done = match self {
            Self::Append(run) => writer.append(run, Durability::Memory).map(|_| ()),
            Self::Truncate(above) => writer.truncate(*above),
            Self::Replace(above, run) => {
                let replaced = writer.replace(*above, run, Durability::Memory);
                replaced.map(|_| ())
            }
            Self::Prune(part, below, limit) => writer.prune(*part, *below, *limit).map(|_| ()),
        };
        done.unwrap();
    }
}

enum OfSet {
    Commit(TableCommit),
    Undo(u64),
    Remove,
}

impl OfSet {
    fn again(&self, set: &str, tables: &mut dyn TableWriter) {
        let done = match self {
            Self::Commit(commit) => {
                let committed = tables.commit(set, commit, Durability::Memory);
                committed.map(|_| ())
            }
            Self::Undo(height) => tables.undo(set, *height).map(|_| ()),
            Self::Remove => tables.remove(set),
        };
        done.unwrap();
    }
}

#[derive(Default)]
struct Journal {
    blocks: Done<OfBlocks>,
    values: BTreeMap<String, Done<Bytes>>,
    sets: BTreeMap<String, Done<OfSet>>,
}

/// The store, to be opened again and again.
#[derive(Default)]
pub(crate) struct Forgetful {
    memory: MemoryStore,
    journal: Arc<Mutex<Journal>>,
}

impl Forgetful {
    pub(crate) fn open(&self) -> Store {
        let Store {
            reader,
            writer,
            tables,
        } = self.memory.open().unwrap();
        Store {
            reader,
            writer: Box::new(Writer(writer, Arc::clone(&self.journal))),
            tables: Box::new(Tables(tables, Arc::clone(&self.journal))),
        }
    }

    /// The store after a loss of power. Nobody has this one open any more.
    pub(crate) fn lose_power(self, numbers: &mut Numbers) -> Self {
        let mut journal = lock(&self.journal);
        let memory = MemoryStore::new();
        let mut store = memory.open().unwrap();
        journal.blocks.forget(numbers);
        for operation in &journal.blocks.all {
            operation.again(&mut *store.writer);
        }
        for (name, values) in &mut journal.values {
            values.forget(numbers);
            if let Some(value) = values.all.last() {
                let writer = &mut store.writer;
                writer
                    .put_named_value(name, value, Durability::Memory)
                    .unwrap();
            }
        }
        for (name, operations) in &mut journal.sets {
            operations.forget(numbers);
            for operation in &operations.all {
                operation.again(name, &mut *store.tables);
            }
        }
        drop(journal);
        Self { memory, ..self }
    }
}

fn lock(journal: &Mutex<Journal>) -> MutexGuard<'_, Journal> {
    journal.lock().unwrap()
}

struct Writer(Box<dyn BlockWriter>, Arc<Mutex<Journal>>);

impl BlockWriter for Writer {
    fn append(&mut self, run: &[Block], durability: Durability) -> Result<Receipt> {
        let receipt = self.0.append(run, durability)?;
        let operation = OfBlocks::Append(run.to_vec());
        lock(&self.1).blocks.push(operation, durability);
        Ok(Receipt {
            durability,
            ..receipt
        })
    }

    fn truncate(&mut self, above: u64) -> Result<()> {
        self.0.truncate(above)?;
        let operation = OfBlocks::Truncate(above);
        lock(&self.1).blocks.push(operation, Durability::Disk);
        Ok(())
    }

    fn replace(&mut self, above: u64, run: &[Block], durability: Durability) -> Result<Receipt> {
        let receipt = self.0.replace(above, run, durability)?;
        let operation = OfBlocks::Replace(above, run.to_vec());
        lock(&self.1).blocks.push(operation, Durability::Disk);
        Ok(Receipt {
            durability: Durability::Disk,
            ..receipt
        })
    }

    fn prune(&mut self, part: Part, below: u64, limit: u64) -> Result<PruneReceipt> {
        let receipt = self.0.prune(part, below, limit)?;
        let operation = OfBlocks::Prune(part, below, limit);
        lock(&self.1).blocks.push(operation, Durability::Disk);
        Ok(receipt)
    }

    fn put_named_value(&mut self, key: &str, value: &[u8], durability: Durability) -> Result<()> {
        self.0.put_named_value(key, value, durability)?;
        let value = Bytes::copy_from_slice(value);
        let mut journal = lock(&self.1);
        let values = journal.values.entry(key.to_owned()).or_default();
        values.push(value, durability);
        Ok(())
    }

    fn sync(&mut self) -> Result<Receipt> {
        let receipt = self.0.sync()?;
        let mut journal = lock(&self.1);
        journal.blocks.sync();
        journal.values.values_mut().for_each(Done::sync);
        Ok(Receipt {
            durability: Durability::Disk,
            ..receipt
        })
    }
}

struct Tables(Box<dyn TableWriter>, Arc<Mutex<Journal>>);

impl Tables {
    fn note(&self, set: &str, operation: OfSet, durability: Durability) {
        let mut journal = lock(&self.1);
        let operations = journal.sets.entry(set.to_owned()).or_default();
        operations.push(operation, durability);
    }
}

impl TableWriter for Tables {
    fn commit(
        &mut self,
        set: &str,
        commit: &TableCommit,
        durability: Durability,
    ) -> Result<TableReceipt> {
        let receipt = self.0.commit(set, commit, durability)?;
        self.note(set, OfSet::Commit(commit.clone()), durability);
        Ok(TableReceipt {
            durability,
            ..receipt
        })
    }

    fn undo(&mut self, set: &str, height: u64) -> Result<Option<Position>> {
        let position = self.0.undo(set, height)?;
        self.note(set, OfSet::Undo(height), Durability::Disk);
        Ok(position)
    }

    fn remove(&mut self, set: &str) -> Result<()> {
        self.0.remove(set)?;
        self.note(set, OfSet::Remove, Durability::Disk);
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        self.0.sync()?;
        lock(&self.1).sets.values_mut().for_each(Done::sync);
        Ok(())
    }
}
