//! The rows of blocks and of named values.
//!
//! ```text
//! ids       height → id [32], entries u32, flags u32 (1: the keys are listed with positions),
//!           body length u32, header length u32
//! headers   height → the header        bodies    height → the body
//! keys      height · 2^18 + n → the n-th 112 index entries of the block: key [32] each, whose position is its number; or,
//!           listed, position u32 and key [32] each
//! named_values   0 → per name: length u8, name, number u64      number → the value
//! ```

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Batch, RowContext, Table, View};
use crate::toolbox::little_endian::{u32_at, u64_at};
use crate::{
    BODY_BYTES_MAX, Block, DamageAt, HEADER_BYTES_MAX, INDEX_ENTRIES_MAX, Id, IndexEntry, Result,
};

const ID_ROW_BYTES: usize = 48;
const KEY_BYTES: usize = 32;
const LISTED_BYTES: usize = 36;
const LISTED: u32 = 1;
/// Index entries to a row: as many as fit into a page of 4 KiB, listed or not.
const ENTRIES_PER_ROW: usize = 112;
/// Bits of a row number in `keys` that count the rows of one block.
const PART_BITS: u32 = 18;
/// The row of `named_values` that has the names.
pub(super) const NAMES: u64 = 0;

/// What `ids` says of a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct IdRow {
    pub(super) height: u64,
    pub(super) id: Id,
    pub(super) entries: usize,
    pub(super) body_bytes: u32,
    pub(super) header_bytes: u32,
    listed: bool,
}

impl IdRow {
    pub(super) fn read(view: &impl View, context: RowContext<'_>, height: u64) -> Result<Self> {
        let damage_at = DamageAt::Height(height);
        let bytes = context.fetch(view, (Table::Ids, height), damage_at)?;
        if bytes.len() != ID_ROW_BYTES {
            let reason = "the row of its id has a wrong length";
            return Err(context.corrupt(damage_at, reason));
        }
        let mut id = Id::default();
        id.copy_from_slice(&bytes[..32]);
        let row = Self {
            height,
            id,
            entries: u32_at(&bytes, 32) as usize,
            listed: u32_at(&bytes, 36) == LISTED,
            body_bytes: u32_at(&bytes, 40),
            header_bytes: u32_at(&bytes, 44),
        };
        // Memory for the entries is taken before the first of them is read, so they are bounded though the checksum matched.
        let bounds = [
            ("index entries", row.entries, INDEX_ENTRIES_MAX),
            ("bytes of its body", row.body_bytes as usize, BODY_BYTES_MAX),
            (
                "bytes of its header",
                row.header_bytes as usize,
                HEADER_BYTES_MAX,
            ),
        ];
        match bounds.into_iter().find(|(_, found, max)| found > max) {
            None => Ok(row),
            Some((what, found, max)) => {
                let reason =
                    format!("the row of its id tells of {found} {what}, over the limit of {max}");
                Err(context.corrupt(damage_at, reason))
            }
        }
    }

    /// The index entries, in order.
    pub(super) fn index(
        &self,
        view: &impl View,
        context: RowContext<'_>,
    ) -> Result<Vec<IndexEntry>> {
        let mut entries = Vec::with_capacity(self.entries);
        while entries.len() < self.entries {
            let first = entries.len();
            let row = self.keys(view, context, first)?;
            let slots = 0..self.held_in(first);
            entries.extend(slots.map(|slot| self.entry(&row, slot, first + slot)));
        }
        Ok(entries)
    }

    /// The index entry of a number, if the block has it. O(1).
    pub(super) fn entry_of(
        &self,
        view: &impl View,
        context: RowContext<'_>,
        number: usize,
    ) -> Result<Option<IndexEntry>> {
        if number >= self.entries {
            return Ok(None);
        }
        let row = self.keys(view, context, number)?;
        Ok(Some(self.entry(&row, number % ENTRIES_PER_ROW, number)))
    }

    /// The row that has an entry.
    fn keys(&self, view: &impl View, context: RowContext<'_>, number: usize) -> Result<Bytes> {
        let damage_at = DamageAt::Height(self.height);
        let part = key_row(self.height, number / ENTRIES_PER_ROW);
        let row = context.fetch(view, (Table::Keys, part), damage_at)?;
        // Compared before it is cut into entries: two rows that are sound by themselves can contradict each other.
        if row.len() != self.held_in(number) * self.width() {
            let reason = "a row of its index keys has a wrong length";
            return Err(context.corrupt(damage_at, reason));
        }
        Ok(row)
    }

    /// Entries in the row that has a number.
    fn held_in(&self, number: usize) -> usize {
        let first = number - number % ENTRIES_PER_ROW;
        (self.entries - first).min(ENTRIES_PER_ROW)
    }

