//! Who signed the last blocks, as far as later blocks say, and how many certificates in a row a member is missing in.

use super::{Table, check_name, whole};
use crate::format::codec::{self, DecodeError, DecodeProblem, Reader};
use crate::format::digest::BlockHash;
use crate::format::model::SIGNERS_MAX;

const BITMAP_BYTES_MAX: usize = SIGNERS_MAX.div_ceil(8);

/// Members by their places among those of a height, at least one of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signers {
    /// Bit `i % 8` of byte `i / 8` stands for member `i`; the last byte is not zero.
    bitmap: Vec<u8>,
}

impl Signers {
    /// Adds the member at a place below [`SIGNERS_MAX`]; whether it wasn't among them before.
    pub fn insert(&mut self, place: usize) -> bool {
        if place >= SIGNERS_MAX || self.contains(place) {
            return false;
        }
        if self.bitmap.len() <= place / 8 {
            self.bitmap.resize(place / 8 + 1, 0);
        }
        if let Some(byte) = self.bitmap.get_mut(place / 8) {
            *byte |= 1 << (place % 8);
        }
        true
    }

    /// Whether the member at a place is among them.
    #[must_use]
    pub fn contains(&self, place: usize) -> bool {
        let byte = self.bitmap.get(place / 8);
        byte.is_some_and(|byte| byte >> (place % 8) & 1 == 1)
    }
}

/// A row about attendance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttendanceRow {
    /// The hash of a block that a certificate can be for.
    Block(BlockHash),
    /// Who signed a block that the chain holds a certificate for.
    Signed(Signers),
    /// In how many certificates in a row a member is missing; at least 1.
    Missed(u32),
}

/// The table of attendance: blocks and their signers by height, and members by name.
#[derive(Debug, Clone, Copy)]
pub struct AttendanceRows;

impl AttendanceRows {
    /// The key of the block at a height: 0, and the height, big-endian.
    #[must_use]
    pub fn block_key(height: u64) -> Vec<u8> {
        [&[0], &height.to_be_bytes()[..]].concat()
    }

    /// The key of those who signed at a height: 1, and the height, big-endian.
    #[must_use]
    pub fn signed_key(height: u64) -> Vec<u8> {
        [&[1], &height.to_be_bytes()[..]].concat()
    }

    /// The key of what a member missed: 2, and its name.
    #[must_use]
    pub fn missed_key(name: &str) -> Vec<u8> {
        [&[2], name.as_bytes()].concat()
    }
}

impl Table for AttendanceRows {
    const NUMBER: u8 = 16;
    type Value = AttendanceRow;

    fn check_key(key: &[u8]) -> Result<(), DecodeProblem> {
        match key.split_first() {
            Some((0 | 1, height)) if height.len() == 8 => Ok(()),
            Some((2, name)) => check_name(name),
            _ => Err(DecodeProblem::Value("not about attendance")),
        }
    }

    fn encode(value: &AttendanceRow) -> Vec<u8> {
        let mut out = Vec::with_capacity(33);
        match value {
            AttendanceRow::Block(hash) => {
                out.push(0);
                out.extend_from_slice(&hash.0);
            }
            AttendanceRow::Signed(signers) => {
                out.push(1);
                codec::put_bytes(&mut out, &signers.bitmap);
            }
            AttendanceRow::Missed(count) => {
                out.push(2);
                codec::put_u32(&mut out, *count);
            }
        }
        out
    }

    fn decode(bytes: &[u8]) -> Result<AttendanceRow, DecodeError> {
        whole(bytes, "attendance", |reader| {
            let start = reader.clone();
            match reader.u8("attendance")? {
                0 => Ok(AttendanceRow::Block(BlockHash(reader.array("hash")?))),
                1 => decode_signers(reader).map(AttendanceRow::Signed),
                2 => match reader.u32("missed")? {
                    0 => Err(start.error("missed", DecodeProblem::Value("none"))),
                    count => Ok(AttendanceRow::Missed(count)),
                },
                tag => Err(start.error("attendance", DecodeProblem::Tag(tag))),
            }
        })
    }
}

fn decode_signers(reader: &mut Reader<'_>) -> Result<Signers, DecodeError> {
    let start = reader.clone();
    let bitmap = reader.bytes("signers", BITMAP_BYTES_MAX)?;
    match bitmap.last() {
        // One set has one encoding.
        None | Some(0) => {
            let problem = DecodeProblem::Value("nobody at the last place");
            Err(start.error("signers", problem))
        }
        Some(_) => Ok(Signers {
            bitmap: bitmap.to_vec(),
        }),
    }
}
