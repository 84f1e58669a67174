//! The state in the tables of a store: damaged, told, repaired, copied.

use std::fs;
use std::path::Path;

use crate::support::{OWN, ok, produce, run, send, specification_2};

/// A folder with a chain of version 2, in which two blocks were made.
fn chain() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    specification_2(path, &["hub"], "", "");
    ok(path, &["init", "--store", OWN, "--spec", "own.toml"]);
    for sender in ["alice", "bob"] {
        let file = format!("{sender}.bin");
        send(path, sender, &file, &[]);
        ok(path, &produce(&[&file]));
    }
    folder
}

/// Flips a bit wherever the tip of the state is in the file of the store.
fn damage_tip(folder: &Path) {
    let file = folder.join("own.db");
    let mut bytes = fs::read(&file).unwrap();
    let magic = b"HLSTTIP2";
    let found = bytes.windows(magic.len()).enumerate();
    let places: Vec<usize> = found
        .filter(|(_, window)| window == magic)
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty(), "the state is in tables");
    places.iter().for_each(|at| bytes[*at] ^= 1);
    fs::write(&file, bytes).unwrap();
}

#[test]
fn a_damaged_state_is_told_and_a_repair_has_it_worked_out_again() {
    let folder = chain();
    let folder = folder.path();
    assert_eq!(ok(folder, &["check", "--store", OWN])["sound"], true);
    damage_tip(folder);
    let told = run(folder, &["check", "--store", OWN]);
    assert_eq!((told.code, &told.json["sound"]), (4, &false.into()));
    let repaired = ok(folder, &["check", "--store", OWN, "--repair"]);
    assert_eq!(repaired["sound"], true);
    assert_eq!(repaired["chain"]["verdict"], "valid");
    assert!(repaired["state"]["removed"].is_string(), "{repaired}");
    // It is there again once somebody writes.
    send(folder, "carol", "carol.bin", &[]);
    ok(folder, &produce(&["carol.bin"]));
    let copied = ok(folder, &["backup", "--store", OWN, "--to", "log:copy"]);
    assert!(copied["rows"].as_u64().unwrap() >= 2, "{copied}");
    assert_eq!(copied["equal"]["rows"], copied["rows"]);
    assert_eq!(ok(folder, &["check", "--store", "log:copy"])["sound"], true);
}

#[test]
fn a_salvage_leaves_a_damaged_state_and_says_so() {
    let folder = chain();
    let folder = folder.path();
    damage_tip(folder);
    let to = ["--to", "log:copy", "--skip-damaged"];
    let saved = run(folder, &[&["migrate", "--from", OWN][..], &to].concat());
    assert_eq!(saved.code, 4, "{} {}", saved.json, saved.stderr);
    assert_eq!(saved.json["missing_sets"], serde_json::json!(["state"]));
    assert_eq!(
        (&saved.json["blocks"], &saved.json["rows"]),
        (&3.into(), &0.into())
    );
    assert!(saved.stderr.contains("left: the table sets state"));
    assert_eq!(ok(folder, &["check", "--store", "log:copy"])["sound"], true);
}
