//! Two hubs that make blocks of one height, and how each of them comes to the better branch: blocks of all branches are offered, and the
//! ledger keeps to the best valid one.
//!
//! Run it with `cargo run --example fork`.

use std::sync::Arc;

use anyhow::{Context, bail};
use hubledger::clock::{Clock, SystemClock};
use hubledger::format::FormatVersion;
use hubledger::generate::{Generator, Recipe};
use hubledger::ledger::{Ledger, Placement};
use hubledger::rules::produce::produce;
use hubledger::spec::{ChainSpec, Finality};
use hubledger::tree::Source;
use hubledger_storage::StoreUrl;

fn main() -> anyhow::Result<()> {
    // Whoever has the authority's key can make two blocks of one height, by mistake or not. Here a block is final once three follow it.
    let generator = Generator::new(Recipe {
        transactions: 1,
        ..Recipe::default()
    })?;
    let (name, key) = generator.authority();
    let mut fields = (**generator.spec()).clone();
    fields.version = FormatVersion::V2;
    fields.terms.finality = Finality::Depth(3);
    let spec = ChainSpec::new(fields)?;

    let mut hubs = Vec::new();
    for _ in 0..2 {
        let store = "memory:".parse::<StoreUrl>()?.create()?;
        hubs.push(Ledger::create(store, &spec, Arc::new(SystemClock))?);
    }
    let [one, other] = &mut hubs[..] else {
        bail!("there are two hubs")
    };

    // One hub makes two blocks, the other makes three of its own.
    let own = Source::of("this hub");
    for (hub, blocks) in [(&mut *one, 2), (&mut *other, 3)] {
        for _ in 0..blocks {
            let now_us = SystemClock.now_us();
            let block = produce(&spec, hub.state(), name, key, &[], now_us)?;
            hub.offer(&block, own)?;
        }
        println!("a hub is at height {}", hub.state().height());
    }

    // Blocks may come in any order: those whose parent is missing wait for it.
    let peer = Source::of("the other hub");
    let reader = other.reader();
    for height in [2, 3, 1] {
        let block = reader.block(height)?.context("a block of the other hub")?;
        let offer = one.offer(&block, peer)?;
        match &offer.placement {
            Placement::Orphan => println!("block {height} waits for its parent"),
            placement => println!("block {height}: {placement:?}"),
        }
        for change in &offer.changes {
            let (gone, come) = (change.reverted.len(), change.committed.len());
            println!(
                "behind block {}: {gone} blocks went, {come} came",
                change.common
            );
        }
    }
    if one.state() != other.state() {
        bail!("both hubs have the same blocks, and so the same chain");
    }
    println!("both hubs agree:\n{}", one.fork_tree()?.draw());
    Ok(())
}
