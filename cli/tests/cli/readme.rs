//! What the README tells a newcomer to type, typed.
#![cfg(all(unix, feature = "log"))]

use std::path::Path;
use std::process::Command;

const README: &str = include_str!("../../../README.md");
const HEADING: &str = "## A chain of one's own";

/// The blocks of shell commands of the section.
fn commands() -> String {
    let (_, section) = README.split_once(HEADING).expect("the section is there");
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```").skip(1).step_by(2);
    let shell = blocks.filter_map(|block| block.strip_prefix("sh\n"));
    shell.collect::<Vec<_>>().concat()
}

#[test]
fn a_chain_of_ones_own_is_made_as_the_readme_says() {
    let folder = tempfile::tempdir().unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_hubledger"));
    let path = format!(
        "{}:{}",
        binary.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let commands = commands();
    for word in [
        "keygen",
        "spec check",
        "init",
        "tx",
        "produce",
        "get",
        "prove",
        "verify-proof",
    ] {
        assert!(commands.contains(&format!("hubledger {word} ")), "{word}");
    }
    let output = Command::new("bash")
        .args(["-eu", "-o", "pipefail", "-c", &commands])
        .current_dir(folder.path())
        .env("PATH", path)
        .output()
        .unwrap();
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(
        stdout
            .trim_end()
            .lines()
            .any(|line| line == "verdict: valid"),
        "{stdout}"
    );
    // Each command did what it was for: the head is block 2, and the proof is about Alice's first transaction.
    let last = &stdout[stdout.rfind("verdict: valid").unwrap()..];
    assert!(last.contains("height: 1\n"), "{last}");
}
