//! A proof that decodes encodes to the same bytes and comes back from its JSON form; a JSON form that is read gives a
//! proof that comes back from both. Verifying it against any head ends without a panic.

#![no_main]

use bytes::Bytes;
use hubledger::proof::Proof;
use hubledger_fuzz::Chain;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let chain = Chain::get();
    let mut found = Vec::new();
    if let Ok(proof) = Proof::decode(&Bytes::copy_from_slice(input)) {
        assert_eq!(proof.encode(), input);
        found.push(proof);
    }
    if let Ok(text) = std::str::from_utf8(input) {
        found.extend(Proof::from_json(text));
    }
    for proof in found {
        assert_eq!(Proof::decode(&proof.encode().into()).as_ref(), Ok(&proof));
        assert_eq!(Proof::from_json(&proof.to_json()).as_ref(), Ok(&proof));
        // Against its own head a proof may hold; against the chain's only a genuine one does.
        match &proof {
            Proof::Transaction(proof) => drop(proof.verify(&proof.head())),
            Proof::Extension(proof) => drop(proof.verify(&proof.old_head(), &proof.new_head())),
            Proof::State(proof) => drop(proof.verify(&proof.head())),
        }
        assert!(
            !chain.accepts(&proof) || chain.gave(&proof.encode()),
            "a forged proof holds"
        );
    }
});
