//! Cases: a run in place of the top of the chain.

use super::Fixture;
use super::sample::{
    KEYS, append, assert_held, assert_kept, assert_pruned, assert_unknown, block_of, blocks,
    bodies_from, extend, key,
};
use crate::{
    Block, Durability, Extent, HEADER_BYTES_MAX, IndexEntry, Location, Part, Receipt, Store,
};

fn replace(store: &mut Store, above: u64, run: &[Block]) -> Receipt {
    let receipt = store.writer.replace(above, run, Durability::Os).unwrap();
    let end = run.last().map_or(above + 1, |last| last.height + 1);
    assert_eq!(receipt.end, end);
    assert_eq!(store.reader.extent().unwrap().end, end);
    receipt
}

fn all_held(store: &Store, run: &[Block]) {
    run.iter()
        .for_each(|block| assert_held(&*store.reader, block));
}

fn all_unknown(store: &Store, run: &[Block]) {
    run.iter()
        .for_each(|block| assert_unknown(&*store.reader, block));
}

pub(super) fn a_run_takes_the_place_of_the_top(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..10);
    // Longer, as long, shorter, and by one block; each in place of all of the one before.
    let mut before = blocks(0, 6..10);
    for (branch, above, end) in [(1, 5, 14), (2, 5, 14), (3, 4, 7), (4, 4, 6), (5, 3, 30)] {
        let run = blocks(branch, above + 1..end);
        replace(&mut store, above, &run);
        all_held(&store, &blocks(0, 0..above + 1));
        all_held(&store, &run);
        all_unknown(&store, &before);
        assert_eq!(store.reader.block(end).unwrap(), None);
        let entries = store.reader.usage().unwrap().index_entries;
        assert_eq!(entries, end * u64::from(KEYS));
        before = run;
    }
    extend(&mut store, 30..32);
    drop(store);
    let store = fixture.open().unwrap();
    assert_eq!(store.reader.extent().unwrap(), Extent::whole(32));
    all_held(&store, &blocks(0, 0..4));
    all_held(&store, &blocks(5, 4..30));
    all_held(&store, &blocks(0, 30..32));
    all_unknown(&store, &blocks(1, 6..14));
}

pub(super) fn all_but_the_first_block_may_be_replaced(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    for height in 0..40 {
        extend(&mut store, height..height + 1);
    }
    replace(&mut store, 0, &blocks(1, 1..41));
    assert_held(&*store.reader, &block_of(0, 0));
    all_held(&store, &blocks(1, 1..41));
    all_unknown(&store, &blocks(0, 1..40));
    // And block by block: each takes one off and puts two.
    for height in 41..60 {
        replace(&mut store, height - 2, &blocks(2, height - 1..height + 1));
    }
    all_held(&store, &blocks(2, 40..60));
    drop(store);
    let store = fixture.open().unwrap();
    all_held(&store, &blocks(1, 1..40));
    all_held(&store, &blocks(2, 40..60));
    all_unknown(&store, &blocks(0, 1..40));
}

pub(super) fn at_the_tip_a_replacement_appends(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let replaced = |store: &mut Store, above, heights| {
        let run = blocks(0, heights);
        let receipt = store.writer.replace(above, &run, Durability::Os);
        assert_eq!(receipt.unwrap().end, run.last().unwrap().height + 1);
    };
    replaced(&mut store, 7, 0..1);
    replaced(&mut store, 0, 1..3);
    replaced(&mut store, 2, 3..5);
    replaced(&mut store, 9, 5..6);
    replaced(&mut store, u64::MAX, 6..8);
    for above in [7, 8, u64::MAX] {
        let receipt = store.writer.replace(above, &[], Durability::Os).unwrap();
        assert_eq!(receipt.end, 8);
    }
    all_held(&store, &blocks(0, 0..8));
    // The run has to continue the tip, whatever is named.
    for (above, height) in [(7, 9), (9, 10), (9, 7), (u64::MAX, 0)] {
        assert_refused(&mut store, above, &[block_of(1, height)]);
    }
}

