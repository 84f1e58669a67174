//! Committing valid blocks, now and then a snapshot of the state, and pruning by a policy: the one place that writes to a
//! store that is open.

use std::sync::Arc;

use bytes::Bytes;
use hubledger_storage::{
    self as storage, BlockWriter, Durability, NAMED_VALUE_BYTES_MAX, Receipt, TableWriter,
};

use super::branches::Saved;
use super::keep::Retention;
use super::state_set::WrittenState;
use super::values::VALUE_STATE;
use super::{ChainReader, LedgerError, record};
use crate::format::model::Block;
use crate::rules::ValidBlock;
use crate::state::{EarlierState, PageSource};
use crate::tree::SideChanges;

/// A snapshot is due when this many blocks …
const SNAPSHOT_BLOCKS_MIN: u64 = 256;
/// … with this many times the snapshot's own size have been committed since the last, so that snapshots cost a
/// bounded share of all writing.
const SNAPSHOT_SHARE: u64 = 8;

/// When the last snapshot was taken, and what was committed since.
#[derive(Default)]
pub(super) struct SinceSnapshot {
    /// The block that the stored snapshot stands after; 0 without one, for that state follows from the specification.
    pub(super) height: u64,
    pub(super) blocks_since: u64,
    pub(super) bytes_since: u64,
    pub(super) size: u64,
    /// Whether the table set of the state is what the state was read from, or was written since: pages that aren't written again are
    /// in it.
    pub(super) is_in_set: bool,
    /// What had been committed since the last one when another was asked for: that doesn't count for the one after it.
    asked_at: Option<(u64, u64)>,
}

impl SinceSnapshot {
    /// That of a state of so many bytes which was just written into the tables.
    pub(super) fn in_set(height: u64, size: u64) -> Self {
        Self {
            height,
            size,
            is_in_set: true,
            ..Self::default()
        }
    }
}

/// A state as it is written down. Clones share the bytes.
#[derive(Clone)]
pub(crate) enum EncodedState {
    /// Whole, as one named value: of version 1.
    Value {
        /// The block that it stands after.
        height: u64,
        bytes: Bytes,
    },
    /// What changed of its rows, for the tables.
    Rows(Box<WrittenState>),
}

impl EncodedState {
    /// The block that it stands after.
    pub(crate) fn height(&self) -> u64 {
        match self {
            Self::Value { height, .. } => *height,
            Self::Rows(rows) => rows.height(),
        }
    }

    fn bytes(&self) -> u64 {
        match self {
            Self::Value { bytes, .. } => bytes.len() as u64,
            Self::Rows(rows) => rows.bytes,
        }
    }
}

impl EncodedState {
    /// Works a state out and takes what is to be written of it. O(what changed in it, and since).
    ///
    /// # Errors
    /// A part of the state can't be read: what would be written is worth nothing.
    pub(crate) fn of(state: EarlierState) -> Result<Self, LedgerError> {
        let state = state.into_state();
        let encoded = match WrittenState::of(&state) {
            Some(rows) => Self::Rows(Box::new(rows)),
            None => Self::Value {
                height: state.height(),
                bytes: state.encode().into(),
            },
        };
        state.refuse_failed()?;
        Ok(encoded)
    }
}

/// A state that is written down where one has to stand in for blocks, and the end of the chain that it was taken of. What comes behind it
/// may still be replaced, or names no state root; opening replays that.
#[derive(Clone, Copy)]
pub(crate) struct StateAt<'a> {
    /// The height of the next block, when it was taken.
    pub(crate) end: u64,
    state: Given<'a>,
}

#[derive(Clone, Copy)]
enum Given<'a> {
    /// Worked out and encoded once it is needed.
    Earlier(&'a EarlierState),
    Encoded(&'a EncodedState),
}

impl<'a> StateAt<'a> {
    pub(crate) fn encoded(state: &'a EncodedState, end: u64) -> Self {
        let state = Given::Encoded(state);
        Self { end, state }
    }

    /// The block that it stands after.
    pub(crate) fn height(self) -> u64 {
        match self.state {
            Given::Earlier(state) => state.height(),
            Given::Encoded(state) => state.height(),
        }
    }

    /// See [`State::release_pages`](crate::state::State::release_pages).
    pub(super) fn release_pages(self) {
        match self.state {
            Given::Earlier(state) => state.release_pages(),
            Given::Encoded(EncodedState::Rows(rows)) => rows.release_pages(),
            Given::Encoded(EncodedState::Value { .. }) => {}
        }
    }

    pub(super) fn encode(self) -> Result<EncodedState, LedgerError> {
        match self.state {
            Given::Earlier(state) => EncodedState::of(state.clone()),
            Given::Encoded(state) => Ok(state.clone()),
        }
    }
}

impl<'a> From<&'a EarlierState> for StateAt<'a> {
    fn from(state: &'a EarlierState) -> Self {
        Self {
            end: state.last_height() + 1,
            state: Given::Earlier(state),
        }
    }
}

