//! What transactions say to state updates, with any bytes: what decodes encodes to the same bytes, what is read as JSON comes back from its bytes, and the two
//! forms mean the same where JSON can hold it.

#![no_main]

use hubledger_services::payload::Fields;
use hubledger_services::updates::UpdatePayload;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(payload) = UpdatePayload::decode(bytes) {
        assert_eq!(payload.encode(), bytes);
        through_json(&payload);
    }
    if let Some(payload) =
        Fields::read(bytes).and_then(|fields| UpdatePayload::from_fields(&fields))
    {
        assert_eq!(
            UpdatePayload::decode(&payload.encode()).as_ref(),
            Ok(&payload)
        );
        through_json(&payload);
    }
});

/// A state may be no text, and texts are longer in JSON; everything else comes back.
fn through_json(payload: &UpdatePayload) {
    if let UpdatePayload::StateUpdate(said) = payload
        && std::str::from_utf8(&said.state).is_err()
    {
        return;
    }
    if let Some(fields) = Fields::read(payload.to_json().as_bytes()) {
        assert_eq!(UpdatePayload::from_fields(&fields).as_ref(), Some(payload));
    }
}
