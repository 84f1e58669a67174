//! Eight lanes of 52-bit products: AVX-512 with its parts F, DQ and IFMA.
//!
//! # Representation
//!
//! A limb is an unsigned 64-bit integer. An element is *reduced* if its limbs are under `2^51 + 2^15`; so its value is
//! under `2p`. The factors of a product may have any limbs under `2^52`: that is what the multiplier takes, which
//! ignores what is above. Sums and differences of reduced elements reach that far, so even the lazy ones are carried;
//! an [`Affine`] point's `2dxy` is used as it is once negated, since `2p` less reduced limbs has limbs under `2^52`.
//!
//! # Products
//!
//! `madd52lo` and `madd52hi` add the low and the high 52 bits of a product of two limbs. With `L_k` the sum of the low
//! halves with `i + j = k` and `H_k` that of the high halves, which weigh `2^52`, twice a limb, column `k` is
//! `C_k = L_k + 2H_(k-1)`; and since `2^255 = 19`, column `k < 5` is `C_k + 19·C_(k+5)`. The sums go into one
//! accumulator a column: high halves, doubling, low halves. What is multiplied by 19 is put in on the way, as
//! `2(8x + x + …) + x + …` or `2(2(4x + …) + x + …) + x + …`.
//!
//! Bounds: a half is under `2^52`. Column `k` has `k + 1` low and `k` high ones, column `k + 5` has `4 - k` and
//! `5 - k`; folded, that is `3k + 1 + 19(14 - 3k)` at most, so under `267·2^52` in column 0, `51·2^52` in column 4, and
//! under `2^61` everywhere.
//!
//! # Carries
//!
//! All at once: a limb keeps 51 bits and gets its neighbour's upper bits; the last one's count 19 times in the first.
//! [`BIAS`], a multiple of `p`, adds `2^61` to a column from which another is subtracted. A column is then
//! under `2^62`, so carries are under `2^11`; column 4 is under `2^61 + 52·2^52`, so what column 0 gets is under
//! `19·(2^10 + 104) < 2^15`.
//!
//! # Squares that follow each other
//!
//! [`Dense`] limbs have radix `2^52`, the multiplier's own: a high half weighs as much as the next column's low halves,
//! the bits of a limb from 52 up are carried on and left where they are, to be ignored, and an eighth of the
//! instructions is saved. The last limb starts at `2^208` and only needs 47 bits, which leaves room for carries:
//! it is under `2^47 + 2^12`, since it is made from a reduced limb over 16, or as follows. A column has nine halves at
//! most, with those from folding, so it is under `2^56`. Columns 5 to 9, which weigh `2^260 = 608`, are carried one
//! after the other, and 608 times their low 52 bits added by halves; column 9, the high half of the last limb's
//! square and a carry, is under `2^42 + 2^9`, so 608 times that has no high half. Then bits 47 and up of column 4
//! count 19 times in column 0, and columns 0 to 4 are carried one after the other; the last carry is under `2^4`.
//!
//! # Speed
//!
//! Two ports do all there is to do: a product takes 90 of their instructions, a square 76, a dense one 65, which is
//! measured to take 35 cycles when four vectors are squared in turn. Latencies are hidden by the processor's reordering,
//! which looks some hundred instructions ahead: so products are written in the order in which two ports would begin
//! their steps, and squares of several vectors one after the other, not alternately. Products are inlined: with
//! calls, whose arguments go through memory, an addition to buckets took an eighth longer. Gathering words, instead of
//! transposing rows, also did.
//!
//! # Source
//! S. Gueron and V. Krasnov, "Accelerating big integer arithmetic using Intel IFMA extensions" (2016); the limbs are
//! those of D. J. Bernstein, N. Duif, T. Lange, P. Schwabe and B.-Y. Yang, "High-speed high-security signatures" (2011),
//! section 3.
//!
//! # Safety
//! As in [`field`](super::field): the processor has the features above. Vectors are integers, any bits are
//! a value.

use core::arch::asm;
use core::arch::x86_64::*;

use super::field::{Affine, Bucket, Extended, Field, LANES_MAX, Mask, Niels};

/// A vector of eight field elements.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct F8([__m512i; 5]);

/// A product, folded but not carried: columns under `267·2^52`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Columns([__m512i; 5]);

