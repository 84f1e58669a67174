//! `prove` and `verify-proof`.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use hubledger::ledger::{ChainReader, LedgerError, Lookup};
use hubledger::proof::{PROOF_BYTES_MAX, Proof, ProvenRow, TransactionProof};
use hubledger::state::State;
use serde_json::{Value, json};

use super::read_file;
use crate::args::{Prove, VerifyProof};
use crate::describe;
use crate::failure::{Failure, Result};
use crate::output::{Output, complain};
use crate::rows;
use crate::transactions;

pub(crate) fn prove(args: &Prove, output: &Output) -> Result {
    let reader = ChainReader::open(args.store.open_read_only()?)?;
    let head = args.head.as_ref();
    let (proof, about) = if let Some(old) = &args.extends {
        let proof = reader.prove_extends(old, head)?;
        let about = json!({ "extends": proof.old_head(), "head": proof.new_head() });
        (Proof::Extension(proof), about)
    } else if let Some(name) = &args.account {
        let proof = reader.prove_account(&reader.named_state()?, name, head)?;
        let proven = proof.verify(&proof.head()).map_err(Failure::message)?;
        let mut about = rows::proven(&proven);
        about["head"] = json!(proof.head());
        (Proof::State(proof), about)
    } else if let Some(row) = &args.row {
        let proof = reader.prove_row(&reader.named_state()?, row.table, &row.key, head)?;
        let proven = proof.verify(&proof.head()).map_err(Failure::message)?;
        let mut about = rows::proven(&proven);
        about["head"] = json!(proof.head());
        (Proof::State(proof), about)
    } else {
        let proof = prove_transaction(args, &reader)?;
        let place = proof.verify(&proof.head()).map_err(Failure::message)?;
        let about = json!({
            "transaction": proof.id(),
            "height": place.height,
            "index": place.index,
            "head": proof.head(),
        });
        (Proof::Transaction(proof), about)
    };
    let mut about = about;
    describe::extend(&mut about, give_out(&proof, &args.out, output)?);
    output.print(&about);
    Ok(())
}

/// Writes a proof, as JSON if the name of the file ends so, and says where it is and how long.
pub(super) fn give_out(proof: &Proof, path: &Path, output: &Output) -> Result<Value> {
    let is_json = path.extension().is_some_and(|ending| ending == "json");
    let bytes = match is_json {
        true => proof.to_json().into_bytes(),
        false => proof.encode(),
    };
    // A file that is begun is written.
    output.stop().in_order();
    write(path, &bytes)?;
    Ok(json!({ "out": path.display().to_string(), "bytes": bytes.len() }))
}

/// Proves a row of the state after the last block, or that it isn't there, writes the proof, and says what it proves.
pub(super) fn prove_row(
    reader: &ChainReader,
    state: &State,
    (table, key): (u8, &[u8]),
    path: &Path,
    output: &Output,
) -> Result<Value> {
    let proof = reader.prove_row(state, table, key, Some(&state.head()))?;
    let proven = proof.verify(&proof.head()).map_err(Failure::message)?;
    let mut about = rows::row(proven.table, &proven.key, proven.value.as_deref());
    about["head"] = json!(proof.head());
    describe::extend(&mut about, give_out(&Proof::State(proof), path, output)?);
    Ok(about)
}

fn prove_transaction(args: &Prove, reader: &ChainReader) -> Result<TransactionProof> {
    let head = args.head.as_ref();
    if let Some(path) = &args.carry {
        let proof = match read(path)? {
            Ok(Proof::Transaction(proof)) => proof,
            Ok(Proof::Extension(_) | Proof::State(_)) => {
                let problem = "is not about a transaction; make a new one with --extends";
                return Err(Failure::message(format!("{}: {problem}", path.display())));
            }
            Err(reason) => return Err(Failure::message(format!("{}: {reason}", path.display()))),
        };
        return Ok(reader.carry(&proof, head)?);
    }
    if let Some(path) = &args.transaction {
        let transaction = transactions::read_one(path)?;
        let height = match args.height {
            Some(height) => height,
            None => place(reader, &transaction.id().to_string())?.0,
        };
        return Ok(reader.prove_pruned(&transaction, height, head)?);
    }
    let name = args.tx.as_deref().unwrap_or_default();
    match place(reader, name)? {
        (height, Some(index)) => Ok(reader.prove(height, index, head)?),
        (height, None) => Err(LedgerError::Pruned(height).into()),
    }
}

/// Height of a transaction, and its index unless its body was pruned.
fn place(reader: &ChainReader, name: &str) -> Result<(u64, Option<u32>)> {
    match reader.find(name)? {
        Lookup::Found(placed) => Ok((placed.height, Some(placed.index))),
        Lookup::Pruned { height, .. } => Ok((height, None)),
        Lookup::NotIndexed { watermark } => Err(LedgerError::NotIndexed(watermark).into()),
        Lookup::Forgotten { below } => Err(LedgerError::Forgotten(below).into()),
        Lookup::Absent => Err(LedgerError::UnknownTransaction(name.to_owned()).into()),
    }
}

