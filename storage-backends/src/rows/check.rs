//! Checking all rows, and rebuilding the index from the keys of the blocks.

use std::ops::Range;
use std::sync::Arc;

use super::index::insert_block;
use super::index_run::{IndexRunMaker, IndexRunShape, entries, run_rows};
use super::record::{IdRow, key_rows, names};
use super::state::{Identity, RowState};
use super::tables::check_tables;
use super::writer::Inner;
use super::{
    Batch, Database, IndexOptions, Remembering, RowContext, RowReader, Rows, Table, View, catalogue,
};
use crate::check::{Repaired, Report, walk};
use crate::entry_table::{Entry, EntryTable};
use crate::{DamageAt, Durability, Result};

/// Entries of each run of an index that is rebuilt.
const RUN_ENTRIES: usize = 1 << 20;
/// The level that such runs count as.
const RUN_LEVEL: u64 = 1;

/// Asks for everything through a reader, then looks at every row: that each is there, sound, and no other is. The reader is
/// one that remembers what is damaged, so that each page is tried once and not for each of its entries.
pub(crate) fn check<R: Rows>(
    rows: &R,
    reader: &RowReader<Remembering<R>>,
    report: &mut Report,
) -> Result<()> {
    walk(reader, rows.path(), report)?;
    let view = rows.view()?;
    let Some(identity) = report.sound(Identity::read(&view, rows.path()))? else {
        return Ok(());
    };
    let context = identity.at(rows.path());
    let Some(state) = report.sound(RowState::read(&view, context))? else {
        return Ok(());
    };
    let extent = state.extent;
    for (table, first) in [
        (Table::Ids, 0),
        (Table::Headers, extent.header_floor),
        (Table::Bodies, extent.body_floor),
    ] {
        let outcome = check_numbers(&view, context, (table, first..extent.end), report);
        report.sound(outcome)?;
    }
    let outcome = check_keys(&view, context, extent.index_floor..extent.end, report);
    report.sound(outcome)?;
    let outcome = check_runs(&view, context, &state, report);
    report.sound(outcome)?;
    let outcome = check_values(&view, context, report);
    report.sound(outcome)?;
    let outcome = check_tables(&view, context, report);
    report.sound(outcome)?;
    Ok(())
}

/// Checks that a table has rows for exactly some heights.
fn check_numbers(
    view: &impl View,
    context: RowContext<'_>,
    (table, expected): (Table, Range<u64>),
    report: &mut Report,
) -> Result<()> {
    let mut count = 0;
    view.numbers(table, &mut |number| {
        if expected.contains(&number) {
            count += 1;
        } else {
            let reason = format!("{} have a row that belongs to no block", table.name());
            report.damage(context.path, DamageAt::Height(number), reason);
        }
        Ok(())
    })?;
    let wanted = expected.end - expected.start;
    if count != wanted {
        let reason = format!("{} have {count} rows, not {wanted}", table.name());
        report.damage(context.path, DamageAt::Structure, reason);
    }
    Ok(())
}

/// Checks that there are no rows of keys but those of blocks; that those are there was found out by asking.
fn check_keys(
    view: &impl View,
    context: RowContext<'_>,
    heights: Range<u64>,
    report: &mut Report,
) -> Result<()> {
    let expected = key_rows(&heights);
    view.numbers(Table::Keys, &mut |number| {
        if !expected.contains(&number) {
            let reason = format!("row {number} of keys belongs to no block");
            report.damage(context.path, DamageAt::Index, reason);
        }
        Ok(())
    })
}

fn check_runs(
    view: &impl View,
    context: RowContext<'_>,
    state: &RowState,
    report: &mut Report,
) -> Result<()> {
    let Some(shapes) = report.sound(catalogue::read(view, context))? else {
        return Ok(());
    };
    for shape in &shapes {
        check_run(view, context, shape, report)?;
    }
    let known = |number: u64| {
        (state.making != 0 && run_rows(state.making).contains(&number))
            || shapes.iter().any(|shape| {
                let pages = shape.page_row(0)..shape.page_row(shape.pages());
                let filters = shape.filter_row(0)..shape.filter_row(shape.filter_rows());
                pages.contains(&number) || filters.contains(&number)
            })
    };
    view.numbers(Table::Runs, &mut |number| {
        if !known(number) {
            let reason = format!("row {number} of runs belongs to no run");
            report.damage(context.path, DamageAt::Index, reason);
        }
        Ok(())
    })
}

