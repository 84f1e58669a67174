//! Whoever floods the pool, and however: an honest sender with a fair fee, from another source, is in one of the next two
//! blocks. The flood comes first, and again before each block.
//!
//! Prints what each flood came to; `cargo test --test engine starvation -- --nocapture` shows it.

use std::sync::Arc;
use std::time::Duration;

use hubledger::clock::FixedTimer;
use hubledger::engine::{Admission, Engine, Outcome, Ticket, WhenFull};
use hubledger::format::FormatVersion;
use hubledger::model::Transaction;
use hubledger::pool::Source;
use hubledger::spec::{Nonces, SpecFields};

use crate::common::{Chain, account, key, reopenable};
use crate::support::engine;

const PER_BLOCK: u32 = 20;
const FAIR: u64 = 10;
/// Transactions of a flood before each block: more than the pool has room for.
const FLOOD: u64 = 300;
const POOL: usize = 200;

/// Makes the `number`th transaction of a flood, and says where it comes from.
type Flood = fn(&Chain, u64) -> (u64, Transaction);

struct Attack {
    name: &'static str,
    change: fn(&mut SpecFields),
    flood: Flood,
}

fn priced(fields: &mut SpecFields) {
    fields.rules.balances = true;
    fields.rules.fee_min = 1;
    let names = ["mallory", "honest"].map(|name| account(name, 1_000));
    fields.accounts.extend(names);
    let poor = (0..1_000).map(|number| account(&format!("sybil-{number}"), FAIR));
    fields.accounts.extend(poor);
}

fn consecutive(fields: &mut SpecFields) {
    fields.version = FormatVersion::V2;
    fields.terms.nonces = Nonces::Consecutive;
}

const ATTACKS: [Attack; 8] = [
    Attack {
        name: "one sender, the same fee",
        change: |_| {},
        flood: |chain, number| (1, signed(chain, "mallory", number + 1, FAIR)),
    },
    Attack {
        name: "one sender, the highest fees",
        change: |_| {},
        flood: |chain, number| (1, signed(chain, "mallory", number + 1, u64::MAX)),
    },
    Attack {
        name: "hundreds of names of one source, the highest fees",
        change: |_| {},
        flood: |chain, number| (1, signed(chain, &format!("sybil-{number}"), 1, u64::MAX)),
    },
    Attack {
        name: "hundreds of names of four sources, the highest fees",
        change: |_| {},
        flood: |chain, number| {
            let name = format!("sybil-{number}");
            (1 + number % 4, signed(chain, &name, 1, u64::MAX))
        },
    },
    Attack {
        name: "fees that nobody holds",
        change: priced,
        flood: |chain, number| {
            let name = format!("sybil-{}", number % 1_000);
            (1, signed(chain, &name, 1, u64::MAX))
        },
    },
    Attack {
        name: "fees that a sender holds once, for many",
        change: priced,
        flood: |chain, number| (1, signed(chain, "mallory", number + 1, 900)),
    },
    Attack {
        name: "behind gaps, the highest fees",
        change: consecutive,
        flood: |chain, number| (1, signed(chain, &format!("sybil-{number}"), 2, u64::MAX)),
    },
    Attack {
        name: "long ones, the highest fees",
        change: |fields| fields.limits.body_bytes_max = 8_000,
        flood: |chain, number| {
            let name = format!("sybil-{number}");
            let long = chain.signed(&name, 1, |draft| {
                draft.fee = u64::MAX;
                draft.payload = vec![0; 3_000];
            });
            (1, long)
        },
    },
];

fn signed(chain: &Chain, sender: &str, nonce: u64, fee: u64) -> Transaction {
    chain.signed(sender, nonce, |draft| draft.fee = fee)
}

/// How many were admitted.
fn hand_in(engine: &Engine, all: impl Iterator<Item = (u64, Transaction)>) -> usize {
    let submit = |(source, transaction)| {
        let submitted = engine.submit_from(Source(source), transaction, WhenFull::Wait);
        submitted.unwrap()
    };
    let tickets: Vec<Ticket<Admission>> = all.map(submit).collect();
    let verdicts = tickets.into_iter().map(|ticket| ticket.wait().unwrap());
    verdicts.filter(Result::is_ok).count()
}

