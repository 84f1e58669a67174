//! The main job, from a block file to a checked proof.

use crate::support::{generate, ok, run};

#[test]
fn a_block_file_becomes_a_verified_durable_provable_chain() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let made = generate(folder, "a.hlb", 500, 100);
    assert_eq!(made["blocks"], 6);
    let imported = ok(folder, &["import", "a.hlb", "--store", "sqlite:a.db"]);
    assert_eq!(imported["verdict"], "valid");
    assert_eq!(imported["head"], made["head"]);
    assert_eq!(imported["blocks"], 6);
    assert_eq!(imported["transactions"], 500);
    assert_eq!(imported["durability"], "disk");
    let stages = imported["stages"].as_object().unwrap();
    let share = |stage: &str| stages[stage]["share"].as_f64().unwrap();
    let pool = ["decode", "hash", "signatures", "validate"].map(share);
    for shares in [share("read"), pool.iter().sum(), share("commit")] {
        assert!(shares <= 1.001, "no more time than there was: {shares}");
    }
    assert_eq!(stages["commit"]["items"], 500);
    assert!(stages.contains_key(imported["wall"].as_str().unwrap()));
    let again = ok(folder, &["import", "a.hlb", "--store", "sqlite:a.db"]);
    assert_eq!(
        (again["skipped"].clone(), again["imported"].clone()),
        (5.into(), 0.into())
    );
    let verified = ok(folder, &["verify", "--store", "sqlite:a.db"]);
    assert_eq!(verified["head"], made["head"]);

    let head = made["head"].as_str().unwrap();
    let block = ok(folder, &["get", "--store", "sqlite:a.db", "--block", "2"]);
    assert_eq!(block["transactions"].as_array().unwrap().len(), 100);
    let id = block["transactions"][7]["id"].as_str().unwrap();
    let found = ok(folder, &["get", "--store", "sqlite:a.db", "--tx", id]);
    assert_eq!(
        (found["height"].clone(), found["index"].clone()),
        (2.into(), 7.into())
    );
    assert_eq!(found["witnesses"][0]["verifies"], true);
    assert_eq!(
        ok(folder, &["get", "--store", "sqlite:a.db", "--head"])["hash"],
        head
    );
    let by_hash = ok(
        folder,
        &[
            "get",
            "--store",
            "sqlite:a.db",
            "--block",
            block["hash"].as_str().unwrap(),
        ],
    );
    assert_eq!(by_hash["height"], 2);

    for name in ["p.bin", "p.json"] {
        ok(
            folder,
            &["prove", "--store", "sqlite:a.db", "--tx", id, "--out", name],
        );
        let proven = ok(folder, &["verify-proof", name, "--head", head, "--tx", id]);
        assert_eq!(
            (proven["height"].clone(), proven["transaction"].clone()),
            (2.into(), id.into())
        );
        let other = run(folder, &["verify-proof", name, "--head", &"0".repeat(64)]);
        assert_eq!(
            (other.code, other.json["verdict"].clone()),
            (3, "invalid".into())
        );
    }
    let old = block["hash"].as_str().unwrap();
    ok(
        folder,
        &[
            "prove",
            "--store",
            "sqlite:a.db",
            "--extends",
            old,
            "--out",
            "x.bin",
        ],
    );
    ok(
        folder,
        &["verify-proof", "x.bin", "--head", head, "--extends", old],
    );
    let stats = ok(folder, &["stats", "--store", "sqlite:a.db"]);
    assert_eq!(
        (stats["blocks"].clone(), stats["index_entries"].clone()),
        (6.into(), 500.into())
    );
}

#[test]
fn a_chain_of_ones_own_begins_with_a_key_and_a_specification() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let key = ok(folder, &["keygen", "--out", "hub.pem"]);
    let spec = format!(
        "name = \"own\"\ngenesis_time = 1\n[consensus]\nkind = \"proof_of_authority\"\n\
         [[consensus.authorities]]\nname = \"hub\"\nkey = {}\n",
        key["public_key"]
    );
    std::fs::write(folder.join("own.toml"), spec).unwrap();
    let store = ok(
        folder,
        &["init", "--store", "sqlite:own.db", "--spec", "own.toml"],
    );
    let generate = [
        "generate",
        "--transactions",
        "10",
        "--out",
        "own.hlb",
        "--spec",
        "own.toml",
        "--key",
    ];
    ok(folder, &[&generate[..], &["hub.pem"]].concat());
    let imported = ok(
        folder,
        &[
            "import",
            "own.hlb",
            "--store",
            "sqlite:own.db",
            "--spec",
            "own.toml",
        ],
    );
    assert_eq!(imported["transactions"], 10);
    assert_eq!(
        ok(folder, &["stats", "--store", "sqlite:own.db"])["chain"],
        store["chain"]
    );
    assert_eq!(
        run(folder, &["keygen", "--out", "hub.pem"]).code,
        1,
        "a key is never replaced"
    );
    assert_eq!(
        run(
            folder,
            &["init", "--store", "sqlite:own.db", "--spec", "own.toml"]
        )
        .code,
        1
    );
}

#[test]
fn the_example_specifications_make_stores() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["governance", "messaging", "registry"] {
        let spec = format!("{}/../examples/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        ok(
            folder.path(),
            &[
                "init",
                "--store",
                &format!("sqlite:{name}.db"),
                "--spec",
                &spec,
            ],
        );
        ok(
            folder.path(),
            &["verify", "--store", &format!("sqlite:{name}.db")],
        );
    }
}

#[test]
fn every_command_shows_an_example_and_completions_exist() {
    let folder = tempfile::tempdir().unwrap();
    let commands = [
        "init",
        "generate",
        "keygen",
        "import",
        "verify",
        "get",
        "prove",
        "verify-proof",
        "stats",
        "demo",
        "completions",
    ];
    for command in commands {
        let help = std::process::Command::new(env!("CARGO_BIN_EXE_hubledger"))
            .args([command, "--help"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let text = String::from_utf8(help.stdout).unwrap();
        assert!(
            text.contains(&format!("hubledger {command}")) && text.contains("Example"),
            "{text}"
        );
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = std::process::Command::new(env!("CARGO_BIN_EXE_hubledger"))
            .args(["completions", shell])
            .output()
            .unwrap();
        assert!(script.status.success() && !script.stdout.is_empty());
    }
    assert_eq!(
        run(folder.path(), &["demo", "--transactions", "50"]).code,
        0
    );
}

#[test]
fn a_log_holds_the_same_chain_as_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let made = generate(folder, "a.hlb", 500, 100);
    for store in ["log:a", "sqlite:a.db"] {
        let imported = ok(folder, &["import", "a.hlb", "--store", store]);
        assert_eq!(imported["head"], made["head"]);
        let again = ok(folder, &["import", "a.hlb", "--store", store]);
        assert_eq!(again["imported"], 0);
    }
    let same = |arguments: &[&str]| {
        let answers = ["log:a", "sqlite:a.db"].map(|store| {
            let arguments = [arguments, &["--store", store]].concat();
            ok(folder, &arguments)
        });
        assert_eq!(answers[0], answers[1], "{arguments:?}");
        answers[0].clone()
    };
    let block = same(&["get", "--block", "2"]);
    let id = block["transactions"][7]["id"].as_str().unwrap();
    assert_eq!(same(&["get", "--tx", id])["index"], 7);
    same(&["get", "--head"]);
    let verified = ok(folder, &["verify", "--store", "log:a"]);
    assert_eq!(verified["head"], made["head"]);
    assert_eq!(ok(folder, &["stats", "--store", "log:a"])["height"], 5);
}
