//! Blocks that members make final though work sealed them. That every signature holds is taken for granted here: each is a claim of the
//! block.

use super::{Book, Effects, Place, attendance, fault, value};
use crate::consensus;
use crate::format::payload::Certify;
use crate::format::rejection::{Fault, Reason};
use crate::format::spec::total_weight;
use crate::format::vote::VoteKind;
use crate::state::tables::{CheckpointRow, CheckpointRows};

/// Signatures on a block count as attendance. A checkpoint above the last one that is final is final, with all before it, if a quorum of the members of its height says so.
pub(super) fn certify(
    certify: &Certify,
    place: &Place<'_>,
    book: &dyn Book,
) -> Result<Effects, Fault> {
    let vote = certify.vote();
    if vote.kind == VoteKind::Precommit {
        return attendance::attend(certify, place, book);
    }
    let row = value::<CheckpointRows>(book, &CheckpointRows::key(vote.height));
    // So it is a height of this chain, at least two below this block's.
    if row != Some(CheckpointRow::Block(vote.block)) {
        let detail = format!("{} is no checkpoint at height {}", vote.block, vote.height);
        return fault(Reason::Evidence, detail);
    }
    let last = value::<CheckpointRows>(book, &CheckpointRows::last_key());
    if let Some(CheckpointRow::Certified(last)) = last
        && vote.height <= last
    {
        let detail = format!("height {} is final, the last one is {last}", vote.height);
        return fault(Reason::Evidence, detail);
    }
    let then = place.spec.at(vote.height);
    let (Some(checkpoints), VoteKind::Checkpoint) = (&then.composition().checkpoints, vote.kind)
    else {
        return fault(Reason::Evidence, "not what makes a checkpoint final");
    };
    if vote.chain != then.id() {
        let detail = format!("votes of chain {}, not of {}", vote.chain, then.id());
        return fault(Reason::Chain, detail);
    }
    let members = consensus::members(place.spec, place.parent, vote.height);
    let mut weight = 0_u64;
    for key in certify.signers() {
        let Some(member) = members.iter().find(|member| member.key == *key) else {
            let detail = format!("{key} was no member's key at height {}", vote.height);
            return fault(Reason::Evidence, detail);
        };
        // No key is there twice, and the weight of all is a `u64` by the specification's limits.
        weight = weight.saturating_add(member.weight);
    }
    let weights: Vec<u64> = members.iter().map(|member| member.weight).collect();
    let Some(total) = total_weight(&weights) else {
        return fault(Reason::Quorum, "the members weigh more than can be counted");
    };
    if !checkpoints.quorum.is_reached(weight, total) {
        let least = checkpoints.quorum.least(total);
        let detail =
            format!("its signers weigh {weight} of {total}, and a quorum is {least} at least");
        return fault(Reason::Quorum, detail);
    }
    let mut effects = Effects::default();
    let certified = CheckpointRow::Certified(vote.height);
    effects.put::<CheckpointRows>(&CheckpointRows::last_key(), &certified);
    Ok(effects)
}
