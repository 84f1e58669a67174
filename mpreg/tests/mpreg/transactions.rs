//! Every fault of a transaction gets its own verdict: place and reason.

use hubledger::rejection::Reason;
use serde_json::{Value, json};

use crate::support::{
    Chain, NOW, START, expect, expect_field, key, place, sign, spelled, transaction, verdict,
};

#[test]
fn transaction_fields_of_the_wrong_type_are_malformed() {
    for field in [
        "transaction_id",
        "sender",
        "receiver",
        "operation_type",
        "payload",
        "signature",
    ] {
        for value in [json!(1), json!(true), json!([]), json!({}), spelled("1.5")] {
            expect_field(Reason::Malformed, field, value);
        }
    }
    for field in ["timestamp", "fee", "nonce"] {
        for value in [
            json!("1"),
            json!(true),
            Value::Null,
            json!([1]),
            json!({"a": 1}),
        ] {
            expect_field(Reason::Malformed, field, value);
        }
    }
    expect_field(Reason::Malformed, "fee", spelled("1.0"));
    expect_field(Reason::Malformed, "nonce", spelled("1e3"));
    expect_field(Reason::Malformed, "sender", Value::Null);
    expect_field(Reason::Malformed, "public_key", json!(7));
    expect_field(Reason::Malformed, "signature_algorithm", json!(null));
}

#[test]
fn missing_transaction_fields_are_malformed() {
    for field in [
        "transaction_id",
        "sender",
        "receiver",
        "operation_type",
        "payload",
        "timestamp",
        "fee",
        "nonce",
        "signature",
    ] {
        expect((3, Some(2), Reason::Malformed), |chain| {
            chain
                .transaction(3, 2)
                .as_object_mut()
                .expect("an object")
                .remove(field);
        });
    }
    expect((3, Some(1), Reason::Malformed), |chain| {
        *chain.transaction(3, 1) = json!("text")
    });
}

#[test]
fn transaction_values_out_of_range_are_malformed() {
    for (field, value) in [
        ("transaction_id", json!("")),
        ("sender", json!("")),
        ("receiver", json!("")),
        ("operation_type", json!("Transfer")),
        ("operation_type", json!("mint")),
        ("payload", json!("0")),
        ("payload", json!("zz")),
        ("signature", json!("xyz")),
        ("public_key", json!("0x")),
        ("signature_algorithm", json!("rsa")),
        ("signature_algorithm", json!("")),
        ("fee", json!(-1)),
        ("nonce", json!(-1)),
        ("nonce", spelled("-100000000000000000000")),
        ("fee", spelled(&"9".repeat(5000))),
    ] {
        expect_field(Reason::Malformed, field, value);
    }
}

#[test]
fn transaction_timestamps_are_bounded() {
    expect_field(Reason::Timestamp, "timestamp", json!(-1));
    expect_field(Reason::Timestamp, "timestamp", spelled("-5e-324"));
    // The block's own timestamp is START + 30, and the bound is inclusive.
    expect_field(Reason::Timestamp, "timestamp", json!(START + 330.5));
    expect_field(Reason::Timestamp, "timestamp", spelled("1e400"));
    for timestamp in [
        json!(START + 330.0),
        spelled("-0.0"),
        json!(0),
        spelled("1700000330"),
    ] {
        let mut chain = Chain::valid(5, 4, true);
        chain.transaction(3, 2)["timestamp"] = timestamp;
        sign(chain.transaction(3, 2), &key(9));
        chain.relink(3);
        verdict(&chain).expect("valid");
    }
}

#[test]
fn signatures_are_required_where_the_chain_says_so() {
    for absent in [json!(""), Value::Null, json!("  ")] {
        expect_field(Reason::SignatureMissing, "signature", absent);
    }
    let mut chain = Chain::valid(5, 4, false);
    verdict(&chain).expect("unsigned transactions are valid where signatures aren't required");
    chain.crypto = json!({});
    verdict(&chain).expect("and they aren't by default");
    chain.crypto = json!({"require_signatures": true});
    assert_eq!(
        place(&verdict(&chain)),
        Some((1, Some(0), Reason::SignatureMissing))
    );
}

#[test]
fn the_first_block_needs_no_signatures_but_those_present_must_verify() {
    let mut chain = Chain::valid(3, 4, true);
    chain.blocks[0]["transactions"] = json!([transaction(900), transaction(901)]);
    chain.relink(0);
    verdict(&chain).expect("valid without signatures");
    sign(chain.transaction(0, 1), &key(3));
    chain.relink(0);
    verdict(&chain).expect("valid with one");
    chain.transaction(0, 1)["signature"] = "11".repeat(64).into();
    assert_eq!(
        place(&verdict(&chain)),
        Some((0, Some(1), Reason::Signature))
    );
}

#[test]
fn the_first_blocks_transactions_are_bounded_by_the_present() {
    let mut chain = Chain::valid(3, 4, true);
    chain.blocks[0]["transactions"] = json!([transaction(900), transaction(901)]);
    chain.transaction(0, 1)["timestamp"] = json!(NOW.as_secs() + 300);
    chain.relink(0);
    verdict(&chain).expect("the bound itself is valid");
    chain.transaction(0, 1)["timestamp"] = spelled(&format!("{}.5", NOW.as_secs() + 300));
    chain.relink(0);
    assert_eq!(
        place(&verdict(&chain)),
        Some((0, Some(1), Reason::Timestamp))
    );
}

#[test]
fn signatures_of_the_wrong_length_or_by_another_key_are_refused() {
    expect_field(Reason::Signature, "signature", "11".repeat(63).into());
    expect_field(Reason::Signature, "signature", "11".repeat(65).into());
    expect_field(Reason::Signature, "signature", "11".repeat(64).into());
    expect_field(
        Reason::Signature,
        "public_key",
        hex::encode(key(77).verifying_key()).into(),
    );
    // Thirty-two bytes that are no point of the curve: of the right length, but nothing verifies.
    expect_field(
        Reason::Signature,
        "public_key",
        format!("02{}", "00".repeat(31)).into(),
    );
    expect((2, Some(3), Reason::Signature), |chain| {
        chain.transaction(2, 3)["fee"] = json!(1_000_000);
        chain.relink(2);
    });
}

#[test]
fn absent_keys_and_keys_of_the_wrong_length_are_refused() {
    expect_field(Reason::PublicKey, "public_key", "".into());
    expect_field(Reason::PublicKey, "public_key", Value::Null);
    expect_field(Reason::PublicKey, "public_key", "aa".repeat(31).into());
    expect_field(Reason::PublicKey, "public_key", "aa".repeat(33).into());
    expect((3, Some(2), Reason::PublicKey), |chain| {
        chain
            .transaction(3, 2)
            .as_object_mut()
            .expect("an object")
            .remove("public_key");
    });
    expect((3, Some(2), Reason::PublicKey), |chain| {
        chain.transaction(3, 2)["signature"] = "".into();
        chain.transaction(3, 2)["public_key"] = "aa".into();
    });
}

#[test]
fn a_chain_of_an_unknown_algorithm_refuses_the_first_signature() {
    expect((1, Some(0), Reason::Malformed), |chain| {
        chain.crypto["signature_algorithm"] = "rsa".into();
    });
}
