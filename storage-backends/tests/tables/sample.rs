//! A store with tables whose contents are known, and questions about them.

use std::collections::BTreeMap;

use bytes::Bytes;
use hubledger_storage::{
    BlockReader, Durability, Error, KeyRange, Position, RangeLimit, Result, Row, Store, StoreUrl,
    TableChange, TableCommit, TableView,
};

pub(crate) const SETS: [&str; 2] = ["state", "view/other"];
const TABLES: [u8; 2] = [0, 200];
/// The position of both sets.
pub(crate) const END: u64 = 9;
/// From there on commits can be undone.
const FLOOR: u64 = 5;
const KEYS: u64 = 90;

pub(crate) type Contents = BTreeMap<Bytes, Bytes>;

pub(crate) fn position(height: u64) -> Position {
    Position {
        height,
        id: [height as u8; 32],
    }
}

fn key(number: u64) -> Bytes {
    // Of many lengths, and not in the order of their numbers.
    let head = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
    let rest = vec![number as u8; number as usize % 40];
    [&head[..], &rest].concat().into()
}

fn value(number: u64, height: u64) -> Option<Bytes> {
    let round = (number + height) % 7;
    let text = format!("{number} at {height} ").repeat(round as usize * 3);
    (round != 0).then(|| text.into())
}

/// The numbers of the keys that a commit changes: all with the first.
fn changed(height: u64) -> impl Iterator<Item = u64> {
    (0..KEYS).filter(move |number| height == 0 || (number * 5 + height).is_multiple_of(11))
}

pub(crate) fn commit(height: u64, undo_floor: u64) -> TableCommit {
    let mut changes = Vec::new();
    for table in TABLES {
        let change = |number| TableChange {
            table,
            key: key(number),
            value: value(number, height),
        };
        changes.extend(changed(height).map(change));
    }
    changes.sort_by(|one, other| (one.table, &one.key).cmp(&(other.table, &other.key)));
    TableCommit {
        position: Some(position(height)),
        undo_floor,
        changes,
    }
}

/// What each table holds after the commits up to a height; nothing without any.
pub(crate) fn contents(last: Option<u64>) -> Contents {
    let mut contents = Contents::new();
    for height in (0..=last.unwrap_or(0)).filter(|_| last.is_some()) {
        for number in changed(height) {
            match value(number, height) {
                Some(value) => contents.insert(key(number), value),
                None => contents.remove(&key(number)),
            };
        }
    }
    contents
}

/// Commits both sets up to the end, with some history.
pub(crate) fn fill(store: &mut Store) {
    for set in SETS {
        for height in 0..=END {
            let next = commit(height, height.min(FLOOR));
            store.tables.commit(set, &next, Durability::Os).unwrap();
        }
    }
    store.tables.sync().unwrap();
}

/// Asks for everything in all sets, and goes on after errors. `Ok` if all answers are right, the first error otherwise; panics at a wrong
/// answer.
pub(crate) fn ask(reader: &dyn BlockReader) -> Result<()> {
    let tables = reader.tables();
    let names = tables
        .sets()
        .map(|names| assert_eq!(names, SETS, "wrong sets"));
    SETS.iter().fold(names, |first, set| {
        let asked = tables
            .view(set)
            .and_then(|view| ask_view(&*view, Some(END)));
        first.and(asked)
    })
}

/// The part of [`ask`] about one set, of a height.
pub(crate) fn ask_view(view: &dyn TableView, last: Option<u64>) -> Result<()> {
    assert_eq!(view.position(), last.map(position), "a wrong position");
    let contents = contents(last);
    let mut first = Ok(());
    for table in TABLES {
        for number in 0..KEYS {
            let key = key(number);
            let found = view.get(table, &key);
            let told = found.map(|found| assert_eq!(found.as_ref(), contents.get(&key)));
            let absent = [&key[..], &[0]].concat();
            let absent = view.get(table, &absent);
            let absent = absent.map(|found| assert_eq!(found, None, "nobody put it"));
            first = first.and(told).and(absent);
        }
        for is_descending in [false, true] {
            first = first.and(ask_rows(view, table, is_descending, &contents));
        }
    }
    let none = view.get(7, b"key").map(|found| assert_eq!(found, None));
    first.and(none)
}

fn ask_rows(
    view: &dyn TableView,
    table: u8,
    is_descending: bool,
    contents: &Contents,
) -> Result<()> {
    let range = KeyRange {
        is_descending,
        ..KeyRange::default()
    };
    let limit = RangeLimit {
        rows: usize::MAX,
        bytes: usize::MAX,
    };
    let mut expected: Vec<Row> = contents
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if is_descending {
        expected.reverse();
    }
    let found = view.range(table, &range, limit)?;
    assert_eq!(found, expected, "wrong rows");
    Ok(())
}

/// What a check finds.
pub(crate) fn check(url: &StoreUrl) -> Vec<String> {
    let mut found = Vec::new();
    let checked = url.check(&mut |damage| found.push(damage.to_string()));
    assert_eq!(checked.unwrap().damage, found.len() as u64);
    found
}

/// Works both sets out again, damaged or not, and looks whether all is well.
pub(crate) fn begin_anew(url: &StoreUrl) {
    let mut store = url.open().unwrap();
    for set in SETS {
        store.tables.remove(set).unwrap();
    }
    fill(&mut store);
    ask(&*store.reader).unwrap();
    drop(store);
    assert_eq!(check(url), [""; 0]);
}

/// Asks a store that may be damaged, as whoever reads it and as whoever saves what there is. Gives whether damage was told of; then a
/// check tells of it too.
pub(crate) fn ask_damaged(url: &StoreUrl) -> std::result::Result<bool, Error> {
    let asked = url.open_read_only().and_then(|reader| ask(&*reader));
    let saved = url.open_damaged(&mut |_| {});
    let saved = saved.and_then(|reader| ask(&*reader));
    match asked.and(saved) {
        Ok(()) => Ok(false),
        Err(error) => {
            if error.is_corrupt() {
                assert_ne!(check(url), [""; 0], "{error}, and a check finds nothing");
            }
            Ok(true)
        }
    }
}
