//! `verify`: everything again, of a store or of a chain that MPREG keeps.

use hubledger::engine::Engine;
use hubledger::ledger::{ChainReader, LedgerError};
use serde_json::{Map, Value, json};

use crate::args::Verify;
use crate::describe;
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::progress::Progress;
use crate::scratch::with_scratch;

pub(crate) fn verify(args: &Verify, output: &Output) -> Result {
    #[cfg(feature = "mpreg")]
    if let Some(path) = &args.mpreg {
        return super::mpreg::verify(args, path, output);
    }
    let Some(url) = &args.store else {
        return Err(Failure::message(
            "this build was made without the feature `mpreg`",
        ));
    };
    let store = url.open_read_only()?;
    let chain = ChainReader::open(store.clone())?;
    let blocks = chain.extent()?.end;
    let mut progress = Progress::new("verify", Some(blocks));
    let stop = output.stop();
    stop.in_order();
    let mut checked = 0;
    let builder = with_scratch(Engine::builder().threads(args.threads.into()));
    let report = builder.verify(store, &mut |step| {
        checked += 1;
        progress.block(step.transactions, step.height + 1);
        stop.flow()
    });
    let report = match report {
        Err(LedgerError::Stopped) => {
            let detail = format!(
                "of {blocks} blocks the first {checked} were checked, without a fault; start it again"
            );
            let report = Map::from_iter([("checked".to_owned(), json!(checked))]);
            return Err(stop.failure(detail, report));
        }
        report => report?,
    };
    let mut map = Map::new();
    map.insert("blocks".to_owned(), report.blocks.into());
    map.insert("transactions".to_owned(), report.transactions.into());
    map.insert("head".to_owned(), json!(report.head));
    for (name, height) in [
        ("headers_from", report.headers_from),
        ("bodies_from", report.bodies_from),
        ("rules_from", report.rules_from),
    ] {
        map.insert(name.to_owned(), height.into());
    }
    map.insert("missing".to_owned(), describe::missing(&report.missing));
    map.insert("seconds".to_owned(), json!(progress.finish()));
    if let Some(rejected) = report.rejected {
        return Err(Failure::Invalid(rejected, map));
    }
    map.insert("verdict".to_owned(), "valid".into());
    let missing = chain.spec().record_missing(report.blocks.saturating_sub(1));
    if missing > 0 {
        map.insert("record_missing".to_owned(), missing.into());
    }
    output.print(&Value::Object(map));
    Ok(())
}
