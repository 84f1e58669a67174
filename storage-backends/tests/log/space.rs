//! What a store takes, and gives back.

use hubledger_storage::{Block, Body, Durability, Extent, LogOptions, Store};

use super::support::{ask, await_index, block};
use super::{BODY_BYTES, END, FLOOR, Place, SMALL};

#[test]
fn bytes_are_given_out_without_copying_and_outlive_pruning() {
    let place = Place::new();
    let mut store = place.url().create().unwrap();
    let run: Vec<Block> = (0..100).map(|height| block(height, 100_000)).collect();
    store.writer.append(&run, Durability::Os).unwrap();
    let held = body(&store, 3);
    assert_eq!(held.as_ptr(), body(&store, 3).as_ptr());
    let receipt = store.writer.prune(50, u64::MAX).unwrap();
    assert_eq!(receipt.freed_bytes, 0, "a reader was in the way");
    assert_eq!(held, run[3].body);
    drop(held);
    // The next call makes up for it.
    let receipt = store.writer.prune(51, u64::MAX).unwrap();
    assert!(receipt.freed_bytes >= 50 * 100_000, "{receipt:?}");
    ask(
        &*store.reader,
        Extent {
            floor: 51,
            end: 100,
        },
        100_000,
    )
    .unwrap();
}

fn body(store: &Store, height: u64) -> bytes::Bytes {
    match store.reader.block(height).unwrap().unwrap().body {
        Body::Present(bytes) => bytes,
        Body::Pruned => panic!("it is pruned"),
    }
}

#[test]
fn pruning_gives_measured_space_back() {
    for segment_bytes in [1 << 20, 256 << 20] {
        let place = Place::new();
        let options = LogOptions {
            segment_bytes,
            ..LogOptions::default()
        };
        let mut store = options.create(&place.directory()).unwrap();
        for height in 0..100 {
            let run = [block(height, 100_000)];
            store.writer.append(&run, Durability::Os).unwrap();
        }
        store.writer.sync().unwrap();
        let before = store.reader.usage().unwrap().bytes_on_disk;
        let receipt = store.writer.prune(90, u64::MAX).unwrap();
        let after = store.reader.usage().unwrap().bytes_on_disk;
        assert!(receipt.body_bytes >= 9_000_000);
        assert!(
            receipt.freed_bytes >= receipt.body_bytes * 98 / 100,
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
                floor: 90,
                end: 100,
            },
            100_000,
        )
        .unwrap();
    }
}

#[test]
fn named_values_take_bounded_space() {
    let place = Place::new();
    let mut store = place.url().create().unwrap();
    for number in 0..100_u8 {
        let value = vec![number; 100_000];
        store
            .writer
            .put_meta("state", &value, Durability::Os)
            .unwrap();
        store
            .writer
            .put_meta("small", &[number], Durability::Os)
            .unwrap();
    }
    let size = store.reader.usage().unwrap().bytes_on_disk;
    assert!(size < 3_000_000, "{size}");
    drop(store);
    let store = place.url().open().unwrap();
    assert_eq!(
        store.reader.meta("state").unwrap().unwrap(),
        vec![99; 100_000]
    );
    assert_eq!(store.reader.meta("small").unwrap().unwrap(), &[99][..]);
}

#[test]
fn a_run_larger_than_a_segment_is_one_run() {
    let place = Place::new();
    let mut store = SMALL.create(&place.directory()).unwrap();
    let run: Vec<Block> = (0..40).map(|height| block(height, 2000)).collect();
    store.writer.append(&run[..1], Durability::Os).unwrap();
    store.writer.append(&run[1..], Durability::Os).unwrap();
    ask(&*store.reader, Extent { floor: 0, end: 40 }, 2000).unwrap();
    drop(store);
    let store = SMALL.open(&place.directory()).unwrap();
    ask(&*store.reader, Extent { floor: 0, end: 40 }, 2000).unwrap();
}

/// Options are no part of the format, and even senseless ones work.
#[test]
fn any_options_open_any_store() {
    let place = Place::with_chain();
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
            index_in_background: true,
        };
        let mut store = options.open(&place.directory()).unwrap();
        let run = [block(end, BODY_BYTES), block(end + 1, BODY_BYTES)];
        for part in run.chunks(1) {
            store.writer.append(part, Durability::Disk).unwrap();
        }
        end += 2;
        await_index(&*store.reader);
        ask(&*store.reader, Extent { floor: FLOOR, end }, BODY_BYTES).unwrap();
    }
}
