//! Keeping to the best branch while the engine works: blocks of any branch come in one by one, in their callers' threads. Headers and seals are
//! judged beside everything else; only when a branch is better than the chain, the chain is held, the branch judged, and its blocks committed in
//! the place of the chain's own.
//!
//! Invariants: the tree of branches is changed under its lock alone, and whoever has that lock waits for threads that never take it. Before the store
//! has other blocks in the place of some, whoever follows can learn which those were.

use std::collections::HashSet;

use super::give_back::{Now, give_back};
use super::message::{Command, Replacing};
use super::parcel::Offered as Given;
use super::permits::Permit;
use super::pool;
use super::settings::Content;
use super::shared::Shared;
use super::state_request;
use super::subscription::Event;
use super::sync::{Arc, lock};
use super::{Engine, EngineError, Outcome, WhenFull};
use crate::consensus;
use crate::format::digest::{BlockHash, Digest};
use crate::format::model::Block;
use crate::format::spec::FeesTo;
use crate::ledger::{
    Alarm, ChainChange, Held, LedgerError, Offer, Placement, judge_branch, place_final,
};
use crate::rules::ValidBlock;
use crate::tree::{Better, ForkTree, SideBranch, Source};

/// The branches, where a chain can have some.
pub(super) struct Branches {
    tree: ForkTree,
}

impl Branches {
    pub(super) fn new(tree: ForkTree) -> Self {
        Self { tree }
    }

    /// The blocks beside the chain.
    pub(super) fn blocks(&self) -> impl Iterator<Item = &Block> + Clone {
        self.tree.side_blocks()
    }

    /// Takes over what was committed since.
    fn catch_up(&mut self, shared: &Shared) -> Result<(), LedgerError> {
        let tree = &mut self.tree;
        for height in tree.best().height + 1..shared.committed_end() {
            let header = shared.reader.header(height)?;
            tree.push(&header.ok_or(LedgerError::HeaderPruned(height))?);
        }
        let settled = shared.lock_chain().validator().settled_final();
        if settled > tree.final_height() {
            tree.settle(settled);
        }
        Ok(())
    }
}

impl Engine {
    /// Takes a block of any branch in, from whoever `source` is, and sees to it that the chain is the best valid branch that there is; waits until
    /// what follows from it is committed: see [`Ledger::offer`](crate::ledger::Ledger::offer). Blocks that only go on with the chain come in faster
    /// by [`Engine::offer`] and [`Engine::import`], in which a block beside it is rejected.
    ///
    /// Whoever [follows](Engine::follow) is told [`Change::Reverted`](super::Change::Reverted) of blocks that went. What is still valid of
    /// their transactions waits for a block again, as far as there is room.
    ///
    /// # Errors
    /// The store failed; the engine failed or was shut down. What is wrong with the *block* is a [`Placement`].
    pub fn offer_branch(&self, block: &Block, source: Source) -> Result<Offer, EngineError> {
        let shared = self.shared();
        shared.latch.check()?;
        let bytes = Given::Decoded(Box::new(block.clone())).bytes();
        let content = Content::of([block]);
        let permit = self.permit(shared.settings.memory_of(content, bytes))?;
        // The clocks are the caller's: asked before anything is locked.
        let now = Now {
            day_us: shared.clock.now_us(),
            steady_us: shared.steady_us(),
        };
        let alarm = self.look(block, now.day_us)?;
        if let Some(alarm) = alarm.as_ref().filter(|alarm| alarm.halts()) {
            // The pipeline may be at work on what follows the block held: it gets no further.
            shared.fail(LedgerError::Halted(alarm.clone()).into());
            return Ok(Offer {
                placement: place_final(&shared.reader, block)?,
                changes: Vec::new(),
                alarm: Some(alarm.clone()),
            });
        }
        let mut branches = lock(&shared.branches);
        let Some(branches) = &mut *branches else {
            drop(permit);
            return self.offer_to_chain(block, alarm);
        };
        branches.catch_up(shared)?;
        if block.height() <= branches.tree.final_height() {
            let placement = place_final(&shared.reader, block)?;
            let changes = Vec::new();
            return Ok(Offer {
                placement,
                changes,
                alarm,
            });
        }
        let offered = branches
            .tree
            .offer(block, source, now.day_us, &shared.verifier);
        let (mut changes, mut lost) = (Vec::new(), Vec::new());
        while branches.tree.better().is_some() {
            changes.extend(self.follow_better(branches, &permit, &mut lost)?);
        }
        self.tell(branches)?;
        let placement = Placement::of(offered, &branches.tree, &block.hash());
        if let Placement::Refused(rejected) = &placement {
            shared.subscribers.tell(&Event::Rejected {
                rejected: rejected.clone(),
                claimed_producer: Some(block.header().producer.clone()),
            });
        }
        give_back(shared, &lost, now);
        Ok(Offer {
            placement,
            changes,
            alarm,
        })
    }

    /// The branches beside the chain, the best one first; none where blocks are final at once.
    #[must_use]
    pub fn branches(&self) -> Vec<SideBranch> {
        let branches = lock(&self.shared().branches);
        let branches = branches.as_ref();
        branches.map_or_else(Vec::new, |branches| branches.tree.branches())
    }

    /// The last block that two blocks have in common, each in the chain from the last final block on, or beside it; `None` if one isn't known there.
    #[must_use]
    pub fn common_ancestor(&self, a: &BlockHash, b: &BlockHash) -> Option<BlockHash> {
        let branches = lock(&self.shared().branches);
        branches.as_ref()?.tree.common_ancestor(a, b)
    }

    /// The alarm that was raised last, by a block that came by [`Engine::offer_branch`].
    #[must_use]
    pub fn alarm(&self) -> Option<Alarm> {
        lock(&self.shared().lookout).last().cloned()
    }

