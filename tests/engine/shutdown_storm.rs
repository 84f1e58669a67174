//! Shutdowns at random moments under callers of every kind: each call comes back, with its answer or [`EngineError::Stopped`],
//! and so does the shutdown.
//!
//! `HUBLEDGER_STORM_ROUNDS` sets how many (else as many as fit into some seconds), `HUBLEDGER_STORM_SEED` where they begin.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hubledger::engine::{Engine, EngineError, WhenFull};
use hubledger::ledger::policy::{Keep, PrunePolicy};
use hubledger::model::Transaction;
use hubledger_storage::Durability;

use crate::common::{Chain, Numbers, key, reopenable};
use crate::support::{encoded, engine, messages};

/// Without a number of rounds, they go on for so long, and there are at least so many.
const LONG_ENOUGH: Duration = Duration::from_secs(20);
const ROUNDS_MIN: u64 = 50;
/// A round takes milliseconds; only a call that doesn't come back takes this long.
const HUNG: Duration = Duration::from_secs(60);

/// What callers hand in, made once.
struct Supply {
    chain: Chain,
    blocks: Vec<Bytes>,
    transactions: Vec<Transaction>,
    taken: AtomicUsize,
}

impl Supply {
    /// One of the transactions; some come again.
    fn transaction(&self) -> Transaction {
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        self.transactions[number % self.transactions.len()].clone()
    }
}

