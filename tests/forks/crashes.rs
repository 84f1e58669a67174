//! A store that fails at any of its writes, before or after it is done: what is opened again is the chain from before or from after the block
//! that was offered, and nothing between.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use hubledger::ledger::Ledger;
use hubledger::tree::Source;
use hubledger_storage::{
    Block, BlockWriter, Durability, Error, Part, Position, PruneReceipt, Receipt, Result, Store,
    TableCommit, TableReceipt, TableWriter,
};

use crate::common::best_branch::{Model, assert_same, assert_stored};
use crate::common::branches::World;
use crate::common::{Numbers, clock};
use crate::places::Place;

/// How many writes succeed before one fails, times two; an odd number lets that one be done first.
#[derive(Clone)]
pub(crate) struct Countdown(Arc<AtomicI64>);

impl Countdown {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(i64::MAX)))
    }

    pub(crate) fn set(&self, writes: i64) {
        self.0.store(writes, Ordering::Relaxed);
    }

    pub(crate) fn never(&self) {
        self.set(i64::MAX);
    }

    fn around<T>(&self, write: impl FnOnce() -> Result<T>) -> Result<T> {
        let left = self.0.fetch_sub(2, Ordering::Relaxed);
        let failed = Err(Error::Io {
            operation: "write",
            path: "store".into(),
            source: std::io::ErrorKind::StorageFull.into(),
        });
        match left {
            ..=0 => failed,
            1 => write().and(failed),
            _ => write(),
        }
    }
}

struct Failing<W>(W, Countdown);

impl BlockWriter for Failing<Box<dyn BlockWriter>> {
    fn append(&mut self, run: &[Block], durability: Durability) -> Result<Receipt> {
        self.1.around(|| self.0.append(run, durability))
    }

    fn truncate(&mut self, above: u64) -> Result<()> {
        self.1.around(|| self.0.truncate(above))
    }

    fn replace(&mut self, above: u64, run: &[Block], durability: Durability) -> Result<Receipt> {
        self.1.around(|| self.0.replace(above, run, durability))
    }

    fn prune(&mut self, part: Part, below: u64, limit: u64) -> Result<PruneReceipt> {
        self.1.around(|| self.0.prune(part, below, limit))
    }

    fn put_named_value(&mut self, key: &str, value: &[u8], durability: Durability) -> Result<()> {
        self.1
            .around(|| self.0.put_named_value(key, value, durability))
    }

    fn sync(&mut self) -> Result<Receipt> {
        self.1.around(|| self.0.sync())
    }
}

impl TableWriter for Failing<Box<dyn TableWriter>> {
    fn commit(
        &mut self,
        set: &str,
        commit: &TableCommit,
        durability: Durability,
    ) -> Result<TableReceipt> {
        self.1.around(|| self.0.commit(set, commit, durability))
    }

    fn undo(&mut self, set: &str, height: u64) -> Result<Option<Position>> {
        self.1.around(|| self.0.undo(set, height))
    }

    fn remove(&mut self, set: &str) -> Result<()> {
        self.1.around(|| self.0.remove(set))
    }

    fn sync(&mut self) -> Result<()> {
        self.1.around(|| self.0.sync())
    }
}

pub(crate) fn failing(store: Store, countdown: &Countdown) -> Store {
    Store {
        reader: store.reader,
        writer: Box::new(Failing(store.writer, countdown.clone())),
        tables: Box::new(Failing(store.tables, countdown.clone())),
    }
}

#[test]
fn a_failed_write_leaves_the_chain_from_before_or_from_after() {
    let (mut failures, mut were_done) = (0, 0);
    for seed in 0..6 {
        let place = Place::new(["memory", "log", "sqlite"][seed as usize % 3]).unwrap();
        let mut numbers = Numbers(100 + seed);
        let mut world = World::new([2, 5][seed as usize % 2], 1);
        world.grow(&mut numbers, 60, 15);
        let mut model = Model::new(&world);
        let source = Source::of("somebody");
        drop(Ledger::create(place.open(), world.spec(), clock(world.now())).unwrap());
        let countdown = Countdown::new();
        let open = || Ledger::open(failing(place.open(), &countdown), clock(world.now())).unwrap();
        let mut ledger = open();
        for block in &world.blocks {
            countdown.set(numbers.below(9) as i64);
            let before = model.head;
            let blocks_before = model.blocks();
            let offered = ledger.offer(block, source);
            model.take(block);
            countdown.never();
            if offered.is_err() {
                failures += 1;
                drop(ledger);
                ledger = open();
                let head = ledger.state().head();
                assert!(head == before || head == model.head, "{place}");
                let is_done = head != before;
                were_done += usize::from(is_done);
                let expected = if is_done {
                    model.blocks()
                } else {
                    blocks_before
                };
                assert_stored(&ledger.reader(), expected);
                // Whoever had it offers it again.
                ledger.offer(block, source).unwrap();
            }
            assert_same(&mut ledger, &model);
        }
    }
    assert!(failures > 50 && were_done > 10, "{failures} {were_done}");
}
