//! `fork new`: a new chain from a height of one, in a store of its own.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use serde_json::Value;

use crate::support::{OWN, THEN, generate, ok, own_chain, produce, program, run, send};

/// A chain of three blocks with a message each; gives the messages' ids.
fn three_blocks() -> (tempfile::TempDir, Vec<String>) {
    let folder = own_chain("");
    let ids = ["alice", "bob", "carol"].map(|sender| {
        let file = format!("{sender}.bin");
        let made = send(folder.path(), sender, &file, &[]);
        ok(folder.path(), &produce(&[&file]));
        made["id"].as_str().unwrap().to_owned()
    });
    (folder, ids.to_vec())
}

fn fork<'a>(at: &'a str, to: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let fork = ["fork", "new", "--store", OWN, "--at", at, "--to", to];
    [&fork[..], more].concat()
}

fn head(folder: &Path, store: &str) -> Value {
    ok(folder, &["get", "--store", store, "--head"])["hash"].clone()
}

fn empty_block(store: &str) -> Vec<&str> {
    let made = ["produce", "--allow-empty", "--key", "hub.pem", "--at", THEN];
    [&made[..], &["--store", store]].concat()
}

#[test]
fn a_new_chain_goes_on_by_itself_and_proves_what_came_before() {
    let (folder, ids) = three_blocks();
    let folder = folder.path();
    let shared = ok(folder, &["get", "--store", OWN, "--block", "2"])["hash"].clone();
    for to in ["log:east", "sqlite:east.db"] {
        let out = format!("{}.toml", &to[..3]);
        let made = ok(folder, &fork("2", to, &["--name", "east", "--out", &out]));
        assert_eq!(
            (&made["name"], &made["blocks"]),
            (&"east".into(), &3.into())
        );
        assert_eq!(made["goes_on_from"]["head"], shared);
        assert_eq!(head(folder, to), shared);
        let stats = ok(folder, &["stats", "--store", to]);
        assert_eq!(
            (&stats["chain"], &stats["name"]),
            (&made["chain"], &"east".into())
        );
        ok(folder, &empty_block(to));
        let now = head(folder, to);
        let now = now.as_str().unwrap();
        for id in &ids[..2] {
            let proof = format!("{}-{}.proof", &to[..3], &id[..8]);
            ok(
                folder,
                &["prove", "--store", to, "--tx", id, "--out", &proof],
            );
            ok(folder, &["verify-proof", &proof, "--head", now, "--tx", id]);
        }
        let above = run(folder, &["get", "--store", to, "--tx", &ids[2]]);
        assert_eq!(above.code, 1);
        assert_eq!(ok(folder, &["verify", "--store", to])["verdict"], "valid");
        assert_eq!(ok(folder, &["check", "--store", to])["sound"], true);
    }
    // Another hub of the new chain makes it from what the first one wrote.
    let again = ok(folder, &fork("2", "log:second", &["--spec", "log.toml"]));
    let first = ok(folder, &["stats", "--store", "log:east"]);
    assert_eq!(again["chain"], first["chain"]);
    // The two chains are none of each other's business.
    let apart = run(
        folder,
        &["fork", "resolve", "--store", "log:east", "--from", OWN],
    );
    assert_eq!(apart.code, 1, "{}", apart.stderr);
    assert_eq!(
        head(folder, OWN),
        ok(folder, &["get", "--store", OWN, "--block", "3"])["hash"]
    );
}

#[test]
fn what_can_not_be_forked_is_refused_by_name_and_nothing_is_created() {
    let (folder, _) = three_blocks();
    let folder = folder.path();
    ok(
        folder,
        &fork("1", "log:one", &["--name", "one", "--out", "one.toml"]),
    );
    fs::write(folder.join("bad.toml"), "format = 3\n").unwrap();
    let long = "n".repeat(1025);
    for (args, expected) in [
        (
            fork("4", "log:new", &[]),
            "the chain ends at block 3, below block 4",
        ),
        (
            fork("2", "log:new", &["--spec", "one.toml"]),
            "one.toml: the specification goes on from block 1, not from block 2",
        ),
        (
            fork("2", "log:new", &["--spec", "bad.toml"]),
            "format 3 is not known",
        ),
        (fork("2", "log:new", &["--spec", "none.toml"]), "none.toml"),
        (fork("2", "log:new", &["--name", &long]), "name"),
        (
            fork("2", "log:new", &["--out", "one.toml"]),
            "one.toml is there already",
        ),
        (fork("2", OWN, &[]), "can't be copied to itself"),
        (
            fork("1", "log:one", &["--name", "one"]),
            "the target store is not empty",
        ),
    ] {
        let refused = run(folder, &args);
        assert_eq!(refused.code, 1, "{args:?}");
        assert!(
            refused.stderr.contains(expected),
            "{args:?}: {}",
            refused.stderr
        );
        assert!(!folder.join("new").exists(), "{args:?}");
    }
    let both = fork("2", "log:new", &["--name", "a", "--spec", "one.toml"]);
    assert_eq!(run(folder, &both).code, 2);
    ok(folder, &["prune", "--store", OWN, "--keep", "1"]);
    let pruned = run(folder, &fork("1", "log:new", &[]));
    assert_eq!(pruned.code, 1);
    assert!(
        pruned.stderr.contains("bodies were pruned below block 3"),
        "{}",
        pruned.stderr
    );
    assert!(!folder.join("new").exists());
    // At the tip the stored state is at hand.
    let made = ok(folder, &fork("3", "log:new", &["--name", "late"]));
    assert_eq!((&made["floor"], &made["blocks"]), (&3.into(), &4.into()));
    ok(folder, &empty_block("log:new"));
    assert_eq!(
        ok(folder, &["verify", "--store", "log:new"])["verdict"],
        "valid"
    );
}

#[test]
fn a_fork_that_is_killed_is_no_chain_or_a_whole_one_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    generate(folder, "a.hlb", 20_000, 10);
    ok(folder, &["import", "a.hlb", "--store", "log:a"]);
    let args = [
        "fork", "new", "--store", "log:a", "--at", "1500", "--to", "log:b", "--name", "b",
    ];
    let started = Instant::now();
    let expected = ok(folder, &args);
    let whole = started.elapsed();
    let (mut cut, mut resumed) = (0, 0);
    for round in 0..10 {
        fs::remove_dir_all(folder.join("b")).unwrap();
        let mut child = program(folder, &args);
        let child = child.stdout(Stdio::null()).stderr(Stdio::null());
        let (started, mut child) = (Instant::now(), child.spawn().unwrap());
        while started.elapsed() < whole * round / 10 && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let stats = run(folder, &["stats", "--store", "log:b"]);
        if stats.code == 0 {
            assert_eq!(stats.json["chain"], expected["chain"]);
            continue;
        }
        cut += 1;
        // No other copy goes on with what is there.
        if stats.stderr.contains("incomplete copy") {
            let other = run(folder, &["migrate", "--from", "log:a", "--to", "log:b"]);
            assert!(
                other.stderr.contains("new chain from block 1500"),
                "{}",
                other.stderr
            );
        }
        let made = ok(folder, &args);
        assert_eq!(made["chain"], expected["chain"]);
        resumed += u64::from(made["resumed_at"].as_u64().unwrap() > 0);
        assert_eq!(
            ok(folder, &["verify", "--store", "log:b"])["verdict"],
            "valid"
        );
    }
    assert!(cut > 0 && resumed > 0, "{cut} {resumed}");
}
