//! Convicting the innocent, or the guilty twice, too late, or of what they did elsewhere.

use hubledger::consensus;
use hubledger::digest::{BlockHash, ChainId};
use hubledger::evidence::{DoubleProposal, DoubleVote, Evidence, UnauthorisedSeal};
use hubledger::format::FormatVersion;
use hubledger::model::{Header, HeaderFields, Seal, Transaction};
use hubledger::payload::{Convict, Payload};
use hubledger::rejection::Reason;
use hubledger::rules::Depth;
use hubledger::signature::{KeyPair, Signature};
use hubledger::spec::{
    Authority, Composition, Consensus, ConsensusName, Finality, Identity, Membership, Penalties,
    Proposer, SealRule, SpecFields, StakeTerms, Terms,
};
use hubledger::state::tables::{Convictions, Pools, ProposerRows};
use hubledger::vote::{Vote, VoteKind};

use crate::common::{Chain, account, fields, hub, key};

const STAKE: u64 = 1_000;
/// Evidence counts for so many blocks.
const EVIDENCE_BLOCKS: u32 = 3;

fn members() -> Vec<Authority> {
    let names = (0..3).map(hub);
    let members = names.map(|name| Authority {
        key: key(&name).public_key(),
        name,
        weight: STAKE,
    });
    members.collect()
}

/// Three members with stakes; `alice`, who puts up nothing, hands in what she has seen.
fn chain_of(proposer: Proposer, change: impl FnOnce(&mut SpecFields)) -> Chain {
    Chain::in_version(FormatVersion::V2, 3, |fields| {
        fields.rules.identity = Identity::Pinned;
        fields.rules.balances = true;
        fields.terms = Terms {
            stake_min: 1,
            ..Terms::of_new_chains()
        };
        fields.accounts.extend([account("alice", 100)]);
        let stakes = StakeTerms {
            epoch: 2,
            members_max: 4,
            release_delay: 8,
            delegation: true,
        };
        fields.consensus = Consensus::Composed(Box::new(Composition {
            membership: Membership::Staked(stakes),
            proposer,
            seal: SealRule::Signature,
            penalties: Penalties {
                evidence_blocks: EVIDENCE_BLOCKS,
                ..Penalties::default()
            },
            ..Composition::named(ConsensusName::ProofOfStake, members())
        }));
        change(fields);
    })
}

fn chain() -> Chain {
    let mut chain = chain_of(Proposer::Open, |_| {});
    grow(&mut chain, 2);
    chain
}

fn grow(chain: &mut Chain, blocks: usize) {
    for _ in 0..blocks {
        chain.extend(&[]);
    }
}

fn vote(chain: &Chain, block: u8) -> Vote {
    Vote {
        chain: chain.spec().id(),
        height: 1,
        round: 2,
        kind: VoteKind::Prevote,
        block: BlockHash([block; 32]),
    }
}

fn signed(vote: Vote, signer: &KeyPair) -> (Vote, Signature) {
    (vote, vote.sign(signer))
}

/// Two votes of whoever is called so, in the first block's round 2, after `change`.
fn votes_of(chain: &Chain, name: &str, change: impl Fn(&mut Vote)) -> Evidence {
    let offender = key(name);
    let one = |block| {
        let mut vote = vote(chain, block);
        change(&mut vote);
        signed(vote, &offender)
    };
    Evidence::DoubleVote(DoubleVote::new(offender.public_key(), one(1), one(2)).unwrap())
}

fn double_vote(chain: &Chain, name: &str) -> Evidence {
    votes_of(chain, name, |_| {})
}

fn sealed(header: Header, signer: &KeyPair) -> (Header, Signature) {
    let signature = signer.sign(&Seal::message(&header.hash()));
    (header, signature)
}

/// The header of the chain's block at a height after `change`.
fn header(chain: &Chain, height: usize, change: impl FnOnce(&mut HeaderFields)) -> Header {
    let mut fields = fields(&chain.blocks[height]);
    change(&mut fields);
    Header::new(fields).unwrap()
}

fn double_proposal(chain: &Chain, name: &str, change: impl FnOnce(&mut HeaderFields)) -> Evidence {
    let offender = key(name);
    let own = sealed(header(chain, 1, |_| {}), &offender);
    let other = sealed(header(chain, 1, change), &offender);
    let fault = DoubleProposal::new(offender.public_key(), own, other);
    Evidence::DoubleProposal(fault.unwrap())
}

fn unauthorised(chain: &Chain, name: &str, height: usize) -> Evidence {
    let offender = key(name);
    let (header, signature) = sealed(header(chain, height, |_| {}), &offender);
    let fault = UnauthorisedSeal::new(offender.public_key(), header, signature);
    Evidence::UnauthorisedSeal(fault)
}

