//! `check`: all damage to a store, then the verdict on the chain in it; and `check --repair`.

use std::ops::ControlFlow;
use std::sync::Arc;

use hubledger::engine::Engine;
use hubledger::ledger::{ChainReader, LedgerError, StateRepair, repair_state};
use hubledger_storage::{Checked, Damage, DamageAt, StoreUrl};
use serde_json::{Map, Value, json};

use crate::args::Check;
use crate::describe::missing as describe_missing;
use crate::failure::{Failure, Result, verdict};
use crate::output::{Output, complain};
use crate::progress::Progress;
use crate::scratch::with_scratch;

/// What a signal says while nothing but reading goes on.
const UNCHANGED: &str = "nothing was changed; start it again";
/// What it says afterwards.
const REPAIRED: &str = "the repair has ended; start it again to see what is left";

pub(crate) fn check(args: &Check, output: &Output) -> Result {
    let (url, stop) = (&args.store, output.stop());
    stop.at_once(UNCHANGED);
    let mut found = read_all(url)?;
    let mut report = Map::new();
    report.insert("store".to_owned(), url.to_string().into());
    if args.repair && found.checked.damage > 0 {
        stop.in_order();
        let mut repaired = Vec::new();
        let outcome = url.repair(&mut |done| {
            complain(&format!("repaired: {done}"));
            repaired.push(json!({ "file": done.path.display().to_string(), "what": done.what }));
        });
        report.insert("damage_before".to_owned(), found.checked.damage.into());
        report.insert("repaired".to_owned(), repaired.into());
        if let Err(error) = outcome {
            report.insert("repair_failed".to_owned(), error.to_string().into());
            complain(&format!("error: {error}"));
        }
        stop.at_once(REPAIRED);
        if stop.is_asked() {
            return Err(stop.failure(REPAIRED, report));
        }
        found = read_all(url)?;
    }
    if args.repair && repair_tables(url, &mut report)? {
        found = read_all(url)?;
    }
    let chain = match found.checked.damage {
        0 => check_chain(url, &mut found)?,
        _ => Value::Null,
    };
    let (sound, invalid) = (found.checked.damage == 0, chain["verdict"] == "invalid");
    report.insert("sound".to_owned(), sound.into());
    report.insert("blocks".to_owned(), found.checked.blocks.into());
    report.insert("bodies".to_owned(), found.checked.bodies.into());
    let entries = found.checked.index_entries;
    report.insert("index_entries".to_owned(), entries.into());
    report.insert("damage_found".to_owned(), found.checked.damage.into());
    report.insert("damage_unlisted".to_owned(), found.checked.unlisted.into());
    report.insert("damage".to_owned(), found.damage.into());
    report.insert("chain".to_owned(), chain);
    output.print(&Value::Object(report));
    match (sound, invalid) {
        (false, _) => Err(Failure::Damaged),
        (true, true) => Err(Failure::InvalidVerdict),
        (true, false) => Ok(()),
    }
}

/// Removes a damaged state from the tables, if it can be worked out again, and says what became of it. Gives whether anything was
/// changed.
fn repair_tables(url: &StoreUrl, report: &mut Map<String, Value>) -> Result<bool> {
    let chain = url.open_read_only().map_err(LedgerError::from);
    let damage = match chain.and_then(ChainReader::open) {
        Ok(chain) => chain.state_damage()?,
        // The damage that keeps it from being opened is told by the check.
        Err(LedgerError::Uninitialised | LedgerError::Incomplete) => None,
        Err(error) if error.is_corrupt() => None,
        Err(error) => return Err(error.into()),
    };
    if damage.is_none() {
        return Ok(false);
    }
    let repaired = match repair_state(url.open()?)? {
        StateRepair::Sound => return Ok(false),
        StateRepair::Removed { problem } => {
            complain(&format!(
                "repaired: {url}: the state in tables is removed; it is worked out from blocks at the next opening ({problem})"
            ));
            report.insert("state".to_owned(), json!({ "removed": problem }));
            true
        }
        StateRepair::Left { problem, reason } => {
            complain(&format!(
                "left: {url}: the state in tables can't be worked out again: {reason} ({problem})"
            ));
            report.insert(
                "state".to_owned(),
                json!({ "left": problem, "reason": reason }),
            );
            false
        }
    };
    Ok(repaired)
}

/// What a check found.
struct Found {
    checked: Checked,
    damage: Vec<Value>,
}

fn read_all(url: &StoreUrl) -> Result<Found> {
    let mut damage = Vec::new();
    let checked = url.check(&mut |found| {
        complain(&format!("damage: {found}"));
        damage.push(describe(&found));
    })?;
    if checked.unlisted > 0 {
        complain(&format!("damage: and {} more", checked.unlisted));
    }
    Ok(Found { checked, damage })
}

fn describe(found: &Damage) -> Value {
    let mut value = json!({
        "file": found.path.display().to_string(),
        "place": found.damage_at.to_string(),
        "reason": found.reason,
        "times": found.times,
    });
    match found.damage_at {
        DamageAt::Height(height) => value["height"] = height.into(),
        DamageAt::Offset(offset) => value["offset"] = offset.into(),
        _ => {}
    }
    value
}

/// The verdict on the chain; nothing if the store holds none. Records that contradict each other are damage.
fn check_chain(url: &StoreUrl, found: &mut Found) -> Result<Value> {
    let store = url.open_read_only()?;
    let mut progress = Progress::new("check", store.extent()?.tip());
    let builder = with_scratch(Engine::builder());
    let report = ChainReader::open(Arc::clone(&store)).and_then(|chain| {
        chain.followers()?;
        builder.verify(store, &mut |step| {
            progress.block(step.transactions, step.height);
            ControlFlow::Continue(())
        })
    });
    progress.finish();
    let report = match report {
        Ok(report) => report,
        Err(LedgerError::Uninitialised) => return Ok(Value::Null),
        Err(error) if error.is_corrupt() => {
            found.checked.damage += 1;
            let place = match &error {
                LedgerError::Damaged { height, .. } => format!("height {height}"),
                _ => "the named values".to_owned(),
            };
            complain(&format!("damage: {error}"));
            found.damage.push(
                json!({ "file": url.to_string(), "place": place, "reason": error.to_string(), "times": 1 }),
            );
            return Ok(Value::Null);
        }
        Err(error) => return Err(error.into()),
    };
    let mut chain = match &report.rejected {
        Some(rejected) => {
            complain(&format!("invalid: {rejected}"));
            verdict(rejected)
        }
        None => Map::from_iter([("verdict".to_owned(), "valid".into())]),
    };
    chain.insert("blocks".to_owned(), report.blocks.into());
    chain.insert("head".to_owned(), json!(report.head));
    chain.insert("headers_from".to_owned(), report.headers_from.into());
    chain.insert("bodies_from".to_owned(), report.bodies_from.into());
    chain.insert("rules_from".to_owned(), report.rules_from.into());
    let missing = describe_missing(&report.missing);
    chain.insert("missing".to_owned(), missing);
    Ok(Value::Object(chain))
}
