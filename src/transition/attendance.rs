//! Who signed the last blocks, by certificates that later blocks carry, and what a member pays for being absent. That every signature
//! holds is taken for granted here: each is a claim of the block.

use std::collections::BTreeMap;

use super::draft::Draft;
use super::stake::slash;
use super::{Book, Effects, Place, fault, value};
use crate::consensus::{self, attendance};
use crate::format::evidence::TAG_OFFLINE;
use crate::format::payload::Certify;
use crate::format::rejection::{Fault, Reason};
use crate::format::spec::{Authority, total_weight};
use crate::format::vote::Vote;
use crate::state::tables::{AttendanceRow, AttendanceRows, Conviction, Convictions, Signers};

/// Notes who signed a block. The first certificate of a height has to be a quorum's: then whoever isn't in it missed one more. Signatures
/// that others bring later add those whom it left out, so that no proposer can make a member absent. Who is shown to have signed begins again at
/// none; who is missing as often as the specification says pays, and begins again too.
pub(super) fn attend(
    certify: &Certify,
    place: &Place<'_>,
    book: &dyn Book,
) -> Result<Effects, Fault> {
    let vote = certify.vote();
    check_block(vote, place, book)?;
    let members = consensus::members(place.spec, place.parent, vote.height);
    let key = AttendanceRows::signed_key(vote.height);
    let noted = match value::<AttendanceRows>(book, &key) {
        Some(AttendanceRow::Signed(signers)) => Some(signers),
        _ => None,
    };
    let is_first = noted.is_none();
    let mut signers = noted.unwrap_or_default();
    let added = add(certify, &members, &mut signers)?;
    if added.is_empty() {
        let detail = format!(
            "all of these signatures at height {} are noted",
            vote.height
        );
        return fault(Reason::Evidence, detail);
    }
    if is_first {
        check_quorum(vote, place, &members, &signers)?;
    }
    let mut effects = Effects::default();
    let mut draft = Draft::new(book, &mut effects);
    let row = AttendanceRow::Signed(signers.clone());
    draft.put::<AttendanceRows>(&key, &row);
    for at in added {
        if let Some(member) = members.get(at) {
            forget(&member.name, &mut draft);
        }
    }
    if is_first {
        let absent = members.iter().enumerate();
        for (_, member) in absent.filter(|(at, _)| !signers.contains(*at)) {
            miss(&member.name, vote.height, place, &mut draft);
        }
    }
    Ok(effects)
}

/// That the vote is on a block of this chain, not older than evidence may be, whose signers are kept.
fn check_block(vote: &Vote, place: &Place<'_>, book: &dyn Book) -> Result<(), Fault> {
    let (spec, height, at) = (place.spec, place.height, vote.height);
    if !attendance::is_kept(spec, height) || !attendance::is_kept(spec, at) {
        let detail = "nobody pays for being absent, so that certificates of blocks say nothing";
        return fault(Reason::Evidence, detail);
    }
    let most = spec.at(height).composition().penalties.evidence_blocks;
    match height.checked_sub(at) {
        Some(age) if age > most.into() => {
            let detail = format!("of a block {age} blocks ago, {most} is the most");
            return fault(Reason::Evidence, detail);
        }
        None | Some(0) => {
            let detail = format!("of a block at height {at}, which is still to come");
            return fault(Reason::Evidence, detail);
        }
        Some(_) => {}
    }
    let then = spec.at(at);
    if vote.chain != then.id() {
        let detail = format!("votes of chain {}, not of {}", vote.chain, then.id());
        return fault(Reason::Chain, detail);
    }
    let own = match at == place.parent.height() {
        // Its row is written with this block.
        true => Some(AttendanceRow::Block(place.parent.head())),
        false => value::<AttendanceRows>(book, &AttendanceRows::block_key(at)),
    };
    if own != Some(AttendanceRow::Block(vote.block)) {
        let detail = format!("{} is not the block at height {at}", vote.block);
        return fault(Reason::Evidence, detail);
    }
    Ok(())
}

/// Adds those who signed, and tells the places of the new ones. O(members + signers · log members).
fn add(
    certify: &Certify,
    members: &[Authority],
    signers: &mut Signers,
) -> Result<Vec<usize>, Fault> {
    let keys = members.iter().enumerate();
    let places: BTreeMap<_, _> = keys
        .map(|(at, member)| (*member.key.as_bytes(), at))
        .collect();
    let mut added = Vec::new();
    for key in certify.signers() {
        match places.get(key.as_bytes()) {
            Some(at) if signers.insert(*at) => added.push(*at),
            Some(_) => {}
            None => {
                let at = certify.vote().height;
                let detail = format!("{key} was no member's key at height {at}");
                return fault(Reason::Evidence, detail);
            }
        }
    }
    Ok(added)
}

/// With less than a quorum, one member's signature would make all others absent.
fn check_quorum(
    vote: &Vote,
    place: &Place<'_>,
    members: &[Authority],
    signers: &Signers,
) -> Result<(), Fault> {
    let weights: Vec<u64> = members.iter().map(|member| member.weight).collect();
    let signed = weights.iter().enumerate();
    let signed = signed.filter(|(at, _)| signers.contains(*at));
    // The weight of all is a `u64` by the specification's limits.
    let weight = signed.fold(0u64, |sum, (_, weight)| sum.saturating_add(*weight));
    let quorum = place.spec.at(vote.height).composition().quorum();
    let (Some(total), Some(quorum)) = (total_weight(&weights), quorum) else {
        return fault(Reason::Quorum, "the members weigh more than can be counted");
    };
    if !quorum.is_reached(weight, total) {
        let least = quorum.least(total);
        let detail =
            format!("its signers weigh {weight} of {total}, and a quorum is {least} at least");
        return fault(Reason::Quorum, detail);
    }
    Ok(())
}

fn missed(name: &str, book: &dyn Book) -> u32 {
    match value::<AttendanceRows>(book, &AttendanceRows::missed_key(name)) {
        Some(AttendanceRow::Missed(count)) => count,
        _ => 0,
    }
}

fn forget(name: &str, draft: &mut Draft<'_>) {
    if missed(name, draft) > 0 {
        draft.remove::<AttendanceRows>(&AttendanceRows::missed_key(name));
    }
}

/// One more certificate without the member, at this height.
fn miss(name: &str, at: u64, place: &Place<'_>, draft: &mut Draft<'_>) {
    let penalties = &place.spec.at(place.height).composition().penalties;
    let count = missed(name, draft).saturating_add(1);
    if count < penalties.offline_after {
        let row = AttendanceRow::Missed(count);
        draft.put::<AttendanceRows>(&AttendanceRows::missed_key(name), &row);
        return;
    }
    forget(name, draft);
    let conviction = Conviction {
        since: place.height,
        basis_points: penalties.offline,
        by: place.transaction.id(),
    };
    let key = Convictions::key(name, TAG_OFFLINE, at, 0);
    draft.put::<Convictions>(&key, &conviction);
    slash(name, penalties.offline, at, place, draft);
}
