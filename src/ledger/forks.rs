//! Keeping to the best branch: blocks of any branch come in, and the chain in the store is always the best one that is valid, as far as
//! what is final lets it be.
//!
//! The tree of branches says what to do and never touches a store ([`ForkTree`]). A branch that is better by its headers is judged from the last
//! block on that it has in common with the chain; if it is valid, its blocks take the place of the chain's in one commit, so a crash
//! leaves the one or the other. If it isn't, the chain is as it was.

use super::alarm::{Alarm, Held};
use super::branches::{self, Saved};
use super::judge_branch::judge_branch;
use super::step::{BlockProgress, BlockStep, go_on};
use super::{ChainReader, Ledger, LedgerError, Staging, compare_with_held};
use crate::consensus::{self, Weight};
use crate::format::digest::BlockHash;
use crate::format::model::Block;
use crate::format::rejection::{Reason, Rejected};
use crate::rules::{ValidBlock, Validator};
use crate::tree::{Better, ForkBounds, ForkTree, Offered, SideBranch, Source};

/// What became of a block that was offered, and of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The block.
    pub placement: Placement,
    /// What became of the chain, in order: nothing, or one change, or several if blocks came before those that they follow.
    pub changes: Vec<ChainChange>,
    /// That the block belongs to another history which nothing can reconcile with this one. After one that [halts](Alarm::halts) nothing more is committed.
    pub alarm: Option<Box<Alarm>>,
}

/// Where a block is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// In the chain, which it came into now.
    InChain,
    /// On a branch beside the chain.
    Aside,
    /// It waits for the block that it follows.
    Orphan,
    /// It was there already.
    Known,
    /// It is not valid, or would replace what is final.
    Refused(Rejected),
    /// There was no room for it; it may be offered again.
    NoRoom,
}

/// Blocks that came into the chain in one commit, and those that they took the place of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainChange {
    /// Height of the last block that stayed.
    pub common: u64,
    /// Those that are no longer in the chain, from `common + 1` on; none if it only went on.
    pub reverted: Vec<BlockHash>,
    /// Those that are now.
    pub committed: Vec<BlockHash>,
}

/// What bringing two chains together came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resolved {
    /// Blocks of the other chain that this one didn't have.
    pub offered: u64,
    /// What became of this chain.
    pub changes: Vec<ChainChange>,
    /// The first block that was refused, after which no more were offered: it isn't valid, or the two have made different blocks final.
    pub refused: Option<Rejected>,
    /// That the two can't be reconciled: see [`Offer::alarm`].
    pub alarm: Option<Box<Alarm>>,
}

impl Placement {
    /// Where a block of this hash is, of which the tree said this when it came.
    pub(crate) fn of(offered: Offered, tree: &ForkTree, hash: &BlockHash) -> Self {
        match offered {
            Offered::Better | Offered::Aside => match tree.refusal(hash) {
                Some(rejected) => Self::Refused(rejected.clone()),
                None if tree.side_block(hash).is_some() => Self::Aside,
                None => Self::InChain,
            },
            Offered::Orphan => Self::Orphan,
            Offered::Known => Self::Known,
            Offered::Refused(rejected) => Self::Refused(rejected),
            Offered::NoRoom => Self::NoRoom,
        }
    }
}

/// The tree of a ledger, and what of it is in the store.
pub(crate) struct Forks {
    pub(crate) tree: ForkTree,
    pub(crate) saved: Saved,
}

/// Where a block came from that was read from the store.
const STORE: &str = "store";

impl Forks {
    /// The tree over the chain that `validator` stands at the end of, with the branches that the store has.
    pub(crate) fn open(
        chain: &ChainReader,
        validator: &Validator,
        bounds: ForkBounds,
        now_us: u64,
    ) -> Result<Self, LedgerError> {
        let (spec, last) = (validator.spec(), validator.state());
        // Behind what can be taken back, as what is final can't be.
        let first = consensus::final_height(spec, last).max(validator.lowest_state());
        let state = validator.state_at(first).unwrap_or_else(|| last.clone());
        state.refuse_failed()?;
        let header = |height| {
            chain
                .header(height)?
                .ok_or(LedgerError::HeaderPruned(height))
        };
        let mut tree = ForkTree::new(
            spec.clone(),
            (header(first)?, Weight(state.weight())),
            state.history().clone(),
            bounds,
        );
        for height in first + 1..=last.height() {
            tree.push(&header(height)?);
        }
        let (mut saved, blocks) = branches::read(chain.store())?;
        let source = Source::of(STORE);
        for block in blocks {
            tree.offer(&block, source, now_us, validator.verifier());
        }
        // What of the store doesn't belong beside the chain any more is to go, with the next write.
        saved.note_all(tree.side_blocks());
        tree.take_side_changes();
        Ok(Self { tree, saved })
    }
}

