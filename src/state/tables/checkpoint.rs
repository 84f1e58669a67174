//! Blocks that certificates can be for, and the last one that the chain holds a certificate for.

use super::{Table, whole};
use crate::format::codec::{self, DecodeError, DecodeProblem};
use crate::format::digest::BlockHash;

/// A row about checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckpointRow {
    /// The last height that is certified.
    Certified(u64),
    /// The hash of a block that a certificate can be for.
    Block(BlockHash),
}

/// The table of checkpoints: the last one, and blocks by their height.
#[derive(Debug, Clone, Copy)]
pub struct CheckpointRows;

impl CheckpointRows {
    /// The key of the row that names the last one.
    #[must_use]
    pub fn last_key() -> Vec<u8> {
        b"last".to_vec()
    }

    /// The key of the block at a height: the height, big-endian.
    #[must_use]
    pub fn key(height: u64) -> Vec<u8> {
        height.to_be_bytes().to_vec()
    }
}

impl Table for CheckpointRows {
    const NUMBER: u8 = 9;
    type Value = CheckpointRow;

    fn check_key(key: &[u8]) -> Result<(), DecodeProblem> {
        match key.len() == 8 || key == b"last" {
            true => Ok(()),
            false => Err(DecodeProblem::Value("not a checkpoint")),
        }
    }

    fn encode(value: &CheckpointRow) -> Vec<u8> {
        let mut out = Vec::with_capacity(33);
        match value {
            CheckpointRow::Certified(height) => {
                out.push(0);
                codec::put_u64(&mut out, *height);
            }
            CheckpointRow::Block(hash) => {
                out.push(1);
                out.extend_from_slice(&hash.0);
            }
        }
        out
    }

    fn decode(bytes: &[u8]) -> Result<CheckpointRow, DecodeError> {
        whole(bytes, "checkpoint", |reader| {
            let start = reader.clone();
            match reader.u8("checkpoint")? {
                0 => Ok(CheckpointRow::Certified(reader.u64("height")?)),
                1 => Ok(CheckpointRow::Block(BlockHash(reader.array("hash")?))),
                tag => Err(start.error("checkpoint", DecodeProblem::Tag(tag))),
            }
        })
    }
}
