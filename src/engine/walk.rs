//! Walks through interleavings of the whole engine with its callers: whatever the order of steps, every call comes back, with
//! its answer or the reason why there is none. A call that never came back would leave threads that wait for each other,
//! which shuttle reports.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hubledger_storage::{Durability, MemoryStore};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner};

use super::sync::{Arc, thread};
use super::{
    Change, Engine, EngineBuilder, EngineError, FeedError, Outcome, Producer, ProducerSettings,
    Resources, Stage, WhenFull,
};
use crate::clock::{FixedClock, FixedTimer, Timer};
use crate::format::model::{Block, Transaction};
use crate::generate::{Generator, Recipe};
use crate::ledger::LedgerError;
use crate::ledger::policy::PrunePolicy;

/// A chain whose blocks and transactions are there to be handed in.
struct Chain {
    generator: Generator,
    blocks: Vec<Bytes>,
    transactions: Vec<Transaction>,
    now_us: u64,
}

/// Made once: it is the same in every walk.
fn chain() -> &'static Chain {
    static CHAIN: OnceLock<Chain> = OnceLock::new();
    CHAIN.get_or_init(|| {
        let recipe = Recipe {
            transactions: 4,
            keys: 4,
            payload_bytes: 8,
            per_block: 2,
            ..Recipe::default()
        };
        let mut generator = Generator::new(recipe).expect("a good recipe");
        let next = || generator.next_block().expect("a good recipe");
        let blocks: Vec<Block> = std::iter::from_fn(next).collect();
        let transactions = blocks
            .iter()
            .flat_map(|block| block.transactions().to_vec());
        Chain {
            blocks: blocks.iter().map(|block| block.encode().into()).collect(),
            transactions: transactions.collect(),
            now_us: blocks.last().expect("two").header().timestamp + 1,
            generator,
        }
    })
}

/// A batch of admission is never closed by time: this one stands still.
fn builder() -> EngineBuilder {
    let builder = Engine::builder().threads(1).settings(|settings| {
        settings.parcel_blocks = 1;
        settings.group_linger = Duration::ZERO;
        settings.admission_linger = Duration::from_secs(3600);
        settings.verified_transactions = 8;
    });
    builder.timer(Arc::new(FixedTimer(0)))
}

fn open(builder: EngineBuilder) -> Arc<Engine> {
    let chain = chain();
    let store = MemoryStore::new().open().expect("nobody else has it");
    let engine = builder
        .clock(Arc::new(FixedClock(chain.now_us)))
        .create(store, chain.generator.spec());
    Arc::new(engine.expect("an empty store"))
}

/// Somebody who uses the engine, in a thread.
type Caller = fn(&Engine) -> Result<(), EngineError>;

fn submit(engine: &Engine) -> Result<(), EngineError> {
    let [first, second, ..] = &chain().transactions[..] else {
        unreachable!("there are four");
    };
    let first = engine.submit(first.clone(), WhenFull::Wait)?;
    let second = engine.submit(second.clone(), WhenFull::Wait)?;
    first.wait().and(second.wait()).map(drop)
}

fn submit_and_go(engine: &Engine) -> Result<(), EngineError> {
    let transaction = chain().transactions[2].clone();
    engine.submit(transaction, WhenFull::Refuse).map(drop)
}

fn import(engine: &Engine) -> Result<(), EngineError> {
    for outcome in engine.import(chain().blocks.iter().cloned()) {
        // Another caller's block may be there instead.
        if let Outcome::Rejected(_) = outcome? {
            break;
        }
    }
    Ok(())
}

fn import_and_go(engine: &Engine) -> Result<(), EngineError> {
    let mut import = engine.import(chain().blocks.iter().cloned());
    import.next().transpose().map(drop)
}

fn produce(engine: &Engine) -> Result<(), EngineError> {
    engine.produce(chain().generator.authority().1).map(drop)
}

fn build_and_check(engine: &Engine) -> Result<(), EngineError> {
    let key = chain().generator.authority().1.public_key();
    let deadline = std::time::Instant::now() + Duration::from_secs(3600);
    let draft = engine.build(&key, deadline)?;
    engine.check(&draft).map(drop)
}

fn sync(engine: &Engine) -> Result<(), EngineError> {
    engine.sync().map(drop)
}

fn prune(engine: &Engine) -> Result<(), EngineError> {
    match engine.prune(PrunePolicy::default(), None) {
        Err(EngineError::Ledger(error)) if !matches!(*error, LedgerError::Storage(_)) => Ok(()),
        pruned => pruned.map(drop),
    }
}

