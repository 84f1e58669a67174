//! The pool with 100,000 waiting: entering, leaving and selecting, with an attacker who has nine tenths of it, and without. The baseline is
//! the least that a pool has to do: a map to find a transaction again and an order by fee.
//!
//! `POOL_WAITING` says how many wait (100,000).
#![allow(missing_docs)]

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use hubledger::digest::ChainId;
use hubledger::model::{Draft, Kind, Operation, Transaction};
use hubledger::pool::{Bounds, Entered, Pool, Room, Source, Terms};
use hubledger::state::Account;

const BATCH: u64 = 10_000;
const BLOCK: usize = 1_000;
/// Senders, where each has several waiting.
const SENDERS: u64 = 10_000;

fn waiting() -> u64 {
    let waiting = std::env::var("POOL_WAITING").ok();
    waiting
        .and_then(|waiting| waiting.parse().ok())
        .unwrap_or(100_000)
}

/// Measures the time that this thread has had on a processor: what else the machine does then counts less.
struct ProcessorTime;

#[cfg(target_os = "linux")]
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Not known here: the time that passes.
#[cfg(not(target_os = "linux"))]
fn processor_time() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

impl Measurement for ProcessorTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        processor_time()
    }

    fn end(&self, start: Duration) -> Duration {
        processor_time().saturating_sub(start)
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// A number that looks random.
fn scramble(number: u64) -> u64 {
    let number = (number ^ (number >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    number ^ (number >> 29)
}

fn transaction(sender: u64, nonce: u64, fee: u64) -> Transaction {
    let draft = Draft {
        kind: Kind::Native,
        chain: ChainId([1; 32]),
        sender: format!("sender-{sender:08}"),
        receiver: "everybody".to_owned(),
        operation: Operation::Message,
        amount: 0,
        payload: vec![7; 100],
        timestamp: 1,
        expiry: 0,
        fee,
        nonce,
    };
    draft.with_witnesses(Vec::new()).expect("within limits")
}

/// One of each of many senders, of a hundred sources.
fn of_many(numbers: std::ops::Range<u64>) -> Vec<(Source, Transaction)> {
    let one = |number| {
        let fee = scramble(number) % 10_000;
        (Source(number % 100), transaction(number, 1, fee))
    };
    numbers.map(one).collect()
}

/// Several of each of some senders.
fn of_some(numbers: std::ops::Range<u64>) -> Vec<(Source, Transaction)> {
    let one = |number| {
        let (sender, nonce) = (number % SENDERS, 1 + number / SENDERS);
        let fee = scramble(number) % 10_000;
        (Source(sender % 100), transaction(sender, nonce, fee))
    };
    numbers.map(one).collect()
}

/// Nine of ten are an attacker's, of one source, under a new name each, and dearer than all others.
fn under_attack(numbers: std::ops::Range<u64>) -> Vec<(Source, Transaction)> {
    let one = |number| match number % 10 {
        0 => {
            let fee = scramble(number) % 10_000;
            (Source(number / 10 % 100), transaction(number, 1, fee))
        }
        _ => (Source(1_000), transaction(number, 1, 1 << 40)),
    };
    numbers.map(one).collect()
}

fn bounds(transactions_max: usize) -> Bounds {
    Bounds {
        transactions_max,
        bytes_max: usize::MAX >> 8,
        sender_percent: 100,
        source_percent: 50,
        age_max_us: u64::MAX,
    }
}

fn enter(pool: &mut Pool, all: Vec<(Source, Transaction)>) {
    let account = Account {
        balance: u64::MAX,
        ..Account::default()
    };
    for (source, transaction) in all {
        let entered = pool.enter(transaction, source, &account, 1);
        assert!(!matches!(entered, Entered::Again | Entered::Used));
    }
}

fn pool_of(bounds: Bounds, all: Vec<(Source, Transaction)>) -> Pool {
    let mut pool = Pool::new(bounds, Terms::default());
    enter(&mut pool, all);
    pool
}

/// A copy in which these have been and have left again: a copy alone has no place for more, and the first to come would have all of it moved.
fn with_room(pool: &Pool, all: Vec<(Source, Transaction)>) -> Pool {
    let mut pool = pool.clone();
    enter(&mut pool, all.clone());
    for (_, transaction) in &all {
        pool.refuse(transaction);
    }
    pool
}

type Made = fn(std::ops::Range<u64>) -> Vec<(Source, Transaction)>;

/// Each as (name, what waits and comes). The attacker's share is nine tenths only if shares let it.
const LOADS: [(&str, Made); 3] = [
    ("one each of many senders", of_many),
    ("several each of 10,000 senders", of_some),
    ("nine tenths an attacker's", under_attack),
];

fn entering(criterion: &mut Criterion<ProcessorTime>) {
    let count = waiting();
    let mut group = criterion.benchmark_group("pool enter");
    group.sample_size(10);
    group.throughput(Throughput::Elements(BATCH));
    let next = count..count + BATCH;
    group.bench_function("baseline: a map and an order", |bencher| {
        let mut found: HashMap<(String, u64), u64> = HashMap::new();
        let mut order: BTreeMap<(u64, u64), Transaction> = BTreeMap::new();
        let put =
            |found: &mut HashMap<_, _>, order: &mut BTreeMap<_, _>, number, one: Transaction| {
                found.insert((one.sender().to_owned(), one.nonce()), number);
                order.insert((one.fee(), number), one);
            };
        for (number, (_, one)) in (0..).zip(of_many(0..count)) {
            put(&mut found, &mut order, number, one);
        }
        bencher.iter_batched_ref(
            || (found.clone(), order.clone(), of_many(next.clone())),
            |(found, order, all)| {
                for (number, (_, one)) in (count..).zip(std::mem::take(all)) {
                    put(found, order, number, one);
                }
            },
            BatchSize::PerIteration,
        );
    });
    for (name, made) in LOADS {
        let roomy = Bounds {
            source_percent: 100,
            ..bounds(1 << 20)
        };
        let pool = pool_of(roomy, made(0..count));
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || (with_room(&pool, made(next.clone())), made(next.clone())),
                |(pool, all)| enter(pool, std::mem::take(all)),
                BatchSize::PerIteration,
            );
        });
    }
    let comes = of_many(count * 2..count * 2 + BATCH);
    let mut full = pool_of(bounds(count as usize), of_many(0..count * 2));
    // Places for what enters before something leaves for it.
    enter(&mut full, of_many(count * 3..count * 3 + 2));
    group.bench_function("into a full pool", |bencher| {
        bencher.iter_batched_ref(
            || (full.clone(), comes.clone()),
            |(pool, all)| enter(pool, std::mem::take(all)),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn selecting(criterion: &mut Criterion<ProcessorTime>) {
    let count = waiting();
    let mut group = criterion.benchmark_group("pool select");
    group.sample_size(20);
    group.throughput(Throughput::Elements(BLOCK as u64));
    let room = Room {
        transactions: BLOCK,
        bytes: 1 << 28,
        spare: 0,
    };
    for (name, made) in LOADS {
        let roomy = Bounds {
            source_percent: 100,
            ..bounds(1 << 20)
        };
        // Shares count for the block alone: to have nine tenths, the attacker needs a pool without them.
        let pool = pool_of(roomy, made(0..count)).with_source_percent(50);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let selected = black_box(&pool).select(room);
                assert_eq!(selected.len(), BLOCK);
                selected
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(ProcessorTime);
    targets = entering, selecting
}
criterion_main!(benches);
