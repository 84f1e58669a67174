//! `evidence`: members' faults. What proves them is searched in blocks, looked at, handed in, and listed where it convicted.

mod judge;
mod make;
mod search;
mod sources;

use std::path::Path;

use anyhow::Context;
use bytes::Bytes;
use hubledger::evidence::{EVIDENCE_BYTES_MAX, Evidence};
use hubledger::ledger::ChainReader;
use hubledger::payload::{Convict, Payload};
use hubledger::rejection::{Fault, Reason};
use hubledger::signature;
use hubledger::state::State;
use hubledger::state::tables::{Conviction, Convictions, Table};
use serde_json::{Value, json};

use self::judge::Judge;
use super::author::Author;
use super::prove::prove_row;
use super::saying::{Said, say};
use crate::args::{EvidenceCommand, EvidenceList, EvidenceShow, EvidenceSubmit};
use crate::describe::extend;
use crate::failure::{Failure, Result};
use crate::input;
use crate::output::Output;
use crate::rows;
use crate::transactions::{Form, fault_of, from_hexadecimal, in_file};

pub(crate) fn evidence(command: &EvidenceCommand, output: &Output) -> Result {
    match command {
        EvidenceCommand::Make(args) => make::make(args, output),
        EvidenceCommand::Show(args) => show(args, output),
        EvidenceCommand::Submit(args) => submit(args, output),
        EvidenceCommand::List(args) => list(args, output),
    }
}

fn show(args: &EvidenceShow, output: &Output) -> Result {
    let evidence = read(&args.file)?;
    let mut report = describe_with_signatures(&evidence);
    let is_signed = report["signatures"] == VALID;
    let judge = args.store.as_ref().map(Judge::open).transpose()?;
    let mut convicts = true;
    if let Some(judge) = &judge {
        let verdict = judge.verdict(&evidence)?;
        convicts = verdict.convicts();
        extend(&mut report, verdict.describe());
    }
    output.print(&report);
    match (is_signed, convicts) {
        (false, _) => Err(Failure::InvalidVerdict),
        (true, false) => Err(Failure::Negative),
        (true, true) => Ok(()),
    }
}

fn submit(args: &EvidenceSubmit, output: &Output) -> Result {
    let author = Author::begin(&args.saying.author, [&args.file], output)?;
    let evidence = read(&args.file)?;
    let payload = Payload::Convict(Convict { evidence });
    say(&args.saying, Said::of(payload), &author, output)
}

/// The evidence in a file.
fn read(path: &Path) -> Result<Evidence> {
    // As digits a byte is two, and there may be space between them.
    let bytes = input::read(path, 4 * EVIDENCE_BYTES_MAX as u64)?;
    decode(bytes).map_err(|fault| Failure::refused(in_file(path, fault)))
}

fn decode(bytes: Vec<u8>) -> std::result::Result<Evidence, Fault> {
    let bytes = match Form::of(&bytes) {
        Form::Hexadecimal => from_hexadecimal(&bytes)
            .map_err(|error| Fault::new(Reason::Malformed, error.to_string()))?,
        Form::Json | Form::Encoded => bytes,
    };
    Evidence::decode(&Bytes::from(bytes)).map_err(|error| {
        let fault = fault_of(&error);
        let detail = format!("not evidence: {}", fault.detail);
        Fault { detail, ..fault }
    })
}

/// Whether every signature holds that has to.
fn has_good_signatures(evidence: &Evidence) -> bool {
    let mut is_good = true;
    evidence.claims(|key, message, signed| {
        is_good &= signature::verify(&key, message, &signed).is_ok();
    });
    is_good
}

const VALID: &str = "valid";

/// What evidence says by itself, and whether its signatures hold, checked now.
pub(super) fn describe_with_signatures(evidence: &Evidence) -> Value {
    let mut about = describe(evidence);
    let is_signed = has_good_signatures(evidence);
    about["signatures"] = if is_signed { VALID } else { "invalid" }.into();
    about
}

/// What evidence says by itself: which key is accused of what, and by which blocks.
fn describe(evidence: &Evidence) -> Value {
    let (words, blocks, vote) = match evidence {
        Evidence::DoubleVote(fault) => (
            "votes for two blocks in one round",
            fault.votes().map(|vote| vote.block).to_vec(),
            Some(fault.votes()[0].kind),
        ),
        Evidence::DoubleProposal(fault) => (
            "seals on two blocks of one height",
            fault
                .headers()
                .each_ref()
                .map(|header| header.hash())
                .to_vec(),
            None,
        ),
        Evidence::UnauthorisedSeal(fault) => (
            "a seal on a block that was another's to seal",
            vec![fault.header().hash()],
            None,
        ),
    };
    let mut about = json!({
        "format": "evidence",
        "fault": evidence.word(),
        "words": words,
        "key": evidence.key(),
        "chain": evidence.chain(),
        "height": evidence.height(),
        "round": evidence.round(),
        "blocks": blocks,
    });
    if let Some(kind) = vote {
        about["vote"] = kind.word().into();
    }
    about
}

fn list(args: &EvidenceList, output: &Output) -> Result {
    let reader = ChainReader::open(args.store.open_read_only()?)?;
    let state = reader.state()?;
    let mut found = convictions(&state, args.name.as_deref());
    found.sort_by_key(|(_, conviction)| conviction.since);
    if let Some(folder) = &args.prove {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let mut list = Vec::new();
    for (number, (key, conviction)) in found.iter().enumerate() {
        let bytes = Convictions::encode(conviction);
        let mut about = rows::row(Convictions::NUMBER, key, Some(&bytes));
        if let Some(folder) = &args.prove {
            let path = folder.join(format!("conviction-{number}.proof"));
            about = prove_row(&reader, &state, (Convictions::NUMBER, key), &path, output)?;
        }
        list.push(about);
    }
    state.refuse_failed().map_err(anyhow::Error::from)?;
    output.print(&json!({
        "height": state.height(),
        "head": state.head(),
        "convictions": list,
    }));
    Ok(())
}

/// The keys and values of all convictions, or of one name's. Rows are found by their whole keys alone, so it takes a walk over all of them.
fn convictions(state: &State, name: Option<&str>) -> Vec<(Vec<u8>, Conviction)> {
    let rows = state.tree().into_iter().flat_map(|tree| tree.rows());
    let of_table = rows.filter(|(table, ..)| *table == Convictions::NUMBER);
    let read = of_table.filter_map(|(_, key, bytes)| {
        let (who, ..) = Convictions::parts(key)?;
        let is_wanted = name.is_none_or(|name| name == who);
        let conviction = Convictions::decode(bytes).ok()?;
        is_wanted.then(|| (key.to_vec(), conviction))
    });
    read.collect()
}
