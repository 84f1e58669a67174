//! `restore`: a chain from an archive, and from the store that holds what follows.

use hubledger::engine::{Engine, RestoreError};
use hubledger::ledger::archive::Archive;
use hubledger::ledger::{ChainReader, LedgerError};
use serde_json::{Map, json};

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
    let stop = output.stop();
    stop.in_order();
    let store = args.store.open_or_create()?;
    let reader = store.reader.clone();
    let mut progress = Progress::new("restore", Some(blocks));
    let builder = Engine::builder().threads(args.threads.into());
    let report = builder.restore(&archive, then.as_ref(), store, &mut |step| {
        progress.block(step.transactions, step.height + 1);
        stop.flow()
    });
    let report = match report {
        Err(RestoreError::Ledger(LedgerError::Stopped)) => {
            let restored = reader.extent()?.end;
            let detail = format!("{restored} blocks are restored; start it again to go on");
            let report = Map::from_iter([("blocks".to_owned(), restored.into())]);
            return Err(stop.failure(detail, report));
        }
        report => report?,
    };
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
