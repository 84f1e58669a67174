//! Chains made to order, and the two files that MPREG would have written for them.

use std::io::{self, Write};
use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ed25519_dalek::{Signer as _, SigningKey};
use hubledger::rejection::{Reason, Rejected};
use hubledger_mpreg::merkle;
use hubledger_mpreg::{
    Audit, Block, ChainReport, Source, Transaction, verify_chain, verify_in_parallel,
};
use rusqlite::Connection;
use serde::Serialize as _;
use serde_json::ser::Formatter;
use serde_json::{Value, json};

/// The present, as far as the tests are concerned.
pub(crate) const NOW: Duration = Duration::from_secs(1_700_001_000);

/// When the chains begin.
pub(crate) const START: f64 = 1_700_000_000.25;

pub(crate) fn data_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/mpreg")
        .join(name)
}

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// A number spelled just so.
pub(crate) fn spelled(text: &str) -> Value {
    serde_json::from_str(text).expect(text)
}

/// An unsigned transaction, different for every `seed`.
pub(crate) fn transaction(seed: u64) -> Value {
    let operation = ["transfer", "message", "consensus_vote"][seed as usize % 3];
    json!({
        "transaction_id": format!("id-{seed}"),
        "sender": format!("sender-{}", seed % 5),
        "receiver": format!("receiver-{}", seed % 3),
        "operation_type": operation,
        "payload": hex::encode(seed.to_le_bytes()),
        "timestamp": START + seed as f64 / 64.0,
        "fee": seed % 7,
        "nonce": seed,
        "signature": "",
        "public_key": "",
        "signature_algorithm": "ed25519",
        "hash": "",
    })
}

fn parse(transaction: &Value) -> Option<Transaction> {
    Transaction::from_json(transaction.to_string().as_bytes()).ok()
}

/// Signs the transaction with `key`, its sender's or not.
pub(crate) fn sign(transaction: &mut Value, key: &SigningKey) {
    transaction["signature"] = "".into();
    let bytes = parse(transaction)
        .expect("a readable transaction")
        .signing_bytes();
    transaction["signature"] = hex::encode(key.sign(&bytes).to_bytes()).into();
    transaction["public_key"] = hex::encode(key.verifying_key().to_bytes()).into();
}

/// Computes again what the block derives from its transactions. Unreadable ones are left out: the block
/// is refused before its root matters.
pub(crate) fn seal(block: &mut Value) {
    let mut leaves = Vec::new();
    for transaction in block["transactions"].as_array_mut().expect("transactions") {
        if let Some(parsed) = parse(transaction) {
            transaction["hash"] = parsed.hash().into();
            leaves.push(parsed.signing_bytes());
        }
    }
    block["merkle_root"] = merkle::root(&leaves).into();
    if let Ok(parsed) = Block::from_json(block.to_string().as_bytes(), 0) {
        block["block_hash"] = parsed.hash().into();
    }
}

/// A chain as data that a test may spoil.
#[derive(Clone)]
pub(crate) struct Chain {
    pub(crate) id: String,
    pub(crate) consensus: Value,
    pub(crate) crypto: Value,
    pub(crate) blocks: Vec<Value>,
}

impl Chain {
    /// A valid chain of `count` blocks, with `per_block` transactions each but in the first.
    pub(crate) fn valid(count: u64, per_block: u64, require_signatures: bool) -> Self {
        let mut blocks = Vec::new();
        for height in 0..count {
            let seeds = height * per_block..if height == 0 {
                0
            } else {
                (height + 1) * per_block
            };
            let transactions = seeds.map(|seed| {
                let mut transaction = transaction(seed);
                if require_signatures {
                    sign(&mut transaction, &key((seed % 5) as u8 + 1));
                }
                transaction
            });
            let clock = match height {
                0 => json!({}),
                _ => json!({ "hub_0": height.div_ceil(2), "hub_1": height / 2 }),
            };
            blocks.push(json!({
                "block_id": format!("block-{height}"),
                "height": height,
                "previous_hash": "",
                "merkle_root": "",
                "vector_clock": clock,
                "transactions": transactions.collect::<Vec<_>>(),
                "miner": format!("hub_{}", height % 2),
                "difficulty": 1,
                "nonce": 0,
                "timestamp": START + 10.0 * height as f64,
                "block_hash": "",
            }));
        }
        let mut chain = Self {
            id: "made".to_owned(),
            consensus: json!({
                "consensus_type": "proof_of_authority",
                "block_time_target": 10,
                "difficulty_adjustment_interval": 100,
                "max_transactions_per_block": 1000,
                "minimum_stake": 0,
                "authority_threshold": 0.67,
            }),
            crypto: json!({
                "hash_algorithm": "sha256",
                "signature_algorithm": "ed25519",
                "key_length": 256,
                "require_signatures": require_signatures,
            }),
            blocks,
        };
        chain.relink(0);
        chain
    }

