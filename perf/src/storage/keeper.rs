//! An open store of blocks, as far as it is measured.

use anyhow::Result;
use hubledger_storage::{Block, Id};

use super::workload::Place;

/// An open store of blocks, as far as it is measured.
pub(crate) trait Keeper {
    /// Appends a run as one commit, and returns once it has the durability that the keeper was opened with.
    fn append(&mut self, run: &[Block]) -> Result<()>;

    /// Where a transaction is, by its id.
    fn locate(&self, key: &Id) -> Result<Option<Place>>;

    /// Waits until nothing goes on in the background, and closes.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// Whether a peer keeps ids of transactions, or blocks alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Index {
    None,
    Ids,
}

impl Index {
    pub(super) fn is_kept(self) -> bool {
        self == Self::Ids
    }
}
