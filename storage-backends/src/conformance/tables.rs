//! Cases: what is committed to tables comes back, at its moment, and what must not be committed isn't.

use bytes::Bytes;

use super::Fixture;
use super::table_sample::{
    Contents, UNLIMITED, assert_contents, commit, commit_to, contents, delete, load, position, put,
    rows, try_commit,
};
use crate::{
    KeyRange, RangeLimit, TABLE_KEY_BYTES_MAX, TABLE_SET_NAME_BYTES_MAX, TABLE_SETS_MAX,
    TABLE_VALUE_BYTES_MAX, TableView,
};

pub(super) fn an_unknown_set_is_empty(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let tables = store.reader.tables();
    for name in ["state", "", "Not a name"] {
        let view = tables.view(name).unwrap();
        assert_eq!(view.position(), None);
        assert_eq!(view.get(0, b"key").unwrap(), None);
        assert_contents(&*view, &Contents::new());
        assert_eq!(store.tables.undo(name, 7).unwrap(), None);
        store.tables.remove(name).unwrap();
    }
    store.tables.sync().unwrap();
    assert!(tables.sets().unwrap().is_empty());
}

pub(super) fn committed_rows_read_back(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let commits = [
        commit_to(
            0,
            0,
            vec![
                put(0, "", "the empty key"),
                put(0, "a", ""),
                put(0, "b", "1"),
                put(255, [255; 9], "last"),
            ],
        ),
        // Removing what isn't there is no error.
        commit_to(
            4,
            4,
            vec![delete(0, "absent"), put(0, "b", "2"), put(7, "c", "3")],
        ),
        commit_to(5, 4, vec![]),
        commit_to(
            9,
            4,
            vec![
                delete(0, ""),
                delete(7, "c"),
                delete(7, "d"),
                put(255, [255; 8], ""),
            ],
        ),
    ];
    for count in 1..=commits.len() {
        commit(&mut store, "state", &commits[count - 1]);
        let view = store.reader.tables().view("state").unwrap();
        assert_eq!(view.position(), commits[count - 1].position);
        assert_contents(&*view, &contents(&commits[..count]));
        assert_eq!(view.get(0, b"c").unwrap(), None);
        assert_eq!(view.get(1, b"a").unwrap(), None);
        assert_eq!(view.get(255, &[255; 10]).unwrap(), None);
    }
    assert_eq!(store.reader.tables().sets().unwrap(), ["state"]);
}

pub(super) fn rows_at_the_limits_read_back(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let value: Vec<u8> = (0..TABLE_VALUE_BYTES_MAX)
        .map(|at| (at / 7) as u8)
        .collect();
    let keys = [0, 1, 255].map(|byte| [byte; TABLE_KEY_BYTES_MAX]);
    let commits = [
        commit_to(1, 0, keys.iter().map(|key| put(7, key, &value)).collect()),
        commit_to(
            2,
            0,
            vec![
                delete(7, keys[0]),
                put(7, keys[1], "short"),
                delete(7, keys[2]),
            ],
        ),
    ];
    let name = "-_/.az09".repeat(TABLE_SET_NAME_BYTES_MAX / 8);
    for count in 1..=2 {
        commit(&mut store, &name, &commits[count - 1]);
        let view = store.reader.tables().view(&name).unwrap();
        assert_contents(&*view, &contents(&commits[..count]));
        let beyond = [1; TABLE_KEY_BYTES_MAX + 1];
        assert_eq!(view.get(7, &beyond).unwrap(), None);
    }
    assert_eq!(store.tables.undo(&name, 1).unwrap(), Some(position(1)));
    let view = store.reader.tables().view(&name).unwrap();
    assert_contents(&*view, &contents(&commits[..1]));
}

pub(super) fn wrong_commits_are_refused(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let first = commit_to(10, 8, vec![put(0, "a", "1")]);
    commit(&mut store, "state", &first);
    let key = vec![0; TABLE_KEY_BYTES_MAX + 1];
    let value = vec![0; TABLE_VALUE_BYTES_MAX + 1];
    let wrong = [
        commit_to(10, 9, vec![]),
        commit_to(9, 8, vec![]),
        commit_to(11, 7, vec![]),
        commit_to(11, 12, vec![]),
        load(7, vec![]),
        commit_to(11, 8, vec![put(0, key, "")]),
        commit_to(11, 8, vec![put(0, "b", value)]),
        commit_to(11, 8, vec![put(0, "b", ""), put(0, "a", "")]),
        commit_to(11, 8, vec![put(0, "b", ""), delete(0, "b")]),
        commit_to(11, 8, vec![put(1, "a", ""), put(0, "b", "")]),
    ];
    for commit in &wrong {
        let error = try_commit(&mut store, "state", commit).unwrap_err();
        assert!(error.is_argument(), "{error}");
    }
    let long = "a".repeat(TABLE_SET_NAME_BYTES_MAX + 1);
    for name in ["", "State", "a b", "a\0", "ä", &long] {
        let error = try_commit(&mut store, name, &commit_to(11, 8, vec![])).unwrap_err();
        assert!(error.is_argument(), "{error}");
    }
    let view = store.reader.tables().view("state").unwrap();
    assert_eq!(view.position(), first.position);
    assert_contents(&*view, &contents([&first]));
    assert_eq!(store.reader.tables().sets().unwrap(), ["state"]);
    commit(&mut store, "state", &commit_to(11, 8, vec![]));
}

