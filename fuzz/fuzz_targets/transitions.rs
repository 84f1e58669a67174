//! A federation whose acts are chosen by the input, beside the naive model: registrations, rotations, revocations, attestations and
//! parameters, blocks that are taken back, and states that are written down and read again. Then a chain whose members put up stakes,
//! with acts that the same input chooses.

#![no_main]

use hubledger::testing::federation::{Choices, Federation};
use hubledger::testing::stakes::Staking;
use libfuzzer_sys::fuzz_target;

/// Lets the input choose until it is used up, or no step follows.
fn drive<T>(input: &[u8], begin: fn(Choices<'_>) -> T, step: fn(&mut T, Choices<'_>) -> bool) {
    let mut bytes = input.iter();
    let mut is_over = false;
    let mut driven = begin(&mut |bound| bytes.next().map_or(0, |byte| u64::from(*byte) % bound));
    while !is_over {
        let mut choose = |bound: u64| match bytes.next() {
            Some(byte) => u64::from(*byte) % bound,
            None => {
                is_over = true;
                0
            }
        };
        if !step(&mut driven, &mut choose) {
            return;
        }
    }
}

fuzz_target!(|input: &[u8]| {
    drive(
        input,
        |choose| Federation::new(choose),
        |one, choose| one.step(choose),
    );
    drive(
        input,
        |choose| Staking::new(choose),
        |one, choose| one.step(choose),
    );
});
