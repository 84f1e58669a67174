//! The reading half.

use std::fmt;
use std::sync::Arc;

use super::shared::TableShared;
use crate::{Result, TableReader, TableView};

/// Reads the tables of one open store. `H` is what keeps the store open in this process.
pub(in super::super) struct LogTableReader<H> {
    shared: Arc<TableShared>,
    hold: H,
    check: fn(&H) -> Result<()>,
}

impl<H> LogTableReader<H> {
    /// `check` fails if another process may be writing.
    pub(in super::super) fn new(
        shared: &Arc<TableShared>,
        hold: H,
        check: fn(&H) -> Result<()>,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            hold,
            check,
        }
    }
}

impl<H> fmt::Debug for LogTableReader<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogTableReader").finish_non_exhaustive()
    }
}

impl<H: Send + Sync> TableReader for LogTableReader<H> {
    fn sets(&self) -> Result<Vec<String>> {
        (self.check)(&self.hold)?;
        Ok(self.shared.read()?.sets.keys().cloned().collect())
    }

    fn view(&self, set: &str) -> Result<Arc<dyn TableView>> {
        (self.check)(&self.hold)?;
        Ok(self.shared.snapshot(set)?)
    }
}
