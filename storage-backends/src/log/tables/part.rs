//! Versions side by side in memory: a block of a run, or all of a memory run. They ascend by key; of one key, later commits come first.

use bytes::Bytes;

use super::version::Version;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Part {
    bytes: Bytes,
    /// Where each version begins.
    offsets: Vec<u32>,
    base: u64,
}

impl Part {
    /// Finds the versions in some bytes, of which there may be so many; nothing if they are not wholly versions.
    pub(super) fn parse(bytes: Bytes, base: u64, expected: usize) -> Option<Self> {
        // Each has three bytes at least.
        let mut offsets = Vec::with_capacity(expected.min(bytes.len() / 3));
        let mut at = 0;
        while at < bytes.len() {
            let (_, length) = Version::decode(&bytes[at..], base)?;
            offsets.push(u32::try_from(at).ok()?);
            at += length;
        }
        Some(Self {
            bytes,
            offsets,
            base,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Bytes that it takes in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.len() + 4 * self.offsets.capacity() + size_of::<Self>()
    }

    /// The version of a number below [`len`](Self::len).
    pub(super) fn version(&self, number: usize) -> Version<'_> {
        let at = self.offsets[number] as usize;
        let (version, _) =
            Version::decode(&self.bytes[at..], self.base).expect("all versions were found here");
        version
    }

    /// The number of the first version whose key isn't below this one.
    pub(super) fn first_from(&self, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.version(middle).key < key {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
    }

    /// What the commits up to `limit` made of a key, as far as it is told here.
    pub(super) fn find(&self, key: &[u8], limit: u64) -> Option<Found> {
        let from = self.first_from(key);
        for number in from..self.len() {
            let version = self.version(number);
            if version.key != key {
                return None;
            }
            if version.commit <= limit {
                return Some(Found {
                    value: self.value(version),
                });
            }
        }
        None
    }

    /// The value of one of its versions, to be kept.
    pub(super) fn value(&self, version: Version<'_>) -> Option<Bytes> {
        let value = version.value?;
        // A small value must not keep a whole block in memory.
        Some(match value.len() * 2 > self.bytes.len() {
            true => self.bytes.slice_ref(value),
            false => Bytes::copy_from_slice(value),
        })
    }
}

/// What was made of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// None if it was removed.
    pub(super) value: Option<Bytes>,
}
