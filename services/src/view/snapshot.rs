//! Reading a view, while it goes on.

use std::sync::Arc;

use bytes::Bytes;
use hubledger::digest::BlockHash;
use hubledger_storage::{KeyRange, RangeLimit, Row, TableReader, TableView};

use super::Result;
use super::kept::Origin;

/// After which block an answer is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsOf {
    /// Height of the block.
    pub height: u64,
    /// Its hash.
    pub hash: BlockHash,
    /// The lowest height that the view has seen; 0 if all. Of what happened below, it knows nothing.
    pub seen_from: u64,
}

/// One moment of a view: all that is read from it is as of one block.
#[derive(Clone)]
pub struct Snapshot {
    view: Arc<dyn TableView>,
    as_of: Option<AsOf>,
}

impl Snapshot {
    /// After which block its answers are right; `None` before the first block.
    #[must_use]
    pub const fn as_of(&self) -> Option<AsOf> {
        self.as_of
    }

    /// The value of a key.
    ///
    /// # Errors
    /// The store failed.
    pub fn get(&self, table: u8, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.view.get(table, key)?)
    }

    /// Rows of a table.
    ///
    /// # Errors
    /// The store failed.
    pub fn range(&self, table: u8, range: &KeyRange, limit: RangeLimit) -> Result<Vec<Row>> {
        Ok(self.view.range(table, range, limit)?)
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("as_of", &self.as_of)
            .finish_non_exhaustive()
    }
}

/// Reads a view from any thread. Clones are cheap; readers don't wait for whoever runs the views.
#[derive(Clone)]
pub struct ViewReader {
    tables: Arc<dyn TableReader>,
    name: &'static str,
}

impl ViewReader {
    /// Of the view of this name in the tables of a store.
    #[must_use]
    pub fn new(tables: Arc<dyn TableReader>, name: &'static str) -> Self {
        Self { tables, name }
    }

    /// The view as it is now. O(1) or nearly so.
    ///
    /// # Errors
    /// The store failed; a damaged row.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let view = self.tables.view(&super::kept::set_of(self.name))?;
        let origin = Origin::read(self.name, &*view)?;
        let as_of = view.position().map(|position| AsOf {
            height: position.height,
            hash: BlockHash(position.id),
            seen_from: origin.map_or(0, |origin| origin.seen_from),
        });
        Ok(Snapshot { view, as_of })
    }
}

impl std::fmt::Debug for ViewReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ViewReader").field(&self.name).finish()
    }
}
