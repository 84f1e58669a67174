//! Tables of a log: not kept yet, and refused.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::{
    Durability, Error, Position, Result, TableCommit, TableReader, TableReceipt, TableView,
    TableWriter,
};

/// Both halves, which refuse everything.
pub(super) struct NoTables(pub(super) PathBuf);

impl NoTables {
    fn refuse<T>(&self, operation: &'static str) -> Result<T> {
        let reason = "a log keeps no tables";
        let source = io::Error::new(io::ErrorKind::Unsupported, reason);
        Err(Error::system(operation, &self.0, source))
    }
}

impl TableReader for NoTables {
    fn sets(&self) -> Result<Vec<String>> {
        self.refuse("list")
    }

    fn view(&self, _: &str) -> Result<Arc<dyn TableView>> {
        self.refuse("read")
    }
}

impl TableWriter for NoTables {
    fn commit(&mut self, _: &str, _: &TableCommit, _: Durability) -> Result<TableReceipt> {
        self.refuse("commit")
    }

    fn undo(&mut self, _: &str, _: u64) -> Result<Option<Position>> {
        self.refuse("undo")
    }

    fn remove(&mut self, _: &str) -> Result<()> {
        self.refuse("remove")
    }

    fn sync(&mut self) -> Result<()> {
        self.refuse("sync")
    }
}
