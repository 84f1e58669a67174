//! The end of the pipeline: what its last thread does with groups of valid blocks. A hub's engine commits them; one that goes
//! through a store again compares what the store holds of them beside, such as its index, and writes nothing into it.

use std::sync::Arc;

use hubledger_storage::{Durability, Receipt};

use super::message::Pruning;
use crate::format::model::Block;
use crate::ledger::{
    Checker, Committer, EncodedState, Followers, LedgerError, PruneReport, Scratch, StateAt,
};
use crate::rules::ValidBlock;
use crate::state::PageSource;
use crate::tree::SideChanges;

/// See the [module](self).
pub(super) enum End {
    Commit(Box<Committer>),
    Check(Box<Checker>),
}

impl End {
    /// Takes a run of blocks, all or nothing.
    pub(super) fn commit<'a>(
        &mut self,
        run: impl IntoIterator<Item = &'a ValidBlock>,
    ) -> Result<Receipt, LedgerError> {
        match self {
            Self::Commit(committer) => committer.commit(run),
            Self::Check(checker) => Ok(checker.pass(run)),
        }
    }

    /// Puts a branch in the place of the chain's blocks above a height. There are no branches where nothing is written.
    pub(super) fn change_branch(
        &mut self,
        above: u64,
        valid: &[ValidBlock],
        replaced: &[Block],
    ) -> Result<Receipt, LedgerError> {
        match self {
            Self::Commit(committer) => committer.change_branch(above, valid, replaced),
            Self::Check(checker) => Ok(checker.receipt()),
        }
    }

    pub(super) fn keep_branches(&mut self, changed: SideChanges) -> Result<(), LedgerError> {
        match self {
            Self::Commit(committer) => committer.keep_branches(changed),
            Self::Check(_) => Ok(()),
        }
    }

    pub(super) fn wants_snapshot(&self) -> bool {
        matches!(self, Self::Commit(committer) if committer.wants_snapshot())
    }

    pub(super) fn is_pruning_due(&self) -> bool {
        matches!(self, Self::Commit(committer) if committer.is_pruning_due())
    }

    pub(super) fn expects_snapshot(&self) -> bool {
        match self {
            Self::Commit(committer) => committer.expects_snapshot(),
            Self::Check(checker) => {
                matches!(&checker.scratch, Some(scratch) if scratch.expects_state())
            }
        }
    }

    pub(super) fn expect_snapshot(&mut self) {
        match self {
            Self::Commit(committer) => committer.expect_snapshot(),
            Self::Check(checker) => {
                if let Some(scratch) = &mut checker.scratch {
                    scratch.expect_state();
                }
            }
        }
    }

    /// Keeps how far followers have got. Nobody follows where nothing is written.
    pub(super) fn put_followers(
        &mut self,
        followers: &Followers,
        durability: Durability,
    ) -> Result<(), LedgerError> {
        match self {
            Self::Commit(committer) => committer.put_followers(followers, durability),
            Self::Check(_) => Ok(()),
        }
    }

    pub(super) fn has_news(&self) -> bool {
        matches!(self, Self::Commit(committer) if committer.has_news())
    }

    /// Where the state's pages can be read from, if that changed.
    pub(super) fn take_written(&mut self) -> Option<Arc<dyn PageSource>> {
        match self {
            Self::Commit(committer) => committer.take_written(),
            Self::Check(checker) => checker.scratch.as_mut().and_then(Scratch::take_written),
        }
    }

    pub(super) fn put_snapshot(&mut self, state: EncodedState) -> Result<(), LedgerError> {
        match self {
            Self::Commit(committer) => committer.put_snapshot(state),
            Self::Check(checker) => match &mut checker.scratch {
                Some(scratch) => scratch.put(&state),
                None => Ok(()),
            },
        }
    }

    /// Prunes as somebody asked, who is told; nothing where nothing is written, since nobody can ask there.
    pub(super) fn prune(
        &mut self,
        pruning: &mut Pruning,
        now_us: u64,
        state: StateAt<'_>,
    ) -> Option<Result<PruneReport, LedgerError>> {
        let Self::Commit(committer) = self else {
            return None;
        };
        Some(committer.prune(
            &pruning.policy,
            now_us,
            state,
            pruning.archive.as_mut(),
            &mut |_| std::ops::ControlFlow::Continue(()),
        ))
    }

    pub(super) fn prune_if_due(
        &mut self,
        now_us: u64,
        state: StateAt<'_>,
    ) -> Result<Option<PruneReport>, LedgerError> {
        match self {
            Self::Commit(committer) => committer.prune_if_due(now_us, state),
            Self::Check(_) => Ok(None),
        }
    }

    pub(super) fn sync(&mut self) -> Result<Receipt, LedgerError> {
        match self {
            Self::Commit(committer) => committer.sync(),
            Self::Check(checker) => Ok(checker.receipt()),
        }
    }
}
