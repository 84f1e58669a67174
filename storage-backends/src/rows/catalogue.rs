//! The catalogue: which runs the index has, by ascending heights.

use super::index_run::{IndexRunShape, RUN_MAX};
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
    let is_sound = |shape: &IndexRunShape| shape.id < RUN_MAX && shape.entries < 1 << 40;
    if !shapes.iter().all(is_sound) {
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
