//! Cases: truncation and pruning.

use super::Fixture;
use super::sample::{
    append, assert_held, assert_kept, assert_pruned, assert_unknown, block_of, blocks, bodies_from,
    extend, key,
};
use crate::{Block, Durability, Extent, INDEX_ENTRY_BYTES, IndexEntry, Location, Part};

pub(super) fn truncate_removes_blocks_ids_and_keys(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..10);
    store.writer.truncate(6).unwrap();
    assert_eq!(store.reader.extent().unwrap(), Extent::whole(7));
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
        assert_eq!(store.reader.extent().unwrap(), Extent::whole(3));
    }
}

pub(super) fn truncate_below_the_floor_is_refused(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..10);
    store.writer.prune(Part::Body, 5, u64::MAX).unwrap();
    for above in [0, 3] {
        assert!(store.writer.truncate(above).unwrap_err().is_argument());
        assert_eq!(store.reader.extent().unwrap(), bodies_from(5, 10));
    }
    // Down to the floor itself there is nothing in the way.
    store.writer.truncate(4).unwrap();
    assert_eq!(store.reader.extent().unwrap(), bodies_from(5, 5));
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
        let before = store.reader.extent().unwrap().body_floor;
        let receipt = store.writer.prune(Part::Body, floor, u64::MAX).unwrap();
        let removed = &chain[before as usize..floor as usize];
        assert_eq!((receipt.floor, receipt.done), (floor, true));
        assert_eq!(receipt.blocks, removed.len() as u64);
        let body_bytes: u64 = removed.iter().map(|block| block.body.len() as u64).sum();
        assert_eq!(receipt.bytes, body_bytes);
        assert_eq!(store.reader.extent().unwrap(), bodies_from(floor, 10));
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
    store.writer.prune(Part::Body, 7, u64::MAX).unwrap();
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
        let receipt = store.writer.prune(Part::Body, 8, limit).unwrap();
        assert_eq!((receipt.floor, receipt.done), (floor, done));
        assert_eq!(store.reader.extent().unwrap(), bodies_from(floor, 10));
    }
}

pub(super) fn prune_of_what_is_pruned_does_nothing(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..10);
    store.writer.prune(Part::Body, 6, u64::MAX).unwrap();
    for below in [0, 5, 6] {
        let receipt = store.writer.prune(Part::Body, below, u64::MAX).unwrap();
        assert_eq!((receipt.floor, receipt.blocks, receipt.bytes), (6, 0, 0));
        assert!(receipt.done);
    }
}

pub(super) fn prune_beyond_the_end_is_refused(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    assert!(
        store
            .writer
            .prune(Part::Body, 1, u64::MAX)
            .unwrap_err()
            .is_argument()
    );
    extend(&mut store, 0..3);
    assert!(
        store
            .writer
            .prune(Part::Body, 4, u64::MAX)
            .unwrap_err()
            .is_argument()
    );
    assert_eq!(store.reader.extent().unwrap(), Extent::whole(3));
    blocks(0, 0..3)
        .iter()
        .for_each(|block| assert_held(&*store.reader, block));
}

pub(super) fn a_store_pruned_to_its_end_continues(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..4);
    store.writer.prune(Part::Body, 4, u64::MAX).unwrap();
    assert_eq!(store.reader.extent().unwrap(), bodies_from(4, 4));
    assert_eq!(store.reader.usage().unwrap().blocks, 0);
    extend(&mut store, 4..6);
    blocks(0, 0..4)
        .iter()
        .for_each(|block| assert_pruned(&*store.reader, block));
    blocks(0, 4..6)
        .iter()
        .for_each(|block| assert_held(&*store.reader, block));
}

pub(super) fn each_part_is_pruned_by_itself(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let chain = blocks(0, 0..10);
    append(&mut store, &chain);
    let mut extent = Extent::whole(10);
    for (part, floor) in [
        (Part::Body, 7),
        (Part::Index, 3),
        (Part::Header, 5),
        (Part::Index, 6),
        (Part::Header, 7),
        (Part::Body, 9),
        (Part::Index, 9),
    ] {
        let before = extent.floor_of(part);
        let receipt = store.writer.prune(part, floor, u64::MAX).unwrap();
        *extent.floor_of_mut(part) = floor;
        let removed = &chain[before as usize..floor as usize];
        let bytes = removed.iter().map(|block| match part {
            Part::Body => block.body.len() as u64,
            Part::Header => block.header.len() as u64,
            Part::Index => block.index.len() as u64 * INDEX_ENTRY_BYTES,
        });
        assert_eq!(
            (receipt.floor, receipt.blocks, receipt.bytes, receipt.done),
            (floor, removed.len() as u64, bytes.sum(), true)
        );
        assert_eq!(store.reader.extent().unwrap(), extent);
        assert_kept(&*store.reader, extent, &chain);
    }
}

