//! What transactions say to the cache, with any bytes: what decodes encodes to the same bytes, what is read as JSON comes back from its bytes, and the two
//! forms mean the same where JSON can hold it. No such bytes are a proof against a root that nobody made.

#![no_main]

use hubledger::digest::Digest;
use hubledger_services::cache::{CachePayload, CacheProof};
use hubledger_services::payload::Fields;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(payload) = CachePayload::decode(bytes) {
        assert_eq!(payload.encode(), bytes);
        through_json(&payload);
    }
    if let Some(payload) = Fields::read(bytes).and_then(|fields| CachePayload::from_fields(&fields))
    {
        assert_eq!(
            CachePayload::decode(&payload.encode()).as_ref(),
            Ok(&payload)
        );
        through_json(&payload);
    }
    if let Ok(proof) = CacheProof::decode(bytes) {
        assert_eq!(proof.encode(), bytes);
        assert!(proof.verify(&Digest([7; 32])).is_err());
    }
});

/// A value may be no text, and texts are longer in JSON; everything else comes back.
fn through_json(payload: &CachePayload) {
    if let CachePayload::CachePut(said) = payload
        && std::str::from_utf8(&said.value).is_err()
    {
        return;
    }
    if let Some(fields) = Fields::read(payload.to_json().as_bytes()) {
        assert_eq!(CachePayload::from_fields(&fields).as_ref(), Some(payload));
    }
}