    /// Seals the blocks from `start` on, each naming the hash of the one before.
    pub(crate) fn relink(&mut self, start: usize) {
        for index in start..self.blocks.len() {
            if index > 0 {
                self.blocks[index]["previous_hash"] = self.blocks[index - 1]["block_hash"].clone();
            }
            seal(&mut self.blocks[index]);
        }
    }

    /// The transaction at `index` of the block at `height`.
    pub(crate) fn transaction(&mut self, height: usize, index: usize) -> &mut Value {
        &mut self.blocks[height]["transactions"][index]
    }

    /// `Blockchain.to_dict`: the members in MPREG's order, which is not that of a sorted map.
    pub(crate) fn to_json(&self) -> String {
        format!(
            "{{\"chain_id\": {}, \"genesis_block\": {}, \"blocks\": {}, \"consensus_config\": {}, \
             \"crypto_config\": {}, \"summary\": {{\"height\": {}}}}}",
            json!(self.id),
            self.blocks[0],
            Value::from(self.blocks[1..].to_vec()),
            self.consensus,
            self.crypto,
            self.blocks.len() - 1,
        )
    }

    /// MPREG's tables, the rows' heights counting from zero.
    pub(crate) fn write_sqlite(&self, path: &Path) {
        self.write_sqlite_as(path, Value::to_string);
    }

    /// [`Chain::write_sqlite`] with the blocks' texts in some spelling.
    pub(crate) fn write_sqlite_as(&self, path: &Path, spell: impl Fn(&Value) -> String) {
        let connection = create_store(path);
        let row = (
            &self.id,
            self.consensus.to_string(),
            self.crypto.to_string(),
            START,
        );
        connection
            .execute("INSERT INTO chains VALUES (?, ?, ?, ?)", row)
            .expect("a row");
        for (height, block) in self.blocks.iter().enumerate() {
            let hash = block["block_hash"].as_str().unwrap_or_default();
            let timestamp = block["timestamp"].as_f64().unwrap_or_default();
            let row = (
                &self.id,
                height as u64 as i64,
                hash,
                timestamp,
                spell(block),
            );
            connection
                .execute("INSERT INTO blocks VALUES (?, ?, ?, ?, ?)", row)
                .expect("a row");
        }
    }
}

/// MPREG's empty tables.
pub(crate) fn create_store(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("a new database");
    connection
        .execute_batch(
            "CREATE TABLE chains (chain_id TEXT PRIMARY KEY, consensus_config TEXT NOT NULL, \
                 crypto_config TEXT NOT NULL, created_at REAL NOT NULL);
             CREATE TABLE blocks (chain_id TEXT NOT NULL, height INTEGER NOT NULL, \
                 block_hash TEXT NOT NULL, timestamp REAL NOT NULL, block_json TEXT NOT NULL, \
                 PRIMARY KEY (chain_id, height), \
                 FOREIGN KEY (chain_id) REFERENCES chains(chain_id) ON DELETE CASCADE);",
        )
        .expect("tables");
    connection
}

/// The spelling of Python's `json.dumps`, which is MPREG's.
pub(crate) fn python_spelling(value: &Value) -> String {
    let mut text = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, Python);
    value.serialize(&mut serializer).expect("written");
    String::from_utf8(text).expect("ASCII")
}