fn hand_in(chain: &Chain, nonce: u64, evidence: Evidence) -> Transaction {
    let payload = Payload::Convict(Convict { evidence });
    chain.signed("alice", nonce, |draft| {
        draft.operation = payload.operations()[0];
        draft.payload = payload.encode();
    })
}

#[track_caller]
fn refused(chain: &Chain, evidence: Evidence) -> Reason {
    let (index, reason) = chain.refusal(&chain.block(&[hand_in(chain, 1, evidence)]));
    assert_eq!(index, Some(0));
    reason
}

fn stake_of(chain: &Chain, name: &str) -> u64 {
    let pool = chain.state().value::<Pools>(&Pools::key(name, 0));
    pool.unwrap().tokens
}

#[test]
fn whoever_votes_twice_in_a_round_loses_a_part_of_its_stake_once() {
    let mut chain = chain();
    let evidence = double_vote(&chain, "hub-1");
    let transaction = hand_in(&chain, 1, evidence.clone());
    chain.extend(std::slice::from_ref(&transaction));
    assert_eq!(stake_of(&chain, "hub-1"), STAKE * 95 / 100);
    assert_eq!(stake_of(&chain, "hub-0"), STAKE);
    let key = Convictions::key("hub-1", 1, 1, 2);
    let conviction = chain.state().value::<Convictions>(&key).unwrap();
    assert_eq!((conviction.since, conviction.basis_points), (3, 500));
    assert_eq!(conviction.by, transaction.id());
    // The same again, and other votes of that round.
    let other = votes_of(&chain, "hub-1", |vote| vote.block.0[1] = 9);
    let prevotes = votes_of(&chain, "hub-1", |vote| vote.kind = VoteKind::Precommit);
    for again in [evidence, other, prevotes] {
        let block = chain.block(&[hand_in(&chain, 2, again)]);
        assert_eq!(chain.refusal(&block), (Some(0), Reason::Evidence));
    }
    // Of another round it is another fault.
    let evidence = votes_of(&chain, "hub-1", |vote| vote.round = 3);
    chain.extend(&[hand_in(&chain, 2, evidence)]);
    assert_eq!(stake_of(&chain, "hub-1"), 903, "95 % of 950, rounded up");
}

#[test]
fn nobody_is_convicted_twice_within_a_block() {
    let chain = chain();
    let evidence = double_vote(&chain, "hub-1");
    let transactions = [1, 2].map(|nonce| hand_in(&chain, nonce, evidence.clone()));
    let refused = chain.refusal(&chain.block(&transactions));
    assert_eq!(refused, (Some(1), Reason::Evidence));
}

#[test]
fn what_is_taken_goes_to_the_treasury() {
    let mut chain = chain_of(Proposer::Open, |fields| {
        fields.accounts.extend([account("treasury", 5)]);
        let Consensus::Composed(parts) = &mut fields.consensus else {
            panic!("composed above");
        };
        parts.penalties.treasury = Some("treasury".to_owned());
    });
    grow(&mut chain, 2);
    let evidence = double_vote(&chain, "hub-2");
    chain.extend(&[hand_in(&chain, 1, evidence)]);
    let lost = STAKE - stake_of(&chain, "hub-2");
    assert_eq!(chain.state().account("treasury").balance, 5 + lost);
    assert_eq!(lost, 50);
}

#[test]
fn evidence_counts_for_as_many_blocks_as_the_chain_says() {
    let mut chain = chain();
    let evidence = double_vote(&chain, "hub-1");
    grow(&mut chain, 1);
    // At height 4, 3 after the fault: the last that can convict.
    let last = chain.block(&[hand_in(&chain, 1, evidence.clone())]);
    assert!(chain.check(&last).is_ok());
    grow(&mut chain, 1);
    assert_eq!(refused(&chain, evidence), Reason::Evidence);
}

#[test]
fn nobody_is_convicted_of_a_fault_that_is_still_to_come_or_at_genesis() {
    let chain = chain();
    for height in [0, 4, u64::MAX] {
        let evidence = votes_of(&chain, "hub-1", |vote| vote.height = height);
        assert_eq!(refused(&chain, evidence), Reason::Evidence);
    }
}

#[test]
fn a_fault_on_another_chain_is_none_on_this() {
    let chain = chain();
    let evidence = votes_of(&chain, "hub-1", |vote| vote.chain = ChainId([7; 32]));
    assert_eq!(refused(&chain, evidence), Reason::Chain);
}

#[test]
fn whoever_is_no_member_at_the_height_commits_no_fault() {
    let chain = chain();
    assert_eq!(
        refused(&chain, double_vote(&chain, "alice")),
        Reason::Evidence
    );
}

