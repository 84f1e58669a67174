//! The keyed hash of index keys and ids, on which the index files of all backends depend. `FORMAT.md` has it step by step.
//!
//! The seed is a secret of the store: whoever chooses keys can't choose them so that their hashes collide or crowd.

use super::little_endian::u64_at;
use crate::Id;

#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyHash {
    pub(crate) seed: [u64; 2],
}

/// Numbers without a pattern: from the digits of π.
const PI: [u64; 4] = [
    0x243F_6A88_85A3_08D3,
    0x1319_8A2E_0370_7345,
    0xA409_3822_299F_31D1,
    0x082E_FA98_EC4E_6C89,
];

/// Both halves of the product.
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

impl KeyHash {
    pub(crate) fn of_key(&self, key: &Id) -> u64 {
        self.hash(key, PI[0])
    }

    pub(crate) fn of_id(&self, id: &Id) -> u64 {
        self.hash(id, PI[1])
    }

    fn hash(&self, bytes: &Id, domain: u64) -> u64 {
        let word = |number: usize| u64_at(bytes, number * 8);
        let [s, t] = self.seed;
        let low = fold(word(0) ^ s, word(1) ^ t);
        let high = fold(
            word(2) ^ s.rotate_left(32) ^ PI[2],
            word(3) ^ t.rotate_left(32) ^ PI[3],
        );
        fold(low ^ s ^ domain, high ^ t ^ PI[2])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn hashes_depend_on_every_bit_and_on_the_seed() {
        let hash = KeyHash { seed: [3, 5] };
        let key = [9; 32];
        let mut seen = BTreeSet::from([hash.of_key(&key), hash.of_id(&key)]);
        seen.insert(KeyHash { seed: [3, 6] }.of_key(&key));
        for bit in 0..256 {
            let mut other = key;
            other[bit / 8] ^= 1 << (bit % 8);
            seen.insert(hash.of_key(&other));
        }
        assert_eq!(seen.len(), 259);
    }
}