fn check_run(
    view: &impl View,
    context: RowContext<'_>,
    shape: &IndexRunShape,
    report: &mut Report,
) -> Result<()> {
    let mut last = 0;
    for page in 0..shape.pages() {
        let Some(bytes) = report.sound(shape.page(view, context, page))? else {
            continue;
        };
        for entry in entries(&bytes) {
            if entry.hash < last || shape.page_of(entry.hash) != page {
                let reason = format!("page {page} of run {} is out of order", shape.id);
                report.damage(context.path, DamageAt::Index, reason);
                break;
            }
            last = entry.hash;
        }
    }
    for row in 0..shape.filter_rows() {
        report.sound(shape.filter(view, context, row))?;
    }
    Ok(())
}

fn check_values(view: &impl View, context: RowContext<'_>, report: &mut Report) -> Result<()> {
    let Some(names) = report.sound(names(view, context))? else {
        return Ok(());
    };
    for number in names.values() {
        report.sound(context.fetch(view, (Table::Values, *number), DamageAt::NamedValues))?;
    }
    Ok(())
}

/// Rebuilds the index if any of it is damaged, from the keys of the blocks.
pub(crate) fn repair<D: Database>(mut database: D, done: &mut dyn FnMut(Repaired)) -> Result<()> {
    let path = database.path().to_owned();
    let (identity, state) = {
        let view = database.view()?;
        let identity = Identity::read(&view, &path)?;
        let context = identity.at(&path);
        let state = RowState::read(&view, context)?;
        let mut report = Report::default();
        let outcome = check_runs(&view, context, &state, &mut report);
        report.sound(outcome)?;
        if report.met() == 0 {
            return Ok(());
        }
        (identity, state)
    };
    let context = identity.at(&path);
    let (mut next, mut shapes) = (state, Vec::new());
    next.tail = 0;
    next.making = 0;
    next.epoch += 1;
    database.commit("repair", Durability::Disk, |batch| {
        next.commits += 1;
        // The damaged index is gone in the commit that sets the tail to 0: a crash in between leaves a store without runs,
        // whose keys are read from the blocks.
        batch.remove(Table::Runs, 0..run_rows(state.next_run).start)?;
        catalogue::write(batch, context, &shapes)?;
        next.write(batch, context)
    })?;
    while next.tail < state.extent.end {
        let (end, found) = {
            let view = database.view()?;
            collect(&view, context, &next)?
        };
        database.commit("repair", Durability::Disk, |batch| {
            let shape = IndexRunShape {
                id: next.next_run,
                level: RUN_LEVEL,
                heights: next.tail..end,
                entries: found.len() as u64,
            };
            let mut put =
                |number: u64, content: &[u8]| context.put(batch, (Table::Runs, number), &[content]);
            let mut maker = IndexRunMaker::new(shape);
            for entry in &found {
                maker.push(*entry, &mut put)?;
            }
            shapes.push(maker.finish(&mut put)?);
            next.next_run += 1;
            next.tail = end;
            next.commits += 1;
            next.epoch += 1;
            catalogue::write(batch, context, &shapes)?;
            next.write(batch, context)
        })?;
    }
    done(Repaired {
        path,
        what: "the index was damaged; it was rebuilt from the blocks' keys".to_owned(),
    });
    // Opening shows that all is in order now.
    Inner::open(database, Arc::default(), IndexOptions::default()).map(drop)
}

/// The sorted entries of the blocks from the tail on, up to a run's worth.
fn collect(
    view: &impl View,
    context: RowContext<'_>,
    state: &RowState,
) -> Result<(u64, Vec<Entry>)> {
    let mut found = EntryTable::with_room(0);
    let mut height = state.tail;
    while height < state.extent.end && found.len() < RUN_ENTRIES {
        let row = IdRow::read(view, context, height)?;
        let index = if height < state.extent.index_floor {
            Vec::new()
        } else {
            row.index(view, context)?
        };
        insert_block(&mut found, context, height, &row.id, &index)?;
        height += 1;
    }
    Ok((height, found.sorted().collect()))
}
