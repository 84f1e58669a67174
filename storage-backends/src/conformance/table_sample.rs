//! Commits to test with, and what a set holds at a moment.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{
    Durability, KeyRange, Position, RangeLimit, Result, Row, Store, TableChange, TableCommit,
    TableReceipt, TableView,
};

/// More than any case has.
pub(super) const UNLIMITED: RangeLimit = RangeLimit {
    rows: usize::MAX,
    bytes: usize::MAX,
};

/// What a set holds, by table and key.
pub(super) type Contents = BTreeMap<(u8, Bytes), Bytes>;

pub(super) fn position(height: u64) -> Position {
    Position {
        height,
        id: [height as u8; 32],
    }
}

pub(super) fn put(table: u8, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> TableChange {
    TableChange {
        table,
        key: Bytes::copy_from_slice(key.as_ref()),
        value: Some(Bytes::copy_from_slice(value.as_ref())),
    }
}

pub(super) fn delete(table: u8, key: impl AsRef<[u8]>) -> TableChange {
    TableChange {
        table,
        key: Bytes::copy_from_slice(key.as_ref()),
        value: None,
    }
}

/// A commit that brings its set to a height, and can be undone down to a floor.
pub(super) fn commit_to(height: u64, undo_floor: u64, changes: Vec<TableChange>) -> TableCommit {
    TableCommit {
        position: Some(position(height)),
        undo_floor,
        changes,
    }
}

/// A part of a load.
pub(super) fn load(undo_floor: u64, changes: Vec<TableChange>) -> TableCommit {
    TableCommit {
        position: None,
        undo_floor,
        changes,
    }
}

pub(super) fn try_commit(
    store: &mut Store,
    set: &str,
    commit: &TableCommit,
) -> Result<TableReceipt> {
    store.tables.commit(set, commit, Durability::Os)
}

#[track_caller]
pub(super) fn commit(store: &mut Store, set: &str, commit: &TableCommit) {
    let receipt = try_commit(store, set, commit).unwrap();
    assert_eq!(receipt.position, commit.position);
}

/// All rows of a table.
#[track_caller]
pub(super) fn rows(view: &dyn TableView, table: u8) -> Vec<Row> {
    view.range(table, &KeyRange::default(), UNLIMITED).unwrap()
}

/// Asserts that a view has these rows and no others in the tables that samples use, up and down, each by itself too.
#[track_caller]
pub(super) fn assert_contents(view: &dyn TableView, contents: &Contents) {
    for table in [0, 1, 7, 254, 255] {
        let expected: Vec<Row> = contents
            .range((table, Bytes::new())..)
            .take_while(|((of, _), _)| *of == table)
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect();
        assert_eq!(rows(view, table), expected, "table {table}");
        let downwards = KeyRange {
            is_descending: true,
            ..KeyRange::default()
        };
        let mut found = view.range(table, &downwards, UNLIMITED).unwrap();
        found.reverse();
        assert_eq!(found, expected, "table {table} downwards");
        for (key, value) in &expected {
            assert_eq!(view.get(table, key).unwrap().as_ref(), Some(value));
        }
    }
}

/// What a set holds after a change.
pub(super) fn apply(contents: &mut Contents, changes: &[TableChange]) {
    for TableChange { table, key, value } in changes {
        let place = (*table, key.clone());
        match value {
            Some(value) => contents.insert(place, value.clone()),
            None => contents.remove(&place),
        };
    }
}

/// The contents that some commits leave.
pub(super) fn contents<'a>(commits: impl IntoIterator<Item = &'a TableCommit>) -> Contents {
    let mut contents = Contents::new();
    for commit in commits {
        apply(&mut contents, &commit.changes);
    }
    contents
}
