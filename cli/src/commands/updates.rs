//! `updates`: what a peer lacks since a block, and transactions of a block by id.

use hubledger::clock::{Clock, SystemClock};
use hubledger::digest::BlockHash;
use hubledger::ledger::{ChainReader, Position};
use hubledger_services::updates::{Interests, Update, Updates, UpdatesView, parts_of};
use hubledger_storage::RangeLimit;
use serde_json::{Value, json};

use super::cache::place;
use super::views::{as_of, look};
use crate::args::{BlockName, UpdatesCommand, UpdatesParts, UpdatesSince};
use crate::failure::{Failure, Result};
use crate::output::Output;

/// Bytes of transactions in one answer, at most.
const ANSWER_BYTES_MAX: usize = 64 << 20;

pub(crate) fn updates(command: &UpdatesCommand, output: &Output) -> Result {
    match command {
        UpdatesCommand::Since(args) => since(args, output),
        UpdatesCommand::Parts(args) => parts(args, output),
    }
}

fn since(args: &UpdatesSince, output: &Output) -> Result {
    let (snapshot, chain) = look(&args.viewed, Box::new(UpdatesView))?;
    let updates = Updates::new(snapshot, chain.clone());
    let base = base(&updates, &chain, args.block)?;
    let interests = Interests {
        nodes: args.nodes,
        registry: args.registry,
        topics: args.topic.clone(),
    };
    let limit = RangeLimit {
        rows: args.limit.max(1),
        bytes: ANSWER_BYTES_MAX,
    };
    let from = (base.height.saturating_add(1), args.index);
    let answer = updates.since(&interests, from, limit)?;
    output.print(&json!({
        "as_of": as_of(answer.as_of),
        "base": { "height": base.height, "hash": base.hash },
        "updates": answer.updates.iter().map(describe).collect::<Vec<_>>(),
        "next": place(answer.next),
    }));
    Ok(())
}

/// The block that the peer has in common with the chain.
fn base(updates: &Updates, chain: &ChainReader, name: BlockName) -> Result<Position> {
    let unknown = |name: &dyn std::fmt::Display| {
        Failure::message(format!(
            "block {name} is not known, in the chain or beside it"
        ))
    };
    match name {
        BlockName::Height(height) => {
            let hash = chain.hash_at(height)?.ok_or_else(|| unknown(&height))?;
            Ok(Position { height, hash })
        }
        BlockName::Hash(hash) => {
            // Branches are read only where they are needed: that costs as much as the state.
            let branches = match chain.height_of(&hash)? {
                Some(_) => None,
                None => Some(chain.fork_tree(SystemClock.now_us())?),
            };
            let common = |hash: &BlockHash| {
                let tree = branches.as_ref()?;
                tree.common_ancestor(&tree.best().head, hash)
            };
            updates
                .base(&[hash], &common)?
                .ok_or_else(|| unknown(&hash))
        }
    }
}

fn describe(update: &Update) -> Value {
    let topic = match &update.stream {
        hubledger_services::updates::Stream::Topic(name) => Some(name),
        _ => None,
    };
    let transaction = update.transaction.as_ref();
    json!({
        "stream": update.stream.word(),
        "topic": topic,
        "height": update.recorded.height,
        "index": update.recorded.index,
        "id": update.recorded.id,
        "sender": transaction.map(|one| one.sender()),
        "encoded": transaction.map(|one| hex::encode(one.bytes())),
    })
}

fn parts(args: &UpdatesParts, output: &Output) -> Result {
    let chain = ChainReader::open(args.store.open_read_only()?)?;
    let hash = match args.block {
        BlockName::Hash(hash) => hash,
        BlockName::Height(height) => chain
            .hash_at(height)?
            .ok_or_else(|| Failure::message(format!("there is no block {height}")))?,
    };
    let parts = parts_of(&chain, &hash, &args.ids, ANSWER_BYTES_MAX)?;
    let found = parts.found.iter().map(|part| {
        json!({
            "index": part.index,
            "id": part.transaction.id(),
            "encoded": hex::encode(part.transaction.bytes()),
            "path": part.path,
        })
    });
    output.print(&json!({
        "block": hash,
        "found": found.collect::<Vec<_>>(),
        "absent": parts.absent,
        "answered": parts.answered,
    }));
    Ok(())
}
