//! Four words in a vector of AVX2.
//!
//! A rotation is two shifts and an `or`, or one shuffle where it moves whole bytes. A round with its share of the
//! schedule takes 54 vector operations, and three can start in a cycle.

use core::arch::x86_64::*;

use super::words::{Blocks, LANES_MAX, State, Words, compress};
use super::{Preimage, challenges};

/// The digests of the preimages, as [`challenges`] gives them.
///
/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn challenges_avx2(
    preimages: &[Preimage<'_>],
    digests: &mut [[u64; 8]],
    order: &mut Vec<u32>,
) {
    // SAFETY: the caller vouches for AVX2, which is all that `W4` needs.
    unsafe { challenges::<W4>(preimages, digests, order) }
}

/// Four words. Needs AVX2.
#[derive(Clone, Copy)]
struct W4(__m256i);

// SAFETY, for every function: AVX2 is there by the trait's contract; `load_pair` reads the 16 bytes of each of four
// lanes that its contract grants.
impl Words for W4 {
    const LANES: usize = 4;

    #[inline(never)]
    #[target_feature(enable = "avx2")]
    unsafe fn compress(state: &mut State, blocks: &Blocks) {
        unsafe { compress::<Self>(state, blocks) }
    }

    #[inline(always)]
    unsafe fn splat(word: u64) -> Self {
        unsafe { Self(_mm256_set1_epi64x(word.cast_signed())) }
    }

    #[inline(always)]
    unsafe fn load_pair(blocks: &Blocks, offset: usize) -> [Self; 2] {
        unsafe {
            let [a, b, c, d, ..] = blocks.map(|block| block.wrapping_add(offset).cast());
            let even = swap_bytes(_mm256_loadu2_m128i(c, a));
            let odd = swap_bytes(_mm256_loadu2_m128i(d, b));
            [
                Self(_mm256_unpacklo_epi64(even, odd)),
                Self(_mm256_unpackhi_epi64(even, odd)),
            ]
        }
    }

    #[inline(always)]
    unsafe fn load(lanes: &[u64; LANES_MAX]) -> Self {
        unsafe { Self(_mm256_loadu_si256(lanes.as_ptr().cast())) }
    }

    #[inline(always)]
    unsafe fn store(self, lanes: &mut [u64; LANES_MAX]) {
        unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { Self(_mm256_add_epi64(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn xor3(self, b: Self, c: Self) -> Self {
        unsafe { Self(_mm256_xor_si256(self.0, _mm256_xor_si256(b.0, c.0))) }
    }

    #[inline(always)]
    unsafe fn rotate<const N: u32>(self) -> Self {
        unsafe {
            let left = _mm256_set1_epi64x(64 - i64::from(N));
            Self(_mm256_or_si256(
                self.shift::<N>().0,
                _mm256_sllv_epi64(self.0, left),
            ))
        }
    }

    #[inline(always)]
    unsafe fn shift<const N: u32>(self) -> Self {
        unsafe { Self(_mm256_srlv_epi64(self.0, _mm256_set1_epi64x(i64::from(N)))) }
    }

    #[inline(always)]
    unsafe fn choose(self, f: Self, g: Self) -> Self {
        unsafe {
            let different = _mm256_xor_si256(f.0, g.0);
            Self(_mm256_xor_si256(g.0, _mm256_and_si256(self.0, different)))
        }
    }

    /// `self ^ b` is the next round's `b ^ c`, which the compiler finds: three operations.
    #[inline(always)]
    unsafe fn majority(self, b: Self, c: Self) -> Self {
        unsafe {
            let (ab, bc) = (_mm256_xor_si256(self.0, b.0), _mm256_xor_si256(b.0, c.0));
            Self(_mm256_xor_si256(b.0, _mm256_and_si256(ab, bc)))
        }
    }
}

/// Each word with its bytes in the other order.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn swap_bytes(words: __m256i) -> __m256i {
    unsafe {
        let half = _mm_set_epi64x(0x0809_0a0b_0c0d_0e0f, 0x0001_0203_0405_0607);
        _mm256_shuffle_epi8(words, _mm256_broadcastsi128_si256(half))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// # Safety
    /// The processor has AVX2.
    #[target_feature(enable = "avx2")]
    pub(in super::super) unsafe fn check_group(group: &[Preimage<'_>]) {
        // SAFETY: the caller vouches for AVX2.
        unsafe { super::super::tests::check_group::<W4>(group) }
    }
}
