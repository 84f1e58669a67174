//! A process that is killed while it commits to tables, undoes or removes a set loses nothing that was acknowledged, and nothing half-done
//! stays.
//!
//! The test starts this very binary again as a child, which tells the set's position after each receipt; the test reads some of these
//! lines, kills the child with SIGKILL, and opens the store.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use hubledger_storage::{Durability, Store, StoreUrl};

use crate::sample::{ask_view, check, commit};

/// Tells a child where its store is.
const STORE: &str = "HUBLEDGER_TABLES_KILL_TEST";
const SET: &str = "state";
/// Every so many heights the set goes back so many.
const STRIDE: u64 = 7;
const BACK: u64 = 3;
/// At this height it is removed, and begins anew.
const END: u64 = 40;

/// What the child does: nothing in an ordinary test run.
#[test]
fn child() {
    let Ok(url) = std::env::var(STORE) else {
        return;
    };
    let url: StoreUrl = url.parse().unwrap();
    let mut store = url.open_or_create().unwrap();
    let mut has_gone_back = false;
    loop {
        has_gone_back = step(&mut store, has_gone_back);
        let height = height(&store).map_or(0, |height| height + 1);
        println!("\nacknowledged {height}");
        std::io::stdout().flush().unwrap();
    }
}

/// Gives whether the set went back.
fn step(store: &mut Store, has_gone_back: bool) -> bool {
    let next = height(store).map_or(0, |height| height + 1);
    if next > END {
        store.tables.remove(SET).unwrap();
    } else if next.is_multiple_of(STRIDE) && next > 0 && !has_gone_back {
        store.tables.undo(SET, next - 1 - BACK).unwrap();
        return true;
    } else {
        // The same for all heights that it goes back over.
        let floor = (next / STRIDE).saturating_sub(1) * STRIDE;
        let next = commit(next, floor);
        store.tables.commit(SET, &next, Durability::Os).unwrap();
        // Beyond where it went back from, it may go back again.
        return has_gone_back
            && !next
                .position
                .is_some_and(|position| position.height.is_multiple_of(STRIDE));
    }
    false
}

fn height(store: &Store) -> Option<u64> {
    let view = store.reader.tables().view(SET).unwrap();
    view.position().map(|position| position.height)
}

/// Runs a child until it has acknowledged some steps, and kills it then; gives what it acknowledged last.
fn killed_at(url: &StoreUrl, count: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child", "--nocapture", "--test-threads=1"])
        .env(STORE, url.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told = lines
        .map_while(std::result::Result::ok)
        .filter_map(|line| line.strip_prefix("acknowledged ")?.parse().ok());
    let known = told.nth(count - 1);
    // SIGKILL on Unix.
    child.kill().unwrap();
    child.wait().unwrap();
    let known = known.expect("the child goes on until it is killed");
    // What it acknowledged until the kill took effect.
    told.last().unwrap_or(known)
}

fn assert_survival(url: &StoreUrl) {
    for count in 1..30 {
        let known = killed_at(url, 1 + count * 5 % 31);
        // First a reader alone, which meets the files as the killed process left them.
        let reader = url.open_read_only().unwrap();
        let view = reader.tables().view(SET).unwrap();
        let last = view.position().map(|position| position.height);
        ask_view(&*view, last).unwrap();
        let next = last.map_or(0, |last| last + 1);
        // One step more may have been done: a commit, going back, or the removal.
        let after = match known {
            END.. => [known, known + 1, 0],
            _ => [known, known + 1, known.saturating_sub(BACK)],
        };
        assert!(after.contains(&next), "{next} after {known}");
        drop((view, reader));
        assert_eq!(check(url), [""; 0]);
        let store = url.open().unwrap();
        assert_eq!(height(&store), last);
    }
}

#[test]
fn acknowledged_commits_survive_sigkill_in_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    assert_survival(&StoreUrl::Sqlite(directory.path().join("chain.db")));
}

#[cfg(feature = "rocksdb")]
#[test]
fn acknowledged_commits_survive_sigkill_in_rocksdb() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("rocksdb:{}", directory.path().join("chain").display());
    assert_survival(&url.parse().unwrap());
}

#[cfg(feature = "log")]
#[test]
fn acknowledged_commits_survive_sigkill_in_a_log() {
    let directory = tempfile::tempdir().unwrap();
    assert_survival(&StoreUrl::Log(directory.path().join("chain")));
}