const MASK_51: i64 = (1 << 51) - 1;
/// A multiple of `p` whose columns are about `2^61`: `2^61·Σ 2^51k` less the carries that it makes itself.
const BIAS: [i64; 5] = {
    let carry = 1 << (61 - 51);
    let high = (1 << 61) - carry;
    [(1 << 61) - 19 * carry, high, high, high, high]
};
/// From this many squarings on it pays to do the conversions to and from [`Dense`].
const DENSE_MIN: usize = 5;
/// `2p`, `4p`: what limbs are subtracted from.
const TWO_P: [i64; 5] = multiple_of_p(2);
const FOUR_P: [i64; 5] = multiple_of_p(4);

const fn multiple_of_p(factor: i64) -> [i64; 5] {
    let high = factor * MASK_51;
    [high - 18 * factor, high, high, high, high]
}

#[inline(always)]
unsafe fn ints(value: i64) -> __m512i {
    unsafe { _mm512_set1_epi64(value) }
}

#[inline(always)]
unsafe fn add(a: __m512i, b: __m512i) -> __m512i {
    unsafe { _mm512_add_epi64(a, b) }
}

#[inline(always)]
unsafe fn sub(a: __m512i, b: __m512i) -> __m512i {
    unsafe { _mm512_sub_epi64(a, b) }
}

#[inline(always)]
unsafe fn and(a: __m512i, b: __m512i) -> __m512i {
    unsafe { _mm512_and_si512(a, b) }
}

#[inline(always)]
unsafe fn twice(a: __m512i) -> __m512i {
    unsafe { _mm512_add_epi64(a, a) }
}

#[inline(always)]
unsafe fn shl<const BITS: u32>(a: __m512i) -> __m512i {
    unsafe { _mm512_slli_epi64::<BITS>(a) }
}

#[inline(always)]
unsafe fn shr<const BITS: u32>(a: __m512i) -> __m512i {
    unsafe { _mm512_srli_epi64::<BITS>(a) }
}

/// `sum + low 52 bits of a·b`
#[inline(always)]
unsafe fn low(sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
    unsafe { _mm512_madd52lo_epu64(sum, a, b) }
}

/// `sum + high 52 bits of a·b`
#[inline(always)]
unsafe fn high(sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
    unsafe { _mm512_madd52hi_epu64(sum, a, b) }
}

/// `x`, of which the compiler knows nothing. It would otherwise make sums of shifts of `x` a 64-bit multiplication,
/// which is three multiplications of half the width.
#[inline]
#[target_feature(enable = "avx512f")]
fn opaque(x: __m512i) -> __m512i {
    let mut out = x;
    // SAFETY: no instruction at all.
    unsafe {
        asm!("/* {0} */", inout(zmm_reg) out, options(pure, nomem, nostack, preserves_flags));
    }
    out
}

/// Carries columns under `2^62` once, in parallel.
#[inline(always)]
unsafe fn carry(columns: [__m512i; 5]) -> F8 {
    unsafe {
        let [c0, c1, c2, c3, c4] = columns;
        let mask = ints(MASK_51);
        F8([
            low(and(c0, mask), shr::<51>(c4), ints(19)),
            add(and(c1, mask), shr::<51>(c0)),
            add(and(c2, mask), shr::<51>(c1)),
            add(and(c3, mask), shr::<51>(c2)),
            add(and(c4, mask), shr::<51>(c3)),
        ])
    }
}

