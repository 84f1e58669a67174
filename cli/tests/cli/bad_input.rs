//! Bad input gets one clear line and the right exit code, and leaves the store as it was.

use std::collections::HashSet;
use std::path::Path;

use crate::support::{Run, generate, ok, run};

/// A folder with a valid block file of five blocks and its bytes.
fn folder() -> (tempfile::TempDir, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path(), "good.hlb", 50, 10);
    let bytes = std::fs::read(folder.path().join("good.hlb")).unwrap();
    (folder, bytes)
}

/// Offsets of the frames (their lengths) in a block file.
fn frames(bytes: &[u8]) -> Vec<usize> {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let mut at = 16 + word(12);
    let mut frames = Vec::new();
    while at < bytes.len() {
        frames.push(at);
        at += 4 + word(at);
    }
    frames
}

fn import(folder: &Path, bytes: &[u8]) -> Run {
    std::fs::write(folder.join("bad.hlb"), bytes).unwrap();
    let run = run(folder, &["import", "bad.hlb", "--store", "sqlite:s.db"]);
    if folder.join("s.db").exists() {
        ok(folder, &["verify", "--store", "sqlite:s.db"]);
        std::fs::remove_file(folder.join("s.db")).unwrap();
    }
    run
}

#[test]
fn a_file_cut_anywhere_is_malformed_at_the_right_height_or_no_block_file() {
    let (folder, bytes) = folder();
    let frames = frames(&bytes);
    for cut in [0, 3, 8, 15, 40, frames[0] - 1] {
        let run = import(folder.path(), &bytes[..cut]);
        assert_eq!(
            (run.code, run.json["error"].clone()),
            (1, "failed".into()),
            "cut at {cut}"
        );
        assert!(run.stderr.contains("bad.hlb"), "{}", run.stderr);
    }
    for (height, &frame) in (1u64..).zip(&frames) {
        for cut in [frame + 2, frame + 4, frame + 100] {
            let run = import(folder.path(), &bytes[..cut]);
            assert_eq!(run.code, 3);
            assert_eq!(
                (run.json["reason"].clone(), run.json["height"].clone()),
                ("malformed".into(), height.into())
            );
            let detail = run.json["detail"].as_str().unwrap();
            assert!(
                detail.contains("bad.hlb") && detail.contains(&frame.to_string()),
                "{detail}"
            );
            assert_eq!(run.json["blocks"], height, "what came before is committed");
        }
    }
}

#[test]
fn every_flipped_bit_of_a_block_is_rejected() {
    let (folder, bytes) = folder();
    let frames = frames(&bytes);
    let (start, end) = (frames[1] + 4, frames[2]);
    for step in 0..120 {
        let at = start + (end - start) * step / 120;
        let mut bad = bytes.clone();
        bad[at] ^= 1 << (step % 8);
        let run = import(folder.path(), &bad);
        assert_eq!(
            (run.code, run.json["verdict"].clone()),
            (3, "invalid".into()),
            "byte {at}: {}",
            run.stderr
        );
        assert_eq!(run.json["blocks"], 2);
    }
}

#[test]
fn blocks_in_the_wrong_order_and_over_long_frames_are_rejected() {
    let (folder, bytes) = folder();
    let frames = frames(&bytes);
    let mut swapped = bytes[..frames[0]].to_vec();
    swapped.extend_from_slice(&bytes[frames[1]..frames[2]]);
    swapped.extend_from_slice(&bytes[frames[0]..frames[1]]);
    let run = import(folder.path(), &swapped);
    assert_eq!((run.code, run.json["reason"].clone()), (3, "height".into()));
    let mut long = bytes[..frames[0]].to_vec();
    long.extend_from_slice(&[0xff; 64]);
    let run = import(folder.path(), &long);
    assert_eq!(
        (run.code, run.json["reason"].clone()),
        (3, "malformed".into())
    );
}

