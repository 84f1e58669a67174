//! `migrate` and `backup`: a chain from one store into another.

use hubledger::ledger::{ChainReader, LedgerError, copy_chain};
use hubledger_storage::StoreUrl;
use serde_json::{Map, json};

use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::progress::Progress;

pub(crate) fn copy(what: &'static str, from: &StoreUrl, to: &StoreUrl, output: &Output) -> Result {
    if from == to {
        return Err(Failure::message(format!("{to} can't be copied to itself")));
    }
    let source = ChainReader::open(from.open_read_only()?)?;
    let stop = output.stop();
    stop.in_order();
    let target = to.open_or_create()?;
    let reader = target.reader.clone();
    let mut progress = Progress::new(what, Some(source.extent()?.end));
    let report = copy_chain(&source, target, &mut |step| {
        progress.stage(step.stage, step.height, step.target);
        stop.flow()
    });
    let report = match report {
        Err(LedgerError::Stopped) => {
            let copied = reader.extent()?.end;
            let detail = format!(
                "{copied} blocks are copied, and {to} can't be opened before all is; start it again to go on"
            );
            let report = Map::from_iter([("blocks".to_owned(), copied.into())]);
            return Err(stop.failure(detail, report));
        }
        report => report?,
    };
    output.print(&json!({
        "from": from.to_string(),
        "to": to.to_string(),
        "head": report.head,
        "blocks": report.extent.end,
        "floor": report.extent.floor,
        "index_floor": report.extent.index_floor,
        "header_floor": report.extent.header_floor,
        "resumed_at": report.from,
        "bytes": report.bytes,
        "values": report.values,
        "equal": {
            "ids": report.compared.ids,
            "blocks": report.compared.blocks,
            "look_ups": report.compared.look_ups,
            "proofs": report.compared.proofs,
        },
        "bytes_on_disk": reader.usage()?.bytes_on_disk,
        "seconds": progress.finish(),
    }));
    Ok(())
}
