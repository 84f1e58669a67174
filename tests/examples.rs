//! Every example runs and ends well, as its documentation says it is run.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where cargo puts the program of an example: beside the folder of the tests' own programs.
fn program(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let profile = tests.ancestors().nth(2).unwrap();
    profile
        .join("examples")
        .join(name)
        .with_extension(std::env::consts::EXE_EXTENSION)
}

fn run(name: &str, arguments: &[&str]) -> String {
    let program = program(name);
    assert!(
        program.exists(),
        "{} is missing: build it with `cargo build --examples`",
        program.display()
    );
    let output = Command::new(program).args(arguments).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_example_is_run_by_a_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let names: BTreeSet<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension().is_some_and(|extension| extension == "rs")
                || path.join("main.rs").exists()
        })
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let run = [
        "embed",
        "fork",
        "key_rotation",
        "ledger",
        "light_client",
        "readme",
        "search",
    ];
    assert_eq!(names, run.map(str::to_owned).into());
}

#[test]
fn two_hubs_come_to_one_branch() {
    let told = run("fork", &[]);
    for part in [
        "one: block 2 went",
        "both hubs agree at height 3",
        "the message waits again",
        "other: block 7 came",
        "other: the message: Committed { height: 4, index: 0, is_final: true }",
    ] {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }
}

#[test]
fn a_hub_admits_produces_proves_and_is_followed() {
    let told = run("embed", &[]);
    for part in [
        "waits for a block",
        "a replay is refused: nonce",
        "prove it at height 1",
        "followed to block 1",
        "closed at height 1",
    ] {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }
}

#[test]
#[cfg(feature = "log")]
fn a_hub_goes_on_where_it_was_left() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("log:{}", folder.path().join("hub").display());
    assert!(run("embed", &[&url]).contains("at height 0"));
    let told = run("embed", &[&url]);
    assert!(
        told.contains("at height 1") && told.contains("closed at height 2"),
        "{told}"
    );
}

#[test]
fn a_ledger_takes_blocks_one_by_one_and_finds_a_flipped_bit() {
    let told = run("ledger", &[]);
    assert!(told.contains("block 3 is valid"), "{told}");
    assert!(told.contains("a flipped bit is found"), "{told}");
}

#[test]
fn a_light_client_believes_headers_and_proofs_and_nothing_else() {
    let told = run("light_client", &[]);
    assert!(told.contains("at height 3"), "{told}");
    assert!(told.contains("is in the chain"), "{told}");
    assert!(told.contains("a foreign seal is refused: seal"), "{told}");
}

#[test]
fn a_federation_changes_keys_and_parameters_and_each_step_is_proved() {
    let told = run("key_rotation", &[]);
    for part in [
        "height 7: the old key is refused",
        "height 7: harbour's key is lost",
        "height 13: the first block by harbour",
        "height 14: ferry leaves",
        "harbour never had other keys",
        "ferry left, and holds 500",
        "nobody is registered as pirate",
        "from 13 on blocks come every 5 s, by hub-1, hub-2, harbour",
    ] {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }
}

#[test]
#[cfg(feature = "log")]
fn a_search_sees_each_block_once_over_two_runs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    assert!(run("search", &[folder]).contains("2 messages have the word"));
    let told = run("search", &[folder]);
    assert!(told.contains("known after block Some(3)"), "{told}");
    assert!(told.contains("4 messages have the word"), "{told}");
}

#[test]
fn the_program_in_the_readme_is_an_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = fs::read_to_string(root.join("examples/readme.rs")).unwrap();
    let (_, program) = example.split_once("\n\n").unwrap();
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    assert!(
        readme.contains(&format!("```rust\n{program}```")),
        "examples/readme.rs and README.md differ"
    );
    run("readme", &[]);
}
