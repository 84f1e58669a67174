//! Two histories of one chain that nothing can reconcile: where they come from, that no choice is made, and that it is said.

use std::ops::ControlFlow;

use hubledger::consensus;
use hubledger::engine::{Engine, EngineError};
use hubledger::evidence::Evidence;
use hubledger::format::FormatVersion;
use hubledger::ledger::{Alarm, AlarmCause, Ledger, LedgerError, Placement, Staging};
use hubledger::model::{Block, Seal};
use hubledger::rejection::Reason;
use hubledger::rules::produce::produce;
use hubledger::signature::{self, KeyPair};
use hubledger::spec::{
    Authority, Composition, Consensus, ConsensusName, Finality, Quorum, SealRule,
};
use hubledger::tree::Source;

use crate::common::{self, Chain, SECOND, clock, hub, key};

const DEPTH: u32 = 3;

fn source() -> Source {
    Source::of("the other side")
}

fn by_depth(depth: u32) -> Chain {
    Chain::in_version(FormatVersion::V2, 2, |fields| {
        fields.terms.finality = Finality::Depth(depth);
        fields.limits.body_bytes_max = 1 << 20;
    })
}

fn by_quorum() -> Chain {
    let members: Vec<Authority> = (0..4)
        .map(|number| Authority {
            key: key(&hub(number)).public_key(),
            name: hub(number),
            weight: 1,
        })
        .collect();
    Chain::in_version(FormatVersion::V2, 4, |fields| {
        fields.terms.finality = Finality::Immediate;
        fields.consensus = Consensus::Composed(Box::new(Composition {
            seal: SealRule::Quorum(Quorum::TWO_THIRDS),
            ..Composition::named(ConsensusName::Pbft, members)
        }));
    })
}

fn grown(chain: &Chain, producer: &str, blocks: u64) -> Chain {
    let mut chain = chain.clone();
    for _ in 0..blocks {
        chain.push(chain.block_by(producer, &[]));
    }
    chain
}

/// The hub that took all blocks of a chain in. Its clock is ahead of every block here.
fn ledger(chain: &Chain) -> Ledger {
    let now_us = chain.now() + 100 * SECOND;
    let mut ledger = Ledger::create(common::memory(), chain.spec(), clock(now_us)).unwrap();
    for block in &chain.blocks[1..] {
        assert_eq!(ledger.submit(block).unwrap(), Staging::Staged);
    }
    ledger
}

/// The next block of a chain, certified by the members with these numbers in a round, later by so many seconds than it might be.
fn certified(chain: &Chain, signers: &[usize], round: u32, later: u64) -> Block {
    let (spec, state) = (chain.spec(), chain.state());
    let turn = consensus::proposer(spec, state, 0).unwrap();
    let name = hub(turn);
    let now_us = chain.now() + later * SECOND;
    let block = produce(spec, state, &name, &key(&name), &[], now_us).unwrap();
    let keys: Vec<KeyPair> = signers.iter().map(|&number| key(&hub(number))).collect();
    let keys: Vec<&KeyPair> = keys.iter().collect();
    let seal = consensus::seal_by(spec, state, &keys, round, block.header());
    block.sealed(seal)
}

fn quorum_grown(chain: &Chain, blocks: u64) -> Chain {
    let mut chain = chain.clone();
    for _ in 0..blocks {
        chain.push(certified(&chain, &[0, 1, 2], 0, 0));
    }
    chain
}

#[test]
fn under_depth_a_partition_longer_than_the_depth_splits_the_chain_for_good() {
    let common = grown(&by_depth(DEPTH), "hub-0", 4);
    let sides = [grown(&common, "hub-0", 6), grown(&common, "hub-1", 9)];
    for (own, other) in [(&sides[0], &sides[1]), (&sides[1], &sides[0])] {
        let (mut hub, neighbour) = (ledger(own), ledger(other));
        let (head, other_head) = (own.last().hash(), other.last().hash());
        // Both have made different blocks final.
        for chain in [own, other] {
            assert!(consensus::final_height(chain.spec(), chain.state()) > 4);
        }
        let resolved = hub
            .resolve(&neighbour.reader(), source(), &mut |_| {
                ControlFlow::Continue(())
            })
            .unwrap();
        let expected = Alarm {
            height: 5,
            held: own.blocks[5].hash(),
            offered: other.blocks[5].hash(),
            cause: AlarmCause::Split,
        };
        assert_eq!(resolved.alarm.as_deref(), Some(&expected));
        assert_eq!(resolved.refused.unwrap().reason, Reason::Fork);
        assert_eq!(hub.alarm(), Some(&expected));
        assert!(!expected.halts());
        // No choice: the heavier side, too, is refused, and each side goes on by itself.
        assert_eq!(resolved.changes, vec![]);
        assert_eq!(hub.state().head(), head);
        assert_ne!(head, other_head);
        let next = own.block_by("hub-0", &[]);
        assert_eq!(hub.submit(&next).unwrap(), Staging::Staged);
    }
}

