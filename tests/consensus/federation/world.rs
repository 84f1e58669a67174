//! A chain of a composition that is chosen, and the model of it.

use hubledger::digest::{BlockHash, Digest};
use hubledger::format::FormatVersion;
use hubledger::model::{Block, QuorumSeal, Seal, Transaction};
use hubledger::spec::{
    Authority, Composition, Consensus, ConsensusName, Finality, Identity, Membership, Parameter,
    Penalties, Proposer, Quorum, SealRule, StakeTerms as Staked, Terms as SpecTerms,
};
use hubledger::vote::{Vote, VoteKind};

use super::model::{Member, Model, Offer, Order, Terms, more_than_two_thirds};
use super::stakes::StakeTerms;
use crate::common::{Chain, account, hub, key};

/// What a chain is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    VotedTurnSignature,
    VotedTurnQuorum,
    StakedWeightedSignature,
    StakedWeightedQuorum,
    VotedSeededSignature,
    VotedSeededQuorum,
}

impl Kind {
    pub(super) const ALL: [Self; 6] = [
        Self::VotedTurnSignature,
        Self::VotedTurnQuorum,
        Self::StakedWeightedSignature,
        Self::StakedWeightedQuorum,
        Self::VotedSeededSignature,
        Self::VotedSeededQuorum,
    ];

    pub(super) const fn is_staked(self) -> bool {
        matches!(
            self,
            Self::StakedWeightedSignature | Self::StakedWeightedQuorum
        )
    }

    pub(super) const fn is_certified(self) -> bool {
        matches!(
            self,
            Self::VotedTurnQuorum | Self::StakedWeightedQuorum | Self::VotedSeededQuorum
        )
    }
}

impl Kind {
    /// What has to come up in some run of this kind, or the comparison says little.
    pub(super) fn words(self) -> Vec<&'static str> {
        let mut words = vec![
            "made",
            "taken back",
            "other members",
            "offered",
            "offered: producer",
            "offered: turn",
            "offered: seal",
            "transfer",
            "transfer: balance",
            "convict of a double vote",
            "convict of a double vote: evidence",
            "convict of a double proposal",
            "convict of a double proposal: evidence",
            "convict of an unauthorised seal: evidence",
            "certify: evidence",
        ];
        words.push(match self.is_certified() {
            true => "offered: quorum",
            false => "convict of an unauthorised seal",
        });
        let of_members: &[&str] = match self.is_staked() {
            true => &[
                "stake",
                "stake: stake",
                "delegate",
                "delegate: stake",
                "release",
                "release: stake",
                "withdraw",
                "withdraw: stake",
            ],
            false => &[
                "propose",
                "propose: member",
                "propose: proposal",
                "propose: parameter",
                "approve",
                "approve: member",
                "approve: proposal",
            ],
        };
        words.extend(of_members);
        if self == Self::StakedWeightedQuorum {
            words.extend(["certify", "certify: quorum", "absent"]);
        }
        if matches!(self, Self::VotedSeededSignature | Self::VotedSeededQuorum) {
            words.extend(["commit", "commit: reveal", "reveal", "reveal: reveal"]);
        }
        words
    }
}

/// The most that take part.
pub(super) const NAMES: u64 = 16;
pub(super) const BALANCE: u64 = 1_000;
const LEAST: u64 = 20;

/// A chain at genesis, and the model of it.
pub(super) fn begun(kind: Kind, choose: &mut dyn FnMut(u64) -> u64) -> (Chain, Model) {
    let founders = 4 + choose(13);
    let members: Vec<Member> = (0..founders)
        .map(|number| {
            let weight = if kind.is_staked() {
                LEAST + choose(60)
            } else {
                1 + choose(3)
            };
            (hub(number as usize), weight.into())
        })
        .collect();
    let penalties = Penalties {
        double_signing: [500, 4_000][choose(2) as usize],
        offline: [10, 2_000][choose(2) as usize],
        byzantine: 3_000,
        evidence_blocks: 3 + choose(4) as u32,
        offline_after: 2 + choose(3) as u32,
        treasury: (choose(2) == 0).then(|| hub(0)),
    };
    let staked = Staked {
        epoch: 2 + choose(4) as u32,
        members_max: (founders + choose(3)) as u32,
        release_delay: penalties.evidence_blocks + 1 + choose(4) as u32,
        delegation: true,
    };
    let order = match kind {
        Kind::VotedTurnSignature | Kind::VotedTurnQuorum => Order::Turn,
        Kind::StakedWeightedSignature | Kind::StakedWeightedQuorum => Order::Weighted,
        Kind::VotedSeededSignature | Kind::VotedSeededQuorum => Order::Seeded {
            epoch: 3 + choose(6),
        },
    };
    let has_branches = !kind.is_certified() && choose(2) == 0;
    let parts = composition(kind, order, &members, staked.clone(), penalties.clone());
    let chain = chain(parts, has_branches);
    let stakes = StakeTerms {
        epoch: staked.epoch.into(),
        release_delay: staked.release_delay.into(),
        members_max: staked.members_max as usize,
        least: LEAST.into(),
        ahead: 2,
    };
    let terms = Terms {
        chain: chain.spec().id(),
        stakes: kind.is_staked().then_some(stakes),
        order,
        is_certified: kind.is_certified(),
        has_branches,
        evidence_blocks: penalties.evidence_blocks.into(),
        double_signing: penalties.double_signing.into(),
        byzantine: penalties.byzantine.into(),
        offline: penalties.offline.into(),
        offline_after: penalties.offline_after,
        treasury: penalties.treasury,
        quorum: more_than_two_thirds,
    };
    let balances = (0..NAMES).map(|number| (hub(number as usize), BALANCE.into()));
    let model = Model::new(terms, members, balances.collect());
    (chain, model)
}

