//! How hard the next block is, where work seals: what the difficulty follows from.

use super::{Table, whole};
use crate::format::codec::{self, DecodeError, DecodeProblem};

/// A row about work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkRow {
    /// Where work began, and how hard the last block was.
    Last {
        /// The first height at which work was asked for, and the time of its block, in microseconds since the Unix epoch.
        first: (u64, u64),
        /// The difficulty of the last block.
        difficulty: u64,
    },
    /// The time of one of the last blocks, where the difficulty follows from a window of them.
    Time(u64),
}

/// The table of work: what the chain stands at, and times of blocks by their height modulo the length of the window.
#[derive(Debug, Clone, Copy)]
pub struct WorkRows;

impl WorkRows {
    /// The key of the row about the last block.
    pub const LAST: &'static [u8] = b"last block";

    /// The key of the time of a block.
    #[must_use]
    pub fn key(height: u64, interval: u32) -> [u8; 4] {
        // Below the interval, so it fits.
        let slot = height.checked_rem(interval.into()).unwrap_or(0) as u32;
        slot.to_be_bytes()
    }
}

impl Table for WorkRows {
    const NUMBER: u8 = 8;
    type Value = WorkRow;

    fn check_key(key: &[u8]) -> Result<(), DecodeProblem> {
        match key == Self::LAST || key.len() == 4 {
            true => Ok(()),
            false => Err(DecodeProblem::Value("not a key of work")),
        }
    }

    fn encode(value: &WorkRow) -> Vec<u8> {
        let mut out = Vec::with_capacity(32);
        match value {
            WorkRow::Last {
                first: (height, time),
                difficulty,
            } => {
                out.push(0);
                for number in [*height, *time, *difficulty] {
                    codec::put_u64(&mut out, number);
                }
            }
            WorkRow::Time(time) => {
                out.push(1);
                codec::put_u64(&mut out, *time);
            }
        }
        out
    }

    fn decode(bytes: &[u8]) -> Result<WorkRow, DecodeError> {
        whole(bytes, "work", |reader| {
            let start = reader.clone();
            match reader.u8("work")? {
                0 => Ok(WorkRow::Last {
                    first: (reader.u64("first")?, reader.u64("first")?),
                    difficulty: reader.u64("difficulty")?,
                }),
                1 => Ok(WorkRow::Time(reader.u64("time")?)),
                tag => Err(start.error("work", DecodeProblem::Tag(tag))),
            }
        })
    }
}
