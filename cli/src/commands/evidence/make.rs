//! `evidence make`: what proves faults, searched and written.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use hubledger::evidence::Evidence;
use serde_json::{Value, json};

use super::describe;
use super::judge::{Judge, Verdict};
use super::search::{Decided, Search};
use super::sources::Sources;
use crate::args::EvidenceMake;
use crate::commands::write_new;
use crate::describe::extend;
use crate::failure::{Failure, Result};
use crate::output::{Output, complain};

/// What to do if two certificates decide differently and nobody is to blame for certain.
const HALT: &str = "certificates of different rounds convict nobody: halt, and agree with the others outside the chain which history goes on";

pub(super) fn make(args: &EvidenceMake, output: &Output) -> Result {
    let judge = Judge::open(&args.store)?;
    let spec = judge.spec();
    let has_checkpoints = spec.at(judge.next()).composition().checkpoints.is_some();
    let mut sources = Sources::open(&args.files, &judge.reader, has_checkpoints)?;
    let mut search = Search::new(&judge);
    let (mut heights, mut blocks) = (0u64, 0u64);
    while let Some((height, found)) = sources.next()? {
        heights += 1;
        blocks += found.len() as u64;
        search.look_at(height, &found)?;
    }
    // What is begun is written.
    output.stop().in_order();
    let mut found = Vec::new();
    for (evidence, verdict) in &search.found {
        let file = write(&args.out, evidence)?;
        let mut about = json!({ "file": file.display().to_string() });
        extend(&mut about, said(evidence, verdict));
        found.push(about);
    }
    let nobody = search.convicting_nobody.iter();
    let nobody: Vec<Value> = nobody
        .map(|(evidence, verdict)| said(evidence, verdict))
        .collect();
    let mut report = json!({
        "height": judge.state.height(),
        "heights": heights,
        "blocks": blocks,
        "found": found,
        "convicting_nobody": nobody,
        "conflicts": search.conflicts.iter().map(conflict).collect::<Vec<_>>(),
    });
    for (field, unlisted) in [
        (
            "convicting_nobody_unlisted",
            search.convicting_nobody_unlisted,
        ),
        ("conflicts_unlisted", search.conflicts_unlisted),
    ] {
        if unlisted > 0 {
            report[field] = unlisted.into();
        }
    }
    if search.halts {
        complain(HALT);
        report["halt"] = HALT.into();
    }
    let is_empty = search.found.is_empty();
    output.print(&report);
    match (search.halts, is_empty) {
        (true, _) => Err(Failure::InvalidVerdict),
        (false, true) => Err(Failure::Negative),
        (false, false) => Ok(()),
    }
}

fn said(evidence: &Evidence, verdict: &Verdict) -> Value {
    let mut about = describe(evidence);
    extend(&mut about, verdict.describe());
    about
}

fn conflict(one: &Decided) -> Value {
    json!({
        "height": one.height,
        "blocks": one.blocks,
        "rounds": one.rounds,
        "convicts": one.guilty,
    })
}

/// Writes evidence where it isn't yet, under a name that says which fault it is of.
fn write(folder: &Path, evidence: &Evidence) -> Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let key = evidence.key().to_string();
    let name = format!(
        "{}-{}-{}-{}.evidence",
        evidence.word(),
        evidence.height(),
        evidence.round(),
        key.get(..16).unwrap_or(&key)
    );
    let path = folder.join(name);
    let bytes = evidence.encode();
    // A search that is begun again finds the same.
    if fs::read(&path).is_ok_and(|held| held == bytes) {
        return Ok(path);
    }
    write_new(&path, &bytes)?;
    Ok(path)
}