pub(super) fn so_many_sets_and_no_more(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let names: Vec<String> = (0..TABLE_SETS_MAX)
        .map(|n| format!("view/{n:03}"))
        .collect();
    for name in &names {
        commit(
            &mut store,
            name,
            &commit_to(1, 1, vec![put(0, "name", name)]),
        );
    }
    let one = commit_to(1, 1, vec![]);
    let refused = try_commit(&mut store, "one-more", &one).unwrap_err();
    assert!(refused.is_argument(), "{refused}");
    let tables = store.reader.tables();
    assert_eq!(tables.sets().unwrap(), names);
    for name in &names {
        let view = tables.view(name).unwrap();
        assert_eq!(view.get(0, b"name").unwrap().unwrap(), name.as_bytes());
    }
    store.tables.remove(&names[100]).unwrap();
    commit(&mut store, "one-more", &one);
    assert_eq!(tables.sets().unwrap().len(), TABLE_SETS_MAX);
}

pub(super) fn ranges_are_ordered_bounded_and_limited(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let keys: Vec<Bytes> = (0..40_u8)
        .map(|number| [number / 7, 255].repeat(usize::from(number % 7)))
        .map(Bytes::from)
        .collect();
    let mut keys = keys;
    keys.sort();
    keys.dedup();
    let changes = keys.iter().map(|key| put(7, key, key)).collect();
    commit(&mut store, "state", &commit_to(1, 1, changes));
    let view = store.reader.tables().view("state").unwrap();
    let mut bounds = keys.clone();
    bounds.extend([Bytes::from_static(&[3]), vec![255; 3000].into()]);
    for from in &bounds {
        for below in bounds.iter().map(Some).chain([None]) {
            assert_range(&*view, &keys, from, below.cloned());
        }
    }
}

/// Asserts that a range gives what a list gives, both ways and with any limit.
fn assert_range(view: &dyn TableView, keys: &[Bytes], from: &Bytes, below: Option<Bytes>) {
    let is_in = |key: &&Bytes| *key >= from && below.as_ref().is_none_or(|below| *key < below);
    let mut expected: Vec<Bytes> = keys.iter().filter(is_in).cloned().collect();
    for is_descending in [false, true] {
        let range = KeyRange {
            from: from.clone(),
            below: below.clone(),
            is_descending,
        };
        let keys = |limit| -> Vec<Bytes> {
            let rows = view.range(7, &range, limit).unwrap();
            rows.into_iter().map(|(key, _)| key).collect()
        };
        assert_eq!(keys(UNLIMITED), expected, "{range:?}");
        for most in [0, 1, 2, 9] {
            let limited = &expected[..expected.len().min(most.max(1))];
            let rows = RangeLimit {
                rows: most,
                ..UNLIMITED
            };
            assert_eq!(keys(rows), limited, "{range:?}");
            // Each row counts twice, since values are the keys.
            let bytes = limited.iter().map(|key| key.len() * 2).sum();
            let found = keys(RangeLimit { bytes, ..UNLIMITED });
            assert!(found.starts_with(limited), "{range:?}");
            let more = found[limited.len()..].iter().map(Bytes::len).sum::<usize>();
            assert_eq!(more, 0, "rows beyond the limit: {range:?}");
        }
        expected.reverse();
    }
}

pub(super) fn tables_and_sets_are_apart(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let edges: [&[u8]; 4] = [&[], &[0], &[255], &[255; TABLE_KEY_BYTES_MAX]];
    let mut expected = Vec::new();
    for (number, name) in ["a", "a/b", "b"].iter().enumerate() {
        let mut changes = Vec::new();
        for table in [0, 1, 254, 255] {
            let row = |key: &&[u8]| put(table, key, format!("{name} {table} {}", key.len()));
            changes.extend(edges.iter().map(row));
        }
        let written = commit_to(number as u64, 0, changes);
        commit(&mut store, name, &written);
        expected.push((*name, written));
    }
    commit(
        &mut store,
        "a/b",
        &commit_to(5, 0, vec![delete(254, [255])]),
    );
    store.tables.remove("a").unwrap();
    store.tables.undo("a/b", 1).unwrap();
    expected.remove(0);
    for (name, written) in &expected {
        let view = store.reader.tables().view(name).unwrap();
        assert_eq!(view.position(), written.position);
        assert_contents(&*view, &contents([written]));
        assert!(rows(&*view, 2).is_empty());
    }
    assert_eq!(store.reader.tables().sets().unwrap(), ["a/b", "b"]);
}

