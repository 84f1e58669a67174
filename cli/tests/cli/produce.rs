//! Blocks of one's own: what is in them, what is left out and why, who may make them, and that nothing is lost.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{
    OWN, THEN, key, message, ok, own_chain, produce, program, run, send, specification,
};

fn head(folder: &Path) -> Value {
    ok(folder, &["get", "--store", OWN, "--head"])
}

#[test]
fn transactions_of_two_senders_in_every_form_are_in_one_block() {
    let folder = own_chain("");
    let folder = folder.path();
    for (sender, file) in [
        ("alice", "1.bin"),
        ("bob", "1.hex"),
        ("carol", "1.json"),
        ("dave", "1"),
    ] {
        send(folder, sender, file, &[]);
    }
    // Several, one after the other.
    for (sender, before, ending) in [
        ("alice", "1.bin", "bin"),
        ("bob", "1.hex", "hex"),
        ("carol", "1.json", "json"),
    ] {
        let second = format!("2.{ending}");
        send(folder, sender, &second, &["--after", before]);
        let both = [before, &second].map(|name| fs::read(folder.join(name)).unwrap());
        fs::write(folder.join(format!("both.{ending}")), both.concat()).unwrap();
    }
    let block = ok(
        folder,
        &produce(&["both.hex", "both.json", "1", "both.bin", "--out", "b.hlb"]),
    );
    assert_eq!(
        (&block["transactions"], &block["height"]),
        (&7.into(), &1.into())
    );
    assert_eq!(block["left_out"], serde_json::json!([]));
    assert_eq!(block["durability"], "disk");
    assert_eq!(head(folder)["hash"], block["hash"]);
    assert_eq!(head(folder)["timestamp"], 1_748_779_200_000_000u64);
    let included = block["included"].as_array().unwrap().iter();
    let of_json = included.filter(|one| one["file"] == "both.json");
    assert!(of_json.map(|one| &one["number"]).eq([0, 1].iter()));
}

#[test]
fn a_block_file_carries_the_block_to_another_store() {
    let folder = own_chain("");
    let folder = folder.path();
    send(folder, "alice", "a.bin", &[]);
    let block = ok(folder, &produce(&["a.bin", "--out", "b.hlb"]));
    assert_eq!(block["out"], "b.hlb");
    let imported = ok(folder, &["import", "b.hlb", "--store", "sqlite:other.db"]);
    assert_eq!(imported["head"], block["hash"]);
    // A file that is there is no reason to make a block that isn't in it.
    send(folder, "alice", "b.bin", &[]);
    for taken in ["--out", "--rest"] {
        let refused = run(folder, &produce(&["b.bin", taken, "b.hlb"]));
        assert_eq!(refused.code, 1);
        assert!(refused.stderr.contains("b.hlb"), "{}", refused.stderr);
    }
    assert_eq!(head(folder)["height"], 1);
}

#[test]
fn the_good_are_in_and_the_bad_are_left_out_by_their_word() {
    let folder = own_chain("");
    let folder = folder.path();
    send(folder, "alice", "used.bin", &[]);
    ok(folder, &produce(&["used.bin"]));
    send(folder, "alice", "good.bin", &[]);
    send(folder, "bob", "good2.bin", &[]);
    key(folder, "mallory");
    let stolen = message(folder, "alice", "mallory.pem", &["--spec", "own.toml"]);
    ok(
        folder,
        &[&stolen[..], &["--nonce", "9", "--out", "stolen.bin"]].concat(),
    );
    let mut forged = fs::read(folder.join("good2.bin")).unwrap();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    fs::write(folder.join("forged.bin"), forged).unwrap();
    let files = [
        "forged.bin",
        "good.bin",
        "stolen.bin",
        "used.bin",
        "good2.bin",
        "good.bin",
    ];
    let made = run(
        folder,
        &[&produce(&files)[..], &["--rest", "rest.bin"]].concat(),
    );
    assert_eq!(made.code, 3, "{}", made.stderr);
    assert_eq!(
        (&made.json["height"], &made.json["transactions"]),
        (&2.into(), &2.into())
    );
    let left: Vec<_> = made.json["left_out"].as_array().unwrap().iter().collect();
    let said = |one: &&Value| format!("{} {}", one["file"], one["reason"]).replace('"', "");
    assert_eq!(
        left.iter().map(said).collect::<Vec<_>>(),
        [
            "forged.bin signature",
            "stolen.bin identity",
            "used.bin nonce",
            "good.bin duplicate"
        ]
    );
    assert_eq!(
        made.stderr
            .lines()
            .filter(|line| line.starts_with("left out: "))
            .count(),
        4
    );
    assert_eq!(head(folder)["height"], 2, "it is committed all the same");
    let rest = ok(folder, &["show", "rest.bin"]);
    let rest = rest["transactions"].as_array().unwrap();
    assert!(
        rest.iter()
            .map(|one| &one["id"])
            .eq(left.iter().map(|one| &one["id"]))
    );
    ok(folder, &["verify", "--store", OWN]);
}

