//! What one commit made of one key, and its bytes.
//!
//! ```text
//! version   key length, then 0 if the key was removed or else the value's length + 1, then the commit's number less the base
//!           of the run, each as a varint (LEB128); key; value
//! ```
//!
//! Here and in all files of tables a key has its table's number before it, so that the order of such keys is that of tables and keys.

use crate::{TABLE_KEY_BYTES_MAX, TABLE_VALUE_BYTES_MAX};

/// Longest key with the number of its table.
pub(super) const KEY_BYTES_MAX: usize = 1 + TABLE_KEY_BYTES_MAX;
/// Most bytes of a version: three varints, a key and a value.
pub(super) const VERSION_BYTES_MAX: usize = 2 + 4 + 10 + KEY_BYTES_MAX + TABLE_VALUE_BYTES_MAX;

/// See the [module](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version<'a> {
    /// The table's number and the key.
    pub(super) key: &'a [u8],
    /// None if it was removed.
    pub(super) value: Option<&'a [u8]>,
    /// The number of the commit, within its set.
    pub(super) commit: u64,
}

impl<'a> Version<'a> {
    /// Appends its bytes to those of a run with a base; commits up to the base count as the base.
    pub(super) fn encode(&self, base: u64, into: &mut Vec<u8>) {
        put_varint(into, self.key.len() as u64);
        put_varint(into, self.value.map_or(0, |value| value.len() as u64 + 1));
        put_varint(into, self.commit.saturating_sub(base));
        into.extend_from_slice(self.key);
        into.extend_from_slice(self.value.unwrap_or_default());
    }

    /// Bytes that [`encode`](Self::encode) appends at most.
    pub(super) fn bytes_max(&self) -> usize {
        16 + self.key.len() + self.value.map_or(0, <[u8]>::len)
    }

    /// Reads the first version of some bytes, and tells how many it has.
    pub(super) fn decode(bytes: &'a [u8], base: u64) -> Option<(Self, usize)> {
        let (key_bytes, at) = varint_at(bytes, 0)?;
        let (value_bytes, at) = varint_at(bytes, at)?;
        let (commit, at) = varint_at(bytes, at)?;
        let key_bytes = usize::try_from(key_bytes).ok()?;
        if !(1..=KEY_BYTES_MAX).contains(&key_bytes) {
            return None;
        }
        let value_at = at + key_bytes;
        let key = bytes.get(at..value_at)?;
        let (value, end) = match value_bytes.checked_sub(1) {
            None => (None, value_at),
            Some(length) => {
                let length = usize::try_from(length).ok()?;
                let end = value_at.checked_add(length)?;
                (Some(bytes.get(value_at..end)?), end)
            }
        };
        let commit = base.checked_add(commit)?;
        Some((Self { key, value, commit }, end))
    }
}

/// A table's number and a key as one.
pub(super) fn joined(table: u8, key: &[u8]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(1 + key.len());
    joined.push(table);
    joined.extend_from_slice(key);
    joined
}

fn put_varint(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

/// A number and where it ends.
fn varint_at(bytes: &[u8], mut at: usize) -> Option<(u64, usize)> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(at)?;
        at += 1;
        let part = u64::from(byte & 0x7F);
        // The tenth byte has room for one bit.
        if shift == 63 && part > 1 {
            return None;
        }
        number |= part << shift;
        if byte < 0x80 {
            return Some((number, at));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn versions_read_back_one_after_the_other() {
        let long = vec![7; 300];
        let versions = [
            (&b"\0"[..], Some(&b""[..]), 5),
            (b"\x01key", None, 5),
            (b"\x01key", Some(&long), u64::MAX),
        ]
        .map(|(key, value, commit)| Version { key, value, commit });
        let mut bytes = Vec::new();
        for version in &versions {
            let before = bytes.len();
            version.encode(5, &mut bytes);
            assert!(bytes.len() - before <= version.bytes_max());
        }
        let mut at = 0;
        for version in versions {
            let (found, length) = Version::decode(&bytes[at..], 5).unwrap();
            assert_eq!(found, version);
            at += length;
        }
        assert_eq!(at, bytes.len());
    }

    #[test]
    fn commits_below_the_base_count_as_the_base() {
        let mut bytes = Vec::new();
        let version = Version {
            key: b"\0k",
            value: None,
            commit: 3,
        };
        version.encode(9, &mut bytes);
        assert_eq!(Version::decode(&bytes, 9).unwrap().0.commit, 9);
    }

    #[test]
    fn whatever_the_bytes_are_decoding_ends() {
        for bytes in [
            &b""[..],
            b"\0\0\0",
            b"\x03\0\0ab",
            b"\x01\x05\0\0abc",
            &[0xFF; 40],
            b"\x01\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01k",
        ] {
            assert_eq!(Version::decode(bytes, 1), None, "{bytes:?}");
        }
    }
}
