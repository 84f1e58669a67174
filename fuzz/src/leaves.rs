//! The small chain in a pruned store, with the leaf hashes of what was pruned.

use std::cell::OnceCell;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use hubledger::clock::FixedClock;
use hubledger::ledger::policy::{Keep, PrunePolicy};
use hubledger::ledger::{ChainReader, Ledger, LedgerError};
use hubledger::proof::TransactionProof;
use hubledger_storage::{Durability, MemoryStore};

use crate::Chain;

const NAMES: [&str; 2] = ["leaves", "leaves/0"];
/// A block whose body is gone.
const HEIGHT: u64 = 4;

thread_local! {
    static PRUNED: OnceCell<PrunedChain> = const { OnceCell::new() };
}

/// A pruned chain whose leaf hashes can be replaced.
#[derive(Debug)]
pub struct PrunedChain {
    store: MemoryStore,
    genuine: [Bytes; 2],
    proof: TransactionProof,
}

impl PrunedChain {
    /// The genuine directory and chunk.
    ///
    /// # Panics
    /// Never: memory doesn't fail.
    #[must_use]
    pub fn values() -> (Bytes, Bytes) {
        let [directory, chunk] = Self::make().genuine;
        (directory, chunk)
    }

    /// What proving a pruned transaction gives, with other bytes as the directory (0) or the chunk (1); and the genuine
    /// proof.
    ///
    /// # Panics
    /// Never: memory doesn't fail.
    pub fn prove_with(
        which: usize,
        value: &[u8],
    ) -> (Result<TransactionProof, LedgerError>, TransactionProof) {
        PRUNED.with(|pruned| {
            let pruned = pruned.get_or_init(Self::make);
            pruned.put(which, value);
            let outcome = pruned.prove();
            pruned.put(which, &pruned.genuine[which]);
            (outcome, pruned.proof.clone())
        })
    }

    fn put(&self, which: usize, value: &[u8]) {
        let mut store = self.store.open().expect("nobody else writes");
        let put = store
            .writer
            .put_named_value(NAMES[which], value, Durability::Memory);
        put.expect("memory doesn't fail");
    }

    fn prove(&self) -> Result<TransactionProof, LedgerError> {
        let store = self.store.open().expect("nobody else writes");
        let transaction = &Chain::get().blocks[HEIGHT as usize].transactions()[1];
        ChainReader::open(store.reader)?.prove_pruned(transaction, HEIGHT, None)
    }

    fn make() -> Self {
        let (chain, store) = (Chain::get(), MemoryStore::new());
        let clock = Arc::new(FixedClock(u64::MAX / 2));
        let opened = store.open().expect("nobody else writes");
        let reader = Arc::clone(&opened.reader);
        let mut ledger = Ledger::create(opened, &chain.spec, clock).expect("an empty store");
        for block in &chain.blocks[1..] {
            ledger.submit(block).expect("memory doesn't fail");
        }
        let policy = PrunePolicy {
            leaves: true,
            ..PrunePolicy::of_bodies(Keep::Last(2))
        };
        ledger
            .prune(&policy, None, &mut |_| ControlFlow::Continue(()))
            .expect("memory doesn't fail");
        drop(ledger);
        let genuine = NAMES.map(|name| {
            let value = reader.named_value(name).expect("memory doesn't fail");
            value.expect("leaves were kept")
        });
        let index = 1;
        let proof = {
            let transaction = &chain.blocks[HEIGHT as usize].transactions()[index];
            let chain = ChainReader::open(reader).expect("it holds a chain");
            chain.prove_pruned(transaction, HEIGHT, None)
        };
        Self {
            store,
            genuine,
            proof: proof.expect("its leaves were kept"),
        }
    }
}
