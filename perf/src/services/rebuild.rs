//! Rebuilding all views of a chain against verifying it.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Result, ensure};
use hubledger::engine::Engine;
use hubledger::ledger::ChainReader;
use hubledger_storage::StoreUrl;

use super::all_views;
use super::imports::{Made, import};
use crate::clock::{Clock, Times};
use crate::storage::{Contender, fresh_directory};
use crate::turns::Contestant;

/// Fills a store.
pub(super) fn fill(chain: &Made, url: &StoreUrl) -> Result<()> {
    let engine = Engine::builder().create(url.create()?, &chain.spec)?;
    import(&engine, &chain.blocks)?;
    engine.shutdown()?;
    Ok(())
}

/// Makes all views anew from the blocks of a store.
pub(super) fn rebuilding<'c>(
    chain: &'c Made,
    url: &'c StoreUrl,
    contender: &Contender,
    under: &'c Path,
) -> Contestant<'c> {
    let contender = contender.clone();
    let name = "rebuild all views";
    Contestant::new(name, Clock::Wall, chain.transactions, move || {
        let directory = fresh_directory(under)?;
        let reader = ChainReader::open(url.open_read_only()?)?;
        let store = contender.store_url(directory.path())?.create()?;
        let mut views = all_views(store, reader)?;
        let (outcome, times) = Times::of(|| views.catch_up());
        outcome?;
        let next = views.next_height();
        ensure!(next > chain.blocks.len() as u64, "not all was applied");
        Ok(times)
    })
}

/// Checks everything in a store again, on all cores.
pub(super) fn verifying<'c>(chain: &'c Made, url: &'c StoreUrl) -> Contestant<'c> {
    Contestant::new("verify", Clock::Wall, chain.transactions, move || {
        let store = url.open_read_only()?;
        let builder = Engine::builder();
        let (report, times) =
            Times::of(|| builder.verify(store, &mut |_| ControlFlow::Continue(())));
        let report = report?;
        ensure!(
            report.rejected.is_none(),
            "the chain isn't valid: {report:?}"
        );
        Ok(times)
    })
}