#[test]
fn an_innocent_is_not_framed_by_a_signature_that_it_never_made() {
    let chain = chain();
    let victim = key("hub-1").public_key();
    let honest = signed(vote(&chain, 1), &key("hub-1"));
    let forged = signed(vote(&chain, 2), &key("alice"));
    // Either place: each of the two signatures is checked.
    let low = DoubleVote::new(victim, honest, forged).unwrap();
    let honest = signed(vote(&chain, 3), &key("hub-1"));
    let high = DoubleVote::new(victim, honest, forged).unwrap();
    for fault in [low, high] {
        assert_eq!(
            refused(&chain, Evidence::DoubleVote(fault)),
            Reason::Signature
        );
    }
}

#[test]
fn signatures_that_are_swapped_prove_nothing() {
    let chain = chain();
    let offender = key("hub-1");
    let (one, other) = (vote(&chain, 1), vote(&chain, 2));
    let by_one = one.sign(&offender);
    let by_other = other.sign(&offender);
    let swapped = DoubleVote::new(offender.public_key(), (one, by_other), (other, by_one));
    assert_eq!(
        refused(&chain, Evidence::DoubleVote(swapped.unwrap())),
        Reason::Signature
    );
    // A vote's signature under a seal.
    let header = header(&chain, 1, |_| {});
    let fault = UnauthorisedSeal::new(offender.public_key(), header, by_one);
    let mut turns = chain_of(Proposer::Turn, |_| {});
    turns.push(turns.block_by("hub-0", &[]));
    let of_turns = self::header(&turns, 1, |_| {});
    let bogus = UnauthorisedSeal::new(offender.public_key(), of_turns, by_one);
    let evidence = Evidence::UnauthorisedSeal(bogus);
    let block = turns.block_by("hub-1", &[hand_in(&turns, 1, evidence)]);
    assert_eq!(turns.refusal(&block), (Some(0), Reason::Signature));
    let evidence = Evidence::UnauthorisedSeal(fault);
    assert_eq!(
        refused(&chain, evidence),
        Reason::Evidence,
        "anybody's turn"
    );
}

#[test]
fn signatures_are_found_bad_in_the_json_form_too() {
    let chain = chain_of(Proposer::Open, |fields| fields.terms.payload_json = true);
    let mut chain = chain;
    grow(&mut chain, 2);
    let victim = key("hub-1").public_key();
    let honest = signed(vote(&chain, 1), &key("hub-1"));
    let forged = signed(vote(&chain, 2), &key("alice"));
    let fault = DoubleVote::new(victim, honest, forged).unwrap();
    let payload = Payload::Convict(Convict {
        evidence: Evidence::DoubleVote(fault),
    });
    let transaction = chain.signed("alice", 1, |draft| {
        draft.operation = payload.operations()[0];
        draft.payload = payload.to_json().into_bytes();
    });
    let refused = chain.refusal(&chain.block(&[transaction]));
    assert_eq!(refused, (Some(0), Reason::Signature));
}

#[test]
fn two_blocks_of_one_height_behind_one_block_convict() {
    let mut chain = chain();
    let evidence = double_proposal(&chain, "hub-0", |fields| fields.timestamp += 1);
    chain.extend(&[hand_in(&chain, 1, evidence)]);
    assert_eq!(stake_of(&chain, "hub-0"), STAKE * 95 / 100);
}

#[test]
fn a_member_whose_branch_was_replaced_may_seal_the_height_again() {
    let replaceable = |fields: &mut SpecFields| fields.terms.finality = Finality::Depth(5);
    let settled = |fields: &mut SpecFields| fields.terms.finality = Finality::Immediate;
    let elsewhere = |fields: &mut HeaderFields| fields.previous_hash = BlockHash([3; 32]);
    let mut chain = chain_of(Proposer::Open, replaceable);
    grow(&mut chain, 2);
    let evidence = double_proposal(&chain, "hub-0", elsewhere);
    assert_eq!(refused(&chain, evidence), Reason::Evidence);
    // Where no block is ever replaced, nobody goes on from two.
    let mut chain = chain_of(Proposer::Open, settled);
    grow(&mut chain, 2);
    let evidence = double_proposal(&chain, "hub-0", elsewhere);
    let block = chain.block(&[hand_in(&chain, 1, evidence)]);
    assert!(chain.check(&block).is_ok());
}

#[test]
fn a_seal_out_of_turn_convicts_and_one_in_turn_does_not() {
    let mut chain = chain_of(Proposer::Turn, |_| {});
    chain.push(chain.block_by("hub-0", &[]));
    let in_turn = unauthorised(&chain, "hub-0", 1);
    let block = chain.block_by("hub-1", &[hand_in(&chain, 1, in_turn)]);
    assert_eq!(chain.refusal(&block), (Some(0), Reason::Evidence));
    let out_of_turn = unauthorised(&chain, "hub-2", 1);
    chain.push(chain.block_by("hub-1", &[hand_in(&chain, 1, out_of_turn)]));
    assert_eq!(stake_of(&chain, "hub-2"), STAKE * 70 / 100);
}

