//! Tables in SQLite.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use bytes::Bytes;
use hubledger_storage::{Durability, StoreUrl, TableChange, TableCommit};
use tempfile::TempDir;

use crate::sample::{
    END, SETS, ask, ask_damaged, ask_view, begin_anew, check, commit, fill, position,
};

/// Prime, so that the bytes tried fall on all parts of pages and rows.
const FLIP_STRIDE_BYTES: usize = 251;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A closed store with tables.
    fn filled() -> Self {
        let place = Self::new();
        fill(&mut place.url().create().unwrap());
        place
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("chain.db")
    }

    fn url(&self) -> StoreUrl {
        StoreUrl::Sqlite(self.file())
    }

    /// Changes rows behind the store's back.
    fn tamper(&self, sql: &str) {
        let connection = rusqlite::Connection::open(self.file()).unwrap();
        assert!(connection.execute(sql, []).unwrap() > 0, "{sql}");
    }
}

#[test]
fn a_flipped_byte_is_reported_or_harmless() {
    let whole = Place::filled();
    let bytes = fs::read(whole.file()).unwrap();
    let place = Place::new();
    let (mut reported, mut flips) = (0, 0);
    let masks = [0x01, 0x80, 0xFF].into_iter().cycle();
    for (offset, mask) in (0..bytes.len()).step_by(FLIP_STRIDE_BYTES).zip(masks) {
        let mut damaged = bytes.clone();
        damaged[offset] ^= mask;
        fs::write(place.file(), &damaged).unwrap();
        flips += 1;
        match catch_unwind(AssertUnwindSafe(|| ask_damaged(&place.url()))) {
            Ok(found) => reported += usize::from(found.unwrap()),
            Err(_) => panic!("byte {offset} ^ {mask:#04x}: a wrong answer"),
        }
        if offset % 7 == 0 {
            // Whether it succeeds depends on the byte; that it returns is what counts.
            if let Ok(mut store) = place.url().open() {
                let _ = store.tables.undo(SETS[0], 6);
                let _ = store
                    .tables
                    .commit(SETS[1], &commit(END + 1, 7), Durability::Os);
                let _ = store.tables.remove(SETS[1]);
            }
        }
    }
    assert!(reported > flips / 10, "{reported} of {flips}");
}

#[test]
fn each_kind_of_damage_is_found_and_its_set_begins_anew() {
    let row =
        "key = (SELECT key FROM table_rows WHERE hex(key) LIKE '0000000101%' LIMIT 1 OFFSET 9)";
    let history = "hex(key) LIKE '0000000102%00000001'";
    for (sql, told) in [
        (format!("DELETE FROM table_rows WHERE {row}"), "missing behind"),
        (format!("UPDATE table_rows SET link = link + 1 WHERE {row}"), "missing behind"),
        (
            format!("UPDATE table_rows SET row = zeroblob(length(row)) WHERE {row}"),
            "in table 0 of set 1 has a checksum",
        ),
        (format!("DELETE FROM table_rows WHERE {history}"), "has no part 1 of 1"),
        (
            format!("UPDATE table_rows SET row = x'0102' WHERE {history}"),
            "of the history of set 1 has a checksum",
        ),
        (
            "DELETE FROM table_rows WHERE hex(key) = '0000000100'".to_owned(),
            "missing behind",
        ),
        (
            "UPDATE table_rows SET key = CAST(x'0000000999' || substr(key, 6) AS BLOB) WHERE hex(key) LIKE '0000000101%'"
                .to_owned(),
            "belongs to no set",
        ),
    ] {
        let place = Place::filled();
        assert_eq!(check(&place.url()), [""; 0]);
        place.tamper(&sql);
        let found = check(&place.url()).join("\n");
        assert!(found.contains(told), "{sql}: {found}");
        assert!(found.contains("chain.db at the tables"), "{found}");
        // All but the last: whatever is behind a set that is there, is nobody's.
        if told != "belongs to no set" {
            begin_anew(&place.url());
        }
    }
}

