//! Checking an index file: every filter block and bucket, and that every entry leads to its key.

use super::format::Named;
use super::run::Run;
use super::shared::Site;
use super::state::State;
use crate::check::Report;
use crate::table::Entry;
use crate::{Place, Result};

/// Checks one index file, and against the segments if the store could be opened.
pub(super) fn check_index_file(
    site: &Site,
    first: u64,
    last: u64,
    state: Option<&State>,
    report: &mut Report,
) -> Result<()> {
    let path = Named::Index(first, last).path(&site.directory);
    let Some(file) = report.sound(site.open_to_read(&path))? else {
        return Ok(());
    };
    let run = report.sound(Run::open(file, first, last, &site.store, &site.cache))?;
    let Some(run) = run else {
        return Ok(());
    };
    let Some(run) = run else {
        report.damage(&path, Place::Structure, "the index file's head is damaged");
        return Ok(());
    };
    check_run(&run, state, &mut |offset, reason| {
        report.damage(&path, Place::Offset(offset), reason);
    });
    Ok(())
}

/// Calls `damage` with the offset and the reason of everything that is wrong in an index file.
pub(super) fn check_run(run: &Run, state: Option<&State>, damage: &mut dyn FnMut(u64, &str)) {
    if !run.is_padded() {
        damage(0, "no zeros after the head");
    }
    let mut pieces = run.pieces();
    for number in 0..run.layout.filters {
        if run.check_filter(&mut pieces, number).is_err() {
            damage(run.layout.filter_at(number), "a filter block is damaged");
        }
    }
    for number in 0..run.layout.buckets {
        let at = run.layout.bucket_at(number);
        let Ok(bucket) = run.next_bucket(&mut pieces, number) else {
            damage(at, "a bucket is damaged");
            continue;
        };
        for entry in bucket.entries() {
            let is_filtered = matches!(run.may_have(entry.hash), Ok(false));
            if is_filtered || run.layout.home_of(entry.hash) > number {
                damage(at, "an entry can't be found");
            }
            if state.is_some_and(|state| leads_astray(run, state, entry)) {
                damage(at, "an entry doesn't lead to its key");
            }
        }
    }
}

/// Whether the record that an entry leads to has another key. Entries of blocks that were truncated, or whose keys
/// were pruned, lead nowhere by right.
fn leads_astray(run: &Run, state: &State, entry: Entry) -> bool {
    let height = entry.place.height();
    let covers = run.covers.iter().zip(run.first..);
    let mut covers = covers.filter(|(cover, _)| (cover.low..cover.end).contains(&height));
    let (Some((_, number)), None) = (covers.next(), covers.next()) else {
        return false;
    };
    let segment = state.segments.get(number as usize);
    if segment.is_none_or(|segment| !segment.live.contains(&height)) {
        return false;
    }
    let Ok(Some((segment, record))) = state.record(height) else {
        // The segment's damage, and reported as such.
        return false;
    };
    let Some(entry_number) = entry.place.entry() else {
        return state.hash.of_id(&record.id) != entry.hash;
    };
    let is_kept = height >= state.extent.index_floor && !record.has_no_keys();
    is_kept
        && match segment.entry(&record, entry_number, state.salt) {
            Ok(found) => found.is_none_or(|found| state.hash.of_key(&found.key) != entry.hash),
            // As above.
            Err(_) => false,
        }
}
