//! Checking all rows, and making the index anew from the keys of the blocks.

use std::ops::Range;
use std::sync::Arc;

use super::index::hashed;
use super::record::{IdRow, key_rows, names};
use super::run::{RunMaker, RunShape, entries, run_rows};
use super::state::{Identity, State};
use super::writer::Inner;
use super::{
    Batch, Engine, IndexOptions, Remembering, RowReader, Rows, Site, Table, View, catalogue,
};
use crate::check::{Repaired, Report, walk};
use crate::{Durability, Place, Result};

/// Entries of each run of an index that is made anew.
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
    let site = identity.at(rows.path());
    let Some(state) = report.sound(State::read(&view, site))? else {
        return Ok(());
    };
    let extent = state.extent;
    for (table, first) in [
        (Table::Ids, 0),
        (Table::Headers, extent.header_floor),
        (Table::Bodies, extent.floor),
    ] {
        let outcome = check_numbers(&view, site, (table, first..extent.end), report);
        report.sound(outcome)?;
    }
    let outcome = check_keys(&view, site, extent.index_floor..extent.end, report);
    report.sound(outcome)?;
    let outcome = check_runs(&view, site, &state, report);
    report.sound(outcome)?;
    let outcome = check_values(&view, site, report);
    report.sound(outcome)?;
    Ok(())
}

/// Checks that a table has rows for exactly some heights.
fn check_numbers(
    view: &impl View,
    site: Site<'_>,
    (table, expected): (Table, Range<u64>),
    report: &mut Report,
) -> Result<()> {
    let mut count = 0;
    view.numbers(table, &mut |number| {
        if expected.contains(&number) {
            count += 1;
        } else {
            let reason = format!("{} have a row that belongs to no block", table.name());
            report.damage(site.path, Place::Height(number), reason);
        }
        Ok(())
    })?;
    let wanted = expected.end - expected.start;
    if count != wanted {
        let reason = format!("{} have {count} rows, not {wanted}", table.name());
        report.damage(site.path, Place::Structure, reason);
    }
    Ok(())
}

/// Checks that there are no rows of keys but those of blocks; that those are there was found out by asking.
fn check_keys(
    view: &impl View,
    site: Site<'_>,
    heights: Range<u64>,
    report: &mut Report,
) -> Result<()> {
    let expected = key_rows(&heights);
    view.numbers(Table::Keys, &mut |number| {
        if !expected.contains(&number) {
            let reason = format!("row {number} of keys belongs to no block");
            report.damage(site.path, Place::Index, reason);
        }
        Ok(())
    })
}

fn check_runs(view: &impl View, site: Site<'_>, state: &State, report: &mut Report) -> Result<()> {
    let Some(shapes) = report.sound(catalogue::read(view, site))? else {
        return Ok(());
    };
    for shape in &shapes {
        check_run(view, site, shape, report)?;
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
            report.damage(site.path, Place::Index, reason);
        }
        Ok(())
    })
}

fn check_run(
    view: &impl View,
    site: Site<'_>,
    shape: &RunShape,
    report: &mut Report,
) -> Result<()> {
    let mut last = 0;
    for page in 0..shape.pages() {
        let Some(bytes) = report.sound(shape.page(view, site, page))? else {
            continue;
        };
        for entry in entries(&bytes) {
            if entry.hash < last || shape.page_of(entry.hash) != page {
                let reason = format!("page {page} of run {} is out of order", shape.id);
                report.damage(site.path, Place::Index, reason);
                break;
            }
            last = entry.hash;
        }
    }
    for row in 0..shape.filter_rows() {
        report.sound(shape.filter(view, site, row))?;
    }
    Ok(())
}

fn check_values(view: &impl View, site: Site<'_>, report: &mut Report) -> Result<()> {
    let Some(names) = report.sound(names(view, site))? else {
        return Ok(());
    };
    for number in names.values() {
        report.sound(site.fetch(view, (Table::Values, *number), Place::Meta))?;
    }
    Ok(())
}

/// Makes the index anew if any of it is damaged, from the keys of the blocks.
pub(crate) fn repair<E: Engine>(mut engine: E, done: &mut dyn FnMut(Repaired)) -> Result<()> {
    let path = engine.path().to_owned();
    let (identity, state) = {
        let view = engine.view()?;
        let identity = Identity::read(&view, &path)?;
        let site = identity.at(&path);
        let state = State::read(&view, site)?;
        let mut report = Report::default();
        let outcome = check_runs(&view, site, &state, &mut report);
        report.sound(outcome)?;
        if report.met() == 0 {
            return Ok(());
        }
        (identity, state)
    };
    let site = identity.at(&path);
    let (mut next, mut shapes) = (state, Vec::new());
    next.tail = 0;
    next.making = 0;
    next.epoch += 1;
    engine.commit("repair", Durability::Disk, |batch| {
        next.commits += 1;
        batch.remove(Table::Runs, 0..run_rows(state.next_run).start)?;
        catalogue::write(batch, site, &shapes)?;
        next.write(batch, site)
    })?;
    while next.tail < state.extent.end {
        let (end, found) = {
            let view = engine.view()?;
            collect(&view, site, &next)?
        };
        engine.commit("repair", Durability::Disk, |batch| {
            let shape = RunShape {
                id: next.next_run,
                level: RUN_LEVEL,
                heights: next.tail..end,
                entries: found.len() as u64,
            };
            let mut put =
                |number: u64, content: &[u8]| site.put(batch, (Table::Runs, number), &[content]);
            let mut maker = RunMaker::new(shape);
            for entry in &found {
                maker.push(*entry, &mut put)?;
            }
            shapes.push(maker.finish(&mut put)?);
            next.next_run += 1;
            next.tail = end;
            next.commits += 1;
            next.epoch += 1;
            catalogue::write(batch, site, &shapes)?;
            next.write(batch, site)
        })?;
    }
    done(Repaired {
        path,
        what: "the index was damaged; it was made anew from the blocks' keys".to_owned(),
    });
    // Opening shows that all is in order now.
    Inner::open(engine, Arc::default(), IndexOptions::default()).map(drop)
}

/// The sorted entries of the blocks from the tail on, up to a run's worth.
fn collect(
    view: &impl View,
    site: Site<'_>,
    state: &State,
) -> Result<(u64, Vec<crate::table::Entry>)> {
    let mut found = Vec::new();
    let mut height = state.tail;
    while height < state.extent.end && found.len() < RUN_ENTRIES {
        let row = IdRow::read(view, site, height)?;
        let index = if height < state.extent.index_floor {
            Vec::new()
        } else {
            row.index(view, site)?
        };
        found.extend(hashed(site, height, &row.id, &index));
        height += 1;
    }
    found.sort_unstable_by_key(|entry| entry.hash);
    Ok((height, found))
}
