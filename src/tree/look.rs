//! What a tree of branches can be asked for.

use std::cmp::Reverse;
use std::collections::HashSet;

use super::fork_tree::{ForkTree, SideBranch};
use super::side_changes::SideChanges;
use super::{Branch, Source};
use crate::format::digest::BlockHash;
use crate::format::model::Block;

impl ForkTree {
    /// The chain, by its last block.
    #[must_use]
    pub fn best(&self) -> Branch {
        self.last().branch
    }

    /// Height of the last final block.
    #[must_use]
    pub fn final_height(&self) -> u64 {
        self.first().branch.height
    }

    /// The chain from the last final block on, each of its blocks as the end of a branch.
    pub fn chain(&self) -> impl Iterator<Item = Branch> {
        self.trunk.iter().map(|node| node.branch)
    }

    /// The branch that ends in a block, which is in the chain or beside it.
    #[must_use]
    pub fn branch_to(&self, hash: &BlockHash) -> Option<Branch> {
        self.node(hash).map(|node| node.branch)
    }

    /// All blocks at a height, each as the end of a branch: the chain's first, then the others, the best first. None below the last final one.
    #[must_use]
    pub fn fork_at(&self, height: u64) -> Vec<Branch> {
        let in_chain = self.chain().filter(|block| block.height == height);
        let sides = self.side.values().map(|side| side.node.branch);
        let mut beside: Vec<Branch> = sides.filter(|block| block.height == height).collect();
        beside.sort_unstable_by_key(|block| Reverse(*block));
        in_chain.chain(beside).collect()
    }

    /// The branches beside the chain, the best one first.
    #[must_use]
    pub fn branches(&self) -> Vec<SideBranch> {
        let sides = self.side.values();
        let parents: HashSet<BlockHash> =
            sides.map(|side| side.node.header.previous_hash).collect();
        let leaves = self.side.iter().filter(|(hash, _)| !parents.contains(hash));
        let mut branches: Vec<SideBranch> = leaves
            .filter_map(|(hash, side)| {
                Some(SideBranch {
                    branch: side.node.branch,
                    common: self.common_with_chain(hash)?,
                })
            })
            .collect();
        branches.sort_unstable_by_key(|side| Reverse(side.branch));
        branches
    }

    /// A block beside the chain.
    #[must_use]
    pub fn side_block(&self, hash: &BlockHash) -> Option<&Block> {
        self.side.get(hash).map(|side| &side.block)
    }

    /// All blocks beside the chain, in no order.
    pub fn side_blocks(&self) -> impl Iterator<Item = &Block> + Clone {
        self.side.values().map(|side| &side.block)
    }

    /// Which blocks came beside the chain, and which went from there, since this was called last. O(those).
    pub(crate) fn take_side_changes(&mut self) -> SideChanges {
        std::mem::take(&mut self.side_changes)
    }

    /// Blocks whose parent is missing.
    #[must_use]
    pub fn orphans(&self) -> usize {
        self.orphans.len()
    }

    /// Orphans of one source.
    #[must_use]
    pub fn orphans_of(&self, source: Source) -> usize {
        self.orphans.count_of(source)
    }

    /// Bytes of orphans and of blocks beside the chain, roughly.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.orphans.bytes() + self.side_bytes
    }

    /// The last block that two blocks have in common, each in the chain or beside it; it may be one of them. `None` if one isn't known.
    #[must_use]
    pub fn common_ancestor(&self, a: &BlockHash, b: &BlockHash) -> Option<BlockHash> {
        let (mut a, mut b) = (self.node(a)?, self.node(b)?);
        while a.branch.head != b.branch.head {
            // The higher one, so that none is passed by.
            let higher = match a.branch.height >= b.branch.height {
                true => &mut a,
                false => &mut b,
            };
            *higher = self.node(&higher.header.previous_hash)?;
        }
        Some(a.branch.head)
    }

    fn common_with_chain(&self, hash: &BlockHash) -> Option<u64> {
        let mut at = *hash;
        while let Some(side) = self.side.get(&at) {
            at = side.node.header.previous_hash;
        }
        self.height_in_chain(&at)
    }
}
