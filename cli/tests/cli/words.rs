//! What the program says: about the right thing, and in a form that its reader can use.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use hubledger_storage::{Durability, StoreUrl};
use serde_json::Value;

use crate::support::{generate, ok, program, run};

/// A folder with the store `sqlite:s.db`, and the hash of its head.
fn folder() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), "a.hlb", 50, 10);
    let imported = ok(
        folder.path(),
        &["import", "a.hlb", "--store", "sqlite:s.db"],
    );
    let head = imported["head"].as_str().unwrap().to_owned();
    (folder, head)
}

#[test]
fn a_head_that_extends_itself_is_refused_as_a_head() {
    let (folder, head) = folder();
    let folder = folder.path();
    let first = ok(folder, &["get", "--store", "sqlite:s.db", "--block", "1"]);
    let first = first["hash"].as_str().unwrap();
    let prove = ["prove", "--store", "sqlite:s.db", "--out", "p", "--extends"];
    for new in [head.as_str(), first] {
        let refused = run(folder, &[&prove[..], &[&head, "--head", new]].concat());
        assert_eq!(refused.code, 1);
        assert!(
            !refused.stderr.contains("transaction"),
            "{}",
            refused.stderr
        );
        assert!(
            refused.stderr.contains("block 5 is not below the head"),
            "{}",
            refused.stderr
        );
    }
    assert!(!folder.join("p").exists());
}

#[test]
fn a_verification_is_the_same_on_any_number_of_threads() {
    let (folder, head) = folder();
    for threads in ["0", "1", "3"] {
        let verify = ["verify", "--store", "sqlite:s.db", "--threads", threads];
        let report = ok(folder.path(), &verify);
        assert_eq!(report["verdict"], "valid");
        assert_eq!(report["head"], head.as_str());
    }
}

#[test]
fn an_option_that_would_be_ignored_is_refused() {
    let (folder, head) = folder();
    let folder = folder.path();
    let store = "sqlite:s.db";
    for args in [
        &["get", "--store", store, "--head", "--out", "f"][..],
        &["get", "--store", store, "--block", "1", "--out", "f"],
        &["verify", "--store", store, "--chain", "x"],
        &["verify", "--store", store, "--audit"],
        &["import", "a.hlb", "--store", store, "--chain", "x"],
        &[
            "prove",
            "--store",
            store,
            "--extends",
            &head,
            "--height",
            "1",
            "--out",
            "f",
        ],
    ] {
        let refused = run(folder, args);
        assert_eq!(refused.code, 2, "{args:?}");
        assert_eq!(refused.json["error"], "usage", "{args:?}");
    }
    assert!(!folder.join("f").exists());
    ok(folder, &["verify", "--store", store]);
}

#[test]
fn a_usage_error_is_json_where_json_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let missing = run(folder.path(), &["stats"]);
    assert_eq!(missing.code, 2);
    assert_eq!(
        missing.json,
        serde_json::json!({
            "error": "usage",
            "detail": "the following required arguments were not provided: --store <URL>",
        })
    );
    assert!(missing.stderr.contains("Usage:"), "{}", missing.stderr);
    let behind = Command::new(env!("CARGO_BIN_EXE_hubledger"))
        .args(["stats", "--json"])
        .output()
        .unwrap();
    let json: Value = serde_json::from_slice(&behind.stdout).unwrap();
    assert_eq!((behind.status.code(), json), (Some(2), missing.json));
    // People get what they always got, and who asks for help isn't in error.
    for (args, code) in [(["stats", "--"], 2), (["--json", "--help"], 0)] {
        let output = Command::new(env!("CARGO_BIN_EXE_hubledger"))
            .args(args)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code));
        assert_eq!(output.stdout.is_empty(), code == 2);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_value_that_is_not_utf8_is_refused_by_the_name_of_its_argument() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let bad = OsStr::from_bytes(b"sqlite:\xff\xfe.db");
    for (args, named) in [
        (&["import", "a.hlb", "--store"][..], "--store <URL>"),
        (&["migrate", "--from", "sqlite:a", "--to"], "--to <URL>"),
        (&["backup", "--to", "sqlite:a", "--store"], "--store <URL>"),
        (
            &["restore", "--archive", "a", "--store", "log:a", "--then"],
            "--then <URL>",
        ),
        (&["get", "--store", "sqlite:a", "--tx"], "--tx <ID>"),
        (&["verify-proof", "p", "--head"], "--head <HASH>"),
    ] {
        let output = program(folder.path(), args).arg(bad).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        let detail = json["detail"].as_str().unwrap();
        assert!(detail.contains(named), "{args:?}: {detail}");
        assert!(detail.contains("not UTF-8"), "{args:?}: {detail}");
        assert!(detail.contains("\\xFF"), "{args:?}: {detail}");
    }
    // Files may have any name.
    let output = program(folder.path(), &["generate", "--transactions", "1", "--out"])
        .arg(OsStr::from_bytes(b"\xff.hlb"))
        .output()
        .unwrap();
    assert!(output.status.success());
}

/// Standard error of an import that has something to warn of.
fn warned(folder: &Path) -> String {
    let url: StoreUrl = format!("sqlite:{}", folder.join("s.db").display())
        .parse()
        .unwrap();
    let mut store = url.open().unwrap();
    store.tables.remove("state").unwrap();
    let junk = b"not a state";
    store
        .writer
        .put_named_value("state", junk, Durability::Os)
        .unwrap();
    drop(store);
    let output = program(folder, &["import", "a.hlb", "--store", "sqlite:s.db"])
        .env_remove("NO_COLOR")
        .stdout(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_log_that_goes_to_a_file_has_no_escapes_in_it() {
    let (folder, _) = folder();
    let log = warned(folder.path());
    assert!(log.contains("WARN"), "{log}");
    assert!(!log.contains('\u{1b}'), "{log:?}");
}

#[test]
fn a_name_cannot_drive_the_terminal_of_who_reads_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let refused = run(
        folder.path(),
        &["import", "\u{1b}[31mred.hlb", "--store", "sqlite:s.db"],
    );
    assert_eq!(refused.code, 1);
    assert!(!refused.stderr.contains('\u{1b}'), "{:?}", refused.stderr);
    assert!(refused.stderr.contains("red.hlb"), "{}", refused.stderr);
}
