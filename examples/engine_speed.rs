//! How fast the engine is beside its own parts: each ratio of figures that were measured in turns, in one run.
//!
//!     cargo run --release --example engine_speed -- FOLDER [TRANSACTIONS]
//!
//! The folder should be on the disk that is meant: imports there are durable.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hubledger::clock::SystemClock;
use hubledger::engine::{Engine, Outcome, WhenFull};
use hubledger::generate::{Generator, Recipe};
use hubledger::merkle::Tree;
use hubledger::model::{Block, Draft, Kind, Operation, Transaction};
use hubledger::produce::produce;
use hubledger::signature::{Item, PublicKey, Settings, Signature, Verifier};
use hubledger::validate::{Depth, Validator};
use hubledger_storage::{Durability, StoreUrl};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const TURNS: usize = 5;

fn main() -> Result {
    let mut args = std::env::args().skip(1);
    let folder = args.next().ok_or("which folder?")?;
    let transactions = args.next().map_or(Ok(200_000), |number| number.parse())?;
    let workload = Workload::new(transactions)?;
    imports(&workload, Path::new(&folder))?;
    admission(&workload)?;
    producing(&workload, Path::new(&folder))?;
    small_figures()
}

/// The workload "hub": 64 senders, 200-byte payloads, blocks of 1,000.
struct Workload {
    generator: Generator,
    blocks: Vec<Bytes>,
    transactions: Vec<Transaction>,
    claims: Vec<(PublicKey, [u8; 39], Signature)>,
}

impl Workload {
    fn new(transactions: u64) -> Result<Self> {
        let recipe = Recipe {
            transactions,
            ..Recipe::default()
        };
        let mut generator = Generator::new(recipe)?;
        let (mut blocks, mut all, mut claims) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(block) = generator.next_block()? {
            for transaction in block.transactions() {
                let message = transaction.signed_message();
                let witnesses = transaction.witnesses();
                claims.extend(witnesses.map(|witness| (witness.key, message, witness.signature)));
            }
            blocks.push(block.encode().into());
            all.extend_from_slice(block.transactions());
        }
        Ok(Self {
            generator,
            blocks,
            transactions: all,
            claims,
        })
    }

    fn count(&self) -> f64 {
        self.transactions.len() as f64
    }
}

/// Signatures a second of the signature engine alone, on so many threads that share one verifier.
fn signatures_alone(workload: &Workload, threads: usize) -> Result<f64> {
    const BATCH: usize = 4096;
    let verifier = Verifier::new(&Settings::default())?;
    let next = AtomicUsize::new(0);
    let started = Instant::now();
    let valid = thread::scope(|scope| {
        let work = || {
            let mut valid = true;
            loop {
                let start = next.fetch_add(BATCH, Ordering::Relaxed);
                let Some(rest) = workload.claims.get(start..) else {
                    return valid;
                };
                let batch = &rest[..rest.len().min(BATCH)];
                let items: Vec<Item<'_>> = batch
                    .iter()
                    .map(|(key, message, signature)| Item {
                        key,
                        message,
                        signature,
                    })
                    .collect();
                valid &= verifier.verify(&items).all_valid();
            }
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .all(|thread| thread.join().unwrap_or(false))
    });
    assert!(valid, "all signatures are good");
    Ok(workload.count() / started.elapsed().as_secs_f64())
}

/// Transactions a second, imported into a new `log:`, durable; with `admitted`, all were admitted before.
fn import(workload: &Workload, folder: &Path, threads: usize, admitted: bool) -> Result<f64> {
    let directory = store(folder);
    let url: StoreUrl = format!("log:{}", directory.display()).parse()?;
    let builder = Engine::builder().threads(threads).settings(|settings| {
        settings.verified_transactions = 4 * workload.transactions.len();
        settings.pool_transactions = workload.transactions.len();
        settings.pool_bytes = usize::MAX;
    });
    let engine = builder.create(url.create()?, workload.generator.spec())?;
    if admitted {
        for transactions in workload.transactions.chunks(8_000) {
            let tickets: std::result::Result<Vec<_>, _> = transactions
                .iter()
                .map(|transaction| engine.submit(transaction.clone(), WhenFull::Wait))
                .collect();
            for ticket in tickets? {
                ticket.wait()?.map_err(|fault| fault.detail)?;
            }
        }
    }
    let started = Instant::now();
    for outcome in engine.import(workload.blocks.iter().cloned()) {
        let Outcome::Committed { receipt, .. } = outcome? else {
            return Err("not committed".into());
        };
        assert_eq!(receipt.durability, Durability::Disk);
    }
    let rate = workload.count() / started.elapsed().as_secs_f64();
    engine.shutdown()?;
    Ok(rate)
}

fn store(folder: &Path) -> PathBuf {
    folder.join(format!("engine-speed-{}", std::process::id()))
}

/// Removes what the import before left, which is no part of any figure.
fn clear(folder: &Path) -> Result {
    let directory = store(folder);
    if directory.exists() {
        std::fs::remove_dir_all(&directory)?;
    }
    Ok(())
}

/// Processor seconds of this process so far: they tell what is needed also where others use the machine.
#[cfg(target_os = "linux")]
fn processor_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default().as_secs_f64()
}

