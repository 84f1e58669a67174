//! Chains of MPREG on the command line.

use std::path::PathBuf;

use hubledger::blockfile::BlockFileWriter;
use hubledger::ledger::ChainReader;
use hubledger_storage::StoreUrl;
use serde_json::Value;

use crate::support::{ok, run};

fn data(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../mpreg/tests/data/mpreg")
        .join(name)
        .display()
        .to_string()
}

#[test]
fn all_chains_of_a_store_are_checked_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let whole = ok(
        folder.path(),
        &["verify", "--mpreg", &data("federation.db"), "--audit"],
    );
    assert_eq!(whole["verdict"], "valid");
    assert_eq!(whole["chains"].as_array().unwrap().len(), 4);
    let one = ok(
        folder.path(),
        &[
            "verify",
            "--mpreg",
            &data("federation.db"),
            "--chain",
            "hub_registry",
        ],
    );
    assert_eq!(
        (one["blocks"].clone(), one["transactions"].clone()),
        (10.into(), 75.into())
    );
    assert_eq!(
        one["head"],
        "363a63e676bad9c74b7a3216f46dcef71464335b35a85e6e1d3b70a623f757d7"
    );
    let none = run(
        folder.path(),
        &[
            "verify",
            "--mpreg",
            &data("federation.db"),
            "--chain",
            "nope",
        ],
    );
    assert_eq!(none.code, 1);
    assert!(
        none.stderr.contains("hub_registry"),
        "the chains there are get listed: {}",
        none.stderr
    );
}

#[test]
fn an_imported_chain_is_native_and_its_transactions_keep_id_and_signature() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for chain in [
        "fabric_governance",
        "message_routing",
        "hub_registry",
        "pow_chain",
    ] {
        let store = format!("sqlite:{chain}.db");
        let import = [
            "import",
            "--mpreg",
            &data("federation.db"),
            "--chain",
            chain,
            "--store",
            &store,
        ];
        let imported = ok(folder, &import);
        let verified = ok(folder, &["verify", "--store", &store]);
        assert_eq!(imported["head"], verified["head"]);
        let again = ok(folder, &import);
        assert_eq!(
            (again["head"].clone(), again["imported"].clone()),
            (imported["head"].clone(), 0.into())
        );
    }
    let id = "7ce42c82-0741-4e4b-8d5f-6ec963ca828d";
    let store = "sqlite:fabric_governance.db";
    let found = ok(folder, &["get", "--store", store, "--tx", id]);
    assert_eq!(found["original"]["transaction_id"], id);
    assert_eq!(found["height"], 2);
    ok(
        folder,
        &["prove", "--store", store, "--tx", id, "--out", "p"],
    );
    let head = ok(folder, &["get", "--store", store, "--head"])["hash"].clone();
    ok(
        folder,
        &["verify-proof", "p", "--head", head.as_str().unwrap()],
    );

    let signed = data("signed7.db");
    ok(
        folder,
        &["import", "--mpreg", &signed, "--store", "sqlite:signed.db"],
    );
    let block = ok(
        folder,
        &["get", "--store", "sqlite:signed.db", "--block", "3"],
    );
    let transactions = block["transactions"].as_array().unwrap();
    assert!(!transactions.is_empty());
    assert!(
        transactions
            .iter()
            .all(|transaction| transaction["witnesses"][0]["verifies"] == true)
    );
    assert_eq!(
        ok(folder, &["verify", "--store", "sqlite:signed.db"])["verdict"],
        "valid"
    );
}

#[test]
fn a_record_can_go_on_natively_under_a_specification() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let key = ok(folder, &["keygen", "--out", "hub.pem"]);
    let spec = format!(
        "name = \"on\"\ngenesis_time = 1\n[consensus]\nkind = \"proof_of_authority\"\n\
         [[consensus.authorities]]\nname = \"hub\"\nkey = {}\n",
        key["public_key"]
    );
    std::fs::write(folder.join("on.toml"), spec).unwrap();
    let source = data("federation.db");
    let import = [
        "import",
        "--mpreg",
        &source,
        "--chain",
        "pow_chain",
        "--store",
        "sqlite:on.db",
    ];
    let imported = ok(folder, &[&import[..], &["--spec", "on.toml"]].concat());
    assert_eq!(
        (
            imported["blocks"].clone(),
            imported["source_blocks"].clone()
        ),
        (4.into(), 3.into())
    );
    assert_eq!(
        ok(folder, &["stats", "--store", "sqlite:on.db"])["authorities"],
        1
    );
    // Without the specification it would be another chain, so the store refuses it.
    let other = run(folder, &import);
    assert_eq!(
        (other.code, other.json["reason"].clone()),
        (3, "chain".into())
    );
}

