//! Stopping: by the caller, by a failing store, by a panicking stage. Nobody waits for ever, and the store opens and goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hubledger::engine::{Engine, EngineError, Outcome, Stage, WhenFull};
use hubledger_storage::{
    Block, BlockWriter, Durability, Error, MemoryStore, Part, PruneReceipt, Receipt, Result, Store,
};

use crate::common::{Chain, clock, reopenable};
use crate::support::{delays, encoded, engine, messages, outcomes};

/// A writer whose appends fail after so many.
struct Failing {
    writer: Box<dyn BlockWriter>,
    appends_left: usize,
}

impl BlockWriter for Failing {
    fn append(&mut self, run: &[Block], durability: Durability) -> Result<Receipt> {
        if self.appends_left == 0 {
            return Err(Error::Poisoned {
                operation: "append",
                earlier: "sync",
                path: "a test's disk".into(),
            });
        }
        self.appends_left -= 1;
        self.writer.append(run, durability)
    }

    fn truncate(&mut self, above: u64) -> Result<()> {
        self.writer.truncate(above)
    }

    fn prune(&mut self, part: Part, below: u64, limit: u64) -> Result<PruneReceipt> {
        self.writer.prune(part, below, limit)
    }

    fn put_meta(&mut self, key: &str, value: &[u8], durability: Durability) -> Result<()> {
        self.writer.put_meta(key, value, durability)
    }

    fn sync(&mut self) -> Result<Receipt> {
        self.writer.sync()
    }
}

/// The chain goes on where the store ends, and ends as it should.
#[track_caller]
fn goes_on(store: &MemoryStore, chain: &Chain, blocks: &[Bytes]) {
    let again = Engine::builder()
        .clock(clock(chain.now()))
        .open(store.open().unwrap())
        .unwrap();
    let held = again.head().unwrap().height;
    let rest = outcomes(&again, blocks);
    let old = rest
        .iter()
        .filter(|outcome| matches!(outcome, Outcome::Held { .. }));
    assert_eq!(old.count() as u64, held);
    assert_eq!(rest.len(), blocks.len());
    assert_eq!(again.head().unwrap().hash(), chain.last().hash());
    again.shutdown().unwrap();
}

#[test]
fn a_failing_store_is_an_error_for_everybody_and_loses_nothing_acknowledged() {
    let (chain, blocks) = messages(30, 4);
    let blocks = encoded(&blocks);
    for appends_left in [1, 2, 5] {
        let store = reopenable();
        let Store { reader, writer } = store.open().unwrap();
        let writer = Box::new(Failing {
            writer,
            appends_left,
        });
        let builder = Engine::builder().threads(2).settings(|settings| {
            settings.parcel_blocks = 2;
            settings.group_blocks = 2;
        });
        let engine = builder
            .clock(clock(chain.now()))
            .create(Store { reader, writer }, chain.spec())
            .unwrap();
        let mut acknowledged = 0;
        let mut failed = false;
        for outcome in engine.import(blocks.iter().cloned()) {
            match outcome {
                Ok(Outcome::Committed { height, .. }) => acknowledged = height,
                Ok(other) => panic!("{other:?}"),
                Err(EngineError::Ledger(_)) => failed = true,
                Err(other) => panic!("{other}"),
            }
        }
        assert!(failed);
        assert!(engine.offer(blocks[..1].to_vec(), WhenFull::Wait).is_err());
        assert!(engine.wait_committed(1_000, Durability::Memory).is_err());
        assert!(matches!(engine.shutdown(), Err(EngineError::Ledger(_))));
        drop(engine);
        let held = store.open().unwrap().reader.extent().unwrap().end;
        assert_eq!(held, acknowledged + 1, "what was acknowledged is there");
        goes_on(&store, &chain, &blocks);
    }
}

#[test]
fn a_stage_that_panics_is_an_error_and_not_lost() {
    let (chain, blocks) = messages(20, 3);
    let blocks = encoded(&blocks);
    for stage in Stage::ALL {
        for after in [0, 3] {
            let store = reopenable();
            let calls = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&calls);
            let probe = Arc::new(move |at| {
                if at == stage && counted.fetch_add(1, Ordering::Relaxed) == after {
                    panic!("a test's panic");
                }
            });
            let builder = Engine::builder().threads(2).probe(probe);
            let builder = builder.settings(|settings| {
                settings.parcel_blocks = 1;
                settings.group_blocks = 1;
            });
            let engine = engine(&chain, &store, builder);
            let last = engine.import(blocks.iter().cloned()).last().unwrap();
            match last {
                Err(EngineError::Panicked { stage: at, message }) => {
                    assert_eq!((at, message.as_str()), (stage, "a test's panic"));
                }
                // One turn may have taken all parcels through a stage.
                Ok(Outcome::Committed { .. })
                    if (1..=after).contains(&calls.load(Ordering::Relaxed)) =>
                {
                    continue;
                }
                other => panic!("{stage}: {other:?}"),
            }
            assert!(engine.shutdown().is_err());
            drop(engine);
            goes_on(&store, &chain, &blocks);
        }
    }
}

#[test]
fn an_import_that_is_dropped_at_any_moment_leaves_a_prefix_and_room_for_others() {
    let (chain, blocks) = messages(40, 3);
    let blocks = encoded(&blocks);
    let store = reopenable();
    let builder = Engine::builder().threads(2).settings(|settings| {
        settings.parcel_blocks = 3;
        settings.memory_bytes = 1 << 20;
        settings.probe = Some(delays(3, Duration::from_micros(200)));
    });
    let engine = engine(&chain, &store, builder);
    for taken in [0, 1, 4, 9, 17] {
        let mut import = engine.import(blocks.iter().cloned());
        for _ in 0..taken {
            assert!(!matches!(
                import.next(),
                Some(Ok(Outcome::Rejected(_)) | Err(_)) | None
            ));
        }
        drop(import);
    }
    let rest = outcomes(&engine, &blocks);
    assert_eq!(rest.len(), blocks.len());
    assert_eq!(engine.head().unwrap().hash(), chain.last().hash());
    engine.shutdown().unwrap();
}

#[test]
fn shutting_down_finishes_what_was_taken_in_and_refuses_the_rest() {
    let (chain, blocks) = messages(20, 3);
    let store = reopenable();
    let builder = Engine::builder()
        .threads(2)
        .probe(delays(1, Duration::from_micros(500)));
    let engine = engine(&chain, &store, builder);
    let tickets: Vec<_> = encoded(&blocks)
        .chunks(4)
        .map(|blocks| engine.offer(blocks.to_vec(), WhenFull::Wait).unwrap())
        .collect();
    let receipt = engine.shutdown().unwrap();
    assert_eq!(receipt.end, 21);
    for ticket in tickets {
        assert_eq!(ticket.wait().unwrap().len(), 4);
    }
    let refused = engine.offer(encoded(&blocks[..1]), WhenFull::Wait);
    assert!(matches!(refused, Err(EngineError::Stopped)));
    assert!(matches!(engine.shutdown(), Err(EngineError::Stopped)));
    assert!(engine.sync().is_err());
    assert_eq!(engine.head().unwrap().height, 20, "reading goes on");
}
