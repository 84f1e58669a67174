//! Four lanes of double-precision numbers: AVX2 and FMA.
//!
//! # Representation
//!
//! A limb is an integer in a double. An element is reduced if its limbs are at most `2^50 + 2^14` in size, of
//! either sign. One factor of a product may be the plain sum or difference of two reduced elements, so its limbs are at most
//! `2^51 + 2^15`.
//!
//! # Products
//!
//! A double has 53 bits, the product of two limbs 101. `hi = fma(a, b, C1)` with `C1 = 1.5·2^103` rounds the product
//! to a multiple of `2^51`, because that is the spacing of doubles around `C1`; `lo = fma(a, b, (C1 + C2) - hi)` with
//! `C2 = 1.5·2^52` is exactly what was rounded away, plus `C2`. Near `C1` and `C2`, the bits of a double, read as an
//! integer, count multiples of `2^51` and of 1: so halves are summed with integer additions, and the
//! constants are taken off all at once. This needs rounding to nearest, which is the default of every thread; nothing
//! here changes it, and the self-test would notice.
//!
//! Bounds: `|hi| ≤ 2^50 + 2^16` and `|lo| ≤ 2^50` for factors as above. Columns 0 to 4 are, once column `k + 5` is counted
//! 19 times in column `k`, at most 172 such halves: under `2^57.5`. [`BIAS`] is about `2^59` in every column. So a product's
//! columns are between 0 and `2^60`, as are those of a difference of two; those of a sum, with the bias of both, are
//! under `2^60 + 2^58.5`. A carry is then between 0 and 685; what it leaves is centred by `2^50`, and in column 0, which
//! gets 19 times the last carry less the `2·4864` in the biases, at most `2^50 + 2^14` in size.
//!
//! # Source
//! The splitting by two fused multiply-adds: T. J. Dekker, "A floating-point technique for extending the available
//! precision" (1971), in the form of S. Gueron's and others' "double-double" products; the limbs are those of
//! D. J. Bernstein's "Curve25519: new Diffie-Hellman speed records" (2006), section 3, in floating point.

use core::arch::asm;
use core::arch::x86_64::*;

use super::field::{Affine, Bucket, Extended, Field, LANES_MAX, Mask, Niels};

/// A vector of four field elements.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct F4([__m256d; 5]);

/// Columns of integers that stand for limbs: a product, folded but not carried, plus [`BIAS`] and `2^50` in each.
#[derive(Clone, Copy)]
pub(crate) struct Columns([__m256i; 5]);

/// Splits a product at `2^51`.
const C1: f64 = (3u128 << 102) as f64;
/// Around this, doubles are the integers: 1.5·2^52.
const C2: f64 = (3u64 << 51) as f64;
const MASK_51: i64 = (1 << 51) - 1;
/// Half a limb: carried limbs are centred around 0.
const HALF: i64 = 1 << 50;
/// A multiple of `p` whose columns are about `2^59`: `2^59·Σ 2^51k` less the carries that it makes itself.
const BIAS: [i64; 5] = {
    let carry = 1 << (59 - 51);
    let high = (1 << 59) - carry;
    [(1 << 59) - 19 * carry, high, high, high, high]
};

/// What the columns start from: [`BIAS`] and half a limb, less the constants in the bits of the terms summed there.
const fn starts(square: bool) -> [i64; 10] {
    let (c1, c2) = (C1.to_bits() as i64, C2.to_bits() as i64);
    let mut columns = [0i64; 10];
    let mut i = 0;
    while i < 5 {
        columns[i] = BIAS[i].wrapping_add(HALF);
        i += 1;
    }
    i = 0;
    while i < 5 {
        let mut j = if square { i } else { 0 };
        while j < 5 {
            columns[i + j] = columns[i + j].wrapping_sub(c2);
            columns[i + j + 1] = columns[i + j + 1].wrapping_sub(c1);
            j += 1;
        }
        i += 1;
    }
    columns
}

const PRODUCT_STARTS: [i64; 10] = starts(false);
const SQUARE_STARTS: [i64; 10] = starts(true);

#[inline(always)]
unsafe fn ints(value: i64) -> __m256i {
    unsafe { _mm256_set1_epi64x(value) }
}

