//! Named pipes where files are expected, and streams where they are welcome: nothing waits for ever.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{generate, ok, program};

/// Far longer than any of these commands takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Puts a pipe where a file is, and gives what puts the file back.
fn instead(path: &Path) -> impl FnOnce() + use<> {
    let (path, aside) = (path.to_owned(), path.with_extension("aside"));
    if path.exists() {
        fs::rename(&path, &aside).unwrap();
    }
    pipe(&path);
    move || {
        fs::remove_file(&path).unwrap();
        if aside.exists() {
            fs::rename(&aside, &path).unwrap();
        }
    }
}

/// Exit code and standard error of a command that has to come to an end by itself.
fn ended(folder: &Path, args: &[&str]) -> (i32, String) {
    let mut child = program(folder, args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{args:?} waits for ever");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    (output.status.code().expect("was not killed"), stderr)
}

/// The command with a pipe at this place ends with one line that names it and says what it is.
fn refused(folder: &Path, place: &str, args: &[&str]) {
    let put_back = instead(&folder.join(place));
    let (code, stderr) = ended(folder, args);
    assert_ne!(code, 0, "{args:?}");
    assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
    let named = Path::new(place).file_name().unwrap().to_str().unwrap();
    assert!(stderr.contains(named), "{args:?}: {stderr}");
    let said = [
        "a pipe",
        "not a regular file",
        "no regular file",
        "not a file",
    ];
    assert!(
        said.iter().any(|word| stderr.contains(word)),
        "{args:?}: {stderr}"
    );
    put_back();
}

/// A folder with a chain in both stores, an archive of most of it, a transaction and a proof.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    generate(path, "a.hlb", 200, 10);
    for store in ["log:store", "sqlite:store.db"] {
        ok(path, &["import", "a.hlb", "--store", store]);
    }
    let block = ok(path, &["get", "--store", "log:store", "--block", "3"]);
    let id = block["transactions"][0]["id"].as_str().unwrap();
    let store = ["--store", "log:store"];
    ok(
        path,
        &[&["get", "--tx", id, "--out", "tx.bin"], &store[..]].concat(),
    );
    ok(
        path,
        &[&["prove", "--tx", id, "--out", "tx.proof"], &store[..]].concat(),
    );
    ok(
        path,
        &[
            &["prune", "--keep", "5", "--archive", "archive"],
            &store[..],
        ]
        .concat(),
    );
    folder
}

