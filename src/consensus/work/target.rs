//! The number that a block's hash may not exceed.

use std::fmt;

use crate::format::digest::BlockHash;

/// A 256-bit threshold for hashes. Ordered as a number: a greater one is easier to reach.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The most significant first, so that the derived order is that of numbers.
    words: [u64; 4],
}

impl Target {
    /// 2²⁵⁶ − 1, which every hash reaches: the target of difficulty 1.
    pub const MAX: Self = Self {
        words: [u64::MAX; 4],
    };
    /// The least that a schedule asks for, since nothing would ever be found after 0.
    pub const ONE: Self = Self {
        words: [0, 0, 0, 1],
    };

    /// The number of these bytes, the most significant first.
    #[must_use]
    pub fn from_be_bytes(bytes: &[u8; 32]) -> Self {
        let (parts, _) = bytes.as_chunks::<8>();
        let mut words = [0; 4];
        for (word, part) in words.iter_mut().zip(parts) {
            *word = u64::from_be_bytes(*part);
        }
        Self { words }
    }

    /// The bytes of the number, the most significant first.
    #[must_use]
    pub fn to_be_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        let (parts, _) = bytes.as_chunks_mut::<8>();
        for (part, word) in parts.iter_mut().zip(self.words) {
            *part = word.to_be_bytes();
        }
        bytes
    }

    /// Whether a block of this hash did the work: the hash as a big-endian number is at most the target.
    #[must_use]
    pub fn is_met_by(&self, hash: &BlockHash) -> bool {
        Self::from_be_bytes(&hash.0) <= *self
    }

    /// ⌊(2²⁵⁶ − 1) / difficulty⌋. A difficulty of 0 is none, and counts as 1.
    #[must_use]
    pub fn from_difficulty(difficulty: u64) -> Self {
        let divisor = u128::from(difficulty.max(1));
        let mut remainder = 0;
        let words = Self::MAX.words.map(|word| {
            let part = remainder << 64 | u128::from(word);
            remainder = part % divisor;
            // The remainder before was less than the divisor, so that the quotient is less than 2⁶⁴.
            (part / divisor) as u64
        });
        Self { words }
    }

    /// ⌊(2²⁵⁶ − 1) / target⌋, at most `u64::MAX`: the greatest difficulty whose target is at least this one. Of the target of any
    /// difficulty it is that difficulty again.
    ///
    /// For *t* = ⌊M / d⌋ with M = 2²⁵⁶ − 1, d·t ≤ M; and (d + 1)·t > (d + 1)·(M / d − 1) ≥ M, because M / d ≥ d + 1 for every
    /// `u64`.
    #[must_use]
    pub fn difficulty(&self) -> u64 {
        // Bit by bit from above: the greatest factor by which the target stays within 256 bits.
        let mut difficulty = 0;
        for bit in (0..u64::BITS).rev() {
            let candidate = difficulty | 1 << bit;
            if self.times(candidate)[4] == 0 {
                difficulty = candidate;
            }
        }
        difficulty
    }

    /// The product of 320 bits, the least significant word first.
    fn times(&self, factor: u64) -> [u64; 5] {
        let mut product = [0; 5];
        let mut carry = 0;
        for (part, word) in product.iter_mut().zip(self.words.iter().rev()) {
            let sum = u128::from(*word) * u128::from(factor) + carry;
            *part = sum as u64;
            carry = sum >> 64;
        }
        product[4] = carry as u64;
        product
    }

    /// ⌊target · factor · 2^`shift`⌋, and at most [`MAX`](Self::MAX).
    pub(super) fn scaled(&self, factor: u64, shift: i32) -> Self {
        let product = self.times(factor);
        let shift = i64::from(shift);
        // Zero stays zero, however far it is shifted.
        let length = length(&product);
        if length > 0 && length + shift > 256 {
            return Self::MAX;
        }
        let mut words = [0; 4];
        for (word, at) in words.iter_mut().rev().zip((0..).step_by(64)) {
            *word = word_at(&product, at - shift);
        }
        Self { words }
    }

    /// The number that Bitcoin writes down in these 32 bits: 23 bits of a mantissa and above them an exponent of 256. `None` if it
    /// is negative or needs more than 256 bits (`arith_uint256::SetCompact`).
    #[must_use]
    pub fn from_compact(bits: u32) -> Option<Self> {
        let mantissa = bits & 0x007f_ffff;
        // Bytes of the number, of which the mantissa is the first three.
        let bytes = (bits >> 24) as i32;
        let shift = 8 * (bytes - 3);
        let length = u32::BITS as i32 - mantissa.leading_zeros() as i32;
        if mantissa != 0 && length + shift > 256 {
            return None;
        }
        let number = Self {
            words: [0, 0, 0, mantissa.into()],
        }
        .scaled(1, shift);
        let is_negative = bits & 0x0080_0000 != 0 && number.words != [0; 4];
        (!is_negative).then_some(number)
    }

    /// The form in 32 bits; digits beyond the mantissa are cut off (`arith_uint256::GetCompact`).
    #[must_use]
    pub fn to_compact(self) -> u32 {
        let number = self.times(1);
        let mut bytes = (length(&number) as u32).div_ceil(8);
        let mut mantissa = word_at(&number, 8 * (i64::from(bytes) - 3)) as u32 & 0x00ff_ffff;
        // The highest bit of the mantissa is a sign, which no target has.
        if mantissa & 0x0080_0000 != 0 {
            mantissa >>= 8;
            bytes += 1;
        }
        bytes << 24 | mantissa
    }
}

