//! A store as MPREG writes it: signed transactions in blocks, as JSON in an SQLite database.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Result, anyhow};
use hubledger::digest::sha256;
use hubledger::signature::KeyPair;
use hubledger_mpreg::{Block, Transaction, merkle};
use rusqlite::Connection;
use serde::Serialize as _;
use serde_json::ser::{Formatter, Serializer};
use serde_json::{Value, json};

/// Blocks of a store that is measured, and transactions of each but the first: 10,000 in all.
pub(in crate::engine) const BLOCKS: u64 = 101;
pub(in crate::engine) const PER_BLOCK: u64 = 100;

const START: f64 = 1_700_000_000.25;
const SIGNERS: u64 = 8;
/// Of a payload, before it is written in hexadecimal digits.
const PAYLOAD_BYTES: usize = 64;
const OPERATIONS: [&str; 4] = ["transfer", "message", "consensus_vote", "node_update"];

const TABLES: &str = "
    CREATE TABLE chains (chain_id TEXT PRIMARY KEY, consensus_config TEXT NOT NULL, crypto_config TEXT NOT NULL,
        created_at REAL NOT NULL);
    CREATE TABLE blocks (chain_id TEXT NOT NULL, height INTEGER NOT NULL, block_hash TEXT NOT NULL,
        timestamp REAL NOT NULL, block_json TEXT NOT NULL, PRIMARY KEY (chain_id, height),
        FOREIGN KEY (chain_id) REFERENCES chains(chain_id) ON DELETE CASCADE);";

/// Writes a store with one chain, whose signatures are required. The same numbers give the same chain.
pub(crate) fn write_store(path: &Path, blocks: u64, per_block: u64) -> Result<()> {
    let signers: Vec<KeyPair> = (0..SIGNERS)
        .map(|number| KeyPair::from_seed(&sha256(&[b"perf/mpreg", &number.to_le_bytes()])))
        .collect();
    let mut database = Connection::open(path)?;
    database.execute_batch(TABLES)?;
    let inserting = database.transaction()?;
    let consensus = json!({
        "consensus_type": "proof_of_authority",
        "block_time_target": 10,
        "difficulty_adjustment_interval": 100,
        "max_transactions_per_block": 1000,
        "minimum_stake": 0,
        "authority_threshold": 0.67,
    });
    let crypto = json!({
        "hash_algorithm": "sha256",
        "signature_algorithm": "ed25519",
        "key_length": 256,
        "require_signatures": true,
    });
    inserting.execute(
        "INSERT INTO chains VALUES ('made', ?, ?, ?)",
        (as_python(&consensus)?, as_python(&crypto)?, START),
    )?;
    let mut previous = String::new();
    for height in 0..blocks {
        let numbers = match height {
            0 => 0..0,
            _ => (height - 1) * per_block..height * per_block,
        };
        let transactions = numbers.map(|number| {
            let signer = &signers[(number % SIGNERS) as usize];
            transaction(number, signer)
        });
        let transactions = transactions.collect::<Result<Vec<_>>>()?;
        let (json, hash) = block(height, &previous, transactions)?;
        let timestamp = START + 10.0 * height as f64;
        inserting.execute(
            "INSERT INTO blocks VALUES ('made', ?, ?, ?, ?)",
            (height as i64, &hash, timestamp, json),
        )?;
        previous = hash;
    }
    inserting.commit()?;
    database.close().map_err(|(_, error)| error)?;
    Ok(())
}

/// A signed transaction, its JSON and the bytes that were signed.
fn transaction(number: u64, signer: &KeyPair) -> Result<(Value, Vec<u8>)> {
    let payload = [sha256(&[&number.to_le_bytes()]); PAYLOAD_BYTES / 32].concat();
    let mut json = json!({
        "transaction_id": hexadecimal(&sha256(&[b"id", &number.to_le_bytes()])[..16]),
        "sender": format!("signer-{:03}", number % SIGNERS),
        "receiver": "routing_registry",
        "operation_type": OPERATIONS[number as usize % OPERATIONS.len()],
        "payload": hexadecimal(&payload),
        "timestamp": START + number as f64 / 128.0,
        "fee": number % 7,
        "nonce": number,
        "signature": "",
        "public_key": hexadecimal(signer.public_key().as_bytes()),
        "signature_algorithm": "ed25519",
        "hash": "",
    });
    let read = Transaction::from_json(json.to_string().as_bytes());
    let read = read.map_err(|(_, detail)| anyhow!("a transaction as MPREG writes it: {detail}"))?;
    let signed = read.signing_bytes();
    json["signature"] = hexadecimal(signer.sign(&signed).as_bytes()).into();
    json["hash"] = read.hash().into();
    Ok((json, signed))
}

/// The JSON of a block, and its hash.
fn block(
    height: u64,
    previous: &str,
    transactions: Vec<(Value, Vec<u8>)>,
) -> Result<(String, String)> {
    let (transactions, leaves): (Vec<Value>, Vec<Vec<u8>>) = transactions.into_iter().unzip();
    let clock = match height {
        0 => json!({}),
        _ => json!({ "hub_0": height }),
    };
    let mut json = json!({
        "block_id": format!("block-{height}"),
        "height": height,
        "previous_hash": previous,
        "merkle_root": merkle::root(&leaves),
        "vector_clock": clock,
        "transactions": transactions,
        "miner": "hub_0",
        "difficulty": 1,
        "nonce": 0,
        "timestamp": START + 10.0 * height as f64,
        "block_hash": "",
    });
    let read = Block::from_json(json.to_string().as_bytes(), height);
    let hash = read
        .map_err(|rejected| anyhow!("a block as MPREG writes it: {rejected}"))?
        .hash();
    json["block_hash"] = hash.as_str().into();
    Ok((as_python(&json)?, hash))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As `json.dumps` writes it: a space after each comma and colon.
fn as_python(value: &Value) -> Result<String> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, Spaces))?;
    Ok(String::from_utf8(bytes)?)
}

struct Spaces;

impl Formatter for Spaces {
    fn begin_array_value<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        to.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        to.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        to.write_all(b": ")
    }
}
