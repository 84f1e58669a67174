//! Copying a chain from one store to another, of any backend, while the source goes on: `migrate` and `backup`.
//!
//! The copy is of one moment: everything up to the source's end when it began, or up to the state that it goes by, which is taken
//! when most blocks are copied. What the source has pruned is pruned in the copy too: such blocks are
//! appended without it, and the floors raised at the end.
//!
//! Registered followers stay with the source: whoever follows the copy registers there, with a position of its own.
//!
//! Table sets whose position is a block of the chain are copied too, of one moment each, so that the copy opens as fast as the source; and so are the
//! branches beside the chain.
//!
//! Until a copy is complete the target says so in a named value ([`VALUE_COPY`]), and no [`ChainReader`] opens it. A copy
//! that was interrupted goes on where it was. It ends in a comparison of both stores; only then is the value emptied.
//!
//! Of a damaged source nothing is copied in this way; but everything that can be read is, by [`salvage_chain`]. The target then
//! lists what it lacks ([`Missing`]), on the disk before any block that lacks it. See `docs/adr/0002-salvage.md`.

mod compare;
mod fork;
mod mark;
mod salvage;
mod sets;

use std::sync::Arc;

use hubledger_storage::{
    Block, BlockReader, BlockWriter, Durability, Extent, Held, Id, IndexEntry, Part, Store,
    StoredBlock,
};

pub use self::compare::Compared;
use self::compare::compare;
pub use self::fork::{ChainFork, ForkError};
use self::mark::Mark;
use self::salvage::{Kept, Salvaged, Salvager, Snapshot};
use self::sets::SourceSet;
use crate::format::digest::BlockHash;
use crate::format::spec::ChainSpec;
use crate::ledger::keep::leaves;
use crate::ledger::missing::{Losses, LostPart, Missing};
use crate::ledger::step::{Phase, Step, StepProgress, go_on};
use crate::ledger::values::{VALUE_COPY, VALUE_MISSING, VALUE_SPEC, VALUE_STATE};
use crate::ledger::{ChainReader, LedgerError, state_set};
use crate::state::State;

/// A run is committed when it holds so many bytes …
const RUN_BYTES_MAX: usize = 16 << 20;
/// … or so many blocks.
const RUN_BLOCKS_MAX: usize = 1024;
/// How often the source may prune away what the copy needs before the copy gives up.
const ATTEMPTS_MAX: usize = 16;
const STEP_BLOCKS: u64 = 4096;

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyReport {
    /// What both stores hold.
    pub extent: Extent,
    /// Hash of the last block.
    pub head: BlockHash,
    /// The height where this run began; above 0 if it went on with an interrupted one.
    pub from: u64,
    /// Bytes of headers and bodies that this run copied.
    pub bytes: u64,
    /// Named values copied.
    pub values: u64,
    /// Rows of table sets copied.
    pub rows: u64,
    /// What was compared in the end.
    pub compared: Compared,
    /// The parts of blocks that the copy lacks: those that the source lacked and, of a damaged source, those that could not be
    /// read, in whichever run.
    pub missing: Missing,
    /// What this run could not read, and why. It goes beyond the copy's end if that was [cut](Self::cut).
    pub losses: Losses,
    /// Why the copy ends before its source does.
    pub cut: Option<Cut>,
}

/// The state after a block follows from the block; so a chain can't be continued behind one that is lost, unless a state
/// snapshot was taken behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The first block that isn't in the copy, because it can't be read.
    pub height: u64,
    /// Where the source ends: blocks from `height` up to here are lost to the copy.
    pub end: u64,
}

/// Copies the chain of `source` into `target`, which is empty or holds an interrupted copy of this chain. The source may be
/// written to and pruned meanwhile. O(blocks + bytes), and a comparison of some of it; memory: a run of blocks and the
/// largest named value. The state in tables is read once more, and copied only if all of it is sound; another may be worked out from
/// blocks.
///
/// # Errors
/// [`LedgerError::TargetInUse`] if the target holds anything else (nothing is changed); [`LedgerError::Stopped`] if
/// `progress` stopped it; [`LedgerError::CopyDiffers`] if the stores aren't equal in the end; [`LedgerError::Unreadable`] with
/// all that is lost if the source is damaged; a store that failed. The target stays incomplete then, and says so.
pub fn copy_chain(
    source: &ChainReader,
    target: Store,
    progress: &mut StepProgress<'_>,
) -> Result<CopyReport, LedgerError> {
    let copied = Copy::begin(source, target, None, None).and_then(|copy| copy.run(progress));
    match copied {
        Err(error) if error.is_corrupt() => {
            let losses = salvage::survey(source, progress)?;
            match losses.is_empty() {
                // The target's damage, or not in what is copied.
                true => Err(error),
                false => Err(LedgerError::Unreadable(Box::new(losses))),
            }
        }
        outcome => outcome,
    }
}