fn transactions_of(engine: &Engine, height: u64) -> Vec<Transaction> {
    engine
        .block(height)
        .unwrap()
        .unwrap()
        .transactions()
        .to_vec()
}

#[test]
fn an_honest_sender_is_in_one_of_the_next_two_blocks_whoever_floods() {
    println!(
        "{:<52} {:>8} {:>8} {:>8}",
        "flood", "admitted", "waiting", "block"
    );
    for attack in ATTACKS {
        let chain = Chain::new(1, |fields| {
            fields.limits.transactions_max = PER_BLOCK;
            (attack.change)(fields);
        });
        let builder = Engine::builder().threads(2).timer(Arc::new(FixedTimer(0)));
        let builder = builder.settings(|settings| {
            // The timer stands still, so that a batch has no time to wait for others.
            settings.admission_linger = Duration::ZERO;
            settings.pool_transactions = POOL;
        });
        let engine = engine(&chain, &reopenable(), builder);
        let mut next = 0;
        let mut flood = || {
            let first = next;
            next += FLOOD;
            hand_in(
                &engine,
                (first..next).map(|number| (attack.flood)(&chain, number)),
            )
        };
        let mut admitted = flood();
        let honest = signed(&chain, "honest", 1, FAIR);
        let entered = hand_in(&engine, std::iter::once((99, honest.clone())));
        assert_eq!(entered, 1, "{}: there is room", attack.name);
        let waiting = engine.metrics().waiting_transactions;
        let block = (1..=2).find(|height| {
            assert!(matches!(
                engine.produce(&key("hub-0")).unwrap(),
                Outcome::Committed(_)
            ));
            admitted += flood();
            transactions_of(&engine, *height).contains(&honest)
        });
        let told = block.map_or("none".to_owned(), |height| height.to_string());
        println!("{:<52} {admitted:>8} {waiting:>8} {told:>8}", attack.name);
        assert!(block.is_some(), "{}", attack.name);
        engine.shutdown().unwrap();
    }
}

#[test]
fn the_pool_can_be_looked_at_by_sender_age_and_source() {
    use hubledger::pool::WaitsFor;
    let chain = Chain::new(1, consecutive);
    let engine = engine(&chain, &reopenable(), Engine::builder().threads(1));
    let all = [
        (1, signed(&chain, "alice", 1, 5)),
        (2, signed(&chain, "alice", 3, 50)),
        (2, signed(&chain, "bob", 1, 7)),
    ];
    assert_eq!(hand_in(&engine, all.iter().cloned()), 3);
    let pool = engine.pool();
    let alice: Vec<_> = pool.of_sender("alice");
    let waits_for: Vec<_> = alice.iter().map(|one| (one.nonce, one.waits_for)).collect();
    assert_eq!(
        waits_for,
        [(1, WaitsFor::Room), (3, WaitsFor::Gap { nonce: 2 })]
    );
    let oldest: Vec<_> = pool.oldest(2).into_iter().map(|one| one.id).collect();
    assert_eq!(oldest, [all[0].1.id(), all[1].1.id()]);
    let counts: Vec<_> = pool
        .by_source()
        .into_iter()
        .map(|count| (count.source, count.transactions))
        .collect();
    assert_eq!(counts, [(Source(2), 2), (Source(1), 1)]);
    engine.produce(&key("hub-0")).unwrap();
    assert_eq!(transactions_of(&engine, 1).len(), 2);
    assert_eq!((pool.size().0, pool.left().used), (1, 2));
    // What was missing comes: nothing waits for it any more.
    assert_eq!(
        hand_in(&engine, std::iter::once((1, signed(&chain, "alice", 2, 1)))),
        1
    );
    engine.produce(&key("hub-0")).unwrap();
    assert_eq!(transactions_of(&engine, 2).len(), 2);
    engine.shutdown().unwrap();
}
