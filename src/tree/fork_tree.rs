//! The branches that a chain could go on with: the best one from its last final block on, those beside it, and blocks whose parent is
//! missing. A value that is told what came and says what to do; who [drives](crate::ledger::Ledger::offer) it has the store and the state.
//!
//! Invariants:
//! - `trunk` is the best chain from the last final block to the last one, each block the parent of the next;
//! - each side block's parent is a side block or in the trunk, so that all of them could still become the chain;
//! - a side block obeys all rules that can be told from headers, its body is that of its header, and its seal is right. What only the state could
//!   tell is judged when its branch is the best;
//! - everything is bounded ([`ForkBounds`]), and what is thrown out doesn't depend on the order of a hash table.

use std::collections::{HashMap, VecDeque};

use super::invalid::Invalid;
use super::orphans::{Orphans, bytes_of};
use super::other_seals::OtherSeals;
use super::side_changes::SideChanges;
use super::{Branch, ForkBounds, Source};
use crate::consensus;
use crate::format::digest::BlockHash;
use crate::format::merkle::{Frontier, history_leaf};
use crate::format::model::{Block, Header, Seal};
use crate::format::rejection::{Fault, Reason, Rejected};
use crate::format::signature::Verifier;
use crate::format::spec::ChainSpec;
use crate::rules::Prepared;
use crate::rules::headers::{self, Parent};

/// What became of a block that was offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offered {
    /// It is on a branch that is better than the chain: see [`ForkTree::better`].
    Better,
    /// It is on a branch that isn't.
    Aside,
    /// Its parent isn't known, and may still come.
    Orphan,
    /// It is known, in the chain or beside it.
    Known,
    /// It breaks a rule, follows a block that does, or would replace what is final.
    Refused(Rejected),
    /// There is no room for it; it may come again.
    NoRoom,
}

/// A branch that is better than the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Better {
    /// Height of the last block that it has in common with the chain: the chain's last one if it only goes on from there.
    pub common: u64,
    /// Its own blocks, from `common + 1` on.
    pub blocks: Vec<Block>,
}

/// A branch beside the chain, by its last block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SideBranch {
    /// The branch.
    pub branch: Branch,
    /// Height of the last block that it has in common with the chain.
    pub common: u64,
}

/// A block's place in the tree.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) header: Header,
    pub(super) branch: Branch,
    /// The tree over the hashes of all blocks up to this one.
    history: Frontier,
}

impl Node {
    fn after(&self, spec: &ChainSpec, header: &Header) -> Self {
        let mut history = self.history.clone();
        history.push(history_leaf(&header.hash()));
        Self {
            header: header.clone(),
            branch: self.branch.with(spec, header),
            history,
        }
    }
}

#[derive(Debug)]
pub(super) struct Side {
    pub(super) node: Node,
    pub(super) block: Block,
}

/// The chain from its last final block on, the branches beside it, and blocks whose parent is missing. It is told what came, and says what
/// to do; [`Ledger::offer`](crate::ledger::Ledger::offer) does it. Each side block obeys all rules that can be told from headers; what only
/// the state could tell is judged when its branch is the best. Everything is bounded by [`ForkBounds`].
#[derive(Debug)]
pub struct ForkTree {
    spec: ChainSpec,
    bounds: ForkBounds,
    /// Never empty.
    pub(super) trunk: VecDeque<Node>,
    /// The heights of its blocks.
    heights: HashMap<BlockHash, u64>,
    pub(super) side: HashMap<BlockHash, Side>,
    pub(super) side_bytes: u64,
    /// What changed of it since somebody asked last.
    pub(super) side_changes: SideChanges,
    pub(super) orphans: Orphans,
    /// Blocks of the chain that orphans waited for, which didn't come by [`ForkTree::offer`]: theirs is looked at with the next block that does.
    awaited: Vec<BlockHash>,
    invalid: Invalid,
    /// Blocks that came under a seal that was found wrong, and those that followed them: they may be valid, and come again.
    unsealed: Invalid,
    /// Of blocks beside the chain and of orphans.
    other_seals: OtherSeals,
}

