//! Measures the tables of a log: loading, look-ups and updates.
//!
//!     cargo run --release -p hubledger-storage --example table_speed -- DIR [MILLIONS]
//!
//! Loads so many million rows of 20-byte keys and 100-byte values in commits of 100,000, looks up random ones, then loads a tenth of as
//! many rows of 1 KiB and updates 100,000 random ones in each of 30 commits. It writes some gigabytes into DIR, which it removes again.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hubledger_storage::{
    Durability, KeyRange, LogOptions, Position, RangeLimit, Result, Store, TableChange, TableCommit,
};

const COMMIT_ROWS: u64 = 100_000;
const UPDATES: u64 = 30;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().unwrap_or_else(|| "table-speed".to_owned());
    let millions = arguments
        .next()
        .and_then(|word| word.parse().ok())
        .unwrap_or(10);
    let directory = Path::new(&directory);
    let measured = measure(directory, millions);
    let _ = fs::remove_dir_all(directory);
    if let Err(error) = measured {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn measure(directory: &Path, millions: u64) -> Result<()> {
    let mut store = LogOptions::default().create(directory)?;
    let rows = millions * 1_000_000;
    for (set, is_ordered) in [("ordered", true), ("random", false)] {
        load(&mut store, set, rows, is_ordered, 100)?;
        look_up(&store, set, rows)?;
        store.tables.remove(set)?;
    }
    let rows = rows / 10;
    load(&mut store, "large", rows, false, 1024)?;
    update(&mut store, "large", rows, 1024)
}

/// A number that looks random, another for each other one.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}

fn key(number: u64, is_ordered: bool) -> [u8; 20] {
    let mut key = [7; 20];
    let number = if is_ordered { number } else { mixed(number) };
    key[..8].copy_from_slice(&number.to_be_bytes());
    key
}

fn change(number: u64, is_ordered: bool, value: &[u8]) -> TableChange {
    TableChange {
        table: 0,
        key: key(number, is_ordered).to_vec().into(),
        value: Some(Bytes::copy_from_slice(value)),
    }
}

/// Bytes that this process had written so far.
fn written() -> u64 {
    let io = fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = io
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}

/// Most memory that this process had, in MiB.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) >> 10
}

fn commit(
    store: &mut Store,
    set: &str,
    height: u64,
    changes: Vec<TableChange>,
) -> Result<Duration> {
    let position = Position {
        height,
        id: [0; 32],
    };
    let commit = TableCommit {
        position: Some(position),
        undo_floor: height,
        changes,
    };
    let start = Instant::now();
    store.tables.commit(set, &commit, Durability::Memory)?;
    Ok(start.elapsed())
}

fn load(
    store: &mut Store,
    set: &str,
    rows: u64,
    is_ordered: bool,
    value_bytes: usize,
) -> Result<()> {
    let before = written();
    let (mut busy, mut longest) = (Duration::ZERO, Duration::ZERO);
    let value = vec![5; value_bytes];
    let all = Instant::now();
    for first in (0..rows).step_by(COMMIT_ROWS as usize) {
        let numbers = first..first + COMMIT_ROWS;
        let mut changes: Vec<_> = numbers.map(|n| change(n, is_ordered, &value)).collect();
        changes.sort_by(|one, other| one.key.cmp(&other.key));
        let took = commit(store, set, first + 1, changes)?;
        busy += took;
        longest = longest.max(took);
    }
    store.tables.sync()?;
    settle(store, set)?;
    let bytes = (written() - before) as f64 / (rows * (20 + value_bytes as u64)) as f64;
    println!(
        "load {set}: {:.2} M rows/s in commits, longest {longest:.0?}, all {:.1?}; {bytes:.2} bytes written a byte; at most {} MiB of memory",
        rows as f64 / busy.as_secs_f64() / 1e6,
        all.elapsed(),
        memory(),
    );
    Ok(())
}

/// Waits until what is on the disk stays the same: merging is over.
fn settle(store: &Store, _set: &str) -> Result<()> {
    let mut before = 0;
    loop {
        let now = store.reader.usage()?.bytes_on_disk;
        if now == before {
            return Ok(());
        }
        before = now;
        std::thread::sleep(Duration::from_secs(2));
    }
}

fn look_up(store: &Store, set: &str, rows: u64) -> Result<()> {
    let view = store.reader.tables().view(set)?;
    let is_ordered = set == "ordered";
    const ASKED: u64 = 1_000_000;
    for round in ["first", "again"] {
        let start = Instant::now();
        let mut found = 0;
        for number in 0..ASKED {
            let key = key(mixed(number) % rows, is_ordered);
            found += u64::from(view.get(0, &key)?.is_some());
        }
        let each = start.elapsed() / ASKED as u32;
        println!("get {set}, {round}: {each:?} each, {found} of {ASKED} found");
    }
    let start = Instant::now();
    for number in 0..ASKED {
        let key = key(mixed(number) | 1 << 63, true);
        view.get(1, &key)?;
    }
    println!(
        "get of absent keys: {:?} each",
        start.elapsed() / ASKED as u32
    );
    let limit = RangeLimit {
        rows: rows as usize,
        bytes: 64 << 20,
    };
    let start = Instant::now();
    let read = view.range(0, &KeyRange::default(), limit)?.len();
    println!(
        "range: {:.2} M rows/s",
        read as f64 / start.elapsed().as_secs_f64() / 1e6
    );
    Ok(())
}

fn update(store: &mut Store, set: &str, rows: u64, value_bytes: usize) -> Result<()> {
    let before = written();
    let (mut busy, mut longest) = (Duration::ZERO, Duration::ZERO);
    let all = Instant::now();
    let mut updated = 0;
    for round in 0..UPDATES {
        let value = vec![round as u8; value_bytes];
        let numbers = (0..COMMIT_ROWS).map(|n| mixed(round << 32 | n) % rows);
        let mut changes: Vec<_> = numbers.map(|n| change(n, false, &value)).collect();
        changes.sort_by(|one, other| one.key.cmp(&other.key));
        changes.dedup_by(|one, other| one.key == other.key);
        updated += changes.len() as u64;
        let took = commit(store, set, rows + 1 + round, changes)?;
        busy += took;
        longest = longest.max(took);
    }
    store.tables.sync()?;
    settle(store, set)?;
    let bytes = (written() - before) as f64 / (updated * (20 + value_bytes as u64)) as f64;
    println!(
        "update {set}: {:.2} M rows/s in commits, longest {longest:.0?}, all {:.1?}; {bytes:.2} bytes written a byte; {} MiB on the disk; at most {} MiB of memory",
        updated as f64 / busy.as_secs_f64() / 1e6,
        all.elapsed(),
        store.reader.usage()?.bytes_on_disk >> 20,
        memory(),
    );
    Ok(())
}
