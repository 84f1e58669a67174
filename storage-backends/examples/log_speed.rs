//! Measures the append-log beside a plain file with checksums and the same syncs: append, look-ups, opening, pruning.
//!
//!     cargo run --release -p hubledger-storage --example log_speed -- DIR [TRANSACTIONS]
//!     cargo run --release -p hubledger-storage --example log_speed -- DIR TRANSACTIONS killed
//!
//! Blocks of 1,000 transactions of 300 bytes with unique ids, durable every 10 blocks; a run for the plain file and one for
//! the log in turn, so that both meet the same noise. The second form measures opening after a child was killed by SIGKILL
//! while it appended to a chain of so many transactions.

#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hubledger_storage::{Block, Durability, Id, IndexEntry, Location, LogOptions, Part, Store};

const BLOCK: u64 = 1000;
const RUN: u64 = 10;
const TRANSACTION_BYTES: usize = 300;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().expect("a directory to work in");
    let transactions: u64 = arguments.next().map_or(1_000_000, |n| n.parse().unwrap());
    let (blocks, place) = (transactions / BLOCK, Path::new(&directory));
    std::fs::create_dir_all(place).unwrap();
    let noise = noise();
    let chain = place.join("chain");
    match arguments.next().as_deref() {
        Some("killed") => return killed(&directory, transactions, &chain),
        Some("child") => return append_for_ever(&chain, blocks, &noise),
        _ => {}
    }

    let options = LogOptions::default();
    let mut store = options.create(&chain).unwrap();
    append(&mut store, &place.join("plain"), blocks, &noise);
    let resident = resident_bytes();

    let started = Instant::now();
    drop(store);
    println!(
        "close           {:7.1} ms",
        started.elapsed().as_secs_f64() * 1e3
    );
    let started = Instant::now();
    let mut store = options.open(&chain).unwrap();
    println!(
        "open            {:7.1} ms",
        started.elapsed().as_secs_f64() * 1e3
    );
    println!(
        "resident memory {:7.1} MB, maps of files excluded",
        resident as f64 / 1e6
    );

    look_up(&store, transactions);
    let usage = store.reader.usage().unwrap();
    println!("{usage:?}");
    for part in [Part::Body, Part::Index] {
        let started = Instant::now();
        let before = store.reader.usage().unwrap().bytes_on_disk;
        let receipt = store.writer.prune(part, blocks / 2, u64::MAX).unwrap();
        let after = store.reader.usage().unwrap().bytes_on_disk;
        println!(
            "prune half      {:7.1} ms, of the {part}'s {} bytes {} back, the files smaller by {}",
            started.elapsed().as_secs_f64() * 1e3,
            receipt.bytes,
            receipt.freed_bytes,
            before.saturating_sub(after)
        );
    }
    println!("{:?}", store.reader.usage().unwrap());
    drop(store);
    std::fs::remove_dir_all(&chain).unwrap();
}

fn per(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e6 / count as f64
}

/// Bytes that don't compress, for the bodies.
fn noise() -> Bytes {
    let mut state = 1_u64;
    let words = (0..BLOCK as usize * TRANSACTION_BYTES / 8).flat_map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state ^ state >> 29).to_le_bytes()
    });
    words.collect::<Vec<u8>>().into()
}

fn id(kind: u64, number: u64) -> Id {
    let mut id = Id::default();
    let mut state = kind << 56 ^ number;
    for chunk in id.chunks_exact_mut(8) {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        chunk.copy_from_slice(&(mixed ^ mixed >> 31).to_le_bytes());
    }
    id
}

fn block(height: u64, noise: &Bytes) -> Block {
    Block {
        height,
        id: id(1, height),
        header: noise.slice(..300),
        body: noise.clone(),
        index: (0..BLOCK)
            .map(|position| IndexEntry {
                key: id(2, height * BLOCK + position),
                position: position as u32,
            })
            .collect(),
    }
}

fn runs(blocks: std::ops::Range<u64>, noise: &Bytes) -> impl Iterator<Item = Vec<Block>> + '_ {
    blocks.clone().step_by(RUN as usize).map(move |first| {
        let end = (first + RUN).min(blocks.end);
        (first..end).map(|height| block(height, noise)).collect()
    })
}

