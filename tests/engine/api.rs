//! The embedding API: admission, producing, following, finding, proving.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use hubledger::clock::{Clock, TIME_US_MAX, Timer};
use hubledger::engine::{
    Admission, Committed, Engine, EngineError, Event, Outcome, Stage, Ticket, WhenFull,
};
use hubledger::ledger::Lookup;
use hubledger::ledger::policy::{Keep, PrunePolicy};
use hubledger::model::Transaction;
use hubledger::rejection::Reason;
use hubledger_storage::{Durability, Receipt};

use crate::common::{Chain, corrupt_signature, key, reopenable};
use crate::support::{encoded, engine, messages, outcomes};

/// A clock that tests move.
#[derive(Default)]
struct Hands(AtomicU64);

impl Timer for Hands {
    fn elapsed_us(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Clock for Hands {
    fn now_us(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

fn admit(engine: &Engine, transaction: Transaction) -> Admission {
    let ticket = engine.submit(transaction, WhenFull::Wait).unwrap();
    ticket.wait().unwrap()
}

fn reason(admission: Admission) -> Reason {
    admission.expect_err("refused").reason
}

#[test]
fn an_engine_can_be_shared_and_sent() {
    fn check<T: Send + Sync>() {}
    check::<Engine>();
    check::<Ticket<Admission>>();
    check::<hubledger::engine::Subscription>();
    check::<EngineError>();
}

#[test]
fn an_admission_batch_closes_by_size_or_by_the_injected_time() {
    let chain = Chain::new(1, |_| {});
    let store = reopenable();
    let hands = Arc::new(Hands::default());
    let builder = Engine::builder().threads(1).timer(hands.clone());
    let builder = builder.settings(|settings| {
        settings.admission_batch = 3;
        settings.admission_linger = Duration::from_secs(3600);
    });
    let engine = engine(&chain, &store, builder);
    let submit = |sender: &str| {
        engine
            .submit(chain.message(sender, 1), WhenFull::Wait)
            .unwrap()
    };
    let mut first: Vec<_> = ["a", "b"].map(submit).into();
    first = first
        .into_iter()
        .map(|ticket| ticket.try_take().expect_err("the batch is open"))
        .collect();
    first.push(submit("c"));
    for ticket in first {
        assert!(ticket.wait().unwrap().is_ok(), "closed by size");
    }
    // Time that passes before a batch opens doesn't count; so an hour has to pass from whenever that is.
    let mut alone = submit("d").try_take();
    let mut hours = 0;
    loop {
        match alone {
            Ok(admission) => break assert!(admission.unwrap().is_ok(), "closed by time"),
            Err(ticket) => {
                hours += 1;
                hands.0.store(hours * 3_600_000_000, Ordering::SeqCst);
                std::thread::yield_now();
                alone = ticket.try_take();
            }
        }
    }
    assert!(hours > 0);
    engine.shutdown().unwrap();
}

#[test]
fn a_verdict_can_be_awaited_without_a_runtime() {
    struct Count(AtomicUsize, std::thread::Thread);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
            self.1.unpark();
        }
    }
    let chain = Chain::new(1, |_| {});
    let engine = engine(&chain, &reopenable(), Engine::builder().threads(1));
    let count = Arc::new(Count(AtomicUsize::new(0), std::thread::current()));
    let waker = Waker::from(Arc::clone(&count));
    let transaction = chain.message("alice", 1);
    let ticket = engine.submit(transaction.clone(), WhenFull::Wait).unwrap();
    let mut ticket = pin!(ticket);
    let admission = loop {
        match ticket.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(admission) => break admission,
            Poll::Pending => std::thread::park(),
        }
    };
    assert_eq!(admission.unwrap(), Ok(transaction.id()));
    assert!(count.0.load(Ordering::SeqCst) <= 1);
}

#[test]
fn admission_gives_the_first_rule_that_a_transaction_breaks() {
    let mut chain = Chain::new(1, |fields| fields.rules.fee_min = 2);
    let signed = |chain: &Chain, sender: &str, nonce, fee| {
        chain.signed(sender, nonce, |draft| draft.fee = fee)
    };
    chain.extend(&[signed(&chain, "alice", 5, 2)]);
    let store = reopenable();
    let engine = engine(&chain, &store, Engine::builder().threads(2));
    outcomes(&engine, &encoded(&chain.blocks[1..]));
    let good = signed(&chain, "bob", 1, 2);
    assert_eq!(admit(&engine, good.clone()), Ok(good.id()));
    assert_eq!(reason(admit(&engine, good)), Reason::Duplicate);
    assert_eq!(
        reason(admit(&engine, signed(&chain, "bob", 1, 2))),
        Reason::Duplicate
    );
    let dearer = signed(&chain, "bob", 1, 100);
    assert_eq!(admit(&engine, dearer.clone()), Ok(dearer.id()), "replaces");
    assert_eq!(
        reason(admit(&engine, signed(&chain, "bob", 1, 109))),
        Reason::Nonce,
        "a tenth dearer would do"
    );
    assert_eq!(
        reason(admit(&engine, signed(&chain, "alice", 5, 2))),
        Reason::Nonce
    );
    assert_eq!(
        reason(admit(&engine, signed(&chain, "alice", 6, 1))),
        Reason::Fee
    );
    let bad = corrupt_signature(&signed(&chain, "alice", 6, 2));
    assert_eq!(reason(admit(&engine, bad)), Reason::Signature);
    let bad_both = corrupt_signature(&signed(&chain, "alice", 6, 1));
    assert_eq!(
        reason(admit(&engine, bad_both)),
        Reason::Fee,
        "signatures last"
    );
    let mut other = chain.draft("alice", 6);
    other.fee = 2;
    let other = other.sign(&[&key("mallory")]).unwrap();
    assert_eq!(reason(admit(&engine, other)), Reason::Identity);
}

#[test]
fn transactions_enter_the_pool_in_the_order_in_which_they_were_submitted() {
    let chain = Chain::new(1, |_| {});
    let (is_open, entered) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (gate, count) = (Arc::clone(&is_open), Arc::clone(&entered));
    // The first batch is held up where its signatures are checked; the second passes it by.
    let probe = Arc::new(move |stage| {
        let is_first = stage == Stage::Signatures && count.fetch_add(1, Ordering::SeqCst) == 0;
        while is_first && gate.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
    });
    let builder = Engine::builder().threads(2).probe(probe);
    // Batches close by size alone.
    let builder = builder.settings(|settings| {
        settings.admission_batch = 2;
        settings.admission_linger = Duration::from_secs(3600);
    });
    let engine = engine(&chain, &reopenable(), builder);
    let submit = |nonce| {
        let transaction = chain.message("alice", nonce);
        engine.submit(transaction, WhenFull::Wait).unwrap()
    };
    let mut tickets: Vec<_> = (1..=2).map(submit).collect();
    while entered.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    tickets.extend((3..=4).map(submit));
    while engine.metrics().signatures < 2 {
        std::thread::yield_now();
    }
    assert_eq!(
        engine.metrics().waiting_transactions,
        0,
        "nonces 3 and 4 wait for 1 and 2"
    );
    is_open.store(1, Ordering::SeqCst);
    for ticket in tickets {
        assert!(ticket.wait().unwrap().is_ok());
    }
    assert_eq!(engine.metrics().waiting_transactions, 4);
    engine.shutdown().unwrap();
}

#[test]
fn a_block_is_produced_by_fee_and_each_senders_nonces_in_order() {
    let chain = Chain::new(1, |fields| fields.limits.transactions_max = 4);
    let store = reopenable();
    let engine = engine(&chain, &store, Engine::builder().threads(2));
    let signed = |sender: &str, nonce, fee| chain.signed(sender, nonce, |draft| draft.fee = fee);
    // Alice's second pays more than anything, but has to wait for her first; it comes in first.
    let all = [
        signed("alice", 2, 90),
        signed("alice", 1, 5),
        signed("bob", 1, 7),
        signed("carol", 3, 6),
        signed("dave", 1, 1),
    ];
    for transaction in &all {
        assert!(admit(&engine, transaction.clone()).is_ok());
    }
    assert_eq!(engine.metrics().waiting_transactions, 5);
    assert!(matches!(
        engine.produce(&key("mallory")),
        Err(EngineError::Produce(_))
    ));
    let Outcome::Committed(Committed { height: 1, .. }) = engine.produce(&key("hub-0")).unwrap()
    else {
        panic!("not committed");
    };
    let block = engine.block(1).unwrap().unwrap();
    let senders: Vec<_> = block
        .transactions()
        .iter()
        .map(|transaction| (transaction.sender(), transaction.nonce()))
        .collect();
    assert_eq!(
        senders,
        [("bob", 1), ("carol", 3), ("alice", 1), ("alice", 2)]
    );
    let metrics = engine.metrics();
    assert_eq!(metrics.waiting_transactions, 1);
    assert_eq!((metrics.verified_hits, metrics.verified_misses), (4, 0));
    let Outcome::Committed(Committed { height: 2, .. }) = engine.produce(&key("hub-0")).unwrap()
    else {
        panic!("not committed");
    };
    assert_eq!(engine.metrics().waiting_transactions, 0);

    let head = engine.head().unwrap();
    let proof = engine.prove(&all[1].id(), None).unwrap();
    assert!(proof.verify(&head.hash()).is_ok());
    let grown = engine.prove_extends(&block.hash(), None).unwrap();
    assert!(grown.verify(&block.hash(), &head.hash()).is_ok());
    assert!(matches!(
        engine.transaction(&all[4].id()).unwrap(),
        Lookup::Found(_)
    ));
    let policy = |bodies| PrunePolicy {
        bodies,
        ..PrunePolicy::default()
    };
    let report = engine.prune(policy(Keep::From(2)), None).unwrap();
    assert_eq!((report.bodies.floor, report.done), (2, true));
    assert!(engine.block(1).is_err());
    let refused = engine.prune(policy(Keep::From(99)), None);
    assert!(refused.is_err(), "beyond the end");
    engine.shutdown().unwrap();
}

#[test]
fn producing_goes_on_while_others_import() {
    let mut chain = Chain::new(2, |_| {});
    for nonce in 1..=30 {
        chain.extend(&[chain.message("alice", nonce)]);
    }
    let store = reopenable();
    let engine = engine(&chain, &store, Engine::builder().threads(2));
    let outcome = std::thread::scope(|scope| {
        let importing = scope.spawn(|| outcomes(&engine, &encoded(&chain.blocks[1..])));
        let produced = engine.produce(&key("hub-1"));
        (importing.join().unwrap(), produced)
    });
    let (imported, produced) = outcome;
    let rejected = imported
        .iter()
        .any(|outcome| matches!(outcome, Outcome::Rejected(_)));
    // Whichever came first at a height holds it.
    match produced.unwrap() {
        Outcome::Committed(Committed { height, .. }) => assert_eq!(height <= 30, rejected),
        other => panic!("{other:?}"),
    }
    engine.shutdown().unwrap();
}

#[test]
fn only_what_admission_checked_is_not_checked_again() {
    let chain = Chain::new(1, |_| {});
    let (good, other) = (chain.message("alice", 1), chain.message("bob", 1));
    let engine = engine(&chain, &reopenable(), Engine::builder().threads(1));
    assert!(admit(&engine, good.clone()).is_ok());
    assert!(admit(&engine, other).is_ok());
    // The same id with another witness: nothing of it was checked.
    let forged = corrupt_signature(&good);
    assert_eq!(forged.id(), good.id());
    let bad = encoded(&[chain.block(std::slice::from_ref(&forged))]);
    let Outcome::Rejected(rejected) = outcomes(&engine, &bad).remove(0) else {
        panic!("a forged witness was taken");
    };
    assert_eq!(
        (rejected.transaction, rejected.reason),
        (Some(0), Reason::Signature)
    );
    // Checked, but by a key that doesn't speak for the sender by now: the rule is asked all the same.
    let mut grown = chain.clone();
    grown.extend(&[chain.draft("alice", 1).sign(&[&key("mallory")]).unwrap()]);
    assert_eq!(outcomes(&engine, &encoded(&grown.blocks[1..])).len(), 1);
    let late = chain.signed("alice", 2, |_| {});
    let block = grown.block(std::slice::from_ref(&late));
    let Outcome::Rejected(rejected) = outcomes(&engine, &encoded(&[block])).remove(0) else {
        panic!("another's key was taken");
    };
    assert_eq!(rejected.reason, Reason::Identity);
    let metrics = engine.metrics();
    assert_eq!(metrics.verified_hits, 0);
}

#[test]
fn a_receipt_says_what_was_reached_and_the_watermark_waits_for_it() {
    let (chain, blocks) = messages(4, 2);
    let directory = tempfile::tempdir().unwrap();
    let url: hubledger_storage::StoreUrl = format!("log:{}", directory.path().join("s").display())
        .parse()
        .unwrap();
    let engine = Engine::builder()
        .threads(2)
        .durability(Durability::Os)
        .clock(crate::common::clock(chain.now()))
        .create(url.create().unwrap(), chain.spec())
        .unwrap();
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| engine.wait_committed(4, Durability::Os));
        for outcome in outcomes(&engine, &encoded(&blocks)) {
            match outcome {
                Outcome::Committed(Committed { receipt, .. }) => {
                    assert!(receipt.durability >= Durability::Os);
                }
                other => panic!("{other:?}"),
            }
        }
        waiting.join().unwrap()
    });
    assert!(waiting.is_ok());
    assert_eq!(engine.committed(Durability::Os), 5);
    assert_eq!(engine.committed(Durability::Disk), 1, "only genesis so far");
    let expected = Receipt {
        end: 5,
        durability: Durability::Disk,
    };
    assert_eq!(engine.sync().unwrap(), expected);
    assert!(engine.wait_committed(4, Durability::Disk).is_ok());
    assert_eq!(engine.shutdown().unwrap(), expected);
}

