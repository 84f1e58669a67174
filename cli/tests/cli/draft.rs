//! Transactions of one's own made again from JSON, and what is said of a draft that isn't one.

use std::fs;

use serde_json::Value;

use crate::support::{OWN, THEN, fed, key, ok, own_chain, produce, run, send};

#[test]
fn a_transaction_comes_back_from_its_json_and_from_every_form() {
    let folder = own_chain("");
    let folder = folder.path();
    for file in ["a.bin", "a.hex", "a.json"] {
        send(
            folder,
            "alice",
            file,
            &["--payload", "größe", "--expiry", "10m", "--fee", "3"],
        );
    }
    let whole = fs::read(folder.join("a.bin")).unwrap();
    let shown = ok(folder, &["show", "a.bin"]);
    for file in ["a.hex", "a.json"] {
        assert_eq!(ok(folder, &["show", file]), shown, "{file}");
    }
    assert_eq!(shown["payload"], hex::encode("größe"));
    fs::write(folder.join("shown.json"), shown.to_string()).unwrap();
    let again = ["tx", "--key", "alice.pem", "--store", OWN, "--at", THEN];
    ok(
        folder,
        &[&again[..], &["--draft", "shown.json", "--out", "b.bin"]].concat(),
    );
    assert_eq!(
        fs::read(folder.join("b.bin")).unwrap(),
        whole,
        "signing is deterministic"
    );
    // Edited, it is another one; and only signing makes it one.
    let mut edited = shown.clone();
    edited["fee"] = 4.into();
    fs::write(folder.join("edited.json"), edited.to_string()).unwrap();
    let unsigned = run(folder, &produce(&["edited.json"]));
    assert_eq!(
        (unsigned.code, &unsigned.json["reason"]),
        (3, &"malformed".into())
    );
    assert!(unsigned.stderr.contains("id: "), "{}", unsigned.stderr);
    let draft = [&again[..], &["--draft", "-", "--out", "c.bin"]].concat();
    let signed = fed(folder, &draft, edited.to_string().as_bytes());
    let signed: Value = serde_json::from_slice(&signed.stdout).unwrap();
    assert_eq!(signed["fee"], 4);
    assert_ne!(signed["id"], shown["id"]);
    assert_eq!(signed["nonce"], shown["nonce"]);
    // What a store says of a transaction is a draft too.
    ok(folder, &produce(&["c.bin"]));
    let held = ok(
        folder,
        &[
            "get",
            "--store",
            OWN,
            "--tx",
            signed["id"].as_str().unwrap(),
        ],
    );
    fs::write(folder.join("held.json"), held.to_string()).unwrap();
    let draft = ["--draft", "held.json", "--nonce", "next", "--out", "d.bin"];
    assert_eq!(ok(folder, &[&again[..], &draft].concat())["nonce"], 2);
}

#[test]
fn what_is_missing_or_wrong_is_named_by_its_option_or_field() {
    let folder = own_chain("");
    let folder = folder.path();
    key(folder, "alice");
    let chain = "0".repeat(64);
    let signed = ["--key", "alice.pem", "--dry-run"];
    let whole = [
        "--operation",
        "message",
        "--sender",
        "a",
        "--receiver",
        "b",
        "--nonce",
        "1",
    ];
    let for_chain = ["--chain", &chain];
    for (args, code, named) in [
        (
            [&whole[..6], &for_chain].concat(),
            1,
            "nonce: say it with --nonce, or --store",
        ),
        (
            [&whole[..4], &for_chain, &whole[6..]].concat(),
            1,
            "receiver: say it with --receiver",
        ),
        (
            [&whole[..2], &for_chain, &whole[4..]].concat(),
            1,
            "sender: say it with --sender",
        ),
        (
            [&whole[2..], &for_chain].concat(),
            1,
            "operation: say it with --operation",
        ),
        (whole.to_vec(), 1, "chain: say for which one it is"),
        (
            [&whole[..], &for_chain, &["--amount", "5"]].concat(),
            1,
            "amount: only a native transfer",
        ),
        (
            [&whole[..], &["--chain", "xyz"]].concat(),
            2,
            "--chain <ID>",
        ),
        (
            [&whole[..], &for_chain, &["--nonce", "0"]].concat(),
            2,
            "--nonce",
        ),
        (
            [&whole[..], &for_chain, &["--expiry", "soon"]].concat(),
            2,
            "--expiry <WHEN>",
        ),
        (
            [&whole[..], &for_chain, &["--payload-hex", "0"]].concat(),
            2,
            "--payload-hex <HEX>",
        ),
        (
            [&whole[..], &for_chain, &["--store", OWN]].concat(),
            2,
            "--store <URL>",
        ),
        (
            [
                &whole[..],
                &for_chain,
                &["--payload", "a", "--payload-hex", "00"],
            ]
            .concat(),
            2,
            "--payload",
        ),
        (
            [
                &whole[..],
                &for_chain,
                &["--draft", "-", "--payload-file", "-"],
            ]
            .concat(),
            1,
            "standard input",
        ),
        (
            [&whole[..], &for_chain, &["--payload-file", "missing"]].concat(),
            1,
            "missing",
        ),
        (
            [&whole[..], &for_chain, &["--key", "own.toml"]].concat(),
            1,
            "own.toml",
        ),
        (
            [&whole[..], &["--spec", "alice.pem"]].concat(),
            1,
            "alice.pem",
        ),
    ] {
        let run = run(folder, &[&["tx"], &signed[..], &args].concat());
        assert_eq!(run.code, code, "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains(named), "{args:?}: {}", run.stderr);
    }
    let nobody = run(folder, &[&["tx"], &whole[..], &for_chain].concat());
    assert_eq!(nobody.code, 2);
    assert!(nobody.stderr.contains("--key") && nobody.stderr.contains("--unsigned"));
}

#[test]
fn a_draft_that_cannot_be_meant_is_refused_with_its_field() {
    let folder = own_chain("");
    let folder = folder.path();
    let made = send(folder, "alice", "a.bin", &[]);
    let other = "1".repeat(64);
    for (field, value, code, said) in [
        ("fees", 1.into(), 1, "unknown field `fees`"),
        (
            "fee",
            "1".into(),
            1,
            "invalid type: string \"1\", expected u64",
        ),
        (
            "operation",
            "mesage".into(),
            1,
            "operation: \"mesage\" is none of transfer, message",
        ),
        ("payload", "0".into(), 1, "payload: not hexadecimal digits"),
        (
            "kind",
            "mpreg".into(),
            1,
            "kind: \"mpreg\", but only a native",
        ),
        ("format", "proof".into(), 1, "format: \"proof\""),
        ("sender", "".into(), 1, "sender: a name can't be empty"),
        (
            "chain",
            other.as_str().into(),
            3,
            "invalid: chain: the draft is for chain 1111",
        ),
    ] {
        let mut draft: Value = made.clone();
        draft[field] = value;
        fs::write(folder.join("draft.json"), draft.to_string()).unwrap();
        let args = [
            "tx",
            "--draft",
            "draft.json",
            "--key",
            "alice.pem",
            "--store",
            OWN,
            "--dry-run",
        ];
        let run = run(folder, &args);
        assert_eq!(run.code, code, "{field}: {}", run.stderr);
        assert!(run.stderr.contains(said), "{field}: {}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{field}: {}", run.stderr);
    }
    let binary = run(
        folder,
        &["tx", "--draft", "a.bin", "--unsigned", "--dry-run"],
    );
    assert_eq!(binary.code, 1);
    assert!(
        binary.stderr.contains("hubledger --json show"),
        "{}",
        binary.stderr
    );
}
