//! Following a chain by its headers, and what a file of them may say.

use std::fs;

use serde_json::{Value, json};

use crate::consensus_run::{A, agreeing, words};
use crate::support::{key, ok, own_chain, run};

#[test]
fn a_light_client_needs_few_of_the_headers_that_certificates_seal() {
    let chain = agreeing();
    for _ in 0..3 {
        chain.block(A, &[]);
    }
    let head = chain.ok("get --store sqlite:a.db --head");
    let written = chain.ok("light headers --store sqlite:a.db --sparse --out few.jsonl");
    assert_eq!(
        (&written["headers"], &written["left_out"]),
        (&json!(3), &json!(6))
    );
    let followed = chain.ok("light follow few.jsonl --spec base.hlb");
    assert_eq!(
        (&followed["head"], &followed["skipped"]),
        (&head["hash"], &json!(6))
    );
    // From a header that is trusted on; and only from one that is there.
    let trusted = chain.ok("get --store sqlite:a.db --block 4")["hash"].clone();
    let trusted = trusted.as_str().unwrap();
    chain.ok("light headers --store sqlite:a.db --from 4 --sparse --out newer.jsonl");
    let newer = format!("light follow newer.jsonl --spec spec.toml --trusted {trusted}");
    let followed = chain.ok(&newer);
    assert_eq!(
        (&followed["from"], &followed["head"]),
        (&json!(4), &head["hash"])
    );
    let absent = format!(
        "light follow newer.jsonl --spec spec.toml --trusted {}",
        "0".repeat(64)
    );
    assert_eq!(chain.run(&absent).code, 1);
    // Without it the headers before are missing.
    let refused = chain.run("light follow newer.jsonl --spec spec.toml");
    assert_eq!(
        (refused.code, &refused.json["verdict"]),
        (3, &json!("invalid"))
    );
}

#[test]
fn a_light_client_goes_through_changes_of_staked_members_and_leaves_out_what_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let hubs = ["hub-0", "hub-1"].map(|name| (name, key(folder, name)));
    let members =
        hubs.map(|(name, key)| format!("{{ name = \"{name}\", key = \"{key}\", weight = 100 }}"));
    let text = format!(
        "format = 2\nname = \"own\"\ngenesis_time = 1_700_000_000_000_000\nstake_min = 50\n[consensus]\n\
         kind = \"proof_of_stake\"\nseal = \"quorum\"\nproposer = \"turn\"\nepoch = 3\nmembers_max = 8\nrelease_delay = 120\n\
         authorities = [{}]\n[rules]\nidentity = \"pinned\"\nbalances = true\n[accounts]\n\
         alice = {{ balance = 1_000, key = \"{}\" }}\n",
        members.join(", "),
        key(folder, "alice")
    );
    fs::write(folder.join("own.toml"), text).unwrap();
    ok(folder, &words("init --store sqlite:a.db --spec own.toml"));
    // In a late round any of them has had its turn to propose.
    let seal =
        words("--store sqlite:a.db --round 5 --key hub-0.pem --key hub-1.pem --key alice.pem");
    let stake = "stake put --seal-key alice.pem --amount 600 --sender alice --key alice.pem --store sqlite:a.db --out s.bin";
    ok(folder, &words(stake));
    ok(folder, &[&["produce", "s.bin"][..], &seal].concat());
    for _ in 0..9 {
        ok(folder, &[&["produce", "--allow-empty"][..], &seal].concat());
    }
    let head = ok(folder, &words("get --store sqlite:a.db --head"));
    for (more, skipped) in [(&[][..], false), (&["--sparse"], true)] {
        let file = if skipped { "few" } else { "all" };
        let write = ["light", "headers", "--store", A, "--out", file];
        ok(folder, &[&write[..], more].concat());
        let followed = ok(folder, &["light", "follow", file, "--spec", "own.toml"]);
        assert_eq!(followed["head"], head["hash"]);
        assert_eq!(followed["members_weight"], 800);
        assert_eq!(followed["skipped"] != 0, skipped);
        let changed = followed["members_changed_at"].as_array().unwrap();
        assert_eq!(changed.len(), 1, "{followed}");
    }
    // Members that aren't those that the header before names are refused by it.
    let text = fs::read_to_string(folder.join("all")).unwrap();
    fs::write(
        folder.join("all"),
        text.replace("\"weight\":600", "\"weight\":900"),
    )
    .unwrap();
    let refused = run(folder, &["light", "follow", "all", "--spec", "own.toml"]);
    assert_eq!(
        (refused.code, &refused.json["reason"]),
        (3, &json!("members_root"))
    );
}