pub(crate) fn verify_proof(args: &VerifyProof, output: &Output) -> Result {
    let head = args.head;
    let proof = match read(&args.file)? {
        Ok(proof) => proof,
        Err(reason) => return refused(&args.file, &reason, output),
    };
    let verdict = match (&proof, &args.extends) {
        (Proof::State(proof), None) => match proof.verify(&head) {
            Ok(proven) => match wrong_subject(args, &proven) {
                Some(problem) => Err(problem),
                None => {
                    let mut about = rows::proven(&proven);
                    about["verdict"] = "valid".into();
                    about["head"] = json!(head);
                    Ok(about)
                }
            },
            Err(error) => Err(error.to_string()),
        },
        (Proof::State(_), Some(_)) => Err("it is about the state".to_owned()),
        (Proof::Transaction(_), None) if asks_for_row(args) => {
            Err("it is about a transaction".to_owned())
        }
        (Proof::Transaction(proof), None) => match proof.verify(&head) {
            Ok(proven)
                if args
                    .tx
                    .as_ref()
                    .is_none_or(|id| *id == proven.id.to_string()) =>
            {
                Ok(json!({
                    "verdict": "valid",
                    "transaction": proven.id,
                    "height": proven.height,
                    "index": proven.index,
                    "block": proven.block,
                    "timestamp": proven.timestamp,
                    "head": head,
                }))
            }
            Ok(proven) => Err(format!("it is about transaction {}", proven.id)),
            Err(error) => Err(error.to_string()),
        },
        (Proof::Extension(proof), Some(old)) => proof
            .verify(old, &head)
            .map(|()| json!({ "verdict": "valid", "extends": old, "head": head }))
            .map_err(|error| error.to_string()),
        (Proof::Transaction(_), Some(_)) => Err("it is about a transaction".to_owned()),
        (Proof::Extension(_), None) => {
            Err("it is about a chain that extends another: say which with --extends".to_owned())
        }
    };
    match verdict {
        Ok(value) => {
            output.print(&value);
            Ok(())
        }
        Err(reason) => refused(&args.file, &reason, output),
    }
}

/// Whether the proof has to be about a row of the state.
const fn asks_for_row(args: &VerifyProof) -> bool {
    args.account.is_some() || args.name.is_some() || args.parameter.is_some()
}

/// What is wrong if a proof is about something else than was asked.
fn wrong_subject(args: &VerifyProof, proven: &ProvenRow) -> Option<String> {
    if args.tx.is_some() {
        return Some("it is about the state".to_owned());
    }
    let row = rows::row(proven.table, &proven.key, proven.value.as_deref());
    let is_about = |field: &str, wanted: &str| row[field] == wanted;
    let is_it = match (&args.account, &args.name, args.parameter) {
        (Some(name), _, _) => is_about("account", name),
        (_, Some(name), _) => is_about("name", name),
        (_, _, Some(parameter)) => {
            is_about("row", "parameter") && is_about("parameter", parameter.word())
        }
        (None, None, None) => true,
    };
    (!is_it).then(|| {
        let key = String::from_utf8_lossy(&proven.key);
        format!("it is about row {key:?} of table {}", proven.table)
    })
}

fn refused(path: &Path, reason: &str, output: &Output) -> Result {
    let detail = format!("{}: {reason}", path.display());
    complain(&format!("invalid proof: {detail}"));
    output.print(&json!({ "verdict": "invalid", "reason": "proof", "detail": detail }));
    Err(Failure::InvalidVerdict)
}

/// A proof in either form; the inner error says why the bytes are none.
fn read(path: &Path) -> Result<std::result::Result<Proof, String>> {
    // In JSON a byte is two digits.
    let limit = 4 * PROOF_BYTES_MAX as u64;
    let bytes = read_file(path, limit)?;
    if bytes.len() as u64 > limit {
        return Ok(Err(format!("longer than {limit} bytes")));
    }
    Ok(match bytes.first() {
        Some(b'{') => match std::str::from_utf8(&bytes) {
            Ok(text) => Proof::from_json(text),
            Err(_) => Err("not UTF-8".to_owned()),
        },
        _ => Proof::decode(&bytes.into()).map_err(|error| error.to_string()),
    })
}

/// Writes a proof where nothing is, or a proof that it replaces: never over a store that was named by mistake.
fn write(path: &Path, bytes: &[u8]) -> Result {
    let place = || path.display().to_string();
    let holds_something = path
        .metadata()
        .is_ok_and(|found| found.is_file() && found.len() > 0);
    if holds_something && !matches!(read(path), Ok(Ok(_))) {
        let problem = "exists already, and is not a proof";
        return Err(Failure::message(format!("{}: {problem}", place())));
    }
    let mut file = File::create(path).with_context(place)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .with_context(place)?;
    Ok(())
}
