//! Quorum certificates: whether the members who signed a seal are enough, and which signatures it claims.
//!
//! Three questions, asked in this order, so that what costs most is asked last and only of what passed before: whether the seal fits
//! the members ([`check_form`]), whether its signers weigh enough ([`check_weight`]), and whether they signed ([`claims`], which a
//! batch verifies). A certificate counts only if all of its signatures verify, also those that it wouldn't need: a signature
//! that nobody checked could say of a member that it signed when it didn't.

use crate::format::model::QuorumSeal;
use crate::format::rejection::{Fault, Reason};
use crate::format::signature::{PublicKey, Signature};
use crate::format::spec::{Quorum, total_weight};

/// Checks that every signer is one of that many members. That there are as many signatures as signers, and at least one, is so for
/// every [`QuorumSeal`]. O(1).
///
/// # Errors
/// `seal`, with the places.
pub fn check_form(seal: &QuorumSeal, members: usize) -> Result<(), Fault> {
    match seal.places() {
        places if places > members => {
            let place = places - 1;
            let detail = format!("signed by a member at place {place}, but there are {members}");
            Err(Fault::new(Reason::Seal, detail))
        }
        _ => Ok(()),
    }
}

/// What the members who signed weigh together; `None` if one of them has no weight in `weights`, or the sum is 2⁶⁴ or more.
/// O(signers).
#[must_use]
pub fn signed_weight(seal: &QuorumSeal, weights: &[u64]) -> Option<u64> {
    seal.signers()
        .try_fold(0u64, |sum, place| sum.checked_add(*weights.get(place)?))
}

/// Checks that those who signed are a quorum of the members with these weights. O(members).
///
/// # Errors
/// `seal` of a stranger; `quorum`, with what they weigh and what is needed.
pub fn check_weight(seal: &QuorumSeal, weights: &[u64], quorum: Quorum) -> Result<(), Fault> {
    check_form(seal, weights.len())?;
    let weighed = signed_weight(seal, weights).zip(total_weight(weights));
    let Some((weight, total)) = weighed else {
        let detail = "the members weigh more than can be counted";
        return Err(Fault::new(Reason::Seal, detail));
    };
    if !quorum.is_reached(weight, total) {
        let least = quorum.least(total);
        let detail =
            format!("its signers weigh {weight} of {total}, and a quorum is {least} at least");
        return Err(Fault::new(Reason::Quorum, detail));
    }
    Ok(())
}

/// Tells `claim` which signatures the seal claims over `message`, the message of the vote that it certifies: key, message,
/// signature, in the order of the members. A member without a key is passed over; after [`check_form`] there is none.
pub fn claims(
    seal: &QuorumSeal,
    message: &[u8],
    key_of: impl Fn(usize) -> Option<PublicKey>,
    mut claim: impl FnMut(PublicKey, &[u8], Signature),
) {
    for (place, signature) in seal.signed() {
        if let Some(key) = key_of(place) {
            claim(key, message, signature);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::format::digest::{BlockHash, ChainId};
    use crate::format::signature::{self, KeyPair};
    use crate::format::vote::{Vote, VoteKind};

    fn vote(round: u32) -> Vote {
        Vote {
            chain: ChainId([1; 32]),
            height: 5,
            round,
            kind: VoteKind::Precommit,
            block: BlockHash([2; 32]),
        }
    }

    fn member(place: usize) -> KeyPair {
        KeyPair::from_seed(&[place as u8; 32])
    }

    fn seal(places: &[usize]) -> QuorumSeal {
        let vote = vote(3);
        QuorumSeal::new(
            3,
            places
                .iter()
                .map(|&place| (place, vote.sign(&member(place)))),
        )
        .unwrap()
    }

    fn detail(result: Result<(), Fault>) -> String {
        let fault = result.unwrap_err();
        assert!([Reason::Seal, Reason::Quorum].contains(&fault.reason));
        fault.detail
    }

    #[test]
    fn signers_beyond_the_members_are_refused() {
        let seal = seal(&[0, 3]);
        assert!(check_form(&seal, 4).is_ok());
        let expected = "signed by a member at place 3, but there are 3";
        assert_eq!(detail(check_form(&seal, 3)), expected);
        assert_eq!(
            detail(check_weight(&seal, &[9, 9, 9], Quorum::TWO_THIRDS)),
            expected
        );
        assert_eq!(signed_weight(&seal, &[9, 9, 9]), None);
    }

    #[test]
    fn weight_decides_and_not_the_number_of_signers() {
        let weights = [1, 1, 1, 60, 37];
        assert!(check_weight(&seal(&[3, 4]), &weights, Quorum::TWO_THIRDS).is_ok());
        assert_eq!(
            detail(check_weight(
                &seal(&[0, 1, 2, 3]),
                &weights,
                Quorum::TWO_THIRDS
            )),
            "its signers weigh 63 of 100, and a quorum is 67 at least"
        );
        assert_eq!(signed_weight(&seal(&[0, 4]), &weights), Some(38));
        // Two thirds exactly.
        let equal = [5, 5, 5];
        assert!(check_weight(&seal(&[0, 2]), &equal, Quorum::TWO_THIRDS).is_err());
        assert!(check_weight(&seal(&[0, 1, 2]), &equal, Quorum::TWO_THIRDS).is_ok());
    }

    #[test]
    fn members_without_any_weight_are_no_quorum() {
        assert!(check_weight(&seal(&[0, 1]), &[0, 0], Quorum::TWO_THIRDS).is_err());
        assert!(check_weight(&seal(&[0, 1]), &[u64::MAX, 1], Quorum::TWO_THIRDS).is_err());
    }

    #[test]
    fn every_signature_is_claimed_and_holds_for_the_vote_of_its_round_alone() {
        let seal = seal(&[1, 4, 9]);
        for (round, holds) in [(3, true), (2, false)] {
            let mut keys = Vec::new();
            claims(
                &seal,
                &vote(round).message(),
                |place| Some(member(place).public_key()),
                {
                    |key, message, signature| {
                        assert_eq!(signature::verify(&key, message, &signature).is_ok(), holds);
                        keys.push(key);
                    }
                },
            );
            assert_eq!(keys, [1, 4, 9].map(|place| member(place).public_key()));
        }
    }
}
