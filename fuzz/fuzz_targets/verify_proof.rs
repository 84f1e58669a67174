//! No proof but those that the chain gave verifies against the chain's head. Inputs are genuine proofs with edits.

#![no_main]

use bytes::Bytes;
use hubledger::proof::Proof;
use hubledger_fuzz::{Chain, forge};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let chain = Chain::get();
    let bytes = Bytes::from(forge(chain, input));
    match Proof::decode(&bytes) {
        Ok(proof) => assert_eq!(
            chain.accepts(&proof),
            chain.gave(&bytes),
            "{}",
            proof.to_json()
        ),
        Err(error) => assert!(
            !chain.gave(&bytes),
            "a genuine proof doesn't decode: {error}"
        ),
    }
});
