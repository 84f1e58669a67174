//! From where a peer lacks something, and what nodes say of themselves.

use hubledger::digest::BlockHash;
use hubledger::ledger::{ChainReader, Position};

use super::rows::{Stated, TABLE_STATES, state_key};
use super::view::damaged;
use crate::view::{AsOf, Result, Snapshot};

/// Hashes that a peer may name at once.
const NAMED_MAX: usize = 64;

/// State updates as of one block, with the chain that the transactions are read from.
#[derive(Clone)]
pub struct Updates {
    pub(super) snapshot: Snapshot,
    pub(super) chain: ChainReader,
}

impl std::fmt::Debug for Updates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Updates")
            .field("snapshot", &self.snapshot)
            .finish_non_exhaustive()
    }
}

impl Updates {
    /// Over a snapshot of the [view](super::UpdatesView) and its chain.
    #[must_use]
    pub const fn new(snapshot: Snapshot, chain: ChainReader) -> Self {
        Self { snapshot, chain }
    }

    /// After which block the answers are right.
    #[must_use]
    pub const fn as_of(&self) -> Option<AsOf> {
        self.snapshot.as_of()
    }

    /// The last block that a peer has in common with this chain. It names blocks that it has, the latest first; at most 64 of them are looked at, so that one
    /// whose branch nobody here knows any more names some far below. A block that was replaced leads to where its branch began, if `common` knows it:
    /// that tells the last block which a block and the chain's last one have in common, as `Engine::common_ancestor` and
    /// `ForkTree::common_ancestor` do. `None` if all are unknown: then it lacks everything.
    ///
    /// # Errors
    /// The store failed.
    pub fn base(
        &self,
        named: &[BlockHash],
        common: &dyn Fn(&BlockHash) -> Option<BlockHash>,
    ) -> Result<Option<Position>> {
        let Some(as_of) = self.as_of() else {
            return Ok(None);
        };
        for hash in named.iter().take(NAMED_MAX) {
            if let Some(height) = self.chain.height_of(hash)? {
                // The chain may have grown since the snapshot: of what is above, the peer lacks nothing here.
                return self.at(height.min(as_of.height));
            }
            if let Some(common) = common(hash)
                && let Some(height) = self.chain.height_of(&common)?
            {
                return self.at(height.min(as_of.height));
            }
        }
        Ok(None)
    }

    /// The block of the chain at a height.
    fn at(&self, height: u64) -> Result<Option<Position>> {
        let hash = self.chain.hash_at(height)?;
        Ok(hash.map(|hash| Position { height, hash }))
    }

    /// What a node last said of its state in one respect. O(log rows).
    ///
    /// # Errors
    /// The store failed; a damaged row.
    pub fn state(&self, node: &str, update_type: &str) -> Result<Option<Stated>> {
        let Some(key) = state_key(node, update_type) else {
            return Ok(None);
        };
        let row = self.snapshot.get(TABLE_STATES, &key)?;
        let stated = row.map(|row| Stated::decode(&row)).transpose();
        stated.map_err(|error| damaged(TABLE_STATES, error))
    }
}
