//! Building and checking blocks without committing them, and producing beside others who produce.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use hubledger::consensus;
use hubledger::engine::{Committed, Engine, EngineError, Outcome, WhenFull};
use hubledger::model::{Block, Seal};
use hubledger::rejection::Reason;

use crate::common::{self, Chain, corrupt_signature, fields, key, merkle_root, reopenable};
use crate::support::{encoded, engine, messages, outcomes};

fn far() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

fn submit(engine: &Engine, chain: &Chain, sender: &str, nonce: u64) {
    let ticket = engine.submit(chain.message(sender, nonce), WhenFull::Wait);
    ticket.unwrap().wait().unwrap().unwrap();
}

fn sealed(engine: &Engine, block: Block, by: &str) -> Block {
    let seal = consensus::seal(engine.spec(), &engine.state(), &key(by), block.header());
    block.sealed(seal)
}

#[test]
fn a_block_is_built_without_a_seal_and_is_valid_with_one() {
    let chain = Chain::new(2, |_| {});
    let store = reopenable();
    let engine = engine(&chain, &store, Engine::builder().threads(2));
    for nonce in 1..=3 {
        submit(&engine, &chain, "alice", nonce);
    }
    let hub = key("hub-0").public_key();
    let draft = engine.build(&hub, far()).unwrap();
    assert_eq!((draft.height(), draft.transactions().len()), (1, 3));
    assert_eq!(*draft.seal(), Seal::None);
    // Nothing happened: the same again, and nothing is committed.
    assert_eq!(
        engine.build(&hub, far()).unwrap().transactions(),
        draft.transactions()
    );
    assert_eq!(engine.head().unwrap().height, 0);

    let unsealed = engine.check(&draft).unwrap().expect_err("no seal");
    assert_eq!(unsealed.reason, Reason::Seal);
    let block = sealed(&engine, draft, "hub-0");
    assert_eq!(engine.check(&block).unwrap(), Ok(()));
    assert_eq!(engine.head().unwrap().height, 0, "checking commits nothing");
    let committed = outcomes(&engine, &encoded(std::slice::from_ref(&block)));
    assert!(matches!(
        committed[..],
        [Outcome::Committed(Committed { height: 1, .. })]
    ));
    // What is held is not the next one.
    let held = engine.check(&block).unwrap().expect_err("held");
    assert_eq!(held.reason, Reason::Height);
    let mallory = engine.build(&key("mallory").public_key(), far());
    assert!(matches!(mallory, Err(EngineError::Produce(_))));
    engine.shutdown().unwrap();
    assert!(matches!(engine.check(&block), Err(EngineError::Stopped)));
    assert!(matches!(
        engine.build(&hub, far()),
        Err(EngineError::Stopped)
    ));
}

#[test]
fn a_deadline_that_has_passed_leaves_the_block_empty() {
    let chain = Chain::new(1, |_| {});
    let store = reopenable();
    let engine = engine(&chain, &store, Engine::builder().threads(1));
    submit(&engine, &chain, "alice", 1);
    let hub = key("hub-0").public_key();
    let empty = engine.build(&hub, Instant::now()).unwrap();
    assert!(empty.transactions().is_empty());
    assert_eq!(
        engine.check(&sealed(&engine, empty, "hub-0")).unwrap(),
        Ok(())
    );
    assert_eq!(
        engine.build(&hub, far()).unwrap().transactions().len(),
        1,
        "it goes on waiting"
    );
}

#[test]
fn a_check_gives_the_verdict_of_an_import() {
    let (chain, blocks) = messages(4, 3);
    let store = reopenable();
    let engine = engine(&chain, &store, Engine::builder().threads(2));
    for block in &blocks {
        let mut transactions = block.transactions().to_vec();
        transactions[1] = corrupt_signature(&transactions[1]);
        let mut fields = fields(block);
        fields.merkle_root = merkle_root(&transactions);
        let forged = common::sealed(fields, &key(&block.header().producer), &transactions);
        let told = engine.check(&forged).unwrap().expect_err("forged");
        let [Outcome::Rejected(rejected)] = &outcomes(&engine, &encoded(&[forged]))[..] else {
            panic!("an import takes it");
        };
        assert_eq!(told, *rejected);
        assert_eq!(engine.check(block).unwrap(), Ok(()));
        assert_eq!(
            outcomes(&engine, &encoded(std::slice::from_ref(block))).len(),
            1
        );
    }
}

/// However many produce at once, each has its block in the chain in the end, and none is told that others were faster. Two who
/// make the very same block, at the same time by a clock that stands still, both have it there.
#[test]
fn producing_beside_others_who_produce_is_never_busy() {
    let chain = Chain::new(1, |_| {});
    let store = reopenable();
    let engine = Arc::new(engine(&chain, &store, Engine::builder().threads(2)));
    let producers: Vec<_> = (0..8)
        .map(|_| {
            let engine = Arc::clone(&engine);
            thread::spawn(move || {
                let produced = (0..20).map(|_| engine.produce(&key("hub-0")).unwrap());
                let is_new = |outcome: &Outcome| matches!(outcome, Outcome::Committed(_));
                produced.filter(is_new).count() as u64
            })
        })
        .collect();
    let committed: u64 = producers.into_iter().map(|one| one.join().unwrap()).sum();
    assert!(committed >= 20, "{committed}");
    assert_eq!(engine.head().unwrap().height, committed);
}
