//! A consensus as the composition of its parts: who its members are and what they weigh, who proposes a block, what seals it, and
//! what makes it final. What a chain does with them is in `consensus/`.

mod check;
mod encoding;

use super::check::NUMBER_MAX;
use super::{Authority, Quorum};
#[cfg(doc)]
use crate::format::payload::VALUE_MEMBERS_MAX;

/// The most that all members of a chain with priorities or certificates weigh together: sums of several times that, and products with
/// the denominators of fractions, stay within 64 bits.
pub const WEIGHT_MAX: u64 = 1 << 53;

/// The largest denominator of a quorum.
pub const DENOMINATOR_MAX: u32 = 1_000;

/// Parts of a whole in which penalties are given: ten thousand.
pub const BASIS_POINTS: u16 = 10_000;

/// The most epochs that a stake waits before it is given back: each has a pool that a penalty goes through.
pub const RELEASE_EPOCHS_MAX: u32 = 64;

macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident: $($(#[doc = $line:literal])+ $variant:ident = $number:literal, $word:literal;)+) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[derive(serde::Serialize, serde::Deserialize)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[doc = $line])+ #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that stands for it in the TOML text and in outputs.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            const fn number(self) -> u8 {
                match self {
                    $(Self::$variant => $number,)+
                }
            }

            const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

words! {
    /// The name by which a composition goes: what its parts are where the text says nothing of them. What it does is said by its parts alone.
    ConsensusName:
    /// Listed authorities, each alone.
    ProofOfAuthority = 1, "proof_of_authority";
    /// Members by what they put up, in turns by weight.
    ProofOfStake = 2, "proof_of_stake";
    /// Whoever finds a nonce.
    ProofOfWork = 3, "proof_of_work";
    /// Listed members of several weights, in turns, with certificates.
    FederatedByzantine = 4, "federated_byzantine";
    /// Listed members of one weight, in turns, with certificates.
    Pbft = 5, "pbft";
    /// Members by what others put up behind them, in turns.
    DelegatedProofOfStake = 6, "delegated_proof_of_stake";
    /// Work seals, certificates of listed members make checkpoints final.
    Hybrid = 7, "hybrid";
}

words! {
    /// How the difficulty follows the time that blocks take.
    Retarget:
    /// By the absolute schedule since the first block: aserti3-2d, with a half-life of the interval times the block time.
    Asert = 0, "asert";
    /// By the mean time of the last interval, as MPREG does: below half of the block time it doubles, above double it halves.
    Window = 1, "window";
}

/// Who takes part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Membership {
    /// Anybody, and nobody has a weight.
    Anyone,
    /// The members that the specification lists, and where the chain may change them, those that it voted for since.
    Listed,
    /// At first those listed, each with a stake of its weight; from then on whoever puts up enough.
    Staked(StakeTerms),
}

/// How members are made of stakes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StakeTerms {
    /// Members change at heights `k · epoch + 1` alone; at least 2.
    pub epoch: u32,
    /// The most members; who puts up more than the least of them takes its place. At most [`VALUE_MEMBERS_MAX`].
    pub members_max: u32,
    /// For how many heights a stake that was taken back can still be punished before it is paid out.
    pub release_delay: u32,
    /// Whether others than the member itself may put up behind it.
    pub delegation: bool,
}

/// Who proposes the block of a height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proposer {
    /// Any member at any time; of work, anybody.
    Open,
    /// Member `(h − 1) mod n` of the block at height h.
    Turn,
    /// The member with the highest priority, so that each has as large a part of all blocks as of the weight.
    WeightedTurn,
    /// The member that the seed of its epoch of so many heights chooses, known one epoch before.
    Seeded {
        /// Heights of an epoch; at least 3.
        epoch: u32,
    },
}

/// What is behind a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealRule {
    /// The signature of the member that proposed it.
    Signature,
    /// Signatures of members of more than this part of the weight.
    Quorum(Quorum),
    /// A nonce by which the hash is at most the target.
    Work(WorkTerms),
}

/// How hard work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkTerms {
    /// Hashes that the first block takes on average.
    pub difficulty: u64,
    /// How that changes.
    pub retarget: Retarget,
    /// Blocks of the interval by which it changes.
    pub interval: u32,
}

/// Blocks that certificates of the members make final, although work seals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoints {
    /// The blocks whose heights this divides.
    pub interval: u32,
    /// More than this part of the weight.
    pub quorum: Quorum,
}

