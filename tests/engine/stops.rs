//! Stopping: by the caller, by a failing store, by a panicking stage. Nobody waits for ever, and the store opens and goes on.

use std::panic::panic_any;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use hubledger::clock::{Clock, Timer};
use hubledger::engine::{Committed, Engine, EngineError, Outcome, Stage, WhenFull};
use hubledger::ledger::policy::{Keep, PrunePolicy};
use hubledger_storage::{
    Block, BlockWriter, Durability, Error, MemoryStore, Part, PruneReceipt, Receipt, Result, Store,
};

use crate::common::{Chain, GENESIS_TIME, SECOND, clock, memory, reopenable};
use crate::support::{delays, encoded, engine, messages, outcomes};

/// A writer whose appends fail after so many, and everything once it is broken.
struct Failing {
    writer: Box<dyn BlockWriter>,
    appends_left: usize,
    is_broken: Arc<AtomicBool>,
    prunes_panic: bool,
}

impl Failing {
    fn check(&self, operation: &'static str) -> Result<()> {
        match self.is_broken.load(Ordering::SeqCst) {
            false => Ok(()),
            true => Err(Error::Poisoned {
                operation,
                earlier: "sync",
                path: "a test's disk".into(),
            }),
        }
    }
}

impl BlockWriter for Failing {
    fn append(&mut self, run: &[Block], durability: Durability) -> Result<Receipt> {
        let is_last = self.appends_left == 0;
        self.is_broken.fetch_or(is_last, Ordering::SeqCst);
        self.check("append")?;
        self.appends_left -= 1;
        self.writer.append(run, durability)
    }

    fn truncate(&mut self, above: u64) -> Result<()> {
        self.writer.truncate(above)
    }

    fn replace(&mut self, above: u64, run: &[Block], durability: Durability) -> Result<Receipt> {
        self.writer.replace(above, run, durability)
    }

    fn prune(&mut self, part: Part, below: u64, limit: u64) -> Result<PruneReceipt> {
        assert!(!self.prunes_panic, "a test's disk");
        self.writer.prune(part, below, limit)
    }

    fn put_named_value(&mut self, key: &str, value: &[u8], durability: Durability) -> Result<()> {
        self.check("put_named_value")?;
        self.writer.put_named_value(key, value, durability)
    }

    fn sync(&mut self) -> Result<Receipt> {
        self.check("sync")?;
        self.writer.sync()
    }
}

/// The chain goes on where the store ends, and ends as it should.
#[track_caller]
fn goes_on(store: &MemoryStore, chain: &Chain, blocks: &[Bytes]) {
    let again = Engine::builder()
        .clock(clock(chain.now()))
        .open(store.open().unwrap())
        .unwrap();
    let held = again.head().unwrap().height;
    let rest = outcomes(&again, blocks);
    let old = rest
        .iter()
        .filter(|outcome| matches!(outcome, Outcome::Held { .. }));
    assert_eq!(old.count() as u64, held);
    assert_eq!(rest.len(), blocks.len());
    assert_eq!(again.head().unwrap().hash(), chain.last().hash());
    again.shutdown().unwrap();
}