pub(super) fn a_view_never_changes(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let numbered = |round: u64| {
        let row = |key: u8| match (u64::from(key) + round).is_multiple_of(3) {
            true => delete(0, [key]),
            false => put(0, [key], format!("{round} {key}").repeat(20)),
        };
        commit_to(round, 0, (0..100).map(row).collect())
    };
    let mut commits = Vec::new();
    let mut views = Vec::new();
    let tables = store.reader.tables();
    for round in 1..8 {
        commits.push(numbered(round));
        commit(&mut store, "state", &commits[commits.len() - 1]);
        views.push((tables.view("state").unwrap(), contents(&commits)));
    }
    let assert_unchanged = |views: &[(std::sync::Arc<dyn TableView>, Contents)]| {
        for (round, (view, contents)) in (1..).zip(views) {
            assert_eq!(view.position(), Some(position(round)));
            assert_contents(&**view, contents);
        }
    };
    assert_unchanged(&views);
    store.tables.undo("state", 3).unwrap();
    assert_unchanged(&views);
    store.tables.remove("state").unwrap();
    assert_unchanged(&views);
    commit(&mut store, "state", &numbered(1));
    drop(store);
    assert_unchanged(&views);
    drop(views.remove(0));
    let store = fixture.open().unwrap();
    assert_eq!(views[5].0.position(), Some(position(7)));
    assert_contents(&*views[5].0, &views[5].1);
    let view = store.reader.tables().view("state").unwrap();
    assert_contents(&*view, &contents([&numbered(1)]));
}

pub(super) fn a_set_that_is_being_loaded_has_no_position(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let commits = [
        load(9, vec![put(0, "a", "1"), put(0, "b", "1")]),
        load(9, vec![delete(0, "a"), put(0, "c", "1")]),
        commit_to(9, 9, vec![put(0, "d", "1")]),
        load(9, vec![put(0, "e", "1")]),
        commit_to(20, 20, vec![]),
        commit_to(21, 20, vec![put(0, "f", "1")]),
    ];
    for count in 1..=commits.len() {
        commit(&mut store, "state", &commits[count - 1]);
        let view = store.reader.tables().view("state").unwrap();
        assert_eq!(view.position(), commits[count - 1].position);
        assert_contents(&*view, &contents(&commits[..count]));
    }
    assert_eq!(store.tables.undo("state", 20).unwrap(), Some(position(20)));
    let view = store.reader.tables().view("state").unwrap();
    assert_contents(&*view, &contents(&commits[..5]));
}

pub(super) fn a_removed_set_is_gone_and_begins_anew(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let row = |key: u16| put(1, key.to_be_bytes(), [7; 100]);
    for height in 50..54 {
        let changes = (height * 100..height * 100 + 500).map(row).collect();
        for name in ["kept", "gone"] {
            commit(
                &mut store,
                name,
                &commit_to(height.into(), 40, Vec::clone(&changes)),
            );
        }
    }
    let kept = store.reader.tables().view("kept").unwrap();
    store.tables.remove("gone").unwrap();
    store.tables.remove("gone").unwrap();
    for reopened in [false, true] {
        let tables = store.reader.tables();
        assert_eq!(tables.sets().unwrap(), ["kept"]);
        let view = tables.view("gone").unwrap();
        assert_eq!(view.position(), None);
        assert_contents(&*view, &Contents::new());
        assert_eq!(rows(&*tables.view("kept").unwrap(), 1), rows(&*kept, 1));
        if !reopened {
            drop(store);
            store = fixture.open().unwrap();
        }
    }
    // With a lower position and floor than it had, and nothing of what it was.
    let anew = commit_to(3, 1, vec![put(0, "a", "1")]);
    commit(&mut store, "gone", &anew);
    let view = store.reader.tables().view("gone").unwrap();
    assert_contents(&*view, &contents([&anew]));
    assert_eq!(store.tables.undo("gone", 60).unwrap(), Some(position(3)));
    assert_eq!(store.tables.undo("gone", 2).unwrap(), None);
    let view = store.reader.tables().view("gone").unwrap();
    assert_contents(&*view, &Contents::new());
}
