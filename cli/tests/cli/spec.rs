//! Specifications, checked and put into words.

use std::fs;

use serde_json::json;

use crate::support::{ok, program, run, specification};

#[test]
fn a_sound_specification_is_put_into_words_with_its_chain() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    specification(folder, &["hub", "hub2"], "round_robin = true", "");
    let report = ok(folder, &["spec", "check", "own.toml"]);
    assert_eq!(
        (&report["verdict"], &report["name"]),
        (&"valid".into(), &"own".into())
    );
    let made = ok(
        folder,
        &["init", "--store", "sqlite:s.db", "--spec", "own.toml"],
    );
    assert_eq!(
        (&report["chain"], &report["genesis"]),
        (&made["chain"], &made["head"])
    );
    let words = report["meaning"]["consensus"].as_str().unwrap();
    assert!(
        words.contains("2 authorities seal blocks, one after the other"),
        "{words}"
    );
    assert_eq!(report["warnings"][0]["field"], "consensus.round_robin");
    // Its canonical bytes are the same specification.
    let shown = ok(folder, &["show", "own.toml"]);
    assert_eq!(shown["chain"], report["chain"]);
    assert_eq!(shown["fields"]["rules"]["identity"], "pinned");
}

#[test]
fn everything_that_is_wrong_is_listed_and_the_worst_decides() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let more = "[limits]\nbody_bytes_max = 100\n[rules]\nbalances = true\nfee_min = 7\nclock_drift_max_us = 300\n";
    specification(folder, &["hub"], "", more);
    let bad = run(folder, &["spec", "check", "own.toml"]);
    assert_eq!((bad.code, &bad.json["verdict"]), (3, &"invalid".into()));
    let fields = |list: &str| -> Vec<_> {
        let list = bad.json[list].as_array().unwrap().iter();
        list.map(|one| one["field"].clone()).collect()
    };
    assert_eq!(
        fields("contradictions"),
        ["limits.body_bytes_max", "rules.fee_min"]
    );
    assert_eq!(
        fields("warnings"),
        ["rules.balances", "rules.clock_drift_max_us"]
    );
    let detail = bad.json["contradictions"][0]["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("line 10, column 1: 100 bytes, but"),
        "{detail}"
    );
    assert_eq!(bad.stderr.lines().count(), 4, "{}", bad.stderr);
    fs::write(folder.join("syntax.toml"), "name = 5\n").unwrap();
    fs::write(folder.join("bytes"), b"\x01\xff").unwrap();
    let several = run(
        folder,
        &["spec", "check", "syntax.toml", "own.toml", "bytes"],
    );
    assert_eq!(
        (several.code, &several.json["verdict"]),
        (3, &"invalid".into())
    );
    let reports = several.json["specifications"].as_array().unwrap();
    assert_eq!(reports[0]["reason"], "malformed");
    assert!(
        reports[0]["detail"]
            .as_str()
            .unwrap()
            .contains("line 1, column 8")
    );
    assert_eq!(reports[1], bad.json);
    assert_eq!(reports[2]["reason"], "malformed");
    for named in [
        "syntax.toml: ",
        "own.toml: limits",
        "own.toml: rules",
        "bytes: name at byte 1",
    ] {
        assert!(
            several.stderr.contains(named),
            "{named} in {}",
            several.stderr
        );
    }
    let missing = run(folder, &["spec", "check", "own.toml", "missing.toml"]);
    assert_eq!(
        (missing.code, &missing.json["error"]),
        (1, &json!("failed"))
    );
    assert_eq!(run(folder, &["spec", "check"]).code, 2);
}

#[test]
fn the_examples_are_sound() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    let folder = tempfile::tempdir().unwrap();
    for name in ["governance", "messaging", "registry"] {
        let report = ok(
            folder.path(),
            &["spec", "check", &format!("{examples}/{name}.toml")],
        );
        assert_eq!(report["contradictions"], json!([]), "{name}");
    }
}

#[test]
fn people_read_what_a_specification_means() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    specification(folder, &["hub"], "", "");
    let mut command = std::process::Command::new(program(folder, &[]).get_program());
    let output = command
        .args(["spec", "check", "own.toml"])
        .current_dir(folder)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("verdict: valid\n"), "{text}");
    let line = "  rules.witnesses_min: A transaction needs at least 1 witness.\n";
    assert!(text.contains(line), "{text}");
}
