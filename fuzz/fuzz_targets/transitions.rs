//! A federation whose acts are chosen by the input, beside the naive model: registrations, rotations, revocations, attestations and
//! parameters, blocks that are taken back, and states that are written down and read again.

#![no_main]

use hubledger::testing::federation::Federation;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut bytes = input.iter();
    let mut is_over = false;
    let mut federation = {
        let mut choose = |bound: u64| bytes.next().map_or(0, |byte| u64::from(*byte) % bound);
        Federation::new(&mut choose)
    };
    while !is_over {
        let mut choose = |bound: u64| match bytes.next() {
            Some(byte) => u64::from(*byte) % bound,
            None => {
                is_over = true;
                0
            }
        };
        if !federation.step(&mut choose) {
            return;
        }
    }
});