#[test]
fn a_failing_store_is_an_error_for_everybody_and_loses_nothing_acknowledged() {
    let (chain, blocks) = messages(30, 4);
    let blocks = encoded(&blocks);
    for appends_left in [1, 2, 5] {
        let store = reopenable();
        let Store {
            reader,
            writer,
            tables,
        } = store.open().unwrap();
        let writer = Box::new(Failing {
            writer,
            appends_left,
            is_broken: Arc::default(),
            prunes_panic: false,
        });
        let builder = Engine::builder().threads(2).settings(|settings| {
            settings.parcel_blocks = 2;
            settings.group_blocks = 2;
        });
        let engine = builder
            .clock(clock(chain.now()))
            .create(
                Store {
                    reader,
                    writer,
                    tables,
                },
                chain.spec(),
            )
            .unwrap();
        let mut acknowledged = 0;
        let mut failed = false;
        for outcome in engine.import(blocks.iter().cloned()) {
            match outcome {
                Ok(Outcome::Committed(Committed { height, .. })) => acknowledged = height,
                Ok(other) => panic!("{other:?}"),
                Err(EngineError::Ledger(_)) => failed = true,
                Err(other) => panic!("{other}"),
            }
        }
        assert!(failed);
        assert!(engine.offer(blocks[..1].to_vec(), WhenFull::Wait).is_err());
        assert!(engine.wait_committed(1_000, Durability::Memory).is_err());
        assert!(matches!(engine.shutdown(), Err(EngineError::Ledger(_))));
        drop(engine);
        let held = store.open().unwrap().reader.extent().unwrap().end;
        assert_eq!(held, acknowledged + 1, "what was acknowledged is there");
        goes_on(&store, &chain, &blocks);
    }
}

#[test]
fn a_stage_that_panics_is_an_error_and_not_lost() {
    let (chain, blocks) = messages(20, 3);
    let blocks = encoded(&blocks);
    for stage in Stage::ALL {
        for after in [0, 3] {
            let store = reopenable();
            let calls = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&calls);
            let probe = Arc::new(move |at| {
                if at == stage && counted.fetch_add(1, Ordering::Relaxed) == after {
                    panic!("a test's panic");
                }
            });
            let builder = Engine::builder().threads(2).probe(probe);
            let builder = builder.settings(|settings| {
                settings.parcel_blocks = 1;
                settings.group_blocks = 1;
            });
            let engine = engine(&chain, &store, builder);
            let last = engine.import(blocks.iter().cloned()).last().unwrap();
            match last {
                Err(EngineError::Panicked { stage: at, message }) => {
                    assert_eq!((at, message.as_str()), (stage, "a test's panic"));
                }
                // One turn may have taken all parcels through a stage, or others took them while it panicked.
                Ok(Outcome::Committed(_)) => match calls.load(Ordering::Relaxed) {
                    0 => panic!("{stage} is never entered"),
                    calls if calls <= after => continue,
                    _ => {}
                },
                other => panic!("{stage}: {other:?}"),
            }
            assert!(engine.shutdown().is_err());
            drop(engine);
            goes_on(&store, &chain, &blocks);
        }
    }
}

#[test]
fn an_import_that_is_dropped_at_any_moment_leaves_a_prefix_and_room_for_others() {
    let (chain, blocks) = messages(40, 3);
    let blocks = encoded(&blocks);
    let store = reopenable();
    let builder = Engine::builder().threads(2).settings(|settings| {
        settings.parcel_blocks = 3;
        settings.memory_bytes = 1 << 20;
        settings.probe = Some(delays(3, Duration::from_micros(200)));
    });
    let engine = engine(&chain, &store, builder);
    for taken in [0, 1, 4, 9, 17] {
        let mut import = engine.import(blocks.iter().cloned());
        for _ in 0..taken {
            assert!(!matches!(
                import.next(),
                Some(Ok(Outcome::Rejected(_)) | Err(_)) | None
            ));
        }
        drop(import);
    }
    let rest = outcomes(&engine, &blocks);
    assert_eq!(rest.len(), blocks.len());
    assert_eq!(engine.head().unwrap().hash(), chain.last().hash());
    engine.shutdown().unwrap();
}

#[test]
fn shutting_down_finishes_what_was_taken_in_and_refuses_the_rest() {
    let (chain, blocks) = messages(20, 3);
    let store = reopenable();
    let builder = Engine::builder()
        .threads(2)
        .probe(delays(1, Duration::from_micros(500)));
    let engine = engine(&chain, &store, builder);
    let tickets: Vec<_> = encoded(&blocks)
        .chunks(4)
        .map(|blocks| engine.offer(blocks.to_vec(), WhenFull::Wait).unwrap())
        .collect();
    let receipt = engine.shutdown().unwrap();
    assert_eq!(receipt.end, 21);
    for ticket in tickets {
        assert_eq!(ticket.wait().unwrap().len(), 4);
    }
    let refused = engine.offer(encoded(&blocks[..1]), WhenFull::Wait);
    assert!(matches!(refused, Err(EngineError::Stopped)));
    assert!(matches!(engine.shutdown(), Err(EngineError::Stopped)));
    assert!(engine.sync().is_err());
    assert_eq!(engine.head().unwrap().height, 20, "reading goes on");
}