pub(super) fn a_pruned_index_forgets_keys_and_keeps_ids(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..10);
    store.writer.prune(Part::Body, 6, u64::MAX).unwrap();
    store.writer.prune(Part::Index, 4, u64::MAX).unwrap();
    let forgotten = Location::Forgotten { below: 4 };
    // Whether it was there can't be told any more.
    for never in [[0; 32], key(1, 2, 0), key(0, 3, 0)] {
        assert_eq!(store.reader.locate(&never).unwrap(), forgotten);
    }
    // A pruned key may be given again, and is found there.
    let again = Block {
        index: block_of(0, 2).index,
        ..block_of(0, 10)
    };
    append(&mut store, &[again]);
    let found = Location::Found {
        height: 10,
        position: 1,
    };
    assert_eq!(store.reader.locate(&key(0, 2, 1)).unwrap(), found);
    // Ids are held for ever.
    let twin = Block {
        id: block_of(0, 0).id,
        ..block_of(1, 11)
    };
    let refused = store.writer.append(&[twin], Durability::Os);
    assert!(refused.unwrap_err().is_argument());
}

pub(super) fn parts_are_pruned_only_below_the_floor(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..10);
    for part in [Part::Index, Part::Header] {
        let refused = store.writer.prune(part, 1, u64::MAX).unwrap_err();
        assert!(refused.is_argument(), "{refused}");
    }
    store.writer.prune(Part::Body, 5, u64::MAX).unwrap();
    for part in [Part::Index, Part::Header] {
        assert!(store.writer.prune(part, 6, 1).unwrap_err().is_argument());
        for (limit, floor, done) in [(0, 0, false), (2, 2, false), (9, 5, true)] {
            let receipt = store.writer.prune(part, 5, limit).unwrap();
            assert_eq!((receipt.floor, receipt.done), (floor, done));
        }
        let receipt = store.writer.prune(part, 3, u64::MAX).unwrap();
        assert_eq!((receipt.floor, receipt.blocks, receipt.bytes), (5, 0, 0));
        assert!(receipt.done);
    }
    assert_kept(
        &*store.reader,
        Extent {
            body_floor: 5,
            index_floor: 5,
            header_floor: 5,
            end: 10,
        },
        &blocks(0, 0..10),
    );
}

pub(super) fn pruned_parts_stay_pruned(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..20);
    for (part, floor) in [(Part::Body, 12), (Part::Header, 4), (Part::Index, 11)] {
        store.writer.prune(part, floor, u64::MAX).unwrap();
    }
    store.writer.truncate(14).unwrap();
    drop(store);
    let mut store = fixture.open().unwrap();
    let mut extent = Extent {
        body_floor: 12,
        index_floor: 11,
        header_floor: 4,
        end: 15,
    };
    assert_kept(&*store.reader, extent, &blocks(0, 0..15));
    extend(&mut store, 15..30);
    extent.end = 30;
    assert_kept(&*store.reader, extent, &blocks(0, 0..30));
    // Truncation down to the floor takes nothing that was pruned.
    store.writer.truncate(11).unwrap();
    extent.end = 12;
    assert_kept(&*store.reader, extent, &blocks(0, 0..12));
}

/// Long enough for the parts that an index is made of to be merged and rebuilt, whatever the backend.
pub(super) fn a_long_chain_is_pruned_and_truncated(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let chain = blocks(0, 0..400);
    let mut extent = Extent::whole(0);
    let mut next = 0;
    for (end, prune, truncate) in [
        (90, 30, 80),
        (200, 77, 160),
        (170, 78, 100),
        (330, 290, 300),
        (400, 301, 400),
    ] {
        while next < end {
            let to = (next + 7).min(end);
            append(&mut store, &chain[next..to]);
            next = to;
        }
        for part in Part::ALL {
            store.writer.prune(part, prune as u64, u64::MAX).unwrap();
            *extent.floor_of_mut(part) = prune as u64;
        }
        store.writer.truncate(truncate as u64 - 1).unwrap();
        next = truncate;
        extent.end = next as u64;
        assert_kept(&*store.reader, extent, &chain[..next]);
        drop(store);
        store = fixture.open().unwrap();
        assert_kept(&*store.reader, extent, &chain[..next]);
    }
}
