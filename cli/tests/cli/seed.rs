//! Members commit and reveal on the command line, and seeds follow from it.

use std::path::Path;

use serde_json::Value;

use crate::support::{ok, run, specification_2};

const STORE: &str = "log:seeded";
const HUBS: [&str; 2] = ["east", "west"];

/// A chain whose two members are drawn by a seed, in epochs of six heights.
fn chain(folder: &Path) {
    let rules = "[rules]\nidentity = \"pinned\"\n";
    specification_2(folder, &HUBS, "", rules);
    let text = std::fs::read_to_string(folder.join("own.toml")).unwrap();
    let text = text.replace(
        "kind = \"proof_of_authority\"\n",
        "kind = \"proof_of_authority\"\nproposer = \"seeded\"\nseed_epoch = 6\n",
    );
    std::fs::write(folder.join("own.toml"), text).unwrap();
    ok(folder, &["init", "--store", STORE, "--spec", "own.toml"]);
}

fn shown(folder: &Path) -> Value {
    ok(folder, &["seed", "show", "--store", STORE])
}

fn said(name: &str, what: &str, file: &str) -> Vec<String> {
    let key = format!("{name}.pem");
    let args = [
        "seed", what, "--sender", name, "--key", &key, "--store", STORE, "--depth", "50", "--out",
        file,
    ];
    args.map(str::to_owned).to_vec()
}

fn refs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

/// The next block, by whoever's turn it is, with what that one adds to the seed: its name, and what it said.
fn step(folder: &Path, number: usize) -> (String, Option<&'static str>) {
    let is_new = |name: &str| {
        let members = shown(folder)["members"].clone();
        let mut members = members.as_array().unwrap().iter();
        members.any(|member| member["name"] == name && member["committed"] == false)
    };
    for name in HUBS {
        let (file, key) = (format!("{number}-{name}.bin"), format!("{name}.pem"));
        let what = match is_new(name) {
            true => Some("commit"),
            false => Some("reveal"),
        };
        let what = what.filter(|what| run(folder, &refs(&said(name, what, &file))).code == 0);
        let mut args = vec!["produce", "--store", STORE, "--key", &key, "--allow-empty"];
        args.extend(what.map(|_| file.as_str()));
        if run(folder, &args).code == 0 {
            return (name.to_owned(), what);
        }
    }
    panic!("block {number} is nobody's");
}

#[test]
fn members_commit_and_reveal_and_the_seed_of_a_later_epoch_is_another() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    chain(folder);
    let begun = shown(folder);
    assert_eq!(
        (&begun["epoch"], &begun["reveals_count"]),
        (&0.into(), &true.into())
    );
    assert_eq!(begun["seeds"][0]["seed"], begun["seeds"][1]["seed"]);
    let mut said = Vec::new();
    for number in 1..=18 {
        said.push(step(folder, number).1);
    }
    let (commits, reveals) = ("commit", "reveal");
    assert!(said[..6].contains(&Some(commits)));
    assert!(said[6..].contains(&Some(reveals)), "{said:?}");
    let now = shown(folder);
    assert_eq!(now["epoch"], 3);
    let seeds = [
        &now["seeds"][0]["seed"],
        &now["seeds"][1]["seed"],
        &begun["seeds"][0]["seed"],
    ];
    assert!(seeds[0] != seeds[1] && seeds[1] != seeds[2]);
    let revealed = |member: &Value| member["last_reveal"].as_u64() > Some(6);
    assert!(now["members"].as_array().unwrap().iter().any(revealed));
    assert_eq!(
        ok(folder, &["verify", "--store", STORE])["verdict"],
        "valid"
    );
}

#[test]
fn what_cannot_be_revealed_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    chain(folder);
    let early = run(folder, &refs(&said("east", "reveal", "early.bin")));
    assert_eq!(early.code, 1);
    assert!(
        early
            .stderr
            .contains("\"east\" can reveal nothing at height 1"),
        "{}",
        early.stderr
    );
    assert!(!folder.join("early.bin").exists());
    let mut stranger = said("east", "commit", "stranger.bin");
    stranger[3] = "stranger".to_owned();
    let stranger = run(folder, &refs(&stranger));
    assert_eq!(stranger.code, 3, "{}", stranger.stderr);
    assert!(stranger.stderr.contains("reveal"), "{}", stranger.stderr);
    crate::support::generate(folder, "a.hlb", 4, 2);
    ok(folder, &["import", "a.hlb", "--store", "log:other"]);
    let other = run(folder, &["seed", "show", "--store", "log:other"]);
    assert_eq!(other.code, 1);
    assert!(other.stderr.contains("no seed chooses"), "{}", other.stderr);
}

#[test]
fn a_chain_with_seeds_is_made_up_with_reveals_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    chain(folder);
    let generate = [
        "generate",
        "--spec",
        "own.toml",
        "--key",
        "east.pem",
        "--key",
        "west.pem",
        "--transactions",
        "120",
        "--per-block",
        "4",
        "--out",
        "made.hlb",
    ];
    ok(folder, &generate);
    ok(folder, &["import", "made.hlb", "--store", "log:made"]);
    let shown = ok(folder, &["seed", "show", "--store", "log:made"]);
    let members = shown["members"].as_array().unwrap().clone();
    assert!(
        members
            .iter()
            .all(|member| member["last_reveal"].as_u64() > Some(6)),
        "{shown}"
    );
}
