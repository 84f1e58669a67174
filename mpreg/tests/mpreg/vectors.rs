//! Everything that MPREG computed comes out the same.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use hubledger_mpreg::merkle::{self, Proof};
use hubledger_mpreg::{
    Audit, Block, ChainReport, Number, Source, Transaction, VectorClock, verify_chain,
};
use serde_json::Value;

use crate::support::{NOW, data_path};

fn vectors() -> Value {
    let text = std::fs::read_to_string(data_path("vectors.json")).expect("the vectors are there");
    serde_json::from_str(&text).expect("the vectors are JSON")
}

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no string"))
}

fn items(value: &Value) -> &[Value] {
    value
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_else(|| panic!("{value} is no array"))
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(text(value)).expect("hexadecimal")
}

#[test]
fn every_transaction_has_mpregs_signing_bytes_and_hash() {
    let vectors = vectors();
    assert!(items(&vectors["transactions"]).len() >= 40);
    for vector in items(&vectors["transactions"]) {
        let json = vector["json"].to_string();
        let transaction = Transaction::from_json(json.as_bytes()).expect(&json);
        assert_eq!(
            transaction.signing_bytes(),
            bytes(&vector["to_bytes"]),
            "{json}"
        );
        assert_eq!(transaction.hash(), text(&vector["hash"]), "{json}");
        assert_eq!(
            transaction.recorded_hash.as_deref(),
            Some(text(&vector["hash"]))
        );
    }
}

#[test]
fn every_block_has_mpregs_hash() {
    let vectors = vectors();
    assert!(items(&vectors["blocks"]).len() >= 14);
    for vector in items(&vectors["blocks"]) {
        let json = vector["json"].to_string();
        let block = Block::from_json(json.as_bytes(), 0).expect(&json);
        assert_eq!(block.hash(), text(&vector["hash"]), "{json}");
    }
}

#[test]
fn every_merkle_root_and_proof_is_mpregs() {
    let vectors = vectors();
    for vector in items(&vectors["merkle"]) {
        let leaves: Vec<Vec<u8>> = items(&vector["leaves"]).iter().map(bytes).collect();
        assert_eq!(
            merkle::root(&leaves),
            text(&vector["root"]),
            "{} leaves",
            leaves.len()
        );
        for expected in items(&vector["proofs"]) {
            let proof: Proof = serde_json::from_value(expected.clone()).expect("a proof");
            assert!(proof.verify());
            let index = usize::try_from(proof.leaf_index).expect("a small index");
            assert_eq!(Proof::generate(&leaves, index).as_ref(), Some(&proof));
            assert_eq!(serde_json::to_value(&proof).expect("serialises"), *expected);
        }
    }
}

/// The chains of the committed stores, and with the full store `signed.db` in `MPREG_VECTORS_DIR` that too.
#[test]
fn every_chain_is_valid_and_has_mpregs_figures() {
    let vectors = vectors();
    let chains = vectors["chains"].as_object().expect("chains by name");
    let mut seen = 0;
    for (name, expected) in chains {
        let (file, chain) = name.split_once('/').expect("file/chain");
        let path = match std::env::var_os("MPREG_VECTORS_DIR") {
            Some(directory) => std::path::Path::new(&directory).join(file),
            None => data_path(file),
        };
        if file == "signed.db" && !path.exists() {
            continue;
        }
        let source = Source::open(&path).expect(name);
        let config = source.chain(chain).expect(name).config.clone().expect(name);
        let mut audit = Audit::new(&config);
        let report = verify_chain(
            &source,
            chain,
            NOW,
            &mut |_, _| ControlFlow::Continue(()),
            Some(&mut audit),
        );
        let report = report.expect(name);
        report.verdict.clone().expect(name);
        compare_figures(&report, expected);
        compare_blocks(&source, chain, expected);
        if let Some(balances) = expected["balances"].as_object() {
            for (account, balance) in balances {
                let balance: i128 = balance.to_string().parse().expect("an integer");
                assert_eq!(
                    audit.balances().get(account),
                    Some(balance),
                    "{name} {account}"
                );
            }
        }
        seen += 1;
    }
    assert!(seen >= 4, "only {seen} chains");
}

fn compare_figures(report: &ChainReport, expected: &Value) {
    let summary = report
        .summary
        .as_ref()
        .expect("a valid chain has a summary");
    let summary = serde_json::to_value(summary).expect("serialises");
    assert_eq!(summary, expected["summary"]);
    assert_eq!(
        report.head.as_deref(),
        expected["summary"]["latest_block_hash"].as_str()
    );
    if let Some(difficulty) = expected["difficulty"].as_i64() {
        assert_eq!(report.current_difficulty, Some(i128::from(difficulty)));
    }
}

fn compare_blocks(source: &Source, chain: &str, expected: &Value) {
    let mut blocks = Vec::new();
    source
        .for_each_row(chain, &mut |row| {
            blocks.push(row.read(0).expect("valid"));
            ControlFlow::Continue(())
        })
        .expect("readable");
    if let Some(expected) = expected["blocks"].as_array() {
        assert_eq!(blocks.len(), expected.len());
        for (block, expected) in blocks.iter().zip(expected) {
            assert_eq!(Some(block.height), expected["height"].as_u64());
            assert_eq!(block.hash(), text(&expected["hash"]));
            assert_eq!(block.merkle_root, text(&expected["merkle_root"]));
        }
    }
    if let Some(expected) = expected["clock"].as_object() {
        let number = |value: &Value| Number::parse(&value.to_string()).expect("a number");
        let clock: VectorClock = expected
            .iter()
            .map(|(node, counter)| (node.clone(), number(counter)))
            .collect();
        assert_eq!(blocks.last().map(|block| &block.vector_clock), Some(&clock));
    }
}

/// As far as the committed store reaches; all of it with `MPREG_VECTORS_DIR`.
#[test]
fn sampled_signed_transactions_are_where_mpreg_says() {
    let path = match std::env::var_os("MPREG_VECTORS_DIR") {
        Some(directory) => std::path::Path::new(&directory).join("signed.db"),
        None => data_path("signed7.db"),
    };
    let source = Source::open(&path).expect("opens");
    let mut ids = BTreeMap::new();
    source
        .for_each_row("signed", &mut |row| {
            let block = row.read(0).expect("valid");
            for (index, transaction) in block.transactions().iter().enumerate() {
                assert!(transaction.signature.is_some());
                ids.insert((block.height, index as u64), transaction.id.clone());
            }
            ControlFlow::Continue(())
        })
        .expect("readable");
    let tip = ids.keys().next_back().expect("transactions").0;
    let mut seen = 0;
    for sample in items(&vectors()["signed_sample"]) {
        let at = (
            sample["height"].as_u64().expect("u64"),
            sample["index"].as_u64().expect("u64"),
        );
        if at.0 <= tip {
            assert_eq!(
                ids.get(&at).map(String::as_str),
                sample["transaction_id"].as_str()
            );
            seen += 1;
        }
    }
    assert!(seen >= 6);
}