impl ChainReader {
    /// The branches of this chain as they were last written down, with what is in the chain from the last final block on. Costs as much as
    /// [`ChainReader::state`]; `now_us` is this machine's time.
    ///
    /// # Errors
    /// The store failed or is damaged.
    pub fn fork_tree(&self, now_us: u64) -> Result<ForkTree, LedgerError> {
        let (validator, _) = super::restore(self, None)?;
        Ok(Forks::open(self, &validator, ForkBounds::default(), now_us)?.tree)
    }
}

impl Ledger {
    /// Sets how much of branches is kept at most; [`ForkBounds::default`] at first. Branches that are held are judged anew.
    pub fn set_fork_bounds(&mut self, bounds: ForkBounds) {
        self.fork_bounds = bounds;
        self.forks = None;
    }

    /// Takes a block of any branch in, from whoever `source` is, and sees to it that the chain is the best valid branch that there is. Commits what
    /// is staged first. Headers and seals are judged when a block comes, transactions when its branch is the best. O(block), and
    /// O(branch) where the chain changes to another.
    ///
    /// Where blocks are final at once, only a block that follows the last one gets in.
    ///
    /// # Errors
    /// The store failed; then this ledger is of no further use and the store has to be opened again. What is wrong with the *block* is a [`Placement`].
    pub fn offer(&mut self, block: &Block, source: Source) -> Result<Offer, LedgerError> {
        self.refuse_halted()?;
        self.commit_staged()?;
        let now_us = self.clock.now_us();
        let held = Held {
            chain: &self.committer.chain,
            state: self.validator.state(),
            verifier: self.validator.verifier(),
            now_us,
        };
        let alarm = self.lookout.look(&held, block)?.map(Box::new);
        if block.height() <= self.forks()?.tree.final_height() {
            let placement = place_final(&self.committer.chain, block)?;
            let changes = Vec::new();
            return Ok(Offer {
                placement,
                changes,
                alarm,
            });
        }
        let verifier = self.validator.verifier().clone();
        let tree = &mut self.forks()?.tree;
        let offered = tree.offer(block, source, now_us, &verifier);
        let mut changes = Vec::new();
        while let Some(change) = self.follow_better()? {
            changes.push(change);
        }
        let Some(Forks { tree, saved }) = &mut self.forks else {
            return Err(LedgerError::Uninitialised);
        };
        saved.note(tree.take_side_changes());
        saved.write(&mut *self.committer.tables)?;
        let placement = Placement::of(offered, tree, &block.hash());
        self.prune_if_due()?;
        Ok(Offer {
            placement,
            changes,
            alarm,
        })
    }

    /// Offers all blocks that another store of this chain has and this one doesn't, the lowest first, from the last final block on. Behind it this
    /// chain is the better of both, unless something of the other was refused. `progress` is called after each block that was offered. O(blocks of the other chain).
    ///
    /// # Errors
    /// [`LedgerError::OtherChain`]; either store failed, or what is needed of the other was pruned; [`LedgerError::Stopped`] if `progress` stopped it: what is
    /// done stays.
    pub fn resolve(
        &mut self,
        other: &ChainReader,
        source: Source,
        progress: &mut BlockProgress<'_>,
    ) -> Result<Resolved, LedgerError> {
        let (held, asked) = (self.spec().id(), other.spec().id());
        if held != asked {
            return Err(LedgerError::OtherChain { held, asked });
        }
        let mut resolved = Resolved::default();
        let settled = self.fork_tree()?.final_height();
        let end = other.extent()?.end;
        let first = self.parting(other, settled.min(end.saturating_sub(1)))?;
        for height in first..end {
            let hash = other.hash_at(height)?.unwrap_or_default();
            if self.committer.chain.hash_at(height)? == Some(hash)
                || self.fork_tree()?.branch_to(&hash).is_some()
            {
                continue;
            }
            let block = other.block(height)?.ok_or(LedgerError::Pruned(height))?;
            let offer = self.offer(&block, source)?;
            resolved.offered += 1;
            resolved.changes.extend(offer.changes);
            resolved.alarm = offer.alarm.or(resolved.alarm);
            if let Placement::Refused(rejected) = offer.placement {
                // What else is final there shows whether the two are split.
                let is_final = rejected.reason == Reason::Fork;
                resolved.refused.get_or_insert(rejected);
                if !is_final || resolved.alarm.is_some() {
                    break;
                }
            }
            if resolved.alarm.is_some() {
                break;
            }
            go_on(progress(BlockStep {
                height,
                transactions: block.header().transaction_count.into(),
            }))?;
        }
        Ok(resolved)
    }

