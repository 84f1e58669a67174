//! Pruning a live chain by a [`PrunePolicy`]: what stands in for the bodies first, then the bodies, in bounded steps.
//!
//! The order makes it resumable after a crash at any point: staged blocks are committed, a state snapshot just below
//! the new floor or above is made durable (without it the chain couldn't be opened again), the archive is, leaf hashes are, and only then
//! does the store remove anything. What registered followers have finished was put before, so the sync that precedes the removal
//! makes it durable too. Each stage starts from what it finds done. Ids are never removed, so opening,
//! histories and carried proofs need nothing that is pruned.

use hubledger_storage::{BlockWriter, Durability, Extent, Part, Usage};

use super::policy::{PrunePolicy, first_since};
use super::{Followers, HeldBack, budget, leaves};
use crate::ledger::archive::{ArchiveError, ArchiveWriter};
use crate::ledger::commit::StateAt;
use crate::ledger::missing::Missing;
use crate::ledger::step::{Phase, Step, StepProgress};
use crate::ledger::values::VALUE_MISSING;
use crate::ledger::{ChainReader, Committer, Ledger, LedgerError};

/// Blocks that one call of the store prunes: what a writer is kept waiting for.
const STEP_BLOCKS: u64 = 4096;

/// What was removed of one part of the blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// The lowest height whose part is held now.
    pub floor: u64,
    /// Blocks whose part was removed.
    pub blocks: u64,
    /// Bytes of what was removed, as they were appended.
    pub bytes: u64,
    /// Bytes that the file system really got back.
    pub freed_bytes: u64,
}

/// The receipt of a pruning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PruneReport {
    /// Bodies.
    pub bodies: Pruned,
    /// Index entries.
    pub index: Pruned,
    /// Headers.
    pub headers: Pruned,
    /// Blocks that this call added to the archive.
    pub archived: u64,
    /// Transactions whose leaf hashes were kept by this call.
    pub leaves_kept: u64,
    /// What the store takes up now.
    pub usage: Usage,
    /// Whether the files fit into the policy's budget; `None` without one.
    pub within_budget: Option<bool>,
    /// The registered follower without which more would have been removed.
    pub held_back_by: Option<HeldBack>,
    /// Whether the policy is fulfilled; false if `progress` stopped it.
    pub done: bool,
}

impl PruneReport {
    fn new(extent: Extent, usage: Usage) -> Self {
        let floors = |part| Pruned {
            floor: extent.floor_of(part),
            ..Pruned::default()
        };
        Self {
            bodies: floors(Part::Body),
            index: floors(Part::Index),
            headers: floors(Part::Header),
            archived: 0,
            leaves_kept: 0,
            usage,
            within_budget: None,
            held_back_by: None,
            done: true,
        }
    }

    /// The receipt of a part.
    #[must_use]
    pub const fn of(&self, part: Part) -> &Pruned {
        match part {
            Part::Body => &self.bodies,
            Part::Index => &self.index,
            Part::Header => &self.headers,
        }
    }

    const fn of_mut(&mut self, part: Part) -> &mut Pruned {
        match part {
            Part::Body => &mut self.bodies,
            Part::Index => &mut self.index,
            Part::Header => &mut self.headers,
        }
    }
}

impl Ledger {
    /// Commits what is staged, then removes what `policy` doesn't keep; blocks whose bodies go are in `archive` first, if
    /// one is given. Floors are exact and durable when this returns. O(blocks removed); with an archive or with `leaves`
    /// every removed body is read. Memory: a block and a chunk of leaf hashes.
    ///
    /// Bodies that a registered follower hasn't finished stay, whatever the policy says, and so do their index entries and headers;
    /// the report names the follower.
    ///
    /// # Errors
    /// A policy that can't be followed, be it that its budget is too small (nothing is changed), an archive that can't be written or isn't of this chain
    /// (nothing is removed), a state too large for a snapshot, a failed store; then the ledger has to be opened again,
    /// and pruning again goes on where it was.
    pub fn prune(
        &mut self,
        policy: &PrunePolicy,
        archive: Option<&mut ArchiveWriter>,
        progress: &mut StepProgress<'_>,
    ) -> Result<PruneReport, LedgerError> {
        policy.validate()?;
        // What stands in for pruned bodies is a state, whose block has to be in the store.
        self.commit_staged()?;
        let (state, now_us) = (self.validator.base(None), self.clock.now_us());
        self.committer
            .prune(policy, now_us, StateAt::from(&state), archive, progress)
    }
}