/// The writing half of a ledger.
pub(crate) struct Committer {
    pub(super) writer: Box<dyn BlockWriter>,
    pub(super) tables: Box<dyn TableWriter>,
    /// Where the state's pages can be read from since the last snapshot, until somebody takes it.
    written: Option<Arc<dyn PageSource>>,
    pub(super) chain: ChainReader,
    durability: Durability,
    pub(super) snapshot: SinceSnapshot,
    pub(super) retention: Retention,
    /// What of the branches beside the chain is in the store, where whoever has this writer keeps to the best of them.
    branches: Saved,
}

impl Committer {
    pub(super) fn new(
        writer: Box<dyn BlockWriter>,
        tables: Box<dyn TableWriter>,
        chain: ChainReader,
        snapshot: SinceSnapshot,
    ) -> Self {
        Self {
            writer,
            tables,
            written: None,
            chain,
            durability: Durability::Disk,
            snapshot,
            retention: Retention::default(),
            branches: Saved::default(),
        }
    }

    pub(crate) fn set_durability(&mut self, durability: Durability) {
        self.durability = durability;
    }

    /// Commits a run of blocks, all or nothing.
    pub(crate) fn commit<'a>(
        &mut self,
        run: impl IntoIterator<Item = &'a ValidBlock>,
    ) -> Result<Receipt, LedgerError> {
        let run = run.into_iter().map(|valid| record::encode(valid.block()));
        let run: Vec<_> = run.collect();
        let receipt = self.writer.append(&run, self.durability)?;
        self.count(&run);
        Ok(receipt)
    }

    /// Puts a run of blocks in the place of those above a height, all or nothing.
    pub(super) fn replace(
        &mut self,
        above: u64,
        run: &[ValidBlock],
    ) -> Result<Receipt, LedgerError> {
        let run = run.iter().map(|valid| record::encode(valid.block()));
        let run: Vec<_> = run.collect();
        let receipt = self.writer.replace(above, &run, self.durability)?;
        self.count(&run);
        Ok(receipt)
    }

    /// From now on this is what is in the store of the branches beside the chain.
    pub(crate) fn set_branches(&mut self, saved: Saved) {
        self.branches = saved;
    }

    /// Puts a branch in the place of the chain's blocks above a height, which are `replaced` and are kept beside it.
    pub(crate) fn change_branch(
        &mut self,
        above: u64,
        run: &[ValidBlock],
        replaced: &[Block],
    ) -> Result<Receipt, LedgerError> {
        self.branches.put(replaced, &mut *self.tables)?;
        self.replace(above, run)
    }

    /// Keeps what came beside the chain, and no longer what went from there. It is written with the next state or
    /// [`Committer::sync`], or once it is much: nearly all of it comes from other hubs, which have it, and much goes into the chain soon.
    pub(crate) fn keep_branches(&mut self, changed: SideChanges) -> Result<(), LedgerError> {
        self.branches.note(changed);
        match self.branches.has_much_unwritten() {
            true => self.branches.write(&mut *self.tables),
            false => Ok(()),
        }
    }

    fn count(&mut self, run: &[storage::Block]) {
        let bytes = run.iter().map(|block| block.body.len() as u64).sum::<u64>();
        self.snapshot.blocks_since += run.len() as u64;
        self.snapshot.bytes_since += bytes;
        self.retention.count(run.len() as u64, bytes);
    }

    /// Whether enough was committed for another snapshot, and none is on its way.
    pub(crate) fn wants_snapshot(&self) -> bool {
        self.snapshot.asked_at.is_none()
            && self.snapshot.blocks_since >= SNAPSHOT_BLOCKS_MIN
            && self.snapshot.bytes_since >= SNAPSHOT_SHARE * self.snapshot.size
    }

    /// Whether one is on its way.
    pub(crate) fn expects_snapshot(&self) -> bool {
        self.snapshot.asked_at.is_some()
    }

    /// Notes that a snapshot is on its way: of the chain as it is now, or with some of the blocks that come meanwhile.
    pub(crate) fn expect_snapshot(&mut self) {
        self.snapshot.asked_at = Some((self.snapshot.blocks_since, self.snapshot.bytes_since));
    }

    /// Whether anything was committed since the last snapshot.
    pub(crate) fn has_news(&self) -> bool {
        self.snapshot.blocks_since > 0
    }

    /// Lets the next state be written even if one after the same block is kept.
    pub(super) fn forget_snapshot(&mut self) {
        self.snapshot.height = 0;
    }

    /// The block that the last snapshot stands after; 0 without one.
    pub(crate) fn written_height(&self) -> u64 {
        self.snapshot.height
    }

    /// Works `state` out and keeps it: see [`Committer::put_snapshot`]. O(1) if a state of that block is kept already.
    pub(crate) fn put_state(&mut self, state: EarlierState) -> Result<(), LedgerError> {
        if state.height() <= self.snapshot.height {
            self.count_from_asked();
            return Ok(());
        }
        self.put_snapshot(EncodedState::of(state)?)
    }

    /// From now on counts what was committed since the last snapshot was asked for, or since now. What was committed while a state was being
    /// encoded is not in it, and counts for the next one; and so that another one isn't asked for at once, what a state lacks that
    /// stands after an earlier block doesn't.
    fn count_from_asked(&mut self) {
        let now = (self.snapshot.blocks_since, self.snapshot.bytes_since);
        let (blocks, bytes) = self.snapshot.asked_at.take().unwrap_or(now);
        self.snapshot.blocks_since -= blocks;
        self.snapshot.bytes_since -= bytes;
    }

    /// Keeps `state`, which is that after a committed block that is final: the last one, or one that was that when
    /// [`Committer::expect_snapshot`] was called, or an earlier or later one. Nothing is written unless it is above the one that is kept.
    pub(crate) fn put_snapshot(&mut self, state: EncodedState) -> Result<(), LedgerError> {
        let (height, size) = (state.height(), state.bytes());
        self.count_from_asked();
        if height <= self.snapshot.height {
            return Ok(());
        }
        // Too large is no failure: the chain goes on, and its opening takes longer.
        if let EncodedState::Value { bytes, .. } = &state
            && bytes.len() > NAMED_VALUE_BYTES_MAX
        {
            tracing::warn!(
                bytes = size,
                "state too large for a snapshot; opening will replay"
            );
            self.snapshot.size = size;
            return Ok(());
        }
        // A loss of power may take the blocks that this snapshot stands after. Where bodies were pruned, nothing could then be
        // replayed in place of the snapshot that it replaces.
        if self.durability < Durability::Disk && self.chain.extent()?.body_floor > 0 {
            self.writer.sync()?;
        }
        match &state {
            EncodedState::Value { bytes, .. } => {
                self.writer
                    .put_named_value(VALUE_STATE, bytes, Durability::Os)?;
            }
            EncodedState::Rows(rows) => {
                let tables = &mut *self.tables;
                let is_known = self.snapshot.is_in_set;
                let reader = self.chain.store().tables();
                let written = rows.write(reader, tables, is_known, Durability::Os)?;
                self.snapshot.is_in_set = true;
                self.written = written.or(self.written.take());
            }
        }
        self.snapshot.height = height;
        self.snapshot.size = size;
        self.branches.write(&mut *self.tables)
    }

    /// Lets go of what the pages that were written last are read from, until they are needed.
    pub(super) fn release_written(&self) {
        if let Some(pages) = &self.written {
            pages.release();
        }
    }

    /// Where the state's pages can be read from, if that changed since this was asked last.
    pub(crate) fn take_written(&mut self) -> Option<Arc<dyn PageSource>> {
        self.written.take()
    }

    /// Makes everything committed as durable as the store can.
    pub(crate) fn sync(&mut self) -> Result<Receipt, LedgerError> {
        let receipt = self.writer.sync()?;
        self.branches.write(&mut *self.tables)?;
        self.tables.sync()?;
        Ok(receipt)
    }

    /// Takes a last snapshot where blocks were committed since the one before, and makes all of it durable.
    pub(crate) fn close(mut self, state: EarlierState) -> Result<Receipt, LedgerError> {
        self.finish(state)
    }

    /// As [`Committer::close`], and the store stays open.
    pub(super) fn finish(&mut self, state: EarlierState) -> Result<Receipt, LedgerError> {
        if self.has_news() {
            self.put_state(state)?;
        }
        self.sync()
    }
}