/// Copies what can be read of the chain in a damaged store, as [`copy_chain`] does. The copy says of what it lacks that it is
/// lost, and ends before the first lost block that is behind the last state snapshot. The index of the source is not used, since keys
/// are read with the blocks; nor are table sets but that of the state, if it is sound as a whole. `is_end_known` says whether the source could be opened as usual; else its last blocks may be among what
/// can't be read, and the chain reaches to the state snapshot at least.
///
/// # Errors
/// [`LedgerError::SpecLost`] and [`LedgerError::NoState`] if nothing can be saved; those of [`copy_chain`] but
/// [`LedgerError::Unreadable`].
pub fn salvage_chain(
    source: Arc<dyn BlockReader>,
    is_end_known: bool,
    target: Store,
    progress: &mut StepProgress<'_>,
) -> Result<CopyReport, LedgerError> {
    let source = salvage::open(source)?;
    let salvager = Salvager::new(&source, is_end_known)?;
    let floor = source.extent()?.body_floor;
    if salvager.snapshot_height().saturating_add(1) < floor {
        return Err(LedgerError::NoState { floor });
    }
    Copy::begin(&source, target, None, Some(salvager))?.run(progress)
}

struct Copy<'a> {
    source: &'a ChainReader,
    target: Store,
    /// The specification that the copy gets: the source's, or the one before it under which the last block that is copied has a next one.
    spec: ChainSpec,
    /// The last block that is copied, where another chain is to go on behind it; all that there are otherwise.
    last: Option<u64>,
    /// What the target will hold. Floors go up when the source turns out to have pruned more.
    plan: Extent,
    bytes: u64,
    /// What the target lacks, as it says itself.
    missing: Missing,
    /// If damage is to be skipped.
    salvager: Option<Salvager<'a>>,
    cut: Option<Cut>,
}

impl<'a> Copy<'a> {
    fn begin(
        source: &'a ChainReader,
        mut target: Store,
        last: Option<u64>,
        salvager: Option<Salvager<'a>>,
    ) -> Result<Self, LedgerError> {
        let chain = source.spec().id();
        let mark = Mark {
            chain,
            fork_height: last,
        };
        let marker = target.reader.named_value(VALUE_COPY)?.unwrap_or_default();
        if marker.is_empty() {
            let is_empty =
                target.reader.extent()?.is_empty() && target.reader.tables().sets()?.is_empty();
            if !is_empty || target.reader.named_value(VALUE_SPEC)?.is_some() {
                return Err(LedgerError::TargetInUse);
            }
            let writer = &mut target.writer;
            // On the disk before anything else: whatever a crash leaves of the copy, no reader takes it for a chain.
            writer.put_named_value(VALUE_COPY, &mark.encode(), Durability::Disk)?;
        } else {
            let held = Mark::decode(&marker).map_err(|problem| LedgerError::DamagedValue {
                record: VALUE_COPY,
                problem,
            })?;
            // One that was begun before the chain went on under another specification has blocks of this chain too.
            if source.spec().shared_up_to(held.chain).is_none() {
                let (held, asked) = (held.chain, chain);
                return Err(LedgerError::OtherChain { held, asked });
            }
            // It may have blocks that this one must not have, or a state that is of another specification.
            if held.fork_height != last {
                return Err(LedgerError::OtherCopy(held.to_string()));
            }
            let held = target.reader.extent()?;
            // The marker names the chain; that the blocks are the source's too is asked of the last one, whose hash covers all.
            if let Some(tip) = held.tip()
                && !is_same_at(source.store(), &*target.reader, tip, salvager.is_some())?
            {
                return Err(LedgerError::TargetInUse);
            }
        }
        let plan = extent(source, salvager.as_ref(), last)?;
        let held = target.reader.extent()?.end;
        // The list was put before the blocks: an earlier run may have been interrupted in between, so that only what is below
        // the target's end counts.
        let mut missing = Missing::read(&*target.reader)?.below(held);
        if salvager.is_none() {
            // A copy that lacks more than its source was begun as a salvage; as a plain copy it would be taken for whole.
            if !missing.is_within(source.lost()) {
                return Err(LedgerError::SalvageBegun(missing.to_string()));
            }
            missing = source.lost().below(plan.end);
            if !missing.is_empty() {
                put_missing(&mut *target.writer, &missing)?;
            }
        }
        let spec = match last {
            Some(last) => source.spec().at(last + 1).clone(),
            None => source.spec().clone(),
        };
        Ok(Self {
            source,
            target,
            spec,
            last,
            plan,
            bytes: 0,
            missing,
            salvager,
            cut: None,
        })
    }

