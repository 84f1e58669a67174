//! The backend `memory:`: a chain in this process's memory.
//!
//! It is as plain as can be, because the tests of the other backends use it as the model of the contract.
//! Every mutation checks all its arguments under the write lock before it changes anything, and what
//! follows can't fail; so a run is atomic, and a reader, which holds the read lock for one call, sees one
//! moment.

mod tables;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;

use crate::backend::Backend;
use crate::check::Report;
use crate::tables::guarded::GuardedTables;
use crate::toolbox::guarded::{Guarded, Unguarded};
use crate::{
    Block, BlockReader, BlockWriter, Durability, Error, Extent, Held, INDEX_ENTRY_BYTES, Id,
    IndexEntry, Location, Part, PruneReceipt, Receipt, Repaired, Result, Store, StoreUrl,
    StoredBlock, StoredHeader, TableReader, Usage, arguments,
};
use tables::{MemoryTableReader, MemoryTableWriter, Sets};

const NAME: &str = "memory:";

/// A chain in memory, which lives as long as a clone of this handle or an open [`Store`] of it.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    chain: RwLock<Chain>,
    sets: RwLock<Sets>,
    written: AtomicBool,
}

#[derive(Debug, Default)]
struct Chain {
    /// Its end is the number of blocks.
    extent: Extent,
    blocks: Vec<Kept>,
    heights: HashMap<Id, u64>,
    positions: HashMap<Id, (u64, u32)>,
    named_values: HashMap<String, Bytes>,
}

/// A block as far as it is kept.
#[derive(Debug)]
struct Kept {
    id: Id,
    header: Held,
    body: Held,
    index: Held<Vec<IndexEntry>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the store, whatever it holds. Fails with [`Error::InUse`] while another writer of it lives.
    pub fn open(&self) -> Result<Store> {
        // Pairs with the release when the last writer went.
        if self.shared.written.swap(true, Ordering::Acquire) {
            return Err(Error::InUse {
                path: PathBuf::from(NAME),
            });
        }
        let hold = Arc::new(Hold(Arc::clone(&self.shared)));
        let writer = MemoryWriter(Arc::clone(&hold));
        Ok(Store {
            reader: Arc::new(self.clone()),
            writer: Box::new(Guarded::over(PathBuf::from(NAME), writer)),
            tables: Box::new(GuardedTables::over(
                PathBuf::from(NAME),
                MemoryTableWriter(hold),
            )),
        })
    }
}

impl Shared {
    // A panic under the lock closes the writer's latch. Readers may go on: a mutation checks everything before it changes
    // anything.
    fn read(&self) -> RwLockReadGuard<'_, Chain> {
        self.chain.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Chain> {
        self.chain.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Chain {
    fn kept(&self, height: u64) -> Option<&Kept> {
        self.blocks.get(usize::try_from(height).ok()?)
    }

    /// Refuses ids of blocks below `end`.
    fn check_ids(&self, operation: &'static str, end: u64, run: &[Block]) -> Result<()> {
        let is_held = |block: &&Block| self.heights.get(&block.id).is_some_and(|held| *held < end);
        match run.iter().find(is_held) {
            Some(block) => Err(arguments::duplicate_id(operation, block.height)),
            None => Ok(()),
        }
    }

    fn receipt(&self) -> Receipt {
        Receipt {
            end: self.extent.end,
            durability: Durability::Memory,
        }
    }

    fn push(&mut self, block: &Block) {
        for entry in &block.index {
            match self.positions.entry(entry.key) {
                Entry::Vacant(slot) => {
                    slot.insert((block.height, entry.position));
                }
                Entry::Occupied(mut slot) => {
                    let first = slot.get_mut();
                    // A key may come twice in one block, the later position first.
                    *first = (*first).min((block.height, entry.position));
                }
            }
        }
        self.heights.insert(block.id, block.height);
        self.blocks.push(Kept {
            id: block.id,
            header: Held::Present(block.header.clone()),
            body: Held::Present(block.body.clone()),
            index: Held::Present(block.index.clone()),
        });
        self.extent.end += 1;
    }

    /// Takes away the blocks from a height on.
    fn cut(&mut self, end: u64) {
        while self.extent.end > end {
            self.pop();
        }
    }

    fn pop(&mut self) {
        let Some(kept) = self.blocks.pop() else {
            return;
        };
        self.extent.end -= 1;
        self.heights.remove(&kept.id);
        let height = self.extent.end;
        kept.index
            .present()
            .iter()
            .flatten()
            .for_each(|entry| self.forget(height, &entry.key));
    }

    /// Removes a key whose first position is at a height.
    fn forget(&mut self, height: u64, key: &Id) {
        if self
            .positions
            .get(key)
            .is_some_and(|position| position.0 == height)
        {
            self.positions.remove(key);
        }
    }

    /// Takes the part at its floor away and raises the floor; gives the part's bytes.
    fn raise_floor(&mut self, part: Part) -> u64 {
        let floor = self.extent.floor_of_mut(part);
        let height = *floor;
        *floor += 1;
        let kept = &mut self.blocks[height as usize];
        let bytes = |held: &mut Held| {
            let removed = std::mem::replace(held, Held::Pruned);
            removed.present().map_or(0, |bytes| bytes.len() as u64)
        };
        match part {
            Part::Body => bytes(&mut kept.body),
            Part::Header => bytes(&mut kept.header),
            Part::Index => {
                let removed = std::mem::replace(&mut kept.index, Held::Pruned);
                let entries = removed.present().unwrap_or_default();
                entries
                    .iter()
                    .for_each(|entry| self.forget(height, &entry.key));
                entries.len() as u64 * INDEX_ENTRY_BYTES
            }
        }
    }

    fn index_entries(&self) -> u64 {
        self.blocks
            .iter()
            .map(|kept| match &kept.index {
                Held::Present(entries) => entries.len() as u64,
                Held::Pruned => 0,
            })
            .sum()
    }
}

impl BlockReader for MemoryStore {
    fn extent(&self) -> Result<Extent> {
        Ok(self.shared.read().extent)
    }

    fn header(&self, height: u64) -> Result<Option<StoredHeader>> {
        Ok(self.shared.read().kept(height).map(|kept| StoredHeader {
            id: kept.id,
            bytes: kept.header.clone(),
        }))
    }

    fn block(&self, height: u64) -> Result<Option<StoredBlock>> {
        Ok(self.shared.read().kept(height).map(|kept| StoredBlock {
            id: kept.id,
            header: kept.header.clone(),
            body: kept.body.clone(),
        }))
    }

    fn index(&self, height: u64) -> Result<Option<Held<Vec<IndexEntry>>>> {
        Ok(self
            .shared
            .read()
            .kept(height)
            .map(|kept| kept.index.clone()))
    }

    fn height_of(&self, id: &Id) -> Result<Option<u64>> {
        Ok(self.shared.read().heights.get(id).copied())
    }

    fn locate(&self, key: &Id) -> Result<Location> {
        let chain = self.shared.read();
        Ok(match chain.positions.get(key) {
            Some(&(height, position)) => chain.extent.location(height, position),
            None => chain.extent.missing(),
        })
    }

    fn named_value(&self, key: &str) -> Result<Option<Bytes>> {
        Ok(self.shared.read().named_values.get(key).cloned())
    }

    fn usage(&self) -> Result<Usage> {
        let chain = self.shared.read();
        Ok(Usage {
            bytes_on_disk: 0,
            blocks: chain.extent.end - chain.extent.body_floor,
            index_entries: chain.index_entries(),
        })
    }

    fn tables(&self) -> Arc<dyn TableReader> {
        Arc::new(MemoryTableReader(Arc::clone(&self.shared)))
    }
}

/// The backend `memory:`. Of such a URL nothing can be opened.
pub(crate) struct MemoryBackend {}

impl MemoryBackend {
    /// Reads what follows the scheme.
    pub(crate) fn parse(target: &str) -> std::result::Result<StoreUrl, &'static str> {
        match target {
            "" => Ok(StoreUrl::Memory),
            _ => Err("a store in memory has no path"),
        }
    }
}

impl fmt::Display for MemoryBackend {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

impl Backend for MemoryBackend {
    fn create(&self) -> Result<Store> {
        MemoryStore::new().open()
    }