#[cfg(not(target_os = "linux"))]
fn processor_seconds() -> f64 {
    f64::NAN
}

/// The rate of some work by the clock, and by the processor time that it took for each transaction.
fn measured(workload: &Workload, work: impl FnOnce() -> Result<f64>) -> Result<[f64; 2]> {
    let before = processor_seconds();
    let rate = work()?;
    let micros = 1e6 * (processor_seconds() - before) / workload.count();
    Ok([rate, micros])
}

fn imports(workload: &Workload, folder: &Path) -> Result {
    let mut samples = Vec::new();
    for _ in 0..TURNS {
        let alone =
            [1, 2].map(|threads| measured(workload, || signatures_alone(workload, threads)));
        clear(folder)?;
        let one = measured(workload, || import(workload, folder, 1, false))?;
        clear(folder)?;
        let two = measured(workload, || import(workload, folder, 2, false))?;
        let [alone_one, alone_two] = alone;
        samples.push([alone_one?, alone_two?, one, two]);
    }
    let names = ["S, 1 thread", "S, 2 threads", "import, 1", "import, 2"];
    for (at, name) in names.iter().enumerate() {
        let [rate, micros] = [0, 1].map(|what| median(samples.iter().map(|turn| turn[at][what])));
        println!("{name:<28} {rate:>12.0} /s {micros:>8.2} µs of processor each");
    }
    let admitted = (0..TURNS).map(|_| {
        clear(folder)?;
        import(workload, folder, 2, true)
    });
    let admitted: Result<Vec<f64>> = admitted.collect();
    let admitted = median(admitted?.into_iter());
    println!("{:<28} {admitted:>12.0} /s", "import admitted, 2");
    let ratios = [
        ("import / S, 2 threads", 3, 1),
        ("import / S, 1 thread", 2, 0),
        ("import, 2 / 1 threads", 3, 2),
        ("S, 2 / 1 threads", 1, 0),
    ];
    for (name, above, below) in ratios {
        let ratios = samples.iter().map(|turn| turn[above][0] / turn[below][0]);
        println!("{name:<28} {:>12.2}", median(ratios));
    }
    let processor = samples.iter().map(|turn| turn[1][1] / turn[3][1]);
    println!(
        "{:<28} {:>12.2}",
        "import / S, by processor",
        median(processor)
    );
    Ok(())
}

/// The highest rate of admission, and the latency at four fifths of it.
fn admission(workload: &Workload) -> Result {
    let open = || -> Result<Engine> {
        let url: StoreUrl = "memory:".parse()?;
        let builder = Engine::builder().threads(2).settings(|settings| {
            settings.pool_transactions = workload.transactions.len();
            settings.pool_bytes = usize::MAX;
        });
        Ok(builder.create(url.create()?, workload.generator.spec())?)
    };
    let engine = open()?;
    let started = Instant::now();
    let mut last = None;
    for transaction in &workload.transactions {
        last = Some(engine.submit(transaction.clone(), WhenFull::Wait)?);
    }
    if let Some(last) = last {
        last.wait()?.map_err(|fault| fault.detail)?;
    }
    let highest = workload.count() / started.elapsed().as_secs_f64();
    drop(engine);
    let engine = open()?;
    let pause = Duration::from_secs_f64(100.0 / (0.8 * highest));
    let started = Instant::now();
    for (number, transactions) in (0..).zip(workload.transactions.chunks(100)) {
        thread::sleep((pause * number).saturating_sub(started.elapsed()));
        for transaction in transactions {
            engine.submit(transaction.clone(), WhenFull::Wait)?;
        }
    }
    engine.shutdown()?;
    let latency = engine.metrics().admission_latency;
    println!("{:<28} {highest:>12.0} /s", "admission, highest");
    for quantile in [0.5, 0.99, 0.999] {
        let latency = latency.quantile(quantile);
        println!(
            "admission p{:<17} {latency:>14.1?} (at most)",
            quantile * 100.0
        );
    }
    Ok(())
}