/// `x`, of which the compiler knows nothing. It would otherwise make `16x + 2x + x` the 64-bit multiplication `19x`,
/// which takes three instructions of five cycles each.
#[inline]
#[target_feature(enable = "avx2")]
fn opaque(x: __m256i) -> __m256i {
    let mut out = x;
    // SAFETY: no instruction at all.
    unsafe {
        asm!("/* {0} */", inout(ymm_reg) out, options(pure, nomem, nostack, preserves_flags));
    }
    out
}

/// `x`, computed before whatever stands below and is kept in place likewise.
#[inline]
#[target_feature(enable = "avx2")]
fn in_place(x: __m256i) -> __m256i {
    let mut out = x;
    // SAFETY: no instruction at all.
    unsafe {
        asm!("/* {0} */", inout(ymm_reg) out, options(nomem, nostack, preserves_flags));
    }
    out
}

/// A limb as an integer plus the bits of [`C2`].
#[inline(always)]
unsafe fn integer(limb: __m256d) -> __m256i {
    unsafe { _mm256_castpd_si256(_mm256_add_pd(limb, _mm256_set1_pd(C2))) }
}

const C2_BITS: i64 = C2.to_bits() as i64;

/// Carries columns once, in parallel, and makes them limbs. Each column holds half a limb too much, and is not
/// negative.
#[inline(always)]
unsafe fn carry(columns: [__m256i; 5]) -> F4 {
    const EXPONENT: f64 = (1u64 << 52) as f64;
    unsafe {
        let exponent = ints(EXPONENT.to_bits() as i64);
        let offset = _mm256_set1_pd(EXPONENT + HALF as f64);
        let wrapped = _mm256_mul_epu32(_mm256_srli_epi64::<51>(columns[4]), ints(19));
        let carries = [
            wrapped,
            _mm256_srli_epi64::<51>(columns[0]),
            _mm256_srli_epi64::<51>(columns[1]),
            _mm256_srli_epi64::<51>(columns[2]),
            _mm256_srli_epi64::<51>(columns[3]),
        ];
        let mut limbs = [_mm256_setzero_pd(); 5];
        let mut k = 0;
        while k < 5 {
            let low = _mm256_or_si256(_mm256_and_si256(columns[k], ints(MASK_51)), exponent);
            let sum = _mm256_castsi256_pd(_mm256_add_epi64(low, carries[k]));
            limbs[k] = _mm256_sub_pd(sum, offset);
            k += 1;
        }
        F4(limbs)
    }
}

/// Adds 19 times the upper columns to the lower.
#[inline(always)]
unsafe fn fold(columns: [__m256i; 10]) -> Columns {
    unsafe {
        let mut folded = [_mm256_setzero_si256(); 5];
        let mut k = 0;
        while k < 5 {
            let high = columns[k + 5];
            let by_16 = opaque(_mm256_slli_epi64::<4>(high));
            let by_3 = _mm256_add_epi64(opaque(_mm256_add_epi64(high, high)), high);
            let sum = _mm256_add_epi64(columns[k], by_3);
            folded[k] = _mm256_add_epi64(sum, by_16);
            k += 1;
        }
        Columns(folded)
    }
}

/// Adds the halves of `a·b` to two columns.
#[inline(always)]
unsafe fn accumulate(columns: &mut [__m256i; 10], k: usize, a: __m256d, b: __m256d) {
    unsafe {
        let high = _mm256_fmadd_pd(a, b, _mm256_set1_pd(C1));
        let rest = _mm256_sub_pd(_mm256_set1_pd(C1 + C2), high);
        let low = _mm256_fmadd_pd(a, b, rest);
        // Opaque: the compiler would reorder the sums to take the constants first, and spill every product.
        columns[k + 1] = in_place(_mm256_add_epi64(columns[k + 1], _mm256_castpd_si256(high)));
        columns[k] = in_place(_mm256_add_epi64(columns[k], _mm256_castpd_si256(low)));
    }
}

#[inline(always)]
unsafe fn start(columns: &[i64; 10]) -> [__m256i; 10] {
    unsafe {
        let mut out = [_mm256_setzero_si256(); 10];
        let mut k = 0;
        while k < 10 {
            out[k] = ints(columns[k]);
            k += 1;
        }
        out
    }
}

