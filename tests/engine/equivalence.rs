//! The pipeline and the sequential validator agree on every chain: the accepted prefix, the first rejected block, transaction
//! and reason, and the stored bytes; whatever the threads, the batches and the delays.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use hubledger::engine::{Committed, Engine, Outcome};
use hubledger::ledger::{self, Ledger};
use hubledger::model::Block;
use hubledger::rejection::{Reason, Rejected};
use hubledger_storage::{MemoryStore, StoredBlock};
use proptest::prelude::*;

use crate::common::{Chain, Numbers, clock, reopenable};
use crate::faults;
use crate::support::{delays, outcomes};

/// How the engine is set up for a trial.
#[derive(Debug, Clone, Copy)]
struct Setup {
    threads: usize,
    batch: usize,
    parcel_blocks: usize,
    group_blocks: usize,
    delays: Option<u64>,
}

/// A chain with perhaps a faulty block in it, and what comes behind that.
struct Trial {
    chain: Chain,
    blocks: Vec<Bytes>,
    now_us: u64,
}

fn trial(seed: u64, before: usize, fault: Option<Reason>) -> Trial {
    let mut numbers = Numbers(seed);
    let chain = faults::grown(seed, before, fault, &mut numbers);
    let mut whole = chain.clone();
    for _ in 0..numbers.below(5) {
        faults::extend(&mut whole, &mut numbers);
    }
    let encode = |block: &Block| Bytes::from(block.encode());
    let mut blocks: Vec<Bytes> = whole.blocks[1..].iter().map(encode).collect();
    if let Some(reason) = fault {
        blocks.insert(before, faults::faulty(&chain, &mut numbers, reason));
    }
    if numbers.below(3) == 0 && before > 1 {
        // Some blocks once more.
        let again = numbers.below(before as u64 - 1) as usize;
        blocks.insert(before, blocks[again].clone());
    }
    let now_us = whole.now();
    Trial {
        chain: whole,
        blocks,
        now_us,
    }
}

/// What became of the blocks: committed or held heights, then the rejection if there was one.
type Verdicts = (Vec<(u64, bool)>, Option<Rejected>);

fn sequential(trial: &Trial, store: &MemoryStore) -> Verdicts {
    let (spec, now) = (trial.chain.spec(), clock(trial.now_us));
    let mut ledger = Ledger::create(store.open().unwrap(), spec, now).unwrap();
    let mut verdicts = (Vec::new(), None);
    for bytes in &trial.blocks {
        let height = || Block::decode(bytes).unwrap().height();
        match ledger.stage_bytes(bytes).unwrap() {
            ledger::Staging::Staged => verdicts.0.push((height(), true)),
            ledger::Staging::Held => verdicts.0.push((height(), false)),
            ledger::Staging::Rejected(rejected) => {
                verdicts.1 = Some(rejected);
                break;
            }
        }
    }
    ledger.close().unwrap();
    verdicts
}

fn parallel(trial: &Trial, store: &MemoryStore, setup: Setup) -> Verdicts {
    let builder = Engine::builder().settings(|settings| {
        settings.threads = setup.threads;
        settings.batch_signatures = setup.batch;
        settings.parcel_blocks = setup.parcel_blocks;
        settings.group_blocks = setup.group_blocks;
        settings.probe = setup
            .delays
            .map(|seed| delays(seed, Duration::from_micros(300)));
    });
    let builder = builder.clock(clock(trial.now_us));
    let engine = builder
        .create(store.open().unwrap(), trial.chain.spec())
        .unwrap();
    let mut verdicts = (Vec::new(), None);
    for outcome in outcomes(&engine, &trial.blocks) {
        assert_eq!(verdicts.1, None, "nothing comes behind a rejection");
        match outcome {
            Outcome::Committed(Committed { height, .. }) => verdicts.0.push((height, true)),
            Outcome::Held { height } => verdicts.0.push((height, false)),
            Outcome::Rejected(rejected) => verdicts.1 = Some(rejected),
        }
    }
    engine.shutdown().unwrap();
    verdicts
}

/// Everything that a store holds.
fn stored(store: &MemoryStore) -> (Vec<StoredBlock>, Option<Bytes>) {
    let reader = store.open().unwrap().reader;
    let end = reader.extent().unwrap().end;
    let blocks = (0..end).map(|height| reader.block(height).unwrap().unwrap());
    (blocks.collect(), reader.named_value("state").unwrap())
}

#[track_caller]
fn compare(seed: u64, before: usize, fault: Option<Reason>, setup: Setup) -> Option<Reason> {
    let trial = trial(seed, before, fault);
    let (one, many) = (reopenable(), reopenable());
    let about = format!("seed {seed}, {before} before {fault:?}, {setup:?}");
    compare_on(&trial, (&one, &many), setup, &about).map(|rejected| rejected.reason)
}

