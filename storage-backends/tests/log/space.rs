//! What a store takes, and gives back.

use hubledger_storage::{
    Block, Durability, Extent, Held, IndexEntry, Location, LogOptions, Part, Store,
};

use super::support::{ask, await_index, block, id};
use super::{BODY_BYTES, DamageAt, END, SMALL, extent};

/// Where files are measured, no thread writes index files beside.
const MEASURED: LogOptions = LogOptions {
    segment_bytes: 256 << 20,
    segment_entries: 1 << 20,
    index_fanout: 8,
    direct_bytes: 4 << 20,
    index_in_background: false,
    cache_bytes: 256 << 20,
    table_memory_bytes: 32 << 20,
    table_cache_bytes: 1 << 20,
};

#[test]
fn bytes_outlive_pruning_and_are_not_in_its_way() {
    let place = DamageAt::new();
    let mut store = place.url().create().unwrap();
    let run: Vec<Block> = (0..100).map(|height| block(height, 100_000)).collect();
    store.writer.append(&run, Durability::Os).unwrap();
    let held = body(&store, 3);
    let receipt = store.writer.prune(Part::Body, 50, u64::MAX).unwrap();
    assert!(receipt.freed_bytes >= 49 * 100_000, "{receipt:?}");
    assert_eq!(held, run[3].body);
    store.writer.prune(Part::Body, 51, u64::MAX).unwrap();
    ask(
        &*store.reader,
        Extent {
            body_floor: 51,
            ..Extent::whole(100)
        },
        100_000,
    )
    .unwrap();
}

/// Of keys alone, as bodies and headers are small here.
#[test]
fn pruning_the_index_gives_its_space_back() {
    for (segment_bytes, index_fanout) in [(1 << 20, 2), (256 << 20, 8)] {
        let place = DamageAt::new();
        let options = LogOptions {
            segment_bytes,
            index_fanout,
            ..MEASURED
        };
        let mut store = options.create(&place.directory()).unwrap();
        let chain: Vec<Block> = (0..400).map(wide_block).collect();
        for run in chain.chunks(4) {
            store.writer.append(run, Durability::Os).unwrap();
        }
        store.writer.sync().unwrap();
        await_index(&*store.reader);
        store.writer.prune(Part::Body, 200, u64::MAX).unwrap();
        let before = store.reader.usage().unwrap();
        assert_eq!(before.index_entries, 400 * WIDE);
        let receipt = store.writer.prune(Part::Index, 200, u64::MAX).unwrap();
        let after = store.reader.usage().unwrap();
        assert_eq!(after.index_entries, 200 * WIDE);
        let keys = 200 * WIDE * 32;
        assert_eq!(receipt.bytes, 200 * WIDE * 36);
        assert!(receipt.freed_bytes >= keys * 95 / 100, "{receipt:?}");
        let smaller = before.bytes_on_disk.saturating_sub(after.bytes_on_disk);
        assert!(
            smaller + 8192 >= receipt.freed_bytes,
            "{smaller} {receipt:?}"
        );
        drop(store);
        let store = options.open(&place.directory()).unwrap();
        for block in &chain {
            let expected = match block.height < 200 {
                true => Location::Forgotten { below: 200 },
                false => Location::Found {
                    height: block.height,
                    position: 7,
                },
            };
            assert_eq!(store.reader.locate(&block.index[7].key).unwrap(), expected);
            assert_eq!(
                store.reader.height_of(&block.id).unwrap(),
                Some(block.height)
            );
        }
    }
}

#[test]
fn headers_outlive_the_file_that_they_were_read_from_and_are_not_in_its_way() {
    let place = DamageAt::new();
    let mut store = place.url().create().unwrap();
    let chain: Vec<Block> = (0..100).map(wide_block).collect();
    store.writer.append(&chain, Durability::Os).unwrap();
    let header = |store: &Store, height| match store.reader.header(height).unwrap() {
        Some(header) => header.bytes,
        None => panic!("it is below the end"),
    };
    let held = header(&store, 3);
    store.writer.prune(Part::Body, 60, u64::MAX).unwrap();
    let receipt = store.writer.prune(Part::Index, 50, u64::MAX).unwrap();
    assert!(receipt.freed_bytes >= 50 * WIDE * 30, "{receipt:?}");
    store.writer.prune(Part::Header, 50, u64::MAX).unwrap();
    assert_eq!(held, Held::Present(chain[3].header.clone()));
    assert_eq!(header(&store, 3), Held::Pruned);
    assert_eq!(header(&store, 50), Held::Present(chain[50].header.clone()));
    // The new file grows on.
    let next = wide_block(100);
    store
        .writer
        .append(std::slice::from_ref(&next), Durability::Disk)
        .unwrap();
    drop(store);
    let store = place.url().open().unwrap();
    assert_eq!(
        store.reader.index(100).unwrap(),
        Some(Held::Present(next.index))
    );
    assert_eq!(store.reader.index(49).unwrap(), Some(Held::Pruned));
}