/// `f`, of which the compiler doesn't know that it has been read before.
#[inline(always)]
fn reread(f: &F4) -> &F4 {
    let mut address: *const F4 = f;
    // SAFETY: no instruction at all, so the address is still that of `f`.
    unsafe {
        asm!("/* {0} */", inout(reg) address, options(readonly, nostack, preserves_flags));
        &*address
    }
}

/// Adds `a·g` to the columns from `k` on. The limbs of `g` come from memory each time: ten columns, two constants and
/// what is in flight fill the sixteen registers.
#[inline(always)]
unsafe fn accumulate_row(columns: &mut [__m256i; 10], k: usize, a: __m256d, g: &F4) {
    let g = reread(g);
    unsafe {
        accumulate(columns, k, a, g.0[0]);
        accumulate(columns, k + 1, a, g.0[1]);
        accumulate(columns, k + 2, a, g.0[2]);
        accumulate(columns, k + 3, a, g.0[3]);
        accumulate(columns, k + 4, a, g.0[4]);
    }
}

// Written out: the compiler takes the barriers in `accumulate` for long instructions, and would not unroll a loop.

#[inline(always)]
unsafe fn product_columns(f: &F4, g: &F4) -> Columns {
    unsafe {
        let mut columns = start(&PRODUCT_STARTS);
        accumulate_row(&mut columns, 0, f.0[0], g);
        accumulate_row(&mut columns, 1, f.0[1], g);
        accumulate_row(&mut columns, 2, f.0[2], g);
        accumulate_row(&mut columns, 3, f.0[3], g);
        accumulate_row(&mut columns, 4, f.0[4], g);
        fold(columns)
    }
}

#[inline(always)]
unsafe fn square_columns(f: &F4) -> Columns {
    unsafe {
        let [f0, f1, f2, f3, f4] = f.0;
        let mut columns = start(&SQUARE_STARTS);
        accumulate(&mut columns, 0, f0, f0);
        let f0 = _mm256_add_pd(f0, f0);
        accumulate(&mut columns, 1, f0, f1);
        accumulate(&mut columns, 2, f0, f2);
        accumulate(&mut columns, 3, f0, f3);
        accumulate(&mut columns, 4, f0, f4);
        accumulate(&mut columns, 2, f1, f1);
        let f1 = _mm256_add_pd(f1, f1);
        accumulate(&mut columns, 3, f1, f2);
        accumulate(&mut columns, 4, f1, f3);
        accumulate(&mut columns, 5, f1, f4);
        accumulate(&mut columns, 4, f2, f2);
        let f2 = _mm256_add_pd(f2, f2);
        accumulate(&mut columns, 5, f2, f3);
        accumulate(&mut columns, 6, f2, f4);
        accumulate(&mut columns, 6, f3, f3);
        let f3 = _mm256_add_pd(f3, f3);
        accumulate(&mut columns, 7, f3, f4);
        accumulate(&mut columns, 8, f4, f4);
        fold(columns)
    }
}

// The kernels are not inlined: formulas with many of them would outgrow the instruction cache and the registers.

#[inline(never)]
#[target_feature(enable = "avx2,fma")]
unsafe fn product(f: &F4, g: &F4) -> F4 {
    unsafe { carry(product_columns(f, g).0) }
}

#[inline(never)]
#[target_feature(enable = "avx2,fma")]
unsafe fn wide_product(f: &F4, g: &F4) -> Columns {
    unsafe { product_columns(f, g) }
}

#[inline(never)]
#[target_feature(enable = "avx2,fma")]
unsafe fn squares(f: &F4, times: usize) -> F4 {
    unsafe {
        let mut out = *f;
        for _ in 0..times {
            out = carry(square_columns(&out).0);
        }
        out
    }
}

#[inline(never)]
#[target_feature(enable = "avx2,fma")]
unsafe fn square_once(f: &mut F4) {
    unsafe {
        *f = carry(square_columns(f).0);
    }
}