    fn width(&self) -> usize {
        if self.listed { LISTED_BYTES } else { KEY_BYTES }
    }

    fn entry(&self, row: &[u8], slot: usize, number: usize) -> IndexEntry {
        let bytes = &row[slot * self.width()..][..self.width()];
        let mut key = Id::default();
        key.copy_from_slice(&bytes[self.width() - KEY_BYTES..]);
        let position = if self.listed {
            u32_at(bytes, 0)
        } else {
            number as u32
        };
        IndexEntry { key, position }
    }
}

const fn key_row(height: u64, part: usize) -> u64 {
    height << PART_BITS | part as u64
}

/// The rows of `keys` of a range of heights.
pub(super) const fn key_rows(heights: &std::ops::Range<u64>) -> std::ops::Range<u64> {
    key_row(heights.start, 0)..key_row(heights.end, 0)
}

/// Puts all rows of a block.
pub(super) fn put_block(
    batch: &mut impl Batch,
    context: RowContext<'_>,
    block: &Block,
) -> Result<()> {
    let Block {
        height,
        id,
        header,
        body,
        index,
    } = block;
    let mut numbered = (0..).zip(index);
    let listed = !numbered.all(|(number, entry)| number == entry.position);
    // The bounds that were checked before fit into these fields.
    let counts = [
        index.len() as u32,
        if listed { LISTED } else { 0 },
        body.len() as u32,
        header.len() as u32,
    ];
    let counts = counts.map(u32::to_le_bytes).concat();
    context.put(batch, (Table::Ids, *height), &[id, &counts])?;
    context.put(batch, (Table::Headers, *height), &[header])?;
    context.put(batch, (Table::Bodies, *height), &[body])?;
    let mut row = Vec::with_capacity(ENTRIES_PER_ROW * LISTED_BYTES);
    for (part, entries) in index.chunks(ENTRIES_PER_ROW).enumerate() {
        row.clear();
        for entry in entries {
            if listed {
                row.extend_from_slice(&entry.position.to_le_bytes());
            }
            row.extend_from_slice(&entry.key);
        }
        context.put(batch, (Table::Keys, key_row(*height, part)), &[&row])?;
    }
    Ok(())
}

/// The names of values and their rows.
pub(super) fn names(view: &impl View, context: RowContext<'_>) -> Result<BTreeMap<String, u64>> {
    let bytes = context.fetch(view, (Table::Values, NAMES), DamageAt::NamedValues)?;
    let mut names = BTreeMap::new();
    let mut rest = &bytes[..];
    while let Some((&length, after)) = rest.split_first() {
        let entry = after
            .split_at_checked(length.into())
            .filter(|(_, after)| after.len() >= 8)
            .and_then(|(name, after)| Some((std::str::from_utf8(name).ok()?, after)));
        let Some((name, after)) = entry else {
            let reason = "the list of names is damaged";
            return Err(context.corrupt(DamageAt::NamedValues, reason));
        };
        names.insert(name.to_owned(), u64_at(after, 0));
        rest = &after[8..];
    }
    Ok(names)
}

/// Puts the list of names.
pub(super) fn put_names(
    batch: &mut impl Batch,
    context: RowContext<'_>,
    names: &BTreeMap<String, u64>,
) -> Result<()> {
    let mut bytes = Vec::new();
    for (name, number) in names {
        // Names are at most 64 bytes long.
        bytes.push(name.len() as u8);
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    context.put(batch, (Table::Values, NAMES), &[&bytes])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::in_memory::InMemory;
    use super::*;

    /// Such a row has the right checksum: whoever made it knew the store's id.
    #[test]
    fn a_row_that_tells_of_more_than_a_block_can_have_is_damage() {
        let (mut rows, context) = InMemory::initialised();
        let limits = [INDEX_ENTRIES_MAX, 0, BODY_BYTES_MAX, HEADER_BYTES_MAX].map(|max| max as u32);
        let mut read = |fields: [u32; 4]| {
            let fields = fields.map(u32::to_le_bytes).concat();
            let row = [&Id::default()[..], &fields];
            context.put(&mut rows, (Table::Ids, 7), &row).unwrap();
            IdRow::read(&rows, context, 7)
        };
        assert_eq!(read(limits).unwrap().entries, INDEX_ENTRIES_MAX);
        for (field, what) in [(0, "index entries"), (2, "body"), (3, "header")] {
            for beyond in [limits[field] + 1, u32::MAX] {
                let mut fields = limits;
                fields[field] = beyond;
                let error = read(fields).unwrap_err();
                assert!(
                    error.is_corrupt() && error.to_string().contains(what),
                    "{error}"
                );
            }
        }
    }
}