/// What faults of members cost, in [`BASIS_POINTS`] of the stake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Penalties {
    /// Two proposals of one height, or two votes in one round.
    pub double_signing: u16,
    /// Signing in none of `offline_after` certificates that later blocks carry, one after the other. Counted where members with stakes seal by
    /// certificates.
    pub offline: u16,
    /// A seal of a block that wasn't the member's to seal.
    pub byzantine: u16,
    /// For how many heights after a fault it can be punished.
    pub evidence_blocks: u32,
    /// How many certificates in a row.
    pub offline_after: u32,
    /// Whether what is taken goes to this account; `None`: it is gone.
    pub treasury: Option<String>,
}

impl Default for Penalties {
    fn default() -> Self {
        Self {
            double_signing: 500,
            offline: 10,
            byzantine: 3_000,
            evidence_blocks: 100,
            offline_after: 100,
            treasury: None,
        }
    }
}

/// A consensus as its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composition {
    /// What it is called.
    pub name: ConsensusName,
    /// The members at genesis, in turn order.
    pub members: Vec<Authority>,
    /// Who takes part.
    pub membership: Membership,
    /// Who proposes.
    pub proposer: Proposer,
    /// What seals.
    pub seal: SealRule,
    /// What is final besides what the seal and the [terms](super::Terms::finality) make so.
    pub checkpoints: Option<Checkpoints>,
    /// What faults cost.
    pub penalties: Penalties,
}

impl Composition {
    /// The parts that a name stands for.
    #[must_use]
    pub fn named(name: ConsensusName, members: Vec<Authority>) -> Self {
        let work = SealRule::Work(WorkTerms {
            difficulty: 1,
            retarget: Retarget::Asert,
            interval: 100,
        });
        let stake = |delegation| {
            Membership::Staked(StakeTerms {
                epoch: 10,
                members_max: 100,
                release_delay: 200,
                delegation,
            })
        };
        let quorum = SealRule::Quorum(Quorum::TWO_THIRDS);
        let (membership, proposer, seal) = match name {
            ConsensusName::ProofOfAuthority => {
                (Membership::Listed, Proposer::Open, SealRule::Signature)
            }
            ConsensusName::ProofOfStake => {
                (stake(false), Proposer::WeightedTurn, SealRule::Signature)
            }
            ConsensusName::DelegatedProofOfStake => {
                (stake(true), Proposer::WeightedTurn, SealRule::Signature)
            }
            ConsensusName::FederatedByzantine | ConsensusName::Pbft => {
                (Membership::Listed, Proposer::Turn, quorum)
            }
            ConsensusName::ProofOfWork => (Membership::Anyone, Proposer::Open, work),
            ConsensusName::Hybrid => (Membership::Listed, Proposer::Open, work),
        };
        let checkpoints = (name == ConsensusName::Hybrid).then_some(Checkpoints {
            interval: 10,
            quorum: Quorum::TWO_THIRDS,
        });
        Self {
            name,
            members,
            membership,
            proposer,
            seal,
            checkpoints,
            penalties: Penalties::default(),
        }
    }

    /// How work is sealed, where it is.
    #[must_use]
    pub const fn work(&self) -> Option<&WorkTerms> {
        match &self.seal {
            SealRule::Work(work) => Some(work),
            SealRule::Signature | SealRule::Quorum(_) => None,
        }
    }

    /// How members are made of stakes, where they are.
    #[must_use]
    pub const fn stake(&self) -> Option<&StakeTerms> {
        match &self.membership {
            Membership::Staked(stake) => Some(stake),
            Membership::Anyone | Membership::Listed => None,
        }
    }

    /// Whether all makers of blocks count under one name in the vector clock: where anybody makes them, and where members come and go by
    /// their stakes. Nobody leaves a clock, which would be full one day.
    #[must_use]
    pub const fn shares_clock_entry(&self) -> bool {
        !matches!(self.membership, Membership::Listed) || self.work().is_some()
    }

    /// The part of the weight that has to be behind a certificate, of blocks or of checkpoints.
    #[must_use]
    pub const fn quorum(&self) -> Option<Quorum> {
        match (&self.seal, &self.checkpoints) {
            (SealRule::Quorum(quorum), _) => Some(*quorum),
            (_, Some(checkpoints)) => Some(checkpoints.quorum),
            _ => None,
        }
    }

    /// Whether it says no more than the plain form of proof of authority does, which is how it is encoded then.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.name == ConsensusName::ProofOfAuthority
            && self.membership == Membership::Listed
            && matches!(self.proposer, Proposer::Open | Proposer::Turn)
            && self.seal == SealRule::Signature
            && self.checkpoints.is_none()
            && self.penalties == Penalties::default()
            && self.members.iter().all(|member| member.weight == 1)
    }
}

/// The total weight times any denominator stays within 64 bits.
const _: () =
    assert!(WEIGHT_MAX as u128 * (DENOMINATOR_MAX as u128) < 1 << 64 && WEIGHT_MAX < NUMBER_MAX);
