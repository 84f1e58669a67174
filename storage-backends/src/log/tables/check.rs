//! Checking every byte of the tables: what sets' files say, and each run's blocks, fences, filter and commits.

use std::sync::Arc;

use super::context::TableContext;
use super::load::{list, load_set};
use super::names::Named;
use super::run_file::RunFile;
use super::version::Version;
use super::view::FileLayer;
use crate::Result;
use crate::check::Report;

/// Checks all sets. What nothing names is no damage: a crash left it.
pub(in super::super) fn check(context: &Arc<TableContext>, report: &mut Report) -> Result<()> {
    let Some(names) = report.sound(list(context))? else {
        return Ok(());
    };
    for named in names {
        if let Named::Set(name) = named
            && let Some(set) = report.sound(load_set(context, &name))?
        {
            for layer in &set.snapshot.files {
                check_run(layer, report)?;
            }
        }
    }
    Ok(())
}

fn check_run(layer: &FileLayer, report: &mut Report) -> Result<()> {
    let run = &layer.run;
    let Some(index) = report.sound(run.index())? else {
        return Ok(());
    };
    let before = report.met();
    let mut last: Option<(Vec<u8>, u64)> = None;
    let mut versions = 0;
    for number in 0..index.fences.len() {
        // Past the cache, which may have the block from before it was damaged.
        let Some(part) = report.sound(run.read_part(number))? else {
            last = None;
            continue;
        };
        for version in (0..part.len()).map(|number| part.version(number)) {
            if let Some(reason) = wrong(run, version, last.as_ref())? {
                let at = index.fences.block(number).map_or(0, |block| block.offset);
                report.damage(run.file.path(), crate::DamageAt::Offset(at), reason);
            }
            last = Some((version.key.to_vec(), version.commit));
            versions += 1;
        }
    }
    if report.met() == before && versions != run.trailer.versions {
        let reason = "the blocks have another number of versions than the trailer says";
        report.damage(run.file.path(), crate::DamageAt::Structure, reason);
    }
    Ok(())
}

/// What is wrong with a version that follows another.
fn wrong(
    run: &RunFile,
    version: Version<'_>,
    before: Option<&(Vec<u8>, u64)>,
) -> Result<Option<&'static str>> {
    let is_behind = before.is_none_or(|(key, commit)| {
        version.key > &key[..] || (version.key == key && version.commit < *commit)
    });
    if !is_behind {
        return Ok(Some("the block has versions out of order"));
    }
    if version.commit > run.trailer.last {
        return Ok(Some(
            "the block has a version of a later commit than its run",
        ));
    }
    match run.may_have(version.key)? {
        true => Ok(None),
        false => Ok(Some("the filter doesn't have a key of the block")),
    }
}
