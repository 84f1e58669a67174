//! Stores of which bytes were flipped, zeroed or taken away, and what the program saves of them.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Run, generate, ok, run};

const BLOCKS: u64 = 41;

/// A folder with a sound store `URL`, closed in order, of [`BLOCKS`] blocks of 5 transactions.
fn store(scheme: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), "a.hlb", 200, 5);
    let url = format!("{scheme}:store");
    ok(folder.path(), &["import", "a.hlb", "--store", &url]);
    (folder, url)
}

/// The first transaction's payload and id of a block.
fn block(folder: &Path, url: &str, height: u64) -> Value {
    ok(
        folder,
        &["get", "--store", url, "--block", &height.to_string()],
    )
}

/// The offset of bytes in a file, and its path.
fn find(path: PathBuf, bytes: &[u8]) -> Option<(PathBuf, u64)> {
    let content = fs::read(&path).ok()?;
    let at = content
        .windows(bytes.len())
        .position(|window| window == bytes)?;
    Some((path, at as u64))
}

fn store_files(folder: &Path) -> Vec<PathBuf> {
    let path = folder.join("store");
    match path.is_dir() {
        true => fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect(),
        false => vec![path],
    }
}

fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}

fn zero(path: &Path, from: u64, length: usize) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&vec![0; length], from).unwrap();
}

/// Flips a byte in the body of the block: in the payload of its first transaction.
fn damage_body(folder: &Path, block: &Value) {
    let payload = block["transactions"][0]["payload"].as_str().unwrap();
    let payload = hex::decode(payload).unwrap();
    let found = store_files(folder)
        .into_iter()
        .find_map(|path| find(path, &payload[..24]));
    let (path, at) = found.unwrap();
    flip(&path, at + 3);
}

/// Flips a byte in the header of the block: in its Merkle root, which is nowhere else.
fn damage_header(folder: &Path, block: &Value) {
    let root = hex::decode(block["merkle_root"].as_str().unwrap()).unwrap();
    let found = store_files(folder)
        .into_iter()
        .find_map(|path| find(path, &root));
    let (path, at) = found.unwrap();
    flip(&path, at + 3);
}

fn migrate(folder: &Path, from: &str, to: &str) -> Run {
    run(
        folder,
        &["migrate", "--from", from, "--to", to, "--skip-damaged"],
    )
}

/// Compares a copy with the chain in an undamaged store: exactly `lost` bodies are missing.
fn compare(folder: &Path, sound: &str, copy: &str, lost: &BTreeSet<u64>, end: u64) {
    let verified = ok(folder, &["verify", "--store", copy]);
    assert_eq!(verified["verdict"], "valid");
    for height in 0..end {
        let expected = block(folder, sound, height);
        let found = run(
            folder,
            &["get", "--store", copy, "--block", &height.to_string()],
        );
        let id = &expected["transactions"][0]["id"];
        let sent = |store| {
            id.as_str()
                .map(|id| run(folder, &["get", "--store", store, "--tx", id]))
        };
        if lost.contains(&height) {
            assert_eq!(found.code, 4, "{}", found.json);
            let detail = found.json["detail"].as_str().unwrap();
            assert!(
                detail.contains(&format!("block {height} was lost")),
                "{detail}"
            );
            assert_eq!(sent(copy).unwrap().code, 4);
        } else {
            assert_eq!(found.json, expected);
            let (expected, found) = (sent(sound), sent(copy));
            assert_eq!(expected.map(|run| run.json), found.map(|run| run.json));
        }
    }
}

fn as_ranges(heights: &BTreeSet<u64>) -> Value {
    let mut ranges: Vec<[u64; 2]> = Vec::new();
    for height in heights {
        match ranges.last_mut().filter(|last| last[1] + 1 == *height) {
            Some(last) => last[1] = *height,
            None => ranges.push([*height, *height]),
        }
    }
    json!(ranges)
}