#[test]
fn a_list_of_sets_that_is_damaged_or_missing_is_damage() {
    for sql in [
        "DELETE FROM state WHERE number = 3",
        "UPDATE state SET row = x'00' WHERE number = 3",
        "DROP TABLE table_rows",
    ] {
        let place = Place::filled();
        let connection = rusqlite::Connection::open(place.file()).unwrap();
        connection.execute(sql, []).unwrap();
        drop(connection);
        let mut store = place.url().open().unwrap();
        let error = store.reader.tables().view(SETS[0]).map(drop).unwrap_err();
        assert!(error.is_corrupt(), "{sql}: {error}");
        let next = commit(END + 1, 7);
        let refused = store.tables.commit("another", &next, Durability::Os);
        assert!(refused.is_err(), "{sql}");
        // The blocks are another matter.
        store.writer.sync().unwrap();
        drop(store);
        assert_ne!(check(&place.url()), [""; 0], "{sql}");
    }
}

/// So it is like one of a version that knows of no tables.
#[test]
fn a_store_has_no_table_for_rows_by_keys_before_the_first_of_them() {
    let place = Place::new();
    let mut store = place.url().create().unwrap();
    store.writer.sync().unwrap();
    store.tables.sync().unwrap();
    let count_tables = || -> i64 {
        let connection = rusqlite::Connection::open(place.file()).unwrap();
        let sql = "SELECT count(*) FROM sqlite_schema WHERE name = 'table_rows'";
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(count_tables(), 0);
    let reader = place.url().open_read_only().unwrap();
    assert!(reader.tables().sets().unwrap().is_empty());
    drop(store);
    assert_eq!(check(&place.url()), [""; 0]);
    let mut store = place.url().open().unwrap();
    fill(&mut store);
    assert_eq!(count_tables(), 1);
    // Also one that was opened before.
    ask(&*reader).unwrap();
    ask(&*store.reader).unwrap();
}

#[test]
fn a_reader_of_its_own_has_views_that_stay() {
    let place = Place::filled();
    let reader = place.url().open_read_only().unwrap();
    let early = reader.tables().view(SETS[0]).unwrap();
    let mut store = place.url().open().unwrap();
    store.tables.undo(SETS[0], 6).unwrap();
    let late = reader.tables().view(SETS[0]).unwrap();
    assert_eq!(late.position(), Some(position(6)));
    ask_view(&*late, Some(6)).unwrap();
    drop(store);
    ask_view(&*early, Some(END)).unwrap();
    assert_eq!(check(&place.url()), [""; 0]);
}

#[test]
fn so_many_views_and_no_more_until_one_goes() {
    let place = Place::filled();
    let store = place.url().open().unwrap();
    let tables = store.reader.tables();
    let mut views = Vec::new();
    let refused = loop {
        match tables.view(SETS[0]) {
            Ok(view) => views.push(view),
            Err(error) => break error,
        }
        assert!(views.len() <= 256);
    };
    assert!(refused.to_string().contains("256 views"), "{refused}");
    assert_eq!(views.len(), 256);
    drop(views.pop());
    ask_view(&*tables.view(SETS[0]).unwrap(), Some(END)).unwrap();
    // What reads blocks takes none of them.
    assert_eq!(store.reader.extent().unwrap().end, 0);
}

#[test]
fn a_removed_set_gives_its_space_back() {
    let place = Place::new();
    let mut store = place.url().create().unwrap();
    let row = |number: u32| TableChange {
        table: 1,
        key: Bytes::copy_from_slice(&number.to_be_bytes()),
        value: Some(vec![7; 1000].into()),
    };
    let large = TableCommit {
        changes: (0..5000).map(row).collect(),
        ..commit(1, 0)
    };
    store
        .tables
        .commit("large", &large, Durability::Os)
        .unwrap();
    store.tables.sync().unwrap();
    let before = store.reader.usage().unwrap().bytes_on_disk;
    assert!(before > 5_000_000, "{before}");
    store.tables.remove("large").unwrap();
    let after = store.reader.usage().unwrap().bytes_on_disk;
    assert!(after < 1_000_000, "{after}");
}
