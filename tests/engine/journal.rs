//! What waits for a block waits again after a restart, whatever became of the journal's end.

use std::fs;
use std::path::Path;

use hubledger::engine::{Engine, EngineError, WhenFull};
use hubledger::pool::Source;
use hubledger_storage::MemoryStore;

use crate::common::{Chain, key, reopenable};
use crate::support::engine;

fn open(chain: &Chain, store: &MemoryStore, journal: &Path) -> Engine {
    let builder = Engine::builder().threads(1).settings(|settings| {
        settings.pool_journal = Some(journal.to_owned());
    });
    engine(chain, store, builder)
}

fn submit(engine: &Engine, chain: &Chain, source: u64, sender: &str, nonce: u64) {
    let transaction = chain.message(sender, nonce);
    let submitted = engine.submit_from(Source(source), transaction, WhenFull::Wait);
    submitted.unwrap().wait().unwrap().unwrap();
}

/// Waits until so many wait. What is read from a journal is admitted beside everything else.
fn wait_for(engine: &Engine, count: usize) {
    while engine.pool().size().0 < count {
        std::thread::yield_now();
    }
}

#[test]
fn what_waits_waits_again_after_a_restart_with_its_source_and_without_what_was_used() {
    let chain = Chain::new(1, |_| {});
    let (store, folder) = (reopenable(), tempfile::tempdir().unwrap());
    let journal = folder.path().join("pool");
    let first = open(&chain, &store, &journal);
    submit(&first, &chain, 1, "alice", 1);
    first.produce(&key("hub-0")).unwrap();
    submit(&first, &chain, 1, "alice", 2);
    submit(&first, &chain, 2, "bob", 7);
    first.shutdown().unwrap();
    drop(first);

    let second = open(&chain, &store, &journal);
    wait_for(&second, 2);
    let sources: Vec<_> = second.pool().by_source();
    let sources: Vec<_> = sources
        .iter()
        .map(|one| (one.source.0, one.transactions))
        .collect();
    assert_eq!(sources, [(1, 1), (2, 1)]);
    second.produce(&key("hub-0")).unwrap();
    second.shutdown().unwrap();
    assert_eq!(second.block(2).unwrap().unwrap().transactions().len(), 2);
    assert_eq!(fs::read(&journal).unwrap().len(), 40, "nothing waits");
}

#[test]
fn a_journal_that_a_crash_left_without_its_end_has_all_before() {
    let chain = Chain::new(1, |_| {});
    let folder = tempfile::tempdir().unwrap();
    let (journal, left) = (folder.path().join("pool"), folder.path().join("left"));
    let first = open(&chain, &reopenable(), &journal);
    for nonce in 1..=3 {
        submit(&first, &chain, 1, "alice", nonce);
    }
    let record = chain.message("alice", 1).bytes().len() + 20;
    // Written beside admission: when it has come to all of them, as a crash would leave it then.
    while fs::metadata(&journal).unwrap().len() < (40 + 3 * record) as u64 {
        std::thread::yield_now();
    }
    let bytes = fs::read(&journal).unwrap();
    first.shutdown().unwrap();
    for (end, whole) in [
        (bytes.len() - 1, 2),
        (40 + record, 1),
        (41, 0),
        (17, 0),
        (0, 0),
    ] {
        fs::write(&left, &bytes[..end]).unwrap();
        let again = open(&chain, &reopenable(), &left);
        wait_for(&again, whole);
        // Goes on behind what is sound.
        submit(&again, &chain, 1, "bob", 1);
        assert_eq!(again.pool().size().0, whole + 1);
        again.shutdown().unwrap();
        let all = fs::read(&left).unwrap().len();
        assert_eq!(
            all,
            40 + whole * record + chain.message("bob", 1).bytes().len() + 20
        );
    }
}

#[test]
fn a_file_that_is_something_else_is_refused_and_left_alone() {
    let chain = Chain::new(1, |_| {});
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("pool");
    fs::write(&journal, b"somebody's letters").unwrap();
    let builder = Engine::builder().settings(|settings| {
        settings.pool_journal = Some(journal.clone());
    });
    let opened = builder.create(reopenable().open().unwrap(), chain.spec());
    assert!(matches!(opened, Err(EngineError::PoolJournal { .. })));
    assert_eq!(fs::read(&journal).unwrap(), b"somebody's letters");
}