#[test]
fn what_can_be_read_of_a_damaged_store_is_saved_and_the_rest_is_listed() {
    for (scheme, target) in [("log", "sqlite"), ("sqlite", "log")] {
        let (folder, url) = store(scheme);
        let folder = folder.path();
        ok(
            folder,
            &["migrate", "--from", &url, "--to", "sqlite:sound.db"],
        );
        let sound = "sqlite:sound.db";
        let copy = format!("{target}:saved");
        // Nothing is missing of a sound store.
        let whole = format!("{target}:whole");
        let report = migrate(folder, &url, &whole);
        assert_eq!((report.code, &report.json["missing"]), (0, &json!({})));
        let lost = BTreeSet::from([5, 6, 17]);
        for height in &lost {
            damage_body(folder, &block(folder, sound, *height));
        }
        // Without the flag nothing is made, and everything that is lost is named.
        let refused = run(folder, &["migrate", "--from", &url, "--to", "log:refused"]);
        assert_eq!(refused.code, 4, "{}", refused.json);
        assert_eq!(refused.json["lost"]["body"]["ranges"], as_ranges(&lost));
        assert!(
            refused.stderr.contains("--skip-damaged"),
            "{}",
            refused.stderr
        );
        let backup = run(folder, &["backup", "--store", &url, "--to", "log:backup"]);
        assert_eq!(
            (backup.code, &backup.json["lost"]),
            (4, &refused.json["lost"])
        );
        let verified = run(folder, &["verify", "--store", &url]);
        assert_eq!(verified.code, 4);
        assert_eq!(verified.json["lost"]["body"]["ranges"], as_ranges(&lost));
        let got = run(folder, &["get", "--store", &url, "--block", "17"]);
        assert_eq!(got.code, 4);
        assert!(got.json["detail"].as_str().unwrap().contains("height 17"));
        // With it, all else is. This makes a log one that can't be opened as it is.
        damage_header(folder, &block(folder, sound, 29));
        let lost = BTreeSet::from([5, 6, 17, 29]);
        let saved = migrate(folder, &url, &copy);
        assert_eq!(saved.code, 4, "{} {}", saved.json, saved.stderr);
        assert_eq!(saved.json["blocks"], BLOCKS);
        let missing = &saved.json["missing"];
        assert_eq!(missing["body"]["ranges"], as_ranges(&lost));
        assert_eq!(missing["header"]["ranges"], json!([[29, 29]]));
        assert_eq!(missing["index"], Value::Null, "keys are read by themselves");
        assert!(
            saved.stderr.contains("body 5-6, 17, 29"),
            "{}",
            saved.stderr
        );
        compare(folder, sound, &copy, &lost, BLOCKS);
        let stats = ok(folder, &["stats", "--store", &copy]);
        assert_eq!(&stats["missing"], missing);
        let checked = ok(folder, &["check", "--store", &copy]);
        assert_eq!(&checked["chain"]["missing"], missing);
        // A copy of the copy knows of it too, and the chain goes on.
        let again = ok(folder, &["backup", "--store", &copy, "--to", "log:again"]);
        assert_eq!(&again["missing"], missing);
        ok(folder, &["import", "a.hlb", "--store", "log:again"]);
        // Finished copies are left alone.
        assert_eq!(migrate(folder, &url, &copy).code, 1);
    }
}

#[test]
fn a_page_of_zeros_takes_only_what_was_in_it() {
    for scheme in ["log", "sqlite"] {
        let (folder, url) = store(scheme);
        let folder = folder.path();
        ok(
            folder,
            &["migrate", "--from", &url, "--to", "sqlite:sound.db"],
        );
        // The page in which the body of a block is, of a file that isn't read when the store is opened.
        let payload = block(folder, "sqlite:sound.db", 20)["transactions"][0]["payload"].clone();
        let payload = hex::decode(payload.as_str().unwrap()).unwrap();
        let found = store_files(folder)
            .into_iter()
            .find_map(|path| find(path, &payload[..24]));
        let (path, at) = found.unwrap();
        zero(&path, at / 4096 * 4096, 4096);
        let saved = migrate(folder, &url, "log:saved");
        assert_eq!(saved.code, 4, "{} {}", saved.json, saved.stderr);
        let lost = saved.json["missing"]["body"]["ranges"].as_array().unwrap();
        let lost: BTreeSet<u64> = lost
            .iter()
            .flat_map(|range| range[0].as_u64().unwrap()..=range[1].as_u64().unwrap())
            .collect();
        assert!(lost.contains(&20) && lost.len() <= 8, "{lost:?}");
        compare(folder, "sqlite:sound.db", "log:saved", &lost, BLOCKS);
    }
}

#[test]
fn a_database_that_cannot_be_opened_is_an_error_that_says_so() {
    let (folder, url) = store("sqlite");
    zero(&folder.path().join("store"), 0, 100);
    let refused = migrate(folder.path(), &url, "log:saved");
    assert_eq!(
        (refused.code, &refused.json["error"]),
        (4, &json!("corrupt")),
        "{}",
        refused.json
    );
    assert!(!folder.path().join("saved").exists());
    // A hole in place of a file is no store either.
    let hole = File::create(folder.path().join("store")).unwrap();
    hole.set_len(1 << 20).unwrap();
    assert_eq!(migrate(folder.path(), &url, "log:saved").code, 4);
}

