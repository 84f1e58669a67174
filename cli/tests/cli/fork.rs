//! `fork show`, `fork at` and `fork resolve`: two hubs that made different blocks.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use serde_json::Value;

use crate::support::{ok, program, run, specification};

/// A folder with the stores `sqlite:a.db` and `sqlite:b.db` of one chain, in which three blocks make one final.
fn two_hubs() -> tempfile::TempDir {
    hubs(3)
}

/// The same with another depth.
fn hubs(depth: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    specification(folder.path(), &["a", "b"], "", "");
    let file = folder.path().join("own.toml");
    let text = fs::read_to_string(&file).unwrap();
    let terms = format!("format = 2\nfinality = {{ depth = {depth} }}\nroot_interval = 2\n");
    fs::write(&file, format!("{terms}{text}")).unwrap();
    for hub in ["a", "b"] {
        let store = format!("sqlite:{hub}.db");
        ok(
            folder.path(),
            &["init", "--store", &store, "--spec", "own.toml"],
        );
    }
    folder
}

/// An empty block that this hub makes in its own store.
fn produce(folder: &Path, hub: &str) -> Value {
    let (store, key) = (format!("sqlite:{hub}.db"), format!("{hub}.pem"));
    ok(
        folder,
        &["produce", "--allow-empty", "--store", &store, "--key", &key],
    )
}

fn resolve<'a>(store: &'a str, from: &'a str) -> Vec<&'a str> {
    vec!["fork", "resolve", "--store", store, "--from", from]
}

#[test]
fn the_heavier_of_two_branches_is_the_chain_of_both() {
    let folder = two_hubs();
    let folder = folder.path();
    let own = [produce(folder, "a"), produce(folder, "a")];
    for _ in 0..3 {
        produce(folder, "b");
    }
    let other = ok(folder, &["get", "--store", "sqlite:b.db", "--head"]);
    let resolved = ok(folder, &resolve("sqlite:a.db", "sqlite:b.db"));
    assert_eq!(resolved["best"]["head"], other["hash"]);
    let changes = resolved["changes"].as_array().unwrap();
    let reverted: Vec<&Value> = changes
        .iter()
        .flat_map(|change| change["reverted"].as_array().unwrap())
        .collect();
    assert!(reverted.contains(&&own[1]["hash"]), "{resolved}");
    let head = ok(folder, &["get", "--store", "sqlite:a.db", "--head"]);
    assert_eq!(head["hash"], other["hash"]);
    // The lighter one is beside it now, and known.
    let shown = ok(folder, &["fork", "show", "--store", "sqlite:a.db"]);
    assert_eq!(shown["branches"][0]["head"], own[1]["hash"]);
    assert_eq!(shown["branches"][0]["common"], 0);
    let at = ok(folder, &["fork", "at", "2", "--store", "sqlite:a.db"]);
    let blocks = at["blocks"].as_array().unwrap();
    assert_eq!((blocks.len(), &blocks[1]["hash"]), (2, &own[1]["hash"]));
    assert_eq!(blocks[1]["producer"], "a");
    let none = run(folder, &["fork", "at", "9", "--store", "sqlite:a.db"]);
    assert_eq!(none.code, 1);
    // The other way round nothing changes.
    let resolved = ok(folder, &resolve("sqlite:b.db", "sqlite:a.db"));
    assert_eq!(
        (&resolved["offered"], &resolved["changes"]),
        (&0.into(), &Value::Array(vec![]))
    );
    ok(folder, &["verify", "--store", "sqlite:a.db"]);
}

#[test]
fn the_tree_is_drawn_for_people() {
    let folder = two_hubs();
    let folder = folder.path();
    let made = produce(folder, "a");
    produce(folder, "b");
    produce(folder, "b");
    ok(folder, &resolve("sqlite:b.db", "sqlite:a.db"));
    let shown = std::process::Command::new(env!("CARGO_BIN_EXE_hubledger"))
        .args(["fork", "show", "--store", "sqlite:b.db"])
        .current_dir(folder)
        .output()
        .unwrap();
    let drawing = String::from_utf8(shown.stdout).unwrap();
    let lines: Vec<&str> = drawing.lines().collect();
    assert_eq!(lines.len(), 5, "{drawing}");
    assert!(
        lines[0].starts_with("● 2 ") && lines[0].ends_with("last block"),
        "{drawing}"
    );
    assert!(lines[1].starts_with("● 1 "), "{drawing}");
    assert_eq!(
        lines[2],
        format!("│ ○ 1 {}", made["hash"].as_str().unwrap())
    );
    assert_eq!(lines[3], "├─╯");
    assert!(
        lines[4].starts_with("● 0 ") && lines[4].ends_with("final"),
        "{drawing}"
    );
}

