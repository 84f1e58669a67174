//! `show`: what a file holds, as text or JSON. What it is follows from its bytes.

use std::io::{Cursor, Read};
use std::path::Path;

use anyhow::Context;
use bytes::Bytes;
use hubledger::blockfile::{BlockFileError, BlockFileReader};
use hubledger::evidence::Evidence;
use hubledger::model::Block;
use hubledger::proof::Proof;
use hubledger::rejection::{Fault, Reason};
use hubledger::spec::ChainSpec;
use serde_json::{Value, json};

use super::{evidence, spec};
use crate::args::{Kind, Show};
use crate::describe;
use crate::failure::{Failure, Result};
use crate::input::{Input, name_of};
use crate::output::Output;
use crate::recognise::{HEAD_BYTES, is_block_file, kind_of};
use crate::transactions::{self, Form, fault_of, from_hexadecimal, in_file};

/// The most that is shown at once. In JSON it takes several times as much memory.
const SHOWN_BYTES_MAX: u64 = 64 * 1024 * 1024;

pub(crate) fn show(args: &Show, output: &Output) -> Result {
    let input = Input::open(&args.file)?;
    let length = input.length();
    match shown(args, input, length, SHOWN_BYTES_MAX)? {
        Some(value) => output.print(&value),
        None => {
            output.print(&json!({ "found": "absent", "block": args.height }));
            return Err(Failure::Negative);
        }
    }
    Ok(())
}

/// What `input` holds, which is `length` bytes long if that is known; nothing if it has no block of the height that is
/// asked for. Reads, and shows, `limit` bytes at most.
fn shown(args: &Show, mut input: impl Read, length: u64, limit: u64) -> Result<Option<Value>> {
    let name = || name_of(&args.file);
    let mut head = Vec::with_capacity(HEAD_BYTES);
    input
        .by_ref()
        .take(HEAD_BYTES as u64)
        .read_to_end(&mut head)
        .with_context(name)?;
    let is_block_file = match args.kind {
        None => is_block_file(&head),
        Some(kind) => kind == Kind::BlockFile,
    };
    let whole = Cursor::new(head).chain(input);
    if is_block_file {
        return block_file(args, whole, length, limit);
    }
    if args.height.is_some() {
        let problem = "no block file, so --height says nothing";
        return Err(Failure::message(format!("{}: {problem}", name())));
    }
    let mut bytes = Vec::new();
    whole
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .with_context(name)?;
    if bytes.len() as u64 > limit {
        return Err(Failure::message(format!(
            "{}: longer than {limit} bytes",
            name()
        )));
    }
    let kind = match args.kind {
        Some(kind) => kind,
        None => kind_of(&bytes).ok_or_else(|| unknown(&args.file, &bytes))?,
    };
    let value = value_of(kind, bytes).map_err(|fault| in_file(&args.file, fault));
    value.map(Some).map_err(Failure::refused)
}

fn unknown(path: &Path, bytes: &[u8]) -> Failure {
    let first = match bytes {
        [] => "it is empty".to_owned(),
        _ => format!(
            "it begins with {}",
            hex::encode(&bytes[..bytes.len().min(8)])
        ),
    };
    Failure::message(format!(
        "{}: neither a block file, block, transaction, proof, evidence nor specification: {first}",
        name_of(path)
    ))
}

/// What whole bytes of this kind say.
fn value_of(kind: Kind, bytes: Vec<u8>) -> std::result::Result<Value, Fault> {
    let bytes = match Form::of(&bytes) {
        Form::Hexadecimal => from_hexadecimal(&bytes)
            .map_err(|error| Fault::new(Reason::Malformed, error.to_string()))?,
        _ => bytes,
    };
    match kind {
        Kind::Block => {
            let block = Block::decode(&bytes.into()).map_err(|error| fault_of(&error))?;
            Ok(block_value(&block, None))
        }
        Kind::Transaction => transactions_value(bytes),
        Kind::Proof => proof_value(bytes),
        Kind::Specification => {
            let (spec, contradictions) = spec::examine(&bytes)?;
            let contradictions = spec::problems(&contradictions);
            Ok(describe::specification(&spec, contradictions))
        }
        Kind::Evidence => {
            let evidence = Evidence::decode(&bytes.into()).map_err(|error| fault_of(&error))?;
            Ok(evidence::describe_with_signatures(&evidence))
        }
        Kind::BlockFile => Err(Fault::new(Reason::Malformed, "not a block file")),
    }
}

fn block_value(block: &Block, spec: Option<&ChainSpec>) -> Value {
    let mut value = json!({ "format": "block" });
    describe::extend(&mut value, describe::block(block, spec));
    value
}

fn transactions_value(bytes: Vec<u8>) -> std::result::Result<Value, Fault> {
    let found = transactions::decode(bytes)?;
    match found.as_slice() {
        [] => Err(Fault::new(Reason::Malformed, "no transaction")),
        [only] => Ok(describe::transaction_document(only, None)),
        several => {
            let documents = several.iter();
            let several: Value = documents
                .map(|one| describe::transaction_document(one, None))
                .collect();
            Ok(json!({ "format": "transactions", "transactions": several }))
        }
    }
}

fn proof_value(bytes: Vec<u8>) -> std::result::Result<Value, Fault> {
    let malformed = |problem: String| Fault::new(Reason::Malformed, problem);
    let proof = match Form::of(&bytes) {
        Form::Json => {
            let text = str::from_utf8(&bytes).map_err(|error| malformed(error.to_string()))?;
            Proof::from_json(text).map_err(malformed)?
        }
        _ => Proof::decode(&Bytes::from(bytes)).map_err(|error| fault_of(&error))?,
    };
    Ok(describe::proof(&proof))
}

fn block_file(args: &Show, input: impl Read, length: u64, limit: u64) -> Result<Option<Value>> {
    let mut file = BlockFileReader::read_from(&args.file, input, length).map_err(refused)?;
    if args.height == Some(0) {
        // Which is in no block file, since it follows from the specification.
        return Ok(Some(block_value(&file.spec().genesis(), Some(file.spec()))));
    }
    let mut blocks = Vec::new();
    while let Some((offset, bytes)) = file.next_block().map_err(refused)? {
        let place = |fault: Fault| {
            let detail = format!("byte {offset}: {}", fault.detail);
            Failure::refused(in_file(&args.file, Fault { detail, ..fault }))
        };
        if let Some(height) = args.height {
            let header = Block::decode_header(&bytes).map_err(|error| place(fault_of(&error)))?;
            if header.height != height {
                continue;
            }
        } else if file.offset() > limit {
            let problem = format!("more than {limit} bytes of blocks: say which one with --height");
            return Err(Failure::message(format!(
                "{}: {problem}",
                name_of(&args.file)
            )));
        }
        let block = Block::decode(&bytes).map_err(|error| place(fault_of(&error)))?;
        if args.height.is_some() {
            return Ok(Some(block_value(&block, Some(file.spec()))));
        }
        blocks.push(describe::block(&block, Some(file.spec())));
    }
    let spec = file.spec();
    Ok(args.height.is_none().then(|| {
        json!({
            "format": "block_file",
            "name": spec.name,
            "chain": spec.id(),
            "blocks": blocks,
        })
    }))
}

/// What isn't as a block file should be is the file's fault; that it can't be read isn't.
fn refused(error: BlockFileError) -> Failure {
    let reason = match &error {
        BlockFileError::Io { .. } => return error.into(),
        BlockFileError::Version { .. } => Reason::Version,
        _ => Reason::Malformed,
    };
    Failure::refused(Fault::new(reason, error.to_string()))
}

#[cfg(test)]
mod tests;