fn follow(engine: &Engine) -> Result<(), EngineError> {
    let subscription = engine.subscribe(1);
    while subscription.next().is_some() {}
    drop(engine.subscribe(1));
    Err(EngineError::Stopped)
}

/// Follows to the end, which has to come after every block that is committed.
fn follow_all(engine: &Engine) -> Result<(), EngineError> {
    let mut next = 0;
    for change in engine.follow(0)? {
        match change? {
            Change::Committed { block } => assert_eq!(block.height(), next),
            Change::Reverted { .. } => unreachable!("chains don't fork"),
        }
        next += 1;
    }
    assert_eq!(next, engine.committed(Durability::Memory), "without loss");
    Err(EngineError::Stopped)
}

/// The same, awaiting each, under a name that others take over.
fn follow_by_name(engine: &Engine) -> Result<(), EngineError> {
    let mut follower = engine.register("name", 0)?;
    loop {
        let change =
            shuttle::future::block_on(std::future::poll_fn(|context| follower.poll_next(context)));
        match change.transpose()? {
            Some(Change::Committed { block }) => match follower.finished(block.height()) {
                Err(EngineError::Feed(FeedError::NotRegistered)) => return Ok(()),
                finished => finished?,
            },
            _ => return Err(EngineError::Stopped),
        }
    }
}

fn follow_no_more(engine: &Engine) -> Result<(), EngineError> {
    let resumed = engine.resume("name");
    engine.remove_follower("name")?;
    match resumed {
        Ok(follower) => match follower.finished(0) {
            Err(EngineError::Feed(_)) => Ok(()),
            finished => finished,
        },
        Err(EngineError::Feed(FeedError::Unknown(_))) => Ok(()),
        Err(error) => Err(error),
    }
}

fn wait(engine: &Engine) -> Result<(), EngineError> {
    engine.wait_committed(9, Durability::Memory)
}

const CALLERS: [Caller; 13] = [
    submit,
    submit_and_go,
    import,
    import_and_go,
    produce,
    build_and_check,
    sync,
    prune,
    follow,
    follow_all,
    follow_by_name,
    follow_no_more,
    wait,
];

/// Lets callers use an engine while it is shut down, twice. `is_expected` says which errors may come of it.
fn shut_down_under(
    engine: &Arc<Engine>,
    callers: &[Caller],
    is_expected: fn(&EngineError) -> bool,
) {
    let start = |call: Caller| {
        let engine = Arc::clone(engine);
        thread::spawn(move || call(&engine))
    };
    let callers: Vec<_> = callers.iter().copied().map(start).collect();
    let stop = |engine: &Engine| engine.shutdown().map(drop);
    let again = start(stop);
    let stopped = [stop(engine), again.join().expect("no panic")];
    for result in callers.into_iter().map(|caller| caller.join()) {
        if let Err(error) = result.expect("no panic") {
            assert!(is_expected(&error), "{error}");
        }
    }
    for error in stopped.into_iter().filter_map(Result::err) {
        assert!(is_expected(&error), "{error}");
    }
    // Who comes too late is told so.
    for call in CALLERS {
        let result = call(engine);
        assert!(result.is_err_and(|error| is_expected(&error)));
    }
}

/// Walks at random, and then with threads that are passed over for long.
fn walk(times: usize, work: impl Fn() + Send + Sync + 'static) {
    chain();
    let config = || {
        let mut config = Config::new();
        // Checking signatures takes more than a small one.
        config.stack_size = 1 << 20;
        config
    };
    let work = Arc::new(work);
    let again = Arc::clone(&work);
    Runner::new(RandomScheduler::new(times), config()).run(move || again());
    Runner::new(PctScheduler::new(3, times), config()).run(move || work());
}

const fn is_stopped(error: &EngineError) -> bool {
    matches!(error, EngineError::Stopped)
}

/// Two threads, of which one panics when `stage` is entered for another time after so many. Batches of one transaction, so that
/// several are judged at once.
fn panicking(stage: Stage, after: usize) -> EngineBuilder {
    let entered = AtomicUsize::new(0);
    let probe = move |at| {
        let is_next = at == stage && entered.fetch_add(1, Ordering::SeqCst) == after;
        assert!(!is_next, "a test's panic");
    };
    let builder = builder().settings(|settings| settings.admission_batch = 1);
    builder.threads(2).probe(Arc::new(probe))
}

/// If the shutdown came first, the stage may have had no more time to panic.
const fn is_panic(error: &EngineError) -> bool {
    is_stopped(error) || matches!(error, EngineError::Panicked { .. })
}

