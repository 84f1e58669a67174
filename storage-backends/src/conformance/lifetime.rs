//! Cases: named values, opening again, durability, concurrent readers, failure.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::Fixture;
use super::sample::{
    append, assert_held, assert_pruned, assert_unknown, block_of, blocks, bodies_from, extend,
};
use crate::{
    BlockReader, Durability, Error, Extent, Held, Location, NAMED_VALUE_BYTES_MAX, Part,
    VALUE_NAME_BYTES_MAX,
};

pub(super) fn named_values_read_back(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let longest = "k".repeat(VALUE_NAME_BYTES_MAX);
    let values: [(&str, Vec<u8>); 5] = [
        ("spec", b"first".to_vec()),
        ("", Vec::new()),
        ("spec\0", vec![0; 10]),
        (&longest, vec![7; 3 << 20]),
        ("spec", b"second".to_vec()),
    ];
    for (key, value) in &values {
        store
            .writer
            .put_named_value(key, value, Durability::Disk)
            .unwrap();
        assert_eq!(
            store.reader.named_value(key).unwrap().as_deref(),
            Some(&value[..])
        );
    }
    assert_eq!(
        store.reader.named_value("").unwrap().as_deref(),
        Some(&[][..])
    );
    for absent in ["spe", "specs", "zz"] {
        assert_eq!(store.reader.named_value(absent).unwrap(), None);
    }
    assert!(store.reader.extent().unwrap().is_empty());
}

pub(super) fn oversized_named_values_are_refused(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let long_key = "k".repeat(VALUE_NAME_BYTES_MAX + 1);
    let refused = store
        .writer
        .put_named_value(&long_key, b"", Durability::Os)
        .unwrap_err();
    assert!(refused.is_argument());
    let long_value = vec![0; NAMED_VALUE_BYTES_MAX + 1];
    let refused = store
        .writer
        .put_named_value("key", &long_value, Durability::Os)
        .unwrap_err();
    assert!(refused.is_argument());
    assert_eq!(store.reader.named_value("key").unwrap(), None);
    store
        .writer
        .put_named_value("key", b"value", Durability::Os)
        .unwrap();
}

pub(super) fn reopening_sees_everything(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..8);
    store
        .writer
        .put_named_value("name", b"value", Durability::Os)
        .unwrap();
    drop(store);
    let store = fixture.open().unwrap();
    assert_eq!(store.reader.extent().unwrap(), Extent::whole(8));
    blocks(0, 0..8)
        .iter()
        .for_each(|block| assert_held(&*store.reader, block));
    assert_eq!(
        store.reader.named_value("name").unwrap().as_deref(),
        Some(&b"value"[..])
    );
    assert_unknown(&*store.reader, &block_of(0, 8));
}

pub(super) fn reopening_continues_after_truncate_and_prune(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..20);
    store.writer.prune(Part::Body, 6, u64::MAX).unwrap();
    store.writer.truncate(14).unwrap();
    drop(store);
    let mut store = fixture.open().unwrap();
    assert_eq!(store.reader.extent().unwrap(), bodies_from(6, 15));
    append(&mut store, &blocks(1, 15..18));
    blocks(0, 0..6)
        .iter()
        .for_each(|block| assert_pruned(&*store.reader, block));
    blocks(0, 6..15)
        .iter()
        .for_each(|block| assert_held(&*store.reader, block));
    blocks(1, 15..18)
        .iter()
        .for_each(|block| assert_held(&*store.reader, block));
    blocks(0, 15..20)
        .iter()
        .for_each(|block| assert_unknown(&*store.reader, block));
}

pub(super) fn a_reader_outlives_its_writer(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..3);
    let reader = store.reader.clone();
    drop(store);
    assert_held(&*reader, &block_of(0, 2));
    // It sees what the next writer commits.
    let mut store = fixture.open().unwrap();
    extend(&mut store, 3..5);
    assert_held(&*reader, &block_of(0, 4));
}

pub(super) fn a_second_writer_is_refused(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    assert!(matches!(fixture.open().unwrap_err(), Error::InUse { .. }));
    extend(&mut store, 0..2);
    let reader = store.reader.clone();
    drop(store);
    drop(fixture.open().unwrap());
    assert_held(&*reader, &block_of(0, 1));
}

pub(super) fn receipts_reach_what_the_backend_can(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let most = store.writer.sync().unwrap().durability;
    let levels = [Durability::Memory, Durability::Os, Durability::Disk];
    for (height, level) in (0..).zip(levels) {
        let receipt = store.writer.append(&[block_of(0, height)], level).unwrap();
        assert_eq!(receipt.end, height + 1);
        assert!(
            receipt.durability >= level.min(most),
            "{level}: {receipt:?}"
        );
        assert!(receipt.durability <= most, "{level}: {receipt:?}");
    }
}

