//! The library without threads: one chain in one store, block by block, in the caller's own thread. For tools, tests, and hubs that
//! have little to do.
//!
//! Run it with `cargo run --example ledger [STORE_URL]`; without a URL the chain lives in memory.

use std::sync::Arc;

use anyhow::bail;
use hubledger::clock::SystemClock;
use hubledger::generate::{Generator, Recipe};
use hubledger::ledger::{Ledger, Lookup, Staging};
use hubledger_storage::StoreUrl;

fn main() -> anyhow::Result<()> {
    let url = std::env::args().nth(1);
    let url: StoreUrl = url.as_deref().unwrap_or("memory:").parse()?;

    // Somebody's chain: the same seed makes the same blocks, so that a second run finds them held.
    let recipe = Recipe {
        transactions: 300,
        per_block: 100,
        ..Recipe::default()
    };
    let mut somebody = Generator::new(recipe)?;
    let mut ledger = Ledger::create(
        url.open_or_create()?,
        somebody.spec(),
        Arc::new(SystemClock),
    )?;

    let mut last = None;
    while let Some(block) = somebody.next_block()? {
        match ledger.submit(&block)? {
            Staging::Staged => println!("block {} is valid", block.height()),
            Staging::Held => println!("block {} was here already", block.height()),
            Staging::Rejected(rejected) => bail!("{rejected}"),
        }
        last = Some(block);
    }
    let Some(last) = last else {
        bail!("the recipe makes no blocks");
    };

    // A block that somebody changed is data about that block, not an error of ours.
    let mut bytes = last.encode();
    let end = bytes.len() - 1;
    bytes[end] ^= 1;
    match ledger.stage_bytes(&bytes.into())? {
        Staging::Rejected(rejected) => println!("a flipped bit is found: {rejected}"),
        other => bail!("a block with a flipped bit was taken: {other:?}"),
    }

    // Any thread can read meanwhile.
    let reader = ledger.reader();
    let id = last.transactions()[7].id();
    let Lookup::Found(located) = reader.transaction(&id)? else {
        bail!("{id} is not found");
    };
    println!(
        "{id} is number {} of block {}",
        located.index, located.height
    );

    let receipt = ledger.close()?;
    println!(
        "closed at height {}, durable: {}",
        receipt.end - 1,
        receipt.durability
    );
    Ok(())
}
