//! Checking an index file: every filter block and bucket, and that every entry leads to its key.

use super::format::Named;
use super::index_file::IndexFile;
use super::shared::LogContext;
use super::state::LogState;
use crate::check::Report;
use crate::entry_table::Entry;
use crate::{DamageAt, Result};

/// Checks one index file, and against the segments if the store could be opened.
pub(super) fn check_index_file(
    context: &LogContext,
    first: u64,
    last: u64,
    state: Option<&LogState>,
    report: &mut Report,
) -> Result<()> {
    let path = Named::Index(first, last).path(&context.directory);
    let Some(file) = report.sound(context.open_to_read(&path))? else {
        return Ok(());
    };
    let index_file = report.sound(IndexFile::open(
        file,
        first,
        last,
        &context.store,
        &context.cache,
    ))?;
    let Some(index_file) = index_file else {
        return Ok(());
    };
    let Some(index_file) = index_file else {
        report.damage(
            &path,
            DamageAt::Structure,
            "the index file's head is damaged",
        );
        return Ok(());
    };
    check_entries(&index_file, state, &mut |offset, reason| {
        report.damage(&path, DamageAt::Offset(offset), reason);
    });
    Ok(())
}

/// Calls `damage` with the offset and the reason of everything that is wrong in an index file.
pub(super) fn check_entries(
    index_file: &IndexFile,
    state: Option<&LogState>,
    damage: &mut dyn FnMut(u64, &str),
) {
    if !index_file.is_padded() {
        damage(0, "the padding after the head is not zero");
    }
    let mut pieces = index_file.pieces();
    for number in 0..index_file.layout.filters {
        if index_file.check_filter(&mut pieces, number).is_err() {
            damage(
                index_file.layout.filter_at(number),
                "a filter block is damaged",
            );
        }
    }
    for number in 0..index_file.layout.buckets {
        let at = index_file.layout.bucket_at(number);
        let Ok(bucket) = index_file.next_bucket(&mut pieces, number) else {
            damage(at, "a bucket is damaged");
            continue;
        };
        for entry in bucket.entries() {
            let is_filtered = matches!(index_file.may_have(entry.hash), Ok(false));
            if is_filtered || index_file.layout.home_of(entry.hash) > number {
                damage(at, "an entry can't be found");
            }
            if state.is_some_and(|state| leads_astray(index_file, state, entry)) {
                damage(at, "an entry doesn't lead to its key");
            }
        }
    }
}

/// Whether the record that an entry leads to has another key. Entries of blocks that were truncated, or whose keys were pruned,
/// may lead nowhere.
fn leads_astray(index_file: &IndexFile, state: &LogState, entry: Entry) -> bool {
    let height = entry.address.height();
    let covers = index_file.covers.iter().zip(index_file.first..);
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
    let Some(entry_number) = entry.address.entry() else {
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
