//! Keeping a live chain to a policy: after a commit, when enough has come in since the last pruning.

use std::ops::ControlFlow;

use super::policy::{PolicyError, PrunePolicy};
use super::{Ledger, LedgerError};
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
        policy.validate()?;
        self.retention = Retention {
            policy: Some(policy),
            archive,
            blocks: u64::MAX / 2,
            bytes: 0,
        };
        Ok(())
    }

    /// Prunes if it is due.
    pub(super) fn retain(&mut self) -> Result<(), LedgerError> {
        let Retention {
            policy,
            mut archive,
            blocks,
            bytes,
        } = std::mem::take(&mut self.retention);
        let mut left = (blocks, bytes);
        let mut outcome = Ok(());
        if let Some(policy) = policy
            .as_ref()
            .filter(|policy| policy.is_due(blocks, bytes))
        {
            left = (0, 0);
            let mut go_on = |_| ControlFlow::Continue(());
            outcome = match self.prune(policy, archive.as_mut(), &mut go_on) {
                // The chain hasn't come to where the policy begins.
                Ok(_) | Err(LedgerError::Policy(PolicyError::BeyondTip { .. })) => Ok(()),
                Err(error) => Err(error),
            };
        }
        self.retention = Retention {
            policy,
            archive,
            blocks: left.0,
            bytes: left.1,
        };
        outcome
    }
}
