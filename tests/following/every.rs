//! What whoever follows sees, in every backend.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use hubledger::digest::BlockHash;
use hubledger::engine::{
    Change, Engine, EngineBuilder, EngineError, FeedError, Follower, Outcome, Stage, WhenFull,
};
use hubledger::ledger::Position;
use hubledger::ledger::policy::{Keep, PrunePolicy};
use hubledger_storage::Durability;

use crate::common::{Chain, clock, key};
use crate::places::{Place, chain};

/// An engine over a place, in the time after the chain's last block.
pub(crate) fn engine(place: &Place, chain: &Chain, builder: EngineBuilder) -> Engine {
    let builder = builder.threads(1).clock(clock(chain.now()));
    builder.create(place.open(), chain.spec()).unwrap()
}

pub(crate) fn import(engine: &Engine, chain: &Chain) {
    let blocks = chain.blocks[1..].iter().map(|block| block.encode().into());
    for outcome in engine.import(blocks.collect::<Vec<Bytes>>()) {
        let outcome = outcome.unwrap();
        assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
    }
}

/// Height and hash of a committed block.
pub(crate) fn seen(change: Change) -> Position {
    match change {
        Change::Committed { block } => Position {
            height: block.height(),
            hash: block.hash(),
        },
        Change::Reverted { .. } => panic!("this chain doesn't fork"),
    }
}

