//! The head of a table set: how far it has come, and from where on it can be undone.

use super::super::{Batch, RowContext, View};
use super::SetKeys;
use crate::tables::arguments::Progress;
use crate::toolbox::little_endian::u64_at;
use crate::{Position, Result};

/// Bytes of a position in a row.
pub(super) const POSITION_BYTES: usize = 1 + 8 + 32;
const HEAD_BYTES: usize = POSITION_BYTES + 1 + 8 + 8;

/// What stands in the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Head {
    pub(super) progress: Progress,
    /// No row of the history is of a lower height: so looking for those that are due doesn't begin among the remains of rows that were
    /// removed before, through which an engine would have to go each time.
    pub(super) history_from: u64,
}

impl Head {
    pub(super) fn read(view: &impl View, context: RowContext<'_>, keys: SetKeys) -> Result<Self> {
        let damaged = |what: &str| {
            let number = keys.number;
            context.damaged_tables(format!("the head of set {number} {what}"))
        };
        let bytes = context
            .fetch_keyed(view, &keys.head())?
            .ok_or_else(|| damaged("is missing"))?;
        Self::decode(&bytes).ok_or_else(|| damaged("is none"))
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = <&[u8; HEAD_BYTES]>::try_from(bytes).ok()?;
        let (position, rest) = bytes.split_at(POSITION_BYTES);
        let is_loading = match rest[0] {
            0 => false,
            1 => true,
            _ => return None,
        };
        Some(Self {
            progress: Progress {
                position: decode_position(position)?,
                undo_floor: u64_at(rest, 1),
                is_loading,
            },
            history_from: u64_at(rest, 9),
        })
    }

    pub(super) fn write(
        &self,
        batch: &mut impl Batch,
        context: RowContext<'_>,
        keys: SetKeys,
    ) -> Result<()> {
        let progress = &self.progress;
        let mut bytes = encode_position(progress.position).to_vec();
        bytes.push(progress.is_loading.into());
        bytes.extend_from_slice(&progress.undo_floor.to_le_bytes());
        bytes.extend_from_slice(&self.history_from.to_le_bytes());
        context.put_keyed(batch, &keys.head(), &bytes)
    }
}

/// 0, or 1 and what the position is; as long either way.
pub(super) fn encode_position(position: Option<Position>) -> [u8; POSITION_BYTES] {
    let mut bytes = [0; POSITION_BYTES];
    if let Some(Position { height, id }) = position {
        bytes[0] = 1;
        bytes[1..9].copy_from_slice(&height.to_le_bytes());
        bytes[9..].copy_from_slice(&id);
    }
    bytes
}

/// `None` if the bytes are no position.
pub(super) fn decode_position(bytes: &[u8]) -> Option<Option<Position>> {
    let bytes = <&[u8; POSITION_BYTES]>::try_from(bytes).ok()?;
    let (flag, rest) = bytes.split_first()?;
    let (height, id) = rest.split_first_chunk()?;
    match flag {
        0 => Some(None),
        1 => Some(Some(Position {
            height: u64::from_le_bytes(*height),
            id: id.try_into().ok()?,
        })),
        _ => None,
    }
}
