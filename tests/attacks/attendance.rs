//! Making members absent who were there, or present who weren't.

use hubledger::consensus;
use hubledger::digest::{BlockHash, ChainId};
use hubledger::format::FormatVersion;
use hubledger::model::{Block, Seal, Transaction};
use hubledger::payload::{Certify, Payload, Stake};
use hubledger::rejection::Reason;
use hubledger::rules::Depth;
use hubledger::rules::produce::produce_by;
use hubledger::signature::Signature;
use hubledger::spec::{
    Authority, Composition, Consensus, ConsensusName, Identity, Membership, Penalties, Proposer,
    Quorum, SealRule, StakeTerms, Terms,
};
use hubledger::state::tables::{AttendanceRow, AttendanceRows, Convictions, Pools};
use hubledger::vote::{Vote, VoteKind};

use crate::common::{Chain, account, hub, key};

const STAKE: u64 = 10_000;
/// Certificates of the last so many blocks count.
const EVIDENCE_BLOCKS: u32 = 4;
/// Who is missing in so many in a row pays.
const OFFLINE_AFTER: u32 = 3;
const PRESENT: [&str; 3] = ["hub-0", "hub-1", "hub-2"];

/// Four members with stakes, of whom three are a quorum; `alice` hands in who signed.
fn chain_of(membership: Membership, penalties: Penalties) -> Chain {
    let members = (0..4).map(hub).map(|name| Authority {
        key: key(&name).public_key(),
        name,
        weight: STAKE,
    });
    Chain::in_version(FormatVersion::V2, 0, |fields| {
        fields.rules.identity = Identity::Pinned;
        fields.rules.balances = true;
        fields.terms = Terms {
            stake_min: 1,
            ..Terms::of_new_chains()
        };
        let funded = ["alice", "newcomer", "treasury"].map(|name| account(name, 50_000));
        fields.accounts.extend(funded);
        fields.consensus = Consensus::Composed(Box::new(Composition {
            membership,
            proposer: Proposer::Turn,
            seal: SealRule::Quorum(Quorum::TWO_THIRDS),
            penalties,
            ..Composition::named(ConsensusName::ProofOfStake, members.collect())
        }));
    })
}

fn penalties() -> Penalties {
    Penalties {
        evidence_blocks: EVIDENCE_BLOCKS,
        offline_after: OFFLINE_AFTER,
        ..Penalties::default()
    }
}

fn staked() -> Membership {
    Membership::Staked(StakeTerms {
        epoch: 2,
        members_max: 5,
        release_delay: 10,
        delegation: true,
    })
}

fn chain(blocks: usize) -> Chain {
    let mut chain = chain_of(staked(), penalties());
    for _ in 0..blocks {
        push(&mut chain, &[]);
    }
    chain
}

/// The next block, sealed by [`PRESENT`]: `hub-3` is away.
fn block(chain: &Chain, transactions: &[Transaction]) -> Block {
    let (spec, state) = (chain.spec(), chain.state());
    let proposer = consensus::proposer(spec, state, 0).unwrap();
    let members = consensus::members(spec, state, state.height() + 1);
    let keys = PRESENT.map(key);
    let keys: Vec<_> = keys.iter().collect();
    let name = &members[proposer].name;
    produce_by(spec, state, name, &keys, transactions, chain.now()).unwrap()
}

fn push(chain: &mut Chain, transactions: &[Transaction]) {
    chain.push(block(chain, transactions));
}

fn vote(chain: &Chain, height: usize) -> Vote {
    Vote {
        chain: chain.spec().id(),
        height: height as u64,
        round: 0,
        kind: VoteKind::Precommit,
        block: chain.blocks[height].header().hash(),
    }
}

fn says(chain: &Chain, certify: Certify) -> Transaction {
    let payload = Payload::Certify(certify);
    let nonce = chain.state().account("alice").nonce + 1;
    chain.signed("alice", nonce, |draft| {
        draft.operation = payload.operations()[0];
        draft.payload = payload.encode();
    })
}

fn signed(vote: Vote, signers: &[&str]) -> Certify {
    let signed = signers
        .iter()
        .map(|name| (key(name).public_key(), vote.sign(&key(name))));
    Certify::new(vote, signed.collect()).unwrap()
}

/// That these signed the block at a height.
fn by(chain: &Chain, height: usize, signers: &[&str]) -> Transaction {
    says(chain, signed(vote(chain, height), signers))
}

#[track_caller]
fn refused(chain: &Chain, transaction: Transaction) -> Reason {
    let (index, reason) = chain.refusal(&block(chain, &[transaction]));
    assert_eq!(index, Some(0));
    reason
}

fn stake_of(chain: &Chain, name: &str) -> u64 {
    let pool = chain.state().value::<Pools>(&Pools::key(name, 0));
    pool.unwrap().tokens
}

fn missed(chain: &Chain, name: &str) -> u32 {
    let key = AttendanceRows::missed_key(name);
    match chain.state().value::<AttendanceRows>(&key) {
        Some(AttendanceRow::Missed(count)) => count,
        Some(other) => panic!("{other:?} under a name"),
        None => 0,
    }
}

