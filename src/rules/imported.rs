//! What a block imported from MPREG must obey: its evidence is the original chain. From each block the original's
//! hash is rebuilt (over link, Merkle root of the signing bytes, timestamp, nonce), and the last one must be the head
//! that the specification pins. What MPREG's hashes don't cover is covered by the record's digest, which is pinned too. So
//! there is one record for a specification.

use crate::format::digest::{Digest, sha256};
use crate::format::model::{Block, Kind, Scheme, Seal, Transaction};
use crate::format::original::{self, Number, Original};
use crate::format::rejection::{Fault, Reason};
use crate::format::spec::{ChainSpec, Import};
use crate::state::{Account, State};

/// Length of a digest in hexadecimal.
const DIGITS: usize = 64;

/// Checks the block as a whole and returns the source after it: the original's hash and the record's digest, in hexadecimal.
pub(super) fn check(spec: &ChainSpec, state: &State, block: &Block) -> Result<String, Fault> {
    let header = block.header();
    let Seal::Original(original) = block.seal() else {
        return fault(
            Reason::Seal,
            "an imported block carries what its original's hash is over",
        );
    };
    // Nothing in the record covers this field: left free, one record would have many native chains.
    if header.nonce != 0 {
        return fault(Reason::Difficulty, "an imported block's own nonce is 0");
    }
    let timestamp = micros(&original.timestamp)?.max(state.timestamp().saturating_add(1));
    if header.timestamp != timestamp {
        let detail = format!("{}, the original's gives {timestamp}", header.timestamp);
        return fault(Reason::Timestamp, detail);
    }
    let (hash_before, record_before) = split(state.source());
    let root = original_root(block)?;
    let text = format!(
        "{hash_before}:{root}:{}:{}",
        original.timestamp, original.nonce
    );
    let hash = Digest(sha256(&[text.as_bytes()]));
    let record = original::record::extend(
        &record_before,
        &header.vector_clock,
        &header.producer,
        header.difficulty,
        original,
        block.transactions(),
    );
    match &spec.at(header.height).import {
        Some(import) if import.blocks == header.height => check_end(import, hash, record)?,
        _ => {}
    }
    Ok(format!("{hash}{record}"))
}

/// The last block's hash and digest have to be those that the specification pins.
fn check_end(import: &Import, hash: Digest, record: Digest) -> Result<(), Fault> {
    if import.head != hash {
        let pinned = import.head;
        let detail =
            format!("the rebuilt original ends in {hash}, the specification pins {pinned}");
        return fault(Reason::Seal, detail);
    }
    if import.record != record {
        let pinned = import.record;
        let detail = format!("the record's digest is {record}, the specification pins {pinned}");
        return fault(Reason::Seal, detail);
    }
    Ok(())
}

/// The original hash and the record's digest after the block before; nothing and zero before the first.
fn split(source: &str) -> (&str, Digest) {
    let (hash, record) = source.split_at_checked(DIGITS).unwrap_or((source, ""));
    (hash, record.parse().unwrap_or_default())
}

/// What the original's signature is over; `None` for a payload that holds no original.
pub(super) fn signed_message(transaction: &Transaction) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    decode(transaction)
        .ok()?
        .put_signing_bytes(transaction, &mut message);
    Some(message)
}

/// Checks a transaction against its sender's account.
pub(super) fn check_transaction(transaction: &Transaction, account: &Account) -> Result<(), Fault> {
    let original = decode(transaction)?;
    // The record doesn't cover these native fields either.
    if transaction.fee() != 0 || transaction.expiry() != 0 {
        return fault(
            Reason::Operation,
            "an imported transaction has fee 0 and expiry 0",
        );
    }
    // Can't overflow: the nonce was found to be above the account's.
    if transaction.nonce() != account.nonce + 1 {
        let detail = format!(
            "nonce {}, expected {}",
            transaction.nonce(),
            account.nonce + 1
        );
        return fault(Reason::Nonce, detail);
    }
    let timestamp = micros(original.timestamp)?;
    if transaction.timestamp() != timestamp {
        let detail = format!(
            "{}, the original's gives {timestamp}",
            transaction.timestamp()
        );
        return fault(Reason::Timestamp, detail);
    }
    if transaction.witnesses().len() > 1 {
        return fault(Reason::Signature, "an original has one signature at most");
    }
    for witness in transaction.witnesses() {
        if witness.scheme != Scheme::Mpreg {
            return fault(
                Reason::Signature,
                "an original's signature is over its own bytes",
            );
        }
    }
    Ok(())
}

/// The Merkle root that MPREG gives the original transactions.
fn original_root(block: &Block) -> Result<String, Fault> {
    let mut leaves = Vec::with_capacity(block.transactions().len());
    for (index, transaction) in block.transactions().iter().enumerate() {
        if transaction.kind() != Kind::Mpreg {
            let detail = format!("transaction {index} is not an imported one");
            return fault(Reason::Operation, detail);
        }
        let mut leaf = Vec::new();
        decode(transaction)?.put_signing_bytes(transaction, &mut leaf);
        leaves.push(leaf);
    }
    Ok(original::merkle::root(&leaves))
}

fn decode(transaction: &Transaction) -> Result<Original<'_>, Fault> {
    Original::decode(transaction.payload()).map_err(|error| {
        Fault::new(
            Reason::Malformed,
            format!("payload of {}: {error}", transaction.id()),
        )
    })
}

/// A timestamp of MPREG, in seconds as Python prints it, as microseconds.
fn micros(text: &str) -> Result<u64, Fault> {
    let number = Number::parse(text);
    // Only the text that Python prints: MPREG's hash is over the text, and other texts of the same time would have others.
    let canonical = number.ok().filter(|number| number.to_string() == text);
    let micros = canonical.as_ref().and_then(original::micros);
    micros.ok_or_else(|| Fault::new(Reason::Timestamp, format!("{text:?} is no time of MPREG's")))
}

fn fault<T>(reason: Reason, detail: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::new(reason, detail))
}
