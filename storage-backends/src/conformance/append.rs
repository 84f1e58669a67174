//! Cases: what is appended comes back, and what must not be appended isn't.

use bytes::Bytes;

use super::Fixture;
use super::sample::{
    KEYS, append, assert_held, assert_unknown, bare, block_of, blocks, digest, extend, key,
};
use crate::{
    BODY_BYTES_MAX, Block, BlockReaderExt, Durability, Extent, HEADER_BYTES_MAX, IndexEntry,
    Location, Part, Store,
};

pub(super) fn an_empty_store_answers(fixture: &dyn Fixture) {
    let store = fixture.open().unwrap();
    let reader = &store.reader;
    assert_eq!(reader.extent().unwrap(), Extent::whole(0));
    assert_eq!(reader.tip().unwrap(), None);
    for height in [0, 1, u64::MAX] {
        assert_eq!(reader.header(height).unwrap(), None);
        assert_eq!(reader.block(height).unwrap(), None);
    }
    assert_unknown(&*store.reader, &block_of(0, 0));
    assert_eq!(reader.named_value("name").unwrap(), None);
    let usage = reader.usage().unwrap();
    assert_eq!((usage.blocks, usage.index_entries), (0, 0));
}

pub(super) fn what_was_appended_reads_back(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let chain = blocks(0, 0..20);
    append(&mut store, &chain[..1]);
    append(&mut store, &chain[1..7]);
    append(&mut store, &chain[7..]);
    assert_eq!(store.reader.extent().unwrap(), Extent::whole(20));
    chain
        .iter()
        .for_each(|block| assert_held(&*store.reader, block));
    assert_eq!(store.reader.block(20).unwrap(), None);
    assert_eq!(store.reader.header(u64::MAX).unwrap(), None);
}

pub(super) fn an_empty_run_changes_nothing(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    for end in [0, 3] {
        let held = store.reader.extent().unwrap().end;
        extend(&mut store, held..end);
        let receipt = store.writer.append(&[], Durability::Disk).unwrap();
        assert_eq!(receipt.end, end);
        assert_eq!(store.reader.extent().unwrap(), Extent::whole(end));
    }
}

pub(super) fn empty_and_large_bodies_read_back(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let large: Vec<u8> = (0..9_000_000_u32)
        .flat_map(|word| [word as u8, (word >> 8) as u8])
        .collect();
    let run = [
        bare(0),
        Block {
            body: large.into(),
            ..block_of(0, 1)
        },
        bare(2),
    ];
    append(&mut store, &run);
    run.iter()
        .for_each(|block| assert_held(&*store.reader, block));
}

pub(super) fn wrong_heights_are_refused(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    assert_refused(&mut store, &[block_of(0, 1)]);
    extend(&mut store, 0..3);
    for height in [0, 2, 4, u64::MAX] {
        assert_refused(&mut store, &[block_of(1, height)]);
    }
    assert_refused(&mut store, &[block_of(1, 3), block_of(1, 5)]);
    assert_refused(&mut store, &[block_of(1, 3), block_of(1, 3)]);
    extend(&mut store, 3..4);
}

pub(super) fn held_ids_are_refused(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..5);
    let twin = |height, of| Block {
        id: block_of(0, of).id,
        ..block_of(1, height)
    };
    assert_refused(&mut store, &[twin(5, 0)]);
    assert_refused(&mut store, &[block_of(1, 5), twin(6, 3)]);
    assert_refused(&mut store, &[block_of(0, 5), twin(6, 5)]);
    // Also the id of a block whose body is gone.
    store.writer.prune(Part::Body, 2, u64::MAX).unwrap();
    assert_refused(&mut store, &[twin(5, 0)]);
    extend(&mut store, 5..6);
}

pub(super) fn oversized_blocks_are_refused(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let zeros = |len: usize| Bytes::from(vec![0; len]);
    assert_refused(
        &mut store,
        &[Block {
            header: zeros(HEADER_BYTES_MAX + 1),
            ..bare(0)
        }],
    );
    assert_refused(
        &mut store,
        &[Block {
            body: zeros(BODY_BYTES_MAX + 1),
            ..bare(0)
        }],
    );
    let largest = Block {
        header: zeros(HEADER_BYTES_MAX),
        ..bare(0)
    };
    append(&mut store, std::slice::from_ref(&largest));
    assert_held(&*store.reader, &largest);
}

