//! Engines whose state is larger than what may stay of it in memory.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use hubledger::engine::{Engine, Outcome, verify_store};
use hubledger::generate::{Generator, Recipe};
use hubledger::ledger::{Ledger, Staging};
use hubledger_storage::{BlockReader, StoreUrl};

use crate::common::{clock, memory, reopenable};

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

/// A store whose state was never written down, or was lost: the blocks lead to it again, within the memory that there may be.
#[test]
fn a_chain_is_replayed_within_its_memory_and_goes_on() {
    let (generator, blocks) = chain();
    let whole = Ledger::create(memory(), generator.spec(), clock(NOW_US)).unwrap();
    let expected = staged(whole, &blocks);
    for state_bytes in [4, 100_000, 1 << 30] {
        let store = reopenable();
        let ledger = Ledger::create(store.open().unwrap(), generator.spec(), clock(NOW_US));
        drop(staged(ledger.unwrap(), &blocks));
        let position = || store.tables().view("state").unwrap().position();
        assert_eq!(position(), None);
        let open = || Ledger::open_within(store.open().unwrap(), clock(NOW_US), state_bytes);
        let ledger = open().unwrap();
        assert_eq!(
            ledger.state().clone().root(),
            expected.state().clone().root()
        );
        assert_eq!(ledger.state().head(), expected.state().head());
        // What was written on the way is where the next opening begins.
        assert_eq!(position().is_some(), state_bytes < 1 << 30, "{state_bytes}");
        drop(ledger);
        let again = open().unwrap();
        assert_eq!(
            again.state().clone().root(),
            expected.state().clone().root()
        );
        again.close().unwrap();
        let report = verify_store(Arc::new(store), NOW_US, &mut |_| ControlFlow::Continue(()));
        assert!(report.unwrap().rejected.is_none(), "{state_bytes}");
    }
}

/// What is checked is only read, and what is worked out of it goes elsewhere.
#[test]
fn a_store_is_checked_within_its_memory_and_only_read() {
    let (generator, blocks) = chain();
    let store = reopenable();
    let ledger = Ledger::create(store.open().unwrap(), generator.spec(), clock(NOW_US));
    staged(ledger.unwrap(), &blocks).close().unwrap();
    let position = store.tables().view("state").unwrap().position();
    for state_bytes in [1, 100_000, 1 << 30] {
        let (scratch, made) = (reopenable(), Arc::new(AtomicUsize::new(0)));
        let (held, count) = (scratch.clone(), Arc::clone(&made));
        let builder = Engine::builder().threads(2).clock(clock(NOW_US));
        let builder = builder.settings(|settings| settings.state_bytes = state_bytes);
        let builder = builder.scratch(move || {
            count.fetch_add(1, Ordering::SeqCst);
            held.open()
        });
        let report = builder.verify(Arc::new(store.clone()), &mut |_| ControlFlow::Continue(()));
        let report = report.unwrap();
        assert!(report.rejected.is_none(), "{state_bytes}");
        assert_eq!((report.blocks, report.rules_from), (21, 0));
        let expected = usize::from(state_bytes < 1 << 30);
        assert_eq!(made.load(Ordering::SeqCst), expected, "{state_bytes}");
        let written = scratch.tables().view("state").unwrap().position();
        assert_eq!(written.is_some(), expected == 1, "{state_bytes}");
        assert_eq!(store.tables().view("state").unwrap().position(), position);
    }
}

/// After every block that is generated.
const NOW_US: u64 = u64::MAX / 2;

fn staged(mut ledger: Ledger, blocks: &[Bytes]) -> Ledger {
    for block in blocks {
        assert_eq!(ledger.stage_bytes(block).unwrap(), Staging::Staged);
    }
    ledger.commit().unwrap();
    ledger
}

fn import(engine: &Engine, blocks: &[Bytes]) {
    let outcomes = engine.import(blocks.iter().cloned()).map(Result::unwrap);
    let committed = outcomes.filter(|outcome| matches!(outcome, Outcome::Committed(_)));
    assert_eq!(committed.count(), blocks.len());
}
