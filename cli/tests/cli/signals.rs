//! SIGINT and SIGTERM in the middle of everything: an orderly end, a word on how to go on, and going on.
#![cfg(unix)]

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::retention::STORES;
use crate::support::{generate, ok, program, run};

/// Parts of a whole run after which it is stopped.
const PARTS: u32 = 6;
/// So often a run is stopped while it works …
const WANTED: u32 = 3;
/// … of so many attempts: others end before, or are stopped before they have begun.
const ATTEMPTS: u32 = 40;
/// Far longer than any of these commands takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn send(signal: &str, child: &Child) {
    let script = "kill -s \"$0\" \"$1\"";
    let id = child.id().to_string();
    let sent = Command::new("sh")
        .args(["-c", script, signal, &id])
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(sent.success());
}

fn spawn(folder: &Path, args: &[&str]) -> Child {
    program(folder, args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn output(mut child: Child) -> Output {
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("it doesn't end: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    child.wait_with_output().unwrap()
}

/// The report of a run that a signal stopped in good order; nothing if it was done before.
fn stopped(output: &Output, signal: &str) -> Option<Value> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let code = match signal {
        "INT" => 130,
        _ => 143,
    };
    match output.status.code() {
        Some(0) => return None,
        found => assert_eq!(found, Some(code), "{stderr}"),
    }
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["error"], "stopped");
    assert_eq!(report["signal"], format!("SIG{signal}"));
    assert!(
        report["detail"]
            .as_str()
            .unwrap()
            .contains("start it again"),
        "{report}"
    );
    let last = stderr.lines().last().unwrap();
    assert!(
        last.starts_with(&format!("stopped by SIG{signal}: ")),
        "{stderr}"
    );
    Some(report)
}

/// Does the job once as a whole, then stops it in every part of it: `begin` makes a place for it, `after` looks at what is
/// left, and the job done again must succeed.
fn in_every_part(
    folder: &Path,
    job: &[&str],
    begin: &dyn Fn(),
    after: &dyn Fn(&Value),
    finished: &dyn Fn(&Value),
) {
    begin();
    let started = Instant::now();
    finished(&ok(folder, job));
    let mut whole = started.elapsed();
    let mut in_order = 0;
    for round in 0..ATTEMPTS {
        if in_order == WANTED {
            return;
        }
        begin();
        let signal = ["INT", "TERM"][round as usize % 2];
        let child = spawn(folder, job);
        std::thread::sleep(whole * (1 + round % PARTS) / (PARTS + 2));
        send(signal, &child);
        let output = output(child);
        // A process that hasn't come to take signals ends without a word.
        if output.status.code().is_some() {
            let Some(report) = stopped(&output, signal) else {
                // The machine has more time for it than it had before.
                whole = whole * 3 / 4;
                continue;
            };
            in_order += u32::from(String::from_utf8_lossy(&output.stderr).contains("finishing"));
            after(&report);
        }
        finished(&ok(folder, job));
    }
    assert!(in_order > 0, "{job:?} was never stopped while it worked");
}

fn remove(folder: &Path, url: &str) {
    let (scheme, place) = url.split_once(':').unwrap();
    let _ = fs::remove_dir_all(folder.join(place));
    if scheme == "sqlite" {
        for tail in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(folder.join(format!("{place}{tail}")));
        }
    }
}

#[test]
fn an_import_that_waits_for_more_commits_what_it_has() {
    for (url, signal) in STORES.into_iter().zip(["INT", "TERM"]) {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let made = generate(folder, "a.hlb", 2_000, 10);
        let bytes = fs::read(folder.join("a.hlb")).unwrap();
        let mut child = spawn(folder, &["import", "/dev/stdin", "--store", url]);
        let mut stdin = child.stdin.take().unwrap();
        // More than a pipe holds: when it is written, most of it is read.
        stdin.write_all(&bytes[..bytes.len() / 2]).unwrap();
        send(signal, &child);
        let output = output(child);
        drop(stdin);
        let report = stopped(&output, signal).expect("there is more to come");
        let imported = report["imported"].as_u64().unwrap();
        assert!((50..=100).contains(&imported), "{report}");
        assert_eq!(report["durability"], "disk");
        let verified = ok(folder, &["verify", "--store", url]);
        assert_eq!(verified["blocks"], imported + 1);
        assert_eq!(verified["head"], report["head"]);
        let whole = ok(folder, &["import", "a.hlb", "--store", url]);
        assert_eq!(whole["skipped"], imported);
        assert_eq!(whole["head"], made["head"]);
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut child = spawn(
        folder,
        &[
            "generate",
            "--transactions",
            "200000",
            "--per-block",
            "200000",
            "--out",
            "a.hlb",
        ],
    );
    while !folder.join("a.hlb.partial").exists() {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::yield_now();
    }
    // A block of so many signatures takes longer than it takes to read a line.
    send("TERM", &child);
    let mut line = Vec::new();
    let stderr = child.stderr.as_mut().unwrap();
    while line.last() != Some(&b'\n') {
        let mut byte = [0];
        stderr.read_exact(&mut byte).unwrap();
        line.push(byte[0]);
    }
    let line = String::from_utf8(line).unwrap();
    assert!(line.contains("another one ends it at once"), "{line}");
    send("INT", &child);
    let output = output(child);
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(output.stdout, b"");
    assert!(!folder.join("a.hlb").exists());
}

#[test]
fn an_import_of_a_file_is_stopped_anywhere_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let made = generate(folder, "a.hlb", 20_000, 50);
    for url in STORES {
        let job = ["import", "a.hlb", "--store", url];
        let after = |report: &Value| {
            if report["blocks"].is_u64() {
                let verified = ok(folder, &["verify", "--store", url]);
                assert_eq!(verified["blocks"], report["blocks"]);
                assert_eq!(verified["head"], report["head"]);
            }
        };
        let finished = |report: &Value| assert_eq!(report["head"], made["head"]);
        in_every_part(folder, &job, &|| remove(folder, url), &after, &finished);
    }
}

