//! `seed`: what members add to the seeds that choose proposers.

use hubledger::consensus::seed::{Epochs, Onion};
use hubledger::consensus::{self, Contribution};
use hubledger::digest::Digest;
use hubledger::ledger::ChainReader;
use hubledger::payload::{Commit, Payload, Reveal};
use hubledger::spec::{ChainSpec, Proposer};
use hubledger::state::State;
use hubledger::state::tables::Commitments;
use serde_json::{Value, json};

use super::author::Author;
use super::saying::{Said, say};
use crate::args::{SeedCommand, SeedSaying, SeedShow};
use crate::failure::{Failure, Result};
use crate::output::Output;

pub(crate) fn seed(command: &SeedCommand, output: &Output) -> Result {
    match command {
        SeedCommand::Commit(args) => commit(args, output),
        SeedCommand::Reveal(args) => reveal(args, output),
        SeedCommand::Show(args) => show(args, output),
    }
}

/// A member's onion, and the secret within it.
fn onion(args: &SeedSaying, author: &Author<'_>) -> Result<(Onion, Digest)> {
    let spec = author.spec().ok_or_else(|| {
        Failure::message("chain: its specification has to be known, by --store or --spec")
    })?;
    let name = author.sender(None)?;
    let [key] = author.keys() else {
        let problem = "key: the onion follows from one key, so that one is given";
        return Err(Failure::message(problem));
    };
    let onion = Onion::new(&spec.at(0).id(), &name);
    let secret = onion.secret(key, args.onion);
    Ok((onion, secret))
}

fn commit(args: &SeedSaying, output: &Output) -> Result {
    let author = Author::begin(&args.saying.author, [], output)?;
    let (onion, secret) = onion(args, &author)?;
    let layer = onion.commit(&secret, args.depth);
    let layer = layer.ok_or_else(|| Failure::message("depth: too many layers"))?;
    say(
        &args.saying,
        Said::of(Payload::Commit(Commit { layer })),
        &author,
        output,
    )
}

fn reveal(args: &SeedSaying, output: &Output) -> Result {
    let author = Author::begin(&args.saying.author, [], output)?;
    let (onion, secret) = onion(args, &author)?;
    let Some(url) = &args.saying.author.store else {
        return Err(Failure::message(
            "store: what comes next only the chain itself tells",
        ));
    };
    let reader = ChainReader::open(url.open_read_only()?)?;
    let state = reader.state()?;
    let name = author.sender(None)?;
    let contribution = consensus::contribution(reader.spec(), &state, &name);
    state.refuse_failed().map_err(anyhow::Error::from)?;
    let Contribution::Below(around) = contribution else {
        let height = state.height() + 1;
        let problem = format!(
            "{name:?} can reveal nothing at height {height}: no reveal counts there, or nothing that {name:?} committed to does yet"
        );
        return Err(Failure::message(problem));
    };
    let Some(layer) = onion.below(&secret, args.depth, &around) else {
        let problem = format!(
            "onion {}: none of its first {} layers is {around}, or it is used up: commit to another one",
            args.onion, args.depth
        );
        return Err(Failure::message(problem));
    };
    say(
        &args.saying,
        Said::of(Payload::Reveal(Reveal { layer })),
        &author,
        output,
    )
}

fn show(args: &SeedShow, output: &Output) -> Result {
    let reader = ChainReader::open(args.store.open_read_only()?)?;
    let state = reader.state()?;
    let height = state.height() + 1;
    let spec = reader.spec().at(height);
    let epochs = match spec.composition().proposer {
        Proposer::Seeded { epoch } => Epochs::new(epoch),
        _ => None,
    };
    let unseeded = || Failure::message("no seed chooses who proposes in this chain");
    let epochs = epochs.ok_or_else(unseeded)?;
    let epoch = epochs.of(height);
    let known: Value = [epoch, epoch + 1]
        .iter()
        .map(|epoch| json!({ "epoch": epoch, "seed": consensus::seed_of(spec, &state, *epoch) }))
        .collect();
    let report = json!({
        "height": state.height(),
        "head": state.head(),
        "epoch": epoch,
        "reveals_count": epochs.counts(height),
        "seeds": known,
        "members": commitments(spec, &state, epoch),
    });
    state.refuse_failed().map_err(anyhow::Error::from)?;
    output.print(&report);
    Ok(())
}

fn commitments(spec: &ChainSpec, state: &State, epoch: u64) -> Value {
    let members = consensus::members(spec, state, state.height() + 1);
    let about = members.iter().map(|member| {
        let held = state.value::<Commitments>(member.name.as_bytes());
        json!({
            "name": member.name,
            "committed": held.is_some(),
            "counts": held.is_some_and(|held| held.layer_in(epoch).is_some()),
            "last_reveal": held.map(|held| held.revealed).filter(|height| *height > 0),
        })
    });
    about.collect()
}
