//! Every backend, as a place where a store is created and opened again, and a chain to put there.

use std::fmt;

use hubledger::ledger::{Ledger, Staging};
use hubledger_storage::{MemoryStore, Store, StoreUrl};
use tempfile::TempDir;

use crate::common::{self, Chain, clock};

/// Every backend.
const BACKENDS: [&str; 4] = ["memory", "log", "sqlite", "rocksdb"];

/// A place for one store.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) url: StoreUrl,
    memory: MemoryStore,
    folder: TempDir,
}

impl Place {
    /// One of each backend that is built in.
    pub(crate) fn all() -> Vec<Self> {
        BACKENDS.into_iter().filter_map(Self::new).collect()
    }

    /// A new one of a backend, if it is built in.
    pub(crate) fn new(name: &'static str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let url = match name {
            "memory" => "memory:".to_owned(),
            name => format!("{name}:{}", folder.path().join("store").display()),
        };
        // RocksDB sets space aside for its journal by the size of its buffers.
        let url = match name {
            "rocksdb" => url + "?write_buffer_mib=1",
            _ => url,
        };
        // Backends that aren't built in have no URL.
        let url = url.parse().ok()?;
        Some(Self {
            name,
            url,
            memory: MemoryStore::new(),
            folder,
        })
    }

    /// The store, created at the first call.
    pub(crate) fn open(&self) -> Store {
        match self.url {
            StoreUrl::Memory => self.memory.open().unwrap(),
            _ => self.url.open_or_create().unwrap(),
        }
    }

    /// A folder that ends with the place.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// A ledger that holds the chain.
    pub(crate) fn ledger(&self, chain: &Chain) -> Ledger {
        let mut ledger = Ledger::create(self.open(), chain.spec(), clock(chain.now())).unwrap();
        for block in &chain.blocks[1..] {
            assert_eq!(ledger.stage(block).unwrap(), Staging::Staged);
        }
        ledger.commit().unwrap();
        ledger
    }

    /// The ledger opened again.
    pub(crate) fn again(&self, chain: &Chain) -> Ledger {
        Ledger::open(self.open(), clock(chain.now())).unwrap()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

/// A chain of `blocks` blocks after genesis, a second apart, with one to five transactions each.
pub(crate) fn chain(blocks: u64) -> Chain {
    let mut chain = Chain::new(2, |_| {});
    let mut nonce = 0;
    for number in 0..blocks {
        let transactions: Vec<_> = (0..=number % 5)
            .map(|_| {
                nonce += 1;
                chain.message("alice", nonce)
            })
            .collect();
        let producer = common::hub((number % 2) as usize);
        chain.push(chain.block_by(&producer, &transactions));
    }
    chain
}