/// How long this thread has been running on a processor, whatever else the machine does.
fn thread_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text
        .split_whitespace()
        .next()
        .and_then(|field| field.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

/// Appends to a store and, in turn, to a plain file, whose time is that of the writes and syncs alone.
fn append(store: &mut Store, plain: &Path, blocks: u64, noise: &Bytes) {
    let mut file = File::create(plain).unwrap();
    let (mut of_file, mut of_log) = (Meter::new("plain file", blocks), Meter::new("log", blocks));
    for run in runs(0..blocks, noise) {
        of_file.measure(run.len() as u64, || {
            for block in &run {
                let checksum = crc32c::crc32c(&block.body);
                file.write_all(&checksum.to_le_bytes()).unwrap();
                file.write_all(&block.body).unwrap();
            }
            file.sync_data().unwrap();
        });
        of_log.measure(run.len() as u64, || {
            store.writer.append(&run, Durability::Disk).unwrap();
        });
    }
    std::fs::remove_file(plain).unwrap();
    let total = |meter: &Meter| meter.total.took.as_secs_f64();
    let (plain, log) = (of_file.median(), of_log.median());
    println!(
        "of the plain file's rate {:.2} in all, {:.2} by the median run ({:.2} and {:.2} ms)",
        total(&of_file) / total(&of_log),
        plain / log,
        plain * 1e3,
        log * 1e3
    );
}

/// Appends until it is killed; says when the chain is as long as it should be.
fn append_for_ever(chain: &Path, blocks: u64, noise: &Bytes) {
    let options = LogOptions::default();
    let mut store = match chain.exists() {
        true => options.open(chain).unwrap(),
        false => options.create(chain).unwrap(),
    };
    let end = store.reader.extent().unwrap().end;
    for run in runs(end..u64::MAX, noise) {
        let receipt = store.writer.append(&run, Durability::Disk).unwrap();
        if receipt.end >= blocks {
            println!("{}", receipt.end);
        }
    }
}

/// Has a child append, kills it in the middle, and opens; again and again, so that the open segment is once of each length.
fn killed(directory: &str, transactions: u64, chain: &Path) {
    let (mut times, mut worked) = (Vec::new(), Vec::new());
    for _ in 0..8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([directory, &transactions.to_string(), "child"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // An eighth of a segment more each time.
        let end = lines.map_while(Result::ok).nth(12).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let (started, before) = (Instant::now(), thread_time());
        let store = LogOptions::default().open(chain).unwrap();
        times.push(started.elapsed().as_secs_f64() * 1e3);
        worked.push((thread_time() - before).as_secs_f64() * 1e3);
        println!(
            "open after SIGKILL at {end} blocks or more: {:.1} ms, {:.1} on the processor",
            times[times.len() - 1],
            worked[worked.len() - 1]
        );
        drop(store);
    }
    for (what, mut times) in [("open", times), ("on the processor", worked)] {
        times.sort_by(f64::total_cmp);
        println!(
            "{transactions} transactions: {what}, median {:.1} ms, longest {:.1} ms",
            times[times.len() / 2],
            times[times.len() - 1]
        );
    }
    std::fs::remove_dir_all(chain).unwrap();
}

/// Prints what each tenth of some blocks took, and all of them.
struct Meter {
    what: &'static str,
    step: u64,
    end: u64,
    done: u64,
    total: Spent,
    part: Spent,
    runs: Vec<Duration>,
}

#[derive(Default)]
struct Spent {
    blocks: u64,
    took: Duration,
    worked: Duration,
    longest: Duration,
}

impl Meter {
    fn new(what: &'static str, end: u64) -> Self {
        Self {
            what,
            step: (end / 10).next_multiple_of(RUN),
            end,
            done: 0,
            total: Spent::default(),
            part: Spent::default(),
            runs: Vec::new(),
        }
    }

    /// Seconds of the run in the middle.
    fn median(&mut self) -> f64 {
        self.runs.sort_unstable();
        self.runs
            .get(self.runs.len() / 2)
            .map_or(0.0, Duration::as_secs_f64)
    }

    fn measure(&mut self, blocks: u64, work: impl FnOnce()) {
        let (started, before) = (Instant::now(), thread_time());
        work();
        let (took, worked) = (started.elapsed(), thread_time() - before);
        for spent in [&mut self.total, &mut self.part] {
            spent.blocks += blocks;
            spent.took += took;
            spent.worked += worked;
            spent.longest = spent.longest.max(took);
        }
        self.runs.push(took);
        self.done += blocks;
        if self.done.is_multiple_of(self.step) {
            self.part
                .print(&format!("{} to {}", self.what, self.done * BLOCK));
            self.part = Spent::default();
        }
        if self.done == self.end {
            self.total.print(self.what);
        }
    }
}

impl Spent {
    fn print(&self, what: &str) {
        println!(
            "{what:24} {:7.3} µs a transaction, {:.3} on the processor, the longest run {:.1} ms",
            per(self.took, self.blocks * BLOCK),
            per(self.worked, self.blocks * BLOCK),
            self.longest.as_secs_f64() * 1e3
        );
    }
}

fn look_up(store: &Store, transactions: u64) {
    let count = 200_000;
    for (what, kind) in [("hit", 2), ("miss", 3)] {
        for round in ["cold", "warm"] {
            let keys: Vec<_> = (0..count)
                .map(|number| {
                    id(7, number)[0..8]
                        .try_into()
                        .map(u64::from_le_bytes)
                        .unwrap()
                        % transactions
                })
                .map(|number| (number, id(kind, number)))
                .collect();
            let started = Instant::now();
            for (number, key) in &keys {
                let found = store.reader.locate(key).unwrap();
                match found {
                    Location::Found { height, position } => {
                        assert_eq!(height * BLOCK + u64::from(position), *number);
                    }
                    other => assert!(kind == 3 && other == Location::Absent, "{other:?}"),
                }
            }
            println!(
                "{what:4} {round}       {:7.3} µs",
                per(started.elapsed(), count)
            );
        }
    }
}

/// Resident memory that is not of files.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}
