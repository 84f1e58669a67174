//! Followers that are registered: how they are kept, and what waits for them.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use hubledger::engine::{Engine, EngineError, FeedError, WhenFull};
use hubledger::ledger::policy::{Keep, PrunePolicy};
use hubledger::ledger::{
    FOLLOWERS_MAX, FollowerRefused, HeldBack, Ledger, LedgerError, Position, copy_chain,
};
use hubledger_storage::{
    Block, BlockWriter, Durability, Part, PruneReceipt, Receipt, Result, Store,
};

use crate::common::{Chain, clock, key, memory};
use crate::every::{engine, feed_error, import, seen};
use crate::places::{Place, chain};

/// Registers a follower that has finished the block at `height`.
fn finished_to(engine: &Engine, name: &str, height: u64) {
    let mut follower = engine.register(name, height).unwrap();
    seen(follower.next().unwrap().unwrap());
    follower.finished(height).unwrap();
}

fn position(chain: &Chain, height: u64) -> Option<Position> {
    let hash = chain.blocks[height as usize].hash();
    Some(Position { height, hash })
}

#[test]
fn the_value_has_these_bytes_and_is_there_after_the_end() {
    let whole = chain(9);
    for place in Place::all() {
        let engine_ = engine(&place, &whole, Engine::builder());
        import(&engine_, &whole);
        engine_.register("search", 0).unwrap();
        finished_to(&engine_, "audit/2", 7);
        engine_.shutdown().unwrap();
        drop(engine_);
        let golden = [
            &b"HLFOLL\0\x01"[..],
            &2u32.to_le_bytes(),
            &7u32.to_le_bytes(),
            b"audit/2",
            &[1],
            &7u64.to_le_bytes(),
            &whole.blocks[7].hash().0,
            &6u32.to_le_bytes(),
            b"search",
            &[0],
        ];
        let store = place.open();
        let held = store.reader.named_value("followers").unwrap().unwrap();
        assert_eq!(held, golden.concat(), "{place}");
        drop(store);

        let again = engine(&place, &whole, Engine::builder());
        let followers = again.followers();
        let all: Vec<_> = followers.iter().collect();
        assert_eq!(all, [("audit/2", position(&whole, 7)), ("search", None)]);
        let audit = again.resume("audit/2").unwrap();
        assert_eq!((audit.next_height(), audit.name()), (8, Some("audit/2")));
        let unknown = FeedError::Unknown("nobody".to_owned());
        assert_eq!(feed_error(again.resume("nobody")), unknown);
        assert!(again.remove_follower("audit/2").unwrap());
        assert!(!again.remove_follower("audit/2").unwrap());
        assert_eq!(feed_error(audit.finished(7)), FeedError::NotRegistered);
        drop(again);
        let again = engine(&place, &whole, Engine::builder());
        assert_eq!(again.followers().len(), 1, "{place}");
    }
}

#[test]
fn pruning_waits_and_says_for_whom() {
    let whole = chain(30);
    for place in Place::all() {
        let engine = engine(&place, &whole, Engine::builder());
        import(&engine, &whole);
        finished_to(&engine, "behind", 11);
        finished_to(&engine, "ahead", 30);
        let policy = PrunePolicy {
            index: Keep::Last(5),
            headers: Keep::Last(5),
            ..PrunePolicy::of_bodies(Keep::Last(5))
        };
        let held = |height| HeldBack {
            name: "behind".to_owned(),
            height,
        };
        let report = engine.prune(policy.clone(), None).unwrap();
        assert_eq!(report.held_back_by, Some(held(12)), "{place}");
        let extent = engine.reader().extent().unwrap();
        assert_eq!(
            (extent.body_floor, extent.index_floor, extent.header_floor),
            (12, 12, 12)
        );
        // Acknowledging is enough for pruning to go on, without a sync.
        let mut behind = engine.resume("behind").unwrap();
        let heights = behind
            .by_ref()
            .take(9)
            .map(|change| seen(change.unwrap()).height);
        assert_eq!(heights.collect::<Vec<_>>(), (12..=20).collect::<Vec<_>>());
        let not_given = FeedError::NotGiven {
            height: 21,
            next: 21,
        };
        assert_eq!(feed_error(behind.finished(21)), not_given);
        behind.finished(15).unwrap();
        behind.finished(13).unwrap();
        let report = engine.prune(policy.clone(), None).unwrap();
        assert_eq!(report.held_back_by, Some(held(16)), "{place}");
        assert_eq!(report.bodies.floor, 16);
        let stored = engine.reader().followers().unwrap();
        assert_eq!(stored.get("behind"), Some(position(&whole, 15)));
        // A policy that asks for less isn't held back.
        let less = PrunePolicy::of_bodies(Keep::Last(20));
        assert_eq!(engine.prune(less, None).unwrap().held_back_by, None);
        engine.shutdown().unwrap();
        drop(engine);

        // The same of a ledger, until it is removed.
        let mut ledger = place.again(&whole);
        let prune = |ledger: &mut Ledger| {
            ledger
                .prune(&policy, None, &mut |_| ControlFlow::Continue(()))
                .unwrap()
        };
        let report = prune(&mut ledger);
        assert_eq!(report.held_back_by, Some(held(16)), "{place}");
        assert!(ledger.remove_follower("behind").unwrap());
        assert!(!ledger.remove_follower("behind").unwrap());
        let report = prune(&mut ledger);
        assert_eq!(
            (report.bodies.floor, report.held_back_by),
            (26, None),
            "{place}"
        );
    }
}

