//! What a chain keeps of who signs, where being absent costs a part of the stake.
//!
//! A hub's own seal of a block says nothing about that: others hold other valid seals of the same block, and would come to another state.
//! So the certificate of a block counts only once a later block carries it, and the state keeps the hashes of the last blocks to know
//! which certificates are of this chain.

use crate::format::model::Seal;
use crate::format::payload::Certify;
use crate::format::spec::{ChainSpec, SealRule};
use crate::format::vote::{Vote, VoteKind};
use crate::state::tables::{AttendanceRow, AttendanceRows};
use crate::state::{ConsensusChanges, State};

/// Whether blocks at a height are certified by members who pay for being absent. Elsewhere nothing is kept.
pub(crate) fn is_kept(spec: &ChainSpec, height: u64) -> bool {
    let then = spec.at(height);
    let parts = then.composition();
    height > 0
        && !spec.is_imported(height)
        && matches!(parts.seal, SealRule::Quorum(_))
        && parts.stake().is_some()
        && parts.penalties.offline > 0
}

/// Notes the hash of the block before once it is known, and forgets what is too old for a certificate to count.
pub(super) fn changes(
    spec: &ChainSpec,
    parent: &State,
    height: u64,
    changes: &mut ConsensusChanges,
) {
    if !is_kept(spec, height) {
        return;
    }
    let before = parent.height();
    if is_kept(spec, before) {
        let row = AttendanceRow::Block(parent.head());
        changes.put::<AttendanceRows>(&AttendanceRows::block_key(before), &row);
    }
    // The block itself may still bring a certificate that is as old as can be.
    let age = u64::from(spec.at(height).composition().penalties.evidence_blocks) + 1;
    let Some(old) = height.checked_sub(age) else {
        return;
    };
    for key in [
        AttendanceRows::block_key(old),
        AttendanceRows::signed_key(old),
    ] {
        changes.remove_held::<AttendanceRows>(parent, &key);
    }
}

/// What the block after `state` should carry as a payload, so that the chain knows who signed the last block, whose seal is `seal`. `None`
/// where the chain doesn't ask for that, and if the seal is no certificate. The signatures aren't checked.
#[must_use]
pub fn attendance(spec: &ChainSpec, state: &State, seal: &Seal) -> Option<Certify> {
    let height = state.height();
    let Seal::Quorum(certificate) = seal else {
        return None;
    };
    if !is_kept(spec, height) || !is_kept(spec, height.checked_add(1)?) {
        return None;
    }
    let vote = Vote {
        chain: spec.at(height).id(),
        height,
        round: certificate.round(),
        kind: VoteKind::Precommit,
        block: state.head(),
    };
    let members = super::members(spec, state, height);
    let signed = certificate.signed();
    let signed = signed.map(|(place, signature)| Some((members.get(place)?.key, signature)));
    Certify::new(vote, signed.collect::<Option<Vec<_>>>()?)
}