#[test]
fn what_is_no_evidence_and_no_header_is_refused_with_its_place() {
    let chain = agreeing();
    fs::write(chain.path().join("junk"), b"\x01 is no evidence").unwrap();
    fs::write(chain.path().join("empty"), b"").unwrap();
    for file in ["junk", "empty", "base.hlb"] {
        let shown = chain.run(&format!("evidence show {file}"));
        assert_eq!(
            (shown.code, &shown.json["reason"]),
            (3, &json!("malformed")),
            "{file}"
        );
        assert!(shown.stderr.contains(file), "{}", shown.stderr);
        let followed = chain.run(&format!("light follow {file} --spec spec.toml"));
        match file {
            "empty" => assert_eq!((followed.code, &followed.json["height"]), (0, &json!(0))),
            _ => {
                assert_eq!(
                    (followed.code, &followed.json["height"]),
                    (3, &json!(1)),
                    "{file}"
                );
                assert!(followed.stderr.contains("line 1"), "{}", followed.stderr);
            }
        }
    }
    let missing = chain.run("evidence make absent.hlb --store sqlite:a.db --out faults");
    assert_eq!(
        (missing.code, missing.stderr.contains("absent.hlb")),
        (1, true)
    );
    fs::write(
        chain.path().join("short.hlb"),
        &fs::read(chain.path().join("base.hlb")).unwrap()[..900],
    )
    .unwrap();
    let short = chain.run("evidence make short.hlb --store sqlite:a.db --out faults");
    assert!(
        short.stderr.contains("short.hlb: byte "),
        "{}",
        short.stderr
    );
    let sparse = chain.run("light headers --store sqlite:a.db --from 3 --to 99 --out h");
    assert_eq!((sparse.code, chain.path().join("h").exists()), (1, false));
}

#[test]
fn headers_of_pruned_blocks_are_followed_and_rows_that_they_name_are_proved() {
    let chain = agreeing();
    chain.ok("prune --store sqlite:a.db --keep 2");
    chain.ok("light headers --store sqlite:a.db --out headers.jsonl");
    let followed = chain.ok("light follow headers.jsonl --spec spec.toml");
    let head = followed["head"].as_str().unwrap();
    // The name of nobody, in the table of accounts.
    chain.ok("prove --store sqlite:a.db --row 1:6e6f626f6479 --out row.proof");
    let proven = chain.ok(&format!(
        "verify-proof row.proof --head {head} --account nobody"
    ));
    assert_eq!(proven["present"], false);
    for wrong in ["1", "256:00", "1:0", "x:00"] {
        let prove = ["prove", "--store", A, "--out", "p", "--row", wrong];
        assert_eq!(run(chain.path(), &prove).code, 2, "{wrong}");
    }
}

#[test]
fn a_chain_is_followed_from_a_header_of_version_1_on_through_an_upgrade() {
    let folder = own_chain("");
    let folder = folder.path();
    let block = words("produce --allow-empty --store sqlite:own.db --key hub.pem");
    let made: Vec<Value> = (0..3).map(|_| ok(folder, &block)).collect();
    ok(
        folder,
        &words("upgrade --store sqlite:own.db --out own-2.toml"),
    );
    for _ in 0..2 {
        ok(folder, &block);
    }
    ok(
        folder,
        &words("light headers --store sqlite:own.db --out headers"),
    );
    let head = ok(folder, &words("get --store sqlite:own.db --head"));
    for (from, believed) in (1..).zip(&made) {
        let trusted = believed["hash"].as_str().unwrap();
        let follow = [
            "light",
            "follow",
            "headers",
            "--spec",
            "own-2.toml",
            "--trusted",
            trusted,
        ];
        let followed = ok(folder, &follow);
        assert_eq!(
            (&followed["from"], &followed["head"]),
            (&json!(from), &head["hash"])
        );
    }
    // Whoever knows the specification before alone follows up to where the other takes over.
    let refused = run(
        folder,
        &["light", "follow", "headers", "--spec", "own.toml"],
    );
    assert_eq!((refused.code, &refused.json["followed_to"]), (3, &json!(3)));
}