#[test]
fn a_live_chain_keeps_what_somebody_has_not_finished() {
    let whole = chain(300);
    for place in Place::all() {
        let policy = PrunePolicy::of_bodies(Keep::Last(3));
        let open = || {
            let builder = Engine::builder().keep_to(policy.clone(), None);
            engine(&place, &whole, builder)
        };
        let floor = |engine: &Engine| engine.reader().extent().unwrap().body_floor;
        let engine = open();
        let mut follower = engine.register("slow", 0).unwrap();
        import(&engine, &whole);
        // The first is behind the last commit, and the second behind the pruning that it asked for.
        engine.sync().unwrap();
        engine.sync().unwrap();
        assert_eq!(floor(&engine), 0, "{place}");
        for height in 0..=300 {
            let change = follower.next().unwrap();
            assert_eq!(seen(change.unwrap()).height, height);
        }
        follower.finished(300).unwrap();
        engine.shutdown().unwrap();
        drop(engine);
        // The first commit prunes.
        let engine = open();
        engine.produce(&key("hub-0")).unwrap();
        while floor(&engine) < 299 {
            std::thread::yield_now();
        }
        engine.shutdown().unwrap();
    }
}

#[test]
fn a_budget_is_not_met_at_the_cost_of_a_follower() {
    let whole = chain(400);
    for name in ["log", "sqlite"] {
        let Some(place) = Place::new(name) else {
            continue;
        };
        let engine = engine(&place, &whole, Engine::builder());
        import(&engine, &whole);
        finished_to(&engine, "a", 9);
        let usage = engine.reader().usage().unwrap();
        let policy = PrunePolicy {
            budget_bytes: Some(usage.bytes_on_disk / 4 * 3),
            ..PrunePolicy::default()
        };
        let report = engine.prune(policy.clone(), None).unwrap();
        assert_eq!(report.within_budget, Some(false), "{place}");
        assert_eq!(report.bodies.floor, 10, "all that may go");
        assert_eq!(report.held_back_by.unwrap().height, 10, "{place}");
        assert!(engine.remove_follower("a").unwrap());
        let report = engine.prune(policy, None).unwrap();
        assert!(report.bodies.floor > 10, "{place}");
        assert_eq!(report.held_back_by, None);
        engine.shutdown().unwrap();
    }
}

/// A writer that counts how often the followers are put: in all, and on the disk.
struct Counting {
    writer: Box<dyn BlockWriter>,
    counts: Arc<[AtomicUsize; 2]>,
}

impl BlockWriter for Counting {
    fn append(&mut self, run: &[Block], durability: Durability) -> Result<Receipt> {
        self.writer.append(run, durability)
    }

    fn truncate(&mut self, above: u64) -> Result<()> {
        self.writer.truncate(above)
    }

    fn replace(&mut self, above: u64, run: &[Block], durability: Durability) -> Result<Receipt> {
        self.writer.replace(above, run, durability)
    }

    fn prune(&mut self, part: Part, below: u64, limit: u64) -> Result<PruneReceipt> {
        self.writer.prune(part, below, limit)
    }

    fn put_named_value(&mut self, key: &str, value: &[u8], durability: Durability) -> Result<()> {
        if key == "followers" {
            self.counts[0].fetch_add(1, Ordering::SeqCst);
            let is_on_disk = durability == Durability::Disk;
            self.counts[1].fetch_add(is_on_disk.into(), Ordering::SeqCst);
        }
        self.writer.put_named_value(key, value, durability)
    }

    fn sync(&mut self) -> Result<Receipt> {
        self.writer.sync()
    }
}

