//! Pruning, restoring and migrating, killed at any moment: nothing is lost, and starting again finishes the job.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::retention::STORES;
use crate::support::{generate, ok, program, run};

const ROUNDS: u32 = 8;

/// Runs the command and kills it after a part of the time that it takes as a whole, unless it ends before: then that is the
/// time that it takes, since others left it more of the processors. Whether it was killed.
fn killed(folder: &Path, args: &[&str], whole: &mut Duration, (part, of): (u32, u32)) -> bool {
    let mut child = program(folder, args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let delay = *whole * part / of;
    let started = Instant::now();
    while started.elapsed() < delay && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    let was_killed = child.wait().unwrap().code().is_none();
    if !was_killed {
        *whole = started.elapsed().min(*whole);
    }
    was_killed
}

/// What lies at the place of a store, or nothing.
fn remove(folder: &Path, url: &str) {
    let (scheme, place) = url.split_once(':').unwrap();
    let _ = fs::remove_dir_all(folder.join(place));
    if scheme == "sqlite" {
        for tail in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(folder.join(format!("{place}{tail}")));
        }
    }
}

/// A store of 151 blocks in `folder`, and its head.
fn store(folder: &Path, url: &str) -> Value {
    let imported = ok(folder, &["import", "a.hlb", "--store", url]);
    imported["head"].clone()
}

/// Does the job once as a whole, then kills it in every part of it. `begin` makes a place for it, `after` looks at what a
/// kill has left, and the job done again must succeed.
fn again_and_again(
    folder: &Path,
    job: &[&str],
    begin: &dyn Fn(),
    after: &dyn Fn(),
    finished: &dyn Fn(Value),
) {
    begin();
    let started = Instant::now();
    finished(ok(folder, job));
    let mut whole = started.elapsed();
    let mut kills = 0;
    for round in 0..ROUNDS {
        begin();
        // A job that was killed is killed again while it is gone on with.
        for part in [round, ROUNDS - round] {
            if killed(folder, job, &mut whole, (part, ROUNDS + 2)) {
                kills += 1;
                after();
            }
        }
        finished(ok(folder, job));
    }
    assert!(kills >= ROUNDS / 4, "{job:?} was killed only {kills} times");
}

#[test]
fn a_pruning_with_an_archive_loses_nothing() {
    for url in STORES {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        generate(folder, "a.hlb", 3_000, 20);
        let prune = [
            "prune",
            "--store",
            url,
            "--keep",
            "3",
            "--keep-leaves",
            "--archive",
            "archive",
        ];
        let begin = || {
            remove(folder, url);
            let _ = fs::remove_dir_all(folder.join("archive"));
            store(folder, url);
        };
        begin();
        let head = ok(folder, &["stats", "--store", url])["head"].clone();
        let id = ok(folder, &["get", "--store", url, "--block", "9"]);
        let id = id["transactions"][3]["id"].as_str().unwrap().to_owned();
        ok(
            folder,
            &["get", "--store", url, "--tx", &id, "--out", "tx.bin"],
        );
        let after = || {
            let stats = ok(folder, &["stats", "--store", url]);
            assert_eq!((&stats["head"], &stats["blocks"]), (&head, &151.into()));
        };
        let restored = "sqlite:restored.db";
        let finished = |pruned: Value| {
            assert_eq!(pruned["floor"], 148);
            remove(folder, restored);
            let restore = [
                "restore",
                "--archive",
                "archive",
                "--then",
                url,
                "--store",
                restored,
            ];
            let report = ok(folder, &restore);
            assert_eq!(
                (&report["head"], &report["transactions"]),
                (&head, &3_000.into())
            );
            let prove = [
                "prove",
                "--store",
                url,
                "--transaction",
                "tx.bin",
                "--out",
                "tx.proof",
            ];
            assert_eq!(ok(folder, &prove)["height"], 9);
        };
        again_and_again(folder, &prune, &begin, &after, &finished);
    }
}

#[test]
fn a_migration_is_either_refused_or_whole() {
    for (from, to) in [(STORES[0], "sqlite:copy.db"), (STORES[0], "log:copy")] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        generate(folder, "a.hlb", 6_000, 10);
        let head = store(folder, from);
        ok(
            folder,
            &["prune", "--store", from, "--keep", "500", "--keep-leaves"],
        );
        let after = || {
            let copy = run(folder, &["stats", "--store", to]);
            let source = ok(folder, &["stats", "--store", from]);
            assert_eq!(source["head"], head);
            match copy.code {
                0 => assert_eq!(copy.json["head"], head),
                code => assert_eq!(code, 1, "{}", copy.stderr),
            }
        };
        let finished = |_: Value| {
            let copy = ok(folder, &["verify", "--store", to]);
            assert_eq!((&copy["head"], &copy["bodies_from"]), (&head, &101.into()));
        };
        let migrate = ["migrate", "--from", from, "--to", to];
        let begin = || remove(folder, to);
        // Once it is whole there is nothing to migrate into; so "again" is only for what isn't.
        begin();
        let started = Instant::now();
        finished(ok(folder, &migrate));
        let mut whole = started.elapsed();
        let mut kills = 0;
        for round in 0..ROUNDS {
            begin();
            for part in [round, ROUNDS - round] {
                kills += u32::from(killed(folder, &migrate, &mut whole, (part, 2 * ROUNDS)));
                after();
            }
            if run(folder, &["stats", "--store", to]).code != 0 {
                ok(folder, &migrate);
            }
            finished(Value::Null);
        }
        assert!(kills >= ROUNDS / 4, "it was killed only {kills} times");
    }
}

#[test]
fn a_restoring_goes_on_with_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    generate(folder, "a.hlb", 3_000, 20);
    let head = store(folder, "log:store");
    let prune = [
        "prune",
        "--store",
        "log:store",
        "--keep",
        "40",
        "--archive",
        "archive",
    ];
    ok(folder, &prune);
    for to in ["sqlite:restored.db", "log:restored"] {
        let restore = [
            "restore",
            "--archive",
            "archive",
            "--then",
            "log:store",
            "--store",
            to,
        ];
        let after = || {
            let left = run(folder, &["stats", "--store", to]);
            assert!(left.code <= 1, "{}", left.stderr);
            if left.code == 0 {
                assert_eq!(left.json["floor"], 0);
                let height = left.json["height"].to_string();
                let args = ["get", "--store", "log:store", "--block", height.as_str()];
                assert_eq!(left.json["head"], ok(folder, &args)["hash"]);
            }
        };
        let finished = |report: Value| {
            assert_eq!((&report["head"], &report["blocks"]), (&head, &151.into()));
            assert_eq!(ok(folder, &["verify", "--store", to])["head"], head);
        };
        again_and_again(folder, &restore, &|| remove(folder, to), &after, &finished);
    }
}
