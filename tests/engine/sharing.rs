//! Engines of one process that share threads, memory and a verifier.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use bytes::Bytes;
use hubledger::engine::{Engine, EngineError, Outcome, Resources, Stage, WhenFull};

use crate::common::reopenable;
use crate::support::{encoded, engine, messages, outcomes};

#[test]
fn engines_that_share_come_to_the_same_as_alone() {
    let resources = Resources::new(2, 1 << 20).unwrap();
    let chains: Vec<_> = (1..=4).map(|per_block| messages(30, per_block)).collect();
    let stores: Vec<_> = chains.iter().map(|_| reopenable()).collect();
    let open =
        |(chain, _): &_, store| engine(chain, store, Engine::builder().resources(&resources));
    let engines: Vec<_> = chains
        .iter()
        .zip(&stores)
        .map(|(chain, store)| open(chain, store))
        .collect();
    thread::scope(|scope| {
        for (engine, (_, blocks)) in engines.iter().zip(&chains) {
            scope.spawn(|| {
                let all = outcomes(engine, &encoded(blocks));
                assert!(all.iter().all(|one| matches!(one, Outcome::Committed(_))));
            });
        }
    });
    for engine in &engines {
        assert_eq!(engine.head().unwrap().height, 30);
        engine.shutdown().unwrap();
    }
    assert_eq!(resources.memory_used(), 0, "all of it came back");
}

/// With one thread and parcels of a block, who has a single block to bring is not kept waiting until another's dozens are in.
#[test]
fn an_engine_with_much_to_do_leaves_another_its_turns() {
    let resources = Resources::new(1, 512 << 20).unwrap();
    let (large, blocks) = messages(40, 2);
    let (small, few) = messages(1, 2);
    let stores = [reopenable(), reopenable()];
    let gate = Arc::new(AtomicBool::new(false));
    let begun = Arc::new(AtomicUsize::new(0));
    let begun_before = Arc::new(AtomicUsize::new(usize::MAX));
    let busy_probe = {
        let (gate, begun) = (Arc::clone(&gate), Arc::clone(&begun));
        move |stage| {
            if stage == Stage::Decode {
                begun.fetch_add(1, Ordering::SeqCst);
                while !gate.load(Ordering::SeqCst) {
                    thread::yield_now();
                }
            }
        }
    };
    let other_probe = {
        let (begun, begun_before) = (Arc::clone(&begun), Arc::clone(&begun_before));
        move |stage| {
            if stage == Stage::Decode {
                begun_before.store(begun.load(Ordering::SeqCst), Ordering::SeqCst);
            }
        }
    };
    let builder = || {
        let builder = Engine::builder().resources(&resources);
        builder.settings(|settings| settings.parcel_blocks = 1)
    };
    let busy = engine(&large, &stores[0], builder().probe(Arc::new(busy_probe)));
    let other = engine(&small, &stores[1], builder().probe(Arc::new(other_probe)));
    let offer = |engine: &Engine, block: Bytes| engine.offer(vec![block], WhenFull::Wait).unwrap();
    let tickets: Vec<_> = encoded(&blocks)
        .into_iter()
        .map(|block| offer(&busy, block))
        .collect();
    let late = encoded(&few).into_iter().map(|block| offer(&other, block));
    let late: Vec<_> = late.collect();
    gate.store(true, Ordering::SeqCst);
    for ticket in tickets.into_iter().chain(late) {
        assert!(matches!(
            ticket.wait().unwrap()[..],
            [Outcome::Committed(_)]
        ));
    }
    // The one that the thread was at, and one more whose turn had come.
    let before = begun_before.load(Ordering::SeqCst);
    assert!(before <= 2, "{before} of the other engine began first");
}

#[test]
fn an_engine_that_fails_or_stops_takes_nothing_from_the_others() {
    let resources = Resources::new(2, 1 << 20).unwrap();
    let (chain, blocks) = messages(20, 2);
    let stores = [reopenable(), reopenable(), reopenable()];
    let builder = || Engine::builder().resources(&resources);
    let broken = builder().probe(Arc::new(|stage| {
        assert_ne!(stage, Stage::Hash, "a test's panic")
    }));
    let broken = engine(&chain, &stores[0], broken);
    let stopped = engine(&chain, &stores[1], builder());
    let well = engine(&chain, &stores[2], builder());
    let blocks: Vec<Bytes> = encoded(&blocks);
    let failed = broken.import(blocks.iter().cloned()).next().unwrap();
    assert!(matches!(
        failed,
        Err(EngineError::Panicked {
            stage: Stage::Hash,
            ..
        })
    ));
    stopped.shutdown().unwrap();
    drop(stopped);
    assert_eq!(outcomes(&well, &blocks).len(), 20);
    drop(broken);
    well.shutdown().unwrap();
    assert_eq!(resources.memory_used(), 0);
    // The last of them ends the threads; an engine that still has them goes on.
    let late = engine(&chain, &stores[0], builder());
    drop(resources);
    assert_eq!(outcomes(&late, &blocks).len(), 20);
}