#[inline(always)]
unsafe fn product_columns(f: &F8, g: &F8) -> Columns {
    unsafe {
        let [f0, f1, f2, f3, f4] = f.0;
        let [g0, g1, g2, g3, g4] = g.0;
        let zero = _mm512_setzero_si512();

        let c5 = high(zero, f0, g4);
        let c6 = high(zero, f1, g4);
        let c7 = high(zero, f2, g4);
        let c8 = high(zero, f3, g4);
        let c9 = high(zero, f4, g4);
        let c5 = high(c5, f1, g3);
        let c6 = high(c6, f2, g3);
        let c7 = high(c7, f3, g3);
        let c8 = high(c8, f4, g3);
        let c9 = twice(c9);
        let c4 = nine(c9);
        let c5 = high(c5, f2, g2);
        let c6 = high(c6, f3, g2);
        let c4 = high(c4, f0, g3);
        let c7 = high(c7, f4, g2);
        let c8 = twice(c8);
        let c8 = low(c8, f4, g4);
        let c5 = high(c5, f3, g1);
        let c6 = high(c6, f4, g1);
        let c4 = high(c4, f1, g2);
        let c7 = twice(c7);
        let c7 = low(c7, f3, g4);
        let c3 = nine(c8);
        let c5 = high(c5, f4, g0);
        let c6 = twice(c6);
        let c3 = high(c3, f0, g2);
        let c4 = high(c4, f2, g1);
        let c6 = low(c6, f2, g4);
        let c7 = low(c7, f4, g3);
        let c5 = twice(c5);
        let c3 = high(c3, f1, g1);
        let c4 = high(c4, f3, g0);
        let c5 = low(c5, f1, g4);
        let c6 = low(c6, f3, g3);
        let c2 = nine(c7);
        let c2 = high(c2, f0, g1);
        let c3 = high(c3, f2, g0);
        let c4 = add(twice(c4), c9);
        let c5 = low(c5, f2, g3);
        let c6 = low(c6, f4, g2);
        let c4 = low(c4, f0, g4);
        let c2 = high(c2, f1, g0);
        let c3 = add(twice(c3), c8);
        let c5 = low(c5, f3, g2);
        let c1 = nine(c6);
        let c3 = low(c3, f0, g3);
        let c4 = low(c4, f1, g3);
        let c1 = high(c1, f0, g0);
        let c2 = add(twice(c2), c7);
        let c5 = low(c5, f4, g1);
        let c2 = low(c2, f0, g2);
        let c3 = low(c3, f1, g2);
        let c4 = low(c4, f2, g2);
        let c1 = add(twice(c1), c6);
        let c0 = nine(c5);
        let c1 = low(c1, f0, g1);
        let c2 = low(c2, f1, g1);
        let c3 = low(c3, f2, g1);
        let c4 = low(c4, f3, g1);
        let c0 = add(twice(c0), c5);
        let c0 = low(c0, f0, g0);
        let c1 = low(c1, f1, g0);
        let c2 = low(c2, f2, g0);
        let c3 = low(c3, f3, g0);
        let c4 = low(c4, f4, g0);
        Columns([c0, c1, c2, c3, c4])
    }
}

#[inline(always)]
unsafe fn nine(x: __m512i) -> __m512i {
    unsafe { opaque(add(opaque(shl::<3>(x)), x)) }
}

/// As [`product_columns`]: mixed products are doubled, their high halves twice.
#[inline(always)]
unsafe fn square_columns(f: [__m512i; 5]) -> [__m512i; 5] {
    unsafe {
        let [f0, f1, f2, f3, f4] = f;
        let zero = _mm512_setzero_si512();

        let c7 = high(zero, f2, f4);
        let c5 = high(zero, f0, f4);
        let c6 = high(zero, f1, f4);
        let c8 = high(zero, f3, f4);
        let c9 = high(zero, f4, f4);
        let c7 = twice(c7);
        let c5 = high(c5, f1, f3);
        let c6 = high(c6, f2, f3);
        let c7 = high(c7, f3, f3);
        let c8 = shl::<2>(c8);
        let c9 = twice(c9);
        let c8 = low(c8, f4, f4);
        let c4 = shl::<2>(c9);
        let c4 = high(c4, f0, f3);
        let c5 = twice(c5);
        let c6 = twice(c6);
        let c7 = low(c7, f3, f4);
        let c5 = high(c5, f2, f2);
        let c6 = low(c6, f2, f4);
        let c3 = shl::<2>(c8);
        let c3 = high(c3, f0, f2);
        let c4 = high(c4, f1, f2);
        let c7 = twice(c7);
        let c5 = low(c5, f1, f4);
        let c6 = twice(c6);
        let c2 = shl::<2>(c7);
        let c6 = low(c6, f3, f3);
        let c2 = high(c2, f0, f1);
        let c3 = add(twice(c3), c8);
        let c4 = add(twice(c4), c9);
        let c3 = high(c3, f1, f1);
        let c5 = low(c5, f2, f3);
        let c4 = low(c4, f0, f4);
        let c1 = nine(c6);
        let c2 = add(twice(c2), c7);
        let c1 = high(c1, f0, f0);
        let c2 = low(c2, f0, f2);
        let c3 = low(c3, f0, f3);
        let c4 = low(c4, f1, f3);
        let c5 = twice(c5);
        let c0 = nine(c5);
        let c1 = low(c1, f0, f1);
        let c0 = add(twice(c0), c5);
        let c2 = add(twice(c2), c7);
        let c3 = low(c3, f1, f2);
        let c4 = add(twice(c4), c9);
        let c0 = low(c0, f0, f0);
        let c2 = low(c2, f1, f1);
        let c4 = low(c4, f2, f2);
        let c1 = add(twice(c1), c6);
        let c3 = add(twice(c3), c8);
        [c0, c1, c2, c3, c4]
    }
}