impl ForkTree {
    /// A tree whose chain ends in its last final block, of this header and weight, with the tree over the hashes of all blocks up to it. What
    /// the chain has above is [pushed](ForkTree::push).
    #[must_use]
    pub fn new(
        spec: ChainSpec,
        last: (Header, crate::consensus::Weight),
        history: Frontier,
        bounds: ForkBounds,
    ) -> Self {
        let (header, weight) = last;
        let branch = Branch {
            head: header.hash(),
            height: header.height,
            weight,
        };
        let first = Node {
            header,
            branch,
            history,
        };
        Self {
            spec,
            bounds,
            heights: [(branch.head, branch.height)].into(),
            trunk: [first].into(),
            side: HashMap::new(),
            side_bytes: 0,
            side_changes: SideChanges::default(),
            orphans: Orphans::default(),
            awaited: Vec::new(),
            invalid: Invalid::default(),
            unsealed: Invalid::default(),
            other_seals: OtherSeals::default(),
        }
    }

    /// Takes a block in, and those that waited for it. `now_us` is this machine's time. O(transactions), dominated by the check of the seal; O(1)
    /// for a block that is known or refused already, and O(branch) if it is not a better one.
    pub fn offer(
        &mut self,
        block: &Block,
        source: Source,
        now_us: u64,
        verifier: &Verifier,
    ) -> Offered {
        let awaited = std::mem::take(&mut self.awaited);
        self.take_orphans_of(awaited, now_us, verifier);
        let first = self.take(block, source, now_us, verifier);
        if first != Offered::Aside {
            return first;
        }
        self.take_orphans_of(vec![block.hash()], now_us, verifier);
        let hash = block.hash();
        let is_on_best = self
            .better_head()
            .is_some_and(|head| self.is_at_or_below(&hash, &head));
        match is_on_best {
            true => Offered::Better,
            false if self.side.contains_key(&hash) => Offered::Aside,
            // Thrown out for those that waited for it.
            false => Offered::NoRoom,
        }
    }

    /// Takes in what waited for these blocks, and for those.
    fn take_orphans_of(&mut self, mut came: Vec<BlockHash>, now_us: u64, verifier: &Verifier) {
        while let Some(parent) = came.pop() {
            for (child, source) in self.orphans.take_children(&parent) {
                if self.take(&child, source, now_us, verifier) == Offered::Aside {
                    came.push(child.hash());
                }
            }
        }
    }

    /// The best branch, if it is better than the chain. O(blocks beside the chain).
    #[must_use]
    pub fn better(&self) -> Option<Better> {
        let head = self.better_head()?;
        let mut blocks = Vec::new();
        let mut at = head;
        while let Some(side) = self.side.get(&at) {
            blocks.push(side.block.clone());
            at = side.node.header.previous_hash;
        }
        blocks.reverse();
        let common = self.height_in_chain(&at)?;
        Some(Better { common, blocks })
    }

    /// Notes that the chain goes on with this block, which follows its last one. What waited for it comes in with the next block that is
    /// [offered](ForkTree::offer).
    pub fn push(&mut self, header: &Header) {
        let hash = header.hash();
        let node = match self.remove_side(&hash) {
            Some(side) => side.node,
            None => self.last().after(&self.spec, header),
        };
        self.heights.insert(hash, node.branch.height);
        self.trunk.push_back(node);
        // At most as many as there are orphans.
        if self.orphans.has_children(&hash) && !self.awaited.contains(&hash) {
            self.awaited.push(hash);
        }
    }

    /// Notes that the chain has left its blocks above `common`, which are `replaced`, in ascending order, and now lie beside it.
    pub fn leave(&mut self, common: u64, replaced: Vec<Block>) {
        let first = self.final_height();
        let stay = (common.saturating_sub(first) as usize + 1).min(self.trunk.len());
        let left = self.trunk.split_off(stay);
        for node in &left {
            self.heights.remove(&node.branch.head);
        }
        for (node, block) in left.into_iter().zip(replaced) {
            if node.branch.head == block.hash() {
                self.insert_side(Side { node, block });
            }
        }
        self.evict();
    }

    /// Notes that blocks up to this height are final: branches that leave the chain below are dropped, and orphans that waited too long.
    pub fn settle(&mut self, final_height: u64) {
        while self.trunk.len() > 1 && self.final_height() < final_height {
            if let Some(passed) = self.trunk.pop_front() {
                self.heights.remove(&passed.branch.head);
            }
        }
        let mut by_height: Vec<(u64, BlockHash)> = self
            .side
            .values()
            .map(|side| (side.node.branch.height, side.node.branch.head))
            .collect();
        by_height.sort_unstable();
        for (_, hash) in by_height {
            let parent = self
                .side
                .get(&hash)
                .map(|side| side.node.header.previous_hash);
            if parent.is_some_and(|parent| self.node(&parent).is_none()) {
                self.remove_side(&hash);
            }
        }
        let (tip, settled) = (self.best().height, self.final_height());
        self.orphans.forget_old(&self.bounds, tip, settled);
        let (side, orphans) = (&self.side, &self.orphans);
        self.other_seals
            .keep(|hash| side.contains_key(hash) || orphans.contains(hash));
    }