#[test]
fn another_chain_another_version_and_a_fork_are_refused() {
    let (folder, bytes) = folder();
    let folder = folder.path();
    ok(folder, &["import", "good.hlb", "--store", "sqlite:held.db"]);
    ok(
        folder,
        &[
            "generate",
            "--transactions",
            "5",
            "--seed",
            "9",
            "--out",
            "other.hlb",
        ],
    );
    let run_other = run(
        folder,
        &["import", "other.hlb", "--store", "sqlite:held.db"],
    );
    assert_eq!(
        (run_other.code, run_other.json["reason"].clone()),
        (3, "chain".into())
    );
    // The same chain (its specification doesn't depend on the payload) with other blocks.
    ok(
        folder,
        &[
            "generate",
            "--transactions",
            "5",
            "--payload",
            "9",
            "--out",
            "fork.hlb",
        ],
    );
    let fork = run(folder, &["import", "fork.hlb", "--store", "sqlite:held.db"]);
    assert_eq!(
        (
            fork.code,
            fork.json["reason"].clone(),
            fork.json["height"].clone()
        ),
        (3, "fork".into(), 1.into())
    );
    let mut newer = bytes.clone();
    newer[8] = 2;
    let run_newer = import(folder, &newer);
    assert_eq!(run_newer.code, 1);
    assert!(
        run_newer.stderr.contains("version 2"),
        "{}",
        run_newer.stderr
    );
    ok(folder, &["verify", "--store", "sqlite:held.db"]);
}

#[test]
fn files_that_are_not_what_they_should_be_are_named_in_one_line() {
    let (folder, _) = folder();
    let folder = folder.path();
    std::fs::write(
        folder.join("text"),
        "this is no database and no block file\n".repeat(100),
    )
    .unwrap();
    std::fs::create_dir(folder.join("dir")).unwrap();
    let attempts: &[(&[&str], &str)] = &[
        (
            &["import", "missing.hlb", "--store", "sqlite:s.db"],
            "missing.hlb",
        ),
        (&["import", "dir", "--store", "sqlite:s.db"], "dir"),
        (&["import", "text", "--store", "sqlite:s.db"], "text"),
        (&["import", "good.hlb", "--store", "sqlite:text"], "text"),
        (&["import", "good.hlb", "--store", "sqlite:dir"], "dir"),
        (
            &["import", "good.hlb", "--store", "sqlite:nowhere/at/all.db"],
            "nowhere",
        ),
        (&["verify", "--store", "sqlite:missing.db"], "missing.db"),
        (&["verify", "--store", "sqlite:text"], "text"),
        (&["get", "--store", "sqlite:dir", "--head"], "dir"),
        (
            &["get", "--store", "sqlite:two\nlines", "--head"],
            "two lines",
        ),
        (
            &["verify-proof", "missing.proof", "--head", &"0".repeat(64)],
            "missing.proof",
        ),
        (
            &["init", "--store", "sqlite:n.db", "--spec", "text"],
            "text",
        ),
        (
            &["generate", "--transactions", "1", "--out", "nowhere/x.hlb"],
            "nowhere",
        ),
        (
            &["generate", "--transactions", "1", "--out", "good.hlb"],
            "good.hlb",
        ),
    ];
    for (args, named) in attempts {
        let run = run(folder, args);
        assert_eq!(run.code, 1, "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains(named), "{args:?}: {}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{args:?}: {}", run.stderr);
        let parts: Vec<&str> = run.stderr.trim_end().split(": ").collect();
        let causes: HashSet<&&str> = parts.iter().collect();
        assert_eq!(causes.len(), parts.len(), "said twice: {}", run.stderr);
        assert_eq!(run.json["error"], "failed", "{args:?}");
    }
    assert!(
        !folder.join("s.db").exists(),
        "nothing was created for an unreadable file"
    );
    let text = std::fs::read_to_string(folder.join("text")).unwrap();
    assert!(
        text.starts_with("this is no database"),
        "a foreign file is left as it was"
    );
}

#[test]
fn usage_errors_exit_with_two() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        &["import"][..],
        &["get", "--store", "sqlite:a"],
        &["verify"],
        &["nonsense"],
        &["import", "a", "--store", "floppy:a"],
        &["verify-proof", "a", "--head", "abc"],
        &[
            "prove",
            "--store",
            "sqlite:a",
            "--extends",
            "abc",
            "--out",
            "p",
        ],
        &["get", "--store", "sqlite:a", "--block", "1.5"],
        &[
            "get",
            "--store",
            "sqlite:a",
            "--block",
            "18446744073709551616",
        ],
    ] {
        let status = crate::support::program(folder.path(), args)
            .output()
            .unwrap()
            .status;
        assert_eq!(status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_damaged_store_is_reported_as_corrupt_or_answers_rightly() {
    let (folder, _) = folder();
    let folder = folder.path();
    ok(
        folder,
        &["import", "good.hlb", "--store", "sqlite:whole.db"],
    );
    let head = ok(folder, &["get", "--store", "sqlite:whole.db", "--head"])["hash"].clone();
    let whole = std::fs::read(folder.join("whole.db")).unwrap();
    let mut corrupt = 0;
    for step in 0..60 {
        let at = 100 + (whole.len() - 100) * step / 60;
        let mut bad = whole.clone();
        bad[at] ^= 0x10;
        std::fs::write(folder.join("bad.db"), &bad).unwrap();
        let run = run(folder, &["verify", "--store", "sqlite:bad.db"]);
        match run.code {
            0 => assert_eq!(run.json["head"], head),
            1 | 3 => {}
            4 => corrupt += 1,
            other => panic!("exit code {other}: {}", run.stderr),
        }
        for tail in ["bad.db-wal", "bad.db-shm"] {
            if folder.join(tail).exists() {
                std::fs::remove_file(folder.join(tail)).unwrap();
            }
        }
    }
    assert!(
        corrupt > 20,
        "only {corrupt} of 60 flips were reported as corrupt"
    );
}

#[test]
fn a_full_disk_is_one_clear_line_and_the_store_opens_again() {
    let (folder, _) = folder();
    let folder = folder.path();
    generate(folder, "big.hlb", 5000, 500);
    // A file size limit stands in for a full disk: writes beyond it fail.
    let program = env!("CARGO_BIN_EXE_hubledger");
    let script = format!(
        "trap '' XFSZ; ulimit -f 1000; exec {program} --json import big.hlb --store sqlite:full.db"
    );
    let output = std::process::Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder)
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("full.db"), "{stderr}");
    if folder.join("full.db").exists() {
        let imported = ok(folder, &["import", "big.hlb", "--store", "sqlite:full.db"]);
        assert_eq!(imported["transactions"], 5000);
        ok(folder, &["verify", "--store", "sqlite:full.db"]);
    }
}

