//! An allocator that counts, for tests of how much memory a decoder takes.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts each thread's live bytes and their peak.
struct Counting;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

fn grow(bytes: usize) {
    let live = LIVE.get() + bytes;
    LIVE.set(live);
    PEAK.set(PEAK.get().max(live));
}

fn shrink(bytes: usize) {
    // What another thread allocated may end here.
    LIVE.set(LIVE.get().saturating_sub(bytes));
}

// SAFETY: every call goes to the system's allocator with the arguments as they came; the counters are plain numbers
// that need no allocation and no destructor.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller's promises are the system allocator's demands.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        shrink(layout.size());
        // SAFETY: as above; the pointer came from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    // `realloc` is left to its default, which allocates, copies and frees: both blocks count while they are there.
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that were live at once while `work` ran, beyond those before.
pub fn peak<R>(work: impl FnOnce() -> R) -> (R, usize) {
    let before = LIVE.get();
    PEAK.set(before);
    let result = work();
    (result, PEAK.get() - before)
}

/// For error messages, and containers of a few entries.
const CONSTANT: usize = 16 * 1024;

/// The most bytes that a decoder may have live for each byte of its input.
const MULTIPLE: usize = 16;

#[track_caller]
pub fn assert_bounded(what: &str, input: usize, used: usize) {
    let bound = MULTIPLE * input + CONSTANT;
    assert!(
        used <= bound,
        "{what}: {used} bytes for an input of {input}"
    );
}