    /// Where two chains part that differ at `height`, as far down as this one's hashes and the other's blocks are there; else `height`. Whether both have
    /// made different blocks final shows from there on.
    fn parting(&self, other: &ChainReader, height: u64) -> Result<u64, LedgerError> {
        let own = &self.committer.chain;
        let mut first = height;
        while first > 0 && own.hash_at(first)? != other.hash_at(first)? {
            let below = first - 1;
            if own.hash_at(below)?.is_none() || other.block(below)?.is_none() {
                break;
            }
            first = below;
        }
        Ok(first)
    }

    /// The alarm that was raised last, by a block that was [offered](Ledger::offer).
    #[must_use]
    pub const fn alarm(&self) -> Option<&Alarm> {
        self.lookout.last()
    }

    pub(super) fn refuse_halted(&self) -> Result<(), LedgerError> {
        match self.lookout.last() {
            Some(alarm) if alarm.halts() => Err(LedgerError::Halted(Box::new(alarm.clone()))),
            _ => Ok(()),
        }
    }

    /// The branches beside the chain, the best one first.
    ///
    /// # Errors
    /// The store failed or is damaged.
    pub fn branches(&mut self) -> Result<Vec<SideBranch>, LedgerError> {
        Ok(self.fork_tree()?.branches())
    }

    /// The last block that two blocks have in common, each in the chain from the last final block on, or beside it; `None` if one isn't known there.
    ///
    /// # Errors
    /// The store failed or is damaged.
    pub fn common_ancestor(
        &mut self,
        a: &BlockHash,
        b: &BlockHash,
    ) -> Result<Option<BlockHash>, LedgerError> {
        Ok(self.fork_tree()?.common_ancestor(a, b))
    }

    /// The chain from the last final block on and the branches beside it. Commits what is staged.
    ///
    /// # Errors
    /// The store failed or is damaged.
    pub fn fork_tree(&mut self) -> Result<&ForkTree, LedgerError> {
        self.commit_staged()?;
        Ok(&self.forks()?.tree)
    }

    fn forks(&mut self) -> Result<&mut Forks, LedgerError> {
        let forks = match self.forks.take() {
            Some(forks) => forks,
            None => {
                let (bounds, now_us) = (self.fork_bounds, self.clock.now_us());
                Forks::open(&self.committer.chain, &self.validator, bounds, now_us)?
            }
        };
        Ok(self.forks.insert(forks))
    }

    /// Changes to the best branch, if there is a better one than the chain and it is valid; else what of it isn't is gone, and the next best is
    /// looked at. `None` if the chain is the best.
    fn follow_better(&mut self) -> Result<Option<ChainChange>, LedgerError> {
        while let Some(better) = self.forks()?.tree.better() {
            match judge_branch(&self.validator, &better, &|leaves| {
                vec![false; leaves.len()]
            })? {
                Ok((validator, valid)) => {
                    return self.change_to(&better, validator, &valid).map(Some);
                }
                Err((hash, rejected)) => self.forks()?.tree.refuse(rejected, &hash),
            }
        }
        Ok(None)
    }

    /// Puts a branch that was found valid in the place of the chain's own blocks.
    fn change_to(
        &mut self,
        better: &Better,
        validator: Validator,
        valid: &[ValidBlock],
    ) -> Result<ChainChange, LedgerError> {
        let common = better.common;
        let mut replaced = Vec::new();
        for height in common + 1..=self.state().height() {
            let block = self.committer.chain.block(height)?;
            replaced.push(block.ok_or(LedgerError::Pruned(height))?);
        }
        if let Some(forks) = &mut self.forks {
            forks.saved.put(&replaced, &mut *self.committer.tables)?;
        }
        self.committer.replace(common, valid)?;
        self.validator = validator;
        let settled = consensus::final_height(self.validator.spec(), self.validator.state());
        let change = ChainChange {
            common,
            reverted: replaced.iter().map(Block::hash).collect(),
            committed: better.blocks.iter().map(Block::hash).collect(),
        };
        let tree = &mut self.forks()?.tree;
        tree.leave(common, replaced);
        better
            .blocks
            .iter()
            .for_each(|block| tree.push(block.header()));
        tree.settle(settled);
        self.write_state_if_due()?;
        Ok(change)
    }
}

/// What to say of a block at a height where all is final, of which all blocks are in the store.
pub(crate) fn place_final(chain: &ChainReader, block: &Block) -> Result<Placement, LedgerError> {
    let height = block.height();
    let held = chain.hash_at(height)?.ok_or_else(|| LedgerError::Damaged {
        record: "header",
        height,
        problem: "missing below the tip".to_owned(),
    })?;
    let root = block.computed_merkle_root();
    let rejected = match compare_with_held(chain.spec(), block, root, held) {
        Staging::Rejected(rejected) => rejected,
        Staging::Held | Staging::Staged => return Ok(Placement::Known),
    };
    let detail = match rejected.reason {
        Reason::Fork => format!("{}, and that is final", rejected.detail),
        _ => rejected.detail,
    };
    Ok(Placement::Refused(Rejected { detail, ..rejected }))
}