#[test]
fn what_has_no_room_is_kept_for_the_next_block() {
    let folder = own_chain("[limits]\ntransactions_max = 2\n");
    let folder = folder.path();
    for (sender, fee) in [("alice", "1"), ("bob", "3"), ("carol", "2")] {
        send(folder, sender, &format!("{sender}.bin"), &["--fee", fee]);
    }
    let files = ["alice.bin", "bob.bin", "carol.bin"];
    let made = run(
        folder,
        &[&produce(&files)[..], &["--rest", "rest.bin"]].concat(),
    );
    assert_eq!(made.code, 1, "{}", made.stderr);
    let included = made.json["included"].as_array().unwrap();
    assert!(
        included
            .iter()
            .map(|one| &one["file"])
            .eq(["bob.bin", "carol.bin"]),
        "by fee"
    );
    let left = &made.json["left_out"][0];
    assert_eq!(
        (&left["file"], &left["reason"]),
        (&"alice.bin".into(), &"limit".into())
    );
    assert!(left["detail"].as_str().unwrap().contains("no room"));
    let next = ok(folder, &produce(&["rest.bin"]));
    assert_eq!(
        (&next["height"], &next["transactions"]),
        (&2.into(), &1.into())
    );
}

#[test]
fn money_that_two_transactions_spend_is_spent_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let key = key(folder, "alice");
    let more =
        format!("[rules]\nbalances = true\n[accounts.alice]\nkey = \"{key}\"\nbalance = 10\n");
    specification(folder, &["hub"], "", &more);
    ok(folder, &["init", "--store", OWN, "--spec", "own.toml"]);
    let transfer = ["--operation", "transfer", "--amount", "6"];
    let transfer = |file, more: &[&str]| {
        let args = [
            "tx",
            "--sender",
            "alice",
            "--receiver",
            "bob",
            "--key",
            "alice.pem",
            "--at",
            THEN,
        ];
        let args = [&args[..], &transfer, &["--store", OWN, "--out", file], more].concat();
        ok(folder, &args);
    };
    transfer("a.bin", &[]);
    transfer("b.bin", &["--after", "a.bin"]);
    let made = run(folder, &produce(&["a.bin", "b.bin"]));
    assert_eq!((made.code, &made.json["transactions"]), (3, &1.into()));
    let left = &made.json["left_out"][0];
    assert_eq!(
        (&left["file"], &left["reason"]),
        (&"b.bin".into(), &"balance".into())
    );
}

#[test]
fn a_block_out_of_turn_and_by_nobody_s_key_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    specification(folder, &["hub", "hub2"], "round_robin = true", "");
    ok(folder, &["init", "--store", OWN, "--spec", "own.toml"]);
    send(folder, "alice", "a.bin", &[]);
    key(folder, "mallory");
    let by = |pem, more: &[&str]| {
        let args = [
            "produce", "a.bin", "--store", OWN, "--at", THEN, "--key", pem,
        ];
        run(folder, &[&args[..], more].concat())
    };
    let early = by("hub2.pem", &["--out", "b.hlb", "--rest", "rest.bin"]);
    assert_eq!((early.code, &early.json["reason"]), (3, &"turn".into()));
    let detail = early.json["detail"].as_str().unwrap();
    assert!(
        detail.contains("\"hub2\"") && detail.contains("the turn of \"hub\""),
        "{detail}"
    );
    assert!(!folder.join("b.hlb").exists() && !folder.join("b.hlb.partial").exists());
    let kept = fs::read(folder.join("rest.bin")).unwrap();
    assert_eq!(
        kept,
        fs::read(folder.join("a.bin")).unwrap(),
        "it is in no block"
    );
    let nobody = by("mallory.pem", &["--rest", "nobody.bin"]);
    assert_eq!(fs::read(folder.join("nobody.bin")).unwrap(), kept);
    assert_eq!(
        (nobody.code, &nobody.json["reason"]),
        (3, &"producer".into())
    );
    assert_eq!(head(folder)["height"], 0);
    assert_eq!(by("hub.pem", &[]).code, 0);
    assert_eq!(by("hub2.pem", &["--allow-empty"]).json["height"], 2);
    assert_eq!(head(folder)["producer"], "hub2");
}

