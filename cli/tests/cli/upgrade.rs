//! `upgrade`: a store goes on under another specification, and every command goes on with it.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{OWN, ok, own_chain, produce, program, run, send, specification};

/// A message from `sender` in a block of its own; gives the message's id.
fn block(folder: &Path, sender: &str, file: &str) -> String {
    let made = send(folder, sender, file, &[]);
    ok(folder, &produce(&[file]));
    made["id"].as_str().unwrap().to_owned()
}

fn head(folder: &Path, store: &str) -> Value {
    ok(folder, &["get", "--store", store, "--head"])["hash"].clone()
}

#[test]
fn a_chain_of_version_1_goes_on_in_version_2_and_every_command_with_it() {
    let folder = own_chain("");
    let folder = folder.path();
    let old = block(folder, "alice", "a.bin");
    block(folder, "bob", "b.bin");
    let before = head(folder, OWN);
    let dry = ok(folder, &["upgrade", "--store", OWN, "--dry-run"]);
    assert_eq!(
        (&dry["upgraded"], &dry["height"]),
        (&false.into(), &2.into())
    );
    let words = &dry["changes"]["root_interval"];
    assert!(
        words["after"].as_str().unwrap().contains("Every block"),
        "{words}"
    );
    assert_eq!(ok(folder, &["stats", "--store", OWN])["format"], 1);

    let upgrade = ["upgrade", "--store", OWN, "--out", "next.toml"];
    let made = ok(folder, &upgrade);
    assert_eq!(
        (&made["upgraded"], &made["chain"]),
        (&true.into(), &dry["chain"])
    );
    assert_eq!(made["goes_on_from"]["head"], before);
    let stats = ok(folder, &["stats", "--store", OWN]);
    assert_eq!(
        (&stats["format"], &stats["predecessor"]),
        (&2.into(), &made["predecessor"])
    );
    // Again, by itself and with what it wrote: there is nothing to do.
    for more in [&[][..], &["--spec", "next.toml"][..]] {
        let again = run(folder, &[&["upgrade", "--store", OWN], more].concat());
        assert_eq!((again.code, &again.json["upgraded"]), (0, &false.into()));
        assert!(again.stderr.contains("nothing to do"), "{}", again.stderr);
    }

    let new = block(folder, "carol", "c.bin");
    let now = head(folder, OWN);
    for id in [&old, &new] {
        let proof = format!("{}.proof", &id[..8]);
        ok(
            folder,
            &["prove", "--store", OWN, "--tx", id, "--out", &proof],
        );
        ok(
            folder,
            &[
                "verify-proof",
                &proof,
                "--head",
                now.as_str().unwrap(),
                "--tx",
                id,
            ],
        );
    }
    let account = [
        "prove",
        "--store",
        OWN,
        "--account",
        "alice",
        "--out",
        "account.json",
    ];
    ok(folder, &account);
    let extends = [
        "prove",
        "--store",
        OWN,
        "--extends",
        before.as_str().unwrap(),
        "--out",
        "x",
    ];
    ok(folder, &extends);
    let check = [
        "verify-proof",
        "x",
        "--head",
        now.as_str().unwrap(),
        "--extends",
    ];
    ok(folder, &[&check[..], &[before.as_str().unwrap()]].concat());

    ok(folder, &["migrate", "--from", OWN, "--to", "log:moved"]);
    ok(folder, &["backup", "--store", OWN, "--to", "log:backup"]);
    ok(
        folder,
        &["snapshot", "export", "--store", OWN, "--out", "s"],
    );
    let load = [
        "import",
        "--snapshot",
        "s",
        "--store",
        "log:loaded",
        "--head",
    ];
    ok(folder, &[&load[..], &[now.as_str().unwrap()]].concat());
    let prune = [
        "prune",
        "--store",
        OWN,
        "--keep",
        "1",
        "--archive",
        "archive",
    ];
    ok(folder, &prune);
    let restore = [
        "restore",
        "--archive",
        "archive",
        "--then",
        OWN,
        "--store",
        "log:restored",
    ];
    ok(folder, &restore);
    for store in [OWN, "log:moved", "log:backup", "log:loaded", "log:restored"] {
        assert_eq!(head(folder, store), now, "{store}");
        assert_eq!(
            ok(folder, &["verify", "--store", store])["verdict"],
            "valid"
        );
        assert_eq!(ok(folder, &["check", "--store", store])["sound"], true);
        assert_eq!(
            ok(folder, &["stats", "--store", store])["chain"],
            made["chain"]
        );
    }
}

