//! Where the blocks of a run are, and the key that each begins with. In memory, 24 bytes a block and its key.

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, IntoBytes};

use super::on_disk::FenceHead;
use super::version::{KEY_BYTES_MAX, VERSION_BYTES_MAX};
use crate::toolbox::salt::Salt;

/// Bytes of versions that a block is filled with; one version may have more.
pub(super) const BLOCK_BYTES: usize = if cfg!(test) { 128 } else { 4096 };
/// Most bytes of a block.
const BLOCK_BYTES_MAX: usize = if VERSION_BYTES_MAX > BLOCK_BYTES {
    VERSION_BYTES_MAX
} else {
    BLOCK_BYTES
};

/// Where a block is.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockAt {
    pub(super) offset: u64,
    pub(super) bytes: u32,
    pub(super) checksum: u32,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Fences {
    blocks: Vec<BlockAt>,
    keys: Vec<u8>,
    /// Where in `keys` each key ends, twice, plus 1 if the block before ends with the same key.
    ends: Vec<u64>,
    next_offset: u64,
}

impl Fences {
    /// No blocks yet; the first will be at an offset.
    pub(super) fn from_offset(offset: u64) -> Self {
        Self {
            next_offset: offset,
            ..Self::default()
        }
    }

    /// Adds a block behind those before.
    pub(super) fn push(&mut self, key: &[u8], is_continued: bool, bytes: u32, checksum: u32) {
        self.blocks.push(BlockAt {
            offset: self.next_offset,
            bytes,
            checksum,
        });
        self.next_offset += u64::from(bytes);
        self.keys.extend_from_slice(key);
        let end = self.keys.len() as u64;
        self.ends.push(end << 1 | u64::from(is_continued));
    }

    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Where the last block ends.
    pub(super) fn end(&self) -> u64 {
        self.next_offset
    }

    pub(super) fn block(&self, number: usize) -> Option<BlockAt> {
        self.blocks.get(number).copied()
    }

    /// The key that a block begins with.
    pub(super) fn key(&self, number: usize) -> &[u8] {
        let start = number
            .checked_sub(1)
            .map_or(0, |before| self.ends[before] >> 1);
        &self.keys[start as usize..(self.ends[number] >> 1) as usize]
    }

    /// Whether the block before ends with the key that this one begins with.
    fn is_continued(&self, number: usize) -> bool {
        self.ends[number] & 1 == 1
    }

    /// The number of the first block that begins with this key or a higher one.
    pub(super) fn first_from(&self, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.key(middle) < key {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
    }

    /// The block in which the versions of a key begin, or where higher ones do if it has none.
    pub(super) fn block_of(&self, key: &[u8]) -> usize {
        let from = self.first_from(key);
        match from < self.len() && !self.is_continued(from) && self.key(from) == key {
            true => from,
            false => from.saturating_sub(1),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len() * size_of::<FenceHead>() + self.keys.len());
        for (number, block) in self.blocks.iter().enumerate() {
            let key = self.key(number);
            let head = FenceHead {
                bytes: U32::new(block.bytes),
                checksum: U32::new(block.checksum),
                key_bytes: U16::new(key.len() as u16),
                is_continued: U16::new(u16::from(self.is_continued(number))),
            };
            bytes.extend_from_slice(head.as_bytes());
            bytes.extend_from_slice(key);
        }
        bytes
    }

    /// Reads the fences of so many blocks, the first of which is at an offset. Nothing if the bytes are not those of fences.
    pub(super) fn decode(mut bytes: &[u8], blocks: u64, offset: u64) -> Option<Self> {
        let mut fences = Self::from_offset(offset);
        for _ in 0..blocks {
            let (head, rest) = FenceHead::ref_from_prefix(bytes).ok()?;
            let key_bytes = usize::from(head.key_bytes.get());
            let length = head.bytes.get();
            let is_bounded = (1..=KEY_BYTES_MAX).contains(&key_bytes)
                && length as usize <= BLOCK_BYTES_MAX
                && head.is_continued.get() <= 1;
            if !is_bounded || rest.len() < key_bytes {
                return None;
            }
            let (key, rest) = rest.split_at(key_bytes);
            fences.push(
                key,
                head.is_continued.get() == 1,
                length,
                head.checksum.get(),
            );
            bytes = rest;
        }
        bytes.is_empty().then_some(fences)
    }
}

/// The checksum of a block.
pub(super) fn block_checksum(salt: Salt, block: &[u8]) -> u32 {
    salt.checksum(block)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn fences() -> Fences {
        let mut fences = Fences::from_offset(80);
        for (key, is_continued) in [("b", false), ("d", false), ("d", true), ("f", false)] {
            fences.push(key.as_bytes(), is_continued, 100, 7);
        }
        fences
    }

    #[test]
    fn the_versions_of_a_key_are_looked_for_where_they_begin() {
        let fences = fences();
        for (key, block) in [
            ("a", 0),
            ("b", 0),
            ("c", 0),
            ("d", 1),
            ("e", 2),
            ("f", 3),
            ("g", 3),
        ] {
            assert_eq!(fences.block_of(key.as_bytes()), block, "{key}");
        }
        assert_eq!(fences.first_from(b"e"), 3);
        let mut continued = Fences::from_offset(0);
        continued.push(b"a", false, 1, 0);
        continued.push(b"b", true, 1, 0);
        assert_eq!(continued.block_of(b"b"), 0);
    }

    #[test]
    fn fences_read_back_and_only_if_they_are_whole() {
        let bytes = fences().encode();
        let read = Fences::decode(&bytes, 4, 80).unwrap();
        assert_eq!((read.len(), read.end(), read.key(3)), (4, 480, &b"f"[..]));
        assert!(read.is_continued(2));
        assert_eq!(read.block(1).unwrap().offset, 180);
        assert!(Fences::decode(&bytes, 3, 80).is_none());
        assert!(Fences::decode(&bytes, 5, 80).is_none());
        assert!(Fences::decode(&bytes[..bytes.len() - 1], 4, 80).is_none());
    }
}