/// What `work` gives, unless it never comes back.
#[track_caller]
fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, ended) = channel();
    std::thread::spawn(move || done.send(work()));
    let given = ended.recv_timeout(Duration::from_secs(60));
    given.expect("it comes back")
}

#[test]
fn a_store_that_breaks_before_the_last_words_is_an_error_and_the_end() {
    let (chain, blocks) = messages(3, 2);
    let store = reopenable();
    let Store {
        reader,
        writer,
        tables,
    } = store.open().unwrap();
    let is_broken = Arc::new(AtomicBool::new(false));
    let writer = Box::new(Failing {
        writer,
        appends_left: usize::MAX,
        is_broken: Arc::clone(&is_broken),
        prunes_panic: false,
    });
    let engine = Engine::builder()
        .threads(1)
        .clock(clock(chain.now()))
        .create(
            Store {
                reader,
                writer,
                tables,
            },
            chain.spec(),
        )
        .unwrap();
    assert_eq!(outcomes(&engine, &encoded(&blocks)).len(), 3);
    is_broken.store(true, Ordering::SeqCst);
    let ended = in_time(move || engine.shutdown());
    assert!(matches!(ended, Err(EngineError::Ledger(_))));
    goes_on(&store, &chain, &encoded(&blocks));
}

#[test]
fn a_pruning_that_panics_tells_whoever_waits_for_it() {
    let (chain, blocks) = messages(3, 2);
    let Store {
        reader,
        writer,
        tables,
    } = reopenable().open().unwrap();
    let writer = Box::new(Failing {
        writer,
        appends_left: usize::MAX,
        is_broken: Arc::default(),
        prunes_panic: true,
    });
    let engine = Engine::builder()
        .threads(1)
        .clock(clock(chain.now()))
        .create(
            Store {
                reader,
                writer,
                tables,
            },
            chain.spec(),
        )
        .unwrap();
    assert_eq!(outcomes(&engine, &encoded(&blocks)).len(), 3);
    let policy = PrunePolicy {
        bodies: Keep::Last(1),
        ..PrunePolicy::default()
    };
    let pruned = in_time(move || engine.prune(policy, None));
    let Err(EngineError::Panicked { message, .. }) = pruned else {
        panic!("{pruned:?}");
    };
    assert_eq!(message, "a test's disk");
}

#[test]
fn who_subscribes_after_the_end_or_a_failure_finds_it() {
    let (chain, blocks) = messages(2, 2);
    let probe = |at| assert!(at != Stage::Hash, "a test's panic");
    for is_to_fail in [false, true] {
        let builder = Engine::builder().threads(1);
        let builder = match is_to_fail {
            true => builder.probe(Arc::new(probe)),
            false => builder,
        };
        let engine = engine(&chain, &reopenable(), builder);
        let early = engine.subscribe(100);
        match is_to_fail {
            true => assert!(
                engine
                    .import(encoded(&blocks))
                    .any(|outcome| outcome.is_err())
            ),
            false => drop(engine.shutdown().unwrap()),
        }
        let late = engine.subscribe(1);
        assert_eq!(in_time(move || late.next()), None);
        assert_eq!(in_time(move || early.next()), None);
    }
}

/// A timer that stands still, and panics after so many looks at it.
struct Brittle(AtomicUsize);

impl Timer for Brittle {
    fn elapsed_us(&self) -> u64 {
        let left = |left: usize| left.checked_sub(1);
        let left = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, left);
        assert!(left.is_ok(), "a test's timer");
        0
    }
}

