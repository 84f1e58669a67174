//! The conformance suite, run by every backend.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use hubledger_storage::conformance::Fixture;
use hubledger_storage::{MemoryStore, Result, Store, StoreUrl, conformance_suite};
use tempfile::TempDir;

struct InMemory(MemoryStore);

impl Fixture for InMemory {
    fn open(&self) -> Result<Store> {
        self.0.open()
    }

    fn break_appends(&self) -> Option<Box<dyn FnOnce()>> {
        None
    }
}

conformance_suite!(memory, || InMemory(MemoryStore::new()));

struct InSqlite(TempDir);

impl InSqlite {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("chain.db")
    }
}

impl Fixture for InSqlite {
    fn open(&self) -> Result<Store> {
        StoreUrl::Sqlite(self.file()).open_or_create()
    }

    // Another connection makes SQLite refuse the second row that an append inserts.
    fn break_appends(&self) -> Option<Box<dyn FnOnce()>> {
        let other = rusqlite::Connection::open(self.file()).unwrap();
        other
            .execute_batch(
                "CREATE TRIGGER fault BEFORE INSERT ON bodies BEGIN SELECT RAISE(ABORT, 'fault'); END",
            )
            .unwrap();
        Some(Box::new(move || {
            other.execute_batch("DROP TRIGGER fault").unwrap()
        }))
    }
}

conformance_suite!(sqlite, InSqlite::new);