    /// Looks whether a block belongs to a history that can't be reconciled with this one.
    fn look(&self, block: &Block, now_us: u64) -> Result<Option<Box<Alarm>>, EngineError> {
        let shared = self.shared();
        let state = shared.lock_chain().validator().state().clone();
        let held = Held {
            chain: &shared.reader,
            state: &state,
            verifier: &shared.verifier,
            now_us,
        };
        let mut lookout = lock(&shared.lookout);
        let before = lookout.raised();
        let alarm = lookout.look(&held, block)?.map(Box::new);
        let raised = lookout.raised() - before;
        // Who is told may ask the engine for it.
        drop(lookout);
        metrics::counter!("hubledger_alarms_total").increment(raised);
        if let Some(alarm) = alarm.as_ref().filter(|_| raised > 0) {
            tracing::error!(%alarm, "another history of this chain");
        }
        Ok(alarm)
    }

    fn offer_to_chain(
        &self,
        block: &Block,
        alarm: Option<Box<Alarm>>,
    ) -> Result<Offer, EngineError> {
        let ticket = self.offer(vec![block.encode().into()], WhenFull::Wait)?;
        let outcome = ticket.wait()?.pop();
        let mut changes = Vec::new();
        let placement = match outcome.ok_or_else(|| self.shared().latch.reason())? {
            Outcome::Held { .. } => Placement::Known,
            Outcome::Rejected(rejected) => Placement::Refused(rejected),
            Outcome::Committed(_) => {
                changes.push(ChainChange {
                    common: block.height().saturating_sub(1),
                    reverted: Vec::new(),
                    committed: vec![block.hash()],
                });
                Placement::InChain
            }
        };
        Ok(Offer {
            placement,
            changes,
            alarm,
        })
    }

    /// Changes to the best branch, if it is valid; else what of it isn't is gone. Nothing else is ruled meanwhile.
    fn follow_better(
        &self,
        branches: &mut Branches,
        permit: &Permit,
        lost: &mut Vec<Block>,
    ) -> Result<Option<ChainChange>, EngineError> {
        let shared = self.shared();
        let (state, _hold) = state_request::hold(shared, permit)?;
        // What was ruled before is on its way to the store.
        self.wait_committed(state.height(), hubledger_storage::Durability::Memory)?;
        drop(state);
        branches.catch_up(shared)?;
        let Some(better) = branches.tree.better() else {
            return Ok(None);
        };
        let mut validator = shared.lock_chain().validator().clone();
        validator.set_verifier(Arc::clone(&shared.verifier));
        let known = |leaves: &[Digest]| shared.verified.contains(leaves);
        let (validator, valid) = match judge_branch(&validator, &better, &known)? {
            Ok(judged) => judged,
            Err((hash, rejected)) => {
                branches.tree.refuse(rejected, &hash);
                return Ok(None);
            }
        };
        let replaced = self.chain_above(better.common, branches)?;
        let settled = consensus::final_height(validator.spec(), validator.state());
        self.commit_branch(&better, &replaced, valid.clone())?;
        // Before the chain is let go: the next block is ruled on the state of this branch.
        // Whoever gets fees by the specification, too: no block names that account.
        let treasury = match &shared.spec.at(better.common + 1).terms.fees_to {
            FeesTo::Treasury(name) => Some(name.as_str()),
            FeesTo::Producer | FeesTo::Burn => None,
        };
        // Each once: there are as many names as transactions, and few senders.
        let names: HashSet<&str> = replaced.iter().flat_map(names_of).chain(treasury).collect();
        let mut chain = shared.lock_chain();
        chain.change_to(validator, names.into_iter());
        pool::tell(shared, &mut chain, &valid);
        drop(chain);
        lost.extend_from_slice(&replaced);
        let change = ChainChange {
            common: better.common,
            reverted: replaced.iter().map(Block::hash).collect(),
            committed: better.blocks.iter().map(Block::hash).collect(),
        };
        branches.tree.leave(better.common, replaced);
        for block in &better.blocks {
            branches.tree.push(block.header());
        }
        branches.tree.settle(settled);
        Ok(Some(change))
    }

    /// The chain's blocks above `common`.
    fn chain_above(&self, common: u64, branches: &Branches) -> Result<Vec<Block>, EngineError> {
        let mut replaced = Vec::new();
        for height in common + 1..=branches.tree.best().height {
            let block = self.shared().reader.block(height)?;
            replaced.push(block.ok_or(LedgerError::Pruned(height))?);
        }
        Ok(replaced)
    }

    fn commit_branch(
        &self,
        better: &Better,
        replaced: &[Block],
        valid: Vec<ValidBlock>,
    ) -> Result<(), EngineError> {
        // First: whoever follows finds the blocks gone as soon as the store has others.
        lock(&self.shared().replaced).note(replaced);
        self.command(|answer| {
            Command::Replace(Box::new(Replacing {
                common: better.common,
                valid,
                replaced: replaced.to_vec(),
                answer,
            }))
        })?;
        lock(&self.shared().replaced).forget(&better.blocks);
        Ok(())
    }

    /// Tells the commit thread what came beside the chain or went from there, which keeps it.
    fn tell(&self, branches: &mut Branches) -> Result<(), EngineError> {
        let changed = branches.tree.take_side_changes();
        match changed.is_empty() {
            true => Ok(()),
            false => self.command(|answer| Command::Branches(changed, answer)),
        }
    }
}

/// Everybody whose account a block may have changed, some of them several times.
fn names_of(block: &Block) -> impl Iterator<Item = &str> {
    let transactions = block.transactions().iter();
    let names = transactions.flat_map(|one| [one.sender(), one.receiver()]);
    names.chain([block.header().producer.as_str()])
}