/// Canonical integers.
#[inline(always)]
unsafe fn canonical(f: F4) -> [__m256i; 5] {
    // 8p, so that no limb is negative.
    const EIGHT_P: [i64; 5] = {
        let high = (1 << 54) - 8;
        [(1 << 54) - 152, high, high, high, high]
    };
    unsafe {
        let mask = ints(MASK_51);
        let mut h = [_mm256_setzero_si256(); 5];
        let mut k = 0;
        while k < 5 {
            let offset = ints(EIGHT_P[k].wrapping_sub(C2_BITS));
            h[k] = _mm256_add_epi64(integer(f.0[k]), offset);
            k += 1;
        }
        // Twice, after which the value is under 2^255 + 19·2: less than 2p.
        let mut round = 0;
        while round < 2 {
            k = 0;
            while k < 4 {
                h[k + 1] = _mm256_add_epi64(h[k + 1], _mm256_srli_epi64::<51>(h[k]));
                h[k] = _mm256_and_si256(h[k], mask);
                k += 1;
            }
            let wrapped = _mm256_mul_epu32(_mm256_srli_epi64::<51>(h[4]), ints(19));
            h[4] = _mm256_and_si256(h[4], mask);
            h[0] = _mm256_add_epi64(h[0], wrapped);
            round += 1;
        }
        // It is p or more if adding 19 carries out of bit 255; then that carry, times 19, takes p off.
        let mut quotient = _mm256_srli_epi64::<51>(_mm256_add_epi64(h[0], ints(19)));
        k = 1;
        while k < 5 {
            quotient = _mm256_srli_epi64::<51>(_mm256_add_epi64(h[k], quotient));
            k += 1;
        }
        h[0] = _mm256_add_epi64(h[0], _mm256_mul_epu32(quotient, ints(19)));
        k = 0;
        while k < 4 {
            h[k + 1] = _mm256_add_epi64(h[k + 1], _mm256_srli_epi64::<51>(h[k]));
            h[k] = _mm256_and_si256(h[k], mask);
            k += 1;
        }
        h[4] = _mm256_and_si256(h[4], mask);
        h
    }
}

/// All ones in the lanes whose bit is set.
#[inline(always)]
unsafe fn expand(mask: Mask) -> __m256i {
    unsafe {
        let bits = _mm256_set_epi64x(8, 4, 2, 1);
        _mm256_cmpeq_epi64(_mm256_and_si256(ints(mask.into()), bits), bits)
    }
}

#[inline(always)]
unsafe fn compress(mask: __m256i) -> Mask {
    unsafe { _mm256_movemask_pd(_mm256_castsi256_pd(mask)) as Mask }
}

/// Two words from each of four rows, transposed: the vector of the first words, and that of the second.
#[inline(always)]
unsafe fn pair(rows: [*const f64; 4], at: usize) -> (__m256d, __m256d) {
    unsafe {
        let half = |low: usize, high: usize| {
            let low = _mm256_castpd128_pd256(_mm_load_pd(rows[low].add(at)));
            _mm256_insertf128_pd::<1>(low, _mm_load_pd(rows[high].add(at)))
        };
        let (even, odd) = (half(0, 2), half(1, 3));
        (_mm256_unpacklo_pd(even, odd), _mm256_unpackhi_pd(even, odd))
    }
}

/// Writes what [`pair`] would read.
#[inline(always)]
unsafe fn store_pair(first: __m256d, second: __m256d, rows: [*mut f64; 4], at: usize) {
    unsafe {
        let even = _mm256_unpacklo_pd(first, second);
        let odd = _mm256_unpackhi_pd(first, second);
        _mm_store_pd(rows[0].add(at), _mm256_castpd256_pd128(even));
        _mm_store_pd(rows[1].add(at), _mm256_castpd256_pd128(odd));
        _mm_store_pd(rows[2].add(at), _mm256_extractf128_pd::<1>(even));
        _mm_store_pd(rows[3].add(at), _mm256_extractf128_pd::<1>(odd));
    }
}