#[test]
fn submitting_while_it_shuts_down_ends() {
    walk(300, || {
        let callers: [Caller; 3] = [submit, submit, submit_and_go];
        shut_down_under(&open(builder()), &callers, is_stopped);
    });
}

#[test]
fn commands_while_it_shuts_down_end() {
    walk(1000, || {
        let callers: [Caller; 4] = [sync, prune, sync, wait];
        shut_down_under(&open(builder()), &callers, is_stopped);
    });
}

#[test]
fn following_while_it_shuts_down_ends() {
    walk(300, || {
        let callers: [Caller; 3] = [follow, follow, import_and_go];
        shut_down_under(&open(builder()), &callers, is_stopped);
    });
}

#[test]
fn producing_beside_others_while_it_shuts_down_ends() {
    walk(200, || {
        let callers: [Caller; 5] = [produce, produce, produce, import_and_go, build_and_check];
        shut_down_under(&open(builder()), &callers, is_stopped);
    });
}

#[test]
fn a_producer_that_is_asked_while_it_shuts_down_ends() {
    walk(200, || {
        let engine = open(builder());
        let key = chain().generator.authority().1;
        let settings = ProducerSettings::default();
        let producer = Producer::start(&engine, key, settings).expect("it goes on");
        let asked = producer.ask();
        let callers: [Caller; 2] = [submit_and_go, import_and_go];
        shut_down_under(&engine, &callers, is_stopped);
        for asked in [asked, producer.ask()] {
            match asked.wait() {
                Ok(Ok(made)) => assert!(!matches!(made, Outcome::Rejected(_))),
                Ok(Err(error)) | Err(error) => assert!(is_stopped(&error), "{error}"),
            }
        }
        producer.stop();
    });
}

#[test]
fn following_every_block_while_it_shuts_down_ends() {
    walk(500, || {
        let callers: [Caller; 4] = [follow_all, follow_by_name, follow_no_more, import_and_go];
        shut_down_under(&open(builder()), &callers, is_stopped);
    });
}

#[test]
fn following_every_block_while_committing_panics_ends() {
    for after in 0..2 {
        walk(200, move || {
            let callers: [Caller; 3] = [follow_all, follow_by_name, import];
            shut_down_under(&open(panicking(Stage::Commit, after)), &callers, is_panic);
        });
    }
}

#[test]
fn engines_that_share_end_each_by_itself() {
    walk(200, || {
        let resources = Resources::new(1, 1 << 20).expect("threads can be started");
        let engines = [(); 2].map(|()| open(builder().resources(&resources)));
        drop(resources);
        let other = {
            let engine = Arc::clone(&engines[1]);
            thread::spawn(move || import(&engine))
        };
        let callers: [Caller; 3] = [import, produce, submit];
        shut_down_under(&engines[0], &callers, is_stopped);
        other
            .join()
            .expect("no panic")
            .expect("nobody stopped this one");
    });
}

#[test]
fn whatever_is_done_while_it_shuts_down_ends() {
    walk(200, || {
        shut_down_under(&open(builder().threads(2)), &CALLERS, is_stopped);
    });
}

#[test]
fn whatever_is_done_while_a_stage_panics_ends_with_that_or_with_the_shutdown() {
    for stage in Stage::ALL {
        for after in 0..3 {
            walk(30, move || {
                shut_down_under(&open(panicking(stage, after)), &CALLERS, is_panic);
            });
        }
    }
}

#[test]
fn submitting_while_a_batch_before_panics_ends() {
    for after in 0..3 {
        walk(200, move || {
            let callers: [Caller; 2] = [submit, submit];
            shut_down_under(
                &open(panicking(Stage::Signatures, after)),
                &callers,
                is_panic,
            );
        });
    }
}

#[test]
fn whatever_is_done_while_the_timer_panics_ends_with_that_or_with_the_shutdown() {
    /// Its first reading is for the opening.
    #[derive(Default)]
    struct Broken(std::sync::atomic::AtomicBool);
    impl Timer for Broken {
        fn elapsed_us(&self) -> u64 {
            let was_read = self.0.swap(true, std::sync::atomic::Ordering::Relaxed);
            assert!(!was_read, "a test's timer");
            0
        }
    }
    walk(100, || {
        let builder = builder().timer(Arc::new(Broken::default()));
        shut_down_under(&open(builder), &CALLERS, |error| {
            is_stopped(error) || matches!(error, EngineError::TimerPanicked { .. })
        });
    });
}