#[test]
fn a_damaged_block_is_named_by_its_place_in_the_file_also_where_the_store_is_further() {
    let (folder, bytes) = folder();
    let folder = folder.path();
    let frames = frames(&bytes);
    let mut bad_version = bytes.clone();
    bad_version[frames[2] + 8] ^= 1;
    let mut bad_witness = bytes.clone();
    bad_witness[frames[3] - 1] ^= 1;
    let cut = bytes[..frames[2] + 100].to_vec();
    ok(folder, &["import", "good.hlb", "--store", "sqlite:s.db"]);
    for (bad, reason) in [
        (bad_version, "version"),
        (bad_witness, "merkle_root"),
        (cut, "malformed"),
    ] {
        std::fs::write(folder.join("bad.hlb"), bad).unwrap();
        let run = run(folder, &["import", "bad.hlb", "--store", "sqlite:s.db"]);
        assert_eq!(run.code, 3, "{}", run.stderr);
        assert_eq!(
            (run.json["reason"].clone(), run.json["height"].clone()),
            (reason.into(), 3.into())
        );
    }
}

#[test]
fn a_proof_replaces_nothing_but_a_proof() {
    let (folder, whole) = folder();
    let folder = folder.path();
    ok(folder, &["import", "good.hlb", "--store", "sqlite:s.db"]);
    let block = ok(folder, &["get", "--store", "sqlite:s.db", "--block", "1"]);
    let id = block["transactions"][0]["id"].as_str().unwrap();
    let prove = |out| {
        let args = ["prove", "--store", "sqlite:s.db", "--tx", id, "--out", out];
        run(folder, &args)
    };
    std::fs::write(folder.join("empty"), "").unwrap();
    for out in ["p", "p", "p.json", "p.json", "empty"] {
        assert_eq!(prove(out).code, 0, "{out}");
    }
    for out in ["s.db", "good.hlb"] {
        let refused = prove(out);
        assert_eq!(refused.code, 1);
        assert!(refused.stderr.contains(out), "{}", refused.stderr);
    }
    ok(folder, &["verify", "--store", "sqlite:s.db"]);
    assert_eq!(std::fs::read(folder.join("good.hlb")).unwrap(), whole);
}