#[test]
fn a_timer_that_panics_is_everybodys_error() {
    let (chain, blocks) = messages(4, 2);
    let blocks = encoded(&blocks);
    let is_told = |error: &EngineError| matches!(error, EngineError::TimerPanicked { message } if message == "a test's timer");
    for looks in 0..6 {
        let store = reopenable();
        // One more is for the opening.
        let timer = Arc::new(Brittle(AtomicUsize::new(looks + 1)));
        let builder = Engine::builder().threads(1).timer(timer);
        let builder = builder.settings(|settings| {
            settings.admission_linger = Duration::from_secs(3600);
        });
        let engine = Arc::new(engine(&chain, &store, builder));
        let following = engine.subscribe(1);
        // The batch stays open, so that the timer is looked at again and again.
        let submit = |name: &str| engine.submit(chain.message(name, 1), WhenFull::Wait);
        for ticket in ["alice", "bob", "carol"].map(submit) {
            let error = ticket.and_then(|ticket| in_time(|| ticket.wait()));
            assert!(is_told(&error.unwrap_err()), "{looks}");
        }
        let error = submit("dave").map(drop).unwrap_err();
        assert!(is_told(&error), "{looks}: {error}");
        let error = engine
            .import(blocks.clone())
            .find_map(|outcome| outcome.err());
        assert!(is_told(&error.unwrap()), "{looks}");
        assert!(is_told(&engine.sync().unwrap_err()), "{looks}");
        assert_eq!(in_time(move || following.next()), None);
        let ended = in_time(move || engine.shutdown());
        assert!(is_told(&ended.unwrap_err()), "{looks}");
        goes_on(&store, &chain, &blocks);
    }
}

/// What a waker does that it shouldn't.
#[derive(Clone, Copy)]
enum Rudeness {
    Panics,
    /// With something that panics again when it is dropped.
    PanicsTwice,
    PanicsWhenDropped,
}

struct Rude(Rudeness, Arc<AtomicUsize>);

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a test's bomb");
    }
}

impl Wake for Rude {
    fn wake(self: Arc<Self>) {
        self.1.fetch_add(1, Ordering::SeqCst);
        match self.0 {
            Rudeness::Panics => panic!("a test's waker"),
            Rudeness::PanicsTwice => panic_any(Bomb),
            Rudeness::PanicsWhenDropped => {}
        }
    }
}

impl Drop for Rude {
    fn drop(&mut self) {
        let is_rude = matches!(self.0, Rudeness::PanicsWhenDropped);
        assert!(!is_rude, "a test's waker is dropped");
    }
}

#[test]
fn a_waker_that_panics_is_the_loss_of_its_caller_alone() {
    let (chain, blocks) = messages(6, 2);
    let blocks = encoded(&blocks);
    for rudeness in [
        Rudeness::Panics,
        Rudeness::PanicsTwice,
        Rudeness::PanicsWhenDropped,
    ] {
        // Commits wait until the first outcome is awaited.
        let is_open = Arc::new(AtomicBool::new(false));
        let gate = Arc::clone(&is_open);
        let probe = Arc::new(move |stage| {
            while stage == Stage::Commit && !gate.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
        });
        let timer = Arc::new(Brittle(AtomicUsize::new(usize::MAX)));
        let builder = Engine::builder().threads(1).timer(timer).probe(probe);
        let builder = builder.settings(|settings| {
            settings.admission_linger = Duration::from_secs(3600);
            settings.admission_batch = 2;
        });
        let engine = engine(&chain, &reopenable(), builder);
        let woken = Arc::new(AtomicUsize::new(0));
        let waker = Waker::from(Arc::new(Rude(rudeness, Arc::clone(&woken))));
        let mut context = Context::from_waker(&waker);
        let submit = |name: &str| {
            let submitted = engine.submit(chain.message(name, 1), WhenFull::Wait);
            submitted.unwrap()
        };
        let mut first = submit("alice");
        assert!(Pin::new(&mut first).poll(&mut context).is_pending());
        let mut offered = engine.offer(blocks[..2].to_vec(), WhenFull::Wait).unwrap();
        assert!(Pin::new(&mut offered).poll(&mut context).is_pending());
        is_open.store(true, Ordering::SeqCst);
        // The engine drops the last ones.
        std::mem::forget(waker);
        assert!(submit("bob").wait().unwrap().is_ok());
        assert_eq!(outcomes(&engine, &blocks).len(), 6);
        assert!(first.wait().unwrap().is_ok(), "its answer is there");
        assert_eq!(offered.wait().unwrap().len(), 2);
        assert_eq!(engine.shutdown().unwrap().end, 7);
        assert_eq!(woken.load(Ordering::SeqCst), 2);
    }
}

