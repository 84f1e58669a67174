//! A transaction that decodes can be taken apart and put together to the same bytes.

#![no_main]

use bytes::Bytes;
use hubledger::model::{Draft, Kind, Transaction};
use hubledger::original::Original;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let _ = Original::decode(input).map(|original| same_original(&original, input));
    let Ok(transaction) = Transaction::decode(Bytes::copy_from_slice(input)) else {
        return;
    };
    assert_eq!(transaction.bytes(), input);
    let draft = Draft {
        kind: transaction.kind(),
        chain: transaction.chain(),
        sender: transaction.sender().to_owned(),
        receiver: transaction.receiver().to_owned(),
        operation: transaction.operation(),
        amount: transaction.amount(),
        payload: transaction.payload().to_vec(),
        timestamp: transaction.timestamp(),
        expiry: transaction.expiry(),
        fee: transaction.fee(),
        nonce: transaction.nonce(),
    };
    let mut witnesses: Vec<_> = transaction.witnesses().collect();
    witnesses.reverse();
    let rebuilt = draft
        .with_witnesses(witnesses)
        .expect("every field was decoded");
    assert_eq!(rebuilt.bytes(), input);
    assert_eq!(rebuilt.id(), transaction.id());
    assert_eq!(rebuilt.leaf_hash(), transaction.leaf_hash());
    if transaction.kind() == Kind::Mpreg
        && let Ok(original) = Original::decode(transaction.payload())
    {
        let mut signed = Vec::new();
        original.put_signing_bytes(&transaction, &mut signed);
        assert!(signed.starts_with(b"fee="));
    }
});

fn same_original(original: &Original<'_>, input: &[u8]) {
    let encoded = original.encode().expect("every field was decoded");
    assert_eq!(encoded, input);
}
