//! Every road that blocks take gives the verdicts of the sequential validator: an import, the verification of a store that holds
//! them, and restoring from an archive or from a store behind one; whatever the threads and the parcels.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hubledger::engine::{Engine, EngineBuilder, Outcome, Probe, RestoreError, Stage};
use hubledger::ledger::archive::{Archive, ArchiveWriter};
use hubledger::ledger::{ChainReader, LedgerError, StoreReport, Unreadable};
use hubledger::model::Block;
use hubledger::rejection::{Reason, Rejected};
use hubledger::rules::{Depth, Validator};
use hubledger_storage::{self as storage, BlockReader, Durability, IndexEntry, Part};

use crate::common::{Chain, Numbers, clock, memory};
use crate::faults;
use crate::support::{delays, encoded};

/// A chain, then perhaps a block that is at fault, then the blocks that would have come.
struct Trial {
    chain: Chain,
    blocks: Vec<Bytes>,
    now_us: u64,
    seed: u64,
}

fn trial(seed: u64, before: usize, fault: Option<Reason>) -> Trial {
    let mut numbers = Numbers(seed);
    let chain = faults::grown(seed, before, fault, &mut numbers);
    let mut whole = chain.clone();
    for _ in 0..3 {
        faults::extend(&mut whole, &mut numbers);
    }
    let mut blocks = encoded(&whole.blocks[1..]);
    if let Some(reason) = fault {
        blocks[before] = faults::faulty(&chain, &mut numbers, reason);
    }
    Trial {
        chain,
        blocks,
        now_us: whole.now(),
        seed,
    }
}

/// How many blocks are valid, and the first that isn't.
type Verdict = (u64, Option<Rejected>);

/// One block after the other, by the plain validator.
fn one_by_one(trial: &Trial) -> Verdict {
    let mut validator = Validator::new(trial.chain.spec().clone());
    let depth = Depth::Full {
        now_us: trial.now_us,
    };
    for bytes in &trial.blocks {
        let height = validator.state().height();
        let checked = Unreadable::decode(bytes)
            .map_err(|unreadable| unreadable.rejected(height + 1))
            .and_then(|block| validator.check(&block, depth));
        match checked {
            Ok(valid) => validator.apply(&valid),
            Err(rejected) => return (height, Some(rejected)),
        }
    }
    (validator.state().height(), None)
}

/// An engine in which some parcels are on their way at a time, and dawdle.
fn builder(trial: &Trial, threads: usize) -> EngineBuilder {
    let numbers = Numbers(trial.seed ^ threads as u64).draw();
    let builder = Engine::builder().settings(|settings| {
        settings.threads = threads;
        settings.parcel_blocks = [1, 3, 7, 512][numbers as usize % 4];
        settings.batch_signatures = [1, 5, 8192][numbers as usize % 3];
        settings.probe = Some(delays(numbers, Duration::from_micros(100)));
    });
    builder.clock(clock(trial.now_us))
}

fn imported(trial: &Trial, threads: usize) -> Verdict {
    let engine = builder(trial, threads).create(memory(), trial.chain.spec());
    let engine = engine.unwrap();
    let (mut valid, mut rejected) = (0, None);
    for outcome in engine.import(trial.blocks.iter().cloned()) {
        match outcome.unwrap() {
            Outcome::Rejected(verdict) => rejected = Some(verdict),
            outcome => {
                assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
                valid += 1;
            }
        }
    }
    (valid, rejected)
}

/// A store that holds the blocks, as far as they can be read and say the heights that they are at, whether or not they are valid.
fn stored(trial: &Trial, snapshot: Option<&[u8]>) -> storage::Store {
    let mut store = memory();
    let decoded = trial.blocks.iter().map_while(|b| Block::decode(b).ok());
    let placed = (1..).zip(decoded).take_while(|(h, b)| *h == b.height());
    let blocks = placed.map(|(_, block)| block);
    let genesis = trial.chain.blocks[0].clone();
    let run: Vec<_> = std::iter::once(genesis).chain(blocks).collect();
    let run: Vec<_> = run.iter().map(filed).collect();
    let writer = &mut store.writer;
    let spec = trial.chain.spec().bytes();
    writer
        .put_named_value("spec", spec, Durability::Memory)
        .unwrap();
    writer.append(&run, Durability::Memory).unwrap();
    if let Some(state) = snapshot {
        writer
            .put_named_value("state", state, Durability::Memory)
            .unwrap();
    }
    store
}

/// A block as a ledger files it.
fn filed(block: &Block) -> storage::Block {
    let encoded = block.encode();
    let header = encoded[..encoded.len() - block.body().len()].to_vec();
    let entries = (0..).zip(block.transactions());
    let index = entries.map(|(position, transaction)| IndexEntry {
        key: transaction.id().0,
        position,
    });
    storage::Block {
        height: block.height(),
        id: block.hash().0,
        header: header.into(),
        body: block.body().clone(),
        index: index.collect(),
    }
}

fn verified(
    trial: &Trial,
    store: Arc<dyn BlockReader>,
    threads: usize,
) -> Result<StoreReport, LedgerError> {
    let mut told = 0;
    let report = builder(trial, threads).verify(store, &mut |step| {
        assert_eq!(step.height, told, "in order");
        told += 1;
        ControlFlow::Continue(())
    });
    report.inspect(|report| assert!(told >= report.blocks))
}