/// Limbs of radix `2^52`: see the module. Only the low 52 bits of the first four count.
#[derive(Clone, Copy)]
struct Dense([__m512i; 5]);

impl Dense {
    #[inline(always)]
    unsafe fn new(f: &F8) -> Self {
        unsafe {
            let [a0, a1, a2, a3, a4] = f.0;
            let mask = ints(MASK_51);
            let a1 = add(a1, shr::<51>(a0));
            let a2 = add(a2, shr::<51>(a1));
            let a3 = add(a3, shr::<51>(a2));
            let a4 = add(a4, shr::<51>(a3));
            let (a0, a1, a2, a3) = (and(a0, mask), and(a1, mask), and(a2, mask), and(a3, mask));
            Self([
                _mm512_or_si512(a0, shl::<51>(a1)),
                _mm512_or_si512(shr::<1>(a1), shl::<50>(a2)),
                _mm512_or_si512(shr::<2>(a2), shl::<49>(a3)),
                _mm512_or_si512(shr::<3>(a3), shl::<48>(a4)),
                shr::<4>(a4),
            ])
        }
    }

    #[inline(always)]
    unsafe fn reduced(self) -> F8 {
        unsafe {
            let (mask, mask_52) = (ints(MASK_51), ints((1 << 52) - 1));
            let [b0, b1, b2, b3, b4] = self.0;
            let (b0, b1) = (and(b0, mask_52), and(b1, mask_52));
            let (b2, b3) = (and(b2, mask_52), and(b3, mask_52));
            F8([
                and(b0, mask),
                and(_mm512_or_si512(shr::<51>(b0), shl::<1>(b1)), mask),
                and(_mm512_or_si512(shr::<50>(b1), shl::<2>(b2)), mask),
                and(_mm512_or_si512(shr::<49>(b2), shl::<3>(b3)), mask),
                add(shr::<48>(b3), shl::<4>(b4)),
            ])
        }
    }

    #[inline(always)]
    unsafe fn square(self) -> Self {
        unsafe {
            let [b0, b1, b2, b3, b4] = self.0;
            let zero = _mm512_setzero_si512();
            let (mask, fold, nineteen) = (ints((1 << 47) - 1), ints(608), ints(19));
            let c5 = high(zero, b1, b3);
            let c6 = high(zero, b2, b3);
            let c4 = high(zero, b0, b3);
            let d4 = twice(b4);
            let c7 = high(zero, b3, b3);
            let c8 = low(zero, b4, b4);
            let c3 = high(zero, b0, b2);
            let c2 = high(zero, b0, b1);
            let c5 = low(c5, b2, b3);
            let c6 = twice(c6);
            let c6 = high(c6, b1, d4);
            let c4 = high(c4, b1, b2);
            let c7 = high(c7, b2, d4);
            let c8 = high(c8, b3, d4);
            let c1 = low(zero, b0, b1);
            let c3 = low(c3, b0, b3);
            let c5 = twice(c5);
            let c9 = high(zero, b4, b4);
            let c5 = high(c5, b0, d4);
            let c6 = low(c6, b2, d4);
            let c4 = low(c4, b1, b3);
            let c7 = low(c7, b3, d4);
            let c2 = low(c2, b0, b2);
            let c0 = low(zero, b0, b0);
            let c1 = twice(c1);
            let c3 = low(c3, b1, b2);
            let c5 = low(c5, b1, d4);
            let c6 = low(c6, b3, b3);
            let c4 = twice(c4);
            let c1 = high(c1, b0, b0);
            let c4 = low(c4, b0, d4);
            let c2 = twice(c2);
            let c2 = low(c2, b1, b1);
            let c3 = twice(c3);
            let c5 = high(c5, b2, b2);
            let c3 = high(c3, b1, b1);
            let c4 = low(c4, b2, b2);
            let c6 = add(c6, shr::<52>(c5));
            let c0 = low(c0, c5, fold);
            let c1 = high(c1, c5, fold);
            let c7 = add(c7, shr::<52>(c6));
            let c2 = high(c2, c6, fold);
            let c8 = add(c8, shr::<52>(c7));
            let c3 = high(c3, c7, fold);
            let c1 = low(c1, c6, fold);
            let c4 = high(c4, c8, fold);
            let c9 = add(c9, shr::<52>(c8));
            let c2 = low(c2, c7, fold);
            let c3 = low(c3, c8, fold);
            let c4 = low(c4, c9, fold);
            let c0 = low(c0, shr::<47>(c4), nineteen);
            let c4 = and(c4, mask);
            let c1 = add(c1, shr::<52>(c0));
            let c2 = add(c2, shr::<52>(c1));
            let c3 = add(c3, shr::<52>(c2));
            let c4 = add(c4, shr::<52>(c3));
            Self([c0, c1, c2, c3, c4])
        }
    }
}

