//! Going on under another specification in the same store: so a chain takes up another version of the format, other limits or other
//! authorities, and keeps its blocks.
//!
//! The blocks stay as they are, under the rules that they were made by. All that changes is the named value `spec`, in whose place the new
//! specification comes, with the earlier one within it and the last block pinned.
//!
//! Invariants:
//! - all that the new specification pins is on the disk before it: else a loss of power could leave a chain that nobody can make go on;
//! - a named value is replaced as one, so that a crash leaves the earlier specification or the new one, and the chain opens with either;
//! - stored states, archives, leaf hashes and unfinished copies keep the id of the chain that they were made of, and count as far as the
//!   new chain shares its blocks ([`ChainSpec::shared_up_to`]).

use std::sync::Arc;

use hubledger_storage::{Durability, Store};

use super::values::VALUE_SPEC;
use super::{ChainReader, Ledger, LedgerError};
use crate::clock::Clock;
use crate::format::FormatVersion;
use crate::format::codec::FieldError;
use crate::format::spec::{ChainSpec, Predecessor, SpecFields};
use crate::state::{EarlierState, State};

/// Why a chain can't go on under a specification. The store is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpgradeError {
    /// The store failed, is damaged, or holds no chain.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The chain begins with a record of which nothing vouches for the blocks that are there before its last one is.
    #[error(
        "{missing} blocks of the record with which the chain begins are missing; import them first"
    )]
    RecordIncomplete {
        /// How many.
        missing: u64,
    },
    /// The specification goes on from a block that the chain hasn't reached.
    #[error(
        "the specification goes on from block {pinned}, the chain ends at block {tip}; import the blocks between first"
    )]
    Behind {
        /// The height that the specification names.
        pinned: u64,
        /// The height of the last block.
        tip: u64,
    },
    /// The specification goes on from a block behind which the chain has others.
    #[error(
        "the specification goes on from block {pinned}, but the chain has blocks up to {tip}, which would not be its own"
    )]
    Beyond {
        /// The height that the specification names.
        pinned: u64,
        /// The height of the last block.
        tip: u64,
    },
    /// The specification goes on from another chain, block or state.
    #[error("the specification goes on from another chain: {field} is {named}, here it is {held}")]
    NotSuccessor {
        /// The field that says so.
        field: &'static str,
        /// What it names.
        named: String,
        /// What the chain has.
        held: String,
    },
    /// The specification is none, can't go on from this one, or contradicts itself.
    #[error(transparent)]
    Field(#[from] FieldError),
}

impl ChainReader {
    /// The specification with the fields `next` under which the chain goes on behind its last block, of which `state` is the state: their
    /// predecessor is filled in, or compared if they have one. `None` if the chain is under these fields already. Changes nothing.
    /// O(names) in version 1, else O(what changed since the last root).
    ///
    /// # Errors
    /// See [`UpgradeError`]; a state that isn't that after the last block, or of which something could not be read.
    pub fn successor(
        &self,
        state: &State,
        next: SpecFields,
    ) -> Result<Option<ChainSpec>, UpgradeError> {
        if is_in_force(self.spec(), &next) {
            return Ok(None);
        }
        self.pinned_successor(state, next).map(Some)
    }

    /// The same, also with fields that the chain is under already: so another chain goes on behind the same block.
    pub(super) fn pinned_successor(
        &self,
        state: &State,
        next: SpecFields,
    ) -> Result<ChainSpec, UpgradeError> {
        let held = self.spec();
        let tip = self.head()?;
        if tip.hash() != state.head() {
            return Err(LedgerError::UnknownBlock(state.head()).into());
        }
        let missing = held.record_missing(tip.height);
        if missing > 0 {
            return Err(UpgradeError::RecordIncomplete { missing });
        }
        let state_root = state.pinned_root();
        state.refuse_failed().map_err(LedgerError::from)?;
        let pinned = Predecessor {
            specification: held.clone(),
            height: tip.height,
            head: tip.hash(),
            state_root,
        };
        if let Some(named) = &next.predecessor {
            compare(named, &pinned)?;
        }
        going_on_from(pinned, next)
    }
}

