//! A process that is killed while it appends, truncates, replaces, prunes or opens loses nothing that was acknowledged, and
//! nothing half-done stays.
//!
//! The test starts this very binary again as a child, which says what it begins and, after each receipt, what the store
//! holds; the test reads some of these lines, kills the child with SIGKILL, and opens the store.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use hubledger_storage::{
    Block, Durability, Extent, IndexOptions, LogOptions, Part, Result, SqliteOptions, Store,
    StoreUrl,
};
use support::{ask_block, ask_index, await_index, block};

/// Tells a child where its store is.
const STORE: &str = "HUBLEDGER_STORAGE_KILL_TEST";
const BODY_BYTES: usize = 3000;
/// Blocks of a run, and how many of them are truncated next: so the end is a multiple of their difference, or, between
/// the two, so many blocks more. Every other time the run is of another branch, and the blocks that stay otherwise replace it.
const RUN: u64 = 7;
const CUT: u64 = 3;
const NET: u64 = RUN - CUT;
/// Blocks whose bodies stay.
const KEPT: u64 = 20;

fn is_end(end: u64) -> bool {
    end.is_multiple_of(NET) || is_uncut(end)
}

fn is_uncut(end: u64) -> bool {
    end % NET == RUN % NET
}

/// Whether the run that begins at an end is of the other branch.
fn is_forked(end: u64) -> bool {
    end / NET % 2 == 1
}

/// The block of the other branch.
fn fork(height: u64) -> Block {
    Block {
        height,
        ..block(height + (1 << 30), BODY_BYTES)
    }
}

/// The block of a height in a store of an end.
fn expected(height: u64, end: u64) -> Block {
    let run = is_uncut(end).then(|| end - RUN);
    match run.is_some_and(|first| height >= first && is_forked(first)) {
        true => fork(height),
        false => block(height, BODY_BYTES),
    }
}

/// What the child does: nothing in an ordinary test run.
#[test]
fn child() {
    let Ok(url) = std::env::var(STORE) else {
        return;
    };
    let url: StoreUrl = url.parse().unwrap();
    say("begin open");
    let mut store = open(&url).unwrap();
    for round in 0.. {
        step(&mut store, round);
        let extent = store.reader.extent().unwrap();
        let Extent {
            body_floor: floor,
            index_floor,
            header_floor,
            end,
        } = extent;
        say(&format!(
            "acknowledged {end} {floor} {index_floor} {header_floor}"
        ));
    }
}

fn step(store: &mut Store, round: u64) {
    let extent = store.reader.extent().unwrap();
    let end = extent.end;
    if round % 8 == 7 {
        say("begin prune");
        for part in Part::ALL {
            let below = end.saturating_sub(KEPT).max(extent.floor_of(part));
            store.writer.prune(part, below, u64::MAX).unwrap();
        }
    } else if is_uncut(end) && is_forked(end - RUN) {
        say("begin replace");
        let first = end - RUN;
        let run: Vec<Block> = (first..end - CUT)
            .map(|height| block(height, BODY_BYTES))
            .collect();
        store
            .writer
            .replace(first - 1, &run, Durability::Os)
            .unwrap();
    } else if is_uncut(end) {
        say("begin truncate");
        store.writer.truncate(end - CUT - 1).unwrap();
    } else {
        say("begin append");
        let run: Vec<Block> = (end..end + RUN)
            .map(|height| match is_forked(end) {
                true => fork(height),
                false => block(height, BODY_BYTES),
            })
            .collect();
        store.writer.append(&run, Durability::Os).unwrap();
    }
}

/// Tells the parent.
fn say(line: &str) {
    println!("\n{line}");
    std::io::stdout().flush().unwrap();
}

/// Few entries in memory, and runs that are merged often.
const SMALL_INDEX: IndexOptions = IndexOptions {
    entries_in_memory: 90,
    fanout: 2,
};

