//! Which earlier states a validator keeps besides the last one: those that a better chain could go on from, and those that proofs and
//! snapshots are made of, after blocks that name a state root.

use super::headers::state_root_due;
use crate::consensus;
use crate::format::spec::ChainSpec;
use crate::state::{State, Wanted};

/// A block that names a state root is looked for among this many and the one that is asked about. Where an interval is longer,
/// there may be none.
pub const NAMED_BLOCKS_MAX: u64 = 1024;

/// The last height up to `height` whose block names the state root; `None` if there is none among the last [`NAMED_BLOCKS_MAX`].
#[must_use]
pub fn last_named(spec: &ChainSpec, height: u64) -> Option<u64> {
    let interval = u64::from(spec.at(height).terms.root_interval);
    let behind = height.checked_rem(interval)?;
    let named = height - behind;
    (behind <= NAMED_BLOCKS_MAX && state_root_due(spec, named)).then_some(named)
}

/// Whether a state below the one after the block at `height` may be wanted. Where each block is final and names a root, none is.
pub(super) fn are_wanted(spec: &ChainSpec, height: u64) -> bool {
    consensus::can_be_replaced(spec, height) || spec.at(height).terms.root_interval > 1
}

/// The earlier states that are wanted once the chain ends in `head`.
pub(super) fn wanted(spec: &ChainSpec, head: &State) -> Wanted {
    let from = consensus::final_height(spec, head);
    Wanted {
        from,
        spare_from: last_named(spec, from).unwrap_or(from),
    }
}

/// The height of the state that is to be written down, at or below the final one: that of the last block that names a root, unless it isn't
/// above `written`; else the final one.
pub(super) fn base_height(spec: &ChainSpec, head: &State, written: Option<u64>) -> u64 {
    let Wanted { from, spare_from } = wanted(spec, head);
    match written {
        Some(written) if spare_from <= written => from,
        _ => spare_from,
    }
}