pub(super) fn an_empty_replacement_truncates(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..10);
    let durable = store.writer.sync().unwrap().durability;
    let receipt = store.writer.replace(6, &[], Durability::Memory).unwrap();
    assert_eq!((receipt.end, receipt.durability), (7, durable));
    all_held(&store, &blocks(0, 0..7));
    all_unknown(&store, &blocks(0, 7..10));
}

pub(super) fn a_replacement_is_durable_at_once(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..5);
    let durable = store.writer.sync().unwrap().durability;
    let run = blocks(1, 3..5);
    for level in [Durability::Memory, Durability::Os, Durability::Disk] {
        let receipt = store.writer.replace(2, &run, level).unwrap();
        assert_eq!((receipt.end, receipt.durability), (5, durable));
    }
}

pub(super) fn ids_and_keys_of_replaced_blocks_come_again(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..10);
    // The very same blocks; then others with their ids and keys at other heights.
    replace(&mut store, 5, &blocks(0, 6..9));
    all_held(&store, &blocks(0, 0..9));
    let moved: Vec<Block> = (6..9)
        .map(|height| Block {
            id: block_of(0, 14 - height).id,
            index: block_of(0, 14 - height).index,
            ..block_of(1, height)
        })
        .collect();
    replace(&mut store, 5, &moved);
    all_held(&store, &moved);
    all_held(&store, &blocks(0, 0..6));
    drop(store);
    let mut store = fixture.open().unwrap();
    all_held(&store, &moved);
    // An id that stays is held, one that is twice in the run too.
    let twin = |height, of| Block {
        id: block_of(0, of).id,
        ..block_of(2, height)
    };
    assert_refused(&mut store, 5, &[twin(6, 0)]);
    assert_refused(&mut store, 5, &[block_of(2, 6), twin(7, 5)]);
    assert_refused(&mut store, 6, &[twin(7, 8)]);
    assert_refused(&mut store, 5, &[block_of(0, 6), twin(7, 6)]);
    replace(&mut store, 5, &[twin(6, 8), twin(7, 6)]);
}

pub(super) fn keys_keep_their_first_place_among_what_stays(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let with = |branch, height, keys: &[(u64, u32)]| Block {
        index: keys
            .iter()
            .map(|&(of, position)| IndexEntry {
                key: key(9, of, 0),
                position,
            })
            .collect(),
        ..block_of(branch, height)
    };
    let found = |store: &Store, of, height, position| {
        let place = Location::Found { height, position };
        assert_eq!(store.reader.locate(&key(9, of, 0)).unwrap(), place);
    };
    append(&mut store, &[with(0, 0, &[(0, 7)]), with(0, 1, &[])]);
    append(&mut store, &[with(0, 2, &[(0, 1), (1, 5), (2, 3)])]);
    append(&mut store, &[with(0, 3, &[(1, 2), (3, 0)]), block_of(0, 4)]);
    found(&store, 1, 2, 5);
    // Those that stay keep theirs; of the removed ones the run's counts, wherever in it.
    let run = [
        with(1, 3, &[(0, 0), (1, 9), (3, 8), (3, 4)]),
        with(1, 4, &[(3, 1), (4, 2)]),
    ];
    replace(&mut store, 2, &run);
    for (of, height, position) in [(0, 0, 7), (1, 2, 5), (2, 2, 3), (3, 3, 4), (4, 4, 2)] {
        found(&store, of, height, position);
    }
    let run = [
        with(2, 2, &[]),
        with(2, 3, &[(2, 6), (0, 3)]),
        with(2, 4, &[(1, 1), (2, 0)]),
    ];
    replace(&mut store, 1, &run);
    drop(store);
    let store = fixture.open().unwrap();
    for (of, height, position) in [(0, 0, 7), (1, 4, 1), (2, 3, 6)] {
        found(&store, of, height, position);
    }
    for gone in [3, 4] {
        let place = store.reader.locate(&key(9, gone, 0)).unwrap();
        assert_eq!(place, Location::Absent);
    }
}

