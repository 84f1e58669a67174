//! Views over a chain, for commands that answer from one.

use hubledger::ledger::ChainReader;
use hubledger_services::view::{AsOf, Settings, Snapshot, View, ViewReader, Views, beside};
use hubledger_storage::{Error, Store, StoreUrl};
use serde_json::{Value, json};

use crate::args::Viewed;
use crate::failure::Result;

/// A view as of the last block of its chain, with the chain. Where a hub has the views open, what it has made of the chain so far, as far
/// as its backend lets others read meanwhile.
pub(crate) fn look(args: &Viewed, view: Box<dyn View>) -> Result<(Snapshot, ChainReader)> {
    let chain = ChainReader::open(args.store.open_read_only()?)?;
    let url = args.views.clone().or_else(|| beside(&args.store));
    let name = view.name();
    let store = match url {
        Some(url) if url.exists() => match url.open() {
            Err(Error::InUse { .. } | Error::ReadOnly { .. }) => {
                let reader = ViewReader::new(url.open_read_only()?.tables(), name);
                return Ok((reader.snapshot()?, chain));
            }
            opened => opened?,
        },
        Some(url) if args.keep => url.create()?,
        _ => memory()?,
    };
    let mut views = Views::open(store, chain.clone(), vec![view], Settings::default())?;
    views.catch_up()?;
    let snapshot = views.reader(name)?.snapshot()?;
    Ok((snapshot, chain))
}

fn memory() -> Result<Store> {
    Ok(StoreUrl::Memory.create()?)
}

/// After which block an answer is right.
pub(crate) fn as_of(as_of: Option<AsOf>) -> Value {
    match as_of {
        Some(AsOf {
            height,
            hash,
            seen_from,
        }) => json!({ "height": height, "hash": hash, "seen_from": seen_from }),
        None => Value::Null,
    }
}