#[test]
fn subscribers_follow_at_their_own_pace() {
    let (chain, mut blocks) = messages(6, 2);
    let engine = engine(&chain, &reopenable(), Engine::builder().threads(2));
    let (all, slow) = (engine.subscribe(100), engine.subscribe(2));
    drop(engine.subscribe(1));
    blocks.push(chain.forged(&[], |header| header.history_root.0[0] ^= 1));
    let producer = blocks[6].header().producer.clone();
    let given = outcomes(&engine, &encoded(&blocks));
    assert_eq!(given.len(), 7);
    engine.shutdown().unwrap();
    let mut heights = Vec::new();
    let (mut heads, mut rejections) = (0, 0);
    while let Some(event) = all.next() {
        match event {
            Event::Committed(Committed { height, .. }) => heights.push(height),
            Event::Head { height, .. } => {
                assert!(heights.contains(&height));
                heads += 1;
            }
            Event::Rejected {
                rejected,
                claimed_producer,
            } => {
                assert_eq!(rejected.reason, Reason::HistoryRoot);
                assert_eq!(claimed_producer, Some(producer.clone()));
                rejections += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(heights, [1, 2, 3, 4, 5, 6]);
    assert!(heads >= 1);
    assert_eq!(rejections, 1);
    let Some(Event::Lagged(lost)) = slow.next() else {
        panic!("it must have lost some");
    };
    let kept = std::iter::from_fn(|| slow.next()).count();
    assert_eq!(lost as usize + kept, 6 + heads + rejections);
    assert_eq!(kept, 2);
}

/// Senders and nonces of a block's transactions.
fn contents(engine: &Engine, height: u64) -> Vec<(String, u64)> {
    let block = engine.block(height).unwrap().unwrap();
    let transactions = block.transactions().iter();
    transactions
        .map(|transaction| (transaction.sender().to_owned(), transaction.nonce()))
        .collect()
}

fn produce(engine: &Engine) -> u64 {
    match engine.produce(&key("hub-0")).unwrap() {
        Outcome::Committed(Committed { height, .. }) => height,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_transaction_that_no_block_can_hold_is_not_admitted_and_stops_nobody() {
    // A contradiction, with which a chain may have been begun once.
    let chain = Chain::new(1, |fields| fields.limits.body_bytes_max = 1500);
    let engine = engine(&chain, &reopenable(), Engine::builder().threads(2));
    let sized = |sender, nonce, payload| {
        chain.signed(sender, nonce, |draft| {
            draft.payload = vec![7; payload];
            draft.fee = payload as u64;
        })
    };
    let beside = sized("alice", 1, 0).bytes().len();
    let refused = admit(&engine, sized("alice", 1, 1501 - beside)).unwrap_err();
    assert_eq!(refused.reason, Reason::Limit);
    assert_eq!(
        refused.detail,
        "1501 bytes of transaction, at most 1500 are allowed"
    );
    assert!(
        admit(&engine, sized("alice", 1, 1500 - beside)).is_ok(),
        "a body of its own"
    );
    assert!(admit(&engine, sized("bob", 1, 0)).is_ok());
    let height = produce(&engine);
    assert_eq!(contents(&engine, height), [("alice".to_owned(), 1)]);
    let height = produce(&engine);
    assert_eq!(contents(&engine, height), [("bob".to_owned(), 1)]);
    engine.shutdown().unwrap();
}

#[test]
fn what_finds_no_room_waits_with_all_that_its_sender_has_behind_it() {
    let chain = Chain::new(1, |fields| fields.limits.body_bytes_max = 2000);
    let engine = engine(&chain, &reopenable(), Engine::builder().threads(2));
    let of = |sender: &str, nonce, payload, fee| {
        chain.signed(sender, nonce, |draft| {
            draft.payload = vec![7; payload];
            draft.fee = fee;
        })
    };
    // Alice's second is small and pays well, but her first has no room behind bob's.
    for transaction in [
        of("bob", 1, 500, 9),
        of("alice", 1, 1500, 8),
        of("alice", 2, 10, 7),
        of("carol", 1, 10, 6),
        of("carol", 2, 1500, 5),
        of("dave", 1, 10, 4),
    ] {
        assert!(admit(&engine, transaction).is_ok());
    }
    let of_block = |height| {
        let contents = contents(&engine, height);
        let words = contents
            .iter()
            .map(|(sender, nonce)| format!("{sender} {nonce}"));
        words.collect::<Vec<_>>()
    };
    assert_eq!(of_block(produce(&engine)), ["bob 1", "carol 1", "dave 1"]);
    assert_eq!(
        engine.metrics().waiting_transactions,
        3,
        "nothing is dropped"
    );
    assert_eq!(of_block(produce(&engine)), ["alice 1", "alice 2"]);
    assert_eq!(of_block(produce(&engine)), ["carol 2"]);
    engine.shutdown().unwrap();
}

#[test]
fn choosing_ends_when_enough_was_passed_over() {
    let chain = Chain::new(1, |fields| fields.limits.body_bytes_max = 1000);
    let sized = |sender: &str, payload| {
        let draft = chain.signed(sender, 1, |draft| draft.payload = vec![7; payload]);
        assert!(draft.bytes().len() <= 1000);
        draft
    };
    let (first, large) = (sized("alice", 100), sized("bob", 700));
    let looked_at = AtomicUsize::new(0);
    let count = |transaction| {
        looked_at.fetch_add(1, Ordering::Relaxed);
        transaction
    };
    let candidates = std::iter::once(&first).chain(std::iter::repeat_n(&large, 1_000_000));
    let (chosen, refused) = chain
        .validator
        .choose("hub-0", chain.now(), candidates.map(count));
    assert_eq!((chosen.len(), refused.len()), (1, 0));
    assert!(looked_at.load(Ordering::Relaxed) < 10_000);
    // And at once when nothing can fit any more.
    let full = sized("alice", 1000 - sized("alice", 0).bytes().len());
    let candidates = [&full].into_iter().chain(std::iter::repeat(&large));
    let (chosen, _) = chain.validator.choose("hub-0", chain.now(), candidates);
    assert_eq!(chosen, [full]);
}

#[test]
fn a_clock_that_jumped_ahead_ends_no_chain() {
    const DAY: u64 = 24 * 3600 * 1_000_000;
    let chain = Chain::new(1, |_| {});
    let (clock, timer) = (Arc::new(Hands::default()), Arc::new(Hands::default()));
    // Switched on a week after the last block.
    let opened = chain.now() + 7 * DAY;
    clock.0.store(opened, Ordering::SeqCst);
    let store = reopenable();
    let builder = Engine::builder()
        .threads(2)
        .clock(clock.clone())
        .timer(timer.clone());
    // The timer stands still, so that no batch closes by time.
    let builder = builder.settings(|settings| settings.admission_batch = 1);
    let engine = builder.create(store.open().unwrap(), chain.spec()).unwrap();
    assert_eq!(produce(&engine), 1);
    let message = |nonce| chain.signed("alice", nonce, |draft| draft.expiry = opened + 90 * DAY);
    assert!(admit(&engine, message(1)).is_ok());
    for jump in [opened + DAY + 1, TIME_US_MAX, TIME_US_MAX + 1, u64::MAX] {
        clock.0.store(jump, Ordering::SeqCst);
        let Err(EngineError::Produce(problem)) = engine.produce(&key("hub-0")) else {
            panic!("produced at {jump}");
        };
        for number in [jump, opened, opened + DAY] {
            assert!(problem.contains(&format!("{number} µs")), "{problem}");
        }
    }
    assert_eq!(engine.head().unwrap().height, 1);
    assert_eq!(
        engine.metrics().waiting_transactions,
        1,
        "nothing was dropped as expired"
    );
    // A day is believed, and so is what has passed.
    clock.0.store(opened + DAY, Ordering::SeqCst);
    assert_eq!(produce(&engine), 2);
    assert_eq!(contents(&engine, 2), [("alice".to_owned(), 1)]);
    timer.0.store(30 * DAY, Ordering::SeqCst);
    clock.0.store(opened + 30 * DAY, Ordering::SeqCst);
    assert_eq!(produce(&engine), 3);
    assert_eq!(engine.head().unwrap().timestamp, opened + 30 * DAY);
    engine.shutdown().unwrap();
}

#[test]
fn a_clock_that_was_broken_when_the_engine_was_opened_is_bounded_by_the_year_9999() {
    let chain = Chain::new(1, |_| {});
    let clock = Arc::new(Hands(AtomicU64::new(u64::MAX)));
    let builder = Engine::builder().threads(1).clock(clock.clone());
    let engine = builder
        .create(reopenable().open().unwrap(), chain.spec())
        .unwrap();
    assert!(matches!(
        engine.produce(&key("hub-0")),
        Err(EngineError::Produce(_))
    ));
    clock.0.store(chain.now(), Ordering::SeqCst);
    assert_eq!(produce(&engine), 1);
    engine.shutdown().unwrap();
    // Who has a ledger and no engine gets the same bound.
    let (spec, state) = (chain.spec(), chain.state());
    let made =
        hubledger::rules::produce::produce(spec, state, "hub-0", &key("hub-0"), &[], u64::MAX);
    assert_eq!(made.unwrap_err().field, "timestamp");
}
