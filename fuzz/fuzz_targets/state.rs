//! A state snapshot that decodes encodes to the same bytes, and a validator that continues from it judges blocks without
//! panicking.

#![no_main]

use hubledger::digest::sha256;
use hubledger::rules::{Depth, Validator};
use hubledger::state::State;
use hubledger_fuzz::Chain;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    check(input);
    // No input has the right checksum by chance: give it one.
    let mut summed = input.to_vec();
    summed.extend_from_slice(&sha256(&[input]));
    check(&summed);
});

fn check(bytes: &[u8]) {
    let Ok(state) = State::decode(bytes) else {
        return;
    };
    assert_eq!(state.encode(), bytes);
    let chain = Chain::get();
    let Ok(mut validator) = Validator::resume(chain.spec.clone(), state) else {
        return;
    };
    for block in &chain.blocks[1..] {
        if let Ok(valid) = validator.check(block, Depth::Replay) {
            validator.apply(&valid);
        }
    }
    let encoded = validator.state().encode();
    assert_eq!(State::decode(&encoded).as_ref(), Ok(validator.state()));
}
