//! Leaf hashes of pruned blocks with any bytes: what is proved from them is what was proved from the genuine ones, or
//! nothing. The first byte of an input says which value the rest is, the directory or a chunk, and whether its checksum
//! is still to be put behind it.

#![no_main]

use hubledger::digest::sha256;
use hubledger_fuzz::PrunedChain;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((kind, bytes)) = input.split_first() else {
        return;
    };
    let mut value = bytes.to_vec();
    if kind % 2 == 1 {
        value.extend_from_slice(&sha256(&[bytes]));
    }
    let (outcome, genuine) = PrunedChain::prove_with(usize::from(kind / 2 % 2), &value);
    if let Ok(proof) = outcome {
        assert_eq!(proof, genuine, "another proof");
    }
});
