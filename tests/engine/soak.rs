//! Many transactions from many threads, with stalls at every hand-off: none is lost, none comes twice, nobody waits for
//! ever.
//!
//! `HUBLEDGER_SOAK_TRANSACTIONS` sets how many (a million takes some minutes).

use std::collections::HashSet;
use std::time::Duration;

use hubledger::engine::{Engine, WhenFull};
use hubledger::model::{Draft, Kind, Operation};
use hubledger::signature::KeyPair;

use crate::common::{Chain, key, reopenable};
use crate::support::{delays, engine};

const SENDERS: u64 = 8;

#[test]
fn every_admitted_transaction_gets_into_exactly_one_block() {
    let wanted = std::env::var("HUBLEDGER_SOAK_TRANSACTIONS");
    let wanted = wanted.map_or(6_000, |number| number.parse().unwrap());
    let each: u64 = wanted / SENDERS;
    let chain = Chain::new(1, |fields| fields.limits.transactions_max = 2_000);
    let builder = Engine::builder().threads(2).settings(|settings| {
        settings.pool_transactions = wanted as usize;
        settings.pool_sender_percent = 100;
        settings.pool_source_percent = 100;
        settings.group_blocks = 2;
        settings.probe = Some(delays(11, Duration::from_micros(500)));
    });
    let engine = engine(&chain, &reopenable(), builder);
    let keys: Vec<KeyPair> = (0..SENDERS).map(|n| key(&format!("soak-{n}"))).collect();
    let sign = |sender: u64, nonce: u64| {
        let draft = Draft {
            kind: Kind::Native,
            chain: chain.spec().id(),
            sender: format!("soak-{sender}"),
            receiver: "everyone".to_owned(),
            operation: Operation::Message,
            amount: 0,
            payload: Vec::new(),
            timestamp: chain.now(),
            expiry: 0,
            fee: 0,
            nonce,
        };
        draft.sign(&[&keys[sender as usize]]).unwrap()
    };
    let send = |sender: u64| {
        for first in (1..=each).step_by(100) {
            let nonces = first..=each.min(first + 99);
            let submit = |nonce| engine.submit(sign(sender, nonce), WhenFull::Wait).unwrap();
            let tickets: Vec<_> = nonces.map(submit).collect();
            for ticket in tickets {
                ticket.wait().unwrap().expect("admitted");
            }
        }
    };
    let send = &send;
    let blocks = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| scope.spawn(move || send(sender)))
            .collect();
        let mut blocks = 0;
        loop {
            let is_last = senders.iter().all(|sender| sender.is_finished());
            match engine.produce(&key("hub-0")) {
                Ok(_) => blocks += 1,
                Err(other) => panic!("{other}"),
            }
            if is_last && engine.metrics().waiting_transactions == 0 {
                return blocks;
            }
        }
    });
    engine.shutdown().unwrap();
    assert_eq!(engine.head().unwrap().height, blocks);
    let mut seen = HashSet::new();
    for height in 1..=blocks {
        for transaction in engine.block(height).unwrap().unwrap().transactions() {
            let new = seen.insert((transaction.sender().to_owned(), transaction.nonce()));
            assert!(new, "none comes twice");
        }
    }
    let expected = (0..SENDERS)
        .flat_map(|sender| (1..=each).map(move |nonce| (format!("soak-{sender}"), nonce)));
    assert_eq!(seen, expected.collect::<HashSet<_>>());
}