#[test]
fn a_seal_out_of_a_weighted_turn_convicts_behind_this_chains_block_alone() {
    let mut chain = chain_of(Proposer::WeightedTurn, |_| {});
    let weighted_block = |chain: &Chain, transactions: &[Transaction]| {
        let (spec, state) = (chain.spec(), chain.state());
        let place = consensus::proposer(spec, state, 0).unwrap();
        let members = consensus::members(spec, state, state.height() + 1);
        chain.block_by(&members[place].name, transactions)
    };
    for _ in 0..4 {
        chain.push(weighted_block(&chain, &[]));
    }
    let refused = |chain: &Chain, evidence: Evidence| {
        let refusal = chain.refusal(&weighted_block(chain, &[hand_in(chain, 1, evidence)]));
        assert_eq!(refusal, (Some(0), Reason::Evidence));
    };
    let at = 2;
    let producer = chain.blocks[at].header().producer.clone();
    refused(&chain, unauthorised(&chain, &producer, at));
    let other = ["hub-0", "hub-1", "hub-2"]
        .into_iter()
        .find(|name| *name != producer);
    let other = other.unwrap();
    // On another branch it may have been its turn.
    let offender = key(other);
    let elsewhere = header(&chain, at, |fields| {
        fields.previous_hash = BlockHash([3; 32])
    });
    let (elsewhere, signature) = sealed(elsewhere, &offender);
    let fault = UnauthorisedSeal::new(offender.public_key(), elsewhere, signature);
    refused(&chain, Evidence::UnauthorisedSeal(fault));
    // Of the first height it is too late: 4 blocks ago.
    refused(&chain, unauthorised(&chain, other, 1));
    assert!(
        chain
            .state()
            .value::<ProposerRows>(&ProposerRows::key(1))
            .is_none()
    );
    let evidence = unauthorised(&chain, other, at);
    chain.push(weighted_block(&chain, &[hand_in(&chain, 1, evidence)]));
    assert_eq!(stake_of(&chain, other), STAKE * 70 / 100);
    // The next height's turn is known before its block is.
    let next = weighted_block(&chain, &[]);
    let turn = next.header().producer.clone();
    for (name, convicts) in [(other, other != turn), (turn.as_str(), false)] {
        let offender = key(name);
        let (header, signature) = sealed(next.header().clone(), &offender);
        let fault = UnauthorisedSeal::new(offender.public_key(), header, signature);
        let evidence = Evidence::UnauthorisedSeal(fault);
        let block = weighted_block(&chain, &[hand_in(&chain, 2, evidence)]);
        assert_eq!(chain.check(&block).is_ok(), convicts, "{name}");
    }
}

#[test]
fn turns_by_weight_are_kept_only_where_a_seal_out_of_turn_costs_something() {
    let mut chain = chain_of(Proposer::WeightedTurn, |fields| {
        let Consensus::Composed(parts) = &mut fields.consensus else {
            panic!("composed above");
        };
        parts.penalties.byzantine = 0;
    });
    let place = consensus::proposer(chain.spec(), chain.state(), 0).unwrap();
    chain.push(chain.block_by(&hub(place), &[]));
    assert!(
        chain
            .state()
            .value::<ProposerRows>(&ProposerRows::key(1))
            .is_none()
    );
}

#[test]
fn members_without_stakes_are_convicted_and_lose_nothing() {
    let mut chain = Chain::in_version(FormatVersion::V2, 3, |fields| {
        fields.terms = Terms::of_new_chains();
        fields.rules.identity = Identity::Pinned;
        fields.accounts.extend([account("alice", 0)]);
    });
    grow(&mut chain, 2);
    let evidence = double_vote(&chain, "hub-1");
    chain.extend(&[hand_in(&chain, 1, evidence)]);
    let key = Convictions::key("hub-1", 1, 1, 2);
    assert!(chain.state().value::<Convictions>(&key).is_some());
    assert!(
        chain
            .state()
            .value::<Pools>(&Pools::key("hub-1", 0))
            .is_none()
    );
}

#[test]
fn convictions_come_back_when_a_chain_is_replayed() {
    let mut chain = chain();
    let evidence = double_vote(&chain, "hub-1");
    chain.extend(&[hand_in(&chain, 1, evidence)]);
    let mut again = Chain::of(chain.spec().clone());
    for block in &chain.blocks[1..] {
        let valid = again.validator.check(block, Depth::Replay).unwrap();
        again.validator.apply(&valid);
    }
    assert_eq!(again.state().encode(), chain.state().encode());
}
