//! A producer makes blocks by itself: full ones, due ones and those that are asked for; it says why it can't, and ends with the
//! engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hubledger::clock::Timer;
use hubledger::engine::{Engine, EngineError, Outcome, Producer, ProducerSettings, WhenFull};
use hubledger::format::FormatVersion;
use hubledger::model::Transaction;
use hubledger::payload::Payload;
use hubledger::spec::{
    Authority, Composition, Consensus, ConsensusName, Identity, Membership, Proposer, Quorum,
    SealRule, StakeTerms, Terms,
};
use hubledger_storage::Durability;

use crate::common::{Chain, SECOND, key, reopenable};
use crate::support::engine;

/// A timer that tests move.
#[derive(Default)]
struct Hands(AtomicU64);

impl Timer for Hands {
    fn elapsed_us(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Hands {
    fn pass(&self, us: u64) {
        self.0.fetch_add(us, Ordering::SeqCst);
    }
}

const PER_BLOCK: u64 = 3;

/// An engine of a chain with blocks of three, one of them due every so often.
fn open(block_time_us: u64) -> (Chain, Arc<Engine>, Arc<Hands>) {
    let chain = Chain::in_version(FormatVersion::V2, 1, |fields| {
        fields.terms.block_time_us = block_time_us;
        fields.limits.transactions_max = PER_BLOCK as u32;
    });
    let hands = Arc::new(Hands::default());
    let builder = Engine::builder().threads(1).timer(hands.clone());
    let builder = builder.durability(Durability::Memory);
    let builder = builder.admission_linger(Duration::ZERO);
    let engine = engine(&chain, &reopenable(), builder);
    (chain, Arc::new(engine), hands)
}

fn start(engine: &Arc<Engine>, name: &str, change: impl FnOnce(&mut ProducerSettings)) -> Producer {
    let mut settings = ProducerSettings::default();
    change(&mut settings);
    Producer::start(engine, key(name), settings).unwrap()
}

fn submit(engine: &Engine, chain: &Chain, nonce: u64) {
    let submitted = engine.submit(chain.message("alice", nonce), WhenFull::Wait);
    submitted.unwrap().wait().unwrap().unwrap();
}

fn length(engine: &Engine, height: u64) -> usize {
    engine.wait_committed(height, Durability::Memory).unwrap();
    engine.block(height).unwrap().unwrap().transactions().len()
}

#[test]
fn a_full_block_is_made_at_once_and_the_rest_when_it_is_due() {
    let (chain, engine, hands) = open(SECOND);
    let producer = start(&engine, "hub-0", |_| {});
    (1..=4).for_each(|nonce| submit(&engine, &chain, nonce));
    // No time passes, so that this one was not due.
    assert_eq!(length(&engine, 1), 3);
    // The producer reckons from when it saw that block, which may be after the first of these.
    let mut seconds = 0;
    while engine.committed(Durability::Memory) < 3 {
        hands.pass(SECOND);
        seconds += 1;
        std::thread::yield_now();
    }
    assert_eq!(length(&engine, 2), 1);
    assert!(seconds > 0);
    // Nothing waits, and empty ones aren't wanted: the next is made of what comes next.
    hands.pass(100 * SECOND);
    submit(&engine, &chain, 5);
    hands.pass(100 * SECOND);
    assert_eq!(length(&engine, 3), 1);
    producer.stop();
    assert_eq!(engine.committed(Durability::Memory), 4);
    engine.shutdown().unwrap();
}

#[test]
fn empty_blocks_keep_the_pace_where_they_are_wanted() {
    let (_, engine, hands) = open(SECOND);
    let producer = start(&engine, "hub-0", |settings| {
        settings.makes_empty = Some(true)
    });
    for height in 1..=3 {
        while engine.committed(Durability::Memory) <= height {
            hands.pass(SECOND);
            std::thread::yield_now();
        }
        assert_eq!(length(&engine, height), 0);
    }
    producer.stop();
    engine.shutdown().unwrap();
}

#[test]
fn a_block_that_is_asked_for_is_made_though_it_is_empty_and_none_is_due() {
    let (_, engine, _) = open(0);
    let producer = start(&engine, "hub-0", |_| {});
    for height in 1..=2 {
        let outcome = producer.ask().wait().unwrap().unwrap();
        assert!(matches!(outcome, Outcome::Committed(_)));
        assert_eq!(length(&engine, height), 0);
    }
    assert_eq!(producer.report().blocks, 2);
    producer.stop();
    engine.shutdown().unwrap();
}

#[test]
fn who_may_not_make_blocks_is_told_and_tries_a_few_times() {
    let (chain, engine, hands) = open(SECOND);
    let producer = start(&engine, "mallory", |_| {});
    let refused = producer.ask().wait().unwrap();
    assert!(matches!(refused, Err(EngineError::Produce(_))));
    submit(&engine, &chain, 1);
    while !producer.report().has_given_up {
        hands.pass(SECOND);
        std::thread::yield_now();
    }
    let failures = producer.report().failures;
    assert!((2..20).contains(&failures), "{failures}");
    // Another's block is a reason to try again.
    let other = start(&engine, "hub-0", |_| {});
    other.ask().wait().unwrap().unwrap();
    // Else it might be faster with the next one.
    other.stop();
    submit(&engine, &chain, 2);
    while producer.report().failures == failures {
        hands.pass(SECOND);
        std::thread::yield_now();
    }
    engine.shutdown().unwrap();
    assert!(matches!(producer.ask().wait(), Err(EngineError::Stopped)));
    producer.stop();
}

#[test]
fn a_producer_ends_with_the_engine_whoever_lets_go_of_it() {
    let (_, engine, _) = open(0);
    let producer = start(&engine, "hub-0", |_| {});
    producer.ask().wait().unwrap().unwrap();
    let reader = engine.reader();
    drop(engine);
    // Its thread ends: else this would wait for ever.
    assert!(producer.ask().wait().is_err());
    producer.stop();
    assert_eq!(reader.head().unwrap().height, 1);
}

/// A chain whose only member seals by certificates, with blocks of three.
fn open_certified(change: impl FnOnce(&mut Composition)) -> (Chain, Engine) {
    let member = Authority {
        key: key("hub-0").public_key(),
        name: "hub-0".to_owned(),
        weight: 100,
    };
    let mut parts = Composition {
        membership: Membership::Staked(StakeTerms {
            epoch: 10,
            members_max: 4,
            release_delay: 200,
            delegation: false,
        }),
        proposer: Proposer::Turn,
        seal: SealRule::Quorum(Quorum::TWO_THIRDS),
        ..Composition::named(ConsensusName::ProofOfStake, vec![member])
    };
    change(&mut parts);
    let chain = Chain::in_version(FormatVersion::V2, 0, |fields| {
        fields.rules.identity = Identity::Pinned;
        fields.rules.balances = true;
        fields.terms = Terms::of_new_chains();
        fields.limits.transactions_max = PER_BLOCK as u32;
        fields.consensus = Consensus::Composed(Box::new(parts));
    });
    let builder = Engine::builder().threads(1);
    let builder = builder.durability(Durability::Memory);
    let builder = builder.admission_linger(Duration::ZERO);
    let engine = engine(&chain, &reopenable(), builder);
    (chain, engine)
}

fn body(engine: &Engine, height: u64) -> Vec<Transaction> {
    let block = engine.block(height).unwrap().unwrap();
    block.transactions().to_vec()
}

#[test]
fn a_block_carries_the_certificate_of_the_one_before_behind_all_else() {
    let (chain, engine) = open_certified(|_| {});
    (1..=4).for_each(|nonce| submit(&engine, &chain, nonce));
    for height in 1..=3 {
        let made = engine.produce(&key("hub-0")).unwrap();
        assert!(matches!(made, Outcome::Committed(_)), "{height}: {made:?}");
    }
    // Nobody signs genesis.
    assert_eq!(body(&engine, 1).len(), 3);
    for (height, messages) in [(2, 1), (3, 0)] {
        let body = body(&engine, height);
        assert_eq!(body.len(), messages + 1);
        let carried = Payload::of(&body[messages], false);
        let Some(Payload::Certify(certify)) = carried else {
            panic!("{carried:?}");
        };
        assert_eq!(certify.vote().height, height - 1);
        assert_eq!(body[messages].sender(), "hub-0");
        assert_eq!(body[messages].nonce(), height - 1);
    }
}

#[test]
fn a_certificate_finds_room_in_a_full_block_and_what_gave_way_waits() {
    let (chain, engine) = open_certified(|_| {});
    engine.produce(&key("hub-0")).unwrap();
    (1..=4).for_each(|nonce| submit(&engine, &chain, nonce));
    for _ in 0..2 {
        engine.produce(&key("hub-0")).unwrap();
    }
    let senders = |height| {
        let body = body(&engine, height);
        let senders = body.iter().map(|one| one.sender().to_owned());
        senders.collect::<Vec<_>>()
    };
    assert_eq!(senders(2), ["alice", "alice", "hub-0"]);
    assert_eq!(senders(3), ["alice", "alice", "hub-0"]);
}

#[test]
fn no_certificate_is_carried_where_nobody_pays_for_being_absent() {
    let (_, engine) = open_certified(|parts| parts.penalties.offline = 0);
    for height in 1..=2 {
        engine.produce(&key("hub-0")).unwrap();
        assert!(body(&engine, height).is_empty());
    }
}
