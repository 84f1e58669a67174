//! What whoever submitted a transaction learns of it, while branches take each other's place.

use hubledger::engine::{Engine, Fate, WhenFull};
use hubledger::format::FormatVersion;
use hubledger::spec::Finality;
use hubledger::tree::Source;

use crate::common::{self, Chain, clock};

/// A chain whose blocks are final once two follow.
fn chain() -> Chain {
    Chain::in_version(FormatVersion::V2, 2, |fields| {
        fields.terms.finality = Finality::Depth(2);
    })
}

fn engine(chain: &Chain) -> Engine {
    let builder = Engine::builder().threads(1).clock(clock(chain.now()));
    builder.create(common::memory(), chain.spec()).unwrap()
}

fn offer(engine: &Engine, chain: &Chain, heights: std::ops::RangeInclusive<usize>) {
    let source = Source::of("peer");
    for block in &chain.blocks[heights] {
        engine.offer_branch(block, source).unwrap();
    }
}

fn committed(height: u64, is_final: bool) -> Fate {
    Fate::Committed {
        height,
        index: 0,
        is_final,
    }
}

#[test]
fn a_transaction_waits_is_committed_reverted_and_final_in_another_block() {
    let chain = chain();
    let (mut own, mut other) = (chain.clone(), chain.clone());
    let message = own.message("alice", 1);
    own.extend(std::slice::from_ref(&message));
    for _ in 0..2 {
        other.push(other.block_by("hub-1", &[]));
    }
    other.push(other.block_by("hub-1", std::slice::from_ref(&message)));
    for _ in 0..2 {
        other.push(other.block_by("hub-1", &[]));
    }
    let engine = engine(&other);
    assert_eq!(engine.fate(&message).unwrap(), Fate::Unknown);
    let ticket = engine.submit(message.clone(), WhenFull::Wait).unwrap();
    ticket.wait().unwrap().unwrap();
    assert_eq!(engine.fate(&message).unwrap(), Fate::Waits);
    // Another one with the same sender and nonce is not it.
    let rival = chain.signed("alice", 1, |draft| draft.payload = b"else".to_vec());
    assert_eq!(engine.fate(&rival).unwrap(), Fate::Unknown);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let mut seen = Vec::new();
            let last = engine.wait_fate(&message, |fate| {
                seen.push(*fate);
                fate.is_final()
            });
            (last.unwrap(), seen)
        });
        offer(&engine, &own, 1..=1);
        assert_eq!(engine.fate(&message).unwrap(), committed(1, false));
        offer(&engine, &other, 1..=2);
        // It is on its way back into the pool. What is submitted is judged in order, so that it is there once this one has its answer.
        let later = engine
            .submit(chain.message("carol", 1), WhenFull::Wait)
            .unwrap();
        later.wait().unwrap().unwrap();
        assert_eq!(engine.fate(&message).unwrap(), Fate::Waits);
        offer(&engine, &other, 3..=4);
        assert_eq!(engine.fate(&message).unwrap(), committed(3, false));
        offer(&engine, &other, 5..=5);
        let (last, seen) = waiting.join().unwrap();
        assert_eq!(last, committed(3, true));
        assert!(!seen.contains(&Fate::Unknown), "{seen:?}");
        assert!(seen[..seen.len() - 1].iter().all(|fate| !fate.is_final()));
    });
    engine.shutdown().unwrap();
}

#[test]
fn what_can_be_in_no_block_of_the_other_branch_was_reverted() {
    let chain = chain();
    let (mut own, mut other) = (chain.clone(), chain.clone());
    let message = own.message("alice", 1);
    own.extend(std::slice::from_ref(&message));
    // The other branch uses the nonce for something else.
    let rival = other.signed("alice", 1, |draft| draft.payload = b"else".to_vec());
    other.push(other.block_by("hub-1", std::slice::from_ref(&rival)));
    for _ in 0..3 {
        other.push(other.block_by("hub-1", &[]));
    }
    let engine = engine(&other);
    offer(&engine, &own, 1..=1);
    offer(&engine, &other, 1..=2);
    assert_eq!(engine.fate(&message).unwrap(), Fate::Reverted { height: 1 });
    assert_eq!(engine.fate(&rival).unwrap(), committed(1, false));
    offer(&engine, &other, 3..=4);
    assert_eq!(engine.fate(&rival).unwrap(), committed(1, true));
    // Whoever waits for what doesn't come learns of the end.
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| engine.wait_fate(&message, Fate::is_final));
        engine.shutdown().unwrap();
        waiting.join().unwrap().unwrap_err();
    });
    assert_eq!(engine.fate(&rival).unwrap(), committed(1, true));
}

#[test]
fn where_blocks_are_final_at_once_a_committed_transaction_is() {
    for version in [FormatVersion::V1, FormatVersion::V2] {
        let mut chain = Chain::in_version(version, 1, |_| {});
        let message = chain.message("alice", 1);
        chain.extend(std::slice::from_ref(&message));
        let store = common::reopenable();
        let builder = || Engine::builder().threads(1).clock(clock(chain.now()));
        let first = builder()
            .create(store.open().unwrap(), chain.spec())
            .unwrap();
        offer(&first, &chain, 1..=1);
        assert_eq!(first.fate(&message).unwrap(), committed(1, true));
        first.shutdown().unwrap();
        drop(first);
        let again = builder().open(store.open().unwrap()).unwrap();
        assert_eq!(again.fate(&message).unwrap(), committed(1, true));
        assert_eq!(again.fate(&chain.message("bob", 1)).unwrap(), Fate::Unknown);
    }
}
