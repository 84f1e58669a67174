//! What transactions say to performance records, with any bytes: what decodes encodes to the same bytes, what is read as JSON comes back from its bytes, and the two
//! forms mean the same where JSON can hold it.

#![no_main]

use hubledger_services::payload::Fields;
use hubledger_services::records::RecordPayload;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(payload) = RecordPayload::decode(bytes) {
        assert_eq!(payload.encode(), bytes);
        through_json(&payload);
    }
    if let Some(payload) =
        Fields::read(bytes).and_then(|fields| RecordPayload::from_fields(&fields))
    {
        assert_eq!(
            RecordPayload::decode(&payload.encode()).as_ref(),
            Ok(&payload)
        );
        through_json(&payload);
    }
});

/// Everything comes back.
fn through_json(payload: &RecordPayload) {
    if let Some(fields) = Fields::read(payload.to_json().as_bytes()) {
        assert_eq!(RecordPayload::from_fields(&fields).as_ref(), Some(payload));
    }
}
