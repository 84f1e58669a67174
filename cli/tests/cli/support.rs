//! Running the program and reading its answers.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// A finished run.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) json: Value,
    pub(crate) stderr: String,
}

/// Runs `hubledger --json ARGS` in `folder`.
pub(crate) fn run(folder: &Path, args: &[&str]) -> Run {
    let Output {
        status,
        stdout,
        stderr,
    } = program(folder, args).output().unwrap();
    let stdout = String::from_utf8(stdout).unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(!stderr.contains("panicked"), "{args:?} panicked: {stderr}");
    let json = match stdout.trim() {
        "" => Value::Null,
        text => {
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{args:?}: {error}: {text}"))
        }
    };
    Run {
        code: status.code().expect("was not killed"),
        json,
        stderr,
    }
}

/// As [`run`], and the run has to end in "done and valid".
pub(crate) fn ok(folder: &Path, args: &[&str]) -> Value {
    let run = run(folder, args);
    assert_eq!(run.code, 0, "{args:?}: {} {}", run.json, run.stderr);
    run.json
}

pub(crate) fn program(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hubledger"));
    command
        .arg("--json")
        .args(args)
        .current_dir(folder)
        .env_remove("RUST_LOG");
    command
}

/// A block file of `transactions`, `per_block` each, in `folder`.
pub(crate) fn generate(folder: &Path, name: &str, transactions: u32, per_block: u32) -> Value {
    let (transactions, per_block) = (transactions.to_string(), per_block.to_string());
    ok(
        folder,
        &[
            "generate",
            "--transactions",
            &transactions,
            "--per-block",
            &per_block,
            "--out",
            name,
        ],
    )
}
