//! What changed of the blocks beside the chain, for whoever keeps them.
//!
//! Invariant: bounded by what is beside the chain and what was when it was taken last, whether anybody takes it or not: a block that came and went
//! between leaves nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::format::digest::BlockHash;
use crate::format::model::Block;

/// A block by its height and hash, so that none comes before the one that it follows.
pub(crate) type BlockKey = (u64, BlockHash);

/// See the [module](self). Clones of blocks are cheap.
#[derive(Debug, Default)]
pub(crate) struct SideChanges {
    /// Blocks that came …
    pub(crate) came: BTreeMap<BlockKey, Block>,
    /// … and that went.
    pub(crate) went: BTreeSet<BlockKey>,
}

impl SideChanges {
    /// Whether nothing changed.
    pub(crate) fn is_empty(&self) -> bool {
        self.came.is_empty() && self.went.is_empty()
    }

    pub(super) fn came(&mut self, block: &Block) {
        let key = (block.height(), block.hash());
        if !self.went.remove(&key) {
            self.came.insert(key, block.clone());
        }
    }

    /// A block that nobody has taken yet is another one, but for its hash.
    pub(super) fn resealed(&mut self, block: &Block) {
        if let Some(held) = self.came.get_mut(&(block.height(), block.hash())) {
            *held = block.clone();
        }
    }

    pub(super) fn went(&mut self, block: &Block) {
        let key = (block.height(), block.hash());
        if self.came.remove(&key).is_none() {
            self.went.insert(key);
        }
    }
}
