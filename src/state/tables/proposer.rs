//! Whose turn it was at the last heights, where members propose by weight and each seals alone: so that a seal out of turn can be shown.

use super::{Table, whole};
use crate::format::codec::{self, DecodeError, DecodeProblem};
use crate::format::digest::BlockHash;

/// Whose turn a height was, behind which block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProposerRow {
    /// The block before. Behind another one the members, and so the turns, may be others.
    pub previous: BlockHash,
    /// The place among the members of the height.
    pub place: u32,
}

/// The table of turns that were, by height.
#[derive(Debug, Clone, Copy)]
pub struct ProposerRows;

impl ProposerRows {
    /// The key of a height: the height, big-endian.
    #[must_use]
    pub const fn key(height: u64) -> [u8; 8] {
        height.to_be_bytes()
    }
}

impl Table for ProposerRows {
    const NUMBER: u8 = 15;
    type Value = ProposerRow;

    fn check_key(key: &[u8]) -> Result<(), DecodeProblem> {
        match key.len() == 8 {
            true => Ok(()),
            false => Err(DecodeProblem::Value("not a height")),
        }
    }

    fn encode(value: &ProposerRow) -> Vec<u8> {
        let mut out = value.previous.0.to_vec();
        codec::put_u32(&mut out, value.place);
        out
    }

    fn decode(bytes: &[u8]) -> Result<ProposerRow, DecodeError> {
        whole(bytes, "proposer", |reader| {
            Ok(ProposerRow {
                previous: BlockHash(reader.array("previous")?),
                place: reader.u32("place")?,
            })
        })
    }
}