const WIDE: u64 = 500;

/// A block with many keys.
fn wide_block(height: u64) -> Block {
    Block {
        index: (0..WIDE as u32)
            .map(|position| IndexEntry {
                key: id(b'w', height, position),
                position,
            })
            .collect(),
        ..block(height, 10)
    }
}

fn body(store: &Store, height: u64) -> bytes::Bytes {
    match store.reader.block(height).unwrap().unwrap().body {
        Held::Present(bytes) => bytes,
        Held::Pruned => panic!("it is pruned"),
    }
}

#[test]
fn pruning_gives_measured_space_back() {
    for segment_bytes in [1 << 20, 256 << 20] {
        let place = DamageAt::new();
        let options = LogOptions {
            segment_bytes,
            ..MEASURED
        };
        let mut store = options.create(&place.directory()).unwrap();
        for height in 0..100 {
            let run = [block(height, 100_000)];
            store.writer.append(&run, Durability::Os).unwrap();
        }
        store.writer.sync().unwrap();
        let before = store.reader.usage().unwrap().bytes_on_disk;
        let receipt = store.writer.prune(Part::Body, 90, u64::MAX).unwrap();
        let after = store.reader.usage().unwrap().bytes_on_disk;
        assert!(receipt.bytes >= 9_000_000);
        assert!(
            receipt.freed_bytes >= receipt.bytes * 98 / 100,
            "{receipt:?}"
        );
        assert!(
            before - after >= receipt.freed_bytes - 8192,
            "{before} {after} {receipt:?}"
        );
        assert!(after < 1_500_000, "{after}");
        drop(store);
        let store = options.open(&place.directory()).unwrap();
        ask(
            &*store.reader,
            Extent {
                body_floor: 90,
                ..Extent::whole(100)
            },
            100_000,
        )
        .unwrap();
    }
}

#[test]
fn named_values_take_bounded_space() {
    let place = DamageAt::new();
    let mut store = place.url().create().unwrap();
    for number in 0..100_u8 {
        let value = vec![number; 100_000];
        store
            .writer
            .put_named_value("state", &value, Durability::Os)
            .unwrap();
        store
            .writer
            .put_named_value("small", &[number], Durability::Os)
            .unwrap();
    }
    let size = store.reader.usage().unwrap().bytes_on_disk;
    assert!(size < 3_000_000, "{size}");
    drop(store);
    let store = place.url().open().unwrap();
    assert_eq!(
        store.reader.named_value("state").unwrap().unwrap(),
        vec![99; 100_000]
    );
    assert_eq!(
        store.reader.named_value("small").unwrap().unwrap(),
        &[99][..]
    );
}

#[test]
fn a_run_larger_than_a_segment_is_one_run() {
    let place = DamageAt::new();
    let mut store = SMALL.create(&place.directory()).unwrap();
    let run: Vec<Block> = (0..40).map(|height| block(height, 2000)).collect();
    store.writer.append(&run[..1], Durability::Os).unwrap();
    store.writer.append(&run[1..], Durability::Os).unwrap();
    ask(&*store.reader, Extent::whole(40), 2000).unwrap();
    drop(store);
    let store = SMALL.open(&place.directory()).unwrap();
    ask(&*store.reader, Extent::whole(40), 2000).unwrap();
}

/// Options are no part of the format, and even senseless ones work.
#[test]
fn any_options_open_any_store() {
    let place = DamageAt::with_chain();
    let extremes = [
        (0, 0),
        (u64::MAX, usize::MAX),
        (1, usize::MAX),
        (u64::MAX, 1),
    ];
    let mut end = END;
    for (segment_bytes, segment_entries) in extremes {
        let options = LogOptions {
            segment_bytes,
            segment_entries,
            index_fanout: 0,
            direct_bytes: 0,
            index_in_background: true,
            cache_bytes: 3000,
            table_memory_bytes: 32 << 20,
            table_cache_bytes: 1 << 20,
        };
        let mut store = options.open(&place.directory()).unwrap();
        let run = [block(end, BODY_BYTES), block(end + 1, BODY_BYTES)];
        for part in run.chunks(1) {
            store.writer.append(part, Durability::Disk).unwrap();
        }
        end += 2;
        await_index(&*store.reader);
        ask(&*store.reader, Extent { end, ..extent() }, BODY_BYTES).unwrap();
    }
}
