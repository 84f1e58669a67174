//! Copying a chain from one store to another, of any backend, while the source goes on: `migrate` and `backup`.
//!
//! The copy is of one moment: everything up to the source's end when it began (a little more only if the source
//! meanwhile pruned what the copy still needed). What the source has pruned is pruned in the copy too: such blocks are
//! appended without it, and the floors raised at the end.
//!
//! Until a copy is complete the target says so in a named value ([`META_COPY`]), and no [`ChainReader`] opens it. A copy
//! that was interrupted goes on where it was. It ends in a comparison of both stores; only then is the value emptied.

use std::ops::ControlFlow;

use hubledger_storage::{
    Block, BlockReader, Durability, Extent, Held, IndexEntry, Part, Store, StoredBlock,
};

use super::compare::{Compared, compare};
use super::step::go_on;
use super::{ChainReader, LedgerError, META_SPEC, META_STATE, leaves};
use crate::codec::{DecodeError, DecodeProblem, Reader};
use crate::digest::{BlockHash, ChainId};
use crate::validate::State;

/// Not empty while a copy is incomplete.
pub(super) const META_COPY: &str = "copy";
const MAGIC: &[u8; 8] = b"HLCOPY\0\x01";

/// A run is committed when it holds so many bytes …
const RUN_BYTES_MAX: usize = 16 << 20;
/// … or so many blocks.
const RUN_BLOCKS_MAX: usize = 1024;
/// So often a source may prune away what the copy needs before the copy gives up.
const ATTEMPTS_MAX: usize = 16;
const STEP_BLOCKS: u64 = 4096;

/// How far a copy has come, for progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyStep {
    /// `copy`, `prune` or `compare`.
    pub stage: &'static str,
    /// The height reached.
    pub height: u64,
    /// The height to be reached in this stage.
    pub target: u64,
}

/// Called between steps; [`ControlFlow::Break`] stops, and the copy can be gone on with.
pub type CopyProgress<'a> = dyn FnMut(CopyStep) -> ControlFlow<()> + 'a;

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
    /// What was compared in the end.
    pub compared: Compared,
}

/// Copies the chain of `source` into `target`, which is empty or holds an interrupted copy of this chain. The source may be
/// written to and pruned meanwhile. O(blocks + bytes), and a comparison of some of it; memory: a run of blocks and the
/// largest named value.
///
/// # Errors
/// [`LedgerError::TargetInUse`] if the target holds anything else (nothing is changed); [`LedgerError::Stopped`] if
/// `progress` stopped it; [`LedgerError::CopyDiffers`] if the stores aren't equal in the end; a store that failed or is
/// damaged. The target stays incomplete then, and says so.
pub fn copy_chain(
    source: &ChainReader,
    target: Store,
    progress: &mut CopyProgress<'_>,
) -> Result<CopyReport, LedgerError> {
    let mut copy = Copy::begin(source, target)?;
    let from = copy.target.reader.extent()?.end;
    let state = copy.blocks(progress)?;
    let values = copy.values(state.as_deref())?;
    copy.prune(progress)?;
    copy.step(progress, "compare", 0)?;
    let compared = compare(source, &copy.finished_reader(), copy.plan, &mut |height| {
        copy.step(progress, "compare", height)
    })?;
    let Store { reader, mut writer } = copy.target;
    writer.sync()?;
    writer.put_meta(META_COPY, &[], Durability::Disk)?;
    writer.sync()?;
    let head = reader.header(copy.plan.end - 1)?;
    Ok(CopyReport {
        extent: copy.plan,
        head: BlockHash(head.map(|held| held.id).unwrap_or_default()),
        from,
        bytes: copy.bytes,
        values,
        compared,
    })
}

/// Refuses a store that holds an incomplete copy.
pub(super) fn refuse_incomplete(store: &dyn BlockReader) -> Result<(), LedgerError> {
    match store.meta(META_COPY)? {
        Some(marker) if !marker.is_empty() => Err(LedgerError::Incomplete),
        _ => Ok(()),
    }
}

struct Copy<'a> {
    source: &'a ChainReader,
    target: Store,
    /// What the target will hold. Floors go up when the source turns out to have pruned more.
    plan: Extent,
    bytes: u64,
}

impl<'a> Copy<'a> {
    fn begin(source: &'a ChainReader, mut target: Store) -> Result<Self, LedgerError> {
        let chain = source.spec().id();
        let marker = target.reader.meta(META_COPY)?.unwrap_or_default();
        if marker.is_empty() {
            let is_empty = target.reader.extent()?.is_empty();
            if !is_empty || target.reader.meta(META_SPEC)?.is_some() {
                return Err(LedgerError::TargetInUse);
            }
            let marker = [&MAGIC[..], &chain.0].concat();
            let writer = &mut target.writer;
            writer.put_meta(META_COPY, &marker, Durability::Disk)?;
        } else {
            let held = decode_marker(&marker).map_err(|problem| LedgerError::DamagedMeta {
                record: META_COPY,
                problem,
            })?;
            if held != chain {
                let asked = chain;
                return Err(LedgerError::OtherChain { held, asked });
            }
            let held = target.reader.extent()?;
            if let Some(tip) = held.tip()
                && id_at(source.store(), tip)? != id_at(&*target.reader, tip)?
            {
                return Err(LedgerError::TargetInUse);
            }
        }
        let plan = source.extent()?;
        Ok(Self {
            source,
            target,
            plan,
            bytes: 0,
        })
    }

