//! The named values that a chain keeps in its store, beside its blocks.

use hubledger_storage::BlockReader;

use super::LedgerError;

/// The specification, written before genesis.
pub(crate) const VALUE_SPEC: &str = "spec";
/// The last snapshot of the validator's state.
pub(crate) const VALUE_STATE: &str = "state";
/// Not empty while a copy is incomplete.
pub(crate) const VALUE_COPY: &str = "copy";
/// What was lost before the store was made.
pub(crate) const VALUE_MISSING: &str = "missing";
/// Where leaf hashes of pruned bodies are.
pub(crate) const VALUE_LEAVES: &str = "leaves";

/// Who follows the chain, and how far each has got.
pub(crate) const VALUE_FOLLOWERS: &str = "followers";

/// Refuses a store that holds an incomplete copy.
pub(crate) fn refuse_incomplete(store: &dyn BlockReader) -> Result<(), LedgerError> {
    match store.named_value(VALUE_COPY)? {
        Some(marker) if !marker.is_empty() => Err(LedgerError::Incomplete),
        _ => Ok(()),
    }
}
