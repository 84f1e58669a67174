//! Whatever is done with a pool, it says at every moment what a naive one says, of which everything is worked out again each time: what
//! enters, who leaves for it, what waits for what, and what a block takes.
//!
//! An input is bounds and terms, then operations of some bytes each (`tests/pool/operations.rs`).

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/pool/naive.rs"]
mod naive;
#[path = "../../tests/pool/operations.rs"]
mod operations;

fuzz_target!(|bytes: &[u8]| {
    operations::run(bytes);
});