    fn run(self, progress: &mut StepProgress<'_>) -> Result<CopyReport, LedgerError> {
        let (report, mut target) = self.copied(progress)?;
        unmark(&mut target)?;
        Ok(report)
    }

    /// Makes the copy, all of it on the disk, in a store that still says that it is incomplete.
    fn copied(
        mut self,
        progress: &mut StepProgress<'_>,
    ) -> Result<(CopyReport, Store), LedgerError> {
        let from = self.target.reader.extent()?.end;
        let (snapshot, sets) = self.blocks(progress)?;
        let values = self.values(snapshot.as_ref())?;
        let rows = self.sets(&sets, progress)?;
        self.settle_missing()?;
        self.prune(progress)?;
        self.step(progress, Phase::Compare, 0)?;
        let copy = self.finished_reader();
        let skip_damage = self.salvager.is_some();
        let expected = (self.plan, &sets[..]);
        let compared = compare(self.source, &copy, expected, skip_damage, &mut |height| {
            self.step(progress, Phase::Compare, height)
        })?;
        let mut target = self.target;
        target.writer.sync()?;
        target.tables.sync()?;
        let head = id_at(&*target.reader, self.plan.end.saturating_sub(1))?;
        let salvager = self.salvager;
        let report = CopyReport {
            extent: self.plan,
            head: BlockHash(head.unwrap_or_default()),
            from,
            bytes: self.bytes,
            values,
            rows,
            compared,
            missing: self.missing.within(self.plan),
            losses: salvager.map(|salvager| salvager.losses).unwrap_or_default(),
            cut: self.cut,
        };
        Ok((report, target))
    }

    /// Copies blocks up to the plan's end, and returns a state snapshot that the copy can be opened with, and the table sets that
    /// belong to it.
    fn blocks(
        &mut self,
        progress: &mut StepProgress<'_>,
    ) -> Result<(Option<Snapshot>, Vec<SourceSet>), LedgerError> {
        if self.salvager.is_none() {
            // Most of the blocks before any moment of the tables is taken: a source that goes on keeps all that was since.
            self.append_all(0, progress)?;
        }
        for _ in 0..ATTEMPTS_MAX {
            // The snapshot first: the source goes on meanwhile, and an end that is read after it reaches at least as far.
            let (snapshot, sets) = self.snapshot()?;
            let height = snapshot.as_ref().map_or(0, |snapshot| snapshot.height);
            let positions = sets.iter().filter_map(|set| set.position);
            let highest = positions.map(|position| position.height);
            let highest = highest.fold(height, u64::max);
            let now = extent(self.source, self.salvager.as_ref(), self.last)?;
            self.raise(now);
            self.plan.end = self.plan.end.max(highest.saturating_add(1)).min(now.end);
            self.take_back(height)?;
            self.append_all(height, progress)?;
            // The source may have pruned past the snapshot meanwhile; then a later snapshot is there to be read.
            if height.saturating_add(1) >= self.plan.body_floor && height < self.plan.end {
                return Ok((snapshot, sets));
            }
        }
        let floor = self.plan.body_floor;
        Err(LedgerError::NoState { floor })
    }

