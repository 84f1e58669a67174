//! Stores that are damaged, no stores at all, or can't be made: exit codes, and what is left.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{generate, ok, run};

/// A folder with a store of five blocks.
fn folder(store: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), "good.hlb", 50, 10);
    ok(folder.path(), &["import", "good.hlb", "--store", store]);
    folder
}

fn flip(path: &Path, offset: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[offset] ^= 0x11;
    fs::write(path, bytes).unwrap();
}

#[cfg(feature = "log")]
#[test]
fn a_log_without_its_mark_is_corrupt_to_every_command_until_it_is_repaired() {
    let folder = folder("log:s");
    let folder = folder.path();
    fs::remove_file(folder.join("s/mark")).unwrap();
    // The last frame with it: nothing else tells that there was one.
    let heads = folder.join("s/heads-00000000");
    let whole = fs::read(&heads).unwrap();
    let mut frames = vec![80];
    while frames[frames.len() - 1] < whole.len() {
        let at = frames[frames.len() - 1];
        let length = u64::from_le_bytes(whole[at + 8..at + 16].try_into().unwrap());
        frames.push(at + 48 + (length as usize).next_multiple_of(8));
    }
    fs::write(&heads, &whole[..frames[frames.len() - 2]]).unwrap();
    for args in [
        &["verify", "--store", "log:s"][..],
        &["stats", "--store", "log:s"],
        &["get", "--store", "log:s", "--head"],
        &["import", "good.hlb", "--store", "log:s"],
        &["check", "--store", "log:s"],
    ] {
        let run = run(folder, args);
        assert_eq!(run.code, 4, "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains("mark"), "{args:?}: {}", run.stderr);
    }
    let repaired = ok(folder, &["check", "--store", "log:s", "--repair"]);
    let told = repaired["repaired"].to_string();
    assert!(told.contains("blocks are held"), "{told}");
    ok(folder, &["verify", "--store", "log:s"]);
}

#[cfg(feature = "log")]
#[test]
fn a_damaged_superblock_ends_with_4_and_no_store_with_1() {
    let folder = folder("log:s");
    let folder = folder.path();
    let code = || run(folder, &["verify", "--store", "log:s"]).code;
    for name in [
        "store",
        "mark",
        "meta-00000000",
        "heads-00000000",
        "bodies-00000000",
    ] {
        let path = folder.join("s").join(name);
        let whole = fs::read(&path).unwrap();
        for offset in [0, 8, 12, 20] {
            flip(&path, offset);
            assert_eq!(code(), 4, "{name}, byte {offset}");
            fs::write(&path, &whole).unwrap();
        }
        fs::write(&path, "").unwrap();
        assert_eq!(code(), 4, "{name} is empty");
        fs::remove_file(&path).unwrap();
        assert_eq!(code(), 4, "{name} is missing");
        fs::write(&path, &whole).unwrap();
    }
    assert_eq!(code(), 0);
    fs::create_dir(folder.join("mine")).unwrap();
    for content in [None, Some(""), Some("something of mine")] {
        if let Some(content) = content {
            fs::write(folder.join("mine/store"), content).unwrap();
        }
        let run = run(folder, &["verify", "--store", "log:mine"]);
        assert_eq!(run.code, 1, "{}", run.stderr);
        assert!(run.stderr.contains("not a store"), "{}", run.stderr);
    }
}

#[test]
fn a_damaged_head_of_a_database_ends_with_4() {
    let folder = folder("sqlite:s.db");
    let folder = folder.path();
    flip(&folder.join("s.db"), 68);
    let run = run(folder, &["verify", "--store", "sqlite:s.db"]);
    assert_eq!(run.code, 4, "{}", run.stderr);
}

/// The shell limits how many files the program may have open.
#[cfg(unix)]
#[test]
fn running_out_of_descriptors_is_told_and_leaves_nothing_behind() {
    let program = env!("CARGO_BIN_EXE_hubledger");
    let spec = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/registry.toml");
    let mut urls = vec![("sqlite:s.db", "s.db")];
    if cfg!(feature = "log") {
        urls.push(("log:s", "s"));
    }
    for (url, path) in urls {
        let mut failed = 0;
        for limit in 4..40 {
            let folder = tempfile::tempdir().unwrap();
            let script =
                format!("ulimit -n {limit}; exec {program} init --spec {spec} --store {url}");
            let output = Command::new("sh")
                .args(["-c", &script])
                .current_dir(folder.path())
                .output()
                .unwrap();
            let told = String::from_utf8_lossy(&output.stderr);
            if output.status.success() {
                break;
            }
            failed += 1;
            assert_eq!(output.status.code(), Some(1), "{limit}: {told}");
            assert!(!told.contains("exists"), "{limit}: {told}");
            assert!(told.contains("open"), "{limit}: {told}");
            assert!(!folder.path().join(path).exists(), "{limit}: {told}");
            let is_creating = |name: &str| name.contains(".new") || name.contains(".creating");
            for entry in fs::read_dir(folder.path()).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                assert!(!is_creating(&name), "{limit}: {name}");
            }
        }
        assert!((1..36).contains(&failed), "{url}: {failed}");
    }
}