/// Squares each `times` times.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
unsafe fn squares<const N: usize>(vectors: &mut [F8; N], times: usize) {
    unsafe {
        if times < DENSE_MIN {
            for _ in 0..times {
                let mut n = 0;
                while n < N {
                    vectors[n] = carry(square_columns(vectors[n].0));
                    n += 1;
                }
            }
            return;
        }
        let mut dense = [Dense(vectors[0].0); N];
        let mut n = 0;
        while n < N {
            dense[n] = Dense::new(&vectors[n]);
            n += 1;
        }
        for _ in 0..times {
            // Written out: the compiler would not unroll a loop so long, and keep the limbs in memory.
            const { assert!(N <= 4) };
            dense[0] = dense[0].square();
            if N > 1 {
                dense[1] = dense[1].square();
            }
            if N > 2 {
                dense[2] = dense[2].square();
            }
            if N > 3 {
                dense[3] = dense[3].square();
            }
        }
        n = 0;
        while n < N {
            vectors[n] = dense[n].reduced();
            n += 1;
        }
    }
}

/// Canonical limbs. A reduced element is under `2p`, so `p` is to be taken off once at most.
#[inline(always)]
unsafe fn canonical(f: F8) -> [__m512i; 5] {
    unsafe {
        let mut h = f.0;
        // It is p or more if adding 19 carries out of bit 255; then that carry, times 19, takes p off.
        let mut quotient = shr::<51>(add(h[0], ints(19)));
        let mut k = 1;
        while k < 5 {
            quotient = shr::<51>(add(h[k], quotient));
            k += 1;
        }
        h[0] = low(h[0], quotient, ints(19));
        k = 0;
        while k < 4 {
            h[k + 1] = add(h[k + 1], shr::<51>(h[k]));
            h[k] = and(h[k], ints(MASK_51));
            k += 1;
        }
        h[4] = and(h[4], ints(MASK_51));
        h
    }
}

/// Half a row of memory's words: what is moved at once.
type Quad = __m256i;

