//! The keyed hash of index keys and ids, on which the index files of all backends depend. `FORMAT.md` has it step by step.
//!
//! The seed is a secret of the store, so nobody can choose keys whose hashes collide or crowd.

use super::little_endian::u64_at;
use crate::Id;

#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyHash {
    pub(crate) seed: [u64; 2],
}

/// Odd numbers without a pattern: the first bits of π behind the point, the lowest of each set.
const PI: [u64; 4] = [
    0x243F_6A88_85A3_08D3,
    0x1319_8A2E_0370_7345,
    0xA409_3822_299F_31D1,
    0x082E_FA98_EC4E_6C89,
];

/// The halves of the product, exclusive or.
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

    /// The hash of a key of any length, with the number of its table before it.
    #[cfg(feature = "log")]
    pub(crate) fn of_table_key(&self, key: &[u8]) -> u64 {
        let [s, t] = self.seed;
        let mut state = PI[2];
        for chunk in key.chunks(16) {
            // Zeros fill up the last one; the length, which comes in last, tells them from a key's own.
            let mut words = [0; 16];
            words[..chunk.len()].copy_from_slice(chunk);
            state = fold(u64_at(&words, 0) ^ s ^ state, u64_at(&words, 8) ^ t);
        }
        fold(state ^ t, s ^ PI[3] ^ key.len() as u64)
    }

    fn hash(&self, bytes: &Id, domain: u64) -> u64 {
        let word = |number: usize| u64_at(bytes, number * 8);
        // The seed goes into all four factors and again into the last product: with a factor that is known, input could be
        // chosen that makes a product 0, whatever the rest.
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
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::*;

    /// The rule as `FORMAT.md` has it, on bytes alone: numbers are eight of them, the lowest first, and are multiplied as at school.
    mod by_bytes {
        pub(super) type Number = [u8; 8];

        fn xor(a: Number, b: Number) -> Number {
            std::array::from_fn(|at| a[at] ^ b[at])
        }

        fn exchange_halves(a: Number) -> Number {
            std::array::from_fn(|at| a[(at + 4) % 8])
        }

        fn fold(a: Number, b: Number) -> Number {
            let mut product = [0_u8; 16];
            for (i, x) in a.into_iter().enumerate() {
                let mut carry = 0;
                for (j, y) in b.into_iter().enumerate() {
                    let sum = u32::from(product[i + j]) + u32::from(x) * u32::from(y) + carry;
                    product[i + j] = (sum % 256) as u8;
                    carry = sum / 256;
                }
                product[i + 8] = carry as u8;
            }
            std::array::from_fn(|at| product[at] ^ product[at + 8])
        }

        /// Of hexadecimal digits, the highest first.
        fn number(digits: &str) -> Number {
            let pair = |at: usize| u8::from_str_radix(&digits[14 - 2 * at..][..2], 16).unwrap();
            std::array::from_fn(pair)
        }

        pub(super) fn hash(bytes: &[u8; 32], [s, t]: [Number; 2], is_id: bool) -> Number {
            let p = [
                "243F6A8885A308D3",
                "13198A2E03707345",
                "A4093822299F31D1",
                "082EFA98EC4E6C89",
            ]
            .map(number);
            let w: [Number; 4] = std::array::from_fn(|at| bytes[8 * at..][..8].try_into().unwrap());
            let low = fold(xor(w[0], s), xor(w[1], t));
            let high = fold(
                xor(xor(w[2], exchange_halves(s)), p[2]),
                xor(xor(w[3], exchange_halves(t)), p[3]),
            );
            let domain = p[usize::from(is_id)];
            fold(xor(xor(low, s), domain), xor(xor(high, t), p[2]))
        }
    }

    fn hash_by_bytes(bytes: &Id, seed: [u64; 2], is_id: bool) -> u64 {
        u64::from_le_bytes(by_bytes::hash(bytes, seed.map(u64::to_le_bytes), is_id))
    }

    /// Index files on disk depend on them: they never change.
    #[test]
    fn the_vectors_of_the_format() {
        let format = include_str!("../../../FORMAT.md");
        let ascending = std::array::from_fn(|at| at as u8);
        for (seed, bytes, key, id) in [
            (
                [0, 0],
                [0; 32],
                0x410F_D7F4_4F47_2B04,
                0x5456_0180_0611_2930,
            ),
            (
                [0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210],
                ascending,
                0x92EE_17D8_D3F7_DD6D,
                0x06F7_995D_F530_FF89,
            ),
            (
                [1, 2],
                [0xFF; 32],
                0x85E8_AB7E_D1E8_2516,
                0xE0A4_DF20_BC45_0A80,
            ),
        ] {
            let hash = KeyHash { seed };
            assert_eq!((hash.of_key(&bytes), hash.of_id(&bytes)), (key, id));
            assert_eq!(hash_by_bytes(&bytes, seed, false), key);
            assert_eq!(hash_by_bytes(&bytes, seed, true), id);
            let [s, t] = seed;
            for number in [s, t, key, id] {
                assert!(
                    format.contains(&format!("`{number:016x}`")),
                    "{number:016x}"
                );
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn it_is_the_rule_of_the_format(bytes: [u8; 32], seed: [u64; 2]) {
            let hash = KeyHash { seed };
            proptest::prop_assert_eq!(hash.of_key(&bytes), hash_by_bytes(&bytes, seed, false));
            proptest::prop_assert_eq!(hash.of_id(&bytes), hash_by_bytes(&bytes, seed, true));
        }
    }

    /// Filters of tables on disk depend on them: they never change.
    #[cfg(feature = "log")]
    #[test]
    fn the_vectors_of_table_keys() {
        let format = include_str!("../../../FORMAT.md");
        let hash = KeyHash { seed: [3, 5] };
        let ascending: Vec<u8> = (0..21).collect();
        for (key, expected) in [
            (&b"\0"[..], 0x4996_E377_7602_266B),
            (b"\x01key", 0x4D18_76FB_EE94_E291),
            (&ascending, 0x624C_015E_844A_C264),
        ] {
            assert_eq!(hash.of_table_key(key), expected);
            assert!(format.contains(&format!("`{expected:016x}`")));
        }
    }

    #[cfg(feature = "log")]
    #[test]
    fn zeros_at_the_end_of_a_table_key_make_another_hash() {
        let hash = KeyHash { seed: [3, 5] };
        let keys = (1..40).map(|length| vec![0; length]);
        let hashes: BTreeSet<u64> = keys.map(|key| hash.of_table_key(&key)).collect();
        assert_eq!(hashes.len(), 39);
    }

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
