//! Committing valid blocks, now and then a snapshot of the state, and pruning by a policy: the one place that writes to a
//! store that is open.

use std::sync::Arc;

use bytes::Bytes;
use hubledger_storage::{BlockWriter, Durability, NAMED_VALUE_BYTES_MAX, Receipt, TableWriter};

use super::keep::Retention;
use super::state_set::WrittenState;
use super::values::VALUE_STATE;
use super::{ChainReader, LedgerError, record};
use crate::rules::ValidBlock;
use crate::state::{PageSource, State};

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

/// The state after a committed block, for whoever may need it as a snapshot.
#[derive(Clone, Copy)]
pub(crate) enum StateAt<'a> {
    /// After the last committed block; encoded once it is needed.
    Tip(&'a State),
    /// After that block or an earlier one.
    Encoded(&'a EncodedState),
}

impl StateAt<'_> {
    /// The block that it stands after.
    pub(crate) fn height(self) -> u64 {
        match self {
            Self::Tip(state) => state.height(),
            Self::Encoded(state) => state.height(),
        }
    }

    /// See [`State::release_pages`].
    pub(super) fn release_pages(self) {
        match self {
            Self::Tip(state) => state.release_pages(),
            Self::Encoded(EncodedState::Rows(rows)) => rows.release_pages(),
            Self::Encoded(EncodedState::Value { .. }) => {}
        }
    }

    pub(crate) fn encode(self) -> EncodedState {
        match self {
            Self::Tip(state) => EncodedState::from(state),
            Self::Encoded(state) => state.clone(),
        }
    }
}

impl From<&State> for EncodedState {
    fn from(state: &State) -> Self {
        match WrittenState::of(state) {
            Some(rows) => Self::Rows(Box::new(rows)),
            None => Self::Value {
                height: state.height(),
                bytes: state.encode().into(),
            },
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
        let bytes = run.iter().map(|block| block.body.len() as u64).sum::<u64>();
        self.snapshot.blocks_since += run.len() as u64;
        self.snapshot.bytes_since += bytes;
        self.retention.count(run.len() as u64, bytes);
        Ok(receipt)
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

    /// Keeps `state`, which is that after the last committed block or one that was that when
    /// [`Committer::expect_snapshot`] was called, or later.
    pub(crate) fn put_snapshot(
        &mut self,
        state: impl Into<EncodedState>,
    ) -> Result<(), LedgerError> {
        let state = state.into();
        let (height, size) = (state.height(), state.bytes());
        // Blocks that were committed while the state was being encoded are not in it, and count for the next one.
        let (blocks, in_bytes) = match self.snapshot.asked_at.take() {
            Some(asked_at) => asked_at,
            None => (self.snapshot.blocks_since, self.snapshot.bytes_since),
        };
        let blocks_since = self.snapshot.blocks_since - blocks;
        let bytes_since = self.snapshot.bytes_since - in_bytes;
        // Too large is no failure: the chain goes on, and its opening takes longer.
        if let EncodedState::Value { bytes, .. } = &state
            && bytes.len() > NAMED_VALUE_BYTES_MAX
        {
            tracing::warn!(
                bytes = size,
                "state too large for a snapshot; opening will replay"
            );
            self.snapshot = SinceSnapshot {
                height: self.snapshot.height,
                blocks_since,
                bytes_since,
                size,
                is_in_set: self.snapshot.is_in_set,
                asked_at: None,
            };
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
        self.snapshot = SinceSnapshot {
            height,
            blocks_since,
            bytes_since,
            size,
            is_in_set: self.snapshot.is_in_set,
            asked_at: None,
        };
        Ok(())
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
        self.tables.sync()?;
        Ok(receipt)
    }

    /// Takes a last snapshot where blocks were committed since the one before, and makes all of it durable.
    pub(crate) fn close(mut self, state: &State) -> Result<Receipt, LedgerError> {
        self.finish(state)
    }

    /// As [`Committer::close`], and the store stays open.
    pub(super) fn finish(&mut self, state: &State) -> Result<Receipt, LedgerError> {
        if self.has_news() {
            self.put_snapshot(state)?;
        }
        self.sync()
    }
}
