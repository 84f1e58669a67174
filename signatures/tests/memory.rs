//! What a verifier keeps is bounded, however many keys come by.
#![allow(unsafe_code)] // an allocator that counts

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use hubledger_signatures::Verifier;
use support::crafted::{Case, KeyPair};
use support::{items, paths, settings};

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does the work; only sizes are counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as for this function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as for this function.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const BATCH: u64 = 400;
const CACHE_BYTES: usize = 100_000;
const TABLE_BYTES: usize = 300_000;

/// A batch of keys that never came before; one in a hundred is bad.
fn batch(number: u64) -> Vec<Case> {
    let keys = number * BATCH..(number + 1) * BATCH;
    let cases = keys.map(|key| {
        let pair = KeyPair::number(key);
        let message = if key % 100 == 0 {
            &b"forged"[..]
        } else {
            b"signed"
        };
        Case::new("new key", pair.public_key(), message, pair.sign(b"signed"))
    });
    cases.collect()
}

/// The only test here: others would be counted as well.
#[test]
fn memory_does_not_grow_with_the_keys_that_come_by() {
    for path in paths() {
        let mut settings = settings(path, 1);
        settings.cache_bytes = CACHE_BYTES;
        settings.table_bytes = TABLE_BYTES;
        let before = LIVE.load(Ordering::Relaxed);
        let verifier = Verifier::new(&settings).expect("an available path");
        let mut held = Vec::new();
        for number in 0..24 {
            let cases = batch(number);
            let items = items(&cases);
            for _ in 0..2 {
                assert_eq!(verifier.verify(&items).bad().len(), BATCH as usize / 100);
            }
            // The first keys become hot.
            for item in items[1..8].iter().cycle().take(7 * 40) {
                assert_eq!(verifier.verify_one(item), Ok(()));
            }
            drop(items);
            drop(cases);
            held.push(LIVE.load(Ordering::Relaxed) - before);
        }
        // Caches are full after some batches. What is still to come is the record of keys that failed: 4 in each batch,
        // some 100 bytes each.
        let (full, end) = (held[11], held[23]);
        assert!(end <= full + 12 * 4 * 250 + 4_096, "{path}: {held:?}");
        // Beside the caches there are the buffers for a batch, and single signatures' keys and the base point's table.
        let bound = 2 * (CACHE_BYTES + TABLE_BYTES) + 2_000_000;
        assert!(end < bound, "{path}: {held:?}");
        drop(verifier);
        let left = LIVE.load(Ordering::Relaxed).saturating_sub(before);
        assert!(left < 10_000, "{path}: {left} bytes are still there");
    }
}
