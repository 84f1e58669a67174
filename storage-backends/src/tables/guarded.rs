//! The writer of tables that failure poisons: one for all backends, under a latch of its own, so that a failure to write blocks leaves
//! it usable.

use std::path::PathBuf;

use crate::toolbox::guarded::Latch;
use crate::{Durability, Position, Result, TableCommit, TableReceipt, TableWriter};

/// A backend's writer of tables, which is only given out as a [`GuardedTables`] one.
pub(crate) trait UnguardedTables: TableWriter {
    /// The last mutation, when the writer goes.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Runs the mutations of a writer of tables until one fails.
#[derive(Debug)]
pub(crate) struct GuardedTables<W: UnguardedTables> {
    latch: Latch,
    writer: W,
}

impl<W: UnguardedTables> GuardedTables<W> {
    /// Guards the writer of the store at `path`, which is for error messages only.
    pub(crate) fn over(path: PathBuf, writer: W) -> Self {
        Self {
            latch: Latch::new(path),
            writer,
        }
    }
}

impl<W: UnguardedTables> TableWriter for GuardedTables<W> {
    fn commit(
        &mut self,
        set: &str,
        commit: &TableCommit,
        durability: Durability,
    ) -> Result<TableReceipt> {
        let writer = &mut self.writer;
        self.latch
            .guard("commit", || writer.commit(set, commit, durability))
    }

    fn undo(&mut self, set: &str, height: u64) -> Result<Option<Position>> {
        let writer = &mut self.writer;
        self.latch.guard("undo", || writer.undo(set, height))
    }

    fn remove(&mut self, set: &str) -> Result<()> {
        let writer = &mut self.writer;
        self.latch.guard("remove", || writer.remove(set))
    }

    fn sync(&mut self) -> Result<()> {
        let writer = &mut self.writer;
        self.latch.guard("sync", || writer.sync())
    }
}

impl<W: UnguardedTables> Drop for GuardedTables<W> {
    fn drop(&mut self) {
        let writer = &mut self.writer;
        let closed = self.latch.guard("close", || writer.close());
        // The failure that poisoned the writer was returned to its caller already.
        if let Err(error) = closed
            && !error.is_poisoned()
        {
            tracing::warn!(%error, "closing tables without a sync");
        }
    }
}