/// Opens the store, in parts so small that kills fall into all that is done with them.
fn open(url: &StoreUrl) -> Result<Store> {
    match url {
        StoreUrl::Log(directory) => {
            let options = LogOptions {
                segment_bytes: 100_000,
                index_fanout: 2,
                direct_bytes: 0,
                ..LogOptions::default()
            };
            match url.exists() {
                true => options.open(directory),
                false => options.create(directory),
            }
        }
        StoreUrl::Sqlite(path) => {
            let options = SqliteOptions {
                index: SMALL_INDEX,
                ..SqliteOptions::default()
            };
            match url.exists() {
                true => options.open(path),
                false => options.create(path),
            }
        }
        #[cfg(feature = "rocksdb")]
        StoreUrl::Rocksdb(directory, options) => {
            let options = hubledger_storage::RocksOptions {
                index: SMALL_INDEX,
                write_buffer_mib: 1,
                ..*options
            };
            match url.exists() {
                true => options.open(directory),
                false => options.create(directory),
            }
        }
        _ => url.open_or_create(),
    }
}

#[cfg(feature = "rocksdb")]
#[test]
fn acknowledged_runs_survive_sigkill_in_rocksdb() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("rocksdb:{}", directory.path().join("chain").display());
    assert_survival(&url.parse().unwrap());
}

#[test]
fn acknowledged_runs_survive_sigkill_in_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    assert_survival(&StoreUrl::Sqlite(directory.path().join("chain.db")));
}

#[test]
fn acknowledged_runs_survive_sigkill_in_a_log() {
    let directory = tempfile::tempdir().unwrap();
    assert_survival(&StoreUrl::Log(directory.path().join("chain")));
}

fn assert_survival(url: &StoreUrl) {
    let mut known = Extent::default();
    for round in 0..4 {
        for (word, count) in [
            ("append", 3 + round * 4),
            ("truncate", 3),
            ("replace", 2 + round),
            ("prune", 1 + round),
        ] {
            known = killed_at(url, word, count, known);
            if word == "append" {
                // What comes up has to be recovered, and that is killed too.
                for _ in 0..=round {
                    known = killed_at(url, "open", 1, known);
                }
            }
            known = assert_whole(url, known);
        }
    }
}

/// Opens the store, which held at least this once, and asks for everything.
fn assert_whole(url: &StoreUrl, known: Extent) -> Extent {
    // First a reader alone, which meets the files as the killed process left them.
    let seen = url.open_read_only().unwrap().extent().unwrap();
    let store = open(url).unwrap();
    let extent = store.reader.extent().unwrap();
    assert_eq!(seen, extent);
    for part in Part::ALL {
        assert!(extent.floor_of(part) >= known.floor_of(part), "{extent:?}");
    }
    // The next step may have been a truncation, or a replacement, which takes off no more in the end.
    assert!(extent.end + CUT >= known.end, "{extent:?}");
    assert!(is_end(extent.end), "{extent:?}: part of a run");
    await_index(&*store.reader);
    for height in 0..extent.end {
        let block = expected(height, extent.end);
        ask_block(&*store.reader, extent, &block).unwrap();
        ask_index(&*store.reader, extent, &block).unwrap();
    }
    assert_eq!(store.reader.header(extent.end).unwrap(), None);
    extent
}

/// Runs a child until it has begun something for some time, and kills it then; gives what it acknowledged last, or what
/// was known before.
fn killed_at(url: &StoreUrl, word: &str, count: usize, known: Extent) -> Extent {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(STORE, url.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut last, mut begun) = (known, 0);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in lines.map_while(std::result::Result::ok) {
        begun += usize::from(line.strip_prefix("begin ") == Some(word));
        last = acknowledgement(&line).unwrap_or(last);
        if begun == count {
            break;
        }
    }
    kill(&mut child);
    assert_eq!(begun, count, "the child goes on until it is killed");
    last
}

fn acknowledgement(line: &str) -> Option<Extent> {
    let numbers = line.strip_prefix("acknowledged ")?.split(' ');
    let numbers: Vec<u64> = numbers.map_while(|number| number.parse().ok()).collect();
    let &[end, floor, index_floor, header_floor] = &numbers[..] else {
        return None;
    };
    Some(Extent {
        body_floor: floor,
        index_floor,
        header_floor,
        end,
    })
}

fn kill(child: &mut Child) {
    // SIGKILL on Unix.
    child.kill().unwrap();
    child.wait().unwrap();
}
