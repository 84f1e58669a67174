//! MPREG's own spoiled stores, broken text, and which of several faults is the verdict.

use std::path::Path;

use hubledger::rejection::Reason;
use hubledger_mpreg::Block;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{
    Chain, START, Where, data_path, edit_block, expect, key, place, sign, spelled, verdict, verify,
};

fn edit_value(path: &Path, height: i64, edit: impl FnOnce(&mut Value)) {
    edit_block(path, height, |json| {
        let mut block: Value = serde_json::from_str(&json).expect("JSON");
        edit(&mut block);
        block.to_string()
    });
}

/// The fault that MPREG's own test stores carry under this name.
fn spoil(path: &Path, name: &str) {
    match name {
        "payload" => edit_value(path, 3, |b| b["transactions"][7]["payload"] = "00ff".into()),
        "signature" => edit_value(path, 4, |b| {
            let signature = b["transactions"][42]["signature"].as_str().expect("signed");
            let flipped = if &signature[7..8] == "b" { "a" } else { "b" };
            let signature = format!("{}{flipped}{}", &signature[..7], &signature[8..]);
            b["transactions"][42]["signature"] = signature.into();
        }),
        "unsigned" => edit_value(path, 2, |b| {
            b["transactions"][0]["signature"] = "".into();
            b["transactions"][0]["public_key"] = "".into();
        }),
        "link" => edit_value(path, 5, |b| b["previous_hash"] = "0".repeat(64).into()),
        "clock" => edit_value(path, 5, |b| b["vector_clock"] = json!({})),
        "timestamp" => edit_value(path, 6, |b| b["timestamp"] = spelled("1.0")),
        "gap" => {
            let connection = Connection::open(path).expect("opens");
            connection
                .execute("DELETE FROM blocks WHERE height = 3", [])
                .expect("deletes");
        }
        "json" => edit_block(path, 2, |json| json[..500].to_owned()),
        "swap" => edit_value(path, 4, |b| {
            b["transactions"]
                .as_array_mut()
                .expect("an array")
                .reverse();
        }),
        "pubkey" => {
            edit_value(path, 1, |b| {
                b["transactions"][9]["public_key"] = "aa".repeat(31).into()
            });
        }
        _ => panic!("unknown fault {name}"),
    }
}

fn reason(what: &str) -> Reason {
    match what {
        "merkle root" => Reason::MerkleRoot,
        "signature" => Reason::Signature,
        "signature missing" => Reason::SignatureMissing,
        "previous hash" => Reason::PreviousHash,
        "vector clock" => Reason::VectorClock,
        "timestamp" => Reason::Timestamp,
        "height gap (3 missing)" => Reason::Height,
        "malformed json" => Reason::Malformed,
        "public key length" => Reason::PublicKey,
        _ => panic!("unknown description {what:?}"),
    }
}

/// With `MPREG_VECTORS_DIR`, MPREG's own spoiled stores are checked instead of copies of the sound one.
#[test]
fn the_faults_of_mpregs_own_stores_are_found_where_mpreg_finds_them() {
    let faults = std::fs::read_to_string(data_path("faults.json")).expect("the faults are there");
    let faults: Value = serde_json::from_str(&faults).expect("JSON");
    let directory = tempfile::tempdir().expect("a directory");
    verify(&data_path("signed7.db"))
        .verdict
        .expect("the store is sound before it is spoiled");
    for (name, expected) in faults.as_object().expect("faults by name") {
        let path = match std::env::var_os("MPREG_VECTORS_DIR") {
            Some(given) => Path::new(&given).join("bad").join(format!("{name}.db")),
            None => {
                let path = directory.path().join(format!("{name}.db"));
                std::fs::copy(data_path("signed7.db"), &path).expect("copies");
                spoil(&path, name);
                path
            }
        };
        let expected: Where = (
            expected["height"].as_u64().expect("a height"),
            expected
                .get("index")
                .map(|index| index.as_u64().expect("an index") as u32),
            reason(expected["what"].as_str().expect("what")),
        );
        let report = verify(&path);
        assert_eq!(place(&report.verdict), Some(expected), "{name}");
        let valid = if name == "gap" { 3 } else { expected.0 };
        assert_eq!(report.blocks, valid, "{name}");
    }
}

/// Replaces a piece of block 3's text.
fn text_verdict(from: &str, to: &str) -> Option<Where> {
    let chain = Chain::valid(5, 4, true);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("chain.db");
    chain.write_sqlite(&path);
    edit_block(&path, 3, |json| {
        assert!(json.contains(from), "{json} has no {from}");
        json.replacen(from, to, 1)
    });
    place(&verify(&path).verdict)
}

#[test]
fn sound_chains_are_valid() {
    for (blocks, per_block, signed) in [(1, 0, true), (2, 0, false), (5, 4, true), (9, 3, false)] {
        verdict(&Chain::valid(blocks, per_block, signed)).expect("valid");
    }
}