impl Committer {
    /// See [`Ledger::prune`]. Nothing above the block that `state` stands after is removed, since nothing could stand in for it.
    pub(crate) fn prune(
        &mut self,
        policy: &PrunePolicy,
        now_us: u64,
        state: StateAt<'_>,
        archive: Option<&mut ArchiveWriter>,
        progress: &mut StepProgress<'_>,
    ) -> Result<PruneReport, LedgerError> {
        self.check_budget(policy)?;
        self.prune_towards(policy, now_us, state, archive, progress)
    }

    /// Refuses a budget that is too small for what must stay.
    pub(crate) fn check_budget(&self, policy: &PrunePolicy) -> Result<(), LedgerError> {
        let usage = self.chain.usage()?;
        budget::check(policy, &self.chain, usage, self.snapshot.size)
    }

    /// As [`Committer::prune`], but a budget that can't be met is only come close to.
    pub(crate) fn prune_towards(
        &mut self,
        policy: &PrunePolicy,
        now_us: u64,
        state: StateAt<'_>,
        archive: Option<&mut ArchiveWriter>,
        progress: &mut StepProgress<'_>,
    ) -> Result<PruneReport, LedgerError> {
        policy.validate()?;
        let chain = self.chain.clone();
        let (extent, usage) = (chain.extent()?, chain.usage()?);
        let wanted = policy;
        // By what the store says: after a crash only that is left, and no follower may then find itself below the floor.
        let followers = Followers::read(chain.store())?;
        let policy = &followers.hold(wanted, extent.end);
        let target = target(policy, &chain, state, now_us)?;
        let held = match followers.lowest() {
            Some(lowest) => {
                let wanted_floor = self::target(wanted, &chain, state, now_us)?.body_floor;
                Some((lowest, wanted_floor > target.body_floor))
            }
            None => None,
        };
        let floor = policy.highest_floor(target, usage);
        // Before anything is removed: a crash behind the first removal finds a snapshot to open the chain with.
        if floor > extent.body_floor {
            self.secure_state(floor, state)?;
        }
        // A moment that is held to read from keeps space from coming back.
        state.release_pages();
        self.release_written();
        let pruning = Pruning {
            chain: &chain,
            writer: &mut *self.writer,
            archive,
            progress,
            floor_max: floor.max(extent.body_floor),
            report: PruneReport::new(extent, usage),
        };
        let mut report = pruning.run(policy, target)?;
        let extent = chain.extent()?;
        let budget_floor = |policy: &PrunePolicy| {
            let step = policy.budget_step(extent, report.usage);
            step.map_or(extent.body_floor, |step| step.body_floor)
        };
        report.held_back_by = held
            .filter(|(_, is_holding)| *is_holding || budget_floor(wanted) > budget_floor(policy))
            .map(|(lowest, _)| lowest);
        self.forget_pruned_losses()?;
        Ok(report)
    }

    /// Takes from the list of lost parts what is pruned by now. That it is there does no harm.
    fn forget_pruned_losses(&mut self) -> Result<(), LedgerError> {
        if self.chain.lost().is_empty() {
            return Ok(());
        }
        let held = Missing::read(self.chain.store())?;
        let rest = held.within(self.chain.extent()?);
        if rest != held {
            self.writer
                .put_named_value(VALUE_MISSING, &rest.encode()?, Durability::Disk)?;
        }
        Ok(())
    }

    /// Sees to it that a durable snapshot lets the chain be opened without the bodies below `floor`.
    fn secure_state(&mut self, floor: u64, state: StateAt<'_>) -> Result<(), LedgerError> {
        if self.snapshot.height + 1 < floor {
            self.put_snapshot(state.encode()?)?;
        }
        if self.snapshot.height + 1 < floor {
            return Err(LedgerError::StateTooLarge(self.snapshot.size));
        }
        // The snapshot, and the followers' positions that were put before it, are on the disk before any body goes.
        self.sync()?;
        Ok(())
    }
}

/// A pruning under way.
struct Pruning<'a, 'p> {
    chain: &'a ChainReader,
    writer: &'a mut dyn BlockWriter,
    archive: Option<&'a mut ArchiveWriter>,
    progress: &'a mut StepProgress<'p>,
    /// So far the state snapshot stands in for bodies.
    floor_max: u64,
    report: PruneReport,
}

impl Pruning<'_, '_> {
    /// Prunes to `target`, then step by step to the budget.
    fn run(mut self, policy: &PrunePolicy, target: Extent) -> Result<PruneReport, LedgerError> {
        let mut next = Some(target);
        while let (Some(target), true) = (next, self.report.done) {
            // Archive and leaf hashes first: what they are made of is about to be removed.
            self.secure(target.body_floor, policy.leaves)?;
            for part in Part::ALL {
                self.part(part, target.floor_of(part))?;
            }
            self.report.usage = self.chain.usage()?;
            let extent = self.chain.extent()?;
            // What was kept of the bodies may itself have gone over the budget; that is for the next pruning.
            next = policy
                .budget_step(extent, self.report.usage)
                .filter(|step| step.body_floor <= self.floor_max);
        }
        let on_disk = self.report.usage.bytes_on_disk;
        self.report.within_budget = policy.budget_bytes.map(|budget| on_disk <= budget);
        Ok(self.report)
    }

