//! The writer of tables that failure poisons: one for all backends, under a latch of its own, so that a failure to write blocks leaves
//! it usable.

use std::path::PathBuf;

use crate::toolbox::guarded::Latch;
use crate::{Durability, Position, Result, TableCommit, TableReceipt, TableWriter};

/// Runs the mutations of a writer of tables until one fails.
#[derive(Debug)]
pub(crate) struct GuardedTables<W> {
    latch: Latch,
    writer: W,
}

impl<W: TableWriter> GuardedTables<W> {
    /// Guards the writer of the store at `path`, which is for error messages only.
    pub(crate) fn over(path: PathBuf, writer: W) -> Self {
        Self {
            latch: Latch::new(path),
            writer,
        }
    }
}

impl<W: TableWriter> TableWriter for GuardedTables<W> {
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
