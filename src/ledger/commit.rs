//! Committing valid blocks, and now and then a snapshot of the state: the one place that writes to a store that is open.

use hubledger_storage::{BlockWriter, Durability, META_VALUE_BYTES_MAX, PruneReceipt, Receipt};

use super::{LedgerError, META_STATE, record};
use crate::validate::{State, ValidBlock};

/// A snapshot is due when this many blocks …
const SNAPSHOT_BLOCKS_MIN: u64 = 256;
/// … with this many times the snapshot's own size have been committed since the last, so that snapshots cost a
/// bounded share of all writing.
const SNAPSHOT_SHARE: u64 = 8;

/// When the last snapshot was taken, and what was committed since.
#[derive(Default)]
pub(super) struct Snapshot {
    pub(super) blocks_since: u64,
    pub(super) bytes_since: u64,
    pub(super) size: u64,
}

/// The writing half of a ledger.
pub(crate) struct Committer {
    writer: Box<dyn BlockWriter>,
    durability: Durability,
    snapshot: Snapshot,
}

impl Committer {
    pub(super) fn new(writer: Box<dyn BlockWriter>, snapshot: Snapshot) -> Self {
        Self {
            writer,
            durability: Durability::Disk,
            snapshot,
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
        self.snapshot.blocks_since += run.len() as u64;
        let bytes = run.iter().map(|block| block.body.len() as u64);
        self.snapshot.bytes_since += bytes.sum::<u64>();
        Ok(receipt)
    }

    /// Whether enough was committed for another snapshot.
    pub(crate) fn wants_snapshot(&self) -> bool {
        self.snapshot.blocks_since >= SNAPSHOT_BLOCKS_MIN
            && self.snapshot.bytes_since >= SNAPSHOT_SHARE * self.snapshot.size
    }

    /// Whether anything was committed since the last snapshot.
    pub(crate) fn has_news(&self) -> bool {
        self.snapshot.blocks_since > 0
    }

    /// Keeps `state`, which is that after the last committed block.
    pub(crate) fn put_snapshot(&mut self, state: &State) -> Result<(), LedgerError> {
        self.put_encoded_snapshot(&state.encode())
    }

    /// The same from the state's encoding.
    pub(crate) fn put_encoded_snapshot(&mut self, bytes: &[u8]) -> Result<(), LedgerError> {
        self.snapshot = Snapshot {
            size: bytes.len() as u64,
            ..Snapshot::default()
        };
        if bytes.len() > META_VALUE_BYTES_MAX {
            tracing::warn!(
                bytes = bytes.len(),
                "state too large for a snapshot; opening will replay"
            );
            return Ok(());
        }
        Ok(self.writer.put_meta(META_STATE, bytes, Durability::Os)?)
    }

    /// Removes the bodies of at most `limit` blocks below a height.
    pub(crate) fn prune(&mut self, below: u64, limit: u64) -> Result<PruneReceipt, LedgerError> {
        Ok(self.writer.prune(below, limit)?)
    }

    /// Makes everything committed as durable as the store can.
    pub(crate) fn sync(&mut self) -> Result<Receipt, LedgerError> {
        Ok(self.writer.sync()?)
    }

    /// Takes a last snapshot where blocks were committed since the one before, and makes all of it durable.
    pub(crate) fn close(mut self, state: &State) -> Result<Receipt, LedgerError> {
        if self.has_news() {
            self.put_snapshot(state)?;
        }
        self.sync()
    }
}