    /// Archives, and keeps the leaf hashes of, the blocks below `floor`. Durable when it returns.
    fn secure(&mut self, floor: u64, with_leaves: bool) -> Result<(), LedgerError> {
        let blocks = (self.chain.extent()?.body_floor, floor);
        if blocks.0 >= blocks.1 {
            return Ok(());
        }
        let Self {
            progress, report, ..
        } = self;
        let mut tell = |phase, height| {
            let step = Step {
                phase,
                height,
                target: floor,
            };
            progress(step).is_continue()
        };
        if let Some(archive) = &mut self.archive {
            let mut step = |height| tell(Phase::Archive, height);
            let (archived, done) = archive_blocks(self.chain, archive, blocks, &mut step)?;
            report.archived += archived;
            report.done &= done;
        }
        if with_leaves && report.done {
            let mut done = true;
            report.leaves_kept += leaves::keep(self.chain, self.writer, blocks, &mut |height| {
                done = tell(Phase::Leaves, height);
                done
            })?;
            report.done &= done;
        }
        Ok(())
    }

    fn part(&mut self, part: Part, below: u64) -> Result<(), LedgerError> {
        while self.report.done && self.report.of(part).floor < below {
            let receipt = self.writer.prune(part, below, STEP_BLOCKS)?;
            let pruned = self.report.of_mut(part);
            pruned.floor = receipt.floor;
            pruned.blocks += receipt.blocks;
            pruned.bytes += receipt.bytes;
            pruned.freed_bytes += receipt.freed_bytes;
            let step = Step {
                phase: Phase::Prune(part),
                height: receipt.floor,
                target: below,
            };
            self.report.done = (self.progress)(step).is_continue();
            if receipt.done {
                break;
            }
        }
        Ok(())
    }
}

/// Puts the blocks `from..to` into the archive, but for those that an earlier run has put there; their files are compared
/// with the manifest. Durable when it returns how many, and whether it wasn't stopped.
fn archive_blocks(
    chain: &ChainReader,
    archive: &mut ArchiveWriter,
    (from, to): (u64, u64),
    step: &mut dyn FnMut(u64) -> bool,
) -> Result<(u64, bool), LedgerError> {
    let end = archive.end();
    let folder = || archive.folder().to_owned();
    // A file with an earlier specification than its blocks could not be restored from.
    let (held, asked) = (archive.spec().id(), chain.spec().id());
    if held != asked {
        return Err(LedgerError::Archive(ArchiveError::OtherChain {
            path: folder(),
            held,
            asked,
        }));
    }
    if end < from {
        return Err(LedgerError::Archive(ArchiveError::Gap {
            path: folder(),
            end,
            floor: from,
        }));
    }
    if let Some(last) = archive.manifest().files.last()
        && chain.hash_at(last.last)? != Some(last.last_hash)
    {
        return Err(LedgerError::Archive(ArchiveError::Forked {
            path: folder(),
            height: last.last,
        }));
    }
    // The only copy will be there: a file that rotted since an earlier run must be found before the bodies go.
    archive.check_from(from)?;
    let mut archived = 0;
    let mut done = true;
    for height in end..to {
        let block = chain.block(height)?.ok_or(LedgerError::Pruned(height))?;
        archive.push(&block)?;
        archived += 1;
        done = step(height + 1);
        if !done {
            break;
        }
    }
    archive.flush()?;
    Ok((archived, done))
}

/// The extent that the policy leaves of the chain, ages and all, as far as `state` can stand in for what goes.
fn target(
    policy: &PrunePolicy,
    chain: &ChainReader,
    state: StateAt<'_>,
    now_us: u64,
) -> Result<Extent, LedgerError> {
    let held = chain.extent()?;
    let mut extent = held;
    extent.end = extent.end.min(state.end).max(extent.body_floor);
    let mut target = policy.floors::<LedgerError>(extent, now_us, |cutoff_us| {
        first_since(extent.header_floor..extent.end, cutoff_us, |height| {
            let header = chain.header(height)?;
            Ok(header.ok_or(LedgerError::HeaderPruned(height))?.timestamp)
        })
    })?;
    // Bodies above the state's block lead from there to the last one.
    let most = (state.height() + 1).max(held.body_floor);
    target.end = target.end.min(most);
    target.body_floor = target.body_floor.min(most);
    target.index_floor = target.index_floor.min(most);
    target.header_floor = target.header_floor.min(most);
    Ok(target)
}