/// How long a block of 1,000 takes to be produced, sealed and committed, when its signatures were checked.
fn producing(workload: &Workload, folder: &Path) -> Result {
    let directory = folder.join(format!("engine-produce-{}", std::process::id()));
    let url: StoreUrl = format!("log:{}", directory.display()).parse()?;
    let engine = Engine::builder().threads(2);
    let engine = engine.create(url.create()?, workload.generator.spec())?;
    let key = workload.generator.authority().1;
    let mut seconds = Vec::new();
    for transactions in workload.transactions.chunks(1_000).take(20) {
        for transaction in transactions {
            engine.submit(transaction.clone(), WhenFull::Wait)?;
        }
        while engine.metrics().waiting_transactions < transactions.len() as u64 {
            thread::yield_now();
        }
        let started = Instant::now();
        let outcome = engine.produce(key)?;
        seconds.push(started.elapsed().as_secs_f64());
        assert!(matches!(
            outcome,
            Outcome::Committed {
                transactions: 1_000,
                ..
            }
        ));
    }
    engine.shutdown()?;
    drop(engine);
    std::fs::remove_dir_all(&directory)?;
    println!(
        "{:<28} {:>12.2} ms",
        "a block of 1,000 produced",
        1e3 * median(seconds.into_iter())
    );
    Ok(())
}

/// The things that the original gives figures for.
fn small_figures() -> Result {
    let recipe = Recipe {
        transactions: 100_000,
        per_block: 100,
        ..Recipe::default()
    };
    let mut generator = Generator::new(recipe)?;
    let first = generator.next_block()?.ok_or("a block")?;
    let spec = generator.spec().clone();
    let (producer, key) = generator.authority();
    let draft = |nonce: u64| Draft {
        kind: Kind::Native,
        chain: spec.id(),
        sender: "node-1".to_owned(),
        receiver: "node-2".to_owned(),
        operation: Operation::Message,
        amount: 0,
        payload: vec![7; 100],
        timestamp: spec.genesis_time,
        expiry: 0,
        fee: 0,
        nonce,
    };
    rate("transactions created", 1, || {
        std::hint::black_box(draft(7).with_witnesses(Vec::new()))?;
        Ok(())
    })?;
    let validator = Validator::new(spec.clone());
    let now = spec.genesis_time + 1_000_000;
    rate("blocks of 100 built, sealed", 1, || {
        let state = validator.state();
        let block = produce(&spec, state, producer, key, first.transactions(), now)?;
        std::hint::black_box(block);
        Ok(())
    })?;
    rate("blocks of 100 built", 1, || {
        let state = validator.state();
        let draft = hubledger::produce::draft(&spec, state, producer, first.transactions(), now)?;
        std::hint::black_box(draft);
        Ok(())
    })?;
    let thousand: Vec<_> = (0..10).flat_map(|_| first.leaf_hashes()).collect();
    rate("Merkle proofs of 1,000", 1_000, || {
        let tree = Tree::new(thousand.clone());
        for index in 0..1_000 {
            std::hint::black_box(tree.inclusion_path(index));
        }
        Ok(())
    })?;
    let mut chain = Validator::new(spec.clone());
    let mut empty: Vec<Bytes> = Vec::new();
    for number in 1..=1_000 {
        let now = spec.genesis_time + number;
        let block = produce(&spec, chain.state(), producer, key, &[], now)?;
        let valid = chain
            .check(&block, Depth::Replay)
            .map_err(|rejected| rejected.detail)?;
        chain.apply(&valid);
        empty.push(block.encode().into());
    }
    let verifier = Arc::new(Verifier::new(&Settings::default())?);
    let now_us = hubledger::clock::Clock::now_us(&SystemClock);
    let chains = |count: usize| -> Result {
        for _ in 0..count {
            let mut validator = Validator::new(spec.clone());
            validator.set_verifier(Arc::clone(&verifier));
            let blocks: std::result::Result<Vec<_>, _> = empty.iter().map(Block::decode).collect();
            let (valid, rejected) = validator.check_run(&blocks?, Depth::Full { now_us });
            assert_eq!((valid.len(), rejected), (1_000, None));
        }
        Ok(())
    };
    rate("empty chains, 2 threads", 2, || {
        thread::scope(|scope| {
            let other = scope.spawn(|| chains(1));
            chains(1)?;
            other.join().map_err(|_| "a thread panicked")?
        })
    })
}

/// Prints how often `work`, which does `items` each time, was done in a second; the median of a few tries.
fn rate(name: &str, items: u64, mut work: impl FnMut() -> Result) -> Result {
    let mut rates = Vec::new();
    for _ in 0..TURNS {
        let (started, mut count) = (Instant::now(), 0);
        while started.elapsed() < Duration::from_millis(200) {
            work()?;
            count += items;
        }
        rates.push(count as f64 / started.elapsed().as_secs_f64());
    }
    println!("{name:<28} {:>12.0} /s", median(rates.into_iter()));
    Ok(())
}

fn median(samples: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = samples.collect();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
