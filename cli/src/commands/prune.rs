//! `prune`: a policy from a file or from options, and the receipt.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use hubledger::clock::{Clock, SystemClock};
use hubledger::ledger::archive::ArchiveWriter;
use hubledger::ledger::policy::{Keep, PrunePolicy};
use hubledger::ledger::{Ledger, LedgerError, Pruned};
use hubledger_services::audit::LocalAct;
use serde_json::{Value, json};

use super::audit::open_log;
use super::read_file;
use crate::args::Prune;
use crate::failure::{Failure, Result};
use crate::output::{Output, complain};
use crate::progress::Progress;

/// A policy has eight fields; a file of more than this is something else.
const POLICY_BYTES_MAX: u64 = 64 * 1024;

pub(crate) fn prune(args: &Prune, output: &Output) -> Result {
    let policy = policy(args)?;
    let mut ledger = Ledger::open(args.store.open()?, Arc::new(SystemClock))?;
    let mut archive = match &args.archive {
        Some(folder) => Some(ArchiveWriter::open(folder, ledger.spec())?),
        None => None,
    };
    // Before anything is removed: a log that can't be written must not be found out about afterwards.
    let mut log = args.audit.as_deref().map(open_log).transpose()?;
    let stop = output.stop();
    stop.in_order();
    let mut progress = Progress::new("prune", Some(0));
    let report = ledger.prune(&policy, archive.as_mut(), &mut |step| {
        progress.stage(step.phase.name(), step.height, step.target);
        stop.flow()
    })?;
    let seconds = progress.finish();
    if let Some(log) = &mut log {
        let written = log.append(SystemClock.now_us(), &LocalAct::pruned(&report));
        written.map_err(Failure::message)?;
    }
    let (extent, head) = (ledger.reader().extent()?, ledger.state().head());
    ledger.close()?;
    let parts = [&report.bodies, &report.index, &report.headers];
    let receipt = json!({
        "store": args.store.to_string(),
        "head": head,
        "blocks": extent.end,
        "floor": extent.body_floor,
        "index_floor": extent.index_floor,
        "header_floor": extent.header_floor,
        "bodies": removed(&report.bodies),
        "index": removed(&report.index),
        "headers": removed(&report.headers),
        "freed_bytes": parts.iter().map(|part| part.freed_bytes).sum::<u64>(),
        "archived": report.archived,
        "leaves_kept": report.leaves_kept,
        "bytes_on_disk": report.usage.bytes_on_disk,
        "within_budget": report.within_budget,
        "held_back_by": report.held_back_by.as_ref().map(|held| json!({
            "name": held.name,
            "height": held.height,
        })),
        "seconds": seconds,
    });
    if let Some(held) = &report.held_back_by {
        let name = &held.name;
        complain(&format!(
            "held back: {held}, so no body is removed from there on; `hubledger followers --remove {name}` ends that"
        ));
    }
    if !report.done {
        let receipt = receipt.as_object().cloned().unwrap_or_default();
        let detail =
            "what the report says is removed, and all else is there; start it again to go on";
        return Err(stop.failure(detail, receipt));
    }
    output.print(&receipt);
    if report.within_budget == Some(false) {
        let (bytes, floor) = (report.usage.bytes_on_disk, extent.body_floor);
        complain(&format!(
            "over the budget: all that may go is removed, bodies below block {floor} among it, and {bytes} bytes are left"
        ));
        return Err(Failure::Negative);
    }
    Ok(())
}

fn removed(pruned: &Pruned) -> Value {
    json!({ "blocks": pruned.blocks, "bytes": pruned.bytes, "freed_bytes": pruned.freed_bytes })
}

fn policy(args: &Prune) -> Result<PrunePolicy> {
    if let Some(path) = &args.policy {
        return read_policy(path);
    }
    let last = |blocks: Option<u64>| blocks.map_or(Keep::All, Keep::Last);
    let bodies = [
        args.keep.map(Keep::Last),
        args.below.map(Keep::From),
        args.older_than.map(Keep::For),
    ];
    let policy = PrunePolicy {
        bodies: bodies.into_iter().flatten().next().unwrap_or_default(),
        index: last(args.index_keep),
        headers: last(args.headers_keep),
        leaves: args.keep_leaves,
        budget_bytes: args.budget,
        blocks_min: args.keep_at_least,
    };
    policy.validate().map_err(LedgerError::from)?;
    Ok(policy)
}

fn read_policy(path: &Path) -> Result<PrunePolicy> {
    let place = || path.display().to_string();
    let text = read_file(path, POLICY_BYTES_MAX)?;
    if text.len() as u64 > POLICY_BYTES_MAX {
        let problem = format!("{}: longer than {POLICY_BYTES_MAX} bytes", place());
        return Err(Failure::message(problem));
    }
    let text = str::from_utf8(&text).with_context(place)?;
    PrunePolicy::from_toml(text).map_err(|error| Failure::message(format!("{}: {error}", place())))
}