    /// Notes that a block beside the chain breaks a rule: it goes, and all that follow it. They are refused from now on, unless it is the seal that
    /// is wrong: no hash covers that, so it may be anybody's who wants a good block to be refused. If it came under another seal too, it stays under that one,
    /// with what follows it.
    pub fn refuse(&mut self, rejected: Rejected, hash: &BlockHash) {
        let most = self.bounds.invalid;
        let is_of_seal = self
            .side
            .get(hash)
            .is_some_and(|side| is_of_seal(&rejected, &side.block));
        if is_of_seal && self.reseal(hash) {
            return;
        }
        let noted = match is_of_seal {
            true => &mut self.unsealed,
            false => &mut self.invalid,
        };
        noted.note(*hash, rejected, most);
        let mut parents = vec![*hash];
        self.remove_side(hash);
        while let Some(parent) = parents.pop() {
            let children = self
                .side
                .values()
                .filter(|side| side.node.header.previous_hash == parent);
            let mut children: Vec<(u64, BlockHash)> = children
                .map(|side| (side.node.branch.height, side.node.branch.head))
                .collect();
            children.sort_unstable();
            for (height, child) in children {
                let rejected =
                    Rejected::block(height, Reason::PreviousHash, follows_invalid(&parent));
                let noted = match is_of_seal {
                    true => &mut self.unsealed,
                    false => &mut self.invalid,
                };
                noted.note(child, rejected, most);
                self.remove_side(&child);
                parents.push(child);
            }
        }
    }

    /// Why a block was refused that was found to break a rule, or to follow one that does; if it was for a seal, when it last came.
    #[must_use]
    pub fn refusal(&self, hash: &BlockHash) -> Option<&Rejected> {
        self.invalid.get(hash).or_else(|| self.unsealed.get(hash))
    }

    pub(super) fn first(&self) -> &Node {
        self.trunk.front().expect("the trunk is never empty")
    }

    pub(super) fn last(&self) -> &Node {
        self.trunk.back().expect("the trunk is never empty")
    }

    /// The node of a block in the chain or beside it.
    pub(super) fn node(&self, hash: &BlockHash) -> Option<&Node> {
        if let Some(side) = self.side.get(hash) {
            return Some(&side.node);
        }
        let height = self.height_in_chain(hash)?;
        self.trunk
            .get(height.checked_sub(self.final_height())? as usize)
    }

    pub(super) fn height_in_chain(&self, hash: &BlockHash) -> Option<u64> {
        self.heights.get(hash).copied()
    }

    fn better_head(&self) -> Option<BlockHash> {
        let best = self.side.values().map(|side| side.node.branch).max()?;
        (best > self.best()).then_some(best.head)
    }

    fn is_at_or_below(&self, hash: &BlockHash, head: &BlockHash) -> bool {
        let mut at = *head;
        while at != *hash {
            let Some(side) = self.side.get(&at) else {
                return false;
            };
            at = side.node.header.previous_hash;
        }
        true
    }

    /// Takes one block in, as `Aside` if it can become part of the chain.
    fn take(&mut self, block: &Block, source: Source, now_us: u64, verifier: &Verifier) -> Offered {
        let (header, hash) = (block.header(), block.hash());
        let height = header.height;
        let refuse =
            |fault: Fault| Offered::Refused(Rejected::block(height, fault.reason, fault.detail));
        if let Some(rejected) = self.invalid.get(&hash) {
            return Offered::Refused(rejected.clone());
        }
        if self.node(&hash).is_some() || self.orphans.contains(&hash) {
            return self.again(block, source, verifier);
        }
        if let Some(fault) = self.against_final(header) {
            return refuse(fault);
        }
        let parent = self
            .node(&header.previous_hash)
            .filter(|node| node.branch.height.checked_add(1) == Some(height));
        let prepared = Prepared::new(&self.spec, block.clone());
        let known = match parent {
            Some(node) => Parent::of_header(&node.header, Some(&node.history)),
            None => Parent::unknown(height - 1),
        };
        let node = parent.map(|parent| parent.after(&self.spec, header));
        let judged = headers::check_with_body(&self.spec, &known, &prepared, now_us)
            .and_then(|()| headers::check_seal(&self.spec, header, block.seal(), verifier));
        if let Err(fault) = judged {
            return refuse(fault);
        }
        if self.invalid.get(&header.previous_hash).is_some() {
            let detail = follows_invalid(&header.previous_hash);
            let rejected = Rejected::block(height, Reason::PreviousHash, detail);
            self.invalid
                .note(hash, rejected.clone(), self.bounds.invalid);
            return Offered::Refused(rejected);
        }
        let Some(node) = node else {
            let (tip, bounds) = (self.best().height, &self.bounds);
            let is_kept = self.orphans.insert(bounds, block.clone(), source, tip);
            return match is_kept {
                true => Offered::Orphan,
                false => Offered::NoRoom,
            };
        };
        let block = block.clone();
        self.unsealed.forget(&hash);
        self.insert_side(Side { node, block });
        self.evict();
        match self.side.contains_key(&hash) {
            true => Offered::Aside,
            false => Offered::NoRoom,
        }
    }

