//! Every example runs and ends well, and prints what it is there to show.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The examples, each with something that it prints.
const EXAMPLES: &[(&str, &str)] = &[
    ("data_sync", "the block is whole"),
    (
        "gossip_updates",
        "us_east last said of its load: {\"queue\":1}",
    ),
    ("message_queue", "dead letter 1"),
    ("federation_bootstrap", "asia_pacific"),
    ("hub_registry", "rebuilt from the chain: the same"),
    ("node_join", "stake 1000"),
    (
        "message_routing",
        "the message arrived at node_bob after 3 hops",
    ),
];

/// Where cargo puts the program of an example: beside the folder of the tests' own programs.
fn program(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let profile = tests.ancestors().nth(2).unwrap();
    profile
        .join("examples")
        .join(name)
        .with_extension(std::env::consts::EXE_EXTENSION)
}

#[test]
fn every_example_shows_what_it_is_there_for() {
    for (name, shown) in EXAMPLES {
        let output = Command::new(program(name)).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {told}");
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(printed.contains(shown), "{name}: {printed}");
    }
}

#[test]
fn every_example_is_listed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = fs::read_dir(folder).into_iter().flatten();
    let found: BTreeSet<String> = files
        .map(|entry| entry.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let listed = EXAMPLES
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    assert_eq!(found, listed);
}