    /// Copies blocks up to the plan's end, and returns a state snapshot that the copy can be opened with.
    fn blocks(
        &mut self,
        progress: &mut CopyProgress<'_>,
    ) -> Result<Option<bytes::Bytes>, LedgerError> {
        for _ in 0..ATTEMPTS_MAX {
            // The snapshot first: what the source's end is after it reaches at least as far.
            let snapshot = sound_snapshot(self.source)?;
            let height = snapshot.as_ref().map_or(0, |(height, _)| *height);
            let now = self.source.extent()?;
            self.raise(now);
            self.plan.end = self.plan.end.max(height.saturating_add(1)).min(now.end);
            while self.target.reader.extent()?.end < self.plan.end {
                self.run()?;
                let reached = self.target.reader.extent()?.end;
                self.step(progress, "copy", reached)?;
            }
            // Unless the source has pruned past the snapshot meanwhile, the blocks after it are there.
            if height.saturating_add(1) >= self.plan.floor && height < self.plan.end {
                return Ok(snapshot.map(|(_, bytes)| bytes));
            }
        }
        let floor = self.plan.floor;
        Err(LedgerError::NoState { floor })
    }

    /// Copies a run of blocks.
    fn run(&mut self) -> Result<(), LedgerError> {
        let start = self.target.reader.extent()?.end;
        let mut run = Vec::new();
        let mut bytes = 0;
        for height in start..self.plan.end {
            let block = self.block(height)?;
            bytes += block.header.len() + block.body.len() + 36 * block.index.len();
            self.bytes += (block.header.len() + block.body.len()) as u64;
            run.push(block);
            if bytes >= RUN_BYTES_MAX || run.len() == RUN_BLOCKS_MAX {
                break;
            }
        }
        self.target.writer.append(&run, Durability::Os)?;
        Ok(())
    }

    /// A block as far as the source still holds it.
    fn block(&mut self, height: u64) -> Result<Block, LedgerError> {
        let store = self.source.store();
        let missing = || LedgerError::Damaged {
            record: "block",
            height,
            problem: "missing below the tip".to_owned(),
        };
        // The index first: floors only rise, so where it is pruned the body is pruned by now.
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
    fn values(&mut self, state: Option<&[u8]>) -> Result<u64, LedgerError> {
        let writer = &mut *self.target.writer;
        writer.put_meta(META_SPEC, self.source.spec().bytes(), Durability::Os)?;
        let mut values = 1;
        if let Some(state) = state {
            writer.put_meta(META_STATE, state, Durability::Os)?;
            values += 1;
        }
        Ok(values + leaves::copy(self.source.store(), writer)?)
    }

    fn prune(&mut self, progress: &mut CopyProgress<'_>) -> Result<(), LedgerError> {
        self.target.writer.sync()?;
        self.plan.floor = self.plan.floor.min(self.plan.end);
        self.plan.index_floor = self.plan.index_floor.min(self.plan.floor);
        self.plan.header_floor = self.plan.header_floor.min(self.plan.floor);
        for part in Part::ALL {
            let below = self.plan.floor_of(part);
            let mut floor = self.target.reader.extent()?.floor_of(part);
            while floor < below {
                floor = self.target.writer.prune(part, below, STEP_BLOCKS)?.floor;
                self.step(progress, "prune", floor)?;
            }
        }
        Ok(())
    }

    fn step(
        &self,
        progress: &mut CopyProgress<'_>,
        stage: &'static str,
        height: u64,
    ) -> Result<(), LedgerError> {
        let step = CopyStep {
            stage,
            height,
            target: self.plan.end,
        };
        go_on(progress(step))
    }

    /// The target as a chain, though it still says that it is incomplete.
    fn finished_reader(&self) -> ChainReader {
        let reader = std::sync::Arc::clone(&self.target.reader);
        ChainReader::from_parts(self.source.spec().clone(), reader)
    }
}

fn id_at(store: &dyn BlockReader, height: u64) -> Result<Option<[u8; 32]>, LedgerError> {
    Ok(store.header(height)?.map(|held| held.id))
}

/// The state snapshot and its height, if it is sound and of a block that is held; opening ignores any other too.
fn sound_snapshot(source: &ChainReader) -> Result<Option<(u64, bytes::Bytes)>, LedgerError> {
    let Some(bytes) = source.store().meta(META_STATE)? else {
        return Ok(None);
    };
    let state = match State::decode(&bytes) {
        Ok(state) => state,
        Err(error) => {
            tracing::warn!(%error, "a damaged state snapshot is not copied");
            return Ok(None);
        }
    };
    let held = source.hash_at(state.height())?;
    Ok((held == Some(state.head())).then(|| (state.height(), bytes)))
}

fn decode_marker(bytes: &[u8]) -> Result<ChainId, DecodeError> {
    let mut reader = Reader::new(bytes);
    if reader.take("magic", 8)? != MAGIC {
        let problem = DecodeProblem::Value("not the mark of a copy");
        return Err(Reader::new(bytes).error("magic", problem));
    }
    let chain = ChainId(reader.array("chain")?);
    reader.finish("copy")?;
    Ok(chain)
}