    fn open(&self) -> Result<Store> {
        Err(missing())
    }

    fn open_read_only(&self) -> Result<Arc<dyn BlockReader>> {
        Err(missing())
    }

    fn open_damaged(&self, _: &mut Report) -> Result<Arc<dyn BlockReader>> {
        Err(missing())
    }

    fn check(&self, _: &mut Report) -> Result<()> {
        Err(missing())
    }

    fn repair(&self, _: &mut dyn FnMut(Repaired)) -> Result<()> {
        Err(missing())
    }

    fn exists(&self) -> bool {
        false
    }
}

fn missing() -> Error {
    Error::Missing {
        path: PathBuf::from(NAME),
    }
}

/// Keeps other writers out, until both writers of a store are gone.
#[derive(Debug)]
struct Hold(Arc<Shared>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.written.store(false, Ordering::Release);
    }
}

struct MemoryWriter(Arc<Hold>);

impl MemoryWriter {
    /// Runs a mutation under the lock, so that a reader sees all of it or nothing.
    fn mutate<T>(&mut self, mutation: impl FnOnce(&mut Chain) -> Result<T>) -> Result<T> {
        mutation(&mut self.0.0.write())
    }
}

impl Unguarded for MemoryWriter {}

impl BlockWriter for MemoryWriter {
    fn append(&mut self, run: &[Block], _: Durability) -> Result<Receipt> {
        self.mutate(|chain| {
            arguments::run("append", chain.extent, run)?;
            chain.check_ids("append", chain.extent.end, run)?;
            run.iter().for_each(|block| chain.push(block));
            Ok(chain.receipt())
        })
    }

    fn truncate(&mut self, above: u64) -> Result<()> {
        self.mutate(|chain| {
            arguments::truncation("truncate", chain.extent, above)?;
            chain.cut(above.saturating_add(1));
            Ok(())
        })
    }

    fn replace(&mut self, above: u64, run: &[Block], _: Durability) -> Result<Receipt> {
        self.mutate(|chain| {
            let end = arguments::replacement(chain.extent, above, run)?;
            chain.check_ids("replace", end, run)?;
            chain.cut(end);
            run.iter().for_each(|block| chain.push(block));
            Ok(chain.receipt())
        })
    }

    fn prune(&mut self, part: Part, below: u64, limit: u64) -> Result<PruneReceipt> {
        self.mutate(|chain| {
            arguments::pruning(chain.extent, part, below)?;
            let before = chain.extent.floor_of(part);
            let blocks = below.saturating_sub(before).min(limit);
            let bytes = (0..blocks).map(|_| chain.raise_floor(part)).sum();
            Ok(PruneReceipt {
                floor: before + blocks,
                blocks,
                bytes,
                freed_bytes: 0,
                done: before + blocks >= below,
            })
        })
    }

    fn put_named_value(&mut self, key: &str, value: &[u8], _: Durability) -> Result<()> {
        self.mutate(|chain| {
            arguments::named_value(key, value)?;
            chain
                .named_values
                .insert(key.to_owned(), Bytes::copy_from_slice(value));
            Ok(())
        })
    }

    fn sync(&mut self) -> Result<Receipt> {
        self.mutate(|chain| Ok(chain.receipt()))
    }
}