fn composition(
    kind: Kind,
    order: Order,
    members: &[Member],
    staked: Staked,
    penalties: Penalties,
) -> Composition {
    let name = match (kind.is_staked(), kind.is_certified()) {
        (true, _) => ConsensusName::ProofOfStake,
        (_, true) => ConsensusName::FederatedByzantine,
        _ => ConsensusName::ProofOfAuthority,
    };
    Composition {
        membership: match kind.is_staked() {
            true => Membership::Staked(staked),
            false => Membership::Listed,
        },
        proposer: match order {
            Order::Turn => Proposer::Turn,
            Order::Weighted => Proposer::WeightedTurn,
            Order::Seeded { epoch } => Proposer::Seeded {
                epoch: epoch as u32,
            },
        },
        seal: match kind.is_certified() {
            true => SealRule::Quorum(Quorum::TWO_THIRDS),
            false => SealRule::Signature,
        },
        penalties,
        ..Composition::named(name, authorities(members))
    }
}

fn chain(parts: Composition, has_branches: bool) -> Chain {
    Chain::new(0, |fields| {
        fields.version = FormatVersion::V2;
        fields.rules.identity = Identity::Pinned;
        fields.rules.balances = true;
        fields.terms = SpecTerms {
            stake_min: LEAST,
            ..SpecTerms::of_new_chains()
        };
        if has_branches {
            fields.terms.finality = Finality::Depth(4);
        }
        if parts.stake().is_none() {
            fields.terms.changeable = [Parameter::Members].into();
        }
        for number in 0..NAMES as usize {
            let (name, mut initial) = account(&hub(number), BALANCE);
            if number < parts.members.len() {
                // A member's key is listed with it.
                initial.key = None;
            }
            fields.accounts.insert(name, initial);
        }
        fields.consensus = Consensus::of(parts);
    })
}

/// With the keys of their names.
pub(super) fn authorities(members: &[Member]) -> Vec<Authority> {
    let members = members.iter().map(|(name, weight)| Authority {
        key: key(name).public_key(),
        name: name.clone(),
        weight: *weight as u64,
    });
    members.collect()
}

/// The next block as it is offered.
pub(super) fn block(
    chain: &Chain,
    model: &Model,
    offer: &Offer,
    transactions: &[Transaction],
) -> Block {
    let drafted = chain.drafted(&offer.producer, transactions, chain.now());
    let signer = |name: &String| match offer.stranger_for.as_ref() == Some(name) {
        true => key("stranger"),
        false => key(name),
    };
    let hash = drafted.hash();
    if !model.terms.is_certified {
        return drafted.sealed(Seal::by_authority(&signer(&offer.signers[0]), &hash));
    }
    let vote = vote(
        chain,
        drafted.height(),
        offer.round,
        VoteKind::Precommit,
        hash,
    );
    let members = model.members(drafted.height()).iter().enumerate();
    let signed = members.filter(|(_, member)| offer.signers.contains(&member.0));
    let signed = signed.map(|(place, member)| (place, vote.sign(&signer(&member.0))));
    let seal = QuorumSeal::new(offer.round, signed).unwrap();
    drafted.sealed(Seal::Quorum(seal))
}

/// A vote on this chain.
pub(super) fn vote(
    chain: &Chain,
    height: u64,
    round: u32,
    kind: VoteKind,
    block: BlockHash,
) -> Vote {
    Vote {
        chain: chain.spec().id(),
        height,
        round,
        kind,
        block,
    }
}

/// The secret of a name's onion.
pub(super) fn secret(number: u64) -> Digest {
    Digest(hubledger::digest::sha256(&[&number.to_le_bytes()]))
}
