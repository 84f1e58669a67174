//! `init` and `stats`.

use std::sync::Arc;

use hubledger::clock::SystemClock;
use hubledger::ledger::{ChainReader, Ledger, LedgerError};
use serde_json::json;

use super::read_spec;
use crate::args::{Init, Stats};
use crate::describe;
use crate::failure::Result;
use crate::output::Output;

pub(crate) fn init(args: &Init, output: &Output) -> Result {
    let spec = read_spec(&args.spec)?;
    // A store that is begun is made.
    output.stop().in_order();
    let ledger = Ledger::create(args.store.create()?, &spec, Arc::new(SystemClock))?;
    let (chain, head) = (ledger.spec().id(), ledger.state().head());
    ledger.close()?;
    output.print(&json!({
        "store": args.store.to_string(),
        "name": spec.name,
        "chain": chain,
        "head": head,
    }));
    Ok(())
}

pub(crate) fn stats(args: &Stats, output: &Output) -> Result {
    let reader = ChainReader::open(args.store.open_read_only()?)?;
    let (extent, usage) = (reader.extent()?, reader.usage()?);
    let tip = extent.tip().unwrap_or_default();
    // Of a chain that was saved from damage the last header may be missing.
    let timestamp = match reader.head() {
        Ok(head) => Some(head.timestamp),
        Err(LedgerError::Lost { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let spec = reader.spec();
    output.print(&json!({
        "store": args.store.to_string(),
        "name": spec.name,
        "chain": spec.id(),
        "format": spec.version,
        "predecessor": spec.predecessor().map(|before| before.specification.id()),
        "head": reader.hash_at(tip)?,
        "height": tip,
        "timestamp": timestamp,
        "blocks": extent.end,
        "floor": extent.body_floor,
        "index_floor": extent.index_floor,
        "header_floor": extent.header_floor,
        "missing": describe::missing(&reader.missing()?),
        "bodies": usage.blocks,
        "index_entries": usage.index_entries,
        "bytes_on_disk": usage.bytes_on_disk,
        "authorities": spec.consensus.bound().count(),
        "imported_blocks": spec.import.as_ref().map_or(0, |import| import.blocks),
    }));
    Ok(())
}