#[test]
fn an_empty_block_is_made_only_if_that_is_said() {
    let folder = own_chain("");
    let folder = folder.path();
    fs::write(folder.join("none"), "").unwrap();
    let none = run(folder, &produce(&["none"]));
    assert_eq!(none.code, 1);
    assert!(none.stderr.contains("--allow-empty"), "{}", none.stderr);
    assert_eq!(run(folder, &produce(&[])).code, 2);
    send(folder, "alice", "late.bin", &["--expiry", "1h"]);
    let late = [
        "produce", "late.bin", "--store", OWN, "--key", "hub.pem", "--rest", "rest.bin",
    ];
    let refused = run(folder, &late);
    assert_eq!((refused.code, &refused.json["height"]), (3, &Value::Null));
    assert_eq!(refused.json["left_out"][0]["reason"], "expired");
    assert!(folder.join("rest.bin").exists());
    assert_eq!(head(folder)["height"], 0);
    let empty = ok(folder, &produce(&["--allow-empty"]));
    assert_eq!(
        (&empty["height"], &empty["transactions"]),
        (&1.into(), &0.into())
    );
}

#[test]
fn a_file_that_is_damaged_or_a_time_to_come_stops_everything() {
    let folder = own_chain("");
    let folder = folder.path();
    send(folder, "alice", "a.bin", &[]);
    send(folder, "alice", "b.bin", &["--after", "a.bin"]);
    let [first, mut second] = ["a.bin", "b.bin"].map(|name| fs::read(folder.join(name)).unwrap());
    second.truncate(60);
    let length = first.len();
    fs::write(folder.join("cut.bin"), [first, second].concat()).unwrap();
    fs::write(folder.join("text"), "this is no transaction").unwrap();
    for (file, said) in [
        (
            "cut.bin",
            format!(
                "cut.bin: not a transaction: body at byte {}: truncated",
                length + 4
            ),
        ),
        (
            "text",
            "text: not a transaction: body at byte 0: ".to_owned(),
        ),
        (
            "own.toml",
            "own.toml: not a transaction: body at byte 0: ".to_owned(),
        ),
    ] {
        let refused = run(folder, &produce(&["a.bin", file]));
        assert_eq!(
            (refused.code, &refused.json["reason"]),
            (3, &"malformed".into())
        );
        assert!(refused.stderr.contains(&said), "{}", refused.stderr);
    }
    let future = [
        "produce", "a.bin", "--store", OWN, "--key", "hub.pem", "--at",
    ];
    let refused = run(folder, &[&future[..], &["9000-01-01T00:00:00Z"]].concat());
    assert_eq!(
        (refused.code, &refused.json["reason"]),
        (3, &"timestamp".into())
    );
    assert_eq!(head(folder)["height"], 0);
}

