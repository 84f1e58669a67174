//! `migrate` and `backup`: a chain from one store into another.

use hubledger::ledger::{
    ChainReader, CopyReport, LedgerError, Losses, Missing, StepProgress, copy_chain, salvage_chain,
};
use hubledger_storage::{Store, StoreUrl};
use serde_json::{Map, Value, json};

use crate::args::{Backup, Migrate};
use crate::describe;
use crate::failure::{Failure, Result};
use crate::output::{Output, SKIP_DAMAGED, complain};
use crate::progress::Progress;

pub(crate) fn migrate(args: &Migrate, output: &Output) -> Result {
    let (from, to) = (&args.from, &args.to);
    if !args.skip_damaged {
        return copy_whole("migrate", from, to, output);
    }
    refuse_same(from, to)?;
    let mut damage = Vec::new();
    let source = from.open_damaged(&mut |found| {
        complain(&format!("damage: {found}"));
        damage.push(found.to_string());
    })?;
    let is_sound = damage.is_empty();
    let end = source.extent()?.end;
    let salvage =
        |target, progress: &mut StepProgress<'_>| salvage_chain(source, is_sound, target, progress);
    let (report, mut document) = copy(("migrate", end), from, to, output, salvage)?;
    let (missing, losses) = (&report.missing, &report.losses);
    describe_losses(losses, &mut document);
    document["opened_with_damage"] = damage.into();
    if let Some(cut) = report.cut {
        document["ends_before"] = json!({ "height": cut.height, "source_blocks": cut.end });
        let lost = cut.end - cut.height;
        complain(&format!(
            "lost: the last {lost} blocks, since the state after block {} can't be told without it",
            cut.height
        ));
    }
    complain_of(missing, losses);
    output.print(&document);
    // Where the chain's end isn't known, blocks may be missing that nothing tells of.
    match missing.is_empty() && losses.is_empty() && is_sound {
        true => Ok(()),
        false => Err(Failure::Damaged),
    }
}

pub(crate) fn backup(args: &Backup, output: &Output) -> Result {
    copy_whole("backup", &args.store, &args.to, output)
}

/// Copies a chain of which everything can be read.
fn copy_whole(what: &'static str, from: &StoreUrl, to: &StoreUrl, output: &Output) -> Result {
    refuse_same(from, to)?;
    let source = from.open_read_only().map_err(LedgerError::from);
    let source = source.and_then(ChainReader::open).inspect_err(|error| {
        if error.is_corrupt() {
            complain(SKIP_DAMAGED);
        }
    })?;
    let end = source.extent()?.end;
    let whole = |target, progress: &mut StepProgress<'_>| copy_chain(&source, target, progress);
    let (_, document) = copy((what, end), from, to, output, whole)?;
    output.print(&document);
    Ok(())
}

pub(super) fn refuse_same(from: &StoreUrl, to: &StoreUrl) -> Result {
    match from == to {
        true => Err(Failure::message(format!("{to} can't be copied to itself"))),
        false => Ok(()),
    }
}

/// Copies with `run`, and gives the report as it is and as it is printed.
fn copy(
    (what, end): (&'static str, u64),
    from: &StoreUrl,
    to: &StoreUrl,
    output: &Output,
    run: impl FnOnce(Store, &mut StepProgress<'_>) -> std::result::Result<CopyReport, LedgerError>,
) -> Result<(CopyReport, Value)> {
    let stop = output.stop();
    stop.in_order();
    let target = to.open_or_create()?;
    let reader = target.reader.clone();
    let mut progress = Progress::new(what, Some(end));
    let report = run(target, &mut |step| {
        progress.stage(step.phase.name(), step.height, step.target);
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
    let document = json!({
        "from": from.to_string(),
        "to": to.to_string(),
        "head": report.head,
        "blocks": report.extent.end,
        "floor": report.extent.body_floor,
        "index_floor": report.extent.index_floor,
        "header_floor": report.extent.header_floor,
        "resumed_at": report.from,
        "bytes": report.bytes,
        "values": report.values,
        "rows": report.rows,
        "equal": {
            "ids": report.compared.ids,
            "blocks": report.compared.blocks,
            "look_ups": report.compared.look_ups,
            "proofs": report.compared.proofs,
            "rows": report.compared.rows,
        },
        "missing": describe::missing(&report.missing),
        "bytes_on_disk": reader.usage()?.bytes_on_disk,
        "seconds": progress.finish(),
    });
    Ok((report, document))
}

/// What this run could not read, beside what is missing.
fn describe_losses(losses: &Losses, document: &mut Value) {
    document["missing_values"] = json!(losses.values);
    document["missing_sets"] = json!(losses.sets);
    document["reasons"] = json!(losses.reasons);
    document["reasons_unlisted"] = losses.unlisted.into();
}

fn complain_of(missing: &Missing, losses: &Losses) {
    for reason in &losses.reasons {
        complain(&format!("damage: {reason}"));
    }
    if losses.unlisted > 0 {
        complain(&format!("damage: and {} more", losses.unlisted));
    }
    if !losses.values.is_empty() {
        complain(&format!(
            "lost: the named values {}",
            losses.values.join(", ")
        ));
    }
    if !losses.sets.is_empty() {
        complain(&format!("left: the table sets {}", losses.sets.join(", ")));
    }
    if !missing.is_empty() {
        complain(&format!("missing in the copy: {missing}"));
    }
}
