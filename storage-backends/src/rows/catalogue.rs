//! The catalogue: which runs the index has, by ascending heights.

use super::index_run::IndexRunShape;
use super::state::CATALOGUE;
use super::{Batch, RowContext, Table, View};
use crate::toolbox::little_endian::u64_at;
use crate::{DamageAt, Result};

const SHAPE_BYTES: usize = 40;

pub(super) fn read(view: &impl View, context: RowContext<'_>) -> Result<Vec<IndexRunShape>> {
    let bytes = context.fetch(view, (Table::State, CATALOGUE), DamageAt::Index)?;
    let damaged = |reason: &str| context.corrupt(DamageAt::Index, reason);
    if bytes.len() % SHAPE_BYTES != 0 {
        return Err(damaged("the catalogue has a wrong length"));
    }
    let shapes: Vec<IndexRunShape> = bytes
        .chunks_exact(SHAPE_BYTES)
        .map(|bytes| IndexRunShape {
            id: u64_at(bytes, 0),
            level: u64_at(bytes, 8),
            heights: u64_at(bytes, 16)..u64_at(bytes, 24),
            entries: u64_at(bytes, 32),
        })
        .collect();
    // Row numbers and memory follow from these, so they are bounded though the checksum matched.
    if !shapes.iter().all(IndexRunShape::is_possible) {
        return Err(damaged("the catalogue has a run that can't be"));
    }
    Ok(shapes)
}

pub(super) fn write(
    batch: &mut impl Batch,
    context: RowContext<'_>,
    shapes: &[IndexRunShape],
) -> Result<()> {
    let bytes: Vec<u8> = shapes
        .iter()
        .flat_map(|shape| {
            [
                shape.id,
                shape.level,
                shape.heights.start,
                shape.heights.end,
                shape.entries,
            ]
        })
        .flat_map(u64::to_le_bytes)
        .collect();
    context.put(batch, (Table::State, CATALOGUE), &[&bytes])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::in_memory::InMemory;
    use super::super::index_run::{ENTRIES_MAX, RUN_MAX};
    use super::*;

    #[test]
    fn runs_whose_pages_would_reach_the_rows_of_filters_or_of_other_runs_are_damage() {
        let (mut rows, context) = InMemory::initialised();
        let mut read = |id, entries| {
            let shape = IndexRunShape {
                id,
                level: 0,
                heights: 0..1,
                entries,
            };
            write(&mut rows, context, std::slice::from_ref(&shape)).unwrap();
            (read(&rows, context), shape)
        };
        let (found, largest) = read(RUN_MAX - 1, ENTRIES_MAX);
        assert_eq!(found.unwrap(), std::slice::from_ref(&largest));
        assert!(largest.page_row(largest.pages() - 1) < largest.filter_row(0));
        let beyond = largest.filter_row(largest.filter_rows() - 1);
        assert!(super::super::index_run::run_rows(largest.id).contains(&beyond));
        for (id, entries) in [(RUN_MAX, 0), (0, ENTRIES_MAX + 1), (0, u64::MAX)] {
            assert!(read(id, entries).0.unwrap_err().is_corrupt());
        }
    }
}
