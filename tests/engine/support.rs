//! Engines over chains made up by the tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hubledger::engine::{Engine, EngineBuilder, Outcome, Probe};
use hubledger::model::Block;
use hubledger_storage::MemoryStore;

use crate::common::{Chain, clock};

/// Blocks as a peer sends them.
pub(crate) fn encoded(blocks: &[Block]) -> Vec<Bytes> {
    blocks.iter().map(|block| block.encode().into()).collect()
}

/// An engine over a store in memory, in the time of the chain's next block.
pub(crate) fn engine(chain: &Chain, store: &MemoryStore, builder: EngineBuilder) -> Engine {
    let builder = builder.clock(clock(chain.now()));
    builder.create(store.open().unwrap(), chain.spec()).unwrap()
}

/// Outcomes of all blocks; the engine must not fail.
pub(crate) fn outcomes(engine: &Engine, blocks: &[Bytes]) -> Vec<Outcome> {
    let outcomes = engine.import(blocks.iter().cloned());
    outcomes.map(Result::unwrap).collect()
}

/// A probe that sometimes gives the processor away and sometimes sleeps, by numbers that follow from the seed.
pub(crate) fn delays(seed: u64, longest: Duration) -> Probe {
    let state = AtomicU64::new(seed | 1);
    Arc::new(move |_| {
        let number = state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let number = (number ^ (number >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40;
        match number % 4 {
            0 => {}
            1 => std::thread::yield_now(),
            _ => std::thread::sleep(longest * (number % 64) as u32 / 64),
        }
    })
}

/// A chain of the default rules and its blocks after genesis: `blocks` of `per_block` messages by a few senders.
pub(crate) fn messages(blocks: u64, per_block: u64) -> (Chain, Vec<Block>) {
    let mut chain = Chain::new(2, |_| {});
    for number in 0..blocks {
        let message = |index: u64| {
            let sender = format!("node-{}", index % 5);
            chain.message(&sender, 1 + number * per_block + index)
        };
        let transactions: Vec<_> = (0..per_block).map(message).collect();
        chain.extend(&transactions);
    }
    let made = chain.blocks[1..].to_vec();
    (chain, made)
}
