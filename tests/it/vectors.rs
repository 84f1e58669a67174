//! Vectors as files, for other implementations (`tests/vectors/README.md`): what they say is what this one does. `HUBLEDGER_WRITE_VECTORS=1`
//! writes them anew.

use std::fs;
use std::path::PathBuf;

use hubledger::digest::Digest;
use hubledger::format::FormatVersion;
use hubledger::format::sparse::{self, Path, PathEnd};
use hubledger::model::{Block, HeaderFields};
use hubledger::proof::Proof;
use hubledger::rejection::Reason;
use hubledger::rules::{Depth, Validator};
use hubledger::spec::ChainSpec;
use hubledger::state::{Put, StateTree, TABLE_ACCOUNTS};
use serde_json::{Value, json};

use crate::common::{Chain, account};

/// Writes the vectors if that is asked for, and reads them.
pub(crate) fn vectors(name: &str, made: impl FnOnce() -> Value) -> Value {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let path = folder.join(name);
    if std::env::var_os("HUBLEDGER_WRITE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(&made()).unwrap();
        fs::write(&path, text + "\n").unwrap();
    }
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    serde_json::from_str(&text).unwrap()
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn digest(value: &Value) -> Digest {
    value.as_str().unwrap().parse().unwrap()
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

/// Rows of cases: of each its table, key and value.
type Rows = Vec<(u8, Vec<u8>, Vec<u8>)>;

fn cases() -> Vec<(&'static str, Rows)> {
    let numbered = |count: u32| {
        let row = |number: u32| {
            let key = format!("node-{number}").into_bytes();
            ((number % 3) as u8, key, vec![7; (number % 60) as usize])
        };
        (0..count).map(row).collect()
    };
    // Found by search: their places share twelve bits.
    let near = |key: &[u8]| sparse::place(1, key).0[..2] == [0, 0];
    let close = (0_u32..)
        .map(|n| n.to_string().into_bytes())
        .filter(|key| near(key));
    let close = close
        .take(3)
        .map(|key| (1, key, b"near".to_vec()))
        .collect();
    vec![
        ("no rows", Vec::new()),
        ("one row", numbered(1)),
        ("two rows", numbered(2)),
        ("three rows whose places begin with sixteen zeros", close),
        ("a hundred rows", numbered(100)),
        (
            "an empty key and an empty value",
            vec![(0, Vec::new(), Vec::new()), (255, vec![0], vec![0])],
        ),
    ]
}

fn tree_vectors() -> Value {
    let case = |(name, rows): (&str, Rows)| {
        let mut tree = filled(&rows);
        let root = tree.root();
        let mut asked: Vec<(u8, Vec<u8>)> = rows
            .iter()
            .step_by(9)
            .map(|row| (row.0, row.1.clone()))
            .collect();
        asked.extend([(1, b"nobody".to_vec()), (9, b"node-1".to_vec())]);
        let proof = |(table, key): &(u8, Vec<u8>)| {
            let (path, value) = tree.prove(*table, key).unwrap();
            let other = match path.end {
                PathEnd::Other { place, value } => json!({ "place": place, "value_hash": value }),
                PathEnd::Present | PathEnd::Empty => Value::Null,
            };
            json!({
                "table": table,
                "key": hex::encode(key),
                "place": sparse::place(*table, key),
                "value": value.map(hex::encode),
                "path": path.siblings,
                "other": other,
            })
        };
        let row = |(table, key, value): &(u8, Vec<u8>, Vec<u8>)| json!({ "table": table, "key": hex::encode(key), "value": hex::encode(value) });
        json!({
            "name": name,
            "rows": rows.iter().map(row).collect::<Vec<_>>(),
            "root": root,
            "proofs": asked.iter().map(proof).collect::<Vec<_>>(),
        })
    };
    Value::Array(cases().into_iter().map(case).collect())
}

fn filled(rows: &Rows) -> StateTree {
    let mut tree = StateTree::default();
    for (table, key, value) in rows {
        tree.change(&[Put {
            table: *table,
            key,
            value: Some(value),
        }]);
    }
    tree
}

#[test]
fn the_tree_over_a_state() {
    let vectors = vectors("state-tree.json", tree_vectors);
    assert_eq!(list(&vectors).len(), cases().len());
    for case in list(&vectors) {
        let row = |row: &Value| {
            let table = row["table"].as_u64().unwrap() as u8;
            (table, bytes(&row["key"]), bytes(&row["value"]))
        };
        let rows: Rows = list(&case["rows"]).iter().map(row).collect();
        let root = digest(&case["root"]);
        assert_eq!(filled(&rows).root(), root, "{}", case["name"]);
        // By the definition alone, too.
        let mut hashed: Vec<(Digest, Digest)> = rows
            .iter()
            .map(|(table, key, value)| (sparse::place(*table, key), sparse::value_hash(value)))
            .collect();
        hashed.sort_unstable();
        assert_eq!(sparse::root(&hashed), root, "{}", case["name"]);
        for proof in list(&case["proofs"]) {
            let value = proof["value"]
                .as_str()
                .map(|text| hex::decode(text).unwrap());
            let other = &proof["other"];
            let path = Path {
                siblings: list(&proof["path"]).iter().map(digest).collect(),
                end: match (&value, other.is_null()) {
                    (Some(_), _) => PathEnd::Present,
                    (None, true) => PathEnd::Empty,
                    (None, false) => PathEnd::Other {
                        place: digest(&other["place"]),
                        value: digest(&other["value_hash"]),
                    },
                },
            };
            let table = proof["table"].as_u64().unwrap() as u8;
            let place = sparse::place(table, &bytes(&proof["key"]));
            assert_eq!(place, digest(&proof["place"]));
            assert_eq!(path.verify(&place, value.as_deref(), &root), Ok(()));
        }
    }
}

/// A chain with balances, of three blocks.
fn chain() -> Chain {
    let mut chain = Chain::in_version(FormatVersion::V2, 1, |fields| {
        fields.terms.root_interval = 1;
        fields.rules.balances = true;
        fields.rules.fee_min = 1;
        fields
            .accounts
            .extend(["alice", "bob"].map(|name| account(name, 1000)));
    });
    for nonce in 1..4 {
        let transactions = [
            chain.transfer("alice", "bob", (100, 2), nonce),
            chain.transfer("bob", "carol", (7, 1), nonce),
        ];
        let block = chain.block(&transactions);
        chain.push(block);
    }
    chain
}

fn chain_vectors() -> Value {
    let chain = chain();
    let next = [chain.message("alice", 9)];
    let forged = |change: fn(&mut HeaderFields)| chain.forged(&next, change);
    let refused: [(&str, Block); 6] = [
        (
            "another state root",
            forged(|header| header.state_root.0[0] ^= 1),
        ),
        (
            "no state root",
            forged(|header| header.state_root = Digest::ZERO),
        ),
        ("another weight", forged(|header| header.weight += 1)),
        (
            "another number of transactions",
            forged(|header| header.transactions += 1),
        ),
        (
            "other members",
            forged(|header| header.members_root.0[31] ^= 1),
        ),
        (
            "a nonce that was used",
            chain.block(&[chain.message("alice", 2)]),
        ),
    ];
    let refused = refused.map(|(name, block)| {
        let reason = chain.check(&block).unwrap_err().reason;
        json!({ "name": name, "block": hex::encode(block.encode()), "reason": reason.to_string() })
    });
    let ledger = chain.ledger();
    let (reader, state) = (ledger.reader(), ledger.state());
    let prove = |name: &str| {
        let proof = Proof::State(reader.prove_account(state, name, None).unwrap());
        let bytes = hex::encode(proof.encode());
        json!({ "account": name, "bytes": bytes, "json": serde_json::from_str::<Value>(&proof.to_json()).unwrap() })
    };
    let proofs: Vec<Value> = ["alice", "bob", "carol", "hub-0", "nobody"]
        .into_iter()
        .map(prove)
        .collect();
    json!({
        "specification": hex::encode(chain.spec().bytes()),
        "chain": chain.spec().id(),
        "blocks": chain.blocks[1..].iter().map(|block| json!({
            "block": hex::encode(block.encode()),
            "hash": block.hash(),
            "state_root": block.header().state_root,
        })).collect::<Vec<_>>(),
        "refused_next": refused,
        "head": chain.last().hash(),
        "proofs": proofs,
    })
}

#[test]
fn a_chain_of_version_2_with_verdicts_and_proofs() {
    let vectors = vectors("chain-2.json", chain_vectors);
    let spec = ChainSpec::decode(&bytes(&vectors["specification"])).unwrap();
    assert_eq!(json!(spec.id()), vectors["chain"]);
    let mut validator = Validator::new(spec);
    let depth = Depth::Full {
        now_us: u64::MAX / 4,
    };
    for entry in list(&vectors["blocks"]) {
        let block = Block::decode(&bytes(&entry["block"]).into()).unwrap();
        assert_eq!(json!(block.hash()), entry["hash"]);
        assert_eq!(json!(block.header().state_root), entry["state_root"]);
        let valid = validator.check(&block, depth).unwrap();
        validator.apply(&valid);
    }
    assert_eq!(json!(validator.state().head()), vectors["head"]);
    let mut reasons = Vec::new();
    for entry in list(&vectors["refused_next"]) {
        let block = Block::decode(&bytes(&entry["block"]).into()).unwrap();
        let rejected = validator.check(&block, depth).unwrap_err();
        assert_eq!(
            json!(rejected.reason.to_string()),
            entry["reason"],
            "{}",
            entry["name"]
        );
        reasons.push(rejected.reason);
    }
    assert_eq!(
        reasons
            .iter()
            .filter(|reason| **reason == Reason::StateRoot)
            .count(),
        2
    );
    let head = validator.state().head();
    for entry in list(&vectors["proofs"]) {
        let proof = Proof::decode(&bytes(&entry["bytes"]).into()).unwrap();
        assert_eq!(Proof::from_json(&entry["json"].to_string()).unwrap(), proof);
        let Proof::State(proof) = proof else {
            panic!("a proof of the state");
        };
        let proven = proof.verify(&head).unwrap();
        let name = entry["account"].as_str().unwrap();
        assert_eq!(
            (proven.table, &proven.key[..]),
            (TABLE_ACCOUNTS, name.as_bytes())
        );
        let account = validator.state().account(name);
        let encoded = (account != hubledger::state::Account::default()).then(|| account.encode());
        let expected = encoded.as_ref().map(|encoded| encoded.as_bytes());
        assert_eq!(proven.value.as_deref(), expected, "{name}");
    }
}