/// Swaps `y + x` with `y - x` and negates `2dxy` in the lanes of the mask.
#[inline(always)]
unsafe fn negate_if(words: &[__m256d; 16], negative: Mask) -> Affine<F4> {
    unsafe {
        let mask = _mm256_castsi256_pd(expand(negative));
        let sign = _mm256_and_pd(mask, _mm256_set1_pd(-0.0));
        let mut point = Affine {
            y_plus_x: F4([_mm256_setzero_pd(); 5]),
            y_minus_x: F4([_mm256_setzero_pd(); 5]),
            xy2d: F4([_mm256_setzero_pd(); 5]),
        };
        let mut k = 0;
        while k < 5 {
            point.y_plus_x.0[k] = _mm256_blendv_pd(words[k], words[5 + k], mask);
            point.y_minus_x.0[k] = _mm256_blendv_pd(words[5 + k], words[k], mask);
            point.xy2d.0[k] = _mm256_xor_pd(words[10 + k], sign);
            k += 1;
        }
        point
    }
}

impl Field for F4 {
    type Wide = Columns;

    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn splat(limbs: &[u64; 5]) -> Self {
        unsafe {
            let mut columns = [_mm256_setzero_si256(); 5];
            let mut k = 0;
            while k < 5 {
                columns[k] = ints(limbs[k] as i64 + HALF);
                k += 1;
            }
            carry(columns)
        }
    }

    #[inline(always)]
    unsafe fn decode(encodings: &[&[u8; 32]; LANES_MAX]) -> (Self, Mask) {
        unsafe {
            let row = |lane: usize| encodings[lane].as_ptr().cast::<f64>();
            // Unaligned, unlike rows of points.
            let half = |low: usize, high: usize, at: usize| {
                let low = _mm256_castpd128_pd256(_mm_loadu_pd(row(low).add(at)));
                _mm256_insertf128_pd::<1>(low, _mm_loadu_pd(row(high).add(at)))
            };
            let words = |at: usize| {
                let (even, odd) = (half(0, 2, at), half(1, 3, at));
                (
                    _mm256_castpd_si256(_mm256_unpacklo_pd(even, odd)),
                    _mm256_castpd_si256(_mm256_unpackhi_pd(even, odd)),
                )
            };
            let ((w0, w1), (w2, w3)) = (words(0), words(2));
            let limbs = [
                w0,
                _mm256_or_si256(_mm256_srli_epi64::<51>(w0), _mm256_slli_epi64::<13>(w1)),
                _mm256_or_si256(_mm256_srli_epi64::<38>(w1), _mm256_slli_epi64::<26>(w2)),
                _mm256_or_si256(_mm256_srli_epi64::<25>(w2), _mm256_slli_epi64::<39>(w3)),
                _mm256_srli_epi64::<12>(w3),
            ];
            let mut columns = limbs;
            let mut k = 0;
            while k < 5 {
                let limb = _mm256_and_si256(limbs[k], ints(MASK_51));
                columns[k] = _mm256_add_epi64(limb, ints(HALF));
                k += 1;
            }
            (carry(columns), compress(w3))
        }
    }

    #[inline(always)]
    unsafe fn canonical(self) -> [[u64; LANES_MAX]; 5] {
        unsafe {
            let columns = canonical(self);
            let mut limbs = [[0; LANES_MAX]; 5];
            let mut k = 0;
            while k < 5 {
                _mm256_storeu_si256(limbs[k].as_mut_ptr().cast(), columns[k]);
                k += 1;
            }
            limbs
        }
    }

    #[inline(always)]
    unsafe fn is_zero(self) -> Mask {
        unsafe {
            let h = canonical(self);
            let mut any = h[0];
            let mut k = 1;
            while k < 5 {
                any = _mm256_or_si256(any, h[k]);
                k += 1;
            }
            compress(_mm256_cmpeq_epi64(any, _mm256_setzero_si256()))
        }
    }

    #[inline(always)]
    unsafe fn parity(self) -> Mask {
        unsafe { compress(_mm256_slli_epi64::<63>(canonical(self)[0])) }
    }

    #[inline(always)]
    unsafe fn select(self, other: Self, mask: Mask) -> Self {
        unsafe {
            let mask = _mm256_castsi256_pd(expand(mask));
            let mut out = self;
            let mut k = 0;
            while k < 5 {
                out.0[k] = _mm256_blendv_pd(self.0[k], other.0[k], mask);
                k += 1;
            }
            out
        }
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        unsafe { product(&self, &other) }
    }

