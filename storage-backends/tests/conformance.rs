//! The conformance suite, run by every backend.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use hubledger_storage::conformance::Fixture;
use hubledger_storage::{
    Durability, IndexOptions, LogOptions, MemoryStore, Position, Result, SqliteOptions, Store,
    TableChange, TableCommit, conformance_suite, table_conformance_suite,
};
use tempfile::TempDir;

struct InMemory(MemoryStore);

impl Fixture for InMemory {
    fn open(&self) -> Result<Store> {
        self.0.open()
    }

    fn break_appends(&self) -> Option<Box<dyn FnOnce()>> {
        None
    }

    fn break_table_commits(&self) -> Option<Box<dyn FnOnce()>> {
        None
    }
}

conformance_suite!(memory, || InMemory(MemoryStore::new()));
table_conformance_suite!(memory_tables, || InMemory(MemoryStore::new()));

/// Few entries in memory, and runs that are merged often.
const SMALL_INDEX: IndexOptions = IndexOptions {
    entries_in_memory: 12,
    fanout: 2,
};

struct InSqlite {
    place: TempDir,
    options: SqliteOptions,
}

impl InSqlite {
    fn with(index: IndexOptions) -> Self {
        Self {
            place: tempfile::tempdir().unwrap(),
            options: SqliteOptions {
                index,
                ..SqliteOptions::default()
            },
        }
    }

    fn file(&self) -> PathBuf {
        self.place.path().join("chain.db")
    }
}

impl Fixture for InSqlite {
    fn open(&self) -> Result<Store> {
        if self.file().exists() {
            self.options.open(&self.file())
        } else {
            self.options.create(&self.file())
        }
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

    fn break_table_commits(&self) -> Option<Box<dyn FnOnce()>> {
        let other = rusqlite::Connection::open(self.file()).unwrap();
        other
            .execute_batch(
                "CREATE TRIGGER fault BEFORE INSERT ON table_rows BEGIN SELECT RAISE(ABORT, 'fault'); END",
            )
            .unwrap();
        Some(Box::new(move || {
            other.execute_batch("DROP TRIGGER fault").unwrap()
        }))
    }
}

conformance_suite!(sqlite, || InSqlite::with(IndexOptions::default()));
table_conformance_suite!(sqlite_tables, || InSqlite::with(IndexOptions::default()));
conformance_suite!(sqlite_with_small_runs, || InSqlite::with(SMALL_INDEX));

#[cfg(feature = "rocksdb")]
struct InRocksdb {
    place: TempDir,
    options: hubledger_storage::RocksOptions,
}

#[cfg(feature = "rocksdb")]
impl InRocksdb {
    fn with(index: IndexOptions) -> Self {
        Self {
            place: tempfile::tempdir().unwrap(),
            options: hubledger_storage::RocksOptions {
                index,
                write_buffer_mib: 1,
                ..hubledger_storage::RocksOptions::default()
            },
        }
    }
}

#[cfg(feature = "rocksdb")]
impl Fixture for InRocksdb {
    fn open(&self) -> Result<Store> {
        let directory = self.place.path().join("chain");
        if directory.exists() {
            self.options.open(&directory)
        } else {
            self.options.create(&directory)
        }
    }

    // Its files are open, and all errors of writing to them come from below; the row store's own reaction is tested
    // with SQLite.
    fn break_appends(&self) -> Option<Box<dyn FnOnce()>> {
        None
    }

    fn break_table_commits(&self) -> Option<Box<dyn FnOnce()>> {
        None
    }
}

#[cfg(feature = "rocksdb")]
conformance_suite!(rocksdb, || InRocksdb::with(IndexOptions::default()));
#[cfg(feature = "rocksdb")]
table_conformance_suite!(rocksdb_tables, || InRocksdb::with(IndexOptions::default()));
#[cfg(feature = "rocksdb")]
conformance_suite!(rocksdb_with_small_runs, || InRocksdb::with(SMALL_INDEX));

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

    // Where commits are written at once, a directory takes the name of the file that they begin with. Kept in memory, they
    // can't fail.
    fn break_table_commits(&self) -> Option<Box<dyn FnOnce()>> {
        if self.options.table_memory_bytes > 0 {
            return None;
        }
        let taken = self.directory().join("tables/set.new");
        std::fs::create_dir(&taken).unwrap();
        Some(Box::new(move || std::fs::remove_dir(taken).unwrap()))
    }
}

conformance_suite!(log, || InLog::with(LogOptions::default()));
table_conformance_suite!(log_tables, || InLog::with(LogOptions::default()));

/// Every commit to tables is written at once.
fn without_table_memory() -> InLog {
    InLog::with(LogOptions {
        index_fanout: 2,
        table_memory_bytes: 0,
        table_cache_bytes: 0,
        ..LogOptions::default()
    })
}

table_conformance_suite!(log_tables_written_at_once, without_table_memory);

/// What a view needs must not be taken for what a crash left, nor its file's name be given to another.
#[test]
fn a_view_of_merged_files_outlives_all_other_handles_of_a_log() {
    let fixture = without_table_memory();
    let commit = |height: u64| TableCommit {
        position: Some(Position {
            height,
            id: [0; 32],
        }),
        undo_floor: height,
        changes: vec![TableChange {
            table: 0,
            key: "key".into(),
            value: Some(height.to_string().into()),
        }],
    };
    let mut views = Vec::new();
    for height in 0..20 {
        let mut store = fixture.open().unwrap();
        let receipt = store
            .tables
            .commit("a", &commit(height), Durability::Memory);
        receipt.unwrap();
        if height % 3 == 0 {
            views.push((height, store.reader.tables().view("a").unwrap()));
        }
        if views.len() > 2 {
            drop(views.remove(0));
        }
        drop(store);
        for (height, view) in &views {
            let found = view.get(0, b"key").unwrap().unwrap();
            assert_eq!(found, height.to_string());
        }
    }
    drop(views);
    let reader = fixture
        .options
        .open_read_only(&fixture.directory())
        .unwrap();
    let view = reader.tables().view("a").unwrap();
    assert_eq!(view.get(0, b"key").unwrap().unwrap(), "19");
}

/// Tables are often written and merged.
fn with_little_table_memory() -> InLog {
    InLog::with(LogOptions {
        index_fanout: 3,
        table_memory_bytes: 8000,
        table_cache_bytes: 1 << 16,
        ..LogOptions::default()
    })
}

table_conformance_suite!(log_tables_in_little_memory, with_little_table_memory);

/// Segments of a few blocks, index files that are merged often.
fn small_segments() -> InLog {
    InLog::with(LogOptions {
        segment_bytes: 2000,
        segment_entries: 16,
        index_fanout: 2,
        index_in_background: true,
        cache_bytes: 1 << 16,
        ..LogOptions::default()
    })
}

conformance_suite!(log_in_small_segments, small_segments);

/// Every durable run is written past the system's cache.
fn past_the_cache() -> InLog {
    InLog::with(LogOptions {
        direct_bytes: 0,
        ..small_segments().options
    })
}

conformance_suite!(log_past_the_cache, past_the_cache);
