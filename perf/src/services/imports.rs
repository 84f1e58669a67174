//! Importing with all views following against importing without any.

use std::path::Path;

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use hubledger::engine::{Engine, Outcome};
use hubledger::generate::{Generator, Recipe};
use hubledger::spec::ChainSpec;
use hubledger_storage::StoreUrl;

use super::all_views;
use super::maker::{Maker, Signed};
use super::talk::{Talk, introduce};
use crate::clock::{Clock, Times};
use crate::storage::{Contender, fresh_directory};
use crate::turns::Contestant;

/// Transactions of a block.
pub(super) const BLOCK: usize = 1_000;

/// A chain as blocks.
pub(super) struct Made {
    pub(super) spec: ChainSpec,
    pub(super) blocks: Vec<Bytes>,
    /// In all blocks together.
    pub(super) transactions: usize,
}

/// Of equal parts queue, registry, route and cache transactions.
pub(super) fn of_services(blocks: u64) -> Result<Made> {
    let mut maker = Maker::new(StoreUrl::Memory.create()?, Signed::Yes)?;
    introduce(&mut maker)?;
    let mut transactions = maker.waiting();
    let mut made = vec![maker.block()?.encode().into()];
    let mut talk = Talk::default();
    for _ in 0..blocks {
        for _ in 0..BLOCK {
            talk.go_on(&mut maker)?;
        }
        made.push(maker.block()?.encode().into());
        transactions += BLOCK;
    }
    Ok(Made {
        spec: maker.spec().clone(),
        blocks: made,
        transactions,
    })
}

/// Of messages that say nothing to any service.
pub(super) fn of_plain_messages(blocks: u64) -> Result<Made> {
    let mut generator = Generator::new(Recipe {
        transactions: blocks * BLOCK as u64,
        per_block: BLOCK as u32,
        ..Recipe::default()
    })?;
    let mut made = Vec::new();
    while let Some(block) = generator.next_block()? {
        made.push(block.encode().into());
    }
    Ok(Made {
        spec: generator.spec().clone(),
        blocks: made,
        transactions: blocks as usize * BLOCK,
    })
}

/// An import into a fresh store, up to its end and, with views, until all of them have committed the last block.
pub(super) fn importing<'c>(
    chain: &'c Made,
    has_views: bool,
    contender: &Contender,
    under: &'c Path,
) -> Contestant<'c> {
    let name = match has_views {
        true => format!("import into {contender}, all views on"),
        false => format!("import into {contender}, views off"),
    };
    let contender = contender.clone();
    Contestant::new(name, Clock::Processor, chain.transactions, move || {
        let (directory, beside) = (fresh_directory(under)?, fresh_directory(under)?);
        let store = contender.store_url(directory.path())?.create()?;
        let engine = Engine::builder().create(store, &chain.spec)?;
        let following = match has_views {
            true => {
                let store = contender.store_url(beside.path())?.create()?;
                let views = all_views(store, engine.reader())?;
                Some(views.follow(&engine, "views")?)
            }
            false => None,
        };
        let (outcome, times) = Times::of(|| -> Result<()> {
            import(&engine, &chain.blocks)?;
            if let Some(following) = &following {
                following.wait_for(chain.blocks.len() as u64)?;
            }
            engine.shutdown()?;
            Ok(())
        });
        if let Some(following) = following {
            following.stop()?;
        }
        outcome?;
        Ok(times)
    })
}

/// Imports blocks, all of which are new and valid.
pub(super) fn import(engine: &Engine, blocks: &[Bytes]) -> Result<()> {
    for outcome in engine.import(blocks.iter().cloned()) {
        match outcome? {
            Outcome::Committed(_) => {}
            other => bail!("a block was not accepted: {other:?}"),
        }
    }
    let height = engine.head()?.height;
    ensure!(height >= blocks.len() as u64, "not all was imported");
    Ok(())
}
