//! Members' faults: found in what others hand on, handed in, and what is none.

use std::fs;
use std::path::Path;

use hubledger::model::{Header, HeaderFields, QuorumSeal, Seal};
use hubledger::signature::KeyPair;
use serde_json::{Value, json};

use crate::consensus_run::{A, B, agreeing, words};
use crate::support::{key, ok, run, specification};

/// Two authorities in turns, with a store at height 2.
fn in_turns() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let rules = "[rules]\nidentity = \"pinned\"\n";
    specification(
        folder.path(),
        &["hub-0", "hub-1"],
        "round_robin = true",
        rules,
    );
    let file = folder.path().join("own.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("format = 2\n{text}")).unwrap();
    ok(
        folder.path(),
        &words("init --store sqlite:a.db --spec own.toml"),
    );
    for hub in ["hub-0", "hub-1"] {
        produce_empty(folder.path(), A, hub);
    }
    folder
}

fn produce_empty(folder: &Path, store: &str, hub: &str) -> Value {
    let key = format!("{hub}.pem");
    let produce = ["produce", "--allow-empty", "--store", store, "--key", &key];
    ok(folder, &produce)
}

#[test]
fn a_seal_out_of_turn_is_found_in_headers_too_and_convicts() {
    let folder = in_turns();
    let folder = folder.path();
    ok(
        folder,
        &words("light headers --store sqlite:a.db --out headers.jsonl"),
    );
    // It is the first one's turn at height 1, and the second one seals the same header.
    let text = fs::read_to_string(folder.join("headers.jsonl")).unwrap();
    let mut line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let header = hex::decode(line["header"].as_str().unwrap()).unwrap();
    let header = Header::decode(header.into()).unwrap();
    let guilty = KeyPair::read_pem(folder.join("hub-1.pem")).unwrap();
    line["seal"] = hex::encode(Seal::by_authority(&guilty, &header.hash()).encode()).into();
    fs::write(folder.join("theirs.jsonl"), line.to_string()).unwrap();
    let make = words("evidence make theirs.jsonl --store sqlite:a.db --out faults");
    let made = ok(folder, &make);
    let found = &made["found"][0];
    let expected = (&json!("unauthorised_seal"), &json!("hub-1"), &json!(3_000));
    assert_eq!(
        (&found["fault"], &found["member"], &found["basis_points"]),
        expected
    );
    let file = found["file"].as_str().unwrap();
    let shown = ok(folder, &["show", file]);
    assert_eq!(
        (&shown["format"], &shown["signatures"]),
        (&json!("evidence"), &json!("valid"))
    );
    key(folder, "witness");
    let submit = "--sender witness --key witness.pem --store sqlite:a.db --out convict.bin";
    ok(
        folder,
        &[&["evidence", "submit", file][..], &words(submit)].concat(),
    );
    ok(
        folder,
        &words("produce convict.bin --store sqlite:a.db --key hub-0.pem"),
    );
    // What was found once is there, and convicts nobody twice.
    let again = run(folder, &make);
    assert_eq!((again.code, &again.json["found"]), (1, &json!([])));
    assert_eq!(again.json["convicting_nobody"][0]["convicted_at"], 3);
    let listed = ok(
        folder,
        &words("evidence list --store sqlite:a.db --name hub-0"),
    );
    assert_eq!(listed["convictions"], json!([]));
}

#[test]
fn a_signature_that_somebody_made_up_accuses_nobody() {
    let folder = in_turns();
    let folder = folder.path();
    ok(
        folder,
        &words("light headers --store sqlite:a.db --out headers.jsonl"),
    );
    let text = fs::read_to_string(folder.join("headers.jsonl")).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|one| serde_json::from_str(one).unwrap())
        .collect();
    let mut forged = lines[0].clone();
    forged["seal"] = lines[1]["seal"].clone();
    fs::write(folder.join("forged.jsonl"), forged.to_string()).unwrap();
    let made = run(
        folder,
        &words("evidence make forged.jsonl --store sqlite:a.db --out faults"),
    );
    assert_eq!((made.code, &made.json["found"]), (1, &json!([])));
    assert_eq!(made.json["convicting_nobody"], json!([]));
}

