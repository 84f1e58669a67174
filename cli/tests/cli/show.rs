//! Files of every kind, shown; and what is none of them.

use std::fs::{self, File};

use serde_json::{Value, json};

use crate::support::{OWN, Run, generate, ok, own_chain, produce, program, run, send};

/// A folder with a file of each kind, and their names with their formats.
fn folder() -> (tempfile::TempDir, [(&'static str, &'static str); 6]) {
    let folder = own_chain("");
    let path = folder.path();
    let made = send(path, "alice", "tx.bin", &[]);
    ok(path, &produce(&["tx.bin", "--out", "block.hlb"]));
    ok(path, &produce(&["--allow-empty"]));
    let id = made["id"].as_str().unwrap();
    let prove = ["prove", "--store", OWN, "--tx", id, "--out"];
    for proof in ["proof.bin", "proof.json"] {
        ok(path, &[&prove[..], &[proof]].concat());
    }
    let bytes = fs::read(path.join("block.hlb")).unwrap();
    let spec = 16 + u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    fs::write(path.join("spec.bin"), &bytes[16..spec]).unwrap();
    fs::write(path.join("block.bin"), &bytes[spec + 4..]).unwrap();
    let kinds = [
        ("tx.bin", "transaction"),
        ("block.hlb", "block_file"),
        ("block.bin", "block"),
        ("proof.bin", "proof"),
        ("spec.bin", "specification"),
        ("own.toml", "specification"),
    ];
    (folder, kinds)
}

#[test]
fn every_kind_is_recognised_and_can_be_demanded() {
    let (folder, kinds) = folder();
    let folder = folder.path();
    for (file, format) in kinds {
        let shown = ok(folder, &["show", file]);
        assert_eq!(shown["format"], format, "{file}");
        // From a stream, in hexadecimal digits where it isn't a text or a stream itself, and by its name.
        let args = ["show", "-"];
        let stream = File::open(folder.join(file)).unwrap();
        let streamed = program(folder, &args).stdin(stream).output().unwrap();
        let streamed: Value = serde_json::from_slice(&streamed.stdout).unwrap();
        assert_eq!(streamed, shown, "{file}");
        let kind = format.replace('_', "-");
        assert_eq!(ok(folder, &["show", file, "--kind", &kind]), shown);
        if file != "own.toml" && format != "block_file" {
            let digits = hex::encode(fs::read(folder.join(file)).unwrap());
            fs::write(folder.join("digits"), digits).unwrap();
            assert_eq!(ok(folder, &["show", "digits"]), shown, "{file}");
        }
        for (_, other) in kinds.iter().filter(|(_, other)| *other != format) {
            let kind = other.replace('_', "-");
            let Run { code, json, stderr } = run(folder, &["show", file, "--kind", &kind]);
            assert_eq!(
                (code, &json["verdict"]),
                (3, &json!("invalid")),
                "{file} {other}"
            );
            assert!(stderr.contains(file), "{stderr}");
        }
    }
    let [toml, encoded] = ["own.toml", "spec.bin"].map(|file| ok(folder, &["show", file]));
    assert_eq!(toml, encoded);
}

#[test]
fn what_is_shown_agrees_with_what_the_store_says() {
    let (folder, _) = folder();
    let folder = folder.path();
    let shown = |file| ok(folder, &["show", file]);
    let held = ok(folder, &["get", "--store", OWN, "--block", "1"]);
    assert_eq!(shown("block.hlb")["blocks"], json!([held]));
    let mut alone = shown("block.bin");
    alone.as_object_mut().unwrap().remove("format");
    assert_eq!(alone, held);
    let proof = shown("proof.bin");
    assert_eq!(proof, shown("proof.json"));
    assert_eq!(proof["header"]["hash"], held["hash"]);
    assert_eq!(
        proof["head"],
        ok(folder, &["get", "--store", OWN, "--head"])
    );
    assert_eq!(proof["id"], shown("tx.bin")["id"]);
    let transaction = shown("tx.bin");
    assert_eq!(transaction["witnesses"][0]["verifies"], true);
}

#[test]
fn one_block_of_many_is_shown_by_its_height() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    generate(folder, "a.hlb", 50, 10);
    let all = ok(folder, &["show", "a.hlb"]);
    assert_eq!(all["blocks"].as_array().unwrap().len(), 5);
    for height in ["1", "3", "5"] {
        let one = ok(folder, &["show", "a.hlb", "--height", height]);
        assert_eq!(one["height"].to_string(), height);
        assert_eq!(one["transactions"].as_array().unwrap().len(), 10);
    }
    let genesis = ok(folder, &["show", "a.hlb", "--height", "0"]);
    assert_eq!(genesis["hash"], all["blocks"][0]["previous_hash"]);
    let absent = run(folder, &["show", "a.hlb", "--height", "6"]);
    assert_eq!((absent.code, &absent.json["found"]), (1, &json!("absent")));
}

#[test]
fn what_is_nothing_of_this_is_named_in_one_line() {
    let (folder, _) = folder();
    let folder = folder.path();
    fs::write(folder.join("empty"), "").unwrap();
    fs::write(folder.join("text"), "this is nothing\n").unwrap();
    fs::write(folder.join("noise"), [0xfe; 300]).unwrap();
    fs::create_dir(folder.join("dir")).unwrap();
    for (args, said) in [
        (
            &["show", "empty"][..],
            "empty: neither a block file, block, transaction, proof, evidence nor specification: it is empty",
        ),
        (&["show", "text"], "text: neither"),
        (&["show", "noise"], "it begins with fefefefefefefefe"),
        (&["show", "missing"], "missing: "),
        (&["show", "dir"], "dir: "),
        (
            &["show", "tx.bin", "--height", "1"],
            "tx.bin: no block file",
        ),
    ] {
        let run = run(folder, args);
        assert_eq!(
            (run.code, &run.json["error"]),
            (1, &json!("failed")),
            "{args:?}"
        );
        assert!(run.stderr.contains(said), "{args:?}: {}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{args:?}: {}", run.stderr);
    }
    assert_eq!(
        run(folder, &["show", "tx.bin", "--kind", "picture"]).code,
        2
    );
}

#[test]
fn damage_is_told_with_its_place() {
    let (folder, _) = folder();
    let folder = folder.path();
    for (file, at, said) in [
        ("tx.bin", 40, "sender at byte 37: "),
        ("block.bin", 30, ""),
        ("proof.bin", 8, "version at byte 8: "),
        ("spec.bin", 60, ""),
        ("block.hlb", 8, "block file version"),
    ] {
        let mut bytes = fs::read(folder.join(file)).unwrap();
        bytes[at] ^= 0x80;
        fs::write(folder.join("damaged"), &bytes).unwrap();
        let flipped = run(folder, &["show", "damaged"]);
        if !said.is_empty() {
            assert_eq!(flipped.code, 3, "{file}");
            assert!(flipped.stderr.contains("damaged: "), "{}", flipped.stderr);
            assert!(flipped.stderr.contains(said), "{}", flipped.stderr);
        }
        bytes[at] ^= 0x80;
        fs::write(folder.join("damaged"), &bytes[..bytes.len() - 1]).unwrap();
        let cut = run(folder, &["show", "damaged"]);
        assert_eq!(
            (cut.code, &cut.json["reason"]),
            (3, &json!("malformed")),
            "{file}"
        );
        assert!(cut.stderr.contains(" byte "), "{}", cut.stderr);
    }
}