/// The rejection that both come to, from stores that hold the same.
#[track_caller]
fn compare_on(
    trial: &Trial,
    (one, many): (&MemoryStore, &MemoryStore),
    setup: Setup,
    about: &str,
) -> Option<Rejected> {
    let expected = sequential(trial, one);
    let found = parallel(trial, many, setup);
    assert_eq!(found, expected, "{about}");
    assert_eq!(stored(many), stored(one), "equal stores, snapshot included");
    expected.1
}

/// The header and seal of one block before the body of another.
fn swapped(block: &Block, other: &Block) -> Bytes {
    let encoded = block.encode();
    let own = encoded.len() - block.body().len();
    [&encoded[..own], other.body()].concat().into()
}

#[test]
fn a_block_with_the_body_of_another_is_rejected_at_its_own_height_wherever_the_chain_is() {
    let setup = Setup {
        threads: 2,
        batch: 3,
        parcel_blocks: 2,
        group_blocks: 3,
        delays: None,
    };
    let mut reasons = HashSet::new();
    for seed in 0..12 {
        let whole = trial(seed, 8, None);
        let (one, many) = (reopenable(), reopenable());
        compare_on(&whole, (&one, &many), setup, "the chain");
        let blocks = &whole.chain.blocks;
        for (height, other) in [(1, 2), (4, 8), (8, 3), (5, 6), (2, 7)] {
            let (block, other) = (&blocks[height], &blocks[other]);
            if block.body() == other.body() {
                continue;
            }
            // Alone, behind held blocks, and where the chain isn't there yet.
            let fresh = (&reopenable(), &reopenable());
            let held = (&one, &many);
            for (before, stores) in [(0, held), (height - 1, held), (height - 1, fresh)] {
                let mut offered: Vec<Bytes> = blocks[1..=before]
                    .iter()
                    .map(|block| block.encode().into())
                    .collect();
                offered.push(swapped(block, other));
                let trial = Trial {
                    chain: whole.chain.clone(),
                    blocks: offered,
                    now_us: whole.now_us,
                };
                let about = format!("seed {seed}, height {height} behind {before}");
                let rejected = compare_on(&trial, stores, setup, &about).expect(&about);
                assert_eq!(rejected.height, height as u64, "{about}: {rejected}");
                reasons.insert(rejected.reason);
            }
        }
    }
    assert!(reasons.contains(&Reason::BodySize), "{reasons:?}");
    assert!(reasons.contains(&Reason::MerkleRoot), "{reasons:?}");
}

#[test]
fn every_native_reason_is_found_alike_on_1_2_and_8_threads() {
    let mut found = HashSet::new();
    for (number, reason) in (0..).zip(faults::native()) {
        for (threads, batch) in [(1, 8192), (2, 3), (8, 1)] {
            for seed in 0..3 {
                let setup = Setup {
                    threads,
                    batch,
                    parcel_blocks: [1, 4, 512][seed as usize],
                    group_blocks: 3,
                    delays: (seed == 1).then_some(number),
                };
                found.extend(compare(seed, 3 + seed as usize, Some(reason), setup));
            }
        }
    }
    let unfound: Vec<_> = faults::native().filter(|r| !found.contains(r)).collect();
    assert!(unfound.is_empty(), "{unfound:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_pipeline_equals_the_sequential_validator(
        seed in any::<u64>(),
        before in 0_usize..9,
        fault in prop::option::weighted(0.9, prop::sample::select(Reason::ALL)),
        threads in prop::sample::select(&[1, 2, 8][..]),
        batch in prop::sample::select(&[1, 2, 5, 17, 8192][..]),
        parcel_blocks in prop::sample::select(&[1, 2, 3, 7, 512][..]),
        group_blocks in prop::sample::select(&[1, 4, 1024][..]),
        delays in prop::option::of(any::<u64>()),
    ) {
        let setup = Setup { threads, batch, parcel_blocks, group_blocks, delays };
        let fault = fault.filter(|reason| *reason != Reason::PublicKey);
        compare(seed, before, fault, setup);
    }
}

#[test]
fn two_imports_of_one_chain_at_once_end_in_that_chain() {
    for seed in 0..8 {
        let trial = trial(seed, 12, None);
        let store = reopenable();
        let builder = Engine::builder().settings(|settings| {
            settings.threads = 2;
            settings.parcel_blocks = 2;
            settings.probe = Some(delays(seed, Duration::from_micros(200)));
        });
        let builder = builder.clock(clock(trial.now_us));
        let engine = builder
            .create(store.open().unwrap(), trial.chain.spec())
            .unwrap();
        let reached = |outcomes: Vec<Outcome>| {
            for outcome in &outcomes {
                assert!(!matches!(outcome, Outcome::Rejected(_)), "{outcome:?}");
            }
            outcomes.len()
        };
        let chain = &trial.blocks[..];
        let (one, two) = std::thread::scope(|scope| {
            let one = scope.spawn(|| reached(outcomes(&engine, chain)));
            let two = scope.spawn(|| reached(outcomes(&engine, chain)));
            (one.join().unwrap(), two.join().unwrap())
        });
        assert_eq!((one, two), (chain.len(), chain.len()));
        assert_eq!(engine.head().unwrap().hash(), trial.chain.last().hash());
    }
}