#[test]
fn acknowledging_every_block_costs_no_sync_each_and_no_follower_no_write() {
    let whole = chain(200);
    let place = Place::new("memory").unwrap();
    let Store {
        reader,
        writer,
        tables,
    } = place.open();
    let counts = Arc::new([const { AtomicUsize::new(0) }; 2]);
    let counted = || [0, 1].map(|index: usize| counts[index].load(Ordering::SeqCst));
    let writer = Box::new(Counting {
        writer,
        counts: Arc::clone(&counts),
    });
    let builder = Engine::builder().threads(1).clock(clock(whole.now()));
    let store = Store {
        reader,
        writer,
        tables,
    };
    let engine = builder.create(store, whole.spec()).unwrap();
    let started = Instant::now();
    for block in &whole.blocks[1..101] {
        let ticket = engine.offer(vec![block.encode().into()], WhenFull::Wait);
        ticket.unwrap().wait().unwrap();
    }
    assert_eq!(counted(), [0, 0], "nobody follows");
    let mut follower = engine.register("a", 100).unwrap();
    assert_eq!(counted(), [1, 1]);
    for block in &whole.blocks[101..] {
        follower.next().unwrap().unwrap();
        follower.finished(block.height() - 1).unwrap();
        let ticket = engine.offer(vec![block.encode().into()], WhenFull::Wait);
        ticket.unwrap().wait().unwrap();
    }
    let tenths = started.elapsed().as_millis() as usize / 100;
    let [puts, on_disk] = counted();
    assert!(puts <= 2 + tenths && on_disk == 1, "{puts} {on_disk}");
    engine.sync().unwrap();
    let stored = engine.reader().followers().unwrap();
    assert_eq!(stored.get("a"), Some(position(&whole, 199)));
    engine.shutdown().unwrap();
}

#[test]
fn names_and_their_number_are_bounded() {
    let whole = chain(1);
    let place = Place::new("memory").unwrap();
    let engine = engine(&place, &whole, Engine::builder());
    let refused = |name: &str| match feed_error(engine.register(name, 0)) {
        FeedError::Refused(refused) => refused,
        other => panic!("{other}"),
    };
    assert_eq!(refused(""), FollowerRefused::Name(String::new()));
    for number in 0..FOLLOWERS_MAX {
        engine.register(&number.to_string(), 0).unwrap();
    }
    assert_eq!(refused("one-more"), FollowerRefused::TooMany);
    let mut former = engine.register("0", 0).unwrap();
    seen(former.next().unwrap().unwrap());
    let latter = engine.register("0", 1).unwrap();
    assert_eq!(feed_error(former.finished(0)), FeedError::NotRegistered);
    assert_eq!(
        feed_error(latter.finished(1)),
        FeedError::NotGiven { height: 1, next: 1 }
    );
    latter.finished(0).unwrap();
    let alone = engine.follow(0).unwrap();
    assert_eq!(feed_error(alone.finished(0)), FeedError::NotRegistered);
    engine.shutdown().unwrap();
}

#[test]
fn a_damaged_value_is_an_error_by_name() {
    let whole = chain(3);
    for place in Place::all() {
        drop(place.ledger(&whole));
        let mut store = place.open();
        let value = [&b"HLFOLL\0\x01"[..], &[9]].concat();
        store
            .writer
            .put_named_value("followers", &value, Durability::Os)
            .unwrap();
        drop(store);
        let is_named = |error: &LedgerError| {
            assert!(error.is_corrupt());
            assert!(error.to_string().contains("followers"), "{error}");
        };
        let opened = Engine::builder()
            .clock(clock(whole.now()))
            .open(place.open());
        match opened.err().unwrap() {
            EngineError::Ledger(error) => is_named(&error),
            error => panic!("{error}"),
        }
        let mut ledger = place.again(&whole);
        let policy = PrunePolicy::of_bodies(Keep::Last(1));
        let pruned = ledger.prune(&policy, None, &mut |_| ControlFlow::Continue(()));
        is_named(&pruned.unwrap_err());
        is_named(&ledger.reader().followers().unwrap_err());
        assert_eq!(ledger.reader().extent().unwrap().body_floor, 0, "{place}");
    }
}

#[test]
fn a_copy_has_no_followers() {
    let whole = chain(5);
    for place in Place::all() {
        let engine = engine(&place, &whole, Engine::builder());
        import(&engine, &whole);
        engine.register("a", 2).unwrap();
        let target = memory();
        let copy = target.reader.clone();
        copy_chain(&engine.reader(), target, &mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(copy.named_value("followers").unwrap(), None, "{place}");
        engine.shutdown().unwrap();
    }
}