/// What a thread is at, for whoever wonders why it doesn't come back.
#[derive(Clone)]
struct Diary(Arc<Mutex<&'static str>>);

impl Diary {
    fn note(&self, doing: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = doing;
    }

    fn read(&self) -> &'static str {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller: does something again and again until it is refused.
type Caller = fn(&Engine, &Supply, &Diary) -> EngineError;

/// Several in one pipeline.
fn submit(engine: &Engine, supply: &Supply, diary: &Diary) -> EngineError {
    loop {
        let mut tickets = Vec::new();
        for _ in 0..8 {
            diary.note("submitting, waiting for room");
            match engine.submit(supply.transaction(), WhenFull::Wait) {
                Ok(ticket) => tickets.push(ticket),
                Err(error) => {
                    diary.note("waiting for verdicts on what was submitted before the end");
                    for ticket in tickets {
                        assert!(matches!(ticket.wait(), Ok(_) | Err(EngineError::Stopped)));
                    }
                    return error;
                }
            }
        }
        diary.note("waiting for verdicts");
        for ticket in tickets {
            if let Err(error) = ticket.wait() {
                return error;
            }
        }
    }
}

fn submit_if_there_is_room(engine: &Engine, supply: &Supply, diary: &Diary) -> EngineError {
    loop {
        diary.note("submitting, if there is room");
        match engine.submit(supply.transaction(), WhenFull::Refuse) {
            Ok(ticket) => {
                diary.note("waiting for a verdict");
                if let Err(error) = ticket.wait() {
                    return error;
                }
            }
            Err(EngineError::Busy) => thread::yield_now(),
            Err(error) => return error,
        }
    }
}

fn drop_tickets(engine: &Engine, supply: &Supply, diary: &Diary) -> EngineError {
    loop {
        diary.note("submitting without interest in the verdict");
        if let Err(error) = engine.submit(supply.transaction(), WhenFull::Wait) {
            return error;
        }
        diary.note("offering a block without interest in the outcome");
        if let Err(error) = engine.offer(supply.blocks[..1].to_vec(), WhenFull::Wait) {
            return error;
        }
    }
}

fn sync(engine: &Engine, _: &Supply, diary: &Diary) -> EngineError {
    diary.note("syncing");
    loop {
        if let Err(error) = engine.sync() {
            return error;
        }
    }
}

fn prune(engine: &Engine, _: &Supply, diary: &Diary) -> EngineError {
    diary.note("pruning");
    let policy = PrunePolicy {
        bodies: Keep::Last(3),
        ..PrunePolicy::default()
    };
    loop {
        if let Err(error) = engine.prune(policy.clone(), None) {
            return error;
        }
    }
}

fn import(engine: &Engine, supply: &Supply, diary: &Diary) -> EngineError {
    diary.note("importing");
    loop {
        for outcome in engine.import(supply.blocks.iter().cloned()) {
            if let Err(error) = outcome {
                return error;
            }
        }
    }
}

fn drop_imports(engine: &Engine, supply: &Supply, diary: &Diary) -> EngineError {
    diary.note("importing a little");
    for count in (0..4).cycle() {
        for outcome in engine.import(supply.blocks.iter().cloned()).take(count) {
            if let Err(error) = outcome {
                return error;
            }
        }
    }
    unreachable!("it goes round")
}

fn produce(engine: &Engine, _: &Supply, diary: &Diary) -> EngineError {
    diary.note("producing");
    let key = key("hub-0");
    loop {
        match engine.produce(&key) {
            Ok(_) => {}
            // The chain's time runs ahead of the clock, which stands still.
            Err(EngineError::Produce(_)) => {
                diary.note("waiting for a block that nobody makes");
                if let Err(error) = engine.wait_committed(u64::MAX - 1, Durability::Memory) {
                    return error;
                }
            }
            Err(error) => return error,
        }
    }
}

fn follow(engine: &Engine, _: &Supply, diary: &Diary) -> EngineError {
    drop(engine.subscribe(2));
    let subscription = engine.subscribe(2);
    diary.note("following");
    while subscription.next().is_some() {
        drop(engine.subscribe(1));
    }
    diary.note("following what has ended");
    assert_eq!(engine.subscribe(1).next(), None);
    EngineError::Stopped
}

fn wait_for_commits(engine: &Engine, _: &Supply, diary: &Diary) -> EngineError {
    diary.note("waiting for a commit");
    for height in 1.. {
        if let Err(error) = engine.wait_committed(height, Durability::Memory) {
            return error;
        }
    }
    unreachable!("no chain is so long")
}

const CALLERS: [Caller; 10] = [
    submit,
    submit_if_there_is_room,
    drop_tickets,
    sync,
    prune,
    import,
    drop_imports,
    produce,
    follow,
    wait_for_commits,
];

/// A thread of a round, which says so when it has ended.
fn start(
    done: &Sender<()>,
    work: impl FnOnce(&Diary) + Send + 'static,
) -> (Diary, thread::JoinHandle<()>) {
    let diary = Diary(Arc::new(Mutex::new("starting")));
    let (own, done) = (diary.clone(), done.clone());
    let running = thread::spawn(move || {
        work(&own);
        own.note("done");
        drop(done);
    });
    (diary, running)
}

fn round(seed: u64, supply: &Arc<Supply>) {
    let mut numbers = Numbers(seed);
    let store = reopenable();
    let memory = [0, 64 << 10, 16 << 20][numbers.below(3) as usize];
    let builder = Engine::builder().threads(1 + numbers.below(2) as usize);
    let builder = builder.settings(|settings| {
        settings.admission_bytes = memory;
        settings.memory_bytes = memory;
        settings.admission_batch = 1 + numbers.below(16) as usize;
        settings.parcel_blocks = 1 + numbers.below(4) as usize;
        settings.verified_transactions = 64;
    });
    let engine = Arc::new(engine(&supply.chain, &store, builder));
    // Nobody sends: the channel ends when every thread has.
    let (done, ended) = channel::<()>();
    let mut threads = Vec::new();
    for _ in 0..2 + numbers.below(6) {
        let call = CALLERS[numbers.below(CALLERS.len() as u64) as usize];
        let (engine, supply) = (Arc::clone(&engine), Arc::clone(supply));
        threads.push(start(&done, move |diary| {
            let error = call(&engine, &supply, diary);
            assert!(matches!(error, EngineError::Stopped), "{error}");
        }));
    }
    // Now and then much later.
    let latest = 1500 << numbers.below(4);
    for _ in 0..1 + numbers.below(2) {
        let engine = Arc::clone(&engine);
        let moment = Duration::from_micros(numbers.below(latest));
        threads.push(start(&done, move |diary| {
            thread::sleep(moment);
            diary.note("shutting down");
            let ended = engine.shutdown();
            assert!(matches!(ended, Ok(_) | Err(EngineError::Stopped)));
        }));
    }
    drop(done);
    if ended.recv_timeout(HUNG) == Err(RecvTimeoutError::Timeout) {
        let doing: Vec<_> = threads.iter().map(|(diary, _)| diary.read()).collect();
        panic!("seed {seed}: somebody waits for ever: {doing:#?}");
    }
    for (_, thread) in threads {
        assert!(thread.join().is_ok(), "seed {seed}");
    }
    let end = engine.head().unwrap().height + 1;
    assert_eq!(engine.committed(Durability::Memory), end, "seed {seed}");
    drop(engine);
    let held = store.open().unwrap().reader.extent().unwrap().end;
    assert_eq!(held, end, "seed {seed}: the store is whole and free");
}

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    let number = std::env::var(name).ok()?;
    Some(number.parse().unwrap())
}

#[test]
fn shutting_down_at_any_moment_leaves_nobody_waiting() {
    let (chain, blocks) = messages(12, 3);
    let sender = |number: u64| format!("storm-{}", number % 8);
    let transactions = (0..256).map(|number| chain.message(&sender(number), 1 + number / 8));
    let supply = Arc::new(Supply {
        transactions: transactions.collect(),
        blocks: encoded(&blocks),
        chain,
        taken: AtomicUsize::new(0),
    });
    let rounds = number("HUBLEDGER_STORM_ROUNDS");
    let first = number("HUBLEDGER_STORM_SEED").unwrap_or(1);
    let started = Instant::now();
    let mut done = 0;
    while match rounds {
        Some(rounds) => done < rounds,
        None => done < ROUNDS_MIN || started.elapsed() < LONG_ENOUGH,
    } {
        round(first.wrapping_add(done), &supply);
        done += 1;
    }
    println!("{done} rounds in {:?}", started.elapsed());
}