    #[inline(always)]
    unsafe fn square(self) -> Self {
        unsafe { squares(&self, 1) }
    }

    #[inline(always)]
    unsafe fn square_times<const N: usize>(vectors: [Self; N], times: usize) -> [Self; N] {
        unsafe {
            let mut out = vectors;
            for _ in 0..times {
                let mut n = 0;
                while n < N {
                    square_once(&mut out[n]);
                    n += 1;
                }
            }
            out
        }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe {
            let mut columns = [_mm256_setzero_si256(); 5];
            let mut k = 0;
            while k < 5 {
                let sum = _mm256_add_epi64(integer(self.0[k]), integer(other.0[k]));
                let offset = (BIAS[k] + HALF).wrapping_sub(C2_BITS.wrapping_mul(2));
                columns[k] = _mm256_add_epi64(sum, ints(offset));
                k += 1;
            }
            carry(columns)
        }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        unsafe {
            let mut columns = [_mm256_setzero_si256(); 5];
            let mut k = 0;
            while k < 5 {
                let difference = _mm256_sub_epi64(integer(self.0[k]), integer(other.0[k]));
                columns[k] = _mm256_add_epi64(difference, ints(BIAS[k] + HALF));
                k += 1;
            }
            carry(columns)
        }
    }

    #[inline(always)]
    unsafe fn negate(self) -> Self {
        unsafe {
            let mut out = self;
            let mut k = 0;
            while k < 5 {
                out.0[k] = _mm256_xor_pd(self.0[k], _mm256_set1_pd(-0.0));
                k += 1;
            }
            out
        }
    }

    #[inline(always)]
    unsafe fn add_lazy(self, other: Self) -> Self {
        unsafe {
            let mut out = self;
            let mut k = 0;
            while k < 5 {
                out.0[k] = _mm256_add_pd(self.0[k], other.0[k]);
                k += 1;
            }
            out
        }
    }

    #[inline(always)]
    unsafe fn sub_lazy(self, other: Self) -> Self {
        unsafe {
            let mut out = self;
            let mut k = 0;
            while k < 5 {
                out.0[k] = _mm256_sub_pd(self.0[k], other.0[k]);
                k += 1;
            }
            out
        }
    }

    #[inline(always)]
    unsafe fn mul_wide(self, other: Self) -> Columns {
        unsafe { wide_product(&self, &other) }
    }

    #[inline(always)]
    unsafe fn wide_add(a: Columns, b: Columns) -> Self {
        unsafe {
            let mut columns = a.0;
            let mut k = 0;
            while k < 5 {
                let sum = _mm256_add_epi64(a.0[k], b.0[k]);
                columns[k] = _mm256_sub_epi64(sum, ints(HALF));
                k += 1;
            }
            carry(columns)
        }
    }

    #[inline(always)]
    unsafe fn wide_sub(a: Columns, b: Columns) -> Self {
        unsafe {
            let mut columns = a.0;
            let mut k = 0;
            while k < 5 {
                let difference = _mm256_sub_epi64(a.0[k], b.0[k]);
                columns[k] = _mm256_add_epi64(difference, ints(BIAS[k] + HALF));
                k += 1;
            }
            carry(columns)
        }
    }

    #[inline(always)]
    unsafe fn twice_add(self, c: Columns) -> Self {
        unsafe {
            let mut columns = c.0;
            let mut k = 0;
            while k < 5 {
                let limb = integer(self.0[k]);
                let sum = _mm256_add_epi64(_mm256_add_epi64(limb, limb), c.0[k]);
                columns[k] = _mm256_sub_epi64(sum, ints(C2_BITS.wrapping_mul(2)));
                k += 1;
            }
            carry(columns)
        }
    }

    #[inline(always)]
    unsafe fn twice_sub(self, c: Columns) -> Self {
        unsafe {
            let mut columns = c.0;
            let mut k = 0;
            while k < 5 {
                let limb = integer(self.0[k]);
                let difference = _mm256_sub_epi64(_mm256_add_epi64(limb, limb), c.0[k]);
                let offset = (2 * BIAS[k] + 2 * HALF).wrapping_sub(C2_BITS.wrapping_mul(2));
                columns[k] = _mm256_add_epi64(difference, ints(offset));
                k += 1;
            }
            carry(columns)
        }
    }

