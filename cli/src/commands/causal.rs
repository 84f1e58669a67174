//! `causal`: what happened before, after and concurrently with a transaction.

use hubledger::digest::TransactionId;
use hubledger::ledger::{ChainReader, LedgerError, Lookup};
use hubledger_services::causal::{Causal, CausalView, Relation, Standing};
use serde_json::{Value, json};

use super::views::{as_of, look};
use crate::args::{By, CausalCommand, CausalQuery, Onward};
use crate::failure::{Failure, Result};
use crate::output::Output;

pub(crate) fn causal(command: &CausalCommand, output: &Output) -> Result {
    match command {
        CausalCommand::Before(args) => query(args, Relation::Before, output),
        CausalCommand::After(args) => query(args, Relation::After, output),
        CausalCommand::Concurrent(args) => query(args, Relation::Concurrent, output),
    }
}

fn query(args: &CausalQuery, relation: Relation, output: &Output) -> Result {
    let (snapshot, chain) = look(&args.viewed, Box::new(CausalView))?;
    let causal = Causal::new(snapshot);
    let id = &args.transaction;
    let standing = causal.standing(id)?;
    let by = args.by.unwrap_or(match standing {
        Some(Standing::Event { .. }) => By::Messages,
        _ => By::Blocks,
    });
    match by {
        By::Messages => by_messages(&causal, args, relation, standing, output),
        By::Blocks => by_blocks(&causal, &chain, args, relation, output),
    }
}

fn by_messages(
    causal: &Causal,
    args: &CausalQuery,
    relation: Relation,
    standing: Option<Standing>,
    output: &Output,
) -> Result {
    let id = &args.transaction;
    match standing {
        Some(Standing::Event { .. }) => {}
        Some(Standing::Refused(refusal)) => {
            let problem = format!("the clock of {id} doesn't count: {}", refusal.word());
            return Err(Failure::message(problem));
        }
        None => {
            let problem = format!("{id} carries no vector clock; ask with --by blocks");
            return Err(Failure::message(problem));
        }
    }
    let after = match args.next {
        None => None,
        Some(Onward::Event(after)) => Some(after),
        Some(Onward::Height(_)) => {
            return Err(Failure::message(
                "--next: by messages, it goes on behind the id of an event",
            ));
        }
    };
    let page = causal.events(id, relation, after.as_ref(), args.limit)?;
    output.print(&json!({
        "as_of": as_of(causal.as_of()),
        "by": "messages",
        "event": causal.event(id)?,
        "events": page.events,
        "next": page.next,
    }));
    Ok(())
}

fn by_blocks(
    causal: &Causal,
    chain: &ChainReader,
    args: &CausalQuery,
    relation: Relation,
    output: &Output,
) -> Result {
    let height = height_of(chain, &args.transaction)?;
    let from = match args.next {
        None => 0,
        Some(Onward::Height(from)) => from,
        Some(Onward::Event(_)) => {
            return Err(Failure::message(
                "--next: by blocks, it goes on from a height",
            ));
        }
    };
    let range = causal.blocks(height, relation, from, args.limit)?;
    let blocks: Vec<Value> = range
        .blocks
        .iter()
        .map(|(height, transactions)| json!({ "height": height, "transactions": transactions }))
        .collect();
    output.print(&json!({
        "as_of": as_of(causal.as_of()),
        "by": "blocks",
        "height": height,
        "from": range.heights.start,
        "below": range.heights.end,
        "blocks": blocks,
        "next": range.next,
    }));
    Ok(())
}

fn height_of(chain: &ChainReader, id: &TransactionId) -> Result<u64> {
    match chain.transaction(id)? {
        Lookup::Found(located) => Ok(located.height),
        Lookup::Pruned { height, .. } => Ok(height),
        Lookup::NotIndexed { watermark } => Err(LedgerError::NotIndexed(watermark).into()),
        Lookup::Forgotten { below } => Err(LedgerError::Forgotten(below).into()),
        Lookup::Absent => Err(LedgerError::UnknownTransaction(id.to_string()).into()),
    }
}