/// Restores what an archive of the first `archived` blocks and a store behind it hold.
fn restored(trial: &Trial, archived: usize, threads: usize) -> Option<Verdict> {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("archive");
    let mut writer = ArchiveWriter::open(&folder, trial.chain.spec()).unwrap();
    writer.set_file_bytes(2_000);
    writer.push(&trial.chain.blocks[0]).unwrap();
    let mut before = trial.chain.blocks[0].hash();
    for bytes in &trial.blocks[..archived] {
        let block = Block::decode(bytes).unwrap();
        if block.header().previous_hash != before {
            // What doesn't follow doesn't get into an archive.
            return None;
        }
        writer.push(&block).unwrap();
        before = block.hash();
    }
    writer.flush().unwrap();
    drop(writer);
    let archive = Archive::open(&folder).unwrap();
    let then = ChainReader::open(stored(trial, None).reader).unwrap();
    let target = memory();
    let reader = target.reader.clone();
    let outcome = builder(trial, threads).restore(&archive, Some(&then), target, &mut |_| {
        ControlFlow::Continue(())
    });
    let valid = reader.extent().unwrap().end - 1;
    match outcome {
        Ok(report) => {
            assert_eq!(report.blocks, valid + 1);
            assert_eq!(report.archived + report.further, valid);
            Some((valid, None))
        }
        Err(RestoreError::Rejected(rejected)) => Some((valid, Some(rejected))),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn every_reason_is_found_alike_on_every_road() {
    let mut on_all = 0;
    for (number, reason) in (0..).zip(faults::native().map(Some).chain([None])) {
        for threads in 1..=4 {
            let before = 2 + number as usize % 5;
            let trial = trial(number * 4 + threads as u64, before, reason);
            let about = format!("{reason:?}, {before} blocks before, {threads} threads");
            let expected = one_by_one(&trial);
            let faulty = Block::decode(&trial.blocks[before]).map(|block| block.height());
            if faulty.as_ref().is_ok_and(|height| *height <= before as u64) {
                // It would be compared with what is held.
                continue;
            }
            assert_eq!(imported(&trial, threads), expected, "{about}");
            if faulty != Ok(before as u64 + 1) {
                continue;
            }
            // With a snapshot of a state on the way, and without.
            let states = [None, Some(trial.chain.state().encode())];
            for state in &states {
                let store = stored(&trial, state.as_deref());
                let report = verified(&trial, store.reader, threads).unwrap();
                let found = (report.blocks - 1, report.rejected);
                assert_eq!(found, expected, "verify: {about}");
                assert_eq!(report.rules_from, 0);
            }
            let roads = [0, before - 1, before + 1].map(|archived| {
                let found = restored(&trial, archived, threads);
                if let Some(found) = &found {
                    assert_eq!(*found, expected, "restore {archived}: {about}");
                }
                found.is_some()
            });
            on_all += usize::from(roads == [true; 3]);
        }
    }
    assert!(on_all > 60, "{on_all}");
}

#[test]
fn a_stage_that_panics_ends_a_verification_and_a_restoring_with_an_error() {
    let trial = trial(1, 5, None);
    let stages = [
        Stage::Decode,
        Stage::Hash,
        Stage::Signatures,
        Stage::Validate,
        Stage::Commit,
    ];
    for stage in stages {
        let builder = || {
            let probe: Probe = Arc::new(move |at| assert!(at != stage, "broken"));
            let builder = Engine::builder().threads(2).probe(probe);
            builder.clock(clock(trial.now_us))
        };
        let said = format!("the stage {stage} panicked: broken");
        let store = stored(&trial, None).reader;
        let mut go_on = |_| ControlFlow::Continue(());
        let failed = builder().verify(Arc::clone(&store), &mut go_on);
        assert_eq!(failed.unwrap_err().to_string(), said);
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("archive");
        let mut writer = ArchiveWriter::open(&folder, trial.chain.spec()).unwrap();
        writer.push(&trial.chain.blocks[0]).unwrap();
        writer.flush().unwrap();
        let archive = Archive::open(&folder).unwrap();
        let then = ChainReader::open(store).unwrap();
        let failed = builder().restore(&archive, Some(&then), memory(), &mut go_on);
        assert_eq!(failed.unwrap_err().to_string(), said);
    }
}

#[test]
fn a_pruned_chain_is_judged_alike_on_1_to_4_threads() {
    for (number, reason) in (0..).zip(faults::native().map(Some).chain([None])) {
        let trial = trial(number, 9, reason);
        let whole = stored(&trial, None).reader.extent().unwrap().end;
        for (floor, headers) in [(4, 0), (8, 3), (9, 9)] {
            // The state before the floor, or one behind it.
            let at = floor as usize + (number as usize % 2) * usize::from(floor < 8);
            let mut before = Chain::of(trial.chain.spec().clone());
            for block in &trial.chain.blocks[1..at.min(10)] {
                before.push(block.clone());
            }
            let verdicts: Vec<_> = (1..=4)
                .map(|threads| {
                    let state = before.state().encode();
                    let mut store = stored(&trial, Some(&state));
                    store.writer.prune(Part::Body, floor, u64::MAX).unwrap();
                    store.writer.prune(Part::Header, headers, u64::MAX).unwrap();
                    let report = verified(&trial, store.reader, threads);
                    format!("{report:?}")
                })
                .collect();
            let about = format!("{reason:?}, {floor} of {whole}");
            for verdict in &verdicts {
                assert_eq!(*verdict, verdicts[0], "{about}");
            }
            // Behind the state all rules hold, as one by one.
            if whole > 10
                && let (_, Some(rejected)) = one_by_one(&trial)
            {
                let found = format!("rejected: Some({rejected:?})");
                assert!(verdicts[0].contains(&found), "{about}: {}", verdicts[0]);
            }
        }
    }
}
