//! An upgrade that ends at any of its writes: the chain is under the earlier specification or the next one, and opens with either.

use std::sync::{Arc, Mutex};

use hubledger::engine::verify_store;
use hubledger::ledger::{Ledger, UpgradeError};
use hubledger_storage::{
    Block, BlockWriter, Durability, Error, MemoryStore, Part, Position, PruneReceipt, Receipt,
    Result, Store, TableCommit, TableReceipt, TableWriter,
};

use super::{extend, follow, go_on, succeeded};
use crate::common::clock;
use crate::places::chain;

/// What was asked of a store, and how much of it is still done before the process ends.
#[derive(Clone)]
struct Writes(Arc<Mutex<(Vec<String>, usize)>>);

impl Writes {
    fn until(left: usize) -> Self {
        Self(Arc::new(Mutex::new((Vec::new(), left))))
    }

    fn note(&self, operation: String) -> Result<()> {
        let mut held = self.0.lock().unwrap();
        let (done, left) = &mut *held;
        if *left == 0 {
            return Err(Error::Poisoned {
                operation: "write",
                earlier: "write",
                path: "memory:".into(),
            });
        }
        *left -= 1;
        done.push(operation);
        Ok(())
    }

    fn done(&self) -> Vec<String> {
        self.0.lock().unwrap().0.clone()
    }
}

/// A store of which nothing more is written once the process has ended.
fn ending(store: Store, writes: &Writes) -> Store {
    Store {
        reader: store.reader,
        writer: Box::new(Ending(store.writer, writes.clone())),
        tables: Box::new(EndingTables(store.tables, writes.clone())),
    }
}

struct Ending(Box<dyn BlockWriter>, Writes);

impl BlockWriter for Ending {
    fn append(&mut self, run: &[Block], durability: Durability) -> Result<Receipt> {
        self.1.note("append".to_owned())?;
        self.0.append(run, durability)
    }

    fn truncate(&mut self, above: u64) -> Result<()> {
        self.1.note("truncate".to_owned())?;
        self.0.truncate(above)
    }

    fn replace(&mut self, above: u64, run: &[Block], durability: Durability) -> Result<Receipt> {
        self.1.note("replace".to_owned())?;
        self.0.replace(above, run, durability)
    }

    fn prune(&mut self, part: Part, below: u64, limit: u64) -> Result<PruneReceipt> {
        self.1.note("prune".to_owned())?;
        self.0.prune(part, below, limit)
    }

    fn put_named_value(&mut self, key: &str, value: &[u8], durability: Durability) -> Result<()> {
        self.1.note(format!("put {key} {durability}"))?;
        self.0.put_named_value(key, value, durability)
    }

    fn sync(&mut self) -> Result<Receipt> {
        self.1.note("sync".to_owned())?;
        self.0.sync()
    }
}

struct EndingTables(Box<dyn TableWriter>, Writes);

impl TableWriter for EndingTables {
    fn commit(
        &mut self,
        set: &str,
        commit: &TableCommit,
        durability: Durability,
    ) -> Result<TableReceipt> {
        self.1.note(format!("commit {set}"))?;
        self.0.commit(set, commit, durability)
    }

    fn undo(&mut self, set: &str, height: u64) -> Result<Option<Position>> {
        self.1.note(format!("undo {set}"))?;
        self.0.undo(set, height)
    }

    fn remove(&mut self, set: &str) -> Result<()> {
        self.1.note(format!("remove {set}"))?;
        self.0.remove(set)
    }

    fn sync(&mut self) -> Result<()> {
        self.1.note("sync tables".to_owned())?;
        self.0.sync()
    }
}

/// Begins an upgrade in a process that ends after so many writes; gives those, and whether it came to its end.
fn cut_short(memory: &MemoryStore, left: usize) -> (Vec<String>, bool) {
    let first = chain(12);
    let second = succeeded(&first);
    let writes = Writes::until(usize::MAX);
    let store = ending(memory.open().unwrap(), &writes);
    let mut ledger = Ledger::create(store, first.spec(), clock(first.now())).unwrap();
    for block in &first.blocks[1..] {
        ledger.stage(block).unwrap();
    }
    *writes.0.lock().unwrap() = (Vec::new(), left);
    let outcome = ledger.upgrade(second.spec());
    let is_whole = match outcome {
        Ok(_) => true,
        Err(UpgradeError::Ledger(_)) => false,
        Err(error) => panic!("{error}"),
    };
    (writes.done(), is_whole)
}

#[test]
fn an_upgrade_that_ends_anywhere_leaves_the_one_specification_or_the_other() {
    let first = chain(12);
    let (mut earlier, mut later) = (0, 0);
    for left in 0.. {
        let memory = MemoryStore::new();
        let (_, is_whole) = cut_short(&memory, left);
        let mut second = succeeded(&first);
        let reader = Arc::new(memory.clone());
        let report = verify_store(reader, second.now(), &mut go_on).unwrap();
        assert!(report.rejected.is_none(), "{:?}", report.rejected);
        let mut ledger = Ledger::open(memory.open().unwrap(), clock(second.now())).unwrap();
        if ledger.spec() == first.spec() {
            earlier += 1;
            // What was staged may be committed or not, as ever.
            follow(&mut ledger, &first);
            ledger = ledger.upgrade(second.spec()).unwrap();
        } else {
            later += 1;
        }
        assert_eq!(ledger.spec(), second.spec());
        assert_eq!(ledger.state(), second.state());
        extend(&mut second, 2);
        follow(&mut ledger, &second);
        if is_whole {
            break;
        }
    }
    assert!(earlier > 3 && later > 1, "{earlier} and {later}");
}

#[test]
fn all_that_is_pinned_is_on_the_disk_before_the_specification_is() {
    let (done, is_whole) = cut_short(&MemoryStore::new(), usize::MAX);
    assert!(is_whole);
    let place = |operation: &str| done.iter().position(|one| one == operation).unwrap();
    let put = place("put spec disk");
    assert!(
        place("append") < put && place("put state os") < put,
        "{done:?}"
    );
    assert_eq!(done[put - 2..put], ["sync", "sync tables"], "{done:?}");
}
