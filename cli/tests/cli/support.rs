//! Running the program and reading its answers.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

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

/// Runs `hubledger --json ARGS` with `input` on standard input.
pub(crate) fn fed(folder: &Path, args: &[&str], input: &[u8]) -> Output {
    let mut child = program(folder, args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
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

/// A moment after the genesis of [`specification`], for what is made at a fixed time.
pub(crate) const THEN: &str = "2025-06-01T12:00:00Z";

/// The public key in `NAME.pem`, which is made if it isn't there.
pub(crate) fn key(folder: &Path, name: &str) -> String {
    let (file, public) = (format!("{name}.pem"), folder.join(format!("{name}.key")));
    if !public.exists() {
        let made = ok(folder, &["keygen", "--out", &file]);
        std::fs::write(&public, made["public_key"].as_str().unwrap()).unwrap();
    }
    std::fs::read_to_string(public).unwrap()
}

/// Writes `own.toml`, whose authorities seal with `NAME.pem`; `head` goes into its table of the consensus, `more` behind it.
pub(crate) fn specification(folder: &Path, authorities: &[&str], head: &str, more: &str) {
    let mut text = format!(
        "name = \"own\"\ngenesis_time = 1_700_000_000_000_000\n[consensus]\nkind = \"proof_of_authority\"\n{head}\n"
    );
    for name in authorities {
        let key = key(folder, name);
        text.push_str(&format!(
            "[[consensus.authorities]]\nname = \"{name}\"\nkey = \"{key}\"\n"
        ));
    }
    text.push_str(more);
    std::fs::write(folder.join("own.toml"), text).unwrap();
}

/// The same in version 2 of the format; `top` goes to the top of it.
pub(crate) fn specification_2(folder: &Path, authorities: &[&str], top: &str, more: &str) {
    specification(folder, authorities, "", more);
    let rest = std::fs::read_to_string(folder.join("own.toml")).unwrap();
    let text = format!("format = 2\n{top}\n{rest}");
    std::fs::write(folder.join("own.toml"), text).unwrap();
}

/// A folder with the store `sqlite:own.db`, whose blocks `hub` seals, and with `more` in its specification.
pub(crate) fn own_chain(more: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    specification(folder.path(), &["hub"], "", more);
    let init = ["init", "--store", OWN, "--spec", "own.toml"];
    ok(folder.path(), &init);
    folder
}

/// The same of version 2, where names have to be registered and their keys to be in order.
pub(crate) fn registered_chain(authorities: &[&str], top: &str, more: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let more = format!("[rules]\nidentity = \"registered\"\n{more}");
    specification_2(folder.path(), authorities, top, &more);
    let init = ["init", "--store", OWN, "--spec", "own.toml"];
    ok(folder.path(), &init);
    folder
}

/// The options of a transaction that says something to the chain of [`OWN`], signed with the keys `NAME.pem`, in `file`.
pub(crate) fn saying<'a>(args: &[&'a str], pems: &[&'a str], file: &'a str) -> Vec<&'a str> {
    let signed = pems.iter().flat_map(|pem| ["--key", *pem]);
    let into = ["--store", OWN, "--at", THEN, "--out", file];
    args.iter().copied().chain(signed).chain(into).collect()
}

/// Makes it, and a block of `hub` with it.
pub(crate) fn say(folder: &Path, args: &[&str], pems: &[&str], file: &str) -> Value {
    let made = ok(folder, &saying(args, pems, file));
    ok(folder, &produce(&[file]));
    made
}

/// The store of [`own_chain`].
pub(crate) const OWN: &str = "sqlite:own.db";

/// The options of a message from `sender`, signed with its key.
pub(crate) fn message<'a>(
    folder: &Path,
    sender: &'a str,
    pem: &'a str,
    more: &[&'a str],
) -> Vec<&'a str> {
    key(folder, pem.trim_end_matches(".pem"));
    let fields = [
        "tx",
        "--operation",
        "message",
        "--sender",
        sender,
        "--receiver",
        "bob",
    ];
    let signed = ["--key", pem, "--at", THEN];
    [&fields[..], &signed, more].concat()
}

/// Makes a message from `sender` in `file`, by the rules of [`OWN`].
pub(crate) fn send(folder: &Path, sender: &str, file: &str, more: &[&str]) -> Value {
    let pem = format!("{sender}.pem");
    let into = ["--store", OWN, "--out", file];
    ok(
        folder,
        &message(folder, sender, &pem, &[&into[..], more].concat()),
    )
}

/// The options that make a block of `files` in [`OWN`].
pub(crate) fn produce<'a>(files: &[&'a str]) -> Vec<&'a str> {
    let produce = ["produce", "--store", OWN, "--key", "hub.pem", "--at", THEN];
    [&produce[..], files].concat()
}
