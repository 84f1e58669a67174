//! Payloads of transactions with any bytes: what has a meaning in canonical bytes encodes to the same bytes, what has one as JSON
//! means the same when it is written anew, and the two forms mean the same. The first byte of an input chooses the operation.

#![no_main]

use hubledger::model::Operation;
use hubledger::payload::Payload;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else {
        return;
    };
    if let Ok(payload) = Payload::decode(bytes) {
        assert_eq!(payload.encode(), bytes);
        both_forms(&payload);
    }
    let operation = Operation::ALL[usize::from(*choice) % Operation::ALL.len()];
    if let Some(payload) = Payload::from_json(operation, bytes) {
        assert!(payload.operations().contains(&operation));
        both_forms(&payload);
    }
});

fn both_forms(payload: &Payload) {
    assert_eq!(Payload::decode(&payload.encode()).as_ref(), Ok(payload));
    for operation in payload.operations() {
        let read = Payload::from_json(*operation, payload.to_json().as_bytes());
        assert_eq!(read.as_ref(), Some(payload));
    }
}
