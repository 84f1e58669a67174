//! What is final: what a certificate is behind, what is deep enough, and what a checkpoint says.

use crate::format::spec::{ChainSpec, Finality, SealRule};
use crate::state::tables::{CheckpointRow, CheckpointRows};
use crate::state::{ConsensusChanges, State};

/// The height up to which a chain that ends in `head` is final under the specification in force there.
///
/// Where a block is final at once without a certificate, a hub keeps the first valid one of each height and never takes it back.
/// Nothing keeps a member from sealing two blocks of one height: hubs that saw different ones first stay apart, and each refuses the
/// other's as a `fork`. The same is true of hubs that were apart for longer than the depth.
pub(super) fn height(spec: &ChainSpec, head: &State) -> u64 {
    let parts = spec.composition();
    let settled = match (&parts.seal, spec.terms.finality) {
        (SealRule::Quorum(_), _) | (_, Finality::Immediate) => head.height(),
        (_, Finality::Depth(blocks)) => head.height().saturating_sub(blocks.into()),
    };
    match &parts.checkpoints {
        Some(_) => settled.max(certified(head)),
        None => settled,
    }
}

pub(super) fn can_be_replaced(spec: &ChainSpec) -> bool {
    let is_certified = matches!(spec.composition().seal, SealRule::Quorum(_));
    !is_certified && spec.terms.finality != Finality::Immediate
}

/// The last height that the chain holds a certificate for.
fn certified(head: &State) -> u64 {
    match head.value::<CheckpointRows>(&CheckpointRows::last_key()) {
        Some(CheckpointRow::Certified(height)) => height,
        _ => 0,
    }
}

/// Notes the hash of a block that a certificate can be for, once it is known: with the block after it.
pub(super) fn changes(spec: &ChainSpec, parent: &State, changes: &mut ConsensusChanges) {
    let Some(checkpoints) = &spec.composition().checkpoints else {
        return;
    };
    let height = parent.height();
    if height > 0 && height.is_multiple_of(checkpoints.interval.into()) {
        let row = CheckpointRow::Block(parent.head());
        changes.put::<CheckpointRows>(&CheckpointRows::key(height), &row);
    }
}
