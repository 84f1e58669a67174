//! Whose turn it is, where members propose by weight: their priorities at the next height.

use super::{Table, whole};
use crate::format::codec::{self, DecodeError, DecodeProblem};
use crate::format::payload::VALUE_MEMBERS_MAX;

/// The priorities of the members of a height, in their order, as the block before left them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turns {
    /// The height.
    pub height: u64,
    /// The priority of each.
    pub priorities: Vec<i64>,
}

/// The table of priorities, which has one row.
#[derive(Debug, Clone, Copy)]
pub struct TurnRows;

impl TurnRows {
    /// The key of the row.
    pub const KEY: &'static [u8] = b"turns";
}

impl Table for TurnRows {
    const NUMBER: u8 = 7;
    type Value = Turns;

    fn check_key(key: &[u8]) -> Result<(), DecodeProblem> {
        match key == Self::KEY {
            true => Ok(()),
            false => Err(DecodeProblem::Value("not the key of the turns")),
        }
    }

    fn encode(value: &Turns) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + 8 * value.priorities.len());
        codec::put_u64(&mut out, value.height);
        codec::put_count(&mut out, value.priorities.len());
        for priority in &value.priorities {
            out.extend_from_slice(&priority.to_le_bytes());
        }
        out
    }

    fn decode(bytes: &[u8]) -> Result<Turns, DecodeError> {
        whole(bytes, "turns", |reader| {
            let height = reader.u64("height")?;
            let count = reader.count("priorities", VALUE_MEMBERS_MAX, 8)?;
            let mut priorities = Vec::with_capacity(count);
            for _ in 0..count {
                priorities.push(i64::from_le_bytes(reader.array("priorities")?));
            }
            Ok(Turns { height, priorities })
        })
    }
}
