//! `restore`: a chain from an archive, and from the store that holds what follows.

use std::sync::Arc;

use hubledger::archive::Archive;
use hubledger::clock::SystemClock;
use hubledger::ledger::{ChainReader, restore_archive};
use serde_json::json;

use crate::args::Restore;
use crate::failure::Result;
use crate::output::Output;
use crate::progress::Progress;

pub(crate) fn restore(args: &Restore, output: &Output) -> Result {
    let archive = Archive::open(&args.archive)?;
    let then = match &args.then {
        Some(url) => Some(ChainReader::open(url.open_read_only()?)?),
        None => None,
    };
    let blocks = match &then {
        Some(then) => then.extent()?.end,
        None => archive.manifest().end(),
    };
    // Nothing is created for an archive that isn't one.
    archive.spec()?;
    let store = args.store.open_or_create()?;
    let mut progress = Progress::new("restore", Some(blocks));
    let report = restore_archive(
        &archive,
        then.as_ref(),
        store,
        Arc::new(SystemClock),
        &mut |block| progress.block(block.transactions().len() as u64, block.height() + 1),
    )?;
    output.print(&json!({
        "verdict": "valid",
        "store": args.store.to_string(),
        "blocks": report.blocks,
        "transactions": report.transactions,
        "head": report.head,
        "archived": report.archived,
        "further": report.further,
        "seconds": progress.finish(),
    }));
    Ok(())
}
