//! `checkpoint`: blocks that members make final though work sealed them.

use hubledger::ledger::ChainReader;
use hubledger::payload::{Certify, Payload};
use hubledger::state::State;
use hubledger::state::tables::{CheckpointRow, CheckpointRows, Table};
use hubledger::vote::{Vote, VoteKind};
use hubledger_storage::StoreUrl;
use serde_json::{Value, json};

use super::author::Author;
use super::prove::prove_row;
use super::read_key;
use super::saying::{Said, say};
use crate::args::{CheckpointCertify, CheckpointCommand, CheckpointShow};
use crate::failure::{Failure, Result};
use crate::output::Output;

pub(crate) fn checkpoint(command: &CheckpointCommand, output: &Output) -> Result {
    match command {
        CheckpointCommand::Certify(args) => certify(args, output),
        CheckpointCommand::Show(args) => show(args, output),
    }
}

fn certify(args: &CheckpointCertify, output: &Output) -> Result {
    let author = Author::begin(&args.saying.author, [], output)?;
    let store = args.saying.author.store.as_ref();
    let store = store.ok_or_else(|| {
        Failure::message("checkpoint: say with --store in which chain its block is")
    })?;
    let vote = vote(store, args.height)?;
    let mut signatures = Vec::new();
    for path in &args.by {
        let key = read_key(path)?;
        signatures.push((key.public_key(), vote.sign(&key)));
    }
    let certify = Certify::new(vote, signatures);
    let certify = certify.ok_or_else(|| {
        Failure::message("signer: one key twice, or more keys than a certificate has")
    })?;
    say(
        &args.saying,
        Said::of(Payload::Certify(certify)),
        &author,
        output,
    )
}

/// What members sign of the block that the chain has at a height.
fn vote(store: &StoreUrl, height: u64) -> Result<Vote> {
    let reader = ChainReader::open(store.open_read_only()?)?;
    let spec = reader.spec().at(height);
    let Some(checkpoints) = &spec.composition().checkpoints else {
        let name = spec.composition().name.word();
        let problem = format!("{store}: {name}: there are no checkpoints");
        return Err(Failure::message(problem));
    };
    let interval = u64::from(checkpoints.interval);
    if height == 0 || !height.is_multiple_of(interval) {
        let problem = format!("{store}: height {height} is no checkpoint; every {interval}th is");
        return Err(Failure::message(problem));
    }
    let block = reader.hash_at(height)?.ok_or_else(|| {
        Failure::message(format!(
            "{store}: the chain has no block at height {height}"
        ))
    })?;
    Ok(Vote {
        chain: spec.id(),
        height,
        round: 0,
        kind: VoteKind::Checkpoint,
        block,
    })
}

fn show(args: &CheckpointShow, output: &Output) -> Result {
    let reader = ChainReader::open(args.store.open_read_only()?)?;
    let state = reader.state()?;
    let next = state.height().saturating_add(1);
    let interval = reader.spec().at(next).composition().checkpoints.as_ref();
    let (certified, waiting) = rows(&state);
    let mut report = json!({
        "height": state.height(),
        "head": state.head(),
        "interval": interval.map(|checkpoints| checkpoints.interval),
        "certified": certified,
        "waiting": waiting,
    });
    state.refuse_failed().map_err(anyhow::Error::from)?;
    if let Some(path) = &args.prove {
        let row = (CheckpointRows::NUMBER, &CheckpointRows::last_key()[..]);
        report["proof"] = prove_row(&reader, &state, row, path, output)?;
    }
    output.print(&report);
    Ok(())
}

/// The last height that is certified, and the checkpoints above it, ascending.
fn rows(state: &State) -> (u64, Value) {
    let (mut certified, mut blocks) = (0, Vec::new());
    let rows = state.tree().into_iter().flat_map(|tree| tree.rows());
    for (_, key, bytes) in rows.filter(|(table, ..)| *table == CheckpointRows::NUMBER) {
        match (CheckpointRows::decode(bytes), key.try_into()) {
            (Ok(CheckpointRow::Certified(height)), _) => certified = height,
            (Ok(CheckpointRow::Block(hash)), Ok(height)) => {
                blocks.push((u64::from_be_bytes(height), hash));
            }
            _ => {}
        }
    }
    blocks.retain(|(height, _)| *height > certified);
    blocks.sort_unstable();
    let waiting = blocks.into_iter();
    let waiting = waiting.map(|(height, hash)| json!({ "height": height, "hash": hash }));
    (certified, waiting.collect())
}
