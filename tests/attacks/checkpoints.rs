//! Making blocks final that no quorum of the members decided on.

use hubledger::consensus;
use hubledger::digest::{BlockHash, ChainId};
use hubledger::format::FormatVersion;
use hubledger::model::Transaction;
use hubledger::payload::{Certify, Payload};
use hubledger::rejection::Reason;
use hubledger::spec::{
    Authority, Composition, Consensus, ConsensusName, Finality, Identity, Terms,
};
use hubledger::vote::{Vote, VoteKind};

use crate::common::{Chain, account, hub, key};

const INTERVAL: u64 = 2;

/// A chain of work whose four members make every second block final.
fn chain(blocks: usize) -> Chain {
    let members = (0..4).map(hub).map(|name| Authority {
        key: key(&name).public_key(),
        name,
        weight: 1,
    });
    let mut parts = Composition::named(ConsensusName::Hybrid, members.collect());
    if let Some(checkpoints) = &mut parts.checkpoints {
        checkpoints.interval = INTERVAL as u32;
    }
    let mut chain = Chain::in_version(FormatVersion::V2, 0, |fields| {
        fields.terms = Terms {
            block_time_us: 1_000_000,
            finality: Finality::Depth(50),
            ..Terms::of_new_chains()
        };
        fields.rules.identity = Identity::Pinned;
        fields.accounts.extend([account("alice", 0)]);
        fields.consensus = Consensus::Composed(Box::new(parts));
    });
    for _ in 0..blocks {
        chain.extend(&[]);
    }
    chain
}

fn vote(chain: &Chain, height: usize) -> Vote {
    Vote {
        chain: chain.spec().id(),
        height: height as u64,
        round: 0,
        kind: VoteKind::Checkpoint,
        block: chain.blocks[height].header().hash(),
    }
}

fn says(chain: &Chain, certify: Certify) -> Transaction {
    let payload = Payload::Certify(certify);
    chain.signed("alice", 1, |draft| {
        draft.operation = payload.operations()[0];
        draft.payload = payload.encode();
    })
}

fn by(chain: &Chain, vote: Vote, signers: &[&str]) -> Transaction {
    let signed = signers
        .iter()
        .map(|name| (key(name).public_key(), vote.sign(&key(name))));
    says(chain, Certify::new(vote, signed.collect()).unwrap())
}

#[track_caller]
fn refused(chain: &Chain, transaction: Transaction) -> Reason {
    let (index, reason) = chain.refusal(&chain.block(&[transaction]));
    assert_eq!(index, Some(0));
    reason
}

const QUORUM: [&str; 3] = ["hub-0", "hub-1", "hub-3"];

#[test]
fn a_quorum_makes_a_checkpoint_final_once() {
    let mut chain = chain(5);
    assert_eq!(consensus::final_height(chain.spec(), chain.state()), 0);
    let certified = by(&chain, vote(&chain, 4), &QUORUM);
    chain.extend(&[certified]);
    assert_eq!(consensus::final_height(chain.spec(), chain.state()), 4);
    // Again, and an earlier one: nothing that is final gets less so.
    for height in [4, 2] {
        let payload = Payload::Certify(
            Certify::new(
                vote(&chain, height),
                QUORUM
                    .map(|name| {
                        (
                            key(name).public_key(),
                            vote(&chain, height).sign(&key(name)),
                        )
                    })
                    .to_vec(),
            )
            .unwrap(),
        );
        let again = chain.signed("alice", 2, |draft| {
            draft.operation = payload.operations()[0];
            draft.payload = payload.encode();
        });
        assert_eq!(refused(&chain, again), Reason::Evidence);
    }
}

#[test]
fn too_few_members_make_nothing_final() {
    let chain = chain(5);
    let few = by(&chain, vote(&chain, 4), &["hub-0", "hub-1"]);
    assert_eq!(refused(&chain, few), Reason::Quorum);
}

#[test]
fn a_signature_that_nobody_made_spoils_a_certificate() {
    let chain = chain(5);
    let vote = vote(&chain, 4);
    let mut signed = QUORUM
        .map(|name| (key(name).public_key(), vote.sign(&key(name))))
        .to_vec();
    // Those before it are a quorum already.
    signed.push((key("hub-2").public_key(), vote.sign(&key("alice"))));
    let certify = Certify::new(vote, signed).unwrap();
    assert_eq!(refused(&chain, says(&chain, certify)), Reason::Signature);
}

#[test]
fn strangers_do_not_count() {
    let chain = chain(5);
    let signers = ["hub-0", "hub-1", "hub-2", "alice"];
    let transaction = by(&chain, vote(&chain, 4), &signers);
    assert_eq!(refused(&chain, transaction), Reason::Evidence);
}

#[test]
fn only_checkpoints_of_this_chain_become_final() {
    let chain = chain(5);
    let good = vote(&chain, 4);
    let between = vote(&chain, 3);
    let elsewhere = Vote {
        block: BlockHash([9; 32]),
        ..good
    };
    let precommit = Vote {
        kind: VoteKind::Precommit,
        ..good
    };
    let to_come = Vote { height: 6, ..good };
    for bad in [between, elsewhere, precommit, to_come] {
        assert_eq!(refused(&chain, by(&chain, bad, &QUORUM)), Reason::Evidence);
    }
    let foreign = Vote {
        chain: ChainId([9; 32]),
        ..good
    };
    assert_eq!(refused(&chain, by(&chain, foreign, &QUORUM)), Reason::Chain);
}
