//! What the README tells a newcomer to type, typed.
#![cfg(all(unix, feature = "log"))]

use std::path::Path;
use std::process::Command;

const README: &str = include_str!("../../../README.md");

/// The blocks of shell commands of the section under a heading.
fn commands(heading: &str) -> String {
    let (_, section) = README.split_once(heading).expect("the section is there");
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```").skip(1).step_by(2);
    let shell = blocks.filter_map(|block| block.strip_prefix("sh\n"));
    shell.collect::<Vec<_>>().concat()
}

/// What the commands print that a section tells to type, each of these words among them.
fn typed(heading: &str, words: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_hubledger"));
    let path = format!(
        "{}:{}",
        binary.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let commands = commands(heading);
    for word in words {
        assert!(commands.contains(&format!("hubledger {word} ")), "{word}");
    }
    let output = Command::new("bash")
        .args(["-eu", "-o", "pipefail", "-c", &commands])
        .current_dir(folder.path())
        .env("PATH", path)
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    stdout
}

#[test]
fn a_chain_of_ones_own_is_made_as_the_readme_says() {
    let words = [
        "keygen",
        "spec check",
        "init",
        "tx",
        "produce",
        "get",
        "prove",
        "verify-proof",
    ];
    let stdout = typed("## A chain of one's own", &words);
    // Each command did what it was for: the head is block 2, and the proof is about Alice's first transaction.
    let last = &stdout[stdout.rfind("verdict: valid").unwrap()..];
    assert!(last.contains("height: 1\n"), "{last}");
}

#[test]
fn keys_and_parameters_change_as_the_readme_says() {
    let words = [
        "keys register",
        "keys rotate",
        "keys revoke",
        "keys recover",
        "keys show",
        "params propose",
        "params approve",
        "params show",
        "verify-proof",
    ];
    let stdout = typed("## Keys and parameters that change", &words);
    let proofs: Vec<&str> = stdout.split("\nblock: ").skip(1).collect();
    let [keys, fee] = proofs[..] else {
        panic!("two proofs are verified: {stdout}");
    };
    for part in ["name: alice\n", "number: 0\n", "from: 1\n", "until: 4\n"] {
        assert!(keys.contains(part), "{part:?} is not in {keys}");
    }
    for part in ["parameter: fee_min\n", "from: 8\n", "value: 5\n"] {
        assert!(fee.contains(part), "{part:?} is not in {fee}");
    }
    assert_eq!(stdout.matches("verdict: valid\n").count(), 2);
}

#[test]
fn stakes_make_members_as_the_readme_says() {
    let words = [
        "stake put",
        "stake delegate",
        "stake release",
        "members",
        "stake show",
    ];
    let stdout = typed("## Members by what they put up", &words);
    // Alice is a member with what she and Bob have behind her; what he takes back counts up to height 7.
    let members = &stdout[stdout.rfind("at: 5\n").unwrap()..];
    for part in [
        "weight: 540\n",
        "name: alice\n",
        "weight: 360\n",
        "paid_out_from: 127\n",
    ] {
        assert!(members.contains(part), "{part:?} is not in {members}");
    }
}

#[test]
fn a_fault_is_found_punished_and_seen_by_a_light_client_as_the_readme_says() {
    let words = [
        "export",
        "fork offer",
        "evidence make",
        "evidence show",
        "evidence submit",
        "evidence list",
        "stake show",
        "light headers",
        "light follow",
        "verify-proof",
    ];
    let stdout = typed("## A fault, and who sees it", &words);
    for part in [
        "fault: double_proposal\n",
        "member: hub-2\n",
        "cost: 40\n",
        "tokens: 760\n",
    ] {
        assert!(stdout.contains(part), "{part:?} is not in {stdout}");
    }
    let last = &stdout[stdout.rfind("row: conviction").unwrap()..];
    assert!(last.contains("verdict: valid\n"), "{last}");
}
