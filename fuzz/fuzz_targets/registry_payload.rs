//! What transactions say to the registry, with any bytes: what decodes encodes to the same bytes, what is read as JSON comes back from its bytes, and the two
//! forms mean the same. As a registry file, the bytes are read or refused.

#![no_main]

use std::collections::BTreeSet;

use hubledger_services::payload::Fields;
use hubledger_services::registry::{RegistryPayload, file};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(payload) = RegistryPayload::decode(bytes) {
        assert_eq!(payload.encode(), bytes);
        both_forms(&payload);
    }
    let read = Fields::read(bytes).and_then(|fields| RegistryPayload::from_fields(&fields));
    if let Some(payload) = read {
        both_forms(&payload);
    }
    if let Ok(listed) = file::read(bytes) {
        let names: BTreeSet<&str> = listed.iter().map(|one| &*one.name).collect();
        assert_eq!(names.len(), listed.len(), "nobody is there twice");
    }
});

fn both_forms(payload: &RegistryPayload) {
    let decoded = RegistryPayload::decode(&payload.encode());
    assert_eq!(decoded.as_ref(), Ok(payload));
    // Control characters are six times as long in JSON, and longer than what is read.
    if let Some(fields) = Fields::read(payload.to_json().as_bytes()) {
        let read = RegistryPayload::from_fields(&fields);
        assert_eq!(read.as_ref(), Some(payload));
    }
}
