//! The chains of the vectors: one for each composition, and for what else parts can be put together to.

use hubledger::evidence::{DoubleProposal, Evidence, UnauthorisedSeal};
use hubledger::model::{Block, Header, Seal, Transaction};
use hubledger::payload::{Certify, Convict, Delegate, Payload, Release, Stake};
use hubledger::spec::{
    Composition, ConsensusName, Finality, Membership, Penalties, Proposer, Quorum, Retarget,
    SealRule, StakeTerms, WorkTerms,
};
use hubledger::testing::members::{double_vote, federation, listed, vote_for};
use hubledger::vote::{Vote, VoteKind};

use crate::common::{Chain, SECOND, hub, key};

/// How a chain is made.
type Make = fn() -> Chain;

/// The names of the files and how their chains are made.
pub(crate) const CHAINS: [(&str, Make); 11] = [
    ("proof_of_authority", authority),
    ("proof_of_stake", stake),
    ("delegated_proof_of_stake", delegated),
    ("federated_byzantine", byzantine),
    ("pbft", pbft),
    ("proof_of_work", work),
    ("proof_of_work_window", window),
    ("hybrid", hybrid),
    ("seeded", seeded),
    ("seeded_quorum", seeded_quorum),
    ("staked_quorum", staked_quorum),
];

/// The offers that are refused are in the files at every so many heights.
pub(crate) const OFFERS_EACH: u64 = 4;

fn chain(name: ConsensusName, weights: &[u64], change: impl FnOnce(&mut Composition)) -> Chain {
    let mut parts = Composition::named(name, listed(weights));
    change(&mut parts);
    let has_depth = matches!(parts.seal, SealRule::Work(_)) || parts.stake().is_some();
    let is_final = matches!(parts.seal, SealRule::Quorum(_));
    Chain::new(0, |fields| {
        federation(fields, parts);
        if has_depth && !is_final {
            fields.terms.finality = Finality::Depth(4);
        }
    })
}

fn empty(mut chain: Chain, blocks: usize) -> Chain {
    for _ in 0..blocks {
        chain.grow(&[]);
    }
    chain
}

/// The header after `change`, sealed by `name`.
fn proposal(
    chain: &Chain,
    name: &str,
    timestamp: u64,
) -> (Header, hubledger::signature::Signature) {
    let block = chain.drafted(name, &[], timestamp);
    match Seal::by_authority(&key(name), &block.hash()) {
        Seal::Authority { signature, .. } => (block.header().clone(), signature),
        _ => panic!("one signature"),
    }
}

fn convict(chain: &Chain, nonce: u64, evidence: Evidence) -> Transaction {
    chain.says("alice", nonce, &Payload::Convict(Convict { evidence }))
}

/// Evidence that the proposer of the next block makes two.
fn two_proposals(chain: &Chain) -> Evidence {
    let offender = chain.due_proposer(0);
    let [one, other] = [1, 2].map(|seconds| proposal(chain, &offender, chain.now() + seconds));
    let key = key(&offender).public_key();
    Evidence::DoubleProposal(DoubleProposal::new(key, one, other).unwrap())
}

/// Evidence that somebody seals the next block in another's turn.
fn out_of_turn(chain: &Chain) -> Evidence {
    let members = chain.members(chain.state().height() + 1);
    let mut others = members.iter().map(|member| &member.name);
    let other = others.find(|name| **name != chain.due_proposer(0)).unwrap();
    let (header, signature) = proposal(chain, other, chain.now());
    let key = key(other).public_key();
    Evidence::UnauthorisedSeal(UnauthorisedSeal::new(key, header, signature))
}

/// Authorities in turn, who vote a fourth in; one seals out of turn, and another twice.
fn authority() -> Chain {
    let mut chain = chain(ConsensusName::ProofOfAuthority, &[1, 1, 1], |parts| {
        parts.proposer = Proposer::Turn;
    });
    let all = listed(&[1, 1, 1, 1]);
    vote_for(&mut chain, &all[..3], all.clone());
    let evidence = out_of_turn(&chain);
    chain.grow(&[]);
    chain.grow(&[convict(&chain, 1, evidence)]);
    let evidence = two_proposals(&chain);
    chain.grow(&[]);
    chain.grow(&[convict(&chain, 2, evidence)]);
    empty(chain, 4)
}

fn staking(epoch: u32, delegation: bool) -> (Membership, Penalties) {
    let staked = Membership::Staked(StakeTerms {
        epoch,
        members_max: 4,
        release_delay: 8,
        delegation,
    });
    let penalties = Penalties {
        evidence_blocks: 6,
        ..Penalties::default()
    };
    (staked, penalties)
}

/// Members by stakes, in turns by weight: one puts up more, one comes in the place of the lightest, one is slashed for two proposals.
fn stake() -> Chain {
    let mut chain = chain(ConsensusName::ProofOfStake, &[100, 50, 30, 20], |parts| {
        (parts.membership, parts.penalties) = staking(3, false);
    });
    let put = |chain: &Chain, name: &str, amount| {
        let key = key(name).public_key();
        chain.says(name, 1, &Payload::Stake(Stake { key, amount }))
    };
    chain.grow(&[put(&chain, &hub(4), 40)]);
    chain.grow(&[put(&chain, &hub(1), 25)]);
    let evidence = two_proposals(&chain);
    chain.grow(&[]);
    chain.grow(&[]);
    chain.grow(&[convict(&chain, 1, evidence)]);
    let back = Payload::Release(Release {
        from: hub(2),
        amount: 10,
    });
    chain.grow(&[chain.says(&hub(2), 1, &back)]);
    empty(chain, 10)
}

