//! Eight words in a vector of AVX-512.
//!
//! Rotations and functions of three words' bits are one operation each: a round with its share of the schedule takes
//! 28, and two can start in a cycle.

use core::arch::x86_64::*;

use super::words::{Blocks, LANES_MAX, State, Words, compress};
use super::{Preimage, challenges};

/// The digests of the preimages, as [`challenges`] gives them.
///
/// # Safety
/// The processor has AVX-512F and AVX-512BW.
#[target_feature(enable = "avx512f,avx512bw")]
pub(crate) unsafe fn challenges_avx512(
    preimages: &[Preimage<'_>],
    digests: &mut [[u64; 8]],
    order: &mut Vec<u32>,
) {
    // SAFETY: the caller vouches for AVX-512F and AVX-512BW, which is all that `W8` needs.
    unsafe { challenges::<W8>(preimages, digests, order) }
}

/// Eight words. Needs AVX-512F and AVX-512BW.
#[derive(Clone, Copy)]
struct W8(__m512i);

// SAFETY, for every function: AVX-512F and AVX-512BW are there by the trait's contract; `load_pair` reads the 16 bytes
// of each of eight lanes that its contract grants.
impl Words for W8 {
    const LANES: usize = 8;

    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn compress(state: &mut State, blocks: &Blocks) {
        unsafe { compress::<Self>(state, blocks) }
    }

    #[inline(always)]
    unsafe fn splat(word: u64) -> Self {
        unsafe { Self(_mm512_set1_epi64(word.cast_signed())) }
    }

    #[inline(always)]
    unsafe fn load_pair(blocks: &Blocks, offset: usize) -> [Self; 2] {
        unsafe {
            let [a, b, c, d, e, f, g, h] = blocks.map(|block| block.wrapping_add(offset).cast());
            let even = swap_bytes(load_quarters([a, c, e, g]));
            let odd = swap_bytes(load_quarters([b, d, f, h]));
            [
                Self(_mm512_unpacklo_epi64(even, odd)),
                Self(_mm512_unpackhi_epi64(even, odd)),
            ]
        }
    }

    #[inline(always)]
    unsafe fn load(lanes: &[u64; LANES_MAX]) -> Self {
        unsafe { Self(_mm512_loadu_epi64(lanes.as_ptr().cast())) }
    }

    #[inline(always)]
    unsafe fn store(self, lanes: &mut [u64; LANES_MAX]) {
        unsafe { _mm512_storeu_epi64(lanes.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { Self(_mm512_add_epi64(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn xor3(self, b: Self, c: Self) -> Self {
        unsafe { Self(_mm512_ternarylogic_epi64::<0b1001_0110>(self.0, b.0, c.0)) }
    }

    #[inline(always)]
    unsafe fn rotate<const N: u32>(self) -> Self {
        unsafe { Self(_mm512_rorv_epi64(self.0, _mm512_set1_epi64(i64::from(N)))) }
    }

    #[inline(always)]
    unsafe fn shift<const N: u32>(self) -> Self {
        unsafe { Self(_mm512_srli_epi64::<N>(self.0)) }
    }

    #[inline(always)]
    unsafe fn choose(self, f: Self, g: Self) -> Self {
        unsafe { Self(_mm512_ternarylogic_epi64::<0b1100_1010>(self.0, f.0, g.0)) }
    }

    #[inline(always)]
    unsafe fn majority(self, b: Self, c: Self) -> Self {
        unsafe { Self(_mm512_ternarylogic_epi64::<0b1110_1000>(self.0, b.0, c.0)) }
    }
}

/// Sixteen bytes from each pointer, the first lowest.
///
/// # Safety
/// The processor has AVX-512F, and the pointers are valid for reads of 16 bytes.
#[inline(always)]
unsafe fn load_quarters(quarters: [*const __m128i; 4]) -> __m512i {
    unsafe {
        let [a, b, c, d] = quarters.map(|quarter| _mm_loadu_si128(quarter));
        let ab = _mm512_inserti32x4::<1>(_mm512_castsi128_si512(a), b);
        _mm512_inserti32x4::<3>(_mm512_inserti32x4::<2>(ab, c), d)
    }
}

/// Each word with its bytes in the other order.
///
/// # Safety
/// The processor has AVX-512F and AVX-512BW.
#[inline(always)]
unsafe fn swap_bytes(words: __m512i) -> __m512i {
    unsafe {
        let quarter = _mm_set_epi64x(0x0809_0a0b_0c0d_0e0f, 0x0001_0203_0405_0607);
        _mm512_shuffle_epi8(words, _mm512_broadcast_i32x4(quarter))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// # Safety
    /// The processor has AVX-512F and AVX-512BW.
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(in super::super) unsafe fn check_group(group: &[Preimage<'_>]) {
        // SAFETY: the caller vouches for both.
        unsafe { super::super::tests::check_group::<W8>(group) }
    }
}