    fn append_all(
        &mut self,
        snapshot: u64,
        progress: &mut StepProgress<'_>,
    ) -> Result<(), LedgerError> {
        while self.target.reader.extent()?.end < self.plan.end {
            self.append(snapshot)?;
            let reached = self.target.reader.extent()?.end;
            self.step(progress, Phase::Copy, reached)?;
        }
        Ok(())
    }

    /// The state snapshot to go by, and the table sets of the same moment.
    fn snapshot(&mut self) -> Result<(Option<Snapshot>, Vec<SourceSet>), LedgerError> {
        let (snapshot, mut sets) = match &mut self.salvager {
            None => {
                let last = self.last.unwrap_or(u64::MAX);
                let others = sets::others_of(self.source, last)?;
                (sound_snapshot(self.source, last)?, others)
            }
            // Of other sets nothing says whether they are sound; whoever keeps them works them out again.
            Some(salvager) => {
                salvager.find_snapshot()?;
                (salvager.snapshot.clone(), Vec::new())
            }
        };
        if let Some(snapshot) = &snapshot
            && let Kept::Set(view) = &snapshot.kept
        {
            sets.push(SourceSet {
                name: state_set::SET.to_owned(),
                position: Some(snapshot.position()),
                view: Arc::clone(view),
            });
        }
        Ok((snapshot, sets))
    }

    /// Copies table sets, those of an earlier run anew; gives the number of rows.
    fn sets(
        &mut self,
        sets: &[SourceSet],
        progress: &mut StepProgress<'_>,
    ) -> Result<u64, LedgerError> {
        let target = self.plan.end;
        let Store { reader, tables, .. } = &mut self.target;
        sets::remove_all(&*reader.tables(), &mut **tables)?;
        let mut rows = 0;
        for set in sets {
            let step = Step {
                phase: Phase::Tables,
                height: set.position.map_or(target, |at| at.height),
                target,
            };
            rows += set.load_into(&mut **tables, &mut || go_on(progress(step)))?;
        }
        Ok(rows)
    }

    /// Takes back what an earlier run, which could read a later snapshot, has put where the state has to be rebuilt.
    fn take_back(&mut self, snapshot: u64) -> Result<(), LedgerError> {
        if self.salvager.is_none() {
            return Ok(());
        }
        let lost = [LostPart::Header, LostPart::Body];
        let lost = lost.map(|part| self.missing.first_from(part, snapshot + 1));
        if let Some(first) = lost.into_iter().flatten().min() {
            // With the present snapshot the state has to be replayed through this block, which is not whole.
            self.target.writer.truncate(first - 1)?;
            self.missing = self.missing.below(first);
        }
        Ok(())
    }

    /// Copies a run of blocks, up to one that can't be read and that the state after it can't do without.
    fn append(&mut self, snapshot: u64) -> Result<(), LedgerError> {
        let start = self.target.reader.extent()?.end;
        let mut run = Vec::new();
        let mut bytes = 0;
        let before = self.missing.clone();
        for height in start..self.plan.end {
            let Some(block) = self.next(height, snapshot)? else {
                let end = self.plan.end;
                self.cut = Some(Cut { height, end });
                self.plan.end = height;
                break;
            };
            bytes += block.header.len() + block.body.len() + 36 * block.index.len();
            self.bytes += (block.header.len() + block.body.len()) as u64;
            run.push(block);
            if bytes >= RUN_BYTES_MAX || run.len() == RUN_BLOCKS_MAX {
                break;
            }
        }
        // Before the blocks: a crash in between leaves a list of more than is lost, never a lost part that nobody knows of.
        if self.missing != before {
            put_missing(&mut *self.target.writer, &self.missing)?;
        }
        self.target.writer.append(&run, Durability::Os)?;
        Ok(())
    }

    /// The block to be copied; `None` if the chain can't be continued behind it.
    fn next(&mut self, height: u64, snapshot: u64) -> Result<Option<Block>, LedgerError> {
        let Some(salvager) = &mut self.salvager else {
            return self.block(height).map(Some);
        };
        let salvaged = salvager.block(height)?;
        salvager.note(&salvaged);
        let Salvaged {
            block,
            pruned,
            lost,
        } = salvaged;
        for part in pruned {
            let floor = self.plan.floor_of_mut(part);
            *floor = (*floor).max(height + 1);
        }
        if height > snapshot && !lost.is_empty() {
            return Ok(None);
        }
        for (part, _) in lost {
            self.missing.add(part, height..height + 1);
        }
        Ok(Some(block))
    }

