//! `upgrade`: a chain goes on under another specification, in the store where it is.

use std::path::Path;
use std::sync::Arc;

use hubledger::clock::{Clock, SystemClock};
use hubledger::ledger::{ChainReader, Ledger, UpgradeError};
use hubledger::spec::{ChainSpec, Change, SpecFields};
use hubledger::state::State;
use serde_json::{Map, Value, json};

use super::spec::{FILE_BYTES_MAX, problems};
use super::write_new;
use crate::args::Upgrade;
use crate::failure::{Failure, Result};
use crate::input::{self, name_of};
use crate::output::{Output, complain};

pub(crate) fn upgrade(args: &Upgrade, output: &Output) -> Result {
    let given = args.spec.as_deref().map(read_fields).transpose()?;
    if args.dry_run {
        let chain = ChainReader::open(args.store.open_read_only()?)?;
        let state = chain.state()?;
        let next = successor(args, &chain, &state, given)?;
        return report(args, (&chain, &state), next.as_ref(), output);
    }
    // What is begun is finished: it is one step.
    output.stop().in_order();
    let ledger = Ledger::open(args.store.open()?, Arc::new(SystemClock))?;
    let (chain, state) = (ledger.reader(), ledger.state().clone());
    let next = successor(args, &chain, &state, given)?;
    match &next {
        Some(next) => ledger.upgrade(next)?.close()?,
        None => ledger.close()?,
    };
    report(args, (&chain, &state), next.as_ref(), output)
}

/// The fields of a specification, from a file in which the predecessor may be left out.
pub(super) fn read_fields(path: &Path) -> Result<SpecFields> {
    let bytes = input::read(path, FILE_BYTES_MAX)?;
    let text = String::from_utf8(bytes).map_err(|error| error.to_string());
    let fields =
        text.and_then(|text| SpecFields::from_toml(&text).map_err(|error| error.to_string()));
    fields.map_err(|problem| Failure::message(format!("{}: {problem}", name_of(path))))
}

/// The specification under which the chain is to go on, in the file that was asked for; nothing if it is under that one already.
fn successor(
    args: &Upgrade,
    chain: &ChainReader,
    state: &State,
    given: Option<SpecFields>,
) -> Result<Option<ChainSpec>> {
    let fields = given.unwrap_or_else(|| chain.spec().successor_fields());
    let next = chain
        .successor(state, fields)
        .map_err(|error| match (error, &args.spec) {
            (UpgradeError::Ledger(error), _) => error.into(),
            (error, Some(path)) => Failure::message(format!("{}: {error}", name_of(path))),
            (error, None) => error.into(),
        })?;
    if let Some(path) = &args.out {
        let spec = next.as_ref().unwrap_or_else(|| chain.spec());
        write_new(path, spec.to_toml().as_bytes())?;
    }
    Ok(next)
}

fn report(
    args: &Upgrade,
    (chain, state): (&ChainReader, &State),
    next: Option<&ChainSpec>,
    output: &Output,
) -> Result {
    let held = chain.spec();
    let spec = next.unwrap_or(held);
    let warnings = spec.warnings(SystemClock.now_us());
    if next.is_none() {
        complain(
            "nothing to do: the chain is under this specification already; what is to change is given with --spec",
        );
    }
    for warning in &warnings {
        complain(&format!("warning: {warning}"));
    }
    let pinned = spec.predecessor();
    let changes = next.map(|next| held.changes_to(next)).unwrap_or_default();
    output.print(&json!({
        "store": args.store.to_string(),
        "upgraded": next.is_some() && !args.dry_run,
        "name": spec.name,
        "format": spec.version,
        "chain": spec.id(),
        "predecessor": pinned.map(|pinned| pinned.specification.id()),
        "goes_on_from": pinned.map(|pinned| json!({
            "height": pinned.height,
            "head": pinned.head,
            "state_root": pinned.state_root,
        })),
        "height": state.height(),
        "head": state.head(),
        "changes": in_words(changes),
        "warnings": problems(&warnings),
    }));
    Ok(())
}

/// Changes by their fields.
pub(super) fn in_words(changes: Vec<Change>) -> Value {
    let changes = changes.into_iter().map(|change| {
        let words = json!({ "before": change.before, "after": change.after });
        (change.field.to_owned(), words)
    });
    Value::Object(changes.collect::<Map<_, _>>())
}