pub(super) fn sync_covers_what_came_before(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let most = store
        .writer
        .append(&[], Durability::Disk)
        .unwrap()
        .durability;
    extend(&mut store, 0..4);
    for _ in 0..2 {
        let receipt = store.writer.sync().unwrap();
        assert_eq!((receipt.end, receipt.durability), (4, most));
    }
}

/// How many runs the concurrent cases append.
const RUNS: u64 = 40;
/// Blocks of a run.
const RUN: u64 = 5;

pub(super) fn readers_never_see_part_of_a_run(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let reader = store.reader.clone();
    beside_readers(&*reader, watch_runs, || {
        for run in 0..RUNS {
            extend(&mut store, run * RUN..(run + 1) * RUN);
            if run % 10 == 9 {
                store
                    .writer
                    .prune(Part::Body, (run - 5) * RUN, u64::MAX)
                    .unwrap();
            }
        }
    });
    assert_eq!(reader.extent().unwrap().end, RUNS * RUN);
}

/// Ends are multiples of a run, and whatever is below the end is there, wherever it is asked for.
fn watch_runs(reader: &dyn BlockReader) {
    let Extent {
        body_floor: floor,
        end,
        ..
    } = reader.extent().unwrap();
    assert_eq!(end % RUN, 0, "part of a run is visible");
    let Some(tip) = end.checked_sub(1) else {
        return;
    };
    for height in [tip, tip - tip % RUN, floor.min(tip), end / 2] {
        let block = block_of(0, height);
        let held = reader.block(height).unwrap().unwrap();
        assert_eq!(
            (held.id, held.header),
            (block.id, Held::Present(block.header))
        );
        if let Held::Present(bytes) = held.body {
            assert_eq!(bytes, block.body);
        }
        assert_eq!(reader.height_of(&block.id).unwrap(), Some(height));
        let place = reader.locate(&block.index[1].key).unwrap();
        let pruned = Location::Pruned {
            height,
            position: 1,
        };
        assert!(
            place
                == Location::Found {
                    height,
                    position: 1
                }
                || place == pruned,
            "{place:?}"
        );
    }
}

pub(super) fn readers_never_see_part_of_a_truncation(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let reader = store.reader.clone();
    extend(&mut store, 0..RUN);
    beside_readers(&*reader, watch_branches, || {
        for round in 0..RUNS {
            append(&mut store, &blocks((round % 2) as u8, RUN..2 * RUN));
            store.writer.truncate(RUN - 1).unwrap();
        }
    });
    assert_eq!(reader.extent().unwrap().end, RUN);
}

/// The end is one of two, and a block that comes and goes is there whole or not at all.
fn watch_branches(reader: &dyn BlockReader) {
    let end = reader.extent().unwrap().end;
    assert!(
        end == RUN || end == 2 * RUN,
        "part of a truncation is visible: {end}"
    );
    let candidates = [0, 1].map(|branch| block_of(branch, RUN + 2));
    if let Some(held) = reader.block(RUN + 2).unwrap() {
        let whole = candidates.iter().any(|block| {
            held.id == block.id
                && held.header == Held::Present(block.header.clone())
                && held.body == Held::Present(block.body.clone())
        });
        assert!(whole, "a block of two branches: {held:?}");
    }
    for block in candidates {
        let height = reader.height_of(&block.id).unwrap();
        assert!(height.is_none_or(|height| height == RUN + 2));
        let place = reader.locate(&block.index[0].key).unwrap();
        let found = Location::Found {
            height: RUN + 2,
            position: 0,
        };
        assert!(place == found || place == Location::Absent, "{place:?}");
    }
}

/// Blocks of the branches that replace one another.
const BRANCHES: [u64; 2] = [3 * RUN, 2 * RUN];

pub(super) fn readers_never_see_part_of_a_replacement(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let reader = store.reader.clone();
    extend(&mut store, 0..BRANCHES[0]);
    beside_readers(&*reader, watch_replacements, || {
        for round in 0..RUNS {
            let branch = (round + 1) % 2;
            let run = blocks(branch as u8, RUN..BRANCHES[branch as usize]);
            store.writer.replace(RUN - 1, &run, Durability::Os).unwrap();
        }
    });
    assert_eq!(reader.extent().unwrap().end, BRANCHES[0]);
}

