//! Who signs a transaction: one, several together or one after the other, or nobody yet.

use std::fs;

use crate::support::{OWN, THEN, key, message, ok, own_chain, produce, run, send};

#[test]
fn witnesses_are_made_together_or_one_after_the_other() {
    let folder = own_chain("[rules]\nwitnesses_min = 2\n");
    let folder = folder.path();
    key(folder, "bob");
    let both = send(folder, "alice", "both.bin", &["--key", "bob.pem"]);
    assert_eq!(both["witnesses"].as_array().unwrap().len(), 2);
    let alone = message(
        folder,
        "alice",
        "alice.pem",
        &["--store", OWN, "--out", "one.bin"],
    );
    let refused = run(folder, &alone);
    assert_eq!(
        (refused.code, &refused.json["reason"]),
        (3, &"signature_missing".into())
    );
    ok(folder, &[&alone[..], &["--partial"]].concat());
    let cosign = [
        "tx", "--cosign", "one.bin", "--key", "bob.pem", "--store", OWN, "--at", THEN,
    ];
    ok(folder, &[&cosign[..], &["--out", "two.bin"]].concat());
    let bytes = |name: &str| fs::read(folder.join(name)).unwrap();
    assert_eq!(bytes("two.bin"), bytes("both.bin"));
    let twice = run(
        folder,
        &[
            "tx", "--cosign", "two.bin", "--key", "bob.pem", "--out", "x",
        ],
    );
    assert_eq!(twice.code, 1);
    assert!(
        twice.stderr.contains("two.bin: witness: a key signs twice"),
        "{}",
        twice.stderr
    );
    // A witness of another transaction isn't passed on.
    let mut forged = bytes("one.bin");
    let last = forged.len() - 1;
    forged[last] ^= 1;
    fs::write(folder.join("forged.bin"), forged).unwrap();
    let forged = run(
        folder,
        &[
            "tx",
            "--cosign",
            "forged.bin",
            "--key",
            "bob.pem",
            "--out",
            "x",
        ],
    );
    assert_eq!(
        (forged.code, &forged.json["reason"]),
        (3, &"signature".into())
    );
    ok(folder, &produce(&["two.bin"]));
}

#[test]
fn an_unsigned_transaction_is_for_others_to_sign() {
    let folder = own_chain("");
    let folder = folder.path();
    let fields = [
        "tx",
        "--operation",
        "message",
        "--sender",
        "alice",
        "--receiver",
        "bob",
    ];
    let unsigned = ["--unsigned", "--store", OWN, "--at", THEN, "--out", "u.bin"];
    let made = ok(folder, &[fields, unsigned].concat());
    assert_eq!(made["witnesses"], serde_json::json!([]));
    let refused = run(folder, &produce(&["u.bin"]));
    assert_eq!(refused.json["left_out"][0]["reason"], "signature_missing");
    key(folder, "alice");
    let cosign = [
        "tx",
        "--cosign",
        "u.bin",
        "--key",
        "alice.pem",
        "--store",
        OWN,
    ];
    let signed = ok(
        folder,
        &[&cosign[..], &["--at", THEN, "--out", "s.bin"]].concat(),
    );
    assert_eq!(signed["id"], made["id"]);
    ok(folder, &produce(&["s.bin"]));
}

#[test]
fn a_name_that_is_a_key_is_known_from_the_key() {
    let folder = own_chain("[rules]\nidentity = \"key\"\n");
    let folder = folder.path();
    let alice = key(folder, "alice");
    let fields = [
        "tx",
        "--operation",
        "message",
        "--receiver",
        "bob",
        "--key",
        "alice.pem",
    ];
    let made = ok(
        folder,
        &[
            &fields[..],
            &["--store", OWN, "--at", THEN, "--out", "a.bin"],
        ]
        .concat(),
    );
    assert_eq!(made["sender"], alice.as_str());
    ok(folder, &produce(&["a.bin"]));
}