#[test]
fn under_depth_a_shorter_partition_heals_without_an_alarm() {
    let common = grown(&by_depth(DEPTH), "hub-0", 4);
    let sides = [grown(&common, "hub-0", 2), grown(&common, "hub-1", 3)];
    for (own, other) in [(&sides[0], &sides[1]), (&sides[1], &sides[0])] {
        let mut hub = ledger(own);
        for block in &other.blocks[5..] {
            assert_eq!(hub.offer(block, source()).unwrap().alarm, None);
        }
        assert_eq!(hub.state().head(), sides[1].last().hash());
        assert_eq!(hub.alarm(), None);
    }
}

#[test]
fn a_late_branch_that_made_nothing_final_is_no_alarm_and_a_forged_one_is_none_either() {
    let common = grown(&by_depth(DEPTH), "hub-0", 4);
    let (own, late) = (grown(&common, "hub-0", 9), grown(&common, "hub-1", 5));
    let mut hub = ledger(&own);
    let forged = |block: &Block| {
        block
            .clone()
            .sealed(Seal::by_authority(&key("mallory"), &block.hash()))
    };
    for block in &late.blocks[5..] {
        let offer = hub.offer(&forged(block), source()).unwrap();
        assert_eq!(offer.alarm, None);
    }
    for (number, block) in (1..).zip(&late.blocks[5..]) {
        let offer = hub.offer(block, source()).unwrap();
        // The depth's blocks above the first one make that final on the other side.
        assert_eq!(offer.alarm.is_some(), number > DEPTH, "{number}");
    }
}

#[test]
fn under_a_quorum_at_most_one_side_of_a_partition_goes_on_and_both_end_on_one_chain() {
    let common = quorum_grown(&by_quorum(), 3);
    let (mut large, mut small) = (ledger(&common), ledger(&common));
    let mut chain = common.clone();
    for _ in 0..u64::from(DEPTH) + 3 {
        let block = certified(&chain, &[0, 1, 2], 1, 0);
        assert_eq!(large.submit(&block).unwrap(), Staging::Staged);
        chain.push(block);
        // The one member alone, and two of four, which would be both halves of an even split.
        for signers in [&[3][..], &[0, 3]] {
            let alone = certified(&common, signers, 1, 1);
            let Staging::Rejected(rejected) = small.submit(&alone).unwrap() else {
                panic!("less than a quorum went on")
            };
            assert_eq!(rejected.reason, Reason::Quorum);
        }
    }
    assert_eq!(small.state().height(), 3);
    for block in &chain.blocks[4..] {
        let offer = small.offer(block, source()).unwrap();
        assert_eq!((offer.placement, offer.alarm), (Placement::InChain, None));
    }
    assert_eq!(small.state().head(), large.state().head());
    assert_eq!((small.alarm(), large.alarm()), (None, None));
}

fn cause(alarm: &Alarm) -> ([u32; 2], Vec<&str>, &[Evidence]) {
    let AlarmCause::Certificates {
        rounds,
        overlap,
        evidence,
    } = &alarm.cause
    else {
        panic!("{alarm}")
    };
    let overlap = overlap.iter().map(|name| &name[..]).collect();
    (*rounds, overlap, evidence)
}

#[test]
fn certificates_of_different_rounds_halt_the_hub_and_convict_nobody() {
    let before = quorum_grown(&by_quorum(), 2);
    let (held, other) = (
        certified(&before, &[0, 1, 2], 0, 0),
        certified(&before, &[1, 2, 3], 2, 1),
    );
    let mut chain = before.clone();
    chain.push(held.clone());
    let mut hub = ledger(&chain);
    for _ in 0..2 {
        let offer = hub.offer(&other, source()).unwrap();
        let alarm = *offer.alarm.unwrap();
        assert_eq!((alarm.held, alarm.offered), (held.hash(), other.hash()));
        assert_eq!(alarm.height, 3);
        let (rounds, overlap, evidence) = cause(&alarm);
        assert_eq!(rounds, [0, 2]);
        assert_eq!(overlap, ["hub-1", "hub-2"]);
        assert!(evidence.is_empty());
        assert!(matches!(offer.placement, Placement::Refused(_)));
        assert!(alarm.halts());
        // Nothing more is committed, whoever it is by.
        let next = certified(&chain, &[0, 1, 2], 0, 0);
        for error in [
            hub.submit(&next).unwrap_err(),
            hub.offer(&next, source()).unwrap_err(),
        ] {
            assert!(matches!(error, LedgerError::Halted(found) if *found == alarm));
        }
        assert_eq!(hub.state().height(), 3);
        // To start again is the operator's word; the alarm is raised again by the same block.
        hub = ledger(&chain);
    }
}

