//! A store whose tables fail at a write.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use hubledger_storage::{
    Durability, Error, Position, Result, Store, TableCommit, TableReceipt, TableWriter,
};

/// How many writes succeed before one fails, times two; an odd number lets that one be done first, without its being acknowledged.
#[derive(Debug, Clone)]
pub struct Countdown(Arc<AtomicI64>);

impl Default for Countdown {
    /// None fails.
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(i64::MAX)))
    }
}

impl Countdown {
    /// From now on.
    pub fn set(&self, writes: i64) {
        self.0.store(writes, Ordering::Relaxed);
    }

    /// None fails from now on.
    pub fn never(&self) {
        self.set(i64::MAX);
    }

    fn around<T>(&self, write: impl FnOnce() -> Result<T>) -> Result<T> {
        let left = self.0.fetch_sub(2, Ordering::Relaxed);
        let failed = Err(Error::Io {
            operation: "write",
            path: "views".into(),
            source: std::io::ErrorKind::StorageFull.into(),
        });
        match left {
            ..=0 => failed,
            1 => write().and(failed),
            _ => write(),
        }
    }
}

struct Failing(Box<dyn TableWriter>, Countdown);

impl TableWriter for Failing {
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

/// The store, whose tables fail when the countdown is at its end.
#[must_use]
pub fn failing(store: Store, countdown: &Countdown) -> Store {
    Store {
        tables: Box::new(Failing(store.tables, countdown.clone())),
        ..store
    }
}
