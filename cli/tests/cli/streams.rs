//! Standard output and standard error that lead nowhere.
#![cfg(target_os = "linux")]

use std::fs::File;
use std::process::Stdio;

use crate::support::{generate, program};

/// The writing end of a pipe that nobody reads.
fn unread() -> Stdio {
    let (_, writer) = std::io::pipe().unwrap();
    writer.into()
}

fn full() -> Stdio {
    File::options()
        .write(true)
        .open("/dev/full")
        .unwrap()
        .into()
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        &["generate", "--transactions", "5", "--out", "a.hlb"][..],
        &["completions", "bash"],
    ] {
        let run = program(folder.path(), args).stdout(full()).output();
        let run = run.unwrap();
        let stderr = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(1), "{args:?}: {stderr}");
        assert!(stderr.starts_with("error: standard output: "), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    assert!(
        folder.path().join("a.hlb").exists(),
        "it was done all the same"
    );
}

#[test]
fn a_reader_of_standard_output_that_went_away_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        &["generate", "--transactions", "5", "--out", "a.hlb"][..],
        &["completions", "zsh"],
    ] {
        let run = program(folder.path(), args).stdout(unread()).output();
        let run = run.unwrap();
        assert_eq!(run.status.code(), Some(0), "{args:?}");
        assert_eq!(String::from_utf8(run.stderr).unwrap(), "");
    }
}

#[test]
fn a_reader_of_standard_error_that_went_away_leaves_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let missing = &["verify", "--store", "sqlite:missing.db"];
    for nowhere in [unread(), full()] {
        let run = program(folder.path(), missing).stderr(nowhere).output();
        let run = run.unwrap();
        assert_eq!(run.status.code(), Some(1));
        let stdout = String::from_utf8(run.stdout).unwrap();
        assert!(stdout.contains("missing.db"), "{stdout}");
    }
}

#[test]
fn a_block_file_can_go_to_standard_output_with_the_report_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let made = generate(folder.path(), "a.hlb", 50, 10);
    let args = [
        "generate",
        "--transactions",
        "50",
        "--per-block",
        "10",
        "--out",
        "-",
    ];
    let run = program(folder.path(), &args).output().unwrap();
    assert_eq!(run.status.code(), Some(0));
    let written = std::fs::read(folder.path().join("a.hlb")).unwrap();
    assert!(run.stdout == written, "{} bytes", run.stdout.len());
    let report: serde_json::Value = serde_json::from_slice(&run.stderr).unwrap();
    assert_eq!(
        (&report["head"], &report["out"]),
        (&made["head"], &"-".into())
    );
    assert!(!folder.path().join("-").exists());
    // A file that isn't whole is not said to be done, and nothing is put behind the blocks.
    for nowhere in [full(), unread()] {
        let run = program(folder.path(), &args)
            .stdout(nowhere)
            .output()
            .unwrap();
        assert_eq!(run.status.code(), Some(1));
        let stderr = String::from_utf8(run.stderr).unwrap();
        assert!(stderr.starts_with("error: standard output: "), "{stderr}");
    }
}
