//! `audit` and `records`: who did what, and what hubs measured.

use std::path::Path;

use hubledger::proof::Proof;
use hubledger_services::audit::{Audit, AuditFilter, AuditView, LocalLog};
use hubledger_services::records::{Records, RecordsView};
use serde_json::{Value, json};

use super::cache::place;
use super::views::{as_of, look};
use super::write_new;
use crate::args;
use crate::failure::{Failure, Result};
use crate::output::Output;

pub(crate) fn audit(args: &args::Audit, output: &Output) -> Result {
    let (snapshot, chain) = look(&args.viewed, Box::new(AuditView))?;
    let audit = Audit::new(snapshot);
    let filter = AuditFilter {
        acts: args.act.iter().map(|word| word.0).collect(),
        actor: args.actor.clone(),
        subject: args.subject.clone(),
    };
    let found = audit.lines(&filter, (args.from, args.index), args.below, args.limit)?;
    let mut lines = Vec::with_capacity(found.lines.len());
    for line in &found.lines {
        let mut said = line.to_json();
        if args.prove {
            // Against the block that the answer is as of, which is said beside it.
            let head = audit.as_of().map(|as_of| as_of.hash);
            let proof = line.recorded.prove(&chain, head.as_ref())?;
            let text = Proof::Transaction(proof).to_json();
            said["proof"] = serde_json::from_str(&text).map_err(Failure::message)?;
        }
        lines.push(said);
    }
    let mut about = json!({ "as_of": as_of(audit.as_of()), "next": place(found.next) });
    if let Some(path) = &args.local {
        let mut own = Vec::new();
        let last = LocalLog::read(path, &mut |line| own.push(line.text));
        about["local_last"] = json!(last.map_err(Failure::message)?);
        let read = own.iter().map(|line| serde_json::from_str::<Value>(line));
        for line in read {
            lines.push(line.map_err(Failure::message)?);
        }
    }
    match &args.out {
        Some(path) => {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            write_new(path, text.as_bytes())?;
            about["lines"] = lines.len().into();
            about["out"] = path.display().to_string().into();
        }
        None => about["lines"] = lines.into(),
    }
    output.print(&about);
    Ok(())
}

/// This hub's own log, to go on with.
pub(super) fn open_log(path: &Path) -> Result<LocalLog> {
    LocalLog::open(path).map_err(Failure::message)
}

pub(crate) fn records(args: &args::Records, output: &Output) -> Result {
    let (snapshot, _) = look(&args.viewed, Box::new(RecordsView))?;
    let records = Records::new(snapshot);
    let from = (args.from, (args.place.0, args.place.1));
    let page = records.records(args.hub.as_deref(), from, args.below, args.limit)?;
    let summaries = page.summaries().into_iter().map(|(name, summary)| {
        json!({
            "figure": name,
            "count": summary.count,
            "mean": summary.sum as f64 / summary.count as f64,
            "min": summary.min,
            "max": summary.max,
        })
    });
    let next = page
        .next
        .map(|(end, (height, index))| json!({ "from": end, "place": format!("{height}:{index}") }));
    output.print(&json!({
        "as_of": as_of(records.as_of()),
        "records": page.records.iter().map(|record| record.to_json()).collect::<Vec<_>>(),
        "summaries": summaries.collect::<Vec<_>>(),
        "next": next,
    }));
    Ok(())
}