#[test]
fn an_engine_whose_own_thread_drops_it_ends() {
    /// Whoever awaits owns the engine, and goes when it is woken.
    struct Owner(Mutex<Option<Engine>>);
    impl Wake for Owner {
        fn wake(self: Arc<Self>) {
            drop(self.0.lock().unwrap().take());
        }
    }
    let (chain, blocks) = messages(3, 2);
    let timer = Arc::new(Brittle(AtomicUsize::new(usize::MAX)));
    let held = Arc::downgrade(&timer);
    let store = reopenable();
    let builder = Engine::builder().threads(1).timer(timer);
    let engine = engine(&chain, &store, builder);
    let owner = Arc::new(Owner(Mutex::default()));
    let waker = Waker::from(Arc::clone(&owner));
    // Until the engine is handed over, its lock keeps whoever wakes.
    let mut own = owner.0.lock().unwrap();
    let offered = engine.offer(encoded(&blocks), WhenFull::Wait);
    let mut offered = offered.unwrap();
    let polled = Pin::new(&mut offered).poll(&mut Context::from_waker(&waker));
    *own = Some(engine);
    drop(own);
    if polled.is_ready() {
        // It was quicker than we: nobody is woken.
        drop(owner.0.lock().unwrap().take());
    }
    in_time(move || {
        while held.strong_count() > 0 {
            std::thread::yield_now();
        }
    });
    goes_on(&store, &chain, &encoded(&blocks));
}

/// A clock that asks the engine that asks it.
#[derive(Default)]
struct Curious(OnceLock<Weak<Engine>>);

impl Clock for Curious {
    fn now_us(&self) -> u64 {
        if let Some(engine) = self.0.get().and_then(Weak::upgrade) {
            let _ = engine.transactions();
            let _ = engine.metrics();
        }
        GENESIS_TIME + 1_000_000 * SECOND
    }
}

#[test]
fn a_clock_may_ask_the_engine_that_asks_it() {
    let (chain, blocks) = messages(30, 2);
    let clock = Arc::new(Curious::default());
    let builder = Engine::builder().threads(2).clock(clock.clone());
    let engine = builder.create(memory(), chain.spec()).unwrap();
    let engine = Arc::new(engine);
    clock.0.set(Arc::downgrade(&engine)).unwrap();
    let importing = Arc::clone(&engine);
    let encoded = encoded(&blocks);
    let committed = in_time(move || {
        let outcomes = importing.import(encoded);
        outcomes.filter(|outcome| outcome.is_ok()).count()
    });
    assert_eq!(committed, blocks.len());
    in_time(move || engine.shutdown()).unwrap();
}

#[test]
fn a_linger_without_end_is_none() {
    let (chain, blocks) = messages(3, 2);
    let builder = Engine::builder().threads(1);
    let builder = builder.settings(|settings| settings.group_linger = Duration::MAX);
    let engine = builder.create(memory(), chain.spec()).unwrap();
    let outcomes: Vec<_> = engine.import(encoded(&blocks)).collect();
    assert!(
        outcomes.iter().all(|outcome| outcome.is_ok()),
        "{outcomes:?}"
    );
    engine.shutdown().unwrap();
}
