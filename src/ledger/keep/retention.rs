//! Keeping a live chain to a policy: after a commit, when enough has come in since the last pruning.

use std::ops::ControlFlow;

use super::HeldBack;
use super::policy::{PolicyError, PrunePolicy};
use crate::clock::AHEAD_US_MAX;
use crate::ledger::archive::ArchiveWriter;
use crate::ledger::commit::StateAt;
use crate::ledger::{Committer, Ledger, LedgerError, PruneReport};

/// The policy that a ledger keeps to, and what was committed since it was last pruned.
#[derive(Default)]
pub(crate) struct Retention {
    policy: Option<PrunePolicy>,
    archive: Option<ArchiveWriter>,
    blocks: u64,
    bytes: u64,
    /// The follower that held pruning back the last time.
    held_back_by: Option<String>,
}

impl Retention {
    /// Counts a commit.
    pub(crate) fn count(&mut self, blocks: u64, bytes: u64) {
        self.blocks += blocks;
        self.bytes += bytes;
    }
}

impl Ledger {
    /// Keeps to `policy` from now on: after a commit the chain is pruned, into `archive` if one is given, once 256 blocks
    /// or a 32nd of the policy's budget have come in since the last time. The first commit prunes in any case.
    ///
    /// # Errors
    /// A policy that is refused ([`PrunePolicy::validate`]), also because its budget is too small for what must stay of the
    /// chain as it is; then the ledger keeps to the one it had. Headers and ids of a chain that grows may outgrow a budget
    /// later: then it is come as close to as can be, with a warning. A registered follower holds pruning back, of which a warning tells
    /// once.
    pub fn keep_to(
        &mut self,
        policy: PrunePolicy,
        archive: Option<ArchiveWriter>,
    ) -> Result<(), LedgerError> {
        self.committer.keep_to(policy, archive)
    }

    /// Prunes if it is due.
    pub(crate) fn prune_if_due(&mut self) -> Result<(), LedgerError> {
        if !self.committer.is_pruning_due() {
            return Ok(());
        }
        let state = self.validator.base(None);
        self.committer
            .prune_if_due(self.clock.now_us(), StateAt::from(&state))?;
        Ok(())
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
        self.check_budget(&policy)?;
        self.retention = Retention {
            policy: Some(policy),
            archive,
            // Due at the first commit; half of the range, so that counting on can't overflow.
            blocks: u64::MAX / 2,
            bytes: 0,
            held_back_by: None,
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

    /// Prunes if it is due, and says what that came to; `state` is as in [`Committer::prune`].
    ///
    /// Ages are told by the clock, but by no more than a day after the last block, which is young where a chain grows: a
    /// clock that jumps ahead must not remove what can't be had again.
    pub(crate) fn prune_if_due(
        &mut self,
        now_us: u64,
        state: StateAt<'_>,
    ) -> Result<Option<PruneReport>, LedgerError> {
        if !self.is_pruning_due() {
            return Ok(None);
        }
        let latest_us = self.chain.head()?.timestamp.saturating_add(AHEAD_US_MAX);
        let now_us = now_us.min(latest_us);
        // Nothing may return before it is put back, or policy and archive would be gone without a word.
        let mut retention = std::mem::take(&mut self.retention);
        let outcome = match &retention.policy {
            Some(policy) => {
                let mut go_on = |_| ControlFlow::Continue(());
                let archive = retention.archive.as_mut();
                self.prune_towards(policy, now_us, state, archive, &mut go_on)
                    .map(|report| {
                        warn_of_budget(policy, &report);
                        warn_of_follower(&mut retention.held_back_by, &report);
                        Some(report)
                    })
            }
            None => Ok(None),
        };
        // Also after an error: else every following commit would try again what can't be done.
        (retention.blocks, retention.bytes) = (0, 0);
        self.retention = retention;
        match outcome {
            // The chain hasn't come to where the policy begins.
            Err(LedgerError::Policy(PolicyError::BeyondTip { .. })) => Ok(None),
            outcome => outcome,
        }
    }
}

/// Whether somebody is to be told who holds pruning back: once, and again only if another does or it went on in between. `before` is who
/// did the last time.
fn is_news(before: &mut Option<String>, held_back_by: Option<&HeldBack>) -> bool {
    let name = held_back_by.map(|held| held.name.clone());
    let is_news = name.is_some() && *before != name;
    *before = name;
    is_news
}

fn warn_of_follower(before: &mut Option<String>, report: &PruneReport) {
    let held_back_by = report.held_back_by.as_ref();
    if is_news(before, held_back_by)
        && let Some(HeldBack { name, height }) = held_back_by
    {
        tracing::warn!(
            follower = name,
            height,
            "pruning is held back by a follower, which has not finished this block"
        );
    }
}

fn warn_of_budget(policy: &PrunePolicy, report: &PruneReport) {
    if report.within_budget == Some(false) {
        tracing::warn!(
            budget = policy.budget_bytes,
            bytes = report.usage.bytes_on_disk,
            "all that may go is pruned, and the store is still over its budget"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_pruning_back_is_told_once() {
        let mut before = None;
        let told = [
            (None, false),
            (Some("a"), true),
            (Some("a"), false),
            (Some("b"), true),
            (Some("a"), true),
            (None, false),
            (Some("a"), true),
        ];
        for (height, (name, is_told)) in (0..).zip(told) {
            let held = name.map(|name| HeldBack {
                name: name.to_owned(),
                height,
            });
            assert_eq!(is_news(&mut before, held.as_ref()), is_told, "{height}");
        }
    }
}