impl fmt::Display for Target {
    /// 64 hexadecimal digits, to be compared with a hash by eye.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.words;
        write!(f, "{a:016x}{b:016x}{c:016x}{d:016x}")
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

/// Bits up to the highest that is set.
fn length(number: &[u64; 5]) -> i64 {
    let words = number.iter().rev();
    let zeros: u32 = words
        .scan(true, |goes_on, word| {
            let zeros = goes_on.then(|| word.leading_zeros());
            *goes_on &= *word == 0;
            zeros
        })
        .sum();
    320 - i64::from(zeros)
}

/// The 64 bits from bit `at` on; those below the first and above the last are 0.
fn word_at(number: &[u64; 5], at: i64) -> u64 {
    let part = |index: i64| {
        let index = usize::try_from(index).ok();
        u128::from(
            index
                .and_then(|index| number.get(index))
                .map_or(0, |word| *word),
        )
    };
    let index = at.div_euclid(64);
    ((part(index) | part(index + 1) << 64) >> at.rem_euclid(64)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(digits: &str) -> Target {
        let hash: BlockHash = format!("{digits:0<64}").parse().expect("digits");
        Target::from_be_bytes(&hash.0)
    }

    #[test]
    fn a_hash_meets_a_target_that_is_not_less() {
        let limit = target("00000000ffff");
        let hash = |digits: &str| BlockHash(target(digits).to_be_bytes());
        assert!(limit.is_met_by(&hash("00000000ffff")));
        assert!(limit.is_met_by(&hash("00000000fffeff")));
        assert!(!limit.is_met_by(&hash(&format!("00000000ffff{:0>52}", "1"))));
        assert!(!limit.is_met_by(&hash("01")));
        assert!(Target::MAX.is_met_by(&BlockHash([0xff; 32])));
    }

    #[test]
    fn a_target_is_the_greatest_number_divided_by_the_difficulty() {
        for (difficulty, digits) in [
            (1, "f".repeat(64)),
            (2, format!("7{}", "f".repeat(63))),
            (3, "5".repeat(64)),
            (1 << 63, format!("{}1{}", "0".repeat(15), "f".repeat(48))),
            (u64::MAX, "0000000000000001".repeat(4)),
        ] {
            assert_eq!(
                Target::from_difficulty(difficulty),
                target(&digits),
                "{difficulty}"
            );
        }
        assert_eq!(Target::from_difficulty(0), Target::MAX);
    }

    #[test]
    fn every_difficulty_comes_back_from_its_target() {
        let near_powers = (0..64).flat_map(|bit| {
            let power = 1_u64 << bit;
            [
                power.saturating_sub(1).max(1),
                power,
                power + 1,
                power.saturating_mul(3),
            ]
        });
        for difficulty in near_powers.chain(1..3_000).chain([u64::MAX - 1, u64::MAX]) {
            assert_eq!(Target::from_difficulty(difficulty).difficulty(), difficulty);
        }
    }

    #[test]
    fn between_the_targets_of_two_difficulties_it_is_the_lower_one() {
        let step = |target: Target, up: bool| {
            let mut bytes = target.to_be_bytes();
            let last = &mut bytes[31];
            *last = if up { *last + 1 } else { *last - 1 };
            Target::from_be_bytes(&bytes)
        };
        let of_seven = Target::from_difficulty(7);
        assert_eq!(step(of_seven, false).difficulty(), 7);
        assert_eq!(step(of_seven, true).difficulty(), 6);
        assert_eq!(Target::ONE.difficulty(), u64::MAX);
        assert_eq!(target("").difficulty(), u64::MAX);
    }

    /// The cases of Bitcoin's `arith_uint256_tests.cpp`: compact bits, the number, and the bits that it has again.
    #[test]
    fn compact_bits_are_those_of_bitcoin() {
        for (bits, digits, again) in [
            (0, "0", 0),
            (0x0012_3456, "0", 0),
            (0x0100_3456, "0", 0),
            (0x0200_0056, "0", 0),
            (0x0300_0000, "0", 0),
            (0x0400_0000, "0", 0),
            (0xff00_0000, "0", 0),
            (0xff80_0000, "0", 0),
            (0x0092_3456, "0", 0),
            (0x0180_3456, "0", 0),
            (0x0112_3456, "12", 0x0112_0000),
            (0x0212_3456, "1234", 0x0212_3400),
            (0x0312_3456, "123456", 0x0312_3456),
            (0x0412_3456, "12345600", 0x0412_3456),
            (0x0500_9234, "92340000", 0x0500_9234),
            (
                0x2012_3456,
                &format!("123456{}", "0".repeat(58)),
                0x2012_3456,
            ),
            (0x1d00_ffff, &format!("ffff{}", "0".repeat(52)), 0x1d00_ffff),
        ] {
            let number = Target::from_compact(bits).expect("neither negative nor too long");
            assert_eq!(number.to_string(), format!("{digits:0>64}"), "{bits:08x}");
            assert_eq!(number.to_compact(), again, "{bits:08x}");
        }
        let negative = [0x01fe_dcba, 0x0492_3456];
        let too_long = [0xff12_3456, 0x2301_0000, 0x2200_0100, 0x2101_0000];
        for bits in negative.into_iter().chain(too_long) {
            assert_eq!(Target::from_compact(bits), None, "{bits:08x}");
        }
        assert_eq!(Target::MAX.to_compact(), 0x2100_ffff);
        assert_eq!(target("000080").to_compact(), 0x1f00_8000);
    }
}
