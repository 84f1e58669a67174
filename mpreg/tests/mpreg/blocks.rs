//! Every fault of a block, alone or after the one before, gets its own verdict: place and reason.

use hubledger::rejection::Reason;
use serde_json::{Value, json};

use crate::support::{Chain, START, expect, expect_block_field, place, spelled, verdict};

#[test]
fn block_fields_of_the_wrong_type_or_range_are_malformed() {
    for field in ["block_id", "previous_hash", "merkle_root", "miner"] {
        for value in [json!(1), Value::Null, json!(["x"])] {
            expect_block_field(Reason::Malformed, field, value);
        }
    }
    for field in [
        "difficulty",
        "nonce",
        "timestamp",
        "transactions",
        "vector_clock",
    ] {
        for value in [json!("1"), json!(true), Value::Null] {
            expect_block_field(Reason::Malformed, field, value);
        }
    }
    for (field, value) in [
        ("block_id", json!("")),
        ("miner", json!("")),
        ("difficulty", json!(0)),
        ("difficulty", json!(-1)),
        ("difficulty", spelled("1.0")),
        ("nonce", json!(-1)),
        ("nonce", spelled("0.0")),
        ("height", json!("3")),
        ("height", spelled("3.0")),
        ("height", Value::Null),
        ("height", spelled("18446744073709551616")),
        ("vector_clock", json!({"": 1})),
        ("vector_clock", json!({"a": "1"})),
        ("vector_clock", json!({"a": true})),
        ("vector_clock", spelled(r#"{"a": 1.0}"#)),
        ("vector_clock", spelled("1.5")),
        ("transactions", json!({})),
    ] {
        expect_block_field(Reason::Malformed, field, value);
    }
    expect_block_field(Reason::Timestamp, "timestamp", json!(-1));
    expect_block_field(Reason::VectorClock, "vector_clock", json!({"hub_0": -1}));
    expect_block_field(Reason::Height, "height", json!(-1));
}

#[test]
fn missing_block_fields_are_malformed() {
    for field in [
        "block_id",
        "height",
        "previous_hash",
        "merkle_root",
        "vector_clock",
        "transactions",
        "miner",
        "difficulty",
        "nonce",
        "timestamp",
    ] {
        expect((3, None, Reason::Malformed), |chain| {
            chain.blocks[3]
                .as_object_mut()
                .expect("an object")
                .remove(field);
        });
    }
    expect((3, None, Reason::Malformed), |chain| {
        chain.blocks[3] = json!([1, 2])
    });
    expect((0, None, Reason::Malformed), |chain| {
        chain.blocks[0] = Value::Null
    });
}

#[test]
fn merkle_roots_must_be_those_of_the_transactions() {
    expect_block_field(Reason::MerkleRoot, "merkle_root", "0".repeat(64).into());
    expect_block_field(Reason::MerkleRoot, "merkle_root", "".into());
    expect_block_field(Reason::MerkleRoot, "transactions", json!([]));
    expect((0, None, Reason::MerkleRoot), |chain| {
        chain.blocks[0]["merkle_root"] = "0".repeat(64).into();
    });
    expect((2, None, Reason::MerkleRoot), |chain| {
        let upper = chain.blocks[2]["merkle_root"]
            .as_str()
            .expect("a root")
            .to_uppercase();
        chain.blocks[2]["merkle_root"] = upper.into();
    });
    expect((2, None, Reason::MerkleRoot), |chain| {
        let list = chain.blocks[2]["transactions"]
            .as_array_mut()
            .expect("an array");
        list.swap(0, 1);
    });
    expect((2, None, Reason::MerkleRoot), |chain| {
        chain.blocks[2]["transactions"]
            .as_array_mut()
            .expect("an array")
            .pop();
    });
}

#[test]
fn the_first_block_must_stand_alone() {
    expect((1, None, Reason::Height), |chain| {
        chain.blocks[0]["height"] = json!(1)
    });
    expect((1, None, Reason::Height), |chain| {
        drop(chain.blocks.remove(0))
    });
    expect((0, None, Reason::PreviousHash), |chain| {
        chain.blocks[0]["previous_hash"] = "0".repeat(64).into();
    });
    expect((0, None, Reason::VectorClock), |chain| {
        chain.blocks[0]["vector_clock"] = json!({"hub_0": 0});
    });
}

#[test]
fn blocks_must_follow_each_other() {
    expect_block_field(Reason::PreviousHash, "previous_hash", "".into());
    expect((4, None, Reason::Height), |chain| {
        chain.blocks[3]["height"] = json!(4)
    });
    expect((2, None, Reason::Height), |chain| {
        chain.blocks[3]["height"] = json!(2)
    });
    expect((4, None, Reason::Height), |chain| {
        drop(chain.blocks.remove(3))
    });
    expect((2, None, Reason::Height), |chain| {
        let again = chain.blocks[2].clone();
        chain.blocks.insert(3, again);
    });
    expect((u64::MAX, None, Reason::Height), |chain| {
        chain.blocks[3]["height"] = json!(u64::MAX);
    });
    // The block before is changed where its hash looks and nowhere else.
    expect((3, None, Reason::PreviousHash), |chain| {
        chain.blocks[2]["nonce"] = json!(1)
    });
}

#[test]
fn clocks_must_advance() {
    // The block before has {"hub_0": 1, "hub_1": 1}.
    for clock in [
        json!({}),
        json!({"hub_0": 1, "hub_1": 1}),
        json!({"hub_0": 1}),
        json!({"hub_0": 0, "hub_1": 1}),
        json!({"hub_0": 2}),
        json!({"hub_2": 5}),
        json!({"hub_0": 1, "hub_1": 1, "hub_2": 0}),
    ] {
        expect_block_field(Reason::VectorClock, "vector_clock", clock);
    }
    let mut chain = Chain::valid(2, 1, true);
    chain.blocks[1]["vector_clock"] = json!({"hub_0": 0});
    chain.relink(1);
    verdict(&chain).expect("any clock follows the empty one");
}

#[test]
fn block_timestamps_must_advance() {
    for timestamp in [
        json!(START + 20.0),
        json!(0),
        spelled("1e9"),
        spelled("-0.0"),
    ] {
        expect_block_field(Reason::Timestamp, "timestamp", timestamp);
    }
    // Equal as numbers although they print differently.
    let mut chain = Chain::valid(4, 0, true);
    chain.blocks[2]["timestamp"] = spelled("1700000100");
    chain.blocks[3]["timestamp"] = spelled("1700000100.0");
    chain.relink(2);
    assert_eq!(place(&verdict(&chain)), Some((3, None, Reason::Timestamp)));
    chain.blocks[3]["timestamp"] = spelled("1700000100.0000002");
    chain.relink(3);
    verdict(&chain).expect("the next double is later");
}
