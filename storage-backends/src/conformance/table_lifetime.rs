//! Cases: tables across opening again, durability, two writers, concurrent readers, failure.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::Fixture;
use super::sample::{block_of, extend};
use super::table_sample::{
    assert_contents, commit, commit_to, contents, position, put, rows, try_commit,
};
use crate::{Durability, Error, Store, TableCommit};

pub(super) fn reopening_sees_every_table_commit(fixture: &dyn Fixture) {
    let mut commits: Vec<TableCommit> = Vec::new();
    for round in 0..6_u8 {
        let mut store = fixture.open().unwrap();
        let tables = store.reader.tables();
        let view = tables.view("state").unwrap();
        let last = commits.last().and_then(|commit| commit.position);
        assert_eq!(view.position(), last);
        assert_contents(&*view, &contents(&commits));
        for step in 0..3 {
            let changes = vec![put(0, [round, step], [step; 50]), put(7, "last", [round])];
            let next = commit_to(u64::from(round) * 3 + u64::from(step), 0, changes);
            commit(&mut store, "state", &next);
            commits.push(next);
        }
        // With blocks in between, which are another writer's.
        extend(&mut store, u64::from(round)..u64::from(round) + 1);
    }
}

pub(super) fn table_receipts_state_what_was_reached(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let most = store.writer.sync().unwrap().durability;
    let levels = [Durability::Memory, Durability::Os, Durability::Disk];
    for (height, level) in (1..).zip(levels) {
        let next = commit_to(height, 0, vec![put(0, "a", [height as u8])]);
        let receipt = store.tables.commit("state", &next, level).unwrap();
        assert_eq!(receipt.position, next.position);
        // Less than was asked for is no fault: a set can be worked out again.
        assert!(receipt.durability <= most, "{level}: {receipt:?}");
        assert!(level < Durability::Disk || receipt.durability == most);
    }
    store.tables.sync().unwrap();
}

pub(super) fn both_writers_write_at_once(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let reader = store.reader.clone();
    let tables = &mut store.tables;
    let writer = &mut store.writer;
    thread::scope(|scope| {
        scope.spawn(move || {
            for height in 0..60 {
                let block = block_of(0, height);
                writer.append(&[block], Durability::Os).unwrap();
            }
        });
        scope.spawn(move || {
            for height in 0..60 {
                let next = commit_to(height, 0, vec![put(0, height.to_be_bytes(), "1")]);
                tables.commit("state", &next, Durability::Os).unwrap();
            }
        });
    });
    assert_eq!(reader.extent().unwrap().end, 60);
    let view = reader.tables().view("state").unwrap();
    assert_eq!(view.position(), Some(position(59)));
    assert_eq!(rows(&*view, 0).len(), 60);
}

pub(super) fn others_wait_for_both_writers(fixture: &dyn Fixture) {
    for is_writer_first in [true, false] {
        let Store {
            reader,
            writer,
            tables,
        } = fixture.open().unwrap();
        let (mut writer, mut tables) = (Some(writer), Some(tables));
        match is_writer_first {
            true => drop(writer.take()),
            false => drop(tables.take()),
        }
        let refused = fixture.open().unwrap_err();
        assert!(matches!(refused, Error::InUse { .. }), "{refused}");
        if let Some(mut tables) = tables {
            let next = commit_to(1, 1, vec![]);
            tables.commit("state", &next, Durability::Os).unwrap();
        }
        if let Some(mut writer) = writer {
            writer.sync().unwrap();
        }
        drop(fixture.open().unwrap());
        assert_eq!(reader.tables().sets().unwrap(), ["state"]);
    }
}

/// Commits of the concurrent case.
const COMMITS: u64 = 60;
/// Rows of each.
const ROWS: u8 = 30;

pub(super) fn readers_never_see_part_of_a_table_commit(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let tables = store.reader.tables();
    let done = AtomicBool::new(false);
    let watch = || {
        loop {
            let last = done.load(Ordering::Acquire);
            let view = tables.view("state").unwrap();
            let found = rows(&*view, 0);
            if let Some(position) = view.position() {
                let values = found.iter().map(|(_, value)| &value[..]);
                assert!(values.eq([position.height.to_be_bytes(); ROWS as usize]));
                let one = view.get(0, &[3]).unwrap().unwrap();
                assert_eq!(one[..], position.height.to_be_bytes());
            }
            if last {
                break;
            }
        }
    };
    /// Tells the watchers to stop, also if the writing panics.
    struct Done<'a>(&'a AtomicBool);
    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(watch);
        }
        let _done = Done(&done);
        for height in 0..COMMITS {
            let row = |key| put(0, [key], height.to_be_bytes());
            let next = commit_to(height, 0, (0..ROWS).map(row).collect());
            commit(&mut store, "state", &next);
            if height % 10 == 9 {
                store.tables.undo("state", height - 1).unwrap();
            }
        }
    });
}

pub(super) fn a_failed_table_commit_poisons_the_writer(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let first = commit_to(1, 0, vec![put(0, "a", "1"), put(0, "b", "1")]);
    commit(&mut store, "state", &first);
    let Some(mend) = fixture.break_table_commits() else {
        return;
    };
    let next = commit_to(2, 0, vec![put(0, "a", "2"), put(0, "c", "2")]);
    let failed = try_commit(&mut store, "state", &next).unwrap_err();
    assert!(!failed.is_argument() && !failed.is_poisoned(), "{failed}");
    mend();
    let refusals = [
        try_commit(&mut store, "state", &next).map(drop),
        store.tables.undo("state", 0).map(drop),
        store.tables.remove("state"),
        store.tables.sync(),
    ];
    for refusal in refusals {
        assert!(refusal.unwrap_err().is_poisoned());
    }
    for again in [false, true] {
        let view = store.reader.tables().view("state").unwrap();
        assert_eq!(view.position(), first.position);
        assert_contents(&*view, &contents([&first]));
        if !again {
            // The writer of blocks is another.
            extend(&mut store, 0..1);
            drop(store);
            store = fixture.open().unwrap();
        }
    }
    commit(&mut store, "state", &next);
    let view = store.reader.tables().view("state").unwrap();
    assert_contents(&*view, &contents([&first, &next]));
}