pub(super) fn pruned_blocks_are_not_replaced(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..10);
    store.writer.prune(Part::Body, 5, u64::MAX).unwrap();
    for above in [0, 3] {
        assert_refused(&mut store, above, &blocks(1, above + 1..12));
        assert_refused(&mut store, above, &[]);
    }
    // Down to the floor itself there is nothing in the way.
    replace(&mut store, 4, &blocks(1, 5..8));
    assert_eq!(store.reader.extent().unwrap(), bodies_from(5, 8));
    let pruned = |store: &Store| {
        blocks(0, 0..5)
            .iter()
            .for_each(|block| assert_pruned(&*store.reader, block));
    };
    pruned(&store);
    all_held(&store, &blocks(1, 5..8));
    // Also if everything is pruned: then it is an append.
    store.writer.prune(Part::Body, 8, u64::MAX).unwrap();
    assert_refused(&mut store, 6, &[block_of(2, 7)]);
    replace(&mut store, 7, &[block_of(2, 8)]);
    assert_held(&*store.reader, &block_of(2, 8));
    pruned(&store);
}

pub(super) fn wrong_replacements_are_refused(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    extend(&mut store, 0..6);
    for height in [0, 2, 4, 6, u64::MAX] {
        assert_refused(&mut store, 2, &[block_of(1, height)]);
    }
    assert_refused(&mut store, 2, &[block_of(1, 3), block_of(1, 5)]);
    assert_refused(&mut store, 2, &[block_of(1, 3), block_of(1, 3)]);
    let large = Block {
        header: vec![0; HEADER_BYTES_MAX + 1].into(),
        ..block_of(1, 3)
    };
    assert_refused(&mut store, 2, &[large]);
    all_held(&store, &blocks(0, 0..6));
    replace(&mut store, 2, &blocks(1, 3..5));
    all_held(&store, &blocks(1, 3..5));
}

/// Long enough for the parts that an index and a log are made of to be sealed, merged and rebuilt between.
pub(super) fn a_long_chain_is_replaced_and_pruned(fixture: &dyn Fixture) {
    let mut store = fixture.open().unwrap();
    let mut chain: Vec<Block> = Vec::new();
    let mut extent = Extent::whole(0);
    for (round, (end, prune, above)) in (1_u8..).zip([
        (90, 30, 60),
        (200, 60, 70),
        (170, 71, 169),
        (330, 150, 160),
        (400, 161, 399),
    ]) {
        while chain.len() < end {
            let first = chain.len() as u64;
            let run = blocks(0, first..(first + 7).min(end as u64));
            append(&mut store, &run);
            chain.extend(run);
        }
        for part in Part::ALL {
            store.writer.prune(part, prune, u64::MAX).unwrap();
            *extent.floor_of_mut(part) = prune;
        }
        let run = blocks(round, above + 1..above + 1 + u64::from(round) * 9);
        replace(&mut store, above, &run);
        chain.truncate(above as usize + 1);
        chain.extend(run);
        extent.end = chain.len() as u64;
        assert_kept(&*store.reader, extent, &chain);
        drop(store);
        store = fixture.open().unwrap();
        assert_kept(&*store.reader, extent, &chain);
    }
}

/// Asserts that the replacement is an argument error and changes nothing.
#[track_caller]
fn assert_refused(store: &mut Store, above: u64, run: &[Block]) {
    let state = |store: &Store| {
        let usage = store.reader.usage().unwrap();
        (
            store.reader.extent().unwrap(),
            usage.blocks,
            usage.index_entries,
        )
    };
    let before = state(store);
    let error = store
        .writer
        .replace(above, run, Durability::Os)
        .unwrap_err();
    assert!(error.is_argument(), "{error}");
    assert_eq!(state(store), before);
}