#[test]
fn another_hub_goes_on_by_the_file_of_the_first_one() {
    let folder = own_chain("");
    let folder = folder.path();
    block(folder, "alice", "a.bin");
    ok(folder, &["migrate", "--from", OWN, "--to", "log:other"]);
    // Another authority comes in, and the limits change.
    specification(
        folder,
        &["hub", "next"],
        "",
        "[limits]\npayload_bytes_max = 1000\n",
    );
    let text = fs::read_to_string(folder.join("own.toml")).unwrap();
    fs::write(folder.join("next.toml"), format!("format = 2\n{text}")).unwrap();
    let first = [
        "upgrade",
        "--store",
        OWN,
        "--spec",
        "next.toml",
        "--out",
        "whole.toml",
    ];
    let first = ok(folder, &first);
    let changes = &first["changes"];
    assert!(
        changes["consensus.authorities"]["after"]
            .as_str()
            .unwrap()
            .contains("next")
    );
    assert!(
        changes["limits.payload_bytes_max"]["after"]
            .as_str()
            .unwrap()
            .contains("1000")
    );
    let other = ok(
        folder,
        &["upgrade", "--store", "log:other", "--spec", "whole.toml"],
    );
    assert_eq!(other["chain"], first["chain"]);
    // A hub that holds another block can't go on by it.
    block(folder, "bob", "b.bin");
    specification(folder, &["hub"], "", "");
    ok(
        folder,
        &["init", "--store", "log:young", "--spec", "own.toml"],
    );
    let young = run(
        folder,
        &["upgrade", "--store", "log:young", "--spec", "whole.toml"],
    );
    assert_eq!(young.code, 1);
    assert!(
        young.stderr.contains("import the blocks between first"),
        "{}",
        young.stderr
    );
}

#[test]
fn a_block_file_of_the_earlier_chain_is_held_unless_only_that_chain_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    generate_1(folder, "a.hlb", 600);
    for store in ["log:a", "sqlite:a.db"] {
        ok(folder, &["import", "a.hlb", "--store", store]);
        ok(folder, &["upgrade", "--store", store]);
        let again = ok(folder, &["import", "a.hlb", "--store", store]);
        assert_eq!(
            (&again["imported"], &again["skipped"]),
            (&0.into(), &60.into())
        );
        // What comes after the border by the earlier rules is no block of this chain.
        generate_1(folder, "long.hlb", 700);
        let longer = run(folder, &["import", "long.hlb", "--store", store]);
        assert_eq!(
            (longer.code, &longer.json["reason"]),
            (3, &"version".into())
        );
        assert_eq!(longer.json["height"], 61);
        fs::remove_file(folder.join("long.hlb")).unwrap();
    }
}

/// A block file of version 1, of ten transactions a block.
fn generate_1(folder: &Path, name: &str, transactions: u32) {
    let transactions = transactions.to_string();
    let generate = [
        "generate",
        "--format",
        "1",
        "--per-block",
        "10",
        "--keys",
        "400",
    ];
    let more = ["--transactions", &transactions, "--out", name];
    ok(folder, &[&generate[..], &more].concat());
}

#[test]
fn an_upgrade_that_is_killed_leaves_the_one_specification_or_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    generate_1(folder, "a.hlb", 3000);
    for (store, path) in [("log:k", "k"), ("sqlite:k.db", "k.db")] {
        let (mut formats, mut whole) = ([0, 0], Duration::from_millis(40));
        for round in 0..10 {
            for name in [path, &format!("{path}-wal"), &format!("{path}-shm")] {
                remove(&folder.join(name));
            }
            ok(folder, &["import", "a.hlb", "--store", store]);
            let mut child = program(folder, &["upgrade", "--store", store]);
            let mut child = child
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let (started, delay) = (Instant::now(), whole * round / 10);
            while started.elapsed() < delay && child.try_wait().unwrap().is_none() {
                std::thread::yield_now();
            }
            child.kill().unwrap();
            if child.wait().unwrap().success() {
                whole = whole.min(started.elapsed());
            }
            let stats = ok(folder, &["stats", "--store", store]);
            formats[stats["format"].as_u64().unwrap() as usize - 1] += 1;
            assert_eq!(
                ok(folder, &["verify", "--store", store])["verdict"],
                "valid"
            );
            ok(folder, &["upgrade", "--store", store]);
            assert_eq!(ok(folder, &["stats", "--store", store])["format"], 2);
        }
        assert!(
            formats[0] > 0,
            "{store}: none was killed before its end: {formats:?}"
        );
    }
}

fn remove(path: &Path) {
    match path.is_dir() {
        true => fs::remove_dir_all(path).unwrap(),
        false if path.exists() => fs::remove_file(path).unwrap(),
        false => {}
    }
}

#[test]
fn what_can_not_be_upgraded_is_refused_by_name() {
    let folder = own_chain("");
    let folder = folder.path();
    fs::create_dir(folder.join("empty")).unwrap();
    specification(folder, &["hub"], "", "");
    let text = fs::read_to_string(folder.join("own.toml")).unwrap();
    let later = text.replace("1_700_000_000_000_000", "1_700_000_000_000_001");
    fs::write(folder.join("later.toml"), format!("format = 2\n{later}")).unwrap();
    fs::write(
        folder.join("one.toml"),
        text.replace("\"own\"", "\"other\""),
    )
    .unwrap();
    fs::write(folder.join("no.toml"), "format = 3\n").unwrap();
    for (args, expected) in [
        (&["--store", "sqlite:none.db"][..], "none.db"),
        (&["--store", OWN, "--spec", "later.toml"], "genesis_time"),
        (&["--store", OWN, "--spec", "one.toml"], "format = 2"),
        (
            &["--store", OWN, "--spec", "no.toml"],
            "format 3 is not known",
        ),
        (&["--store", OWN, "--spec", "none.toml"], "none.toml"),
    ] {
        let refused = run(folder, &[&["upgrade"], args].concat());
        assert_eq!(refused.code, 1, "{args:?}");
        assert!(
            refused.stderr.contains(expected),
            "{args:?}: {}",
            refused.stderr
        );
    }
    assert_eq!(ok(folder, &["stats", "--store", OWN])["format"], 1);
}
