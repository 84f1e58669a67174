//! The conformance suite, run by every backend.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use hubledger_storage::conformance::Fixture;
use hubledger_storage::{LogOptions, MemoryStore, Result, Store, StoreUrl, conformance_suite};
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

struct InLog {
    place: TempDir,
    options: LogOptions,
}

impl InLog {
    fn with(options: LogOptions) -> Self {
        Self {
            place: tempfile::tempdir().unwrap(),
            options,
        }
    }

    fn directory(&self) -> PathBuf {
        self.place.path().join("chain")
    }
}

impl Fixture for InLog {
    fn open(&self) -> Result<Store> {
        let directory = self.directory();
        if directory.exists() {
            self.options.open(&directory)
        } else {
            self.options.create(&directory)
        }
    }

    // In small segments the next run goes to a new segment, whose file's name a directory takes. In one large
    // segment, whose files are open already, there is no way to make a write fail.
    fn break_appends(&self) -> Option<Box<dyn FnOnce()>> {
        if self.options == LogOptions::default() {
            return None;
        }
        let segments = std::fs::read_dir(self.directory())
            .unwrap()
            .filter(|entry| {
                let name = entry.as_ref().unwrap().file_name();
                name.to_string_lossy().starts_with("heads-")
            })
            .count();
        let taken = self.directory().join(format!("bodies-{segments:08}"));
        std::fs::create_dir(&taken).unwrap();
        Some(Box::new(move || std::fs::remove_dir(taken).unwrap()))
    }
}

conformance_suite!(log, || InLog::with(LogOptions::default()));

/// Segments of a few blocks, index files that are merged often.
fn small_segments() -> InLog {
    InLog::with(LogOptions {
        segment_bytes: 2000,
        segment_entries: 16,
        index_fanout: 2,
        index_in_background: true,
    })
}

conformance_suite!(log_in_small_segments, small_segments);
