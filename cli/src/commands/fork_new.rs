//! `fork new`: a new chain from a height of one, in a new store.

use std::sync::Arc;

use hubledger::clock::{Clock, SystemClock};
use hubledger::ledger::{ChainFork, ChainReader, CopyReport, ForkError, Ledger, LedgerError};
use hubledger::spec::{ChainSpec, SpecFields};
use serde_json::{Map, json};

use super::copy::refuse_same;
use super::spec::problems;
use super::upgrade::{in_words, read_fields};
use super::write_new;
use crate::args::ForkNew;
use crate::failure::{Failure, Result};
use crate::input::name_of;
use crate::output::{Output, complain};
use crate::progress::Progress;

pub(crate) fn new(args: &ForkNew, output: &Output) -> Result {
    refuse_same(&args.store, &args.to)?;
    if let Some(path) = args.out.as_deref().filter(|path| path.exists()) {
        let path = path.display();
        return Err(Failure::message(format!("{path} is there already")));
    }
    let given = args.spec.as_deref().map(read_fields).transpose()?;
    let source = ChainReader::open(args.store.open_read_only()?)?;
    // Nothing is created before all is known that can be wrong.
    let fork = source
        .fork_at(args.at, fields(args, &source, given))
        .map_err(|error| in_file(args, error))?;
    let mut progress = Progress::new("fork", Some(args.at + 1));
    let (ledger, copied) = make(args, &fork, &mut progress, output)?;
    let spec = ledger.spec().clone();
    ledger.close()?;
    if let Some(path) = &args.out {
        write_new(path, spec.to_toml().as_bytes())?;
    }
    report(args, (fork.before(), &spec), &copied, progress, output);
    Ok(())
}

/// The fields that were asked for; none if those in force at that height stay.
fn fields(args: &ForkNew, source: &ChainReader, given: Option<SpecFields>) -> Option<SpecFields> {
    let named = args.name.as_ref().map(|name| {
        let before = source.spec().at(args.at.saturating_add(1));
        SpecFields {
            name: name.clone(),
            ..before.successor_fields()
        }
    });
    given.or(named)
}

fn in_file(args: &ForkNew, error: ForkError) -> Failure {
    match (error, &args.spec) {
        (error @ (ForkError::Successor(_) | ForkError::OtherHeight { .. }), Some(path)) => {
            Failure::message(format!("{}: {error}", name_of(path)))
        }
        (error, _) => error.into(),
    }
}

fn make(
    args: &ForkNew,
    fork: &ChainFork,
    progress: &mut Progress,
    output: &Output,
) -> Result<(Ledger, CopyReport)> {
    let stop = output.stop();
    stop.in_order();
    let to = &args.to;
    let target = to.open_or_create()?;
    let reader = target.reader.clone();
    let made = fork.make_in(target, Arc::new(SystemClock), &mut |step| {
        progress.stage(step.phase.name(), step.height, step.target);
        stop.flow()
    });
    match made {
        Err(ForkError::Ledger(LedgerError::Stopped)) => {
            let copied = reader.extent()?.end;
            let detail = format!(
                "{copied} blocks are copied, and {to} can't be opened before all is; start it again to go on"
            );
            let report = Map::from_iter([("blocks".to_owned(), copied.into())]);
            Err(stop.failure(detail, report))
        }
        made => made.map_err(|error| in_file(args, error)),
    }
}

fn report(
    args: &ForkNew,
    (before, spec): (&ChainSpec, &ChainSpec),
    copied: &CopyReport,
    progress: Progress,
    output: &Output,
) {
    let warnings = spec.warnings(SystemClock.now_us());
    for warning in &warnings {
        complain(&format!("warning: {warning}"));
    }
    let pinned = spec.predecessor();
    output.print(&json!({
        "from": args.store.to_string(),
        "to": args.to.to_string(),
        "name": spec.name,
        "format": spec.version,
        "chain": spec.id(),
        "predecessor": before.id(),
        "goes_on_from": pinned.map(|pinned| json!({
            "height": pinned.height,
            "head": pinned.head,
            "state_root": pinned.state_root,
        })),
        "changes": in_words(before.changes_to(spec)),
        "warnings": problems(&warnings),
        "blocks": copied.extent.end,
        "floor": copied.extent.body_floor,
        "index_floor": copied.extent.index_floor,
        "header_floor": copied.extent.header_floor,
        "resumed_at": copied.from,
        "bytes": copied.bytes,
        "seconds": progress.finish(),
    }));
}
