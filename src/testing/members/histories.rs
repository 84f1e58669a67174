//! Chains of several epochs: members come, go, gain and lose weight, and one is convicted.

use std::collections::BTreeSet;

use crate::format::digest::BlockHash;
use crate::format::evidence::{DoubleVote, Evidence};
use crate::format::payload::{
    Approve, Convict, Delegate, ParameterValue, Payload, Propose, Release, Stake,
};
use crate::format::spec::{
    Authority, Composition, Consensus, ConsensusName, Finality, Identity, Membership, Parameter,
    Penalties, Proposer, Quorum, SealRule, SpecFields, StakeTerms, Terms,
};
use crate::format::vote::{Vote, VoteKind};
use crate::format::{FormatVersion, model::Transaction};
use crate::testing::{Chain, account, hub, key};

/// Heights between two changes of members where they follow from stakes.
const EPOCH: u32 = 3;

/// A chain with what it is called.
pub struct History {
    /// One word.
    pub name: &'static str,
    /// The chain.
    pub chain: Chain,
}

/// Members `hub-0`, `hub-1`, … of these weights.
pub fn listed(weights: &[u64]) -> Vec<Authority> {
    let members = weights.iter().enumerate();
    let members = members.map(|(number, weight)| Authority {
        key: key(&hub(number)).public_key(),
        name: hub(number),
        weight: *weight,
    });
    members.collect()
}

/// A specification of version 2 whose names belong to keys and have balances, before its consensus is set: `hub-4` and `alice` have accounts.
pub fn federation(fields: &mut SpecFields, parts: Composition) {
    fields.version = FormatVersion::V2;
    fields.rules.identity = Identity::Pinned;
    fields.rules.balances = true;
    fields.terms = Terms {
        block_time_us: 1_000_000,
        stake_min: 10,
        changeable: match parts.stake() {
            Some(_) => BTreeSet::new(),
            None => [Parameter::Members].into(),
        },
        ..Terms::of_new_chains()
    };
    fields.accounts.clear();
    for number in 0..parts.members.len() {
        let (name, mut initial) = account(&hub(number), 1_000);
        // A member's key is listed with it.
        initial.key = None;
        fields.accounts.insert(name, initial);
    }
    let others = [hub(parts.members.len()), "alice".to_owned()];
    fields
        .accounts
        .extend(others.map(|name| account(&name, 1_000)));
    fields.consensus = Consensus::of(parts);
}

/// Members by stakes under certificates, in turns by weight: one comes, one goes, one gets more behind it, one is slashed.
pub fn staked_quorum() -> History {
    let parts = staking(Proposer::WeightedTurn, SealRule::Quorum(Quorum::TWO_THIRDS));
    let chain = Chain::new(0, |fields| federation(fields, parts));
    History {
        name: "staked_quorum",
        chain: with_stakes(chain),
    }
}

/// The same where the signature of the member in turn seals.
pub fn staked() -> History {
    let parts = staking(Proposer::WeightedTurn, SealRule::Signature);
    let chain = Chain::new(0, |fields| {
        federation(fields, parts);
        fields.terms.finality = Finality::Depth(2);
    });
    History {
        name: "staked",
        chain: with_stakes(chain),
    }
}

fn staking(proposer: Proposer, seal: SealRule) -> Composition {
    Composition {
        membership: Membership::Staked(StakeTerms {
            epoch: EPOCH,
            members_max: 8,
            release_delay: 9,
            delegation: true,
        }),
        proposer,
        seal,
        penalties: Penalties {
            evidence_blocks: 5,
            ..Penalties::default()
        },
        ..Composition::named(ConsensusName::ProofOfStake, listed(&[100, 100, 100, 100]))
    }
}