/// Carries the certificates of that many blocks from a height on, one in each next block.
fn carry(chain: &mut Chain, first: usize, blocks: usize) {
    for height in first..first + blocks {
        let certificate = by(chain, height, &PRESENT);
        push(chain, &[certificate]);
    }
}

#[test]
fn whoever_is_missing_in_enough_certificates_in_a_row_pays_once_and_begins_again() {
    let mut chain = chain(1);
    carry(&mut chain, 1, 2);
    assert_eq!((missed(&chain, "hub-3"), missed(&chain, "hub-0")), (2, 0));
    assert_eq!(stake_of(&chain, "hub-3"), STAKE);
    carry(&mut chain, 3, 1);
    assert_eq!(stake_of(&chain, "hub-3"), 9_990, "a thousandth");
    assert_eq!(missed(&chain, "hub-3"), 0);
    let key = Convictions::key("hub-3", 4, 3, 0);
    let conviction = chain.state().value::<Convictions>(&key).unwrap();
    assert_eq!((conviction.since, conviction.basis_points), (4, 10));
    carry(&mut chain, 4, 2);
    assert_eq!(stake_of(&chain, "hub-3"), 9_990);
    carry(&mut chain, 6, 1);
    assert_eq!(
        stake_of(&chain, "hub-3"),
        9_981,
        "of what is left, rounded down"
    );
    assert!(PRESENT.iter().all(|name| stake_of(&chain, name) == STAKE));
}

#[test]
fn what_is_taken_goes_to_the_treasury() {
    let treasury = Some("treasury".to_owned());
    let penalties = Penalties {
        treasury,
        ..penalties()
    };
    let mut chain = chain_of(staked(), penalties);
    push(&mut chain, &[]);
    carry(&mut chain, 1, 3);
    assert_eq!(stake_of(&chain, "hub-3"), 9_990);
    assert_eq!(chain.state().account("treasury").balance, 50_010);
}

#[test]
fn no_seal_of_a_block_counts_by_itself() {
    let chain = chain(20);
    assert_eq!(missed(&chain, "hub-3"), 0);
    assert_eq!(stake_of(&chain, "hub-3"), STAKE);
}

#[test]
fn a_certificate_counts_once_also_with_fewer_signatures_or_of_another_round() {
    let mut chain = chain(2);
    let certificate = by(&chain, 1, &PRESENT);
    push(&mut chain, &[certificate]);
    let other_round = Vote {
        round: 1,
        ..vote(&chain, 1)
    };
    for again in [
        by(&chain, 1, &PRESENT),
        by(&chain, 1, &PRESENT[1..]),
        says(&chain, signed(other_round, &PRESENT)),
    ] {
        assert_eq!(refused(&chain, again), Reason::Evidence);
    }
    // Within a block too.
    let certificate = by(&chain, 2, &PRESENT);
    let payload = Payload::Certify(signed(vote(&chain, 2), &PRESENT));
    let again = chain.signed("newcomer", 1, |draft| {
        draft.operation = payload.operations()[0];
        draft.payload = payload.encode();
    });
    let block = block(&chain, &[certificate, again]);
    assert_eq!(chain.refusal(&block), (Some(1), Reason::Evidence));
    assert_eq!(missed(&chain, "hub-3"), 1);
}

#[test]
fn nobody_is_made_absent_by_a_proposer_that_leaves_its_signature_out() {
    let mut chain = chain(2);
    carry(&mut chain, 1, 2);
    assert_eq!(missed(&chain, "hub-3"), 2);
    // It was there at height 2, and says so itself: no quorum is needed beside.
    let own = by(&chain, 2, &["hub-3"]);
    push(&mut chain, &[own]);
    assert_eq!(missed(&chain, "hub-3"), 0);
    carry(&mut chain, 3, 2);
    assert_eq!(stake_of(&chain, "hub-3"), STAKE);
}

#[test]
fn less_than_a_quorum_makes_nobody_absent() {
    let chain = chain(2);
    for signers in [&PRESENT[..1], &PRESENT[..2]] {
        let few = by(&chain, 1, signers);
        assert_eq!(refused(&chain, few), Reason::Quorum);
    }
}

#[test]
fn a_forged_signature_counts_for_nothing_beside_a_quorum() {
    let chain = chain(2);
    let vote = vote(&chain, 1);
    let signed = |forged: Signature| {
        let honest = PRESENT.map(|name| (key(name).public_key(), vote.sign(&key(name))));
        let mut all = honest.to_vec();
        all.push((key("hub-3").public_key(), forged));
        says(&chain, Certify::new(vote, all).unwrap())
    };
    let forged = signed(vote.sign(&key("alice")));
    assert_eq!(refused(&chain, forged), Reason::Signature);
    let other = Vote { round: 7, ..vote };
    let of_another_round = signed(other.sign(&key("hub-3")));
    assert_eq!(refused(&chain, of_another_round), Reason::Signature);
    assert!(
        chain
            .check(&block(&chain, &[signed(vote.sign(&key("hub-3")))]))
            .is_ok()
    );
}

