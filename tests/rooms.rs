//! The rooms of the house: which may use which. A room is a folder or file directly below `src`; arrows go one way only, so
//! that there is no circle of files across rooms either.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each room with the rooms that it may use, besides those that they may use themselves.
const ROOMS: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("format", &["clock"]),
    ("state", &["format"]),
    ("consensus", &["state"]),
    ("transition", &["consensus"]),
    ("rules", &["transition"]),
    ("tree", &["rules"]),
    ("pool", &["rules"]),
    ("ledger", &["line", "tree"]),
    ("line", &[]),
    ("engine", &["ledger", "pool"]),
    ("generate", &["rules"]),
    ("testing", &["engine", "generate"]),
];

/// Files of tests that use a room besides.
const TESTS: &[(&str, &str)] = &[
    ("engine/recent.rs", "testing"),
    ("engine/walk.rs", "generate"),
    ("rules/claims.rs", "testing"),
];

/// The modules of `format` that have a name in the root too; inside of the library they are called by their place.
const IN_FORMAT: &[&str] = &[
    "blockfile",
    "codec",
    "digest",
    "evidence",
    "merkle",
    "model",
    "original",
    "payload",
    "proof",
    "rejection",
    "signature",
    "sparse",
    "spec",
    "vote",
];

/// The packages of the workspace with those that each may depend on, tests aside.
const PACKAGES: &[(&str, &[&str])] = &[
    ("signatures", &[]),
    ("storage-backends", &[]),
    (".", &["hubledger-signatures", "hubledger-storage"]),
    ("mpreg", &["hubledger", "hubledger-storage"]),
    ("services", &["hubledger", "hubledger-storage"]),
    (
        "cli",
        &[
            "hubledger",
            "hubledger-mpreg",
            "hubledger-services",
            "hubledger-storage",
        ],
    ),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The room of a file, by its path below `src`.
fn room_of(path: &Path) -> String {
    let first = path.components().next().unwrap().as_os_str();
    first.to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// The names that directly follow `crate::` in code, those in braces included. Comments are for people: they may point
/// anywhere.
fn used(text: &str) -> BTreeSet<String> {
    let code: String = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join(" ");
    let mut names = BTreeSet::new();
    for (at, matched) in code.match_indices("crate::") {
        // `$crate::` and `some_crate::` are others.
        let before = code[..at].chars().next_back();
        if before.is_some_and(|before| before.is_alphanumeric() || before == '_') {
            continue;
        }
        let rest = code[at + matched.len()..].trim_start();
        match rest.strip_prefix('{') {
            Some(list) => names.extend(heads(list)),
            None => names.extend(name(rest)),
        }
    }
    names
}

/// The first name of each item of a list in braces, of which the opening one is gone.
fn heads(list: &str) -> Vec<String> {
    let (mut depth, mut found, mut start) = (0, Vec::new(), 0);
    for (at, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' | ',' if depth == 0 => {
                found.extend(name(list[start..at].trim()));
                start = at + 1;
                if letter == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    found
}

fn name(text: &str) -> Option<String> {
    let end = text
        .find(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// Everything that a room may use, directly or through others.
fn allowed(room: &str) -> BTreeSet<&'static str> {
    let rooms: BTreeMap<_, _> = ROOMS.iter().copied().collect();
    let (mut reached, mut ahead) = (BTreeSet::new(), vec![room]);
    while let Some(next) = ahead.pop() {
        for &below in rooms[next] {
            if reached.insert(below) {
                ahead.push(below);
            }
        }
    }
    reached
}

#[test]
fn every_room_is_listed_and_none_uses_itself_through_others() {
    let listed: BTreeSet<_> = ROOMS.iter().map(|(room, _)| (*room).to_owned()).collect();
    let mut found = Vec::new();
    sources(&root().join("src"), &mut found);
    let found: BTreeSet<_> = found
        .iter()
        .map(|path| room_of(path.strip_prefix(root().join("src")).unwrap()))
        .filter(|room| room != "lib")
        .collect();
    assert_eq!(found, listed);
    for (room, _) in ROOMS {
        assert!(!allowed(room).contains(room), "{room} uses itself");
    }
}

#[test]
fn arrows_between_rooms_go_one_way() {
    let source = root().join("src");
    let mut files = Vec::new();
    sources(&source, &mut files);
    let mut wrong = Vec::new();
    for path in files {
        let file = path.strip_prefix(&source).unwrap();
        let room = room_of(file);
        if room == "lib" {
            continue;
        }
        let may = allowed(&room);
        for target in used(&fs::read_to_string(&path).unwrap()) {
            let is_room = ROOMS.iter().any(|(listed, _)| *listed == target);
            if IN_FORMAT.contains(&target.as_str()) {
                wrong.push(format!(
                    "{}: crate::{target} is crate::format::{target}",
                    file.display()
                ));
            } else if TESTS.contains(&(&*file.to_string_lossy(), &*target)) {
                // Its room doesn't.
            } else if is_room && target != room && !may.contains(target.as_str()) {
                wrong.push(format!("{}: {room} must not use {target}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where the kinds of consensus have names: their parameters, what they do, and whoever makes up a chain of its own.
const KNOW_KINDS: &[&str] = &["format/spec", "consensus", "generate.rs", "testing"];

#[test]
fn only_the_specification_and_consensus_know_the_kinds_of_consensus() {
    let source = root().join("src");
    let mut files = Vec::new();
    sources(&source, &mut files);
    let mut wrong = Vec::new();
    for path in files {
        let file = path.strip_prefix(&source).unwrap();
        if KNOW_KINDS.iter().any(|known| file.starts_with(known)) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        if text.contains("Consensus::ProofOf") || text.contains("ProofOfAuthority") {
            wrong.push(file.display().to_string());
        }
    }
    assert!(wrong.is_empty(), "ask `consensus` instead: {wrong:?}");
}

#[test]
fn arrows_between_packages_go_one_way() {
    for (folder, may) in PACKAGES {
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let depends = manifest["dependencies"].as_table().unwrap();
        for package in depends.keys().filter(|name| name.starts_with("hubledger")) {
            assert!(
                may.contains(&package.as_str()),
                "{folder} must not depend on {package}"
            );
        }
    }
}

#[test]
fn uses_are_found_in_every_form() {
    let text = "use crate::one::{a, b};\nuse crate::{two, three::{x, y}, four};\n// crate::no\n\
                fn f() -> crate::five::T { other_crate::no(); $crate::six::x!() } /* */ crate::seven";
    let names: Vec<String> = used(text).into_iter().collect();
    assert_eq!(
        names,
        ["five", "four", "one", "seven", "six", "three", "two"]
    );
}