#[test]
fn a_log_that_cannot_be_opened_is_saved_as_far_as_its_files_can_be_read() {
    type Damage = fn(&Path);
    let remove =
        |name: &'static str| move |store: &Path| fs::remove_file(store.join(name)).unwrap();
    let (mark, identity, bodies) = (remove("mark"), remove("store"), remove("bodies-00000000"));
    let superblock: Damage = |store| zero(&store.join("heads-00000000"), 0, 80);
    let page: Damage = |store| zero(&store.join("heads-00000000"), 8192, 4096);
    let frame: Damage = |store| {
        // The head of the last run: its records are found without it.
        let heads = fs::read(store.join("heads-00000000")).unwrap();
        let mut windows = heads.windows(4);
        let at = windows.rposition(|bytes| bytes == b"HLFR").unwrap();
        flip(&store.join("heads-00000000"), at as u64 + 20);
    };
    let all: BTreeSet<u64> = (1..BLOCKS).collect();
    let none = BTreeSet::new();
    // What it is called, what is done, and the heights whose bodies are lost by it, where that can be told.
    type Case<'a> = (&'a str, &'a dyn Fn(&Path), Option<&'a BTreeSet<u64>>);
    let cases: [Case<'_>; 6] = [
        ("no mark", &mark, Some(&none)),
        ("no identity", &identity, Some(&none)),
        ("no superblock", &superblock, Some(&none)),
        ("no bodies", &bodies, Some(&all)),
        ("a page of zeros", &page, None),
        ("a frame", &frame, Some(&none)),
    ];
    let (folder, url) = store("log");
    let folder = folder.path();
    ok(
        folder,
        &["migrate", "--from", &url, "--to", "sqlite:sound.db"],
    );
    for (number, (what, damage, expected)) in cases.into_iter().enumerate() {
        let name = format!("damaged-{number}");
        let copy = folder.join(&name);
        fs::create_dir_all(copy.join("tables")).unwrap();
        let tables = fs::read_dir(folder.join("store/tables")).unwrap();
        let tables = tables.map(|entry| entry.unwrap().path());
        for file in store_files(folder).into_iter().chain(tables) {
            if file.is_file() {
                let inside = file.strip_prefix(folder.join("store")).unwrap();
                fs::copy(&file, copy.join(inside)).unwrap();
            }
        }
        damage(&folder.join(&name));
        let (from, to) = (format!("log:{name}"), format!("sqlite:saved-{number}.db"));
        // As it is it can't be opened, and only whoever asks for it is given the rest.
        assert_eq!(run(folder, &["stats", "--store", &from]).code, 4, "{what}");
        assert_eq!(run(folder, &["check", "--store", &from]).code, 4, "{what}");
        let refused = run(folder, &["migrate", "--from", &from, "--to", "log:refused"]);
        assert_eq!(refused.code, 4, "{what}");
        assert!(
            refused.stderr.contains("--skip-damaged"),
            "{}",
            refused.stderr
        );
        let saved = migrate(folder, &from, &to);
        assert_eq!(saved.code, 4, "{what}: {} {}", saved.json, saved.stderr);
        assert_ne!(saved.json["opened_with_damage"], json!([]), "{what}");
        assert_eq!(
            saved.json["blocks"], BLOCKS,
            "{what}: the snapshot is at the tip"
        );
        let mut lost = BTreeSet::new();
        for range in saved.json["missing"]["body"]["ranges"]
            .as_array()
            .into_iter()
            .flatten()
        {
            lost.extend(range[0].as_u64().unwrap()..=range[1].as_u64().unwrap());
        }
        match expected {
            Some(expected) => assert_eq!(lost, *expected, "{what}"),
            None => assert!(!lost.is_empty() && lost.len() < 30, "{what}: {lost:?}"),
        }
        compare(folder, "sqlite:sound.db", &to, &lost, BLOCKS);
        // It goes on where it ends, though the last header may be lost.
        ok(folder, &["stats", "--store", &to]);
    }
    // Without the values there is no specification, and nothing can be told from damage.
    fs::remove_file(folder.join("store/meta-00000000")).unwrap();
    let refused = migrate(folder, &url, "log:nothing");
    assert_eq!(refused.code, 4, "{}", refused.json);
    let detail = refused.json["detail"].as_str().unwrap();
    assert!(
        detail.contains("meta-00000000") && detail.contains("missing"),
        "{detail}"
    );
    assert!(!folder.join("nothing").exists());
}