/// The same where others put up something behind the members, and lose it with them.
fn delegated() -> Chain {
    let weights = [60, 60, 60];
    let mut chain = chain(ConsensusName::DelegatedProofOfStake, &weights, |parts| {
        (parts.membership, parts.penalties) = staking(2, true);
        parts.penalties.treasury = Some("alice".to_owned());
    });
    let behind = |chain: &Chain, nonce, to: String, amount| {
        chain.says("alice", nonce, &Payload::Delegate(Delegate { to, amount }))
    };
    chain.grow(&[behind(&chain, 1, hub(2), 90), behind(&chain, 2, hub(1), 7)]);
    for _ in 0..3 {
        chain.grow(&[]);
    }
    let evidence = two_proposals(&chain);
    chain.grow(&[]);
    chain.grow(&[convict(&chain, 3, evidence)]);
    let back = Payload::Release(Release {
        from: hub(2),
        amount: 40,
    });
    chain.grow(&[chain.says("alice", 4, &back)]);
    empty(chain, 7)
}

/// Members of several weights, in turns, under certificates of more than three quarters; one votes twice.
fn byzantine() -> Chain {
    let mut chain = chain(
        ConsensusName::FederatedByzantine,
        &[5, 3, 3, 2, 2],
        |parts| {
            parts.seal = SealRule::Quorum(Quorum::new(3, 4).unwrap());
        },
    );
    for _ in 0..3 {
        chain.grow(&[]);
    }
    let votes = double_vote(&chain, &hub(3), 2);
    chain.grow(&[chain.says("alice", 1, &votes)]);
    // Another round than the first, and not everybody's signature.
    chain.push(chain.due(2, &[1], &[]));
    empty(chain, 5)
}

/// Members of one weight, who vote one in and another out.
fn pbft() -> Chain {
    let mut chain = chain(ConsensusName::Pbft, &[1, 1, 1, 1], |_| {});
    let all = listed(&[1, 1, 1, 1, 1]);
    vote_for(&mut chain, &all[..4], all.clone());
    vote_for(&mut chain, &all, all[1..].to_vec());
    chain.push(chain.due(1, &[2], &[]));
    empty(chain, 4)
}

fn working(retarget: Retarget, interval: u32) -> SealRule {
    SealRule::Work(WorkTerms {
        difficulty: 16,
        retarget,
        interval,
    })
}

/// The next block so many tenths of a second after the one before.
fn after(chain: &mut Chain, tenths: u64, transactions: &[Transaction]) {
    let time = chain.state().timestamp() + tenths * SECOND / 10;
    let drafted = chain.drafted(&hub(0), transactions, time);
    let block: Block = chain.sealed_as_due(drafted, 0, &[]);
    let valid = chain.check_at(&block, time).unwrap();
    chain.validator.apply(&valid);
    chain.blocks.push(block);
}

/// Blocks that come too fast, and then too slowly.
const TENTHS: [u64; 16] = [7, 10, 1, 1, 2, 1, 3, 10, 10, 90, 40, 1, 250, 10, 3, 60];

fn mined(retarget: Retarget, interval: u32) -> Chain {
    let mut chain = chain(ConsensusName::ProofOfWork, &[], |parts| {
        parts.seal = working(retarget, interval);
    });
    for tenths in TENTHS {
        after(&mut chain, tenths, &[]);
    }
    chain
}

fn work() -> Chain {
    mined(Retarget::Asert, 4)
}

fn window() -> Chain {
    mined(Retarget::Window, 3)
}

/// Work seals, and members of several weights make checkpoints final.
fn hybrid() -> Chain {
    let mut chain = chain(ConsensusName::Hybrid, &[3, 2, 2, 2], |parts| {
        parts.seal = working(Retarget::Asert, 6);
        if let Some(checkpoints) = &mut parts.checkpoints {
            checkpoints.interval = 3;
        }
    });
    for tenths in [10, 8, 5, 9] {
        after(&mut chain, tenths, &[]);
    }
    let vote = Vote {
        chain: chain.spec().id(),
        height: 3,
        round: 0,
        kind: VoteKind::Checkpoint,
        block: chain.blocks[3].hash(),
    };
    let signed = [0, 1, 3].map(hub).map(|name| {
        let key = key(&name);
        (key.public_key(), vote.sign(&key))
    });
    let certify = Certify::new(vote, signed.to_vec()).unwrap();
    let certify = chain.says("alice", 1, &Payload::Certify(certify));
    after(&mut chain, 10, &[certify]);
    for tenths in [10, 3, 12, 20, 9] {
        after(&mut chain, tenths, &[]);
    }
    chain
}

/// Members of several weights, drawn by the seeds of epochs of three heights; one seals out of turn.
fn seeded() -> Chain {
    let mut chain = chain(ConsensusName::ProofOfAuthority, &[5, 3, 1], |parts| {
        parts.proposer = Proposer::Seeded { epoch: 3 };
    });
    for _ in 0..7 {
        chain.grow(&[]);
    }
    let evidence = out_of_turn(&chain);
    chain.grow(&[]);
    chain.grow(&[convict(&chain, 1, evidence)]);
    empty(chain, 4)
}

fn seeded_quorum() -> Chain {
    let mut chain = chain(ConsensusName::FederatedByzantine, &[4, 3, 2, 1], |parts| {
        parts.proposer = Proposer::Seeded { epoch: 4 };
    });
    chain.grow(&[]);
    chain.push(chain.due(3, &[3], &[]));
    empty(chain, 8)
}

/// Members by stakes under certificates, in turns by weight: one comes, one goes, one is slashed.
fn staked_quorum() -> Chain {
    hubledger::testing::members::staked_quorum().chain
}