    /// A block as far as the source still holds it.
    fn block(&mut self, height: u64) -> Result<Block, LedgerError> {
        let store = self.source.store();
        let missing = || LedgerError::Damaged {
            record: "block",
            height,
            problem: "missing below the tip".to_owned(),
        };
        // The index first: floors only rise, and the index is pruned after the body. So entries that are gone mean that the body
        // is gone by now, or damage.
        let index = store.index(height)?.ok_or_else(missing)?;
        let StoredBlock { id, header, body } = store.block(height)?.ok_or_else(missing)?;
        if matches!((&index, &body), (Held::Pruned, Held::Present(_))) {
            return Err(LedgerError::Damaged {
                record: "index entries",
                height,
                problem: "missing though the body is held".to_owned(),
            });
        }
        Ok(Block {
            height,
            id,
            header: self.part(Part::Header, height, header),
            body: self.part(Part::Body, height, body),
            index: self.part::<Vec<IndexEntry>>(Part::Index, height, index),
        })
    }

    /// The part, or nothing and a floor above it.
    fn part<T: Default>(&mut self, part: Part, height: u64, held: Held<T>) -> T {
        if matches!(held, Held::Pruned) {
            let floor = self.plan.floor_of_mut(part);
            *floor = (*floor).max(height + 1);
        }
        held.present().unwrap_or_default()
    }

    /// Takes over floors that the source has raised, as far as the plan reaches.
    fn raise(&mut self, now: Extent) {
        for part in Part::ALL {
            let floor = self.plan.floor_of_mut(part);
            *floor = (*floor).max(now.floor_of(part)).min(now.end);
        }
    }

    /// Copies specification, snapshot and leaf hashes.
    fn values(&mut self, snapshot: Option<&Snapshot>) -> Result<u64, LedgerError> {
        if self.salvager.is_none() {
            // Asked behind the blocks: those of another specification came after it, and the copy would not open with the one before.
            let now = self.source.store().named_value(VALUE_SPEC)?;
            if now.as_deref() != Some(self.source.spec().bytes()) {
                return Err(LedgerError::Upgraded);
            }
        }
        let writer = &mut *self.target.writer;
        writer.put_named_value(VALUE_SPEC, self.spec.bytes(), Durability::Os)?;
        let mut values = 1;
        if let Some(Snapshot {
            kept: Kept::Value(state),
            ..
        }) = snapshot
        {
            writer.put_named_value(VALUE_STATE, state, Durability::Os)?;
            values += 1;
        }
        let Some(salvager) = &mut self.salvager else {
            return Ok(values + leaves::copy(self.source.store(), writer)?);
        };
        let (copied, lost) = leaves::salvage(self.source, writer, self.plan.body_floor)?;
        self.missing = self.missing.with(self.source.lost(), LostPart::Leaves);
        for (heights, reason) in lost {
            let part = LostPart::Leaves;
            salvager.losses.note(part, heights.clone(), &reason);
            self.missing.add(part, heights);
        }
        Ok(values + copied)
    }

    /// Makes the stored list say what the copy lacks, and no more. A list is put before the blocks that it is about, so an earlier run that
    /// was interrupted, or whose blocks were taken back, leaves a longer one: blocks that come later would pass for lost ever after.
    fn settle_missing(&mut self) -> Result<(), LedgerError> {
        if Missing::read(&*self.target.reader)? != self.missing {
            put_missing(&mut *self.target.writer, &self.missing)?;
        }
        Ok(())
    }

    fn prune(&mut self, progress: &mut StepProgress<'_>) -> Result<(), LedgerError> {
        self.target.writer.sync()?;
        // A copy that was cut short may end below floors that its source has.
        self.plan.body_floor = self.plan.body_floor.min(self.plan.end);
        self.plan.index_floor = self.plan.index_floor.min(self.plan.body_floor);
        self.plan.header_floor = self.plan.header_floor.min(self.plan.body_floor);
        for part in Part::ALL {
            let below = self.plan.floor_of(part);
            let mut floor = self.target.reader.extent()?.floor_of(part);
            while floor < below {
                floor = self.target.writer.prune(part, below, STEP_BLOCKS)?.floor;
                self.step(progress, Phase::PruneCopy, floor)?;
            }
        }
        Ok(())
    }

