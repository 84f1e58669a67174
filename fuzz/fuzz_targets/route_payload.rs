//! What is said about routes and the causal order, and receipts, with any bytes: what decodes encodes to the same bytes, what has a meaning as JSON means the same when it
//! is written anew, and no receipt holds against a head that it wasn't made for.

#![no_main]

use bytes::Bytes;
use hubledger::digest::BlockHash;
use hubledger_services::causal::CausalPayload;
use hubledger_services::payload::Fields;
use hubledger_services::route::{Receipt, RoutePayload};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Ok(payload) = RoutePayload::decode(input) {
        assert_eq!(payload.encode(), input);
    }
    if let Ok(payload) = CausalPayload::decode(input) {
        assert_eq!(payload.encode(), input);
    }
    if let Some(fields) = Fields::read(input) {
        if let Some(payload) = RoutePayload::from_fields(&fields) {
            assert_eq!(RoutePayload::decode(&payload.encode()), Ok(payload.clone()));
            let again = Fields::read(payload.to_json().as_bytes());
            assert_eq!(
                again.and_then(|again| RoutePayload::from_fields(&again)),
                Some(payload)
            );
        }
        if let Some(payload) = CausalPayload::from_fields(&fields) {
            assert_eq!(
                CausalPayload::decode(&payload.encode()),
                Ok(payload.clone())
            );
            let again = Fields::read(payload.to_json().as_bytes());
            assert_eq!(
                again.and_then(|again| CausalPayload::from_fields(&again)),
                Some(payload)
            );
        }
    }
    let receipt = Receipt::decode(&Bytes::copy_from_slice(input));
    if let Ok(receipt) = receipt {
        assert_eq!(receipt.encode(), input);
        assert_eq!(
            Receipt::from_json(&receipt.to_json()).as_ref(),
            Ok(&receipt)
        );
        assert!(receipt.verify(&BlockHash([0; 32])).is_err());
    }
    let text = std::str::from_utf8(input).unwrap_or_default();
    if let Ok(receipt) = Receipt::from_json(text) {
        assert!(receipt.verify(&BlockHash([0; 32])).is_err());
    }
});