/// Four words from each of eight rows, transposed. Half of the moves are insertions from memory, which any port for
/// vectors can do; only the others are shuffles.
#[inline(always)]
unsafe fn transpose_in(quad: impl Fn(usize) -> Quad) -> [__m512i; 4] {
    unsafe {
        let both = |low: usize, high: usize| {
            _mm512_inserti64x4::<1>(_mm512_castsi256_si512(quad(low)), quad(high))
        };
        // Words 0 and 2, words 1 and 3: of lanes 0 and 1, then 2 and 3; of 4 and 5, then 6 and 7.
        let (a, b, c, d) = (both(0, 2), both(1, 3), both(4, 6), both(5, 7));
        let (left_even, left_odd) = (_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
        let (right_even, right_odd) = (_mm512_unpacklo_epi64(c, d), _mm512_unpackhi_epi64(c, d));
        [
            _mm512_shuffle_i64x2::<0b10_00_10_00>(left_even, right_even),
            _mm512_shuffle_i64x2::<0b10_00_10_00>(left_odd, right_odd),
            _mm512_shuffle_i64x2::<0b11_01_11_01>(left_even, right_even),
            _mm512_shuffle_i64x2::<0b11_01_11_01>(left_odd, right_odd),
        ]
    }
}

/// The inverse of [`transpose_in`]. Extractions to memory are stores and no more; rows are opaque, because the compiler
/// would rather make each half on its own, by three times the shuffles.
#[inline(always)]
unsafe fn transpose_out(words: [__m512i; 4], put: impl Fn(usize, Quad)) {
    unsafe {
        let [w0, w1, w2, w3] = words;
        // Of even and odd lanes: words 0 and 1, words 2 and 3.
        let (even_low, odd_low) = (_mm512_unpacklo_epi64(w0, w1), _mm512_unpackhi_epi64(w0, w1));
        let (even_high, odd_high) = (_mm512_unpacklo_epi64(w2, w3), _mm512_unpackhi_epi64(w2, w3));
        // Lanes 0 and 4, 2 and 6: picked so that a lane's halves are neighbours.
        let lanes_04 = _mm512_set_epi64(13, 12, 5, 4, 9, 8, 1, 0);
        let lanes_26 = _mm512_set_epi64(15, 14, 7, 6, 11, 10, 3, 2);
        let rows = [
            _mm512_permutex2var_epi64(even_low, lanes_04, even_high),
            _mm512_permutex2var_epi64(odd_low, lanes_04, odd_high),
            _mm512_permutex2var_epi64(even_low, lanes_26, even_high),
            _mm512_permutex2var_epi64(odd_low, lanes_26, odd_high),
        ];
        let mut k = 0;
        while k < 4 {
            let row = opaque(rows[k]);
            put(k, _mm512_castsi512_si256(row));
            put(k + 4, _mm512_extracti64x4_epi64::<1>(row));
            k += 1;
        }
    }
}

/// Words `4·at` to `4·at + 3` of each row. Rows are aligned.
#[inline(always)]
unsafe fn load_quads(rows: &[*const i64; LANES_MAX], at: usize) -> [__m512i; 4] {
    unsafe { transpose_in(|lane| _mm256_load_si256(rows[lane].add(4 * at).cast())) }
}

#[inline(always)]
unsafe fn store_quads(words: [__m512i; 4], rows: &[*mut i64; LANES_MAX], at: usize) {
    unsafe {
        transpose_out(words, |lane, quad| {
            _mm256_store_si256(rows[lane].add(4 * at).cast(), quad);
        });
    }
}

/// Swaps `y + x` with `y - x` and negates `2dxy` in the lanes of the mask.
#[inline(always)]
unsafe fn negate_if(plus: F8, minus: F8, xy2d: F8, negative: Mask) -> Affine<F8> {
    unsafe {
        let mut point = Affine {
            y_plus_x: plus.select(minus, negative),
            y_minus_x: minus.select(plus, negative),
            xy2d,
        };
        let mut k = 0;
        while k < 5 {
            let x = xy2d.0[k];
            point.xy2d.0[k] = _mm512_mask_sub_epi64(x, negative, ints(TWO_P[k]), x);
            k += 1;
        }
        point
    }
}

/// Applies `f` to each of five.
macro_rules! each {
    ($k:ident => $value:expr) => {{
        let mut out = [_mm512_setzero_si512(); 5];
        let mut $k = 0;
        while $k < 5 {
            out[$k] = $value;
            $k += 1;
        }
        out
    }};
}

impl Field for F8 {
    type Wide = Columns;

    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(limbs: &[u64; 5]) -> Self {
        unsafe { F8(each!(k => ints(limbs[k] as i64))) }
    }

    #[inline(always)]
    unsafe fn decode(encodings: &[&[u8; 32]; LANES_MAX]) -> (Self, Mask) {
        unsafe {
            // Unaligned, unlike rows of points.
            let [w0, w1, w2, w3] =
                transpose_in(|lane| _mm256_loadu_si256(encodings[lane].as_ptr().cast()));
            let limbs = [
                w0,
                _mm512_or_si512(shr::<51>(w0), shl::<13>(w1)),
                _mm512_or_si512(shr::<38>(w1), shl::<26>(w2)),
                _mm512_or_si512(shr::<25>(w2), shl::<39>(w3)),
                shr::<12>(w3),
            ];
            let limbs = each!(k => and(limbs[k], ints(MASK_51)));
            (F8(limbs), _mm512_movepi64_mask(w3))
        }
    }

    #[inline(always)]
    unsafe fn canonical(self) -> [[u64; LANES_MAX]; 5] {
        unsafe {
            let h = canonical(self);
            let mut limbs = [[0; LANES_MAX]; 5];
            let mut k = 0;
            while k < 5 {
                _mm512_storeu_si512(limbs[k].as_mut_ptr().cast(), h[k]);
                k += 1;
            }
            limbs
        }
    }

    #[inline(always)]
    unsafe fn is_zero(self) -> Mask {
        unsafe {
            let [h0, h1, h2, h3, h4] = canonical(self);
            let any = _mm512_or_si512(_mm512_or_si512(h0, h1), _mm512_or_si512(h2, h3));
            let any = _mm512_or_si512(any, h4);
            _mm512_testn_epi64_mask(any, any)
        }
    }

    #[inline(always)]
    unsafe fn parity(self) -> Mask {
        unsafe { _mm512_test_epi64_mask(canonical(self)[0], ints(1)) }
    }

    #[inline(always)]
    unsafe fn select(self, other: Self, mask: Mask) -> Self {
        unsafe { F8(each!(k => _mm512_mask_mov_epi64(self.0[k], mask, other.0[k]))) }
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        unsafe { carry(product_columns(&self, &other).0) }
    }

    #[inline(always)]
    unsafe fn square(self) -> Self {
        unsafe {
            let mut out = [self];
            squares(&mut out, 1);
            out[0]
        }
    }

    #[inline(always)]
    unsafe fn square_times<const N: usize>(vectors: [Self; N], times: usize) -> [Self; N] {
        unsafe {
            let mut out = vectors;
            squares(&mut out, times);
            out
        }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { carry(each!(k => add(self.0[k], other.0[k]))) }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        unsafe { carry(each!(k => add(sub(self.0[k], other.0[k]), ints(FOUR_P[k])))) }
    }

    #[inline(always)]
    unsafe fn add_lazy(self, other: Self) -> Self {
        unsafe { self.add(other) }
    }

    #[inline(always)]
    unsafe fn negate(self) -> Self {
        unsafe { F8([ints(0); 5]).sub(self) }
    }

    #[inline(always)]
    unsafe fn sub_lazy(self, other: Self) -> Self {
        unsafe { self.sub(other) }
    }

    #[inline(always)]
    unsafe fn mul_wide(self, other: Self) -> Columns {
        unsafe { product_columns(&self, &other) }
    }

    #[inline(always)]
    unsafe fn wide_add(a: Columns, b: Columns) -> Self {
        unsafe { carry(each!(k => add(a.0[k], b.0[k]))) }
    }

    #[inline(always)]
    unsafe fn wide_sub(a: Columns, b: Columns) -> Self {
        unsafe { carry(each!(k => add(sub(a.0[k], b.0[k]), ints(BIAS[k])))) }
    }

    #[inline(always)]
    unsafe fn twice_add(self, c: Columns) -> Self {
        unsafe { carry(each!(k => add(twice(self.0[k]), c.0[k]))) }
    }

    #[inline(always)]
    unsafe fn twice_sub(self, c: Columns) -> Self {
        unsafe { carry(each!(k => add(sub(twice(self.0[k]), c.0[k]), ints(BIAS[k])))) }
    }

    #[inline(always)]
    unsafe fn broadcast(point: &Niels, negative: Mask) -> Affine<Self> {
        unsafe {
            let word = |k: usize| ints(point.0[k] as i64);
            negate_if(
                F8(each!(k => word(k))),
                F8(each!(k => word(5 + k))),
                F8(each!(k => word(10 + k))),
                negative,
            )
        }
    }

    #[inline(always)]
    unsafe fn gather(points: &[*const Niels; LANES_MAX], negative: Mask) -> Affine<Self> {
        unsafe {
            let rows = points.map(|point| point.cast());
            let [a0, a1, a2, a3] = load_quads(&rows, 0);
            let [a4, b0, b1, b2] = load_quads(&rows, 1);
            let [b3, b4, c0, c1] = load_quads(&rows, 2);
            let [c2, c3, c4, _] = load_quads(&rows, 3);
            negate_if(
                F8([a0, a1, a2, a3, a4]),
                F8([b0, b1, b2, b3, b4]),
                F8([c0, c1, c2, c3, c4]),
                negative,
            )
        }
    }

    #[inline(always)]
    unsafe fn store(point: &Affine<Self>, points: &mut [Niels]) {
        unsafe {
            assert_eq!(points.len(), Self::LANES);
            let base = points.as_mut_ptr();
            let rows = core::array::from_fn(|lane| base.wrapping_add(lane).cast());
            let (a, b, c) = (point.y_plus_x.0, point.y_minus_x.0, point.xy2d.0);
            store_quads([a[0], a[1], a[2], a[3]], &rows, 0);
            store_quads([a[4], b[0], b[1], b[2]], &rows, 1);
            store_quads([b[3], b[4], c[0], c[1]], &rows, 2);
            store_quads([c[2], c[3], c[4], _mm512_setzero_si512()], &rows, 3);
        }
    }

    #[inline(always)]
    unsafe fn load_buckets(buckets: &[*mut Bucket; LANES_MAX]) -> Extended<Self> {
        unsafe {
            let rows = buckets.map(|bucket| bucket.cast_const().cast());
            let [x0, x1, x2, x3] = load_quads(&rows, 0);
            let [x4, y0, y1, y2] = load_quads(&rows, 1);
            let [y3, y4, z0, z1] = load_quads(&rows, 2);
            let [z2, z3, z4, t0] = load_quads(&rows, 3);
            let [t1, t2, t3, t4] = load_quads(&rows, 4);
            Extended {
                x: F8([x0, x1, x2, x3, x4]),
                y: F8([y0, y1, y2, y3, y4]),
                z: F8([z0, z1, z2, z3, z4]),
                t: F8([t0, t1, t2, t3, t4]),
            }
        }
    }

    #[inline(always)]
    unsafe fn store_buckets(point: &Extended<Self>, buckets: &[*mut Bucket; LANES_MAX]) {
        unsafe {
            let rows = buckets.map(|bucket| bucket.cast());
            let (x, y, z, t) = (point.x.0, point.y.0, point.z.0, point.t.0);
            store_quads([x[0], x[1], x[2], x[3]], &rows, 0);
            store_quads([x[4], y[0], y[1], y[2]], &rows, 1);
            store_quads([y[3], y[4], z[0], z[1]], &rows, 2);
            store_quads([z[2], z[3], z[4], t[0]], &rows, 3);
            store_quads([t[1], t[2], t[3], t[4]], &rows, 4);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::Fe;

    /// Limbs of radix `2^52` at their bounds, with anything above the bits that count.
    #[test]
    fn dense_limbs_at_their_bounds() {
        #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
        unsafe fn check(rows: &[[u64; LANES_MAX]; 5]) {
            unsafe {
                let limbs = each!(k => _mm512_loadu_si512(rows[k].as_ptr().cast()));
                let lanes = |f: F8| {
                    let mut rows = [[0u64; LANES_MAX]; 5];
                    for (row, limbs) in rows.iter_mut().zip(f.0) {
                        _mm512_storeu_si512(row.as_mut_ptr().cast(), limbs);
                    }
                    rows
                };
                let (dense, square) = (Dense(limbs), Dense(limbs).square());
                let (before, after) = (lanes(dense.reduced()), lanes(square.reduced()));
                let last = lanes(F8(square.0))[4];
                for lane in 0..LANES_MAX {
                    let fe = |rows: [[u64; LANES_MAX]; 5]| Fe(rows.map(|row| row[lane]));
                    assert_eq!(fe(after).canonical(), fe(before).square().canonical());
                    assert!(after.iter().all(|row| row[lane] < (1 << 51) + (1 << 15)));
                    assert!(last[lane] < (1 << 47) + (1 << 4));
                }
            }
        }

        if super::super::Ifma::detect().is_none() {
            println!("skipped: the processor lacks what Ifma needs");
            return;
        }
        let mut state = 1u64;
        let mut random = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            state >> 11 ^ state << 40
        };
        for _ in 0..20_000 {
            let mut rows = [[0; LANES_MAX]; 5];
            for (k, row) in rows.iter_mut().enumerate() {
                for word in row {
                    let max = if k < 4 {
                        (1 << 52) - 1
                    } else {
                        (1 << 47) + (1 << 12) - 1
                    };
                    *word = match random() >> 20 & 7 {
                        0 => 0,
                        1 => 1,
                        2 => random() % max,
                        _ => max - (random() >> 20 & 1),
                    };
                    if k < 4 {
                        *word |= random() << 52;
                    }
                }
            }
            // SAFETY: detected above.
            unsafe { check(&rows) }
        }
    }
}
