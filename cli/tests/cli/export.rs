//! `export`, and `fork offer`, by which others take in what it wrote.

use std::fs;

use serde_json::{Value, json};

use crate::support::{generate, ok, program, run};

/// A folder with the store `sqlite:s.db` of five blocks behind genesis.
fn stored() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), "a.hlb", 50, 10);
    ok(
        folder.path(),
        &["import", "a.hlb", "--store", "sqlite:s.db"],
    );
    folder
}

fn export<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["export", "--store", "sqlite:s.db"][..], more].concat()
}

#[test]
fn what_was_imported_is_exported_byte_for_byte() {
    let folder = stored();
    let folder = folder.path();
    let report = ok(folder, &export(&["--out", "b.hlb"]));
    assert_eq!((&report["from"], &report["to"]), (&json!(1), &json!(5)));
    assert_eq!(report["transactions"], 50);
    let (given, written) = (
        fs::read(folder.join("a.hlb")),
        fs::read(folder.join("b.hlb")),
    );
    assert_eq!(given.unwrap(), written.unwrap());
    let piped = program(folder, &export(&["--out", "-"])).output().unwrap();
    assert_eq!(piped.stdout, fs::read(folder.join("a.hlb")).unwrap());
}

#[test]
fn a_part_of_a_chain_is_exported_and_what_isnt_there_is_not() {
    let folder = stored();
    let folder = folder.path();
    ok(
        folder,
        &export(&["--from", "2", "--to", "3", "--out", "part.hlb"]),
    );
    let shown = ok(folder, &["show", "part.hlb"]);
    let heights: Vec<&Value> = shown["blocks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["height"])
        .collect();
    assert_eq!(heights, [2, 3]);
    for range in [["--from", "4", "--to", "6"], ["--from", "3", "--to", "2"]] {
        let refused = run(
            folder,
            &export(&[&range[..], &["--out", "none.hlb"]].concat()),
        );
        assert_eq!(refused.code, 1);
        assert!(
            refused.stderr.contains("the last is 5"),
            "{}",
            refused.stderr
        );
    }
    let taken = run(folder, &export(&["--out", "a.hlb"]));
    assert_eq!((taken.code, taken.stderr.contains("exists")), (1, true));
    assert!(!folder.join("none.hlb").exists());
}

#[test]
fn blocks_are_offered_before_those_that_they_follow() {
    let folder = stored();
    let folder = folder.path();
    for (from, to, file) in [("1", "3", "first.hlb"), ("4", "5", "then.hlb")] {
        ok(
            folder,
            &export(&["--from", from, "--to", to, "--out", file]),
        );
    }
    ok(
        folder,
        &[
            "export",
            "--store",
            "sqlite:s.db",
            "--to",
            "1",
            "--out",
            "one.hlb",
        ],
    );
    let imported = ["import", "one.hlb", "--store", "sqlite:t.db"];
    ok(folder, &imported);
    let offer = ["fork", "offer", "then.hlb", "first.hlb"];
    let offered = ok(folder, &[&offer[..], &["--store", "sqlite:t.db"]].concat());
    assert_eq!(
        (&offered["offered"], &offered["best"]["height"]),
        (&json!(4), &json!(5))
    );
    assert_eq!(offered["orphans"], 0);
}

#[test]
fn a_file_of_another_chain_or_a_damaged_one_is_refused_with_its_place() {
    let folder = stored();
    let folder = folder.path();
    let other = [
        "generate",
        "--transactions",
        "1",
        "--seed",
        "9",
        "--out",
        "other.hlb",
    ];
    ok(folder, &other);
    let offer = |file: &str| run(folder, &["fork", "offer", file, "--store", "sqlite:s.db"]);
    let foreign = offer("other.hlb");
    assert_eq!(
        (foreign.code, &foreign.json["reason"]),
        (3, &json!("chain"))
    );
    let whole = fs::read(folder.join("a.hlb")).unwrap();
    fs::write(folder.join("short.hlb"), &whole[..whole.len() - 1]).unwrap();
    let short = offer("short.hlb");
    assert_eq!(short.code, 1);
    assert!(
        short.stderr.contains("short.hlb: byte "),
        "{}",
        short.stderr
    );
    assert_eq!(offer("absent.hlb").code, 1);
}
