//! Who has how many shares of which pool.

use super::{Table, check_name, whole};
use crate::format::codec::{self, DecodeError, DecodeProblem, NAME_BYTES_MAX, Reader};

/// The table of shares, by who has them, behind whom the value is, and the pool's boundary.
#[derive(Debug, Clone, Copy)]
pub struct Shares;

impl Shares {
    /// The key of somebody's shares in a pool: the two names as byte strings behind their lengths, and the boundary as u64 in
    /// big-endian order. Longer than a key may be where both names are of the longest.
    #[must_use]
    pub fn key(holder: &str, name: &str, boundary: u64) -> Vec<u8> {
        let mut key = Vec::with_capacity(16 + holder.len() + name.len());
        codec::put_bytes(&mut key, holder.as_bytes());
        codec::put_bytes(&mut key, name.as_bytes());
        key.extend_from_slice(&boundary.to_be_bytes());
        key
    }

    /// What a key says: who has them, and of which pool.
    #[must_use]
    pub fn parts(key: &[u8]) -> Option<(&str, &str, u64)> {
        let mut reader = Reader::new(key);
        let mut name = || {
            let name = reader.bytes("key", NAME_BYTES_MAX).ok()?;
            check_name(name).ok()?;
            std::str::from_utf8(name).ok()
        };
        let (holder, behind) = (name()?, name()?);
        let boundary = u64::from_be_bytes(reader.array("key").ok()?);
        reader.finish("key").ok()?;
        Some((holder, behind, boundary))
    }
}

impl Table for Shares {
    const NUMBER: u8 = 11;
    /// How many; at least 1.
    type Value = u64;

    fn check_key(key: &[u8]) -> Result<(), DecodeProblem> {
        match Self::parts(key) {
            Some(_) => Ok(()),
            None => Err(DecodeProblem::Value("not the key of shares")),
        }
    }

    fn encode(value: &u64) -> Vec<u8> {
        value.to_le_bytes().to_vec()
    }

    fn decode(bytes: &[u8]) -> Result<u64, DecodeError> {
        whole(bytes, "shares", |reader| {
            let start = reader.clone();
            match reader.u64("shares")? {
                0 => Err(start.error("shares", DecodeProblem::Value("none"))),
                shares => Ok(shares),
            }
        })
    }
}