/// Members by stakes under certificates, whose specification another one with shorter epochs takes over behind a block from 8 to 12: a change from
/// block 13 on is to come then, of which the new one knows nothing.
pub fn taken_over(behind_block: u64) -> History {
    let mut parts = staking(Proposer::Turn, SealRule::Quorum(Quorum::TWO_THIRDS));
    if let Membership::Staked(terms) = &mut parts.membership {
        terms.epoch = 6;
    }
    let mut chain = Chain::new(0, |fields| federation(fields, parts));
    let behind = |chain: &Chain, nonce, to: String| {
        let behind = Payload::Delegate(Delegate { to, amount: 30 });
        chain.says("alice", nonce, &behind)
    };
    // In force from block 7 on, the next from block 13.
    let first = behind(&chain, 1, hub(1));
    chain.grow(&[first]);
    for _ in 0..6 {
        chain.grow(&[]);
    }
    let pending = behind(&chain, 2, hub(2));
    chain.grow(&[pending]);
    while chain.state().height() < behind_block {
        chain.grow(&[]);
    }
    let listed = chain.members(behind_block);
    let mut chain = chain.succeeded(|fields| {
        let mut parts = staking(Proposer::Turn, SealRule::Quorum(Quorum::TWO_THIRDS));
        parts.members = listed;
        if let Membership::Staked(terms) = &mut parts.membership {
            terms.epoch = 2;
        }
        fields.consensus = Consensus::of(parts);
    });
    let sooner = behind(&chain, 3, hub(3));
    chain.grow(&[sooner]);
    for _ in 0..3 {
        chain.grow(&[]);
    }
    let last = behind(&chain, 4, hub(0));
    chain.grow(&[last]);
    for _ in 0..6 {
        chain.grow(&[]);
    }
    History {
        name: match behind_block {
            12 => "taken_over_at_a_change",
            _ => "taken_over",
        },
        chain,
    }
}

/// Who signed two votes of one round: evidence for it.
pub fn double_vote(chain: &Chain, name: &str, height: u64) -> Payload {
    let vote = |block| Vote {
        chain: chain.spec().id(),
        height,
        round: 1,
        kind: VoteKind::Prevote,
        block: BlockHash([block; 32]),
    };
    let offender = key(name);
    let signed = |block| (vote(block), vote(block).sign(&offender));
    let evidence = DoubleVote::new(offender.public_key(), signed(1), signed(2)).unwrap();
    Payload::Convict(Convict {
        evidence: Evidence::DoubleVote(evidence),
    })
}

/// Seventeen blocks after genesis: five epochs, with four changes of the members.
fn with_stakes(mut chain: Chain) -> Chain {
    let stake = Payload::Stake(Stake {
        key: key(&hub(4)).public_key(),
        amount: 150,
    });
    let joins = chain.says(&hub(4), 1, &stake);
    chain.grow(&[joins]);
    for _ in 0..3 {
        chain.grow(&[]);
    }
    let behind = Payload::Delegate(Delegate {
        to: hub(0),
        amount: 75,
    });
    let behind = chain.says("alice", 1, &behind);
    chain.grow(&[behind]);
    let convicts = chain.says("alice", 2, &double_vote(&chain, &hub(1), 4));
    chain.grow(&[convicts]);
    chain.grow(&[]);
    let back = Payload::Release(Release {
        from: hub(3),
        amount: 100,
    });
    let leaves = chain.says(&hub(3), 1, &back);
    chain.grow(&[leaves]);
    for nonce in 3..12 {
        let message = chain.message("alice", nonce);
        chain.grow(&[message]);
    }
    chain
}

/// Authorities under certificates, in turns, who vote one in, another out, and give the last more weight than the others.
pub fn voted() -> History {
    let members = listed(&[1, 1, 1, 1]);
    let parts = Composition::named(ConsensusName::FederatedByzantine, members);
    let mut chain = Chain::new(0, |fields| federation(fields, parts));
    let all = listed(&[1, 1, 1, 1, 1]);
    vote_for(&mut chain, &all[..4], all.clone());
    vote_for(&mut chain, &all, all[1..].to_vec());
    let mut heavier = all[1..].to_vec();
    heavier[3].weight = 3;
    vote_for(&mut chain, &all[1..], heavier);
    for number in 1..8 {
        let message = chain.message("alice", number);
        chain.grow(&[message]);
    }
    History {
        name: "voted",
        chain,
    }
}

/// All members propose and approve that these are to be members, from two heights after on; the chain goes on until they are.
pub fn vote_for(chain: &mut Chain, now: &[Authority], next: Vec<Authority>) {
    let effective = chain.state().height() + 4;
    let propose = Payload::Propose(Propose {
        parameter: Parameter::Members,
        value: ParameterValue::Members(next),
        effective,
    });
    // Whoever came last hasn't said anything yet.
    let said = |member: &Authority| chain.state().account(&member.name).nonce + 1;
    let (first, others) = now.split_first().unwrap();
    let proposed = chain.says(&first.name, said(first), &propose);
    let approve = Payload::Approve(Approve {
        proposer: first.name.clone(),
        proposal: proposed.id(),
    });
    let approvals: Vec<Transaction> = others
        .iter()
        .take(now.len() * 2 / 3)
        .map(|member| chain.says(&member.name, said(member), &approve))
        .collect();
    chain.grow(&[proposed]);
    chain.grow(&approvals);
    while chain.state().height() + 1 < effective {
        chain.grow(&[]);
    }
}
