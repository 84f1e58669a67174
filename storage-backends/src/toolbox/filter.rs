//! Blocked Bloom filters, and how hashes are spread over parts.
//!
//! A hash leads to one block of a filter, where it has a few bits: so a miss reads one cache line. Parts grow with the hash, so that whatever is
//! written from sorted entries is written in one pass. Source: Putze, Sanders, Singler, "Cache-, Hash- and Space-Efficient Bloom
//! Filters", 2007.

/// The part that a hash is in, of so many, each of which has as much of the hashes: `hash * parts / 2^64`.
pub(crate) const fn scale(hash: u64, parts: u64) -> u64 {
    ((hash as u128 * parts as u128) >> 64) as u64
}

/// Blocks of so many bits, at most 512, of which a hash has so many, at most 7.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FilterBlock<const BITS: u64, const PROBES: u32>;

impl<const BITS: u64, const PROBES: u32> FilterBlock<BITS, PROBES> {
    /// The bits of a hash. Its block comes from the upper bits of the hash; these are as good as independent of it.
    fn bits(hash: u64) -> impl Iterator<Item = usize> {
        let mixed = (hash ^ (hash >> 29)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (0..PROBES).map(move |probe| ((((mixed >> (probe * 9)) & 511) * BITS) >> 9) as usize)
    }

    /// Whether a hash may have been added.
    pub(crate) fn may_have(bits: &[u8], hash: u64) -> bool {
        Self::bits(hash).all(|bit| (bits[bit / 8] >> (bit % 8)) & 1 == 1)
    }

    pub(crate) fn add(bits: &mut [u8], hash: u64) {
        Self::bits(hash).for_each(|bit| bits[bit / 8] |= 1 << (bit % 8));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_as_many_hashes_each_and_grow_with_them() {
        assert_eq!(scale(u64::MAX, 7), 6);
        assert_eq!(scale(0, 7), 0);
        assert_eq!(scale(u64::MAX / 2, 8), 3);
        assert_eq!(scale(u64::MAX / 2 + 1, 8), 4);
    }

    /// As `FORMAT.md` says it for the append-log and for rows.
    #[test]
    fn bits_are_those_of_the_formats() {
        for hash in [0, 1, u64::MAX, 0x0123_4567_89AB_CDEF] {
            let mixed = u128::from(hash ^ hash >> 29) * 0x9E37_79B9_7F4A_7C15 % (1 << 64);
            let group = |number: u32| (mixed >> (9 * number)) as usize % 512;
            let log: Vec<usize> = (0..7).map(|number| group(number) * 480 / 512).collect();
            let rows: Vec<usize> = (0..6).map(group).collect();
            assert_eq!(FilterBlock::<480, 7>::bits(hash).collect::<Vec<_>>(), log);
            assert_eq!(FilterBlock::<512, 6>::bits(hash).collect::<Vec<_>>(), rows);
        }
    }

    #[test]
    fn what_was_added_is_found() {
        let mut bits = [0; 64];
        assert!(!FilterBlock::<512, 6>::may_have(&bits, 7));
        FilterBlock::<512, 6>::add(&mut bits, 7);
        assert!(FilterBlock::<512, 6>::may_have(&bits, 7));
    }
}