pub(super) fn a_refused_run_leaves_nothing(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..3);
    let mut run = blocks(1, 3..10);
    run[6].id = block_of(0, 1).id;
    assert_refused(&mut store, &run);
    run[..6]
        .iter()
        .for_each(|block| assert_unknown(&*store.reader, block));
    assert_eq!(
        store.reader.usage().unwrap().index_entries,
        3 * u64::from(KEYS)
    );
    // The same blocks are welcome once the fault is mended.
    run[6].id = block_of(1, 9).id;
    append(&mut store, &run);
    run.iter()
        .for_each(|block| assert_held(&*store.reader, block));
}

pub(super) fn the_first_place_of_a_key_wins(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let shared = digest(b's', 0, 0, 0);
    let with = |height, positions: &[u32]| Block {
        index: positions
            .iter()
            .map(|&position| IndexEntry {
                key: shared,
                position,
            })
            .collect(),
        ..block_of(0, height)
    };
    append(
        &mut store,
        &[block_of(0, 0), with(1, &[9, 4, 7]), with(2, &[0])],
    );
    append(&mut store, &[with(3, &[1])]);
    let first = Location::Found {
        height: 1,
        position: 4,
    };
    assert_eq!(store.reader.locate(&shared).unwrap(), first);
    // Each is an entry.
    assert_eq!(
        store.reader.usage().unwrap().index_entries,
        u64::from(KEYS) + 5
    );
}

pub(super) fn absent_ids_and_keys_are_absent(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..50);
    (0..50).for_each(|height| assert_unknown(&*store.reader, &block_of(1, height)));
    // Ids are no keys, nor the reverse; and the ends of the range are nobody's.
    assert_eq!(
        store.reader.locate(&block_of(0, 1).id).unwrap(),
        Location::Absent
    );
    assert_eq!(store.reader.height_of(&key(0, 1, 0)).unwrap(), None);
    for edge in [[0; 32], [u8::MAX; 32]] {
        assert_eq!(store.reader.locate(&edge).unwrap(), Location::Absent);
        assert_eq!(store.reader.height_of(&edge).unwrap(), None);
    }
}

pub(super) fn ranges_end_at_the_tip(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..5);
    assert_eq!(store.reader.tip().unwrap(), Some(4));
    let headers: Vec<_> = store
        .reader
        .headers(1..3)
        .map(|step| step.unwrap().0)
        .collect();
    assert_eq!(headers, [1, 2]);
    let blocks: Vec<_> = store
        .reader
        .blocks(3..u64::MAX)
        .map(|step| step.unwrap())
        .collect();
    assert_eq!(
        blocks.iter().map(|(height, _)| *height).collect::<Vec<_>>(),
        [3, 4]
    );
    assert_eq!(blocks[1].1.id, block_of(0, 4).id);
}

pub(super) fn usage_counts_bodies_and_keys(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..10);
    let usage = store.reader.usage().unwrap();
    assert_eq!(
        (usage.blocks, usage.index_entries),
        (10, 10 * u64::from(KEYS))
    );
    store.writer.prune(Part::Body, 4, u64::MAX).unwrap();
    store.writer.truncate(7).unwrap();
    let usage = store.reader.usage().unwrap();
    assert_eq!(
        (usage.blocks, usage.index_entries),
        (4, 8 * u64::from(KEYS))
    );
}

/// Asserts that the run is an argument error and changes neither the extent nor what is counted.
#[track_caller]
fn assert_refused(store: &mut Store, run: &[Block]) {
    let state = |store: &Store| {
        let usage = store.reader.usage().unwrap();
        (
            store.reader.extent().unwrap(),
            usage.blocks,
            usage.index_entries,
        )
    };
    let before = state(store);
    let error = store.writer.append(run, Durability::Os).unwrap_err();
    assert!(error.is_argument(), "{error}");
    assert_eq!(state(store), before);
}
