//! Transactions of one's own: made from options, and checked before they are given out.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{OWN, THEN, fed, key, message, ok, own_chain, produce, program, run, send};

const OPERATIONS: [&str; 8] = [
    "transfer",
    "message",
    "federation_join",
    "federation_leave",
    "node_register",
    "node_update",
    "consensus_vote",
    "smart_contract",
];

#[test]
fn every_operation_is_made_committed_and_found() {
    let folder = own_chain("");
    let folder = folder.path();
    key(folder, "alice");
    let mut files: Vec<String> = Vec::new();
    for (number, operation) in (1u64..).zip(OPERATIONS) {
        let file = format!("{operation}.bin");
        let mut args = vec!["tx", "--operation", operation, "--sender", "alice"];
        args.extend(["--receiver", "bob", "--key", "alice.pem", "--at", THEN]);
        args.extend(["--store", OWN, "--out", &file]);
        if operation == "transfer" {
            args.extend(["--amount", "7"]);
        }
        // None of them is in a block yet.
        files
            .iter()
            .for_each(|before| args.extend(["--after", before]));
        let made = ok(folder, &args);
        assert_eq!(made["nonce"], number, "{operation}");
        files.push(file);
    }
    let named: Vec<&str> = files.iter().map(String::as_str).collect();
    let block = ok(folder, &produce(&named));
    assert_eq!(block["transactions"], 8);
    for (included, operation) in block["included"].as_array().unwrap().iter().zip(OPERATIONS) {
        let id = included["id"].as_str().unwrap();
        let found = ok(folder, &["get", "--store", OWN, "--tx", id]);
        assert_eq!(found["operation"], operation);
        assert_eq!(found["amount"], if operation == "transfer" { 7 } else { 0 });
        assert_eq!(found["witnesses"][0]["verifies"], true);
    }
    ok(folder, &["verify", "--store", OWN]);
}

#[test]
fn the_next_nonce_follows_the_chain_and_what_is_said_to_come_before() {
    let folder = own_chain("");
    let folder = folder.path();
    for number in 1..3 {
        let file = format!("{number}.bin");
        assert_eq!(send(folder, "alice", &file, &[])["nonce"], number);
        ok(folder, &produce(&[&file]));
    }
    assert_eq!(send(folder, "alice", "3.bin", &[])["nonce"], 3);
    let again = send(folder, "alice", "3-again.bin", &["--payload", "another"]);
    assert_eq!(again["nonce"], 3, "what is in no block isn't the chain's");
    let after = send(folder, "alice", "4.bin", &["--after", "3.bin"]);
    assert_eq!(after["nonce"], 4);
    let other = send(folder, "carol", "carol.bin", &["--after", "4.bin"]);
    assert_eq!(other["nonce"], 1, "others' transactions don't count");
}

#[test]
fn what_breaks_a_rule_is_refused_by_its_word_and_written_nowhere() {
    let accounts = |folder: &Path| {
        let key = key(folder, "alice");
        format!("[accounts.alice]\nkey = \"{key}\"\nbalance = 10\n")
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let rules = "[limits]\npayload_bytes_max = 8\n[rules]\nbalances = true\nfee_min = 2\n";
    let more = format!("{rules}{}", accounts(folder));
    crate::support::specification(folder, &["hub"], "", &more);
    ok(folder, &["init", "--store", OWN, "--spec", "own.toml"]);
    key(folder, "mallory");
    let transfer = [
        "--operation",
        "transfer",
        "--receiver",
        "bob",
        "--at",
        THEN,
        "--out",
        "x",
    ];
    let by_alice = ["--sender", "alice", "--key", "alice.pem"];
    let by_mallory = ["--sender", "alice", "--key", "mallory.pem"];
    let store = ["--store", OWN];
    let spec = ["--spec", "own.toml", "--nonce", "1"];
    // What only the chain can tell isn't told by its specification.
    for (signed, more, reason, by_spec) in [
        (by_mallory, &["--amount", "1"][..], "identity", true),
        (by_alice, &["--amount", "1", "--fee", "1"], "fee", true),
        (by_alice, &["--amount", "9"], "balance", false),
        (
            by_alice,
            &["--amount", "1", "--expiry", "2025-06-01T11:59:00Z"],
            "expired",
            true,
        ),
        (
            by_alice,
            &["--amount", "1", "--payload", "nine bytes"],
            "limit",
            true,
        ),
    ] {
        for (rules, applies) in [(&store[..], true), (&spec[..], by_spec)] {
            let args = [&["tx"], &transfer[..], &signed, rules, more].concat();
            let run = run(folder, &args);
            if !applies {
                assert_eq!(run.code, 0, "{args:?}: {}", run.stderr);
                fs::remove_file(folder.join("x")).unwrap();
                continue;
            }
            assert_eq!(run.code, 3, "{args:?}: {}", run.stderr);
            assert_eq!(run.json["reason"], reason, "{args:?}");
            assert_eq!(run.json["verdict"], "invalid");
            assert!(run.stderr.starts_with(&format!("invalid: {reason}: ")));
            assert!(!folder.join("x").exists(), "{args:?}");
        }
    }
    // The smallest fee comes by itself.
    let made = ok(
        folder,
        &[
            &["tx"],
            &transfer[..],
            &by_alice,
            &store,
            &["--amount", "8"],
        ]
        .concat(),
    );
    assert_eq!(made["fee"], 2);
    ok(folder, &produce(&["x"]));
    let args = [
        &["tx"],
        &transfer[..],
        &by_alice,
        &store,
        &["--amount", "0", "--nonce", "1"],
    ]
    .concat();
    assert_eq!(run(folder, &args).json["reason"], "nonce");
}

#[test]
fn a_payload_is_the_same_as_text_digits_file_or_stream() {
    let folder = own_chain("");
    let folder = folder.path();
    fs::write(folder.join("payload"), "hello").unwrap();
    let mut made = Vec::new();
    for payload in [
        ["--payload", "hello"],
        ["--payload-hex", "68656C6c6f"],
        ["--payload-file", "payload"],
        ["--payload-file", "-"],
    ] {
        let args = message(folder, "alice", "alice.pem", &["--store", OWN]);
        let output = fed(folder, &[&args[..], &payload].concat(), b"hello");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["payload"], hex::encode("hello"), "{payload:?}");
        made.push(report["encoded"].clone());
    }
    assert!(made.iter().all(|one| *one == made[0]));
}

