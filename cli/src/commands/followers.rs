//! `followers`: who follows a chain and holds pruning back, and the removal of one of them.

use std::sync::Arc;

use hubledger::clock::SystemClock;
use hubledger::ledger::{ChainReader, Followers, Ledger};
use serde_json::{Value, json};

use crate::args::Followers as Arguments;
use crate::failure::{Failure, Result};
use crate::output::Output;

pub(crate) fn followers(args: &Arguments, output: &Output) -> Result {
    let chain = match &args.remove {
        Some(name) => {
            output.stop().in_order();
            let mut ledger = Ledger::open(args.store.open()?, Arc::new(SystemClock))?;
            if !ledger.remove_follower(name)? {
                let detail = format!("no follower is registered as {name:?}; nothing was changed");
                return Err(Failure::message(detail));
            }
            ledger.reader()
        }
        None => ChainReader::open(args.store.open_read_only()?)?,
    };
    let end = chain.extent()?.end;
    output.print(&json!({
        "store": args.store.to_string(),
        "blocks": end,
        "removed": args.remove,
        "followers": list(&chain.followers()?, end),
    }));
    Ok(())
}

/// Each with the last block that it has finished, and how many it hasn't.
fn list(followers: &Followers, end: u64) -> Vec<Value> {
    let describe = |(name, finished): (&str, Option<hubledger::ledger::Position>)| {
        let next = finished.map_or(0, |position| position.height.saturating_add(1));
        json!({
            "name": name,
            "height": finished.map(|position| position.height),
            "hash": finished.map(|position| position.hash),
            "behind": end.saturating_sub(next),
        })
    };
    followers.iter().map(describe).collect()
}