/// A specification by a new key `hub.pem`, with these lines at its end.
fn specification(folder: &Path, more: &str) -> String {
    if !folder.join("hub.pem").exists() {
        let key = ok(folder, &["keygen", "--out", "hub.pem"])["public_key"].clone();
        std::fs::write(folder.join("hub.key"), key.to_string()).unwrap();
    }
    let key = std::fs::read_to_string(folder.join("hub.key")).unwrap();
    format!(
        "name = \"own\"\ngenesis_time = 1\n[consensus]\nkind = \"proof_of_authority\"\n\
         [[consensus.authorities]]\nname = \"hub\"\nkey = {key}\n{more}"
    )
}

#[test]
fn a_specification_that_contradicts_itself_begins_no_chain() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let text = specification(folder, "[limits]\npayload_bytes_max = 16777216\n");
    std::fs::write(folder.join("own.toml"), &text).unwrap();
    let generate = [
        "generate",
        "--transactions",
        "1",
        "--out",
        "own.hlb",
        "--key",
        "hub.pem",
    ];
    for args in [
        &["init", "--store", "sqlite:own.db", "--spec", "own.toml"][..],
        &[&generate[..], &["--spec", "own.toml"]].concat(),
    ] {
        let run = run(folder, args);
        assert_eq!(run.code, 1, "{}", run.stderr);
        let expected = "own.toml: limits.body_bytes_max: line 9, column 1: 16777216 bytes, but";
        assert!(run.stderr.contains(expected), "{}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    }
    assert!(!folder.join("own.db").exists() && !folder.join("own.hlb").exists());
}

#[test]
fn a_chain_whose_specification_contradicts_itself_still_opens_with_a_warning() {
    use hubledger::blockfile::BlockFileWriter;
    use hubledger::spec::{ChainSpec, SpecFields};

    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let text = specification(folder, "[limits]\nbody_bytes_max = 100\n");
    let spec = ChainSpec::new(SpecFields::from_toml(&text).unwrap()).unwrap();
    let file = BlockFileWriter::create(&folder.join("old.hlb"), &spec).unwrap();
    file.finish().unwrap();
    for args in [
        &["import", "old.hlb", "--store", "sqlite:old.db"][..],
        &["get", "--store", "sqlite:old.db", "--head"],
        &["import", "old.hlb", "--store", "sqlite:old.db"],
    ] {
        let run = run(folder, args);
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert!(
            run.stderr.contains("limits.body_bytes_max: 100 bytes"),
            "{}",
            run.stderr
        );
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    }
}

#[test]
fn a_payload_beyond_its_limit_is_blamed_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let attempt = |payload, per_block| {
        let args = [
            "generate",
            "--transactions",
            "1",
            "--out",
            "a.hlb",
            "--payload",
            payload,
        ];
        run(
            folder.path(),
            &[&args[..], &["--per-block", per_block]].concat(),
        )
    };
    assert_eq!(attempt("16777216", "1").code, 0);
    let above = attempt("16777217", "1000");
    assert_eq!(above.code, 1);
    assert!(
        above.stderr.contains("payload: 16777217 bytes"),
        "{}",
        above.stderr
    );
    let together = attempt("16777216", "1000");
    assert_eq!(together.code, 1);
    assert!(
        together.stderr.contains("15 into a block"),
        "{}",
        together.stderr
    );
}

#[test]
fn a_dash_is_no_file_of_that_name() {
    let folder = tempfile::tempdir().unwrap();
    let head = "0".repeat(64);
    for args in [
        &["keygen", "--out", "-"][..],
        &["get", "--store", "sqlite:a", "--tx", "b", "--out", "-"],
        &[
            "prove",
            "--store",
            "sqlite:a",
            "--extends",
            &head,
            "--out",
            "-",
        ],
    ] {
        let output = crate::support::program(folder.path(), args)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            stderr.contains("--out") && stderr.contains("./-"),
            "{stderr}"
        );
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert_eq!(run(folder.path(), &["keygen", "--out", "./-"]).code, 0);
}
