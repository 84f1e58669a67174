//! An import that is killed at any moment leaves a store that opens, holds a prefix, and continues.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{generate, ok, program, run};

#[test]
fn an_import_killed_again_and_again_ends_in_the_same_chain() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let made = generate(folder, "a.hlb", 200_000, 200);
    let import = ["import", "a.hlb", "--store", "sqlite:a.db"];
    let started = Instant::now();
    ok(folder, &["import", "a.hlb", "--store", "sqlite:whole.db"]);
    let whole = started.elapsed();
    let mut kills = 0;
    let mut height = 0;
    // Delays grow from nothing to half an import, so that kills fall into every part of it.
    // An import may end before its kill; 72 attempts are more than enough for 22 that don't.
    for round in 0..72u32 {
        if kills == 22 {
            break;
        }
        let mut child = program(folder, &import)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let delay = whole * (round % 8) / 16 + Duration::from_millis(u64::from(round));
        let deadline = Instant::now() + delay;
        while Instant::now() < deadline && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        kills += u32::from(child.wait().unwrap().code().is_none());
        let after = run(folder, &["stats", "--store", "sqlite:a.db"]);
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
            let checked = run(folder, &["verify", "--store", "sqlite:a.db"]);
            assert_eq!(checked.code, 0, "{}", checked.stderr);
            for tail in ["", "-wal", "-shm"] {
                let path = folder.join(format!("a.db{tail}"));
                if path.exists() {
                    std::fs::remove_file(path).unwrap();
                }
            }
            height = 0;
        }
    }
    assert!(
        kills >= 20,
        "only {kills} imports were killed while they ran"
    );
    let imported = ok(folder, &import);
    assert_eq!(imported["head"], made["head"]);
    assert_eq!(
        ok(folder, &["verify", "--store", "sqlite:a.db"])["transactions"],
        200_000
    );
}