/// The program that makes a transaction lets go of the store before the other can read what it made.
#[test]
fn a_transaction_goes_through_a_pipe_into_a_block_of_the_same_log() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    specification(folder, &["hub"], "", "");
    let store = if cfg!(feature = "log") {
        "log:own"
    } else {
        OWN
    };
    ok(folder, &["init", "--store", store, "--spec", "own.toml"]);
    for height in 1..6 {
        let more = ["--store", store];
        // For people, so that standard output has the bytes.
        let args = message(folder, "alice", "alice.pem", &more);
        let mut making = Command::new(env!("CARGO_BIN_EXE_hubledger"))
            .args(args)
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let produce = [
            "produce", "-", "--store", store, "--key", "hub.pem", "--at", THEN,
        ];
        let made = program(folder, &produce)
            .stdin(making.stdout.take().unwrap())
            .output()
            .unwrap();
        let making = making.wait_with_output().unwrap();
        assert!(making.status.success(), "{making:?}");
        assert!(made.status.success(), "{made:?}");
        let block: Value = serde_json::from_slice(&made.stdout).unwrap();
        assert_eq!(
            (&block["height"], &block["transactions"]),
            (&height.into(), &1.into())
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_signal_while_transactions_are_waited_for_leaves_the_chain_as_it_was() {
    let folder = own_chain("");
    let folder = folder.path();
    let mut child = program(folder, &produce(&["-"]))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    // Bit 14 of the signals that the process takes is SIGTERM.
    let takes_signals = || {
        let status = fs::read_to_string(&status).unwrap();
        let caught = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:"))
            .unwrap();
        u64::from_str_radix(caught.trim(), 16).unwrap() & 1 << 14 != 0
    };
    while !takes_signals() {
        assert_eq!(
            child.try_wait().unwrap(),
            None,
            "it waits for standard input"
        );
        std::thread::yield_now();
    }
    let killed = Command::new("sh")
        .args(["-c", "kill -s TERM \"$0\"", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let stdin = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    assert_eq!(output.status.code(), Some(143), "{output:?}");
    assert_eq!(head(folder)["height"], 0);
}

#[test]
fn a_chain_of_version_2_says_its_sums_and_lets_a_gap_wait() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    specification(folder, &["hub"], "", "");
    let rest = fs::read_to_string(folder.join("own.toml")).unwrap();
    let terms =
        "format = 2\nroot_interval = 0\nnonces = \"consecutive\"\nfinality = { depth = 2 }\n";
    fs::write(folder.join("own.toml"), format!("{terms}{rest}")).unwrap();
    let report = ok(folder, &["spec", "check", "own.toml"]);
    let meaning = &report["meaning"];
    assert_eq!(meaning["root_interval"], "No block commits to the state.");
    let words = "A block is final once 2 blocks come after it.";
    assert_eq!(meaning["finality"], words);
    ok(folder, &["init", "--store", OWN, "--spec", "own.toml"]);
    send(folder, "alice", "1.bin", &[]);
    send(folder, "bob", "3.bin", &["--nonce", "3"]);
    let made = run(folder, &produce(&["1.bin", "3.bin", "--out", "b.hlb"]));
    let left_out = made.json["left_out"].as_array().unwrap();
    assert_eq!(left_out.len(), 1);
    assert_eq!(left_out[0]["reason"], "nonce");
    assert_eq!(left_out[0]["file"], "3.bin");
    let block = ok(folder, &["show", "b.hlb", "--height", "1"]);
    assert_eq!(
        (&block["version"], &block["height"]),
        (&2.into(), &1.into())
    );
    assert_eq!(
        (&block["weight"], &block["transactions_total"]),
        (&1.into(), &1.into())
    );
    assert_eq!(block["members_root"].as_str().unwrap().len(), 64);
    // Of version 1 there is nothing of this.
    let old = own_chain("");
    send(old.path(), "alice", "1.bin", &[]);
    ok(old.path(), &produce(&["1.bin", "--out", "b.hlb"]));
    let block = ok(old.path(), &["show", "b.hlb", "--height", "1"]);
    assert_eq!(block["version"], 1);
    assert_eq!(block.get("weight"), None);
}

#[test]
fn a_chain_goes_on_under_another_specification() {
    let old = own_chain("");
    let folder = old.path();
    send(folder, "alice", "a.bin", &[]);
    let block = ok(folder, &produce(&["a.bin", "--out", "old.hlb"]));
    let encoded = hubledger::spec::ChainSpec::read_toml(&folder.join("own.toml")).unwrap();
    let text = fs::read_to_string(folder.join("own.toml")).unwrap();
    let digits: String = encoded
        .bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let head = block["hash"].as_str().unwrap();
    let url: hubledger_storage::StoreUrl = produce(&[])[2]
        .replace(':', &format!(":{}/", folder.display()))
        .parse()
        .unwrap();
    let reader = hubledger::ledger::ChainReader::open(url.open_read_only().unwrap()).unwrap();
    let pinned = reader.state().unwrap().pinned_root();
    drop(reader);
    let successor = format!(
        "format = 2\nroot_interval = 0\n{text}\n[predecessor]\nspecification = \"{digits}\"\nheight = 1\nhead = \"{head}\"\n\
         state_root = \"{pinned}\"\n"
    );
    fs::write(folder.join("next.toml"), successor).unwrap();
    let new = [
        "import",
        "old.hlb",
        "--store",
        "sqlite:new.db",
        "--spec",
        "next.toml",
    ];
    let imported = ok(folder, &new);
    assert_eq!(imported["head"], block["hash"]);
    let into = ["--store", "sqlite:new.db", "--out", "b.bin"];
    let sent = ok(folder, &message(folder, "alice", "alice.pem", &into));
    assert_eq!(sent["nonce"], 2, "the account went on");
    let mut next = produce(&["b.bin", "--out", "new.hlb"]);
    next[2] = "sqlite:new.db";
    let next = ok(folder, &next);
    assert_eq!(next["height"], 2);
    let shown = ok(folder, &["show", "new.hlb", "--height", "2"]);
    assert_eq!(
        (&shown["version"], &shown["previous_hash"]),
        (&2.into(), &block["hash"])
    );
    let verified = ok(folder, &["verify", "--store", "sqlite:new.db"]);
    assert_eq!(verified["blocks"], 3);
    // What is of neither chain is refused, and so is the new one's where the old one is asked for.
    let other = [
        "import",
        "new.hlb",
        "--store",
        "sqlite:third.db",
        "--spec",
        "own.toml",
    ];
    let refused = run(folder, &other);
    assert_eq!(
        (refused.code, &refused.json["reason"]),
        (3, &"chain".into())
    );
}
