//! An import that is killed at any moment leaves a store that opens, holds a prefix, and continues.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{generate, ok, program, run};

#[test]
fn an_import_into_a_database_killed_again_and_again_ends_in_the_same_chain() {
    kill_again_and_again(
        "sqlite:a.db",
        "sqlite:whole.db",
        &["a.db", "a.db-wal", "a.db-shm"],
        22,
    );
}

#[test]
fn an_import_into_a_log_killed_again_and_again_ends_in_the_same_chain() {
    kill_again_and_again("log:a", "log:whole", &["a"], 16);
}

/// Kills `wanted` imports into a store, which consists of `paths`.
fn kill_again_and_again(store: &str, whole: &str, paths: &[&str], wanted: u32) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let made = generate(folder, "a.hlb", 200_000, 200);
    let import = ["import", "a.hlb", "--store", store];
    let started = Instant::now();
    ok(folder, &["import", "a.hlb", "--store", whole]);
    let mut whole = started.elapsed();
    let mut kills = 0;
    let mut height = 0;
    // Delays grow from nothing to half an import, so that kills fall into every part of it.
    // An import may end before its kill; more attempts than kills are allowed for those.
    for round in 0..wanted * 3 {
        if kills == wanted {
            break;
        }
        let mut child = program(folder, &import)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let delay = whole * (round % 8) / 16 + Duration::from_millis(u64::from(round));
        let started = Instant::now();
        while started.elapsed() < delay && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        match child.wait().unwrap().code() {
            None => kills += 1,
            // Others left it more of the processors than the first one: it takes no longer than this.
            Some(_) => whole = whole.min(started.elapsed()),
        }
        let after = run(folder, &["stats", "--store", store]);
        if after.code == 0 {
            let now = after.json["height"].as_u64().unwrap();
            assert!(
                now >= height,
                "a committed block is gone: {now} after {height}"
            );
            height = now;
        }
        // Start over when most is imported, so that kills fall into empty and into filled stores alike.
        if height > 500 {
            let checked = run(folder, &["verify", "--store", store]);
            assert_eq!(checked.code, 0, "{}", checked.stderr);
            paths.iter().for_each(|path| remove(&folder.join(path)));
            height = 0;
        }
    }
    assert!(
        kills + 2 >= wanted,
        "only {kills} imports were killed while they ran"
    );
    let imported = ok(folder, &import);
    assert_eq!(imported["head"], made["head"]);
    assert_eq!(
        ok(folder, &["verify", "--store", store])["transactions"],
        200_000
    );
}

fn remove(path: &Path) {
    if path.is_dir() {
        std::fs::remove_dir_all(path).unwrap();
    } else if path.exists() {
        std::fs::remove_file(path).unwrap();
    }
}