pub(crate) fn feed_error<T: std::fmt::Debug>(result: Result<T, EngineError>) -> FeedError {
    match result {
        Err(EngineError::Feed(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// All that is there by now.
fn all_there(follower: &mut Follower) -> Vec<Position> {
    let next = || match follower.try_next() {
        Poll::Ready(change) => change.map(|change| seen(change.unwrap())),
        Poll::Pending => None,
    };
    std::iter::from_fn(next).collect()
}

#[test]
fn all_see_every_block_beside_importing_producing_and_pruning() {
    let whole = chain(60);
    for place in Place::all() {
        let policy = PrunePolicy::of_bodies(Keep::Last(2));
        let builder = Engine::builder().settings(|settings| settings.parcel_blocks = 3);
        let engine = engine(&place, &whole, builder.keep_to(policy.clone(), None));
        let last = whole.blocks.len() as u64 + 19;
        /// Follows to `last`; a rest after each block, and all over again after so many.
        fn follow(engine: &Engine, name: &str, last: u64, rest: u64, stop: usize) -> Vec<Position> {
            let mut all = Vec::new();
            let mut follower = engine.register(name, 0).unwrap();
            while follower.next_height() <= last {
                for change in follower.by_ref().take(stop) {
                    all.push(seen(change.unwrap()));
                    let height = all.last().unwrap().height;
                    thread::sleep(Duration::from_micros(rest));
                    if follower_is_at(height, last) {
                        break;
                    }
                }
                follower.finished(all.last().unwrap().height).unwrap();
                drop(follower);
                follower = engine.resume(name).unwrap();
            }
            all
        }
        fn follower_is_at(height: u64, last: u64) -> bool {
            height == last
        }
        let all = thread::scope(|scope| {
            let paces = [("fast", 0, 1000), ("slow", 300, 5), ("stopping", 0, 7)];
            // All of them before the first block can go.
            for (name, ..) in paces {
                engine.register(name, 0).unwrap();
            }
            let threads = paces.map(|(name, rest, stop)| {
                let engine = &engine;
                scope.spawn(move || follow(engine, name, last, rest, stop))
            });
            // Nothing waits for this one: it sees all, or is told that it can't.
            let unregistered = scope.spawn(|| {
                let mut follower = engine.follow(0).unwrap();
                for height in 0..=last {
                    match follower.next().unwrap() {
                        Ok(change) => assert_eq!(seen(change).height, height),
                        Err(EngineError::Feed(FeedError::BelowFloor { height: at, floor })) => {
                            assert!(at == height && floor > height);
                            return;
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            });
            import(&engine, &whole);
            for _ in 0..20 {
                engine.produce(&key("hub-0")).unwrap();
                engine.prune(policy.clone(), None).unwrap();
            }
            unregistered.join().unwrap();
            threads.map(|thread| thread.join().unwrap())
        });
        for seen in all {
            assert_eq!(seen.len() as u64, last + 1, "{place}");
            for (height, position) in (0..).zip(seen) {
                let hash = engine.reader().hash_at(height).unwrap();
                assert_eq!((position.height, Some(position.hash)), (height, hash));
            }
        }
        let report = engine.prune(policy, None).unwrap();
        assert_eq!((report.bodies.floor, report.held_back_by), (last - 1, None));
        engine.shutdown().unwrap();
    }
}

#[test]
fn what_is_not_there_is_an_error_and_no_gap() {
    let whole = chain(20);
    for place in Place::all() {
        let engine = engine(&place, &whole, Engine::builder());
        import(&engine, &whole);
        let mut overtaken = engine.follow(0).unwrap();
        assert_eq!(seen(overtaken.next().unwrap().unwrap()).height, 0);
        engine
            .prune(PrunePolicy::of_bodies(Keep::Last(5)), None)
            .unwrap();
        let floor = 16;
        let below = |height| FeedError::BelowFloor { height, floor };
        assert_eq!(feed_error(overtaken.next().unwrap()), below(1), "{place}");
        assert!(overtaken.next().is_none(), "an error is the end");
        assert_eq!(feed_error(engine.follow(15)), below(15));
        assert_eq!(feed_error(engine.register("a", 3)), below(3));
        assert!(engine.followers().is_empty());
        let text = below(15).to_string();
        assert!(text.contains("15") && text.contains("16"), "{text}");

        let beyond = |height| FeedError::BeyondEnd { height, end: 21 };
        assert_eq!(feed_error(engine.follow(22)), beyond(22));
        let hash = whole.last().hash();
        let height = 21;
        let ahead = engine.follow(Position { height, hash });
        assert_eq!(feed_error(ahead), beyond(21));
        let other = Position {
            height: 18,
            hash: BlockHash([7; 32]),
        };
        let held = whole.blocks[18].hash();
        let error = feed_error(engine.follow(other));
        let (height, seen_as) = (18, other.hash);
        assert_eq!(
            error,
            FeedError::OtherChain {
                height,
                seen: seen_as,
                held
            }
        );
        let text = error.to_string();
        assert!(text.contains(&held.to_string()) && text.contains(&seen_as.to_string()));

        let position = Position { height, hash: held };
        let mut after = engine.follow(position).unwrap();
        assert_eq!(after.position(), Some(position));
        assert_eq!(
            all_there(&mut after).len(),
            2,
            "blocks 19 and 20, and no more yet"
        );
        engine.shutdown().unwrap();
    }
}

#[test]
fn after_the_end_what_is_committed_is_read_to_its_end() {
    let whole = chain(10);
    for place in Place::all() {
        let engine = engine(&place, &whole, Engine::builder());
        let mut early = engine.register("early", 0).unwrap();
        import(&engine, &whole);
        assert_eq!(seen(early.next().unwrap().unwrap()).height, 0);
        early.finished(0).unwrap();
        engine.shutdown().unwrap();
        let late = engine.follow(4).unwrap();
        let heights = |follower: Follower| -> Vec<u64> {
            let changes = follower.map(|change| seen(change.unwrap()).height);
            changes.collect()
        };
        let stopped = early.finished(0).unwrap_err();
        assert!(matches!(stopped, EngineError::Stopped), "{stopped}");
        assert_eq!(heights(early), (1..=10).collect::<Vec<_>>(), "{place}");
        assert_eq!(heights(late), (4..=10).collect::<Vec<_>>());
        let mut at_the_end = engine.follow(11).unwrap();
        let next = at_the_end.next_timeout(Duration::from_secs(3600));
        assert!(matches!(next, Poll::Ready(None)));
        assert!(engine.register("late", 0).is_err());
    }
}

#[test]
fn after_a_failure_what_is_committed_comes_before_the_error() {
    fn check<T: Send>() {}
    check::<Follower>();
    let whole = chain(8);
    for place in Place::all() {
        let commits = AtomicUsize::new(0);
        let probe = move |stage| {
            let is_last = stage == Stage::Commit && commits.fetch_add(1, Ordering::SeqCst) == 3;
            assert!(!is_last, "a test's panic");
        };
        let engine = engine(&place, &whole, Engine::builder().probe(Arc::new(probe)));
        let mut follower = engine.register("a", 0).unwrap();
        let mut failed = 0;
        for block in &whole.blocks[1..] {
            let ticket = engine.offer(vec![block.encode().into()], WhenFull::Wait);
            let outcome = ticket.and_then(|ticket| ticket.wait());
            failed += u64::from(outcome.is_err());
        }
        let end = engine.committed(Durability::Memory);
        assert_eq!((end, failed), (4, 5), "{place}");
        for height in 0..end {
            let change = follower.next().unwrap().unwrap();
            assert_eq!(seen(change).height, height);
        }
        for error in [
            follower.next().unwrap().unwrap_err(),
            follower.finished(2).unwrap_err(),
            engine.remove_follower("a").unwrap_err(),
        ] {
            assert!(matches!(error, EngineError::Panicked { .. }), "{error}");
        }
        assert!(follower.next().is_none() && follower.try_next().is_ready());
        drop(engine);
    }
}

/// Counts how often it is woken, and unparks a thread.
struct Bell(AtomicUsize, thread::Thread);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        self.1.unpark();
    }
}

#[test]
fn a_block_can_be_awaited_without_a_runtime_or_waited_for_a_while() {
    let whole = chain(2);
    let place = Place::new("memory").unwrap();
    let engine = engine(&place, &whole, Engine::builder());
    let bell = Arc::new(Bell(AtomicUsize::new(0), thread::current()));
    let waker = Waker::from(Arc::clone(&bell));
    let mut context = Context::from_waker(&waker);
    let mut follower = engine.follow(1).unwrap();
    assert!(follower.next_timeout(Duration::from_millis(1)).is_pending());
    assert!(follower.try_next().is_pending());
    {
        let mut next = pin!(poll_fn(|context| follower.poll_next(context)));
        assert!(next.as_mut().poll(&mut context).is_pending());
        assert_eq!(bell.0.load(Ordering::SeqCst), 0);
        import(&engine, &whole);
        loop {
            if let Poll::Ready(change) = next.as_mut().poll(&mut context) {
                assert_eq!(seen(change.unwrap().unwrap()).height, 1);
                break;
            }
            thread::park();
        }
    }
    assert!(bell.0.load(Ordering::SeqCst) <= 1, "woken once at most");
    let next = follower.next_timeout(Duration::from_secs(3600));
    assert!(matches!(next, Poll::Ready(Some(Ok(_)))));
    assert!(follower.poll_next(&mut context).is_pending());
    drop(follower);
    assert_eq!(
        Arc::strong_count(&bell),
        2,
        "the waker of one that was dropped is gone"
    );
    // There may be thousands, and one that never comes back is nobody's loss.
    let mut many: Vec<_> = (0..5000).map(|_| engine.follow(3).unwrap()).collect();
    for follower in &mut many {
        assert!(follower.poll_next(&mut context).is_pending());
    }
    engine.produce(&key("hub-0")).unwrap();
    for follower in &mut many[..100] {
        let change = follower.next().unwrap();
        assert_eq!(seen(change.unwrap()).height, 3);
    }
    drop(many);
    engine.shutdown().unwrap();
}

#[test]
fn a_follower_may_wait_for_more_than_the_engine_commits_at() {
    let whole = chain(5);
    for name in ["log", "sqlite"] {
        let Some(place) = Place::new(name) else {
            continue;
        };
        let builder = Engine::builder().durability(Durability::Os);
        let engine = engine(&place, &whole, builder);
        let mut soft = engine.follow(1).unwrap();
        let mut hard = engine.follow(1).unwrap().with_durability(Durability::Disk);
        import(&engine, &whole);
        assert_eq!(all_there(&mut soft).len(), 5, "{place}");
        let there = all_there(&mut hard).len() as u64;
        assert_eq!(there, engine.committed(Durability::Disk) - 1);
        engine.sync().unwrap();
        assert_eq!(there + all_there(&mut hard).len() as u64, 5, "{place}");
        engine.shutdown().unwrap();
    }
}
