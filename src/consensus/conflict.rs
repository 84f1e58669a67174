//! Two valid certificates of one height for different blocks: what they prove, and against whom.
//!
//! That can happen only if members who weigh more than a third were faulty: any two quorums have so much in common. Whether it can
//! be said *who* depends on the rounds. In the *same* round whoever is in both certificates signed two votes that differ in
//! nothing but the block, which no honest member does. Over *different* rounds a member may honestly vote for one block and later
//! for another, if it saw that a quorum had come to prefer that one; a faulty member who votes so without having seen it leaves no
//! trace of that in the certificates ("amnesia"). So these convict nobody: CometBFT's `GetByzantineValidators` gives an empty list
//! then, too. Whoever holds both certificates stops and reports, since no rule tells which of the two histories is right.

use crate::format::model::QuorumSeal;

/// What two certificates prove that decide differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    /// In one round: the places of the members who signed both, ascending. They are guilty, each by its own two signatures.
    SameRound(Vec<usize>),
    /// In different rounds: more than a third is faulty, but nobody can be named.
    OtherRound,
}

impl Conflict {
    /// What follows from two certificates of one kind, chain and height for different blocks. O(signers).
    ///
    /// Both have to be valid by the same members: every signature verified, and each a quorum. That the members are the
    /// same is so at the first height at which two histories differ, since up to there they have one state.
    #[must_use]
    pub fn between(one: &QuorumSeal, other: &QuorumSeal) -> Self {
        match one.round() == other.round() {
            true => Self::SameRound(
                one.signers()
                    .filter(|&place| other.has_signed(place))
                    .collect(),
            ),
            false => Self::OtherRound,
        }
    }

    /// The places of those who are convicted, ascending.
    #[must_use]
    pub fn convicted(&self) -> &[usize] {
        match self {
            Self::SameRound(places) => places,
            Self::OtherRound => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::consensus::certificate;
    use crate::format::signature::Signature;
    use crate::format::spec::{Quorum, total_weight};

    fn seal(round: u32, places: &[usize]) -> QuorumSeal {
        let signature = Signature::from_bytes([0; 64]);
        QuorumSeal::new(round, places.iter().map(|&place| (place, signature))).unwrap()
    }

    #[test]
    fn one_round_convicts_those_who_signed_both() {
        let conflict = Conflict::between(&seal(4, &[0, 1, 2, 9]), &seal(4, &[1, 2, 3]));
        assert_eq!(conflict, Conflict::SameRound(vec![1, 2]));
        assert_eq!(conflict.convicted(), [1, 2]);
    }

    #[test]
    fn different_rounds_convict_nobody() {
        let conflict = Conflict::between(&seal(4, &[0, 1, 2]), &seal(5, &[0, 1, 2]));
        assert_eq!(conflict, Conflict::OtherRound);
        assert!(conflict.convicted().is_empty());
    }

    proptest! {
        #[test]
        fn the_convicted_weigh_more_than_a_third_and_signed_both(
            members in prop::collection::vec((1u64..1_000, any::<bool>(), any::<bool>()), 1..40),
        ) {
            let weights: Vec<u64> = members.iter().map(|one| one.0).collect();
            let signers = |chosen: fn(&(u64, bool, bool)) -> bool| -> Vec<usize> {
                (0..members.len()).filter(|&place| chosen(&members[place])).collect()
            };
            let (left, right) = (signers(|one| one.1), signers(|one| one.2));
            prop_assume!(!left.is_empty() && !right.is_empty());
            let (left, right) = (seal(0, &left), seal(0, &right));
            let is_valid = |seal| certificate::check_weight(seal, &weights, Quorum::TWO_THIRDS).is_ok();
            let conflict = Conflict::between(&left, &right);
            for &place in conflict.convicted() {
                prop_assert!(members[place].1 && members[place].2);
            }
            if is_valid(&left) && is_valid(&right) {
                let guilty: u64 = conflict.convicted().iter().map(|&place| weights[place]).sum();
                prop_assert!(guilty * 3 > total_weight(&weights).unwrap());
            }
        }
    }
}