    /// What to say of a header that is known: another body may have come with it.
    fn again(&mut self, block: &Block, source: Source, verifier: &Verifier) -> Offered {
        let (header, computed) = (block.header(), block.computed_merkle_root());
        if header.merkle_root == computed {
            self.note_seal(block, source, verifier);
            return match self.orphans.contains(&block.hash()) {
                true => Offered::Orphan,
                false => Offered::Known,
            };
        }
        let detail = format!(
            "header names {}, the body gives {computed}",
            header.merkle_root
        );
        Offered::Refused(Rejected::block(header.height, Reason::MerkleRoot, detail))
    }

    /// Notes another seal of a block that waits, if it could be the right one.
    fn note_seal(&mut self, block: &Block, source: Source, verifier: &Verifier) {
        let (hash, header) = (block.hash(), block.header());
        let held = match self.side.get(&hash) {
            Some(side) => Some(side.block.seal()),
            None => self.orphans.get(&hash).map(Block::seal),
        };
        if held.is_some_and(|held| held != block.seal())
            && consensus::changes_members(&self.spec, header.height)
            && headers::check_seal(&self.spec, header, block.seal(), verifier).is_ok()
        {
            self.other_seals.note(hash, source, block.seal());
        }
    }

    /// Puts another seal on a block beside the chain, whose own was found wrong; whether there is one. What is kept of it in a store stays under the
    /// wrong one, and is judged again when it is read.
    fn reseal(&mut self, hash: &BlockHash) -> bool {
        let (Some(side), Some(seal)) = (self.side.get_mut(hash), self.other_seals.next(hash))
        else {
            return false;
        };
        side.block = side.block.clone().sealed(seal);
        self.side_changes.resealed(&side.block);
        true
    }

    /// Why a block can't become part of the chain because of what is final.
    fn against_final(&self, header: &Header) -> Option<Fault> {
        let Branch { head, height, .. } = self.first().branch;
        let detail = match header.height {
            at if at <= height => {
                format!("block {height} ({head}) is final, and so is what is below it")
            }
            at if at == height + 1 && header.previous_hash != head => {
                format!(
                    "goes on from {}, where block {height} ({head}) is final",
                    header.previous_hash
                )
            }
            _ => return None,
        };
        Some(Fault::new(Reason::Fork, detail))
    }

    fn insert_side(&mut self, side: Side) {
        self.side_bytes += bytes_of(&side.block);
        self.side_changes.came(&side.block);
        self.side.insert(side.node.branch.head, side);
    }

    fn remove_side(&mut self, hash: &BlockHash) -> Option<Side> {
        let side = self.side.remove(hash)?;
        self.side_bytes -= bytes_of(&side.block);
        self.side_changes.went(&side.block);
        Some(side)
    }

    /// Throws out the last block of the worst branch, until there is room.
    fn evict(&mut self) {
        let bounds = self.bounds;
        while self.side.len() > bounds.side_blocks || self.side_bytes > bounds.side_bytes {
            let worst = self.branches().last().map(|worst| worst.branch.head);
            let Some(worst) = worst else { return };
            self.remove_side(&worst);
        }
    }
}

/// Whether the fault is one of the seal. Whose turn it was follows from the round of a certificate; elsewhere the header tells.
fn is_of_seal(rejected: &Rejected, block: &Block) -> bool {
    let is_certified = matches!(block.seal(), Seal::Quorum(_));
    rejected.transaction.is_none()
        && match rejected.reason {
            Reason::Seal => true,
            Reason::Quorum | Reason::Turn => is_certified,
            _ => false,
        }
}

fn follows_invalid(parent: &BlockHash) -> String {
    format!("links to {parent}, which is not valid")
}
