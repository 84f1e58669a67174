//! A new chain from a height of a chain, in a store of its own: it has the blocks up to there, and goes on under a specification that pins
//! the last of them. The source stays as it is.
//!
//! Invariants:
//! - the target is marked as incomplete until it has its blocks, the state after the last of them and the new specification on the disk: no
//!   crash leaves a store that would be taken for a shorter copy of the source;
//! - the state that is pinned is worked out in the target, from the blocks and the stored state that it got: what a loss or an error in copying
//!   has changed can't be pinned unseen.

use std::sync::Arc;

use hubledger_storage::Store;

use super::{Copy, CopyReport, sound_snapshot, unmark};
use crate::clock::Clock;
use crate::format::digest::Digest;
use crate::format::spec::{ChainSpec, Predecessor, SpecFields};
use crate::ledger::upgrade::going_on_from;
use crate::ledger::{
    ChainReader, Ledger, LedgerError, STATE_BYTES_MAX, StepProgress, UpgradeError,
};

/// Why no new chain can go on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForkError {
    /// A store failed, is damaged or in use, or holds no chain.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The chain has no such block yet.
    #[error("the chain ends at block {tip}, below block {height}")]
    AboveTip {
        /// The height asked for.
        height: u64,
        /// The height of the last block.
        tip: u64,
    },
    /// Nothing vouches for the blocks of a record before its last one is there.
    #[error(
        "block {height} is within the record of {blocks} blocks with which the chain begins, and only the last of them \
         vouches for the others; fork at block {blocks} or above"
    )]
    WithinRecord {
        /// The height asked for.
        height: u64,
        /// The height of the record's last block.
        blocks: u64,
    },
    /// Neither a stored state nor blocks lead to the state after the block.
    #[error(
        "the state after block {height} can't be had: bodies were pruned below block {floor}, and no sound stored state leads \
         from there to it; fork at a later block, or from a backup or archive that has those bodies"
    )]
    NoState {
        /// The height asked for.
        height: u64,
        /// The lowest height whose body is held.
        floor: u64,
    },
    /// The specification goes on from another height than the one asked for.
    #[error("the specification goes on from block {named}, not from block {height}")]
    OtherHeight {
        /// The height asked for.
        height: u64,
        /// The height that the specification names.
        named: u64,
    },
    /// The specification is none, or can't go on from this chain.
    #[error(transparent)]
    Successor(UpgradeError),
}

impl From<UpgradeError> for ForkError {
    fn from(error: UpgradeError) -> Self {
        match error {
            UpgradeError::Ledger(error) => Self::Ledger(error),
            error => Self::Successor(error),
        }
    }
}

/// A new chain that can be made: see [`ChainReader::fork_at`].
pub struct ChainFork {
    source: ChainReader,
    height: u64,
    /// The specification in force behind that block.
    before: ChainSpec,
    fields: SpecFields,
}

impl ChainReader {
    /// A new chain with the blocks up to and with `height`, that goes on behind it under a specification with these fields, or under those
    /// in force there ([`ChainSpec::successor_fields`]) if they are left out. Its predecessor is filled in when it is
    /// [made](ChainFork::make_in), or compared if the fields have one. Changes nothing. O(1), or O(names) where bodies were pruned.
    ///
    /// # Errors
    /// All of [`ForkError`] that can be told without copying.
    pub fn fork_at(&self, height: u64, fields: Option<SpecFields>) -> Result<ChainFork, ForkError> {
        let extent = self.extent()?;
        let tip = extent.tip().unwrap_or_default();
        if height > tip {
            return Err(ForkError::AboveTip { height, tip });
        }
        let before = self.spec().at(height + 1).clone();
        if before.record_missing(height) > 0 {
            let blocks = before.import.as_ref().map_or(0, |import| import.blocks);
            return Err(ForkError::WithinRecord { height, blocks });
        }
        let fields = fields.unwrap_or_else(|| before.successor_fields());
        let named = fields.predecessor.as_ref();
        if let Some(named) = named
            .map(|named| named.height)
            .filter(|&named| named != height)
        {
            return Err(ForkError::OtherHeight { height, named });
        }
        // What is wrong with the fields doesn't depend on the root.
        let pinned = Predecessor {
            specification: before.clone(),
            height,
            head: self
                .hash_at(height)?
                .ok_or(ForkError::AboveTip { height, tip })?,
            state_root: Digest::default(),
        };
        going_on_from(pinned, fields.clone())?;
        let floor = extent.body_floor;
        if floor > 1 {
            let stored = sound_snapshot(self, height)?.map(|stored| stored.height);
            if stored.is_none_or(|stored| stored + 1 < floor) {
                return Err(ForkError::NoState { height, floor });
            }
        }
        Ok(ChainFork {
            source: self.clone(),
            height,
            before,
            fields,
        })
    }
}

impl ChainFork {
    /// The specification in force behind the last block that both chains have.
    #[must_use]
    pub const fn before(&self) -> &ChainSpec {
        &self.before
    }

    /// Makes the chain in `target`, which is empty or holds what an interrupted call has left of this fork, and gives it opened. Blocks, with
    /// what their bodies and index have in the source, and other table sets up to there are copied as by [`copy_chain`](super::copy_chain). The state
    /// comes from the stored one if that is not of a later block, else from genesis. O(blocks + bytes). Branches and
    /// followers stay with the source.
    ///
    /// # Errors
    /// [`LedgerError::TargetInUse`], [`LedgerError::OtherCopy`] if the target holds anything else (nothing is changed); [`LedgerError::Stopped`];
    /// fields with a predecessor that is not the one here; a store that failed or is damaged. The target stays incomplete then, and says so.
    pub fn make_in(
        &self,
        target: Store,
        clock: Arc<dyn Clock>,
        progress: &mut StepProgress<'_>,
    ) -> Result<(Ledger, CopyReport), ForkError> {
        let copy = Copy::begin(&self.source, target, Some(self.height), None)?;
        let (copied, store) = copy.copied(progress)?;
        let chain = ChainReader::from_parts(
            self.before.clone(),
            Arc::clone(&store.reader),
            Arc::new(copied.missing.clone()),
        );
        let ledger = Ledger::open_chain(chain, store, Arc::clone(&clock), STATE_BYTES_MAX)?;
        let reader = ledger.reader();
        let next = reader.pinned_successor(ledger.state(), self.fields.clone())?;
        let mut store = ledger.put_spec(&next)?;
        unmark(&mut store)?;
        Ok((Ledger::open_upgraded(store, clock)?, copied))
    }
}
