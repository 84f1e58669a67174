//! The compression function of SHA-256 in every lane of a vector register: as many blocks at a time as a register has words.
//!
//! The rounds are written down once, over a few operations of which each width brings its own. Who calls them has to have asked
//! whether the processor has the instructions ([`avx512::is_available`], [`avx2::is_available`]).

/// `compress` over the operations `add`, `all`, `xor3`, `choose`, `majority`, `rotate` and `shift` of the module that it stands in.
macro_rules! compression {
    ($features:literal, $vector:ty) => {
        /// FIPS 180-4, section 6.2.2, in every lane: the state after a block of these words. The words that are used up make room
        /// for those sixteen rounds on. Without a loop, so that rounds whose results nobody asks for fall away.
        #[target_feature(enable = $features)]
        #[inline]
        pub(crate) fn compress(state: &mut [$vector; 8], mut w: [$vector; 16]) {
            let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
            macro_rules! round {
                ($number:expr; $a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident $i:literal) => {
                    if $number >= 16 {
                        let (x, y) = (w[($i + 1) % 16], w[($i + 14) % 16]);
                        let low = xor3(rotate::<7, 25>(x), rotate::<18, 14>(x), shift::<3>(x));
                        let high = xor3(rotate::<17, 15>(y), rotate::<19, 13>(y), shift::<10>(y));
                        w[$i] = add(add(w[$i], low), add(w[($i + 9) % 16], high));
                    }
                    let input = add(w[$i], all(K[$number + $i]));
                    let mixed = xor3(rotate::<6, 26>($e), rotate::<11, 21>($e), rotate::<25, 7>($e));
                    let first = add(add($h, mixed), add(choose($e, $f, $g), input));
                    let mixed = xor3(rotate::<2, 30>($a), rotate::<13, 19>($a), rotate::<22, 10>($a));
                    $d = add($d, first);
                    $h = add(first, add(mixed, majority($a, $b, $c)));
                };
            }
            macro_rules! sixteen_rounds {
                ($from:literal) => {
                    round!($from; a b c d e f g h 0);
                    round!($from; h a b c d e f g 1);
                    round!($from; g h a b c d e f 2);
                    round!($from; f g h a b c d e 3);
                    round!($from; e f g h a b c d 4);
                    round!($from; d e f g h a b c 5);
                    round!($from; c d e f g h a b 6);
                    round!($from; b c d e f g h a 7);
                    round!($from; a b c d e f g h 8);
                    round!($from; h a b c d e f g 9);
                    round!($from; g h a b c d e f 10);
                    round!($from; f g h a b c d e 11);
                    round!($from; e f g h a b c d 12);
                    round!($from; d e f g h a b c 13);
                    round!($from; c d e f g h a b 14);
                    round!($from; b c d e f g h a 15);
                };
            }
            sixteen_rounds!(0);
            sixteen_rounds!(16);
            sixteen_rounds!(32);
            sixteen_rounds!(48);
            for (word, after) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
                *word = add(*word, after);
            }
        }
    };
}

/// Sixteen lanes.
pub(crate) mod avx512 {
    use core::arch::x86_64::{
        __m512i, _mm512_add_epi32, _mm512_ror_epi32, _mm512_set1_epi32, _mm512_srli_epi32,
        _mm512_ternarylogic_epi32,
    };

    use crate::format::digest::pair::K;

    pub(crate) fn is_available() -> bool {
        is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    pub(crate) fn all(word: u32) -> __m512i {
        _mm512_set1_epi32(word.cast_signed())
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    pub(crate) fn add(x: __m512i, y: __m512i) -> __m512i {
        _mm512_add_epi32(x, y)
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    fn xor3(x: __m512i, y: __m512i, z: __m512i) -> __m512i {
        _mm512_ternarylogic_epi32::<0x96>(x, y, z)
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    fn choose(x: __m512i, y: __m512i, z: __m512i) -> __m512i {
        _mm512_ternarylogic_epi32::<0xca>(x, y, z)
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    fn majority(x: __m512i, y: __m512i, z: __m512i) -> __m512i {
        _mm512_ternarylogic_epi32::<0xe8>(x, y, z)
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    fn rotate<const RIGHT: i32, const LEFT: i32>(x: __m512i) -> __m512i {
        _mm512_ror_epi32::<RIGHT>(x)
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    fn shift<const RIGHT: u32>(x: __m512i) -> __m512i {
        _mm512_srli_epi32::<RIGHT>(x)
    }

    compression!("avx512f,avx512bw", __m512i);
}

/// Eight lanes.
pub(crate) mod avx2 {
    use core::arch::x86_64::{
        __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_or_si256, _mm256_set1_epi32,
        _mm256_slli_epi32, _mm256_srli_epi32, _mm256_xor_si256,
    };

    use crate::format::digest::pair::K;

    pub(crate) fn is_available() -> bool {
        is_x86_feature_detected!("avx2")
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    pub(crate) fn all(word: u32) -> __m256i {
        _mm256_set1_epi32(word.cast_signed())
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    pub(crate) fn add(x: __m256i, y: __m256i) -> __m256i {
        _mm256_add_epi32(x, y)
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn xor3(x: __m256i, y: __m256i, z: __m256i) -> __m256i {
        _mm256_xor_si256(_mm256_xor_si256(x, y), z)
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn choose(x: __m256i, y: __m256i, z: __m256i) -> __m256i {
        _mm256_xor_si256(z, _mm256_and_si256(x, _mm256_xor_si256(y, z)))
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn majority(x: __m256i, y: __m256i, z: __m256i) -> __m256i {
        let either = _mm256_and_si256(z, _mm256_or_si256(x, y));
        _mm256_or_si256(_mm256_and_si256(x, y), either)
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn rotate<const RIGHT: i32, const LEFT: i32>(x: __m256i) -> __m256i {
        const { assert!(RIGHT + LEFT == 32) };
        _mm256_or_si256(_mm256_srli_epi32::<RIGHT>(x), _mm256_slli_epi32::<LEFT>(x))
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn shift<const RIGHT: i32>(x: __m256i) -> __m256i {
        _mm256_srli_epi32::<RIGHT>(x)
    }

    compression!("avx2", __m256i);
}