impl Ledger {
    /// Commits what is staged, and goes on under `next` behind the last block: writes the state down, makes all of it durable, and then puts `next`
    /// in place of the earlier specification, in one durable step. The ledger is opened anew then, with the settings that it has at
    /// first. Nothing happens if the chain is under `next` already. Cost: that of [`ChainReader::successor`], and of writing the state.
    ///
    /// A chain that an engine runs is upgraded between its shutdown and the opening of another. Readers that were opened before answer by the
    /// earlier specification: of what comes now they know no more than that.
    ///
    /// # Errors
    /// See [`UpgradeError`]; the chain is under the earlier specification then, unless the store failed, which has to be opened again.
    pub fn upgrade(mut self, next: &ChainSpec) -> Result<Self, UpgradeError> {
        self.commit()?;
        let reader = self.reader();
        if reader.successor(self.state(), (**next).clone())?.is_none() {
            return Ok(self);
        }
        let clock = Arc::clone(&self.clock);
        Ok(Self::open_upgraded(self.put_spec(next)?, clock)?)
    }

    /// Makes all durable that `next` pins, then puts it in place of the earlier specification. Nothing is staged.
    pub(super) fn put_spec(self, next: &ChainSpec) -> Result<Store, LedgerError> {
        let mut committer = self.committer;
        // Everything that is pinned is on the disk before anything pins it.
        committer.finish(EarlierState::from(self.validator.state()))?;
        let (mut writer, tables) = (committer.writer, committer.tables);
        writer.put_named_value(VALUE_SPEC, next.bytes(), Durability::Disk)?;
        writer.sync()?;
        Ok(Store {
            reader: self.store,
            writer,
            tables,
        })
    }

    /// Opens a chain that has no block under its specification yet.
    pub(super) fn open_upgraded(store: Store, clock: Arc<dyn Clock>) -> Result<Self, LedgerError> {
        let mut upgraded = Self::open(store, clock)?;
        // Accounts that moved into the tree would move again at each opening, until blocks enough for another snapshot have come.
        if upgraded.state().unsaved_bytes() > 0 {
            upgraded.put_state_anew()?;
        }
        Ok(upgraded)
    }
}

/// The specification with these fields that goes on from there.
pub(super) fn going_on_from(
    pinned: Predecessor,
    fields: SpecFields,
) -> Result<ChainSpec, UpgradeError> {
    let spec = ChainSpec::new(SpecFields {
        predecessor: Some(pinned),
        ..fields
    })?;
    match spec.contradictions().into_iter().next() {
        Some(contradiction) => Err(contradiction.into()),
        None => Ok(spec),
    }
}

/// Whether the chain of `held` is under these fields: they are its own, or would be with the predecessor that it has.
fn is_in_force(held: &ChainSpec, next: &SpecFields) -> bool {
    **held == *next || (held.version == FormatVersion::V2 && held.successor_fields() == *next)
}

fn compare(named: &Predecessor, pinned: &Predecessor) -> Result<(), UpgradeError> {
    let (before, held) = (&named.specification, &pinned.specification);
    if before != held {
        return Err(UpgradeError::NotSuccessor {
            field: "predecessor.specification",
            named: format!("that of chain {}", before.id()),
            held: format!("that of chain {}", held.id()),
        });
    }
    let (pinned_height, tip) = (named.height, pinned.height);
    if pinned_height > tip {
        let pinned = pinned_height;
        return Err(UpgradeError::Behind { pinned, tip });
    }
    if pinned_height < tip {
        let pinned = pinned_height;
        return Err(UpgradeError::Beyond { pinned, tip });
    }
    let differs =
        |field, named: String, held: String| Err(UpgradeError::NotSuccessor { field, named, held });
    if named.head != pinned.head {
        let (named, held) = (named.head.to_string(), pinned.head.to_string());
        return differs("predecessor.head", named, held);
    }
    if named.state_root != pinned.state_root {
        let (named, held) = (named.state_root.to_string(), pinned.state_root.to_string());
        return differs("predecessor.state_root", named, held);
    }
    Ok(())
}
