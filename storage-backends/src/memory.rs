//! The backend `memory:`: a chain in this process's memory.
//!
//! It is as plain as can be, because the tests of the other backends use it as the model of the contract.
//! Every mutation checks all its arguments under the write lock before it changes anything, and what
//! follows can't fail; so a run is atomic, and a reader, which holds the read lock for one call, sees one
//! moment.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;

use crate::latch::Latch;
use crate::{
    Block, BlockReader, BlockWriter, Body, Durability, Error, Extent, Id, Location, PruneReceipt,
    Receipt, Result, Store, StoredBlock, StoredHeader, Usage, check,
};

const NAME: &str = "memory:";

/// A chain in memory, which lives as long as a clone of this handle or an open [`Store`] of it.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    chain: RwLock<Chain>,
    written: AtomicBool,
}

#[derive(Debug, Default)]
struct Chain {
    floor: u64,
    blocks: Vec<Held>,
    heights: HashMap<Id, u64>,
    places: HashMap<Id, (u64, u32)>,
    meta: HashMap<String, Bytes>,
}

/// A block as held; `keys` are the ones it was appended with, for truncation.
#[derive(Debug)]
struct Held {
    header: StoredHeader,
    body: Option<Bytes>,
    keys: Vec<Id>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the store, whatever it holds. Fails with [`Error::InUse`] while another writer of it lives.
    pub fn open(&self) -> Result<Store> {
        if self.shared.written.swap(true, Ordering::Acquire) {
            return Err(Error::InUse {
                path: PathBuf::from(NAME),
            });
        }
        Ok(Store {
            reader: Arc::new(self.clone()),
            writer: Box::new(MemoryWriter {
                shared: Arc::clone(&self.shared),
                latch: Latch::new(PathBuf::from(NAME)),
            }),
        })
    }
}

impl Shared {
    // A panic under the lock closes the writer's latch; readers may go on.
    fn read(&self) -> RwLockReadGuard<'_, Chain> {
        self.chain.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Chain> {
        self.chain.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Chain {
    fn extent(&self) -> Extent {
        Extent {
            floor: self.floor,
            end: self.blocks.len() as u64,
        }
    }

    fn held(&self, height: u64) -> Option<&Held> {
        self.blocks.get(usize::try_from(height).ok()?)
    }

    fn push(&mut self, block: &Block) {
        for entry in &block.index {
            match self.places.entry(entry.key) {
                Entry::Vacant(place) => {
                    place.insert((block.height, entry.position));
                }
                Entry::Occupied(mut place) => {
                    let first = place.get_mut();
                    *first = (*first).min((block.height, entry.position));
                }
            }
        }
        self.heights.insert(block.id, block.height);
        self.blocks.push(Held {
            header: StoredHeader {
                id: block.id,
                bytes: block.header.clone(),
            },
            body: Some(block.body.clone()),
            keys: block.index.iter().map(|entry| entry.key).collect(),
        });
    }

    fn pop(&mut self) {
        let Some(held) = self.blocks.pop() else {
            return;
        };
        let height = self.blocks.len() as u64;
        self.heights.remove(&held.header.id);
        for key in held.keys {
            if self.places.get(&key).is_some_and(|place| place.0 == height) {
                self.places.remove(&key);
            }
        }
    }

    /// Takes the body at the floor away and raises the floor. The key list goes too: truncation never
    /// reaches below the floor.
    fn raise_floor(&mut self) -> u64 {
        let held = &mut self.blocks[self.floor as usize];
        held.keys = Vec::new();
        self.floor += 1;
        held.body.take().map_or(0, |body| body.len() as u64)
    }
}

impl BlockReader for MemoryStore {
    fn extent(&self) -> Result<Extent> {
        Ok(self.shared.read().extent())
    }

    fn header(&self, height: u64) -> Result<Option<StoredHeader>> {
        Ok(self
            .shared
            .read()
            .held(height)
            .map(|held| held.header.clone()))
    }

    fn block(&self, height: u64) -> Result<Option<StoredBlock>> {
        Ok(self.shared.read().held(height).map(|held| StoredBlock {
            id: held.header.id,
            header: held.header.bytes.clone(),
            body: held.body.clone().map_or(Body::Pruned, Body::Present),
        }))
    }

    fn height_of(&self, id: &Id) -> Result<Option<u64>> {
        Ok(self.shared.read().heights.get(id).copied())
    }

    fn locate(&self, key: &Id) -> Result<Location> {
        let chain = self.shared.read();
        Ok(match chain.places.get(key) {
            Some(&(height, position)) => chain.extent().location(height, position),
            None => Location::Absent,
        })
    }

    fn meta(&self, key: &str) -> Result<Option<Bytes>> {
        Ok(self.shared.read().meta.get(key).cloned())
    }

    fn usage(&self) -> Result<Usage> {
        let chain = self.shared.read();
        let Extent { floor, end } = chain.extent();
        Ok(Usage {
            bytes_on_disk: 0,
            blocks: end - floor,
            index_entries: chain.places.len() as u64,
        })
    }
}

struct MemoryWriter {
    shared: Arc<Shared>,
    latch: Latch,
}

impl MemoryWriter {
    fn mutate<T>(
        &mut self,
        operation: &'static str,
        mutation: impl FnOnce(&mut Chain) -> Result<T>,
    ) -> Result<T> {
        self.latch
            .guard(operation, || mutation(&mut self.shared.write()))
    }
}

impl Drop for MemoryWriter {
    fn drop(&mut self) {
        self.shared.written.store(false, Ordering::Release);
    }
}

impl BlockWriter for MemoryWriter {
    fn append(&mut self, run: &[Block], _: Durability) -> Result<Receipt> {
        self.mutate("append", |chain| {
            check::run(chain.extent(), run)?;
            if let Some(held) = run
                .iter()
                .find(|block| chain.heights.contains_key(&block.id))
            {
                return Err(check::duplicate_id(held.height));
            }
            run.iter().for_each(|block| chain.push(block));
            Ok(Receipt {
                end: chain.extent().end,
                durability: Durability::Memory,
            })
        })
    }

    fn truncate(&mut self, above: u64) -> Result<()> {
        self.mutate("truncate", |chain| {
            check::truncation(chain.extent(), above)?;
            while chain.extent().tip().is_some_and(|tip| tip > above) {
                chain.pop();
            }
            Ok(())
        })
    }

    fn prune(&mut self, below: u64, limit: u64) -> Result<PruneReceipt> {
        self.mutate("prune", |chain| {
            check::pruning(chain.extent(), below)?;
            let bodies = below.saturating_sub(chain.floor).min(limit);
            let body_bytes = (0..bodies).map(|_| chain.raise_floor()).sum();
            Ok(PruneReceipt {
                floor: chain.floor,
                bodies,
                body_bytes,
                freed_bytes: 0,
                done: chain.floor >= below,
            })
        })
    }

    fn put_meta(&mut self, key: &str, value: &[u8], _: Durability) -> Result<()> {
        self.mutate("put_meta", |chain| {
            check::meta(key, value)?;
            chain
                .meta
                .insert(key.to_owned(), Bytes::copy_from_slice(value));
            Ok(())
        })
    }

    fn sync(&mut self) -> Result<Receipt> {
        self.mutate("sync", |chain| {
            Ok(Receipt {
                end: chain.extent().end,
                durability: Durability::Memory,
            })
        })
    }
}
