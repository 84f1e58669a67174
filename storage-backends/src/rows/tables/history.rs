//! What undoes the commits to a set that may be undone: for each, what its keys held before.
//!
//! The first row of a commit (part 0) has the position before it and how many rows follow; those have the keys. A commit has any number
//! of keys with any values before, so they are cut into rows of about [`PART_BYTES`].

use bytes::Bytes;

use super::super::{Batch, KeySpan, RowContext, View};
use super::head::{POSITION_BYTES, decode_position, encode_position};
use super::{HISTORY, SetKeys, split};
use crate::toolbox::little_endian::u32_at;
use crate::{Position, Result, TableChange};

/// A row ends with the key that fills it.
const PART_BYTES: usize = 1 << 18;
/// Table, whether there was a value, lengths of key and value.
const ENTRY_HEAD_BYTES: usize = 1 + 1 + 4 + 4;

/// Notes what the keys of a commit hold before it, which brings its set from a position to a height.
pub(super) fn note(
    batch: &mut impl Batch,
    context: RowContext<'_>,
    (keys, height): (SetKeys, u64),
    before: Option<Position>,
    changes: &[TableChange],
) -> Result<()> {
    let (mut parts, mut part) = (0_u32, Vec::new());
    for TableChange { table, key, .. } in changes {
        let value = context.fetch_keyed(batch, &keys.row(*table, key))?;
        part.extend_from_slice(&[*table, value.is_some().into()]);
        let value = value.unwrap_or_default();
        // Both are bounded far below.
        part.extend_from_slice(&(key.len() as u32).to_le_bytes());
        part.extend_from_slice(&(value.len() as u32).to_le_bytes());
        part.extend_from_slice(key);
        part.extend_from_slice(&value);
        if part.len() >= PART_BYTES {
            parts += 1;
            context.put_keyed(batch, &keys.history(height, parts), &part)?;
            part.clear();
        }
    }
    if !part.is_empty() {
        parts += 1;
        context.put_keyed(batch, &keys.history(height, parts), &part)?;
    }
    let mut first = encode_position(before).to_vec();
    first.extend_from_slice(&parts.to_le_bytes());
    context.put_keyed(batch, &keys.history(height, 0), &first)
}

/// Takes back the commit that brought a set to a height, and removes what it needed; gives the position before.
pub(super) fn take_back(
    batch: &mut impl Batch,
    context: RowContext<'_>,
    keys: SetKeys,
    height: u64,
) -> Result<Option<Position>> {
    let damaged = |what: &str| {
        let number = keys.number;
        context.damaged_tables(format!(
            "the history of set {number} at height {height} {what}"
        ))
    };
    let fetch = |batch: &_, part| {
        context
            .fetch_keyed(batch, &keys.history(height, part))?
            .ok_or_else(|| damaged("is missing in part"))
    };
    let first = fetch(&*batch, 0)?;
    let (before, parts) = decode_first(&first).ok_or_else(|| damaged("begins wrongly"))?;
    for number in 1..=parts {
        let part = fetch(&*batch, number)?;
        let entries = entries(&part).ok_or_else(|| damaged("has a part that is none"))?;
        for (table, key, value) in entries {
            let key = keys.row(table, &key);
            match value {
                Some(value) => context.put_keyed(batch, &key, &value)?,
                None => batch.remove_keyed(&key)?,
            }
        }
        batch.remove_keyed(&keys.history(height, number))?;
    }
    batch.remove_keyed(&keys.history(height, 0))?;
    Ok(before)
}

/// Removes what undoes commits up to a height.
pub(super) fn forget(batch: &mut impl Batch, keys: SetKeys, from: u64, to: u64) -> Result<()> {
    let (first, last) = (keys.history(from, 0), keys.history(to, u32::MAX));
    let mut due = Vec::new();
    batch.scan(KeySpan::up(&first, &last), &mut |found| {
        due.push(found?.0.to_vec());
        Ok(true)
    })?;
    // One by one: a range is dearer to an engine, for good, than the few keys in it.
    due.iter().try_for_each(|key| batch.remove_keyed(key))
}

/// The heights of the commits that can be undone and are above another, from the highest down.
pub(super) fn heights_above(view: &impl View, keys: SetKeys, height: u64) -> Result<Vec<u64>> {
    let [_, end] = keys.all_history();
    let Some(lowest) = height.checked_add(1) else {
        return Ok(Vec::new());
    };
    let first = keys.history(lowest, 0);
    let mut heights = Vec::new();
    view.scan(KeySpan::up(&first, &end), &mut |found| {
        let at = split(found?.0).and_then(|(_, kind, rest)| place(kind, rest));
        if let Some((height, 0)) = at {
            heights.push(height);
        }
        Ok(true)
    })?;
    heights.reverse();
    Ok(heights)
}

/// The height and part of a key of the history.
pub(super) fn place(kind: u8, rest: &[u8]) -> Option<(u64, u32)> {
    let (height, part) = rest.split_first_chunk()?;
    let part = <[u8; 4]>::try_from(part).ok()?;
    (kind == HISTORY).then(|| (u64::from_be_bytes(*height), u32::from_be_bytes(part)))
}

/// The position before a commit, and how many rows have its keys.
pub(super) fn decode_first(bytes: &[u8]) -> Option<(Option<Position>, u32)> {
    let (position, parts) = bytes.split_at_checked(POSITION_BYTES)?;
    let parts = <[u8; 4]>::try_from(parts).ok()?;
    Some((decode_position(position)?, u32::from_le_bytes(parts)))
}

/// A key and what it held: table, key, value.
type Entry = (u8, Bytes, Option<Bytes>);

/// The keys of a row; nothing if it is not whole.
pub(super) fn entries(part: &Bytes) -> Option<Vec<Entry>> {
    let (mut entries, mut at) = (Vec::new(), 0);
    while at < part.len() {
        let head = part.get(at..at + ENTRY_HEAD_BYTES)?;
        let key_bytes = usize::try_from(u32_at(head, 2)).ok()?;
        let value_bytes = usize::try_from(u32_at(head, 6)).ok()?;
        let key_at = at + ENTRY_HEAD_BYTES;
        let value_at = key_at.checked_add(key_bytes)?;
        at = value_at.checked_add(value_bytes)?;
        if at > part.len() || head[1] > 1 || (head[1] == 0 && value_bytes > 0) {
            return None;
        }
        let value = (head[1] == 1).then(|| part.slice(value_at..at));
        entries.push((head[0], part.slice(key_at..value_at), value));
    }
    Some(entries)
}