#[test]
fn certificates_of_one_round_come_with_evidence_against_those_who_signed_both() {
    let before = quorum_grown(&by_quorum(), 2);
    let held = certified(&before, &[0, 1, 2], 1, 0);
    let other = certified(&before, &[0, 2, 3], 1, 1);
    let mut chain = before.clone();
    chain.push(held);
    let mut hub = ledger(&chain);
    let alarm = *hub.offer(&other, source()).unwrap().alarm.unwrap();
    let (rounds, overlap, evidence) = cause(&alarm);
    assert_eq!((rounds, &overlap[..]), ([1, 1], &["hub-0", "hub-2"][..]));
    assert_eq!(evidence.len(), 2);
    for (name, evidence) in overlap.iter().zip(evidence) {
        evidence.claims(|key, message, signature| {
            assert!(signature::verify(&key, message, &signature).is_ok());
        });
        let found = consensus::check_evidence(chain.spec(), chain.state(), 4, evidence);
        assert_eq!(found.unwrap().0.name, *name);
    }
}

#[test]
fn a_certificate_of_less_than_a_quorum_or_with_a_bad_signature_raises_nothing() {
    let before = quorum_grown(&by_quorum(), 2);
    let mut chain = before.clone();
    chain.push(certified(&before, &[0, 1, 2], 0, 0));
    let mut hub = ledger(&chain);
    let weak = certified(&before, &[0, 1], 1, 1);
    // Votes of the block held, put behind another.
    let stolen = certified(&before, &[0, 1, 2], 1, 1).sealed(chain.last().seal().clone());
    for block in [weak, stolen] {
        assert_eq!(hub.offer(&block, source()).unwrap().alarm, None);
    }
    assert_eq!(hub.alarm(), None);
    let next = certified(&chain, &[0, 1, 2], 0, 0);
    assert_eq!(hub.submit(&next).unwrap(), Staging::Staged);
}

fn engine(chain: &Chain) -> Engine {
    let now_us = chain.now() + 100 * SECOND;
    let engine = Engine::builder().threads(2).clock(clock(now_us));
    let engine = engine.create(common::memory(), chain.spec()).unwrap();
    for block in &chain.blocks[1..] {
        let offer = engine.offer_branch(block, source()).unwrap();
        assert_eq!(offer.placement, Placement::InChain);
    }
    engine
}

#[test]
fn an_engine_says_that_the_chain_is_split_and_goes_on() {
    let common = grown(&by_depth(DEPTH), "hub-0", 4);
    let (own, other) = (grown(&common, "hub-0", 6), grown(&common, "hub-1", 9));
    let engine = engine(&own);
    assert_eq!((engine.alarm(), engine.metrics().alarms), (None, 0));
    for block in other.blocks[5..].iter().chain(&other.blocks[5..]) {
        engine.offer_branch(block, source()).unwrap();
    }
    let alarm = engine.alarm().unwrap();
    assert_eq!(alarm.cause, AlarmCause::Split);
    assert_eq!(alarm.offered, other.blocks[5].hash());
    assert_eq!(engine.metrics().alarms, 1);
    assert_eq!(engine.head().unwrap().hash(), own.last().hash());
    let next = own.block_by("hub-0", &[]);
    let offer = engine.offer_branch(&next, source()).unwrap();
    assert_eq!(offer.placement, Placement::InChain);
}

#[test]
fn an_engine_halts_where_two_quorums_decided_differently() {
    let before = quorum_grown(&by_quorum(), 2);
    let mut chain = before.clone();
    chain.push(certified(&before, &[0, 1, 2], 0, 0));
    let engine = engine(&chain);
    let other = certified(&before, &[1, 2, 3], 1, 1);
    let alarm = *engine
        .offer_branch(&other, source())
        .unwrap()
        .alarm
        .unwrap();
    assert!(alarm.halts());
    assert_eq!(engine.alarm(), Some(alarm.clone()));
    assert_eq!(engine.metrics().alarms, 1);
    let next = certified(&chain, &[0, 1, 2], 0, 0);
    let error = engine.offer_branch(&next, source()).unwrap_err();
    let EngineError::Ledger(error) = error else {
        panic!("{error}")
    };
    assert!(matches!(&*error, LedgerError::Halted(found) if **found == alarm));
    assert_eq!(engine.reader().head().unwrap().height, 3);
}