#[test]
fn a_certificate_of_another_block_chain_or_kind_says_nothing() {
    let chain = chain(3);
    let own = vote(&chain, 1);
    let elsewhere = [
        Vote {
            block: BlockHash([7; 32]),
            ..own
        },
        Vote {
            block: chain.blocks[2].header().hash(),
            ..own
        },
        Vote { height: 4, ..own },
        Vote { height: 0, ..own },
        Vote {
            height: u64::MAX,
            ..own
        },
        Vote {
            kind: VoteKind::Prevote,
            ..own
        },
        Vote {
            kind: VoteKind::Checkpoint,
            ..own
        },
    ];
    for vote in elsewhere {
        let says = says(&chain, signed(vote, &PRESENT));
        assert_eq!(refused(&chain, says), Reason::Evidence, "{vote:?}");
    }
    let other_chain = Vote {
        chain: ChainId([7; 32]),
        ..own
    };
    let says = says(&chain, signed(other_chain, &PRESENT));
    assert_eq!(refused(&chain, says), Reason::Chain);
}

#[test]
fn a_stranger_signs_nothing() {
    let chain = chain(2);
    let signers = ["hub-0", "hub-1", "hub-2", "alice"];
    assert_eq!(refused(&chain, by(&chain, 1, &signers)), Reason::Evidence);
}

#[test]
fn certificates_count_for_as_many_blocks_as_evidence_does_and_are_forgotten_then() {
    let mut chain = chain(4);
    // In block 5, 4 after the first.
    let last = block(&chain, &[by(&chain, 1, &PRESENT)]);
    assert!(chain.check(&last).is_ok());
    chain.push(last);
    let late = by(&chain, 1, &["hub-3"]);
    assert_eq!(refused(&chain, late), Reason::Evidence);
    push(&mut chain, &[]);
    let is_held = |key: Vec<u8>| chain.state().value::<AttendanceRows>(&key).is_some();
    assert!(!is_held(AttendanceRows::block_key(1)));
    assert!(!is_held(AttendanceRows::signed_key(1)));
    assert!(is_held(AttendanceRows::block_key(2)));
    assert_eq!(missed(&chain, "hub-3"), 1);
}

#[test]
fn a_member_misses_nothing_before_it_joined() {
    let mut chain = chain(2);
    let payload = Payload::Stake(Stake {
        key: key("newcomer").public_key(),
        amount: 10,
    });
    let joins = chain.signed("newcomer", 1, |draft| {
        draft.operation = payload.operations()[0];
        draft.payload = payload.encode();
    });
    // In block 3: a member from height 5 on.
    let certificate = by(&chain, 2, &PRESENT);
    push(&mut chain, &[joins, certificate]);
    push(&mut chain, &[]);
    carry(&mut chain, 3, 2);
    assert_eq!(
        (missed(&chain, "newcomer"), missed(&chain, "hub-3")),
        (0, 0)
    );
    assert_eq!(stake_of(&chain, "hub-3"), 9_990);
    // As a member of height 5 alone it can have signed that.
    let before = by(&chain, 4, &["newcomer"]);
    assert_eq!(refused(&chain, before), Reason::Evidence);
    carry(&mut chain, 5, 1);
    assert_eq!(
        (missed(&chain, "newcomer"), missed(&chain, "hub-3")),
        (1, 1)
    );
}

#[test]
fn nothing_is_kept_where_nobody_pays_for_being_absent() {
    let free = Penalties {
        offline: 0,
        ..penalties()
    };
    for (membership, penalties) in [(staked(), free), (Membership::Listed, penalties())] {
        let mut chain = chain_of(membership, penalties);
        push(&mut chain, &[]);
        push(&mut chain, &[]);
        assert_eq!(refused(&chain, by(&chain, 1, &PRESENT)), Reason::Evidence);
        let key = AttendanceRows::block_key(1);
        assert!(chain.state().value::<AttendanceRows>(&key).is_none());
        let seal = chain.last().seal();
        assert!(consensus::attendance(chain.spec(), chain.state(), seal).is_none());
    }
}

#[test]
fn the_certificate_that_a_producer_holds_is_what_the_next_block_can_carry() {
    let mut chain = chain(3);
    let seal = chain.last().seal().clone();
    let certify = consensus::attendance(chain.spec(), chain.state(), &seal).unwrap();
    assert_eq!(certify, signed(vote(&chain, 3), &PRESENT));
    let carried = says(&chain, certify);
    push(&mut chain, &[carried]);
    assert_eq!(missed(&chain, "hub-3"), 1);
    assert!(consensus::attendance(chain.spec(), chain.state(), &Seal::None).is_none());
}

#[test]
fn absences_come_back_when_a_chain_is_replayed() {
    let mut chain = chain(1);
    carry(&mut chain, 1, 5);
    let mut again = Chain::of(chain.spec().clone());
    for block in &chain.blocks[1..] {
        let valid = again.validator.check(block, Depth::Replay).unwrap();
        again.validator.apply(&valid);
    }
    assert_eq!(again.state().encode(), chain.state().encode());
}