    #[inline(always)]
    unsafe fn broadcast(point: &Niels, negative: Mask) -> Affine<Self> {
        unsafe {
            let row = point.0.as_ptr().cast::<f64>();
            let mut words = [_mm256_setzero_pd(); 16];
            let mut k = 0;
            while k < 15 {
                words[k] = _mm256_broadcast_sd(&*row.add(k));
                k += 1;
            }
            negate_if(&words, negative)
        }
    }

    #[inline(always)]
    unsafe fn gather(points: &[*const Niels; LANES_MAX], negative: Mask) -> Affine<Self> {
        unsafe {
            let rows = [
                points[0].cast(),
                points[1].cast(),
                points[2].cast(),
                points[3].cast(),
            ];
            let mut words = [_mm256_setzero_pd(); 16];
            let mut k = 0;
            while k < 16 {
                (words[k], words[k + 1]) = pair(rows, k);
                k += 2;
            }
            negate_if(&words, negative)
        }
    }

    #[inline(always)]
    unsafe fn store(point: &Affine<Self>, points: &mut [Niels]) {
        unsafe {
            let zero = _mm256_setzero_pd();
            let (a, b, c) = (&point.y_plus_x.0, &point.y_minus_x.0, &point.xy2d.0);
            let words = [
                a[0], a[1], a[2], a[3], a[4], b[0], b[1], b[2], b[3], b[4], c[0], c[1], c[2], c[3],
                c[4], zero,
            ];
            assert_eq!(points.len(), Self::LANES);
            let base = points.as_mut_ptr();
            let rows = [
                base.cast(),
                base.add(1).cast(),
                base.add(2).cast(),
                base.add(3).cast(),
            ];
            let mut k = 0;
            while k < 16 {
                store_pair(words[k], words[k + 1], rows, k);
                k += 2;
            }
        }
    }

    #[inline(always)]
    unsafe fn load_buckets(buckets: &[*mut Bucket; LANES_MAX]) -> Extended<Self> {
        unsafe {
            let rows = [
                buckets[0].cast_const().cast(),
                buckets[1].cast_const().cast(),
                buckets[2].cast_const().cast(),
                buckets[3].cast_const().cast(),
            ];
            let mut w = [_mm256_setzero_pd(); 20];
            let mut k = 0;
            while k < 20 {
                (w[k], w[k + 1]) = pair(rows, k);
                k += 2;
            }
            Extended {
                x: F4([w[0], w[1], w[2], w[3], w[4]]),
                y: F4([w[5], w[6], w[7], w[8], w[9]]),
                z: F4([w[10], w[11], w[12], w[13], w[14]]),
                t: F4([w[15], w[16], w[17], w[18], w[19]]),
            }
        }
    }

    #[inline(always)]
    unsafe fn store_buckets(point: &Extended<Self>, buckets: &[*mut Bucket; LANES_MAX]) {
        unsafe {
            let (x, y, z, t) = (&point.x.0, &point.y.0, &point.z.0, &point.t.0);
            let words = [
                x[0], x[1], x[2], x[3], x[4], y[0], y[1], y[2], y[3], y[4], z[0], z[1], z[2], z[3],
                z[4], t[0], t[1], t[2], t[3], t[4],
            ];
            let rows = [
                buckets[0].cast(),
                buckets[1].cast(),
                buckets[2].cast(),
                buckets[3].cast(),
            ];
            let mut k = 0;
            while k < 20 {
                store_pair(words[k], words[k + 1], rows, k);
                k += 2;
            }
        }
    }

    #[inline(always)]
    unsafe fn prefetch(bucket: *const Bucket) {
        unsafe {
            let line = bucket.cast::<i8>();
            _mm_prefetch::<_MM_HINT_T0>(line);
            _mm_prefetch::<_MM_HINT_T0>(line.wrapping_add(64));
            _mm_prefetch::<_MM_HINT_T0>(line.wrapping_add(128));
        }
    }
}
