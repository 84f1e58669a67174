//! Keeping a live chain to a policy: after a commit, when enough has come in since the last pruning.

use std::ops::ControlFlow;

use super::commit::EncodedState;
use super::policy::{PolicyError, PrunePolicy};
use super::{Committer, Ledger, LedgerError};
use crate::archive::ArchiveWriter;

/// The policy that a ledger keeps to, and what was committed since it was last pruned.
#[derive(Default)]
pub(super) struct Retention {
    policy: Option<PrunePolicy>,
    archive: Option<ArchiveWriter>,
    blocks: u64,
    bytes: u64,
}

impl Retention {
    /// Counts a commit.
    pub(super) fn count(&mut self, blocks: u64, bytes: u64) {
        self.blocks += blocks;
        self.bytes += bytes;
    }
}

impl Ledger {
    /// Keeps to `policy` from now on: after a commit the chain is pruned, into `archive` if one is given, once 256 blocks
    /// or a 32nd of the policy's budget have come in since the last time. The first commit prunes in any case.
    ///
    /// # Errors
    /// A policy that is refused ([`PrunePolicy::validate`]); then the ledger keeps to the one it had.
    pub fn keep_to(
        &mut self,
        policy: PrunePolicy,
        archive: Option<ArchiveWriter>,
    ) -> Result<(), LedgerError> {
        self.committer.keep_to(policy, archive)
    }

    /// Prunes if it is due.
    pub(super) fn retain(&mut self) -> Result<(), LedgerError> {
        let state = self.validator.state();
        let state = || EncodedState::from(state);
        self.committer.retain(self.clock.now_us(), &state)
    }
}

impl Committer {
    /// See [`Ledger::keep_to`].
    pub(crate) fn keep_to(
        &mut self,
        policy: PrunePolicy,
        archive: Option<ArchiveWriter>,
    ) -> Result<(), LedgerError> {
        policy.validate()?;
        self.retention = Retention {
            policy: Some(policy),
            archive,
            blocks: u64::MAX / 2,
            bytes: 0,
        };
        Ok(())
    }

    /// Whether it is time to prune by the policy.
    pub(crate) fn is_pruning_due(&self) -> bool {
        let Retention {
            policy,
            blocks,
            bytes,
            ..
        } = &self.retention;
        policy
            .as_ref()
            .is_some_and(|policy| policy.is_due(*blocks, *bytes))
    }

    /// Prunes if it is due; `state` is as in [`Committer::prune`].
    pub(crate) fn retain(
        &mut self,
        now_us: u64,
        state: &dyn Fn() -> EncodedState,
    ) -> Result<(), LedgerError> {
        if !self.is_pruning_due() {
            return Ok(());
        }
        let mut retention = std::mem::take(&mut self.retention);
        let outcome = match &retention.policy {
            Some(policy) => {
                let mut go_on = |_| ControlFlow::Continue(());
                self.prune(
                    policy,
                    now_us,
                    state,
                    retention.archive.as_mut(),
                    &mut go_on,
                )
                .map(drop)
            }
            None => Ok(()),
        };
        (retention.blocks, retention.bytes) = (0, 0);
        self.retention = retention;
        match outcome {
            // The chain hasn't come to where the policy begins.
            Err(LedgerError::Policy(PolicyError::BeyondTip { .. })) => Ok(()),
            outcome => outcome,
        }
    }
}