#[test]
fn a_generation_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let begin = || {
        let _ = fs::remove_file(folder.join("a.hlb"));
    };
    let after = |_: &Value| assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
    let job = [
        "generate",
        "--transactions",
        "20000",
        "--per-block",
        "20",
        "--out",
        "a.hlb",
    ];
    let finished = |report: &Value| assert_eq!(report["transactions"], 20_000);
    in_every_part(folder, &job, &begin, &after, &finished);
}

#[test]
fn a_pruning_with_an_archive_is_stopped_anywhere_and_goes_on() {
    for url in STORES {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let made = generate(folder, "a.hlb", 10_000, 10);
        let begin = || {
            remove(folder, url);
            let _ = fs::remove_dir_all(folder.join("archive"));
            ok(folder, &["import", "a.hlb", "--store", url]);
        };
        let after = |report: &Value| {
            let verified = ok(folder, &["verify", "--store", url]);
            assert_eq!(verified["head"], made["head"]);
            if report["floor"].is_u64() {
                assert_eq!(verified["bodies_from"], report["floor"]);
            }
        };
        let finished = |report: &Value| {
            assert_eq!(report["floor"], 998);
            remove(folder, "log:restored");
            let restore = ["restore", "--archive", "archive", "--then", url];
            let args = [&restore[..], &["--store", "log:restored"]].concat();
            assert_eq!(ok(folder, &args)["head"], made["head"]);
        };
        let prune = [
            "prune",
            "--store",
            url,
            "--keep",
            "3",
            "--archive",
            "archive",
        ];
        in_every_part(folder, &prune, &begin, &after, &finished);
    }
}

#[test]
fn restoring_migrating_and_backing_up_are_stopped_anywhere_and_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let made = generate(folder, "a.hlb", 10_000, 10);
    let head = &made["head"];
    ok(folder, &["import", "a.hlb", "--store", "log:store"]);
    let prune = ["prune", "--store", "log:store", "--keep", "400"];
    ok(folder, &[&prune[..], &["--archive", "archive"]].concat());
    for to in ["log:new", "sqlite:new.db"] {
        let begin = || remove(folder, to);
        let finished = |_: &Value| {
            assert_eq!(&ok(folder, &["verify", "--store", to])["head"], head);
        };
        let restore = ["restore", "--archive", "archive", "--then", "log:store"];
        let after = |report: &Value| {
            if report["blocks"].as_u64().is_some_and(|blocks| blocks > 0) {
                let verified = ok(folder, &["verify", "--store", to]);
                assert_eq!(verified["blocks"], report["blocks"]);
            }
        };
        let restore = [&restore[..], &["--store", to]].concat();
        in_every_part(folder, &restore, &begin, &after, &finished);
        let after = |report: &Value| {
            let copy = run(folder, &["stats", "--store", to]);
            assert_eq!(copy.code, 1, "{report}: an incomplete copy is opened");
        };
        let migrate = ["migrate", "--from", "log:store", "--to", to];
        in_every_part(folder, &migrate, &begin, &after, &finished);
        let backup = ["backup", "--store", "log:store", "--to", to];
        in_every_part(folder, &backup, &begin, &after, &finished);
    }
}

#[test]
fn a_verification_says_how_far_it_came() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    generate(folder, "a.hlb", 10_000, 10);
    ok(folder, &["import", "a.hlb", "--store", "log:store"]);
    let after = |report: &Value| {
        if let Some(checked) = report["checked"].as_u64() {
            assert!(checked <= 1_001);
        }
    };
    let verify = ["verify", "--store", "log:store"];
    let finished = |report: &Value| assert_eq!(report["verdict"], "valid");
    in_every_part(folder, &verify, &|| {}, &after, &finished);
}

#[test]
fn what_only_reads_ends_at_once_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    generate(folder, "a.hlb", 10_000, 10);
    ok(folder, &["import", "a.hlb", "--store", "log:store"]);
    let check = ["check", "--store", "log:store"];
    let started = Instant::now();
    ok(folder, &check);
    let whole = started.elapsed();
    let mut ended = 0;
    for part in 2..8 {
        let child = spawn(folder, &check);
        std::thread::sleep(whole * part / 10);
        send("INT", &child);
        let output = output(child);
        if let Some(report) = stopped(&output, "INT") {
            assert!(
                report["detail"]
                    .as_str()
                    .unwrap()
                    .contains("nothing was changed")
            );
            ended += 1;
        }
    }
    assert!(ended > 0, "it was never stopped");
    assert_eq!(ok(folder, &check)["sound"], true);
}

#[test]
fn a_demonstration_leaves_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let child = program(folder.path(), &["demo", "--transactions", "200000"])
        .env("TMPDIR", temporary.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    while fs::read_dir(temporary.path()).unwrap().count() == 0 {
        assert!(Instant::now() < deadline, "it doesn't begin");
        std::thread::yield_now();
    }
    send("TERM", &child);
    let output = output(child);
    assert!(stopped(&output, "TERM").is_some());
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
}
