//! A process that is killed while it appends loses nothing that was acknowledged, and nothing half-done
//! stays.
//!
//! The test starts this very binary again as a child, which appends runs and prints the end after each
//! receipt; it reads some of these lines, kills the child with SIGKILL, and opens the store.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use hubledger_storage::{Block, Durability, Extent, StoreUrl};
use support::{ask, block};

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
    let mut store = url.parse::<StoreUrl>().unwrap().open_or_create().unwrap();
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

#[test]
fn acknowledged_runs_survive_sigkill() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("chain.db");
    let mut end = 0;
    for round in 0..8 {
        let (acknowledged, floor) = killed_after(&file, 3 + round * 5);
        assert!(acknowledged > end, "the child continues the chain");
        // First a reader alone, which meets the log as the killed process left it.
        let url = StoreUrl::Sqlite(file.clone());
        let seen = url.open_read_only().unwrap().extent().unwrap();
        let store = url.open().unwrap();
        let extent = store.reader.extent().unwrap();
        assert_eq!(seen, extent);
        assert!(
            extent.end >= acknowledged && extent.floor >= floor,
            "{extent:?}"
        );
        assert_eq!(extent.end % RUN, 0, "part of a run");
        ask(&*store.reader, extent, BODY_BYTES).unwrap();
        end = extent.end;
    }
}

/// Runs a child until it has acknowledged some commits; gives the last end and floor it told of.
fn killed_after(file: &Path, commits: usize) -> (u64, u64) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(STORE, format!("sqlite:{}", file.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
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