#[test]
fn a_restoring_refuses_an_archive_and_a_store_with_pipes_in_it() {
    let folder = folder();
    let path = folder.path();
    let restore = ["restore", "--archive", "archive", "--store", "log:new"];
    let both = [&restore[..], &["--then", "log:store"]].concat();
    refused(path, "archive/manifest.json", &restore);
    refused(path, "archive/blocks-000000000000.hlb.zst", &restore);
    for file in ["store", "mark", "heads-000000"] {
        let name = fs::read_dir(path.join("store"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with(file.split('-').next().unwrap()))
            .min()
            .unwrap();
        refused(path, &format!("store/{name}"), &both);
    }
    ok(path, &both);
}

#[test]
fn an_archiving_refuses_pipes_before_anything_is_removed() {
    let folder = folder();
    let path = folder.path();
    let prune = |archive| {
        let args = ["prune", "--store", "log:store", "--keep", "3", "--archive"];
        [&args[..], &[archive]].concat()
    };
    pipe(&path.join("pipe"));
    let (code, stderr) = ended(path, &prune("pipe"));
    assert_eq!(code, 1);
    assert!(
        stderr.contains("pipe: it is a pipe, not a directory"),
        "{stderr}"
    );
    for file in [
        "manifest.json",
        "manifest.json.partial",
        "blocks-000000000016.hlb.zst.partial",
    ] {
        refused(path, &format!("archive/{file}"), &prune("archive"));
        let stats = ok(path, &["stats", "--store", "log:store"]);
        assert_eq!(stats["floor"], 16, "{file}");
    }
}

#[test]
fn specifications_keys_policies_proofs_and_transactions_are_no_named_pipes() {
    let folder = folder();
    let path = folder.path();
    let head = "0".repeat(64);
    refused(
        path,
        "spec",
        &["init", "--store", "log:new", "--spec", "spec"],
    );
    let spec = format!("{}/../examples/messaging.toml", env!("CARGO_MANIFEST_DIR"));
    let generate = ["generate", "--transactions", "1", "--spec", &spec];
    refused(
        path,
        "key",
        &[&generate[..], &["--key", "key", "--out", "b.hlb"]].concat(),
    );
    let prune = ["prune", "--store", "log:store", "--policy", "policy"];
    refused(path, "policy", &prune);
    refused(
        path,
        "tx.proof",
        &["verify-proof", "tx.proof", "--head", &head],
    );
    let prove = ["prove", "--store", "log:store", "--out", "p"];
    refused(
        path,
        "tx.proof",
        &[&prove[..], &["--carry", "tx.proof"]].concat(),
    );
    refused(
        path,
        "tx.bin",
        &[&prove[..], &["--transaction", "tx.bin"]].concat(),
    );
    refused(path, "tx.bin", &["show", "tx.bin"]);
    refused(path, "spec", &["spec", "check", "spec"]);
    refused(path, "draft", &["tx", "--draft", "draft", "--unsigned"]);
    ok(path, &["keygen", "--out", "hub.pem"]);
    let produce = ["produce", "--store", "log:store", "--key", "hub.pem"];
    refused(path, "tx.bin", &[&produce[..], &["tx.bin"]].concat());
    refused(
        path,
        "b.hlb.partial",
        &["generate", "--transactions", "1", "--out", "b.hlb"],
    );
}

#[test]
fn databases_are_no_named_pipes_nor_have_any_beside_them() {
    let folder = folder();
    let path = folder.path();
    let verify = ["verify", "--store", "sqlite:store.db"];
    for beside in ["store.db", "store.db-journal", "store.db-wal"] {
        refused(path, beside, &verify);
    }
    ok(path, &verify);
}

#[cfg(feature = "mpreg")]
#[test]
fn a_chain_of_mpreg_is_no_named_pipe_nor_has_one_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let database = rusqlite::Connection::open(path.join("chain.db")).unwrap();
    database.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(database);
    let verify = ["verify", "--mpreg", "chain.db"];
    for place in ["chain.db", "chain.db-journal", "chain.db-wal"] {
        refused(path, place, &verify);
    }
}

#[test]
fn a_block_file_comes_through_pipes_of_every_kind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let made = generate(path, "a.hlb", 200, 10);
    let bytes = fs::read(path.join("a.hlb")).unwrap();
    pipe(&path.join("pipe"));
    for (number, file) in ["/dev/stdin", "/dev/fd/0", "pipe"].iter().enumerate() {
        let store = format!("sqlite:{number}.db");
        let mut child = program(path, &["import", file, "--store", &store])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        match *file {
            "pipe" => fs::write(path.join("pipe"), &bytes).unwrap(),
            _ => stdin.write_all(&bytes).unwrap(),
        }
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{file}");
        let imported: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(imported["head"], made["head"], "{file}");
    }
}

#[test]
fn small_files_may_be_streams_that_the_process_was_given() {
    let folder = folder();
    let path = folder.path();
    let head = ok(path, &["get", "--store", "log:store", "--head"])["hash"].clone();
    let mut child = program(
        path,
        &[
            "verify-proof",
            "/dev/stdin",
            "--head",
            head.as_str().unwrap(),
        ],
    )
    .stdin(Stdio::piped())
    .stdout(Stdio::null())
    .spawn()
    .unwrap();
    let proof = fs::read(path.join("tx.proof")).unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&proof).unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success());
    let script = format!(
        "exec {} init --store sqlite:new.db --spec <(cat {}/../examples/messaging.toml)",
        env!("CARGO_BIN_EXE_hubledger"),
        env!("CARGO_MANIFEST_DIR")
    );
    let status = Command::new("bash")
        .args(["-c", &script])
        .current_dir(path)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
}