#[test]
fn standard_output_has_the_transaction_alone_and_a_dry_run_has_none() {
    let folder = own_chain("");
    let folder = folder.path();
    send(folder, "alice", "a.bin", &[]);
    let whole = fs::read(folder.join("a.bin")).unwrap();
    let args = message(folder, "alice", "alice.pem", &["--store", OWN]);
    let plain = |more: &[&str]| {
        let program = env!("CARGO_BIN_EXE_hubledger");
        let mut command = std::process::Command::new(program);
        command.args([&args[..], more].concat()).current_dir(folder);
        command.output().unwrap()
    };
    let bytes = plain(&[]);
    assert_eq!(bytes.stdout, whole);
    assert!(String::from_utf8(bytes.stderr).unwrap().starts_with("id: "));
    assert_eq!(plain(&["--out", "-"]).stdout, whole);
    let digits = String::from_utf8(plain(&["--hex"]).stdout).unwrap();
    assert_eq!(digits, format!("{}\n", hex::encode(&whole)));
    let dry = plain(&["--dry-run"]);
    assert!(String::from_utf8(dry.stdout).unwrap().starts_with("id: "));
    assert!(dry.stderr.is_empty());
    // Whoever reads on gets nothing of a refusal.
    fs::write(folder.join("long"), [0; 70_000]).unwrap();
    let refused = plain(&["--payload-file", "long"]);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(3), 0));
    assert!(
        String::from_utf8(refused.stderr)
            .unwrap()
            .starts_with("invalid: limit: ")
    );
    // A file that is there stays.
    let again = run(folder, &[&args[..], &["--out", "a.bin"]].concat());
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("a.bin"), "{}", again.stderr);
    assert_eq!(fs::read(folder.join("a.bin")).unwrap(), whole);
}

#[cfg(target_os = "linux")]
#[test]
fn files_may_have_any_name_and_values_have_to_be_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = own_chain("");
    let folder = folder.path();
    let (odd, bad) = (OsStr::from_bytes(b"\xff.bin"), OsStr::from_bytes(b"\xff"));
    let args = message(folder, "alice", "alice.pem", &["--store", OWN, "--out"]);
    let made = program(folder, &args).arg(odd).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    for args in [&["show"][..], &produce(&["--allow-empty"])] {
        let taken = program(folder, args).arg(odd).output().unwrap();
        assert!(taken.status.success(), "{args:?}: {taken:?}");
        let missing = program(folder, args).arg(bad).output().unwrap();
        assert_eq!(missing.status.code(), Some(1), "{args:?}: {missing:?}");
    }
    for option in [
        "--sender",
        "--receiver",
        "--payload",
        "--nonce",
        "--expiry",
        "--store",
    ] {
        let refused = program(folder, &["tx", option]).arg(bad).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{option}");
        let stderr = String::from_utf8(refused.stderr).unwrap();
        assert!(
            stderr.contains(option) && stderr.contains("not UTF-8"),
            "{stderr}"
        );
    }
}
