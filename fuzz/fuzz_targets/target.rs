//! Targets, difficulties and compact bits turn into each other, and the next difficulty is, as models say that are written from the
//! definitions in numbers of any size (`tests/consensus/difficulty.rs`).

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/consensus/difficulty.rs"]
mod difficulty;

fuzz_target!(|input: &[u8]| {
    difficulty::check(input);
});
