//! `export`: blocks of a store in a block file.

use hubledger::ledger::{ChainReader, LedgerError};
use serde_json::{Map, json};

use super::generate::Sink;
use crate::args::Export;
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::progress::Progress;

pub(crate) fn export(args: &Export, output: &Output) -> Result {
    let reader = ChainReader::open(args.store.open_read_only()?)?;
    let head = reader.head()?.height;
    let (first, last) = (args.from, args.to.unwrap_or(head));
    if first > last || last > head {
        let store = &args.store;
        let problem = format!("{store}: no blocks from {first} to {last}: the last is {head}");
        return Err(Failure::message(problem));
    }
    let stop = output.stop();
    stop.in_order();
    let mut file = Sink::open(&args.out, reader.spec(), output)?;
    let mut progress = Progress::new("export", Some(last - first + 1));
    let mut transactions = 0u64;
    for height in first..=last {
        if stop.is_asked() {
            return Err(stop.failure(file.unfinished(&args.out), Map::new()));
        }
        let block = reader.block(height)?.ok_or(LedgerError::Pruned(height))?;
        file.append(&block)?;
        transactions += block.transactions().len() as u64;
        progress.block(block.transactions().len() as u64, height - first + 1);
    }
    file.finish()?;
    output.print(&json!({
        "out": args.out.display().to_string(),
        "chain": reader.spec().id(),
        "from": first,
        "to": last,
        "transactions": transactions,
        "head": reader.hash_at(last)?,
        "seconds": progress.finish(),
    }));
    Ok(())
}
