//! The pool is told of accounts again when blocks go: after a bad signature, and when a branch takes the place of the chain's own blocks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hubledger::engine::{Engine, EngineBuilder, Outcome, Stage, WhenFull};
use hubledger::format::FormatVersion;
use hubledger::model::Transaction;
use hubledger::pool::{Source, WaitsFor};
use hubledger::rejection::Reason;
use hubledger::spec::{Finality, Nonces};

use crate::common::{Chain, account, corrupt_signature, key, reopenable};
use crate::support::engine;

/// Alice holds 100, the others 10; nonces are consecutive.
fn chain() -> Chain {
    Chain::in_version(FormatVersion::V2, 2, |fields| {
        fields.rules.balances = true;
        fields.rules.fee_min = 1;
        fields.terms.nonces = Nonces::Consecutive;
        fields.terms.finality = Finality::Depth(5);
        let held = [("alice", 100), ("bob", 10), ("carol", 10), ("dave", 10)];
        fields
            .accounts
            .extend(held.map(|(name, balance)| account(name, balance)));
    })
}

/// What alice does in the block that goes: bob holds 100 behind it, and alice 9.
fn gift(chain: &Chain) -> Transaction {
    chain.transfer("alice", "bob", (90, 1), 1)
}

/// What alice and bob want on top of it.
fn later(chain: &Chain) -> [Transaction; 2] {
    [
        chain.transfer("alice", "carol", (4, 1), 2),
        chain.transfer("bob", "carol", (80, 1), 1),
    ]
}

fn submit(engine: &Engine, transaction: Transaction) {
    let submitted = engine.submit(transaction, WhenFull::Wait).unwrap();
    submitted.wait().unwrap().unwrap();
}

/// What each of a sender's transactions waits for, by nonce.
fn waits(engine: &Engine, sender: &str) -> Vec<(u64, WaitsFor)> {
    let all = engine.pool().of_sender(sender);
    all.iter().map(|one| (one.nonce, one.waits_for)).collect()
}

/// That two blocks bring the gift and what follows from it, so that everybody has what is due.
fn assert_all_is_in_the_next_two_blocks(engine: &Engine) {
    for _ in 0..2 {
        let made = engine.produce(&key("hub-0")).unwrap();
        assert!(matches!(made, Outcome::Committed(_)));
    }
    assert_eq!(engine.pool().size().0, 0);
    let state = engine.state();
    let balances = ["alice", "bob", "carol"].map(|name| state.account(name).balance);
    assert_eq!(balances, [4, 19, 94]);
}

/// A builder of engines whose first check of signatures waits until it may go on.
fn gated() -> (EngineBuilder, Arc<AtomicBool>) {
    let (is_open, has_begun) = (Arc::new(AtomicBool::new(false)), AtomicBool::new(false));
    let gate = Arc::clone(&is_open);
    let probe = Arc::new(move |stage| {
        let is_first = stage == Stage::Signatures && !has_begun.swap(true, Ordering::AcqRel);
        while is_first && !gate.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
    });
    (Engine::builder().threads(3).probe(probe), is_open)
}

#[test]
fn after_a_bad_signature_the_pool_knows_accounts_as_they_were_before_the_block() {
    let chain = chain();
    let (builder, is_open) = gated();
    let engine = engine(&chain, &reopenable(), builder);
    let bad = corrupt_signature(&chain.message("dave", 1));
    let block = chain.block(&[gift(&chain), bad]);
    let ticket = engine
        .offer(vec![block.encode().into()], WhenFull::Wait)
        .unwrap();
    // Nothing else was ruled, so that this is over once any time was spent on it.
    let ruling = |stage: &&hubledger::engine::StageMetrics| stage.stage == Stage::Validate;
    while engine
        .metrics()
        .stages
        .iter()
        .find(ruling)
        .unwrap()
        .busy
        .is_zero()
    {
        std::thread::yield_now();
    }
    // They enter by what the block that isn't settled says of them.
    for transaction in later(&chain) {
        submit(&engine, transaction);
    }
    assert_eq!(waits(&engine, "alice"), [(2, WaitsFor::Room)]);
    assert_eq!(waits(&engine, "bob"), [(1, WaitsFor::Room)]);
    is_open.store(true, Ordering::Release);
    let outcomes = ticket.wait().unwrap();
    let [Outcome::Rejected(rejected)] = &outcomes[..] else {
        panic!("{outcomes:?}")
    };
    assert_eq!(rejected.reason, Reason::Signature);
    assert_eq!(waits(&engine, "alice"), [(2, WaitsFor::Gap { nonce: 1 })]);
    assert_eq!(
        waits(&engine, "bob"),
        [(1, WaitsFor::Cover { missing: 71 })]
    );
    submit(&engine, gift(&chain));
    assert_eq!(
        waits(&engine, "alice"),
        [(1, WaitsFor::Room), (2, WaitsFor::Room)]
    );
    assert_all_is_in_the_next_two_blocks(&engine);
    engine.shutdown().unwrap();
}

#[test]
fn when_a_branch_takes_the_chains_place_the_pool_knows_accounts_as_they_are_there() {
    let chain = chain();
    let mut other = chain.clone();
    other.push(other.block_by("hub-1", &[]));
    other.push(other.block_by("hub-1", &[]));
    let builder = Engine::builder().threads(2);
    // In the time of the branch's last block, which is later.
    let engine = engine(&other, &reopenable(), builder);
    let peer = Source::of("peer");
    engine
        .offer_branch(&chain.block(&[gift(&chain)]), peer)
        .unwrap();
    for transaction in later(&chain) {
        submit(&engine, transaction);
    }
    assert_eq!(waits(&engine, "alice"), [(2, WaitsFor::Room)]);
    assert_eq!(waits(&engine, "bob"), [(1, WaitsFor::Room)]);
    for block in &other.blocks[1..] {
        engine.offer_branch(block, peer).unwrap();
    }
    assert_eq!(engine.head().unwrap().hash(), other.last().hash());
    // The gift is submitted again by the engine: behind what came after it, that is judged.
    submit(&engine, chain.message("dave", 1));
    assert_eq!(
        waits(&engine, "alice"),
        [(1, WaitsFor::Room), (2, WaitsFor::Room)]
    );
    assert_eq!(
        waits(&engine, "bob"),
        [(1, WaitsFor::Cover { missing: 71 })]
    );
    assert_all_is_in_the_next_two_blocks(&engine);
    engine.shutdown().unwrap();
}
