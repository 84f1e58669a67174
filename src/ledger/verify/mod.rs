//! Checking a whole store again, trusting nothing in it but the specification: every header, seal, transaction,
//! signature and index entry.
//!
//! Where the state is known the blocks go through the [engine](crate::engine), which asks the [`Walk`] for the next stretch; here is
//! what to do where it isn't, and what is compared beside the blocks.

mod index;
mod parts;
mod scratch;
mod seen;

pub(crate) use self::index::{Checker, Findings};
pub(crate) use self::parts::{Stretch, Walk};
pub(crate) use self::scratch::Scratch;
use crate::format::digest::BlockHash;
use crate::format::model::Block;
use crate::format::rejection::Rejected;
use crate::ledger::missing::{Losses, Missing};
use crate::ledger::state_set;
use crate::ledger::values::VALUE_STATE;
use crate::ledger::{ChainReader, LedgerError};
use crate::state::State;

/// What checking a store found. Of a store that was pruned, or made from a damaged one, only what is there is checked: the heights
/// say of which blocks how much, and are all 0 for a whole store.
#[derive(Debug, Clone)]
pub struct StoreReport {
    /// Blocks that are valid, genesis included; in a pruned store those whose headers are held and valid.
    pub blocks: u64,
    /// Transactions in them, or in a pruned store so many as these headers commit to.
    pub transactions: u64,
    /// From here on headers were checked: hashes, links, history roots from genesis on, times, and seals.
    pub headers_from: u64,
    /// From here on bodies were checked too: sizes, Merkle roots, native signatures, and the index.
    pub bodies_from: u64,
    /// From here on every rule was checked, in a store that isn't whole starting from the stored state snapshot: of that only what
    /// headers commit to could be checked. The end if no block is after the snapshot.
    pub rules_from: u64,
    /// Hash of the last valid block.
    pub head: BlockHash,
    /// The first fault of the chain, if it has one.
    pub rejected: Option<Rejected>,
    /// What was lost before the store was made, and could not be checked; nothing in it is damage to the store. Behind blocks
    /// whose hashes are lost, history roots can't be checked.
    pub missing: Missing,
}

/// The stored snapshot, as the state that the blocks up to there give: of an earlier specification's chain it is this chain's too.
fn read_snapshot(chain: &ChainReader, losses: &mut Losses) -> Result<Option<State>, LedgerError> {
    let stored = read_stored(chain, losses)?;
    // Another chain's stays what it is, and will differ.
    Ok(stored.map(|state| {
        state
            .into_chain(chain.spec())
            .unwrap_or_else(|state| *state)
    }))
}

/// The state in tables, every page of it checked; else the snapshot among the named values. What is damaged is noted, and
/// nothing taken in its place.
fn read_stored(chain: &ChainReader, losses: &mut Losses) -> Result<Option<State>, LedgerError> {
    match state_set::read_checked(chain) {
        Ok(None) => {}
        Ok(Some(stored)) => return Ok(Some(stored.state)),
        Err(error) if error.is_corrupt() => {
            losses.note_set(state_set::SET, &error.to_string());
            return Ok(None);
        }
        Err(error) => return Err(error),
    }
    match read_value(chain) {
        Err(error) if error.is_corrupt() => {
            losses.note_value(VALUE_STATE, &error.to_string());
            Ok(None)
        }
        snapshot => snapshot,
    }
}

fn read_value(chain: &ChainReader) -> Result<Option<State>, LedgerError> {
    let snapshot = chain.store().named_value(VALUE_STATE)?;
    let snapshot = snapshot.map(|bytes| State::decode(&bytes)).transpose();
    snapshot.map_err(|problem| LedgerError::DamagedValue {
        record: VALUE_STATE,
        problem,
    })
}

fn missing(height: u64) -> LedgerError {
    let problem = "missing below the tip".to_owned();
    LedgerError::Damaged {
        record: "block",
        height,
        problem,
    }
}

fn check_genesis(chain: &ChainReader, block: &Block) -> Result<(), LedgerError> {
    if *block != chain.spec().genesis() {
        let problem = "not the genesis of the specification".to_owned();
        return Err(LedgerError::Damaged {
            record: "block",
            height: 0,
            problem,
        });
    }
    Ok(())
}

fn check_snapshot(snapshot: Option<&State>, state: &State) -> Result<(), LedgerError> {
    let snapshot = snapshot.filter(|snapshot| snapshot.height() == state.height());
    match snapshot.and_then(|snapshot| snapshot.difference(state)) {
        Some(place) => Err(LedgerError::Damaged {
            record: "state snapshot",
            height: state.height(),
            problem: format!("is not what the blocks give: {place} differs"),
        }),
        None => Ok(()),
    }
}
