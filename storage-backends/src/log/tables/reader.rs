//! The reading half.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::shared::TableShared;
use super::view::Snapshot;
use crate::{KeyRange, Position, RangeLimit, Result, Row, TableReader, TableView};

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

impl<H: Clone + Send + Sync + 'static> TableReader for LogTableReader<H> {
    fn sets(&self) -> Result<Vec<String>> {
        (self.check)(&self.hold)?;
        Ok(self.shared.read()?.sets.keys().cloned().collect())
    }

    fn view(&self, set: &str) -> Result<Arc<dyn TableView>> {
        (self.check)(&self.hold)?;
        Ok(Arc::new(HeldView {
            snapshot: self.shared.snapshot(set)?,
            _hold: self.hold.clone(),
        }))
    }
}

/// A view that keeps the store open in this process. Its runs may have been merged, and their files go with it: opened anew, the store would
/// take these for what a crash left, and could give their names to others, which would go then.
struct HeldView<H> {
    snapshot: Arc<Snapshot>,
    _hold: H,
}

impl<H: Send + Sync> TableView for HeldView<H> {
    fn position(&self) -> Option<Position> {
        self.snapshot.position()
    }

    fn get(&self, table: u8, key: &[u8]) -> Result<Option<Bytes>> {
        self.snapshot.get(table, key)
    }

    fn range(&self, table: u8, range: &KeyRange, limit: RangeLimit) -> Result<Vec<Row>> {
        self.snapshot.range(table, range, limit)
    }
}
