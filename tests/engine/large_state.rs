//! Engines whose state is larger than what may stay of it in memory.

use std::ops::ControlFlow;

use bytes::Bytes;
use hubledger::engine::{Engine, Outcome, verify_store};
use hubledger::generate::{Generator, Recipe};
use hubledger_storage::StoreUrl;

/// A chain of many senders, each of whom sends a few times.
fn chain() -> (Generator, Vec<Bytes>) {
    let recipe = Recipe {
        transactions: 6000,
        keys: 2000,
        payload_bytes: 8,
        per_block: 300,
        ..Recipe::default()
    };
    let mut generator = Generator::new(recipe).unwrap();
    let mut blocks = Vec::new();
    while let Some(block) = generator.next_block().unwrap() {
        blocks.push(block.encode().into());
    }
    (generator, blocks)
}

/// With one byte every block changes more than may be unsaved: each waits until what it changed is written down.
#[test]
fn a_state_that_does_not_fit_into_its_memory_is_the_same_and_goes_on_after_reopening() {
    let (generator, blocks) = chain();
    let (first, rest) = blocks.split_at(11);
    let folder = tempfile::tempdir().unwrap();
    for state_bytes in [1, 100_000, 1 << 20] {
        let path = folder.path().join(state_bytes.to_string());
        let url: StoreUrl = format!("log:{}", path.display()).parse().unwrap();
        let builder = || {
            Engine::builder().threads(2).settings(|settings| {
                settings.state_bytes = state_bytes;
                settings.parcel_blocks = 2;
            })
        };
        let engine = builder().create(url.create().unwrap(), generator.spec());
        let engine = engine.unwrap();
        import(&engine, first);
        engine.shutdown().unwrap();
        drop(engine);
        let engine = builder().open(url.open().unwrap()).unwrap();
        import(&engine, rest);
        // Every sender, and the hub. The root that each block names was compared on the way.
        assert_eq!(engine.state().account_count(), 2001);
        engine.shutdown().unwrap();
        drop(engine);
        let reader = url.open_read_only().unwrap();
        let report = verify_store(reader, u64::MAX / 2, &mut |_| ControlFlow::Continue(()));
        assert!(report.unwrap().rejected.is_none(), "{state_bytes}");
    }
}

fn import(engine: &Engine, blocks: &[Bytes]) {
    let outcomes = engine.import(blocks.iter().cloned()).map(Result::unwrap);
    let committed = outcomes.filter(|outcome| matches!(outcome, Outcome::Committed(_)));
    assert_eq!(committed.count(), blocks.len());
}