#[test]
fn a_chain_with_a_record_is_upgraded_once_the_record_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let key = ok(folder, &["keygen", "--out", "hub.pem"]);
    let spec = format!(
        "name = \"on\"\ngenesis_time = 1\n[consensus]\nkind = \"proof_of_authority\"\n\
         [[consensus.authorities]]\nname = \"hub\"\nkey = {}\n",
        key["public_key"]
    );
    std::fs::write(folder.join("on.toml"), spec).unwrap();
    let source = data("federation.db");
    let from = ["import", "--mpreg", &source, "--chain", "pow_chain"];
    let import = [&from[..], &["--spec", "on.toml", "--store", "sqlite:on.db"]].concat();
    ok(folder, &import);
    let made = ok(folder, &["upgrade", "--store", "sqlite:on.db"]);
    assert_eq!(
        (&made["upgraded"], &made["height"]),
        (&true.into(), &3.into())
    );
    ok(folder, &["keygen", "--out", "alice.pem"]);
    let who = [
        "tx",
        "--operation",
        "message",
        "--sender",
        "alice",
        "--receiver",
        "bob",
    ];
    let how = [
        "--key",
        "alice.pem",
        "--store",
        "sqlite:on.db",
        "--out",
        "a.bin",
    ];
    ok(folder, &[&who[..], &how].concat());
    let produce = [
        "produce",
        "--store",
        "sqlite:on.db",
        "--key",
        "hub.pem",
        "a.bin",
    ];
    let produced = ok(folder, &produce);
    assert_eq!(produced["height"], 4);
    let again = ok(folder, &import);
    assert_eq!(
        (&again["imported"], &again["skipped"]),
        (&0.into(), &3.into())
    );
    assert_eq!(
        ok(folder, &["verify", "--store", "sqlite:on.db"])["verdict"],
        "valid"
    );

    // Of the same record only the first blocks.
    let url: StoreUrl = format!("sqlite:{}", folder.join("on.db").display())
        .parse()
        .unwrap();
    let chain = ChainReader::open(url.open_read_only().unwrap()).unwrap();
    let mut file = BlockFileWriter::create(&folder.join("part.hlb"), chain.spec().at(0)).unwrap();
    for height in [1, 2] {
        file.append(&chain.block(height).unwrap().unwrap()).unwrap();
    }
    file.finish().unwrap();
    ok(folder, &["import", "part.hlb", "--store", "sqlite:part.db"]);
    let refused = run(folder, &["upgrade", "--store", "sqlite:part.db"]);
    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.contains("1 blocks of the record"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_store_without_chains_and_a_damaged_one_are_not_valid() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("damaged.db"), b"SQLite format 3\0").unwrap();
    let empty = rusqlite::Connection::open(folder.join("empty.db")).unwrap();
    empty
        .execute_batch(
            "CREATE TABLE chains (chain_id, consensus_config, crypto_config);
             CREATE TABLE blocks (chain_id, height, block_hash, timestamp, block_json);",
        )
        .unwrap();
    for (name, code) in [("damaged.db", 4), ("empty.db", 1)] {
        for command in ["verify", "import"] {
            let mut args = vec![command, "--mpreg", name];
            if command == "import" {
                args.extend(["--store", "sqlite:new.db"]);
            }
            let run = run(folder, &args);
            assert_eq!(run.code, code, "{args:?}: {}", run.stderr);
            assert!(run.stderr.contains(name), "{}", run.stderr);
        }
    }
    assert!(!folder.join("new.db").exists());
}

#[test]
fn a_record_that_is_not_whole_yet_is_said_to_be_so() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let source = data("federation.db");
    let from = ["import", "--mpreg", &source, "--chain", "pow_chain"];
    let whole = ok(
        folder,
        &[&from[..], &["--store", "sqlite:whole.db"]].concat(),
    );
    assert_eq!(whole["record_missing"], Value::Null);
    let url: StoreUrl = format!("sqlite:{}", folder.join("whole.db").display())
        .parse()
        .unwrap();
    let chain = ChainReader::open(url.open_read_only().unwrap()).unwrap();
    let mut file = BlockFileWriter::create(&folder.join("part.hlb"), chain.spec()).unwrap();
    for height in [1, 2] {
        file.append(&chain.block(height).unwrap().unwrap()).unwrap();
    }
    file.finish().unwrap();
    let part = ok(folder, &["import", "part.hlb", "--store", "sqlite:part.db"]);
    assert_eq!(part["record_missing"], 1);
    let part = ok(folder, &["verify", "--store", "sqlite:part.db"]);
    assert_eq!(part["record_missing"], 1);
    ok(
        folder,
        &[&from[..], &["--store", "sqlite:part.db"]].concat(),
    );
    let now_whole = ok(folder, &["verify", "--store", "sqlite:part.db"]);
    assert_eq!(now_whole["record_missing"], Value::Null);
    assert_eq!(now_whole["head"], whole["head"]);
}
