//! The seeds that choose proposers, by their epochs, and what reveals add to the next one.

use super::{Table, whole};
use crate::format::codec::{self, DecodeError, DecodeProblem};
use crate::format::digest::Digest;

/// A row about seeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeedRow {
    /// That of an epoch.
    Seed(Digest),
    /// What the reveals of an epoch have come to so far.
    Collected(u64, Digest),
}

/// The table of seeds.
#[derive(Debug, Clone, Copy)]
pub struct SeedRows;

impl SeedRows {
    /// The key of what is being collected.
    pub const COLLECTED: &'static [u8] = b"collected";

    /// The key of an epoch's seed: its number, big-endian.
    #[must_use]
    pub const fn key(epoch: u64) -> [u8; 8] {
        epoch.to_be_bytes()
    }
}

impl Table for SeedRows {
    const NUMBER: u8 = 12;
    type Value = SeedRow;

    fn check_key(key: &[u8]) -> Result<(), DecodeProblem> {
        match key.len() == 8 || key == Self::COLLECTED {
            true => Ok(()),
            false => Err(DecodeProblem::Value("not a key of seeds")),
        }
    }

    fn encode(value: &SeedRow) -> Vec<u8> {
        let mut out = Vec::with_capacity(41);
        match value {
            SeedRow::Seed(seed) => {
                out.push(0);
                out.extend_from_slice(&seed.0);
            }
            SeedRow::Collected(epoch, collected) => {
                out.push(1);
                codec::put_u64(&mut out, *epoch);
                out.extend_from_slice(&collected.0);
            }
        }
        out
    }

    fn decode(bytes: &[u8]) -> Result<SeedRow, DecodeError> {
        whole(bytes, "seed", |reader| {
            let start = reader.clone();
            match reader.u8("seed")? {
                0 => Ok(SeedRow::Seed(Digest(reader.array("seed")?))),
                1 => Ok(SeedRow::Collected(
                    reader.u64("epoch")?,
                    Digest(reader.array("collected")?),
                )),
                tag => Err(start.error("seed", DecodeProblem::Tag(tag))),
            }
        })
    }
}
