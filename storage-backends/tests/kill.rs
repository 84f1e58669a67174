//! A process that is killed while it appends loses nothing that was acknowledged, and nothing half-done
//! stays.
//!
//! The test starts this very binary again as a child, which appends runs and prints the end after each
//! receipt; it reads some of these lines, kills the child with SIGKILL, and opens the store.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use hubledger_storage::{Block, Durability, Extent, LogOptions, Result, Store, StoreUrl};
use support::{ask, await_index, block};

/// Tells a child where its store is.
const STORE: &str = "HUBLEDGER_STORAGE_KILL_TEST";
const BODY_BYTES: usize = 3000;
const RUN: u64 = 7;

/// What the child does: nothing in an ordinary test run.
#[test]
fn child() {
    let Ok(url) = std::env::var(STORE) else {
        return;
    };
    let mut store = open(&url.parse().unwrap()).unwrap();
    loop {
        let Extent { floor, end } = store.reader.extent().unwrap();
        let run: Vec<Block> = (end..end + RUN)
            .map(|height| block(height, BODY_BYTES))
            .collect();
        let receipt = store.writer.append(&run, Durability::Os).unwrap();
        println!("\nacknowledged {} {floor}", receipt.end);
        std::io::stdout().flush().unwrap();
        if end % 5 == 0 {
            let receipt = store.writer.prune(end, u64::MAX).unwrap();
            println!("\nacknowledged {} {}", end + RUN, receipt.floor);
        }
    }
}

/// Opens the store, a log in small segments, so that kills fall into their ends and the indexing too.
fn open(url: &StoreUrl) -> Result<Store> {
    let StoreUrl::Log(directory) = url else {
        return url.open_or_create();
    };
    let options = LogOptions {
        segment_bytes: 100_000,
        index_fanout: 2,
        ..LogOptions::default()
    };
    if url.exists() {
        options.open(directory)
    } else {
        options.create(directory)
    }
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
    let mut end = 0;
    for round in 0..8 {
        let (acknowledged, floor) = killed_after(url, 3 + round * 5);
        assert!(acknowledged > end, "the child continues the chain");
        // First a reader alone, which meets the files as the killed process left them.
        let seen = url.open_read_only().unwrap().extent().unwrap();
        let store = open(url).unwrap();
        let extent = store.reader.extent().unwrap();
        assert_eq!(seen, extent);
        assert!(
            extent.end >= acknowledged && extent.floor >= floor,
            "{extent:?}"
        );
        assert_eq!(extent.end % RUN, 0, "part of a run");
        await_index(&*store.reader);
        ask(&*store.reader, extent, BODY_BYTES).unwrap();
        end = extent.end;
    }
}

/// Runs a child until it has acknowledged some commits; gives the last end and floor it told of.
fn killed_after(url: &StoreUrl, commits: usize) -> (u64, u64) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(STORE, url.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(std::result::Result::ok);
    let last = lines
        .filter_map(|line| acknowledgement(&line))
        .nth(commits - 1);
    kill(&mut child);
    last.expect("the child acknowledges commits until it is killed")
}

fn acknowledgement(line: &str) -> Option<(u64, u64)> {
    let (end, floor) = line.strip_prefix("acknowledged ")?.split_once(' ')?;
    Some((end.parse().ok()?, floor.parse().ok()?))
}

fn kill(child: &mut Child) {
    // SIGKILL on Unix.
    child.kill().unwrap();
    child.wait().unwrap();
}