    fn step(
        &self,
        progress: &mut StepProgress<'_>,
        phase: Phase,
        height: u64,
    ) -> Result<(), LedgerError> {
        let step = Step {
            phase,
            height,
            target: self.plan.end,
        };
        go_on(progress(step))
    }

    /// The target as a chain, though it still says that it is incomplete.
    fn finished_reader(&self) -> ChainReader {
        let reader = Arc::clone(&self.target.reader);
        let missing = Arc::new(self.missing.clone());
        ChainReader::from_parts(self.spec.clone(), reader, missing)
    }
}

/// Takes the mark away that a store is incomplete. All else in it is on the disk before: without the mark it is a chain to everybody.
fn unmark(target: &mut Store) -> Result<(), LedgerError> {
    let writer = &mut target.writer;
    writer.put_named_value(VALUE_COPY, &[], Durability::Disk)?;
    writer.sync()?;
    Ok(())
}

/// What is to be copied, up to and with block `last`.
fn extent(
    source: &ChainReader,
    salvager: Option<&Salvager<'_>>,
    last: Option<u64>,
) -> Result<Extent, LedgerError> {
    let held = source.extent()?;
    let known = salvager.map_or(held.end, |salvager| salvager.end(held.end));
    let end = last.map_or(known, |last| known.min(last.saturating_add(1)));
    let mut extent = Extent { end, ..held };
    if last.is_some() {
        for part in Part::ALL {
            let floor = extent.floor_of_mut(part);
            *floor = (*floor).min(end);
        }
    }
    Ok(extent)
}

fn id_at(store: &dyn BlockReader, height: u64) -> Result<Option<Id>, LedgerError> {
    Ok(store.header(height)?.map(|held| held.id))
}

/// Whether two stores have the same block at a height; of a damaged source, at the height below it that can be read.
fn is_same_at(
    source: &dyn BlockReader,
    target: &dyn BlockReader,
    height: u64,
    skip_damage: bool,
) -> Result<bool, LedgerError> {
    for height in (0..=height).rev() {
        match id_at(source, height) {
            Err(error) if skip_damage && error.is_corrupt() => {}
            id => return Ok(id? == id_at(target, height)?),
        }
    }
    Ok(true)
}

/// Puts the list of what a store lacks. It is on the disk before the blocks are that lack it.
fn put_missing(writer: &mut dyn BlockWriter, missing: &Missing) -> Result<(), LedgerError> {
    Ok(writer.put_named_value(VALUE_MISSING, &missing.encode()?, Durability::Disk)?)
}

/// The state snapshot, if it is sound and of a block that is held, up to and with block `last`; opening ignores any other too.
fn sound_snapshot(source: &ChainReader, last: u64) -> Result<Option<Snapshot>, LedgerError> {
    match state_set::find(source)? {
        state_set::Found::Nothing => {}
        state_set::Found::State(stored) if stored.state.height() > last => {}
        state_set::Found::Damaged(error) => {
            tracing::warn!(%error, "a damaged state in tables is not copied");
        }
        state_set::Found::State(stored) => match stored.check()? {
            Ok(()) => return Ok(Some(Snapshot::of_set(*stored))),
            // A backup is believed: one that can't be relied on is worked out anew, or missed at once.
            Err(error) => tracing::warn!(%error, "a damaged state in tables is not copied"),
        },
    }
    let Some(bytes) = source.store().named_value(VALUE_STATE)? else {
        return Ok(None);
    };
    let state = match State::decode(&bytes) {
        Ok(state) => state,
        Err(error) => {
            tracing::warn!(%error, "a damaged state snapshot is not copied");
            return Ok(None);
        }
    };
    // Opening ignores a snapshot of a block that is not held; where bodies were pruned, the copy could not be opened then.
    let held = source.hash_at(state.height())?;
    let counts = held == Some(state.head()) && state.height() <= last;
    Ok(counts.then(|| Snapshot::of_value(&state, bytes)))
}