#[test]
fn the_first_fault_is_the_verdict() {
    // Within a transaction's turn: timestamp, then signature; between transactions: the lower index.
    expect((3, Some(1), Reason::Signature), |chain| {
        chain.transaction(3, 1)["signature"] = "11".repeat(64).into();
        chain.transaction(3, 2)["timestamp"] = json!(START + 9000.0);
        chain.relink(3);
    });
    expect((3, Some(1), Reason::Timestamp), |chain| {
        chain.transaction(3, 1)["timestamp"] = json!(START + 9000.0);
        chain.transaction(3, 2)["signature"] = "11".repeat(64).into();
        chain.relink(3);
    });
    // Construction comes before succession, succession before signatures.
    expect((3, Some(1), Reason::PublicKey), |chain| {
        chain.blocks[3]["previous_hash"] = "".into();
        chain.transaction(3, 1)["public_key"] = "aa".into();
    });
    expect((3, None, Reason::PreviousHash), |chain| {
        chain.transaction(3, 1)["signature"] = "11".repeat(64).into();
        chain.blocks[3]["previous_hash"] = "".into();
    });
    // An earlier block's signature comes before a later block's construction.
    expect((2, Some(0), Reason::Signature), |chain| {
        chain.transaction(2, 0)["signature"] = "11".repeat(64).into();
        chain.blocks[3]["merkle_root"] = "".into();
    });
}

#[test]
fn broken_text_is_malformed() {
    let malformed = Some((3, None, Reason::Malformed));
    for (from, to) in [
        ("{", ""),
        ("}", "} x"),
        (":", " "),
        ("\"nonce\":0", "\"nonce\":00"),
        ("\"nonce\":0", "\"nonce\":NaN"),
        ("\"nonce\":0", "\"nonce\":Infinity"),
        ("\"nonce\":0", "\"nonce\":+1"),
        ("\"nonce\":0", "\"nonce\":1."),
        ("\"nonce\":0", "\"nonce\":.5"),
        ("block-3", "\\ud800"),
        ("block-3", "\\udc00\\ud800"),
        ("block-3", "\\x41"),
        ("block-3", "a\nb"),
    ] {
        assert_eq!(text_verdict(from, to), malformed, "{from} -> {to}");
    }
    let deep = format!(
        "\"other\":{}{},\"nonce\":0",
        "[".repeat(5000),
        "]".repeat(5000)
    );
    assert_eq!(text_verdict("\"nonce\":0", &deep), malformed);
    let long = format!("\"nonce\":{}", "9".repeat(5000));
    assert_eq!(text_verdict("\"nonce\":0", &long), malformed);
}

#[test]
fn a_verdict_on_readable_text_names_the_blocks_own_height() {
    // The row's height is 3, the text's is 7, and it comes after the fault.
    expect((7, None, Reason::Malformed), |chain| {
        chain.blocks[3]["height"] = json!(7);
        chain.blocks[3]["block_id"] = json!(1);
    });
}

#[test]
fn harmless_variations_of_the_text_are_valid() {
    for (from, to) in [
        // The last of duplicate keys counts.
        ("\"nonce\":0", "\"nonce\":\"x\",\"nonce\":0"),
        (
            "\"transactions\":[",
            "\"transactions\":[{}],\"transactions\":[",
        ),
        (
            "\"vector_clock\":{",
            "\"vector_clock\":7,\"vector_clock\":{\"hub_0\":\"x\",",
        ),
        // Unknown keys don't.
        (
            "\"nonce\":0",
            "\"other\":[{\"a\":1.5e3,\"b\":[null,true]}],\"nonce\":0",
        ),
        // Nor does the way in which a text is written.
        ("\"nonce\":0", " \"n\\u006fnce\" : -0\n"),
        ("block-3", "\\ud83d\\ude00"),
    ] {
        assert_eq!(text_verdict(from, to), None, "{from} -> {to}");
    }
}

#[test]
fn numbers_of_any_size_and_form_are_valid_and_hash_as_printed() {
    let mut chain = Chain::valid(4, 4, true);
    chain.transaction(2, 0)["nonce"] = spelled("100000000000000000000");
    chain.transaction(2, 1)["fee"] = spelled(&"9".repeat(4300));
    chain.transaction(2, 2)["timestamp"] = spelled("1.7e9");
    chain.transaction(2, 3)["timestamp"] = spelled("1e-05");
    chain.transaction(2, 3)["payload"] = "00 FF\tab".into();
    for index in 0..4 {
        sign(chain.transaction(2, index), &key(8));
    }
    chain.blocks[2]["nonce"] = spelled("9223372036854775808");
    chain.blocks[2]["difficulty"] = spelled("100000000000000000000");
    chain.blocks[2]["vector_clock"] = spelled(r#"{"hub_0":1,"hub_1":100000000000000000000}"#);
    chain.blocks[3]["vector_clock"] = spelled(r#"{"hub_0":1,"hub_1":100000000000000000001}"#);
    chain.relink(2);
    verdict(&chain).expect("valid");
}

#[test]
fn no_single_changed_byte_makes_a_block_panic() {
    let sound = Chain::valid(2, 1, true).blocks[1].to_string();
    let read = |text: &[u8]| Block::from_json(text, 1);
    read(sound.as_bytes()).expect("valid");
    for at in 0..sound.len() {
        for change in [b'"', b'{', b'9', b'-', b'\\', b' ', 0, 0xff] {
            let mut text = sound.clone().into_bytes();
            text[at] = change;
            match read(&text) {
                // In a field that the Merkle root leaves out.
                Ok(block) => assert_eq!(block.transactions().len(), 1, "at {at}"),
                Err(rejected) => assert!(!rejected.detail.is_empty(), "at {at}"),
            }
        }
        assert!(read(&sound.as_bytes()[..at]).is_err(), "cut at {at}");
    }
}