/// The end is that of one branch or the other; a height that both have is never without its block, and what is told of a block
/// is of one branch.
fn watch_replacements(reader: &dyn BlockReader) {
    let end = reader.extent().unwrap().end;
    assert!(BRANCHES.contains(&end), "neither branch ends at {end}");
    for height in [RUN - 1, RUN, 2 * RUN - 1] {
        let held = reader.block(height).unwrap();
        let held = held.expect("a block that both branches have");
        let whole = [0, 1]
            .map(|branch| block_of(branch, height))
            .iter()
            .any(|block| {
                held.id == block.id
                    && held.header == Held::Present(block.header.clone())
                    && held.body == Held::Present(block.body.clone())
            });
        assert!(whole, "a block of two branches: {held:?}");
        assert!(reader.index(height).unwrap().is_some());
    }
    let below = block_of(0, RUN - 1);
    assert_eq!(reader.height_of(&below.id).unwrap(), Some(RUN - 1));
    assert_held(reader, &below);
    for block in [0, 1].map(|branch| block_of(branch, 2 * RUN - 1)) {
        let height = reader.height_of(&block.id).unwrap();
        assert!(height.is_none_or(|height| height == block.height));
        let place = reader.locate(&block.index[2].key).unwrap();
        let found = Location::Found {
            height: block.height,
            position: 2,
        };
        assert!(place == found || place == Location::Absent, "{place:?}");
    }
    // Above, only the one has blocks.
    if let Some(held) = reader.header(BRANCHES[0] - 1).unwrap() {
        assert_eq!(held.id, block_of(0, BRANCHES[0] - 1).id);
    }
}

/// Runs `write` while threads watch again and again, each at least once after the writing is done.
fn beside_readers(reader: &dyn BlockReader, watch: fn(&dyn BlockReader), write: impl FnOnce()) {
    /// Tells the watchers to stop, also if the writing panics.
    struct Done<'a>(&'a AtomicBool);
    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let last = done.load(Ordering::Acquire);
                    watch(reader);
                    if last {
                        break;
                    }
                }
            });
        }
        let _done = Done(&done);
        write();
    });
}

pub(super) fn a_failed_append_poisons_the_writer(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..3);
    let Some(mend) = fixture.break_appends() else {
        return;
    };
    let failed = store
        .writer
        .append(&blocks(0, 3..5), Durability::Os)
        .unwrap_err();
    assert!(!failed.is_argument() && !failed.is_poisoned(), "{failed}");
    mend();
    let refusals = [
        store
            .writer
            .append(&blocks(0, 3..5), Durability::Os)
            .map(drop),
        store.writer.truncate(0),
        store
            .writer
            .replace(1, &blocks(1, 2..4), Durability::Os)
            .map(drop),
        store.writer.prune(Part::Body, 1, 1).map(drop),
        store
            .writer
            .put_named_value("name", b"value", Durability::Os),
        store.writer.sync().map(drop),
    ];
    for refusal in refusals {
        assert!(refusal.unwrap_err().is_poisoned());
    }
    blocks(0, 0..3)
        .iter()
        .for_each(|block| assert_held(&*store.reader, block));
    blocks(0, 3..5)
        .iter()
        .for_each(|block| assert_unknown(&*store.reader, block));
    drop(store);
    let mut store = fixture.open().unwrap();
    extend(&mut store, 3..5);
    blocks(0, 0..5)
        .iter()
        .for_each(|block| assert_held(&*store.reader, block));
}

pub(super) fn a_failed_replacement_poisons_the_writer(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..6);
    let Some(mend) = fixture.break_appends() else {
        return;
    };
    let run = blocks(1, 2..5);
    let failed = store.writer.replace(1, &run, Durability::Os).unwrap_err();
    assert!(!failed.is_argument() && !failed.is_poisoned(), "{failed}");
    mend();
    let refused = store.writer.replace(1, &run, Durability::Os).unwrap_err();
    assert!(refused.is_poisoned());
    for again in [false, true] {
        assert_eq!(store.reader.extent().unwrap(), Extent::whole(6));
        blocks(0, 0..6)
            .iter()
            .for_each(|block| assert_held(&*store.reader, block));
        run.iter()
            .for_each(|block| assert_unknown(&*store.reader, block));
        if !again {
            drop(store);
            store = fixture.open().unwrap();
        }
    }
    store.writer.replace(1, &run, Durability::Os).unwrap();
    run.iter()
        .for_each(|block| assert_held(&*store.reader, block));
    blocks(0, 2..6)
        .iter()
        .for_each(|block| assert_unknown(&*store.reader, block));
}
