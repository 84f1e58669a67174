//! The memory of an import stays within the engine's limit, however far the disk is behind. By itself in its process, because
//! it counts what the process holds.
#![cfg(feature = "log")]
#![allow(missing_docs, clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hubledger::engine::{Engine, Outcome, Stage};
use hubledger::generate::{Generator, Recipe};
use hubledger_storage::{Durability, StoreUrl};

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[allow(unsafe_code, reason = "an allocator that counts")]
// SAFETY: every call is passed on to the system's allocator with the arguments that came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(held, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MIB: usize = 1 << 20;
/// What a verifier's two rooms, a store's buffers and the engine's caches take, whatever is imported.
const FIXED: usize = 26 * MIB;

/// What the disk does at a commit, when so many blocks were taken from their source.
type Disk = fn(taken: &AtomicUsize);

/// The most that was held during an import with a limit, beside what was held before.
fn peak(generator: &Generator, blocks: &[Bytes], limit: usize, disk: Disk) -> usize {
    let directory = tempfile::tempdir().unwrap();
    let url: StoreUrl = format!("log:{}", directory.path().join("s").display())
        .parse()
        .unwrap();
    let before = HELD.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let taken = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&taken);
    let slow = Arc::new(move |stage| {
        if stage == Stage::Commit {
            disk(&seen);
        }
    });
    let builder = Engine::builder().threads(2).durability(Durability::Os);
    let builder = builder.memory_bytes(limit as u64).probe(slow);
    let builder = builder.settings(|settings| settings.group_bytes = MIB);
    let engine = builder
        .create(url.create().unwrap(), generator.spec())
        .unwrap();
    // Copies, as if they had just been received.
    let copies = blocks.iter().map(|block| {
        taken.fetch_add(1, Ordering::Relaxed);
        Bytes::copy_from_slice(block)
    });
    for outcome in engine.import(copies) {
        assert!(matches!(outcome.unwrap(), Outcome::Committed(_)));
    }
    engine.shutdown().unwrap();
    PEAK.load(Ordering::Relaxed) - before
}

#[test]
fn an_import_holds_no_more_than_its_limit() {
    let recipe = Recipe {
        transactions: 4_000,
        payload_bytes: 20_000,
        per_block: 50,
        ..Recipe::default()
    };
    let mut generator = Generator::new(recipe).unwrap();
    let mut blocks = Vec::new();
    while let Some(block) = generator.next_block().unwrap() {
        blocks.push(Bytes::from(block.encode()));
    }
    let (small, large) = (24 * MIB, 1024 * MIB);
    let slow: Disk = |_| std::thread::sleep(Duration::from_millis(20));
    let within = peak(&generator, &blocks, small, slow);
    assert!(within <= small + FIXED, "{within} bytes");
    // It is the limit that held it there, and not that there was so little: with room for all, a disk that does nothing
    // before all is taken in lets it come to that, however fast the rest is.
    const BLOCKS: usize = 80;
    assert_eq!(blocks.len(), BLOCKS);
    let waiting: Disk = |taken| {
        while taken.load(Ordering::Relaxed) < BLOCKS {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let without = peak(&generator, &blocks, large, waiting);
    assert!(without > small + FIXED, "{without} bytes");
}
