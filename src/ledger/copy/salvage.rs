//! Reading a damaged store: of each block the parts that can be read, checked against each other, and which ones can't.
//!
//! Nothing is taken that doesn't follow from something sound: a block's hash comes from its record, from the header after it, from
//! the state snapshot or, of genesis, from the specification; a header has to hash to it, a body has to fit its header, and
//! index entries are made again from a body.

use std::sync::Arc;

use bytes::Bytes;
use hubledger_storage::{
    self as storage, BlockReader, Held, Id, IndexEntry, Part, Position, StoredBlock, TableView,
};

use crate::format::digest::{BlockHash, Digest};
use crate::format::model::Header;
use crate::format::spec::ChainSpec;
use crate::ledger::missing::{Losses, LostPart, Missing, stand_in};
use crate::ledger::state_set::{self, StoredState};
use crate::ledger::step::{Phase, Step, StepProgress, go_on};
use crate::ledger::values::{VALUE_SPEC, VALUE_STATE};
use crate::ledger::{ChainReader, LedgerError, record};
use crate::state::State;

/// A survey tells of its progress after so many blocks.
const STEP_BLOCKS: u64 = 1024;

/// The chain in a damaged store, if its specification can be read. A list of lost parts that can't be is taken for empty: what
/// it told of is found to be lost again.
pub(crate) fn open(store: Arc<dyn BlockReader>) -> Result<ChainReader, LedgerError> {
    crate::ledger::values::refuse_incomplete(&*store)?;
    let spec_lost = |reason: String| LedgerError::SpecLost(reason);
    let bytes = match store.named_value(VALUE_SPEC) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Err(LedgerError::Uninitialised),
        // Without the specification there is nothing that any other record could be checked against.
        Err(error) if error.is_corrupt() => return Err(spec_lost(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    let spec = ChainSpec::decode(&bytes).map_err(|error| spec_lost(error.to_string()))?;
    let missing = match Missing::read(&*store) {
        Err(error) if error.is_corrupt() => Missing::default(),
        missing => missing?,
    };
    Ok(ChainReader::from_parts(spec, store, Arc::new(missing)))
}

/// Reads everything, and says what can't be read.
///
/// # Errors
/// The source failed in another way than by damage; what `progress` says.
pub(crate) fn survey(
    source: &ChainReader,
    progress: &mut StepProgress<'_>,
) -> Result<Losses, LedgerError> {
    let mut salvager = Salvager::new(source, true)?;
    let end = source.extent()?.end;
    for height in 0..end {
        let block = salvager.block(height)?;
        salvager.note(&block);
        if height % STEP_BLOCKS == 0 {
            go_on(progress(Step {
                phase: Phase::Survey,
                height,
                target: end,
            }))?;
        }
    }
    Ok(salvager.losses)
}

/// A block, with empty parts where they were pruned or are lost.
#[derive(Debug)]
pub(crate) struct Salvaged {
    pub(crate) block: storage::Block,
    pub(crate) pruned: Vec<Part>,
    /// Which parts can't be read, and why.
    pub(crate) lost: Vec<(LostPart, String)>,
}

/// A state snapshot that a copy can be opened with.
#[derive(Clone)]
pub(crate) struct Snapshot {
    /// The block that it stands after.
    pub(crate) height: u64,
    head: BlockHash,
    pub(crate) kept: Kept,
}

/// How a snapshot is kept.
#[derive(Clone)]
pub(crate) enum Kept {
    /// As a named value.
    Value(Bytes),
    /// As a table set.
    Set(Arc<dyn TableView>),
}

impl Snapshot {
    pub(crate) fn of_value(state: &State, bytes: Bytes) -> Self {
        Self {
            height: state.height(),
            head: state.head(),
            kept: Kept::Value(bytes),
        }
    }

    pub(crate) fn of_set(stored: StoredState) -> Self {
        Self {
            height: stored.state.height(),
            head: stored.state.head(),
            kept: Kept::Set(stored.view),
        }
    }

    pub(crate) const fn position(&self) -> Position {
        Position {
            height: self.height,
            id: self.head.0,
        }
    }
}

/// Reads blocks of a damaged store.
pub(crate) struct Salvager<'a> {
    source: &'a ChainReader,
    /// Whether the chain doesn't reach further than what can be read of it.
    is_end_known: bool,
    /// The state snapshot.
    pub(crate) snapshot: Option<Snapshot>,
    /// What could not be read so far, of what was noted.
    pub(crate) losses: Losses,
}

/// What was read, or why it can't be.
type Read<T> = Result<T, String>;

impl<'a> Salvager<'a> {
    pub(crate) fn new(source: &'a ChainReader, is_end_known: bool) -> Result<Self, LedgerError> {
        let mut salvager = Self {
            source,
            is_end_known,
            snapshot: None,
            losses: Losses::default(),
        };
        salvager.find_snapshot()?;
        Ok(salvager)
    }

    /// The block that the state is known after: that of the snapshot, or genesis.
    pub(crate) fn snapshot_height(&self) -> u64 {
        self.snapshot.as_ref().map_or(0, |snapshot| snapshot.height)
    }

    /// Where the chain ends, of which blocks below `end` can be read.
    pub(crate) fn end(&self, end: u64) -> u64 {
        let snapshot = self.snapshot.as_ref();
        snapshot.map_or(end, |snapshot| end.max(snapshot.height.saturating_add(1)))
    }

    /// Notes what was lost of a block.
    pub(crate) fn note(&mut self, salvaged: &Salvaged) {
        let height = salvaged.block.height;
        for (part, reason) in &salvaged.lost {
            self.losses.note(*part, height..height + 1, reason);
        }
    }

    /// Looks for a state snapshot that a chain can be opened with: one that nothing which can be read contradicts.
    pub(crate) fn find_snapshot(&mut self) -> Result<(), LedgerError> {
        // What is looked for here is asked for the ids of blocks, too.
        self.snapshot = None;
        self.snapshot = match self.find_set()? {
            Some(snapshot) => Some(snapshot),
            None => self.find_value()?,
        };
        Ok(())
    }

    /// The state in tables, if it is sound as a whole: all pages lead to the root that it says.
    fn find_set(&mut self) -> Result<Option<Snapshot>, LedgerError> {
        let read = |source: &ChainReader| -> Result<Option<StoredState>, LedgerError> {
            let view = source.store().tables().view(state_set::SET)?;
            let Some(position) = view.position() else {
                return Ok(None);
            };
            let stored = StoredState::decode(view, position)?;
            stored.check()??;
            Ok(Some(stored))
        };
        match read(self.source) {
            Ok(Some(stored)) if self.is_of_chain(&stored.state) => {
                let is_believed = self.is_believed(&stored.state)?;
                Ok(is_believed.then(|| Snapshot::of_set(stored)))
            }
            Ok(_) => Ok(None),
            Err(error) if error.is_corrupt() => {
                self.losses.note_set(state_set::SET, &error.to_string());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn find_value(&mut self) -> Result<Option<Snapshot>, LedgerError> {
        let bytes = match self.source.store().named_value(VALUE_STATE) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(None),
            Err(error) if error.is_corrupt() => {
                self.losses.note_value(VALUE_STATE, &error.to_string());
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let state = match State::decode(&bytes) {
            Ok(state) if self.is_of_chain(&state) => state,
            Ok(_) => return Ok(None),
            Err(error) => {
                self.losses.note_value(VALUE_STATE, &error.to_string());
                return Ok(None);
            }
        };
        let is_believed = self.is_believed(&state)?;
        Ok(is_believed.then(|| Snapshot::of_value(&state, bytes)))
    }

    /// Whether a snapshot says that it is of this chain, or of one that this goes on from.
    fn is_of_chain(&self, state: &State) -> bool {
        let last = self.source.spec().shared_up_to(state.chain());
        last.is_some_and(|last| state.height() <= last)
    }

    /// Whether a snapshot is of this chain, as far as can be told.
    fn is_believed(&self, state: &State) -> Result<bool, LedgerError> {
        let (height, head) = (state.height(), state.head());
        // Where the end is known, such a snapshot is of blocks that a loss of power took back.
        if height >= self.source.extent()?.end && self.is_end_known {
            return Ok(false);
        }
        // A snapshot is believed unless something sound contradicts it: its own block may be among what is lost.
        let held = match self.header(height)? {
            Ok((id, Held::Present(bytes))) => {
                let root =
                    record::decode_header(height, &id, &bytes).map(|found| found.0.state_root);
                let is_other = |root: Digest| !root.is_zero() && state.clone().root() != Some(root);
                if root.is_ok_and(is_other) {
                    return Ok(false);
                }
                Some(BlockHash(id))
            }
            Ok((id, Held::Pruned)) => Some(BlockHash(id)),
            Err(_) => self.next_says(height)?,
        };
        Ok(held.is_none_or(|held| held == head))
    }

    /// The block at a height below the end, as far as it can be read.
    pub(crate) fn block(&mut self, height: u64) -> Result<Salvaged, LedgerError> {
        let store = self.source.store();
        // The index first: floors only rise, so where it is pruned the body is pruned by now.
        let index = sound(store.index(height))?;
        let whole = match sound(store.block(height))? {
            Ok(StoredBlock { id, header, body }) => Ok((id, header, body)),
            Err(reason) => Err(reason),
        };
        let (header, body) = match whole {
            Ok((id, header, body)) => (Ok((id, header)), Ok(body)),
            Err(reason) => (
                sound(store.header(height))?.map(|held| (held.id, held.bytes)),
                Err(reason),
            ),
        };
        let parts = Parts {
            header: self.check_header(height, header)?,
            body: self.refuse_lost(LostPart::Body, height, body),
            index: self.refuse_lost(LostPart::Index, height, index),
        };
        let id = match &parts.header {
            Ok((id, _)) => Some(*id),
            Err(_) => self.id_of(height)?,
        };
        Ok(self.assemble(height, id, parts))
    }

    /// Puts together what was read, and makes again what follows from it.
    fn assemble(&self, height: u64, id: Option<Id>, parts: Parts) -> Salvaged {
        let Parts {
            header,
            body,
            index,
        } = parts;
        let mut lost = Vec::new();
        let mut pruned = Vec::new();
        let spec = self.source.spec();
        let genesis = (height == 0).then(|| record::encode(&spec.genesis()));
        let whole = match (&header, body) {
            (Ok((id, Held::Present(header))), Ok(Held::Present(body))) => {
                record::decode_block(height, id, header, body)
                    .map(Some)
                    .map_err(|error| error.to_string())
            }
            (_, Ok(Held::Pruned)) => {
                pruned.push(Part::Body);
                Ok(None)
            }
            // Nothing says what a body without its header has to be, so it can't be checked.
            (_, Err(reason)) => Err(reason),
            (Err(reason), _) => Err(reason.clone()),
            (Ok((_, Held::Pruned)), Ok(Held::Present(_))) => Err("its header is pruned".to_owned()),
        };
        let mut block = match whole {
            Ok(Some(block)) => record::encode(&block),
            outcome => {
                if let Err(reason) = outcome {
                    lost.push((LostPart::Body, reason));
                }
                storage::Block {
                    height,
                    id: id.unwrap_or_else(|| stand_in(spec.id(), height)),
                    header: Bytes::new(),
                    body: Bytes::new(),
                    index: Vec::new(),
                }
            }
        };
        let is_whole = lost.is_empty() && !pruned.contains(&Part::Body);
        let mut transactions = None;
        match header {
            Ok((_, Held::Present(bytes))) => {
                transactions = count(height, &block.id, &bytes);
                block.header = bytes;
            }
            Ok((_, Held::Pruned)) => pruned.push(Part::Header),
            Err(reason) => {
                if id.is_none() {
                    lost.push((LostPart::Id, reason.clone()));
                }
                lost.push((LostPart::Header, reason));
            }
        }
        match index {
            Ok(Held::Pruned) => {
                pruned.push(Part::Index);
                block.index.clear();
            }
            // Made again from the body.
            _ if is_whole => {}
            // A store that was made from a damaged one has none in place of those that were lost.
            Ok(Held::Present(entries)) if is_complete(&entries, transactions) => {
                block.index = entries;
            }
            Ok(Held::Present(_)) => {
                lost.push((
                    LostPart::Index,
                    format!("height {height}: fewer than transactions"),
                ));
            }
            Err(reason) => lost.push((LostPart::Index, reason)),
        }
        if let Some(genesis) = genesis
            && !lost.is_empty()
        {
            // It follows from the specification.
            lost.clear();
            block = genesis;
        }
        Salvaged {
            block,
            pruned,
            lost,
        }
    }

    /// The header, if it is that of a block which the chain has at this height.
    fn check_header(
        &self,
        height: u64,
        header: Read<(Id, Held)>,
    ) -> Result<Read<(Id, Held)>, LedgerError> {
        let (id, held) = match self.refuse_lost(LostPart::Header, height, header) {
            Ok(found) => found,
            Err(reason) => return Ok(Err(reason)),
        };
        if let Held::Present(bytes) = &held
            && let Err(error) = record::decode_header(height, &id, bytes)
        {
            return Ok(Err(error.to_string()));
        }
        // The id that is there was made up when the store was, and hashes to nothing.
        if self.source.lost().has(LostPart::Id, height) {
            return Ok(Err(format!("height {height}: its hash was lost before")));
        }
        Ok(match self.next_says(height)? {
            // Of two sound headers that contradict each other the later one counts: what follows is chained to it.
            Some(next) if next != BlockHash(id) => {
                Err(format!("height {height}: the next block doesn't follow it"))
            }
            _ => Ok((id, held)),
        })
    }

    /// The id of a block whose own record can't be read.
    fn id_of(&self, height: u64) -> Result<Option<Id>, LedgerError> {
        if height == 0 {
            return Ok(Some(self.source.spec().genesis().hash().0));
        }
        if let Some(next) = self.next_says(height)? {
            return Ok(Some(next.0));
        }
        let snapshot = self.snapshot.as_ref();
        let snapshot = snapshot.filter(|snapshot| snapshot.height == height);
        Ok(snapshot.map(|snapshot| snapshot.head.0))
    }

    /// The hash of a block as the header after it has it, if that can be read.
    fn next_says(&self, height: u64) -> Result<Option<BlockHash>, LedgerError> {
        let Ok((id, Held::Present(bytes))) = self.header(height + 1)? else {
            return Ok(None);
        };
        let next = record::decode_header(height + 1, &id, &bytes);
        Ok(next
            .ok()
            .map(|(header, _): (Header, _)| header.previous_hash))
    }

    fn header(&self, height: u64) -> Result<Read<(Id, Held)>, LedgerError> {
        let found = sound(self.source.store().header(height))?;
        let found = found.map(|held| (held.id, held.bytes));
        Ok(self.refuse_lost(LostPart::Header, height, found))
    }

    /// What is there in place of a part that was lost before is not that part. What was pruned since is pruned.
    fn refuse_lost<T: IsPruned>(&self, part: LostPart, height: u64, found: Read<T>) -> Read<T> {
        match found {
            Ok(found) if !found.is_pruned() && self.source.lost().has(part, height) => {
                Err(format!("height {height}: it was lost before"))
            }
            found => found,
        }
    }
}

/// The parts of a block as they were read.
struct Parts {
    header: Read<(Id, Held)>,
    body: Read<Held>,
    index: Read<Held<Vec<IndexEntry>>>,
}

trait IsPruned {
    fn is_pruned(&self) -> bool;
}

impl<T> IsPruned for Held<T> {
    fn is_pruned(&self) -> bool {
        matches!(self, Self::Pruned)
    }
}

impl<T> IsPruned for (Id, Held<T>) {
    fn is_pruned(&self) -> bool {
        self.1.is_pruned()
    }
}

/// How many transactions a header says that its block has.
fn count(height: u64, id: &Id, header: &Bytes) -> Option<usize> {
    let header = record::decode_header(height, id, header).ok()?.0;
    usize::try_from(header.transaction_count).ok()
}

/// Whether these can be all index entries of a block: each transaction has one at least. Where it isn't known how many there are,
/// none at all is too few.
fn is_complete(entries: &[IndexEntry], transactions: Option<usize>) -> bool {
    entries.len() >= transactions.unwrap_or(1)
}

/// What was read, or why it is damaged; any other failure is one.
fn sound<T>(outcome: storage::Result<Option<T>>) -> Result<Read<T>, LedgerError> {
    match outcome {
        Ok(Some(found)) => Ok(Ok(found)),
        Ok(None) => Ok(Err("missing below the tip".to_owned())),
        // Only damage is skipped: a disk that fails for now, or a permission, must not be recorded as lost for ever.
        Err(error) if error.is_corrupt() => Ok(Err(error.to_string())),
        Err(error) => Err(error.into()),
    }
}
