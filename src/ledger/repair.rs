//! Repairing what the ledger keeps beside the blocks: a damaged state in tables goes, if the blocks lead to it again.

use hubledger_storage::Store;

use super::values::VALUE_STATE;
use super::{ChainReader, LedgerError, resume, state_set};

/// What became of a damaged state in tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateRepair {
    /// It is not damaged, or not there.
    Sound,
    /// It was removed, and is worked out again from blocks at the next opening.
    Removed {
        /// What was wrong with it.
        problem: String,
    },
    /// It stays as it is: the blocks that lead to it were pruned or can't be read, so that it couldn't be worked out again.
    Left {
        /// What is wrong with it.
        problem: String,
        /// Why it can't be worked out again.
        reason: String,
    },
}

impl ChainReader {
    /// What is wrong with the state in tables, if it is damaged: every page of it is read. O(rows).
    ///
    /// # Errors
    /// The store failed otherwise than by damage to these tables.
    pub fn state_damage(&self) -> Result<Option<String>, LedgerError> {
        match state_set::read_checked(self) {
            Ok(_) => Ok(None),
            Err(error) if error.is_corrupt() => Ok(Some(error.to_string())),
            Err(error) => Err(error),
        }
    }
}

/// Removes a damaged state from the tables of a store if it can be worked out again: from genesis, or from a snapshot among the named
/// values, by blocks of which every one is read first. Durable when this returns. O(bytes of the chain) if the state is damaged.
///
/// # Errors
/// A store without a chain; one that failed.
pub fn repair_state(store: Store) -> Result<StateRepair, LedgerError> {
    let Store {
        reader, mut tables, ..
    } = store;
    let chain = ChainReader::open(reader)?;
    let Some(problem) = chain.state_damage()? else {
        return Ok(StateRepair::Sound);
    };
    match check_blocks(&chain) {
        Ok(()) => {
            tables.remove(state_set::SET)?;
            tables.sync()?;
            Ok(StateRepair::Removed { problem })
        }
        Err(error) if error.is_corrupt() || matches!(error, LedgerError::Pruned(_)) => {
            Ok(StateRepair::Left {
                problem,
                reason: error.to_string(),
            })
        }
        Err(error) => Err(error),
    }
}

/// Reads every block that opening would replay without the state in tables.
fn check_blocks(chain: &ChainReader) -> Result<(), LedgerError> {
    let value = chain.store().named_value(VALUE_STATE)?;
    let validator = value.map(|bytes| resume(chain, &bytes)).transpose()?;
    let from = match validator.flatten() {
        Some(validator) => validator.state().height() + 1,
        None => 1,
    };
    let extent = chain.extent()?;
    if from < extent.body_floor {
        return Err(LedgerError::NoState {
            floor: extent.body_floor,
        });
    }
    for height in from..extent.end {
        chain.block(height)?;
    }
    Ok(())
}