#[test]
fn certificates_of_different_rounds_convict_nobody_and_whoever_sees_them_is_told_to_halt() {
    let chain = agreeing();
    chain.block(A, &[]);
    let keys = "--key k0.pem --key k1.pem --key k2.pem --key k3.pem";
    // In another round it is somebody else's to propose.
    let mut later = Value::Null;
    for first in 0..4 {
        let produce =
            format!("produce --allow-empty --store {B} --round 1 --key k{first}.pem {keys}");
        let made = chain.run(&produce);
        if made.code == 0 {
            later = made.json;
            break;
        }
    }
    assert_eq!(later["height"], 7);
    chain.ok("export --store sqlite:b.db --from 7 --out b.hlb");
    let made = chain.run("evidence make b.hlb --store sqlite:a.db --out faults");
    assert_eq!((made.code, &made.json["found"]), (3, &json!([])));
    let conflict = &made.json["conflicts"][0];
    assert_eq!(
        (&conflict["rounds"], &conflict["convicts"]),
        (&json!([0, 1]), &json!([]))
    );
    assert!(made.json["halt"].as_str().unwrap().contains("halt"));
    assert!(made.stderr.contains("convict nobody"), "{}", made.stderr);
    let none = chain.run("produce --allow-empty --store sqlite:a.db --round 9 --key witness.pem");
    assert_eq!(none.code, 1, "a key that isn't there");
}

#[test]
fn two_votes_of_a_member_convict_it_also_where_too_few_others_signed() {
    let chain = agreeing();
    for store in [A, B] {
        chain.block(store, &[]);
    }
    chain.ok("light headers --store sqlite:b.db --from 7 --out theirs.jsonl");
    let path = chain.path().join("theirs.jsonl");
    let mut line: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let seal = hex::decode(line["seal"].as_str().unwrap()).unwrap();
    let Seal::Quorum(whole) = Seal::decode(&seal).unwrap() else {
        panic!("a certificate seals");
    };
    let alone = QuorumSeal::new(whole.round(), whole.signed().skip(2).take(1)).unwrap();
    line["seal"] = hex::encode(Seal::Quorum(alone).encode()).into();
    fs::write(path, line.to_string()).unwrap();
    let made = chain.ok("evidence make theirs.jsonl --store sqlite:a.db --out faults");
    let found = made["found"].as_array().unwrap();
    assert_eq!(
        (found.len(), &found[0]["member"]),
        (1, &json!("hub_asia_pacific"))
    );
    assert_eq!(
        made["conflicts"],
        json!([]),
        "one signature decides nothing"
    );
}

#[test]
fn a_file_that_is_full_of_blocks_of_one_height_is_refused() {
    let chain = agreeing();
    chain.ok("light headers --store sqlite:a.db --to 1 --out one.jsonl");
    let path = chain.path().join("one.jsonl");
    let line: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let header = hex::decode(line["header"].as_str().unwrap()).unwrap();
    let header = Header::decode(header.into()).unwrap();
    let mut text = String::new();
    for nonce in 0..40 {
        let fields = HeaderFields {
            nonce,
            ..(*header).clone()
        };
        let other = Header::new(fields).unwrap();
        let seal = &line["seal"];
        let line = json!({ "header": hex::encode(other.bytes()), "seal": seal });
        text.push_str(&format!("{line}\n"));
    }
    fs::write(path, text).unwrap();
    let refused = chain.run("evidence make one.jsonl --store sqlite:a.db --out faults");
    assert_eq!(
        (refused.code, &refused.json["reason"]),
        (3, &json!("limit"))
    );
    assert!(
        refused.stderr.contains("one.jsonl: line 33"),
        "{}",
        refused.stderr
    );
}
