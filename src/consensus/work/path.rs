//! How hashes of many nonces are computed, by what the processor has.

use std::fmt;

use super::Template;
#[cfg(target_arch = "x86_64")]
use super::lanes;
use crate::format::digest::BlockHash;

/// A way to try nonces. All find the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// One hash after the other, with the instructions for SHA where there are some.
    Portable,
    /// Eight hashes in the lanes of AVX2 registers.
    Avx2,
    /// Two hashes at a time with the instructions for SHA of x86-64, which wait for each other half of the time.
    Pairs,
    /// Sixteen hashes in the lanes of AVX-512 registers.
    Avx512,
}

impl Path {
    /// All paths, the slower ones first.
    pub const ALL: [Self; 4] = [Self::Portable, Self::Avx2, Self::Pairs, Self::Avx512];

    /// The fastest that this processor can take. Eight lanes take somewhat longer than pairs, but a fourth of the time of
    /// single hashes without instructions for SHA.
    #[must_use]
    pub fn fastest() -> Self {
        let available = Self::ALL.into_iter().rev().find(|path| path.is_available());
        available.unwrap_or(Self::Portable)
    }

    /// Whether this processor can take it.
    #[must_use]
    pub fn is_available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return match self {
            Self::Portable => true,
            Self::Avx2 => lanes::avx2::is_available(),
            Self::Pairs => lanes::pairs::is_available(),
            Self::Avx512 => lanes::avx512::is_available(),
        };
        #[cfg(not(target_arch = "x86_64"))]
        return self == Self::Portable;
    }

    /// The lowest nonce from `first` to `last`, both included, after which the first 32 bits of the hash are at most `most`. On a path that isn't
    /// available, as on the portable one.
    pub(super) fn first_candidate(
        self,
        template: &Template,
        most: u32,
        first: u64,
        last: u64,
    ) -> Option<u64> {
        #[cfg(target_arch = "x86_64")]
        match self {
            Self::Avx512 if lanes::avx512::is_available() => {
                return lanes::avx512::first_candidate(template, most, first, last);
            }
            Self::Avx2 if lanes::avx2::is_available() => {
                return lanes::avx2::first_candidate(template, most, first, last);
            }
            Self::Pairs if lanes::pairs::is_available() => {
                return lanes::pairs::first_candidate(template, most, first, last);
            }
            _ => {}
        }
        one_by_one(template, most, first, last)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Pairs => "pairs",
            Self::Avx512 => "avx512",
        })
    }
}

fn one_by_one(template: &Template, most: u32, first: u64, last: u64) -> Option<u64> {
    let mut tail = template.tail;
    (first..=last).find(|nonce| {
        super::template::put_nonce(&mut tail, template.nonce_at, *nonce);
        template.state(&tail)[0] <= most
    })
}

/// The first 32 bits of a hash, big-endian.
pub(super) const fn first_word(hash: &BlockHash) -> u32 {
    let [a, b, c, d, ..] = hash.0;
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consensus::work::template::tests::header;

    /// Straight from the definition.
    fn expected(template: &Template, most: u32, first: u64, last: u64) -> Option<u64> {
        (first..=last).find(|nonce| first_word(&template.hash(*nonce)) <= most)
    }

    #[test]
    fn every_path_finds_the_candidates_of_the_definition() {
        assert!(Path::Portable.is_available());
        // Every place of the nonce, and ranges that begin and end within the lanes.
        for name in 1..=66 {
            let template = Template::of(&header(name, 0));
            for (first, last) in [(0, 150), (5, 7), (13, 77), (1 << 40, (1 << 40) + 40)] {
                for most in [0, 1 << 25, 1 << 28, u32::MAX] {
                    let expected = expected(&template, most, first, last);
                    for path in Path::ALL.into_iter().filter(|path| path.is_available()) {
                        let found = path.first_candidate(&template, most, first, last);
                        assert_eq!(found, expected, "{path}, {name}, {first}, {most}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_path_ends_at_the_last_nonce_that_there_is() {
        let template = Template::of(&header(3, 0));
        let first = u64::MAX - 20;
        for path in Path::ALL {
            assert_eq!(path.first_candidate(&template, 0, first, u64::MAX), None);
            let found = path.first_candidate(&template, u32::MAX, u64::MAX, u64::MAX);
            assert_eq!(found, Some(u64::MAX), "{path}");
        }
    }

    #[test]
    fn the_fastest_path_is_available() {
        assert!(Path::fastest().is_available());
    }
}
