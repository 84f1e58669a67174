//! Cases: commits to tables are taken back, as far as was asked for.

use super::Fixture;
use super::table_sample::{
    Contents, assert_contents, commit, commit_to, contents, delete, load, position, put,
};
use crate::{Store, TableCommit};

/// A commit that changes some keys, adds some, and removes some.
fn sample(height: u64, floor: u64) -> TableCommit {
    let row = |key: u8| match (u64::from(key) * 7 + height) % 5 {
        0 => delete(0, [key]),
        _ => put(
            0,
            [key],
            format!("{key} at {height}").repeat(height as usize % 4),
        ),
    };
    let first = height as u8 % 16;
    let mut changes: Vec<_> = (first..first + 12).map(row).collect();
    changes.push(put(255, height.to_be_bytes(), ""));
    commit_to(height, floor, changes)
}

#[track_caller]
fn assert_set(store: &Store, commits: &[TableCommit]) {
    let view = store.reader.tables().view("state").unwrap();
    let last = commits.last().and_then(|commit| commit.position);
    assert_eq!(view.position(), last);
    assert_contents(&*view, &contents(commits));
}

pub(super) fn undo_gives_contents_and_position_back(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let mut commits: Vec<TableCommit> = Vec::new();
    for height in [3, 4, 9, 10, 11, 20] {
        commits.push(sample(height, 2));
        commit(&mut store, "state", &commits[commits.len() - 1]);
    }
    // Above all, at the last, between two, at one, over several.
    for (height, left, count) in [
        (30, 20, 6),
        (20, 20, 6),
        (12, 11, 5),
        (10, 10, 4),
        (8, 4, 2),
    ] {
        assert_eq!(
            store.tables.undo("state", height).unwrap(),
            Some(position(left))
        );
        commits.truncate(count);
        assert_set(&store, &commits);
    }
    for height in [6, 7] {
        commits.push(sample(height, 2));
        commit(&mut store, "state", &commits[commits.len() - 1]);
        assert_set(&store, &commits);
    }
    assert_eq!(store.tables.undo("state", 3).unwrap(), Some(position(3)));
    assert_set(&store, &commits[..1]);
}

pub(super) fn all_of_a_set_may_be_undone(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    commit(&mut store, "state", &sample(5, 2));
    commit(&mut store, "state", &sample(6, 3));
    assert_eq!(store.tables.undo("state", 4).unwrap(), None);
    let view = store.reader.tables().view("state").unwrap();
    assert_eq!(view.position(), None);
    assert_contents(&*view, &Contents::new());
    // The set is there, with its floor.
    assert_eq!(store.reader.tables().sets().unwrap(), ["state"]);
    assert!(store.tables.undo("state", 2).unwrap_err().is_argument());
    let lower = store
        .tables
        .commit("state", &sample(4, 2), crate::Durability::Os);
    assert!(lower.unwrap_err().is_argument());
    let next = sample(4, 3);
    commit(&mut store, "state", &next);
    assert_set(&store, &[next]);
}

pub(super) fn undo_ends_at_its_floor(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let commits = [sample(3, 0), sample(4, 1), sample(8, 6), sample(9, 6)];
    commits
        .iter()
        .for_each(|one| commit(&mut store, "state", one));
    for height in [0, 3, 5] {
        let refused = store.tables.undo("state", height).unwrap_err();
        assert!(refused.is_argument(), "{refused}");
        assert_set(&store, &commits);
    }
    // Below the floor lies the last commit that it is above.
    assert_eq!(store.tables.undo("state", 6).unwrap(), Some(position(4)));
    assert_set(&store, &commits[..2]);
    assert!(store.tables.undo("state", 5).unwrap_err().is_argument());
    let next = sample(7, 7);
    commit(&mut store, "state", &next);
    assert!(store.tables.undo("state", 6).unwrap_err().is_argument());
    assert_eq!(store.tables.undo("state", 7).unwrap(), Some(position(7)));
    assert_set(&store, &[commits[0].clone(), commits[1].clone(), next]);
}

pub(super) fn undo_reaches_over_reopening(fixture: &dyn Fixture) {
    let mut commits: Vec<TableCommit> = Vec::new();
    for height in 1..12 {
        let mut store = fixture.open().unwrap();
        commits.push(sample(height, height.saturating_sub(6)));
        commit(&mut store, "state", &commits[commits.len() - 1]);
    }
    let mut store = fixture.open().unwrap();
    assert!(store.tables.undo("state", 4).unwrap_err().is_argument());
    assert_eq!(store.tables.undo("state", 5).unwrap(), Some(position(5)));
    drop(store);
    assert_set(&fixture.open().unwrap(), &commits[..5]);
}

pub(super) fn large_commits_are_undone(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let row = |key: u32, byte: u8| match byte {
        0 => delete(7, key.to_be_bytes()),
        _ => put(7, key.to_be_bytes(), vec![byte; 200 + key as usize % 90]),
    };
    let first = commit_to(1, 0, (0..9000).map(|key| row(key, 1)).collect());
    let second = commit_to(
        2,
        0,
        (500..9500).map(|key| row(key, (key % 3) as u8)).collect(),
    );
    let large = vec![
        put(0, "large", vec![9; 3 << 20]),
        put(7, "", vec![8; 2 << 20]),
    ];
    let third = commit_to(3, 0, large);
    let fourth = commit_to(4, 0, vec![put(0, "large", ""), delete(7, "")]);
    let commits = [first, second, third, fourth];
    commits
        .iter()
        .for_each(|one| commit(&mut store, "state", one));
    for left in [3, 2, 1] {
        assert_eq!(
            store.tables.undo("state", left).unwrap(),
            Some(position(left))
        );
        assert_set(&store, &commits[..left as usize]);
    }
    commits[1..]
        .iter()
        .for_each(|one| commit(&mut store, "state", one));
    assert_eq!(store.tables.undo("state", 1).unwrap(), Some(position(1)));
    assert_set(&store, &commits[..1]);
}

pub(super) fn a_load_is_not_undone(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let row = |key: &str| vec![put(0, key, "1")];
    let commits = [
        commit_to(1, 0, row("a")),
        commit_to(2, 0, row("b")),
        load(1, row("c")),
        load(1, row("d")),
    ];
    commits
        .iter()
        .for_each(|one| commit(&mut store, "state", one));
    for height in [0, 1, 2, 9] {
        let refused = store.tables.undo("state", height).unwrap_err();
        assert!(refused.is_argument(), "{refused}");
    }
    for wrong in [commit_to(9, 8, vec![]), commit_to(2, 2, vec![])] {
        let refused = store.tables.commit("state", &wrong, crate::Durability::Os);
        assert!(refused.unwrap_err().is_argument());
    }
    let mut commits = commits.to_vec();
    for last in [commit_to(9, 9, row("e")), commit_to(10, 9, row("f"))] {
        commit(&mut store, "state", &last);
        commits.push(last);
    }
    assert!(store.tables.undo("state", 8).unwrap_err().is_argument());
    assert_eq!(store.tables.undo("state", 9).unwrap(), Some(position(9)));
    assert_set(&store, &commits[..5]);
}
