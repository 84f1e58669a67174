//! Which keys a run may have: a blocked Bloom filter of one cache line a block, ten bits a key, in memory as it is in the file.

use crate::toolbox::filter::{FilterBlock, scale};

type Bits = FilterBlock<512, 6>;

/// Bytes of a block of a filter.
pub(super) const FILTER_BLOCK_BYTES: usize = 64;
/// Keys that a block is meant for.
const BLOCK_KEYS: u64 = 51;
/// A filter that was made for more keys than came is made smaller by so much at most.
const SHRINK_MAX: u64 = 16;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Filter {
    bits: Vec<u8>,
}

impl Filter {
    /// An empty filter for so many keys at most.
    pub(super) fn for_keys(keys: u64) -> Self {
        let blocks = keys.div_ceil(BLOCK_KEYS).next_multiple_of(SHRINK_MAX);
        Self {
            bits: vec![0; blocks as usize * FILTER_BLOCK_BYTES],
        }
    }

    /// A filter as it was written.
    pub(super) fn from_bytes(bits: Vec<u8>) -> Self {
        Self { bits }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bits
    }

    pub(super) fn add(&mut self, hash: u64) {
        let at = self.block_at(hash);
        Bits::add(&mut self.bits[at..at + FILTER_BLOCK_BYTES], hash);
    }

    /// Whether a key of this hash may have been added.
    pub(super) fn may_have(&self, hash: u64) -> bool {
        if self.bits.is_empty() {
            return false;
        }
        let at = self.block_at(hash);
        Bits::may_have(&self.bits[at..at + FILTER_BLOCK_BYTES], hash)
    }

    fn block_at(&self, hash: u64) -> usize {
        let blocks = (self.bits.len() / FILTER_BLOCK_BYTES) as u64;
        scale(hash, blocks) as usize * FILTER_BLOCK_BYTES
    }

    /// Makes it as small as it may be for the keys that were added. Blocks side by side become one: since a hash's block is
    /// `hash * blocks / 2^64`, that of a filter with a third of the blocks is a third of it.
    pub(super) fn shrink_to(&mut self, keys: u64) {
        let blocks = (self.bits.len() / FILTER_BLOCK_BYTES) as u64;
        let wanted = keys.div_ceil(BLOCK_KEYS);
        let factors = [16, 8, 4, 2];
        let fits = |factor: &u64| blocks.is_multiple_of(*factor) && blocks / factor >= wanted;
        let Some(factor) = factors.into_iter().find(fits) else {
            return;
        };
        let group = factor as usize * FILTER_BLOCK_BYTES;
        let fold = |group: &[u8]| {
            let mut block = [0; FILTER_BLOCK_BYTES];
            for part in group.chunks_exact(FILTER_BLOCK_BYTES) {
                block
                    .iter_mut()
                    .zip(part)
                    .for_each(|(all, one)| *all |= one);
            }
            block
        };
        self.bits = self.bits.chunks_exact(group).flat_map(fold).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u64) -> u64 {
        (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ number << 7
    }

    #[test]
    fn what_was_added_is_found_also_when_the_filter_was_made_for_many_more() {
        for keys in [0, 1, 50, 1000, 5000] {
            let mut filter = Filter::for_keys(40_000);
            (0..keys).for_each(|number| filter.add(hash(number)));
            filter.shrink_to(keys);
            assert!((0..keys).all(|number| filter.may_have(hash(number))));
            let wrong = (10_000..20_000).filter(|number| filter.may_have(hash(*number)));
            assert!(wrong.count() < 300);
        }
    }

    #[test]
    fn an_empty_filter_has_nothing() {
        let filter = Filter::for_keys(0);
        assert!(filter.bytes().is_empty() && !filter.may_have(7));
    }
}
