//! Cases: truncation and pruning.

use super::Fixture;
use super::sample::{
    append, assert_held, assert_pruned, assert_unknown, block_of, blocks, extend, key,
};
use crate::{Block, Extent, IndexEntry, Location};

pub(super) fn truncate_removes_blocks_ids_and_keys(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..10);
    store.writer.truncate(6).unwrap();
    assert_eq!(store.reader.extent().unwrap(), Extent { floor: 0, end: 7 });
    blocks(0, 0..7)
        .iter()
        .for_each(|block| assert_held(&*store.reader, block));
    for block in blocks(0, 7..10) {
        assert_unknown(&*store.reader, &block);
        assert_eq!(store.reader.block(block.height).unwrap(), None);
        assert_eq!(store.reader.header(block.height).unwrap(), None);
    }
}

pub(super) fn truncate_keeps_keys_of_earlier_blocks(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let repeated = Block {
        index: vec![
            IndexEntry {
                key: key(0, 1, 2),
                position: 0,
            },
            IndexEntry {
                key: key(0, 3, 1),
                position: 1,
            },
        ],
        ..block_of(0, 3)
    };
    append(
        &mut store,
        &[block_of(0, 0), block_of(0, 1), block_of(0, 2), repeated],
    );
    store.writer.truncate(2).unwrap();
    let kept = Location::Found {
        height: 1,
        position: 2,
    };
    assert_eq!(store.reader.locate(&key(0, 1, 2)).unwrap(), kept);
    assert_eq!(
        store.reader.locate(&key(0, 3, 1)).unwrap(),
        Location::Absent
    );
}

pub(super) fn other_blocks_follow_a_truncation(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..10);
    store.writer.truncate(4).unwrap();
    append(&mut store, &blocks(1, 5..8));
    blocks(1, 5..8)
        .iter()
        .for_each(|block| assert_held(&*store.reader, block));
    blocks(0, 5..10)
        .iter()
        .for_each(|block| assert_unknown(&*store.reader, block));
    // And the removed ones may come back.
    store.writer.truncate(4).unwrap();
    extend(&mut store, 5..10);
    blocks(0, 0..10)
        .iter()
        .for_each(|block| assert_held(&*store.reader, block));
}

pub(super) fn truncate_at_the_tip_does_nothing(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    store.writer.truncate(0).unwrap();
    extend(&mut store, 0..3);
    for above in [2, 3, u64::MAX] {
        store.writer.truncate(above).unwrap();
        assert_eq!(store.reader.extent().unwrap(), Extent { floor: 0, end: 3 });
    }
}

pub(super) fn truncate_below_the_floor_is_refused(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..10);
    store.writer.prune(5, u64::MAX).unwrap();
    for above in [0, 3] {
        assert!(store.writer.truncate(above).unwrap_err().is_argument());
        assert_eq!(store.reader.extent().unwrap(), Extent { floor: 5, end: 10 });
    }
    // Down to the floor itself there is nothing in the way.
    store.writer.truncate(4).unwrap();
    assert_eq!(store.reader.extent().unwrap(), Extent { floor: 5, end: 5 });
    blocks(0, 0..5)
        .iter()
        .for_each(|block| assert_pruned(&*store.reader, block));
    extend(&mut store, 5..6);
    assert_held(&*store.reader, &block_of(0, 5));
}

pub(super) fn prune_makes_the_floor_exact(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let chain = blocks(0, 0..10);
    append(&mut store, &chain);
    for floor in [1, 4, 9] {
        let before = store.reader.extent().unwrap().floor;
        let receipt = store.writer.prune(floor, u64::MAX).unwrap();
        let removed = &chain[before as usize..floor as usize];
        assert_eq!((receipt.floor, receipt.done), (floor, true));
        assert_eq!(receipt.bodies, removed.len() as u64);
        let body_bytes: u64 = removed.iter().map(|block| block.body.len() as u64).sum();
        assert_eq!(receipt.body_bytes, body_bytes);
        assert_eq!(store.reader.extent().unwrap(), Extent { floor, end: 10 });
        chain[..floor as usize]
            .iter()
            .for_each(|block| assert_pruned(&*store.reader, block));
        chain[floor as usize..]
            .iter()
            .for_each(|block| assert_held(&*store.reader, block));
    }
}

pub(super) fn prune_keeps_headers_and_keys(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..10);
    let entries = store.reader.usage().unwrap().index_entries;
    store.writer.prune(7, u64::MAX).unwrap();
    assert_eq!(store.reader.usage().unwrap().index_entries, entries);
    blocks(0, 0..7)
        .iter()
        .for_each(|block| assert_pruned(&*store.reader, block));
    // A pruned block's key stays first.
    let again = Block {
        index: block_of(0, 2).index,
        ..block_of(0, 10)
    };
    append(&mut store, &[again]);
    let pruned = Location::Pruned {
        height: 2,
        position: 1,
    };
    assert_eq!(store.reader.locate(&key(0, 2, 1)).unwrap(), pruned);
}

pub(super) fn prune_resumes_after_its_limit(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..10);
    let steps = [(0, 0, false), (3, 3, false), (3, 6, false), (3, 8, true)];
    for (limit, floor, done) in steps {
        let receipt = store.writer.prune(8, limit).unwrap();
        assert_eq!((receipt.floor, receipt.done), (floor, done));
        assert_eq!(store.reader.extent().unwrap(), Extent { floor, end: 10 });
    }
}

pub(super) fn prune_of_what_is_pruned_does_nothing(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..10);
    store.writer.prune(6, u64::MAX).unwrap();
    for below in [0, 5, 6] {
        let receipt = store.writer.prune(below, u64::MAX).unwrap();
        assert_eq!(
            (receipt.floor, receipt.bodies, receipt.body_bytes),
            (6, 0, 0)
        );
        assert!(receipt.done);
    }
}

pub(super) fn prune_beyond_the_end_is_refused(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    assert!(store.writer.prune(1, u64::MAX).unwrap_err().is_argument());
    extend(&mut store, 0..3);
    assert!(store.writer.prune(4, u64::MAX).unwrap_err().is_argument());
    assert_eq!(store.reader.extent().unwrap(), Extent { floor: 0, end: 3 });
    blocks(0, 0..3)
        .iter()
        .for_each(|block| assert_held(&*store.reader, block));
}

pub(super) fn a_store_pruned_to_its_end_continues(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..4);
    store.writer.prune(4, u64::MAX).unwrap();
    assert_eq!(store.reader.extent().unwrap(), Extent { floor: 4, end: 4 });
    assert_eq!(store.reader.usage().unwrap().blocks, 0);
    extend(&mut store, 4..6);
    blocks(0, 0..4)
        .iter()
        .for_each(|block| assert_pruned(&*store.reader, block));
    blocks(0, 4..6)
        .iter()
        .for_each(|block| assert_held(&*store.reader, block));
}
