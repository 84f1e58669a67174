//! Who proposes the block of a height in a round, as a pure function of the members and of what the state keeps for it.

use super::{seed, turns};
use crate::format::digest::Digest;
use crate::format::spec::{Authority, Proposer};
use crate::state::tables::Turns;

/// From this round on, any member may have proposed where a seed chooses: a round is a number of a stranger's, and is not counted up to.
pub const SEEDED_ROUNDS_MAX: u32 = 64;

/// The order in which members propose at a height.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Order {
    /// Any of them at any time.
    Open,
    /// One after the other.
    Turn,
    /// By priority, as it is before the height.
    Weighted(Turns),
    /// As the seed of the height's epoch says.
    Seeded(Digest),
}

impl Order {
    /// That of a specification that keeps nothing for it in the state; `None` where only a state tells.
    pub(super) const fn of_specification(proposer: Proposer) -> Option<Self> {
        match proposer {
            Proposer::Open => Some(Self::Open),
            Proposer::Turn => Some(Self::Turn),
            Proposer::WeightedTurn | Proposer::Seeded { .. } => None,
        }
    }

    /// The place of the member that proposes; `None` if that is any of them. O(members), of weighted turns O(members · round) up to a bound.
    pub(super) fn proposer(&self, members: &[Authority], height: u64, round: u32) -> Option<usize> {
        match self {
            Self::Open => None,
            Self::Turn => {
                let turn = height.checked_sub(1)?.wrapping_add(round.into());
                Some(turn.checked_rem(members.len() as u64)? as usize)
            }
            Self::Weighted(turns) => turns::priorities(turns).for_round(&weights(members), round),
            Self::Seeded(_) if round >= SEEDED_ROUNDS_MAX => None,
            Self::Seeded(seed) => seed::proposer(seed, height, round, &weights(members)),
        }
    }

    /// Whether the member at a place proposes in some round up to `last`. A block that is proposed again in a later round keeps the
    /// name of whoever proposed it first.
    pub(super) fn proposes_by(
        &self,
        members: &[Authority],
        height: u64,
        last: u32,
        place: usize,
    ) -> bool {
        match self {
            Self::Open => true,
            Self::Turn => {
                let (Some(first), count) = (self.proposer(members, height, 0), members.len())
                else {
                    return false;
                };
                (place + count - first) % count <= last as usize
            }
            Self::Weighted(turns) => {
                turns::priorities(turns).had_turn(&weights(members), place, last)
            }
            Self::Seeded(_) => {
                let mut rounds = 0..=last.min(SEEDED_ROUNDS_MAX);
                rounds.any(|round| {
                    let proposer = self.proposer(members, height, round);
                    proposer.is_none_or(|proposer| proposer == place)
                })
            }
        }
    }
}

pub(super) fn weights(members: &[Authority]) -> Vec<u64> {
    members.iter().map(|member| member.weight).collect()
}