struct Python;

impl Formatter for Python {
    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        text: &str,
    ) -> io::Result<()> {
        for character in text.chars() {
            if character.is_ascii() {
                write!(out, "{character}")?;
                continue;
            }
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

/// Verifies the only chain of `path`, block after block and in parallel, with and without an audit: all the same.
pub(crate) fn verify(path: &Path) -> ChainReport {
    let source = Source::open(path).unwrap_or_else(|error| panic!("{error}"));
    let [chain] = source.chains() else {
        panic!("{} chains", source.chains().len())
    };
    let mut seen = Vec::new();
    let mut progress = |blocks, transactions| {
        seen.push((blocks, transactions));
        ControlFlow::Continue(())
    };
    let report = verify_chain(&source, &chain.id, NOW, &mut progress, None)
        .unwrap_or_else(|error| panic!("{error}"));
    for threads in 1..=3 {
        let threads = NonZero::new(threads).expect("some");
        let mut audit = chain.config.as_ref().map(Audit::new).ok();
        for audit in [None, audit.as_mut()] {
            let mut seen_too = Vec::new();
            let mut progress = |blocks, transactions| {
                seen_too.push((blocks, transactions));
                ControlFlow::Continue(())
            };
            let in_parallel =
                verify_in_parallel(&source, &chain.id, NOW, threads, &mut progress, audit)
                    .unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(
                format!("{in_parallel:?}"),
                format!("{report:?}"),
                "{threads}"
            );
            assert_eq!(seen_too, seen, "{threads}");
        }
    }
    report
}

/// The verdict on the chain, which must be the same from databases in two spellings and from a JSON file.
pub(crate) fn verdict(chain: &Chain) -> Result<(), Rejected> {
    let directory = tempfile::tempdir().expect("a directory");
    let database = directory.path().join("chain.db");
    chain.write_sqlite(&database);
    let from_database = verify(&database).verdict;
    let spelled = directory.path().join("python.db");
    chain.write_sqlite_as(&spelled, python_spelling);
    assert_eq!(verify(&spelled).verdict, from_database);
    let json = directory.path().join("chain.json");
    std::fs::write(&json, chain.to_json()).expect("a file");
    assert_eq!(verify(&json).verdict, from_database);
    from_database
}

/// What of a verdict a test fixes: height, transaction, reason.
pub(crate) type Where = (u64, Option<u32>, Reason);

pub(crate) fn place(verdict: &Result<(), Rejected>) -> Option<Where> {
    verdict
        .as_ref()
        .err()
        .map(|r| (r.height, r.transaction, r.reason))
}

/// Rewrites the JSON of one stored block.
pub(crate) fn edit_block(path: &Path, height: i64, edit: impl FnOnce(String) -> String) {
    let connection = Connection::open(path).expect("opens");
    let json: String = connection
        .query_row(
            "SELECT block_json FROM blocks WHERE height = ?",
            [height],
            |row| row.get(0),
        )
        .expect("the block is there");
    connection
        .execute(
            "UPDATE blocks SET block_json = ? WHERE height = ?",
            (edit(json), height),
        )
        .expect("updates");
}

/// Spoils a valid signed chain of five blocks with four transactions each, and compares the verdict.
pub(crate) fn expect(expected: Where, spoil: impl FnOnce(&mut Chain)) {
    let mut chain = Chain::valid(5, 4, true);
    spoil(&mut chain);
    let verdict = verdict(&chain);
    assert_eq!(place(&verdict), Some(expected), "{verdict:?}");
}

/// Sets one field of transaction 2 in block 3 and makes everything else fit.
pub(crate) fn expect_field(reason: Reason, field: &str, value: Value) {
    expect((3, Some(2), reason), |chain| {
        chain.transaction(3, 2)[field] = value;
        chain.relink(3);
    });
}

/// Sets one field of block 3 and makes everything else fit.
pub(crate) fn expect_block_field(reason: Reason, field: &str, value: Value) {
    expect((3, None, reason), |chain| {
        chain.blocks[3][field] = value;
        chain.relink(4);
    });
}