#[test]
fn two_stores_with_different_final_blocks_stay_apart_and_say_so() {
    let folder = two_hubs();
    let folder = folder.path();
    for _ in 0..5 {
        produce(folder, "a");
    }
    for _ in 0..7 {
        produce(folder, "b");
    }
    let before = ok(folder, &["get", "--store", "sqlite:a.db", "--head"]);
    let refused = run(folder, &resolve("sqlite:a.db", "sqlite:b.db"));
    assert_eq!(refused.code, 3);
    assert_eq!(
        (&refused.json["reason"], &refused.json["offered"]),
        (&"fork".into(), &4.into())
    );
    // So many of the other's blocks, by the depth, make its first one final.
    let alarm = &refused.json["alarm"];
    assert_eq!(
        (&alarm["height"], &alarm["halts"]),
        (&1.into(), &false.into())
    );
    assert_ne!(alarm["held"], alarm["offered"]);
    assert!(refused.stderr.contains("final"), "{}", refused.stderr);
    assert_eq!(
        ok(folder, &["get", "--store", "sqlite:a.db", "--head"]),
        before
    );
}

#[test]
fn rows_are_proved_and_a_snapshot_is_exported_where_only_some_blocks_name_a_root() {
    let folder = two_hubs();
    let folder = folder.path();
    for _ in 0..7 {
        produce(folder, "a");
    }
    let prove = [
        "prove",
        "--store",
        "sqlite:a.db",
        "--account",
        "a",
        "--out",
        "p",
    ];
    let proven = ok(folder, &prove);
    assert_eq!(
        (&proven["height"], &proven["present"]),
        (&6.into(), &true.into())
    );
    let head = ok(folder, &["get", "--store", "sqlite:a.db", "--head"]);
    let head = head["hash"].as_str().unwrap();
    ok(
        folder,
        &["verify-proof", "p", "--head", head, "--account", "a"],
    );
    let export = ["snapshot", "export", "--store", "sqlite:a.db", "--out", "s"];
    let exported = ok(folder, &export);
    assert_eq!(exported["blocks"], 5, "block 4 is final, and names a root");
    let import = [
        "import",
        "--snapshot",
        "s",
        "--store",
        "sqlite:c.db",
        "--head",
    ];
    ok(
        folder,
        &[&import[..], &[exported["head"].as_str().unwrap()]].concat(),
    );
    let resolved = ok(folder, &resolve("sqlite:c.db", "sqlite:a.db"));
    assert_eq!(resolved["best"]["head"], head);
}

#[test]
fn a_change_of_branches_that_is_killed_at_any_moment_leaves_one_of_both() {
    let folder = hubs(100);
    let folder = folder.path();
    let own: Vec<Value> = (0..6).map(|_| produce(folder, "a")).collect();
    for _ in 0..9 {
        produce(folder, "b");
    }
    let change = resolve("sqlite:c.db", "sqlite:b.db");
    let begin_anew = || {
        for end in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(folder.join(format!("c.db{end}")));
        }
        fs::copy(folder.join("a.db"), folder.join("c.db")).unwrap();
    };
    begin_anew();
    let started = Instant::now();
    let whole = ok(folder, &change);
    let whole_took = started.elapsed();
    let mut killed = 0;
    for round in 0..24 {
        begin_anew();
        let mut child = program(folder, &change)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (delay, started) = (whole_took * round / 24, Instant::now());
        while started.elapsed() < delay && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        killed += u32::from(child.wait().unwrap().code().is_none());
        let head = ok(folder, &["get", "--store", "sqlite:c.db", "--head"]);
        let height = head["height"].to_string();
        let of_b = ok(
            folder,
            &["get", "--store", "sqlite:b.db", "--block", &height],
        );
        let is_own = head["hash"] == own[5]["hash"];
        assert!(is_own || head["hash"] == of_b["hash"], "{head}");
        ok(folder, &["verify", "--store", "sqlite:c.db"]);
        assert_eq!(ok(folder, &change)["best"], whole["best"]);
    }
    assert!(killed > 4, "only {killed} were killed while they ran");
}
