//! Many nonces at a time with instructions of x86-64.
//!
//! Nonces are little-endian, and so many of them as there are lanes, from a multiple of that number on, differ in their first byte alone. So all
//! lanes have the same words but one.

/// `first_candidate` of a module that has `load`, `all`, `add`, `at_most` and `compress` for vectors of so many lanes.
macro_rules! candidates {
    ($features:literal, $vector:ty, $lanes:literal) => {
        use crate::consensus::work::template::{Template, put_nonce};

        /// See [`Path`](super::super::Path); where this [is available](is_available).
        pub(in crate::consensus::work) fn first_candidate(
            template: &Template,
            most: u32,
            first: u64,
            last: u64,
        ) -> Option<u64> {
            assert!(is_available(), "asked for before");
            // SAFETY: the processor has the instructions.
            unsafe { search(template, most, first, last) }
        }

        #[target_feature(enable = $features)]
        fn search(template: &Template, most: u32, first: u64, last: u64) -> Option<u64> {
            let midstate = template.midstate.map(|word| all(word));
            let mut tail = template.tail;
            let (varies, changes) = (
                template.nonce_at / 4,
                template.nonce_at / 4..template.nonce_at.div_ceil(4) + 2,
            );
            let mut words = [0; 32];
            for (word, bytes) in words.iter_mut().zip(tail.as_flattened().as_chunks().0) {
                *word = u32::from_be_bytes(*bytes);
            }
            // What each lane adds to each word: its number, in the nonce's first byte.
            let mut numbers = [all(0); 16];
            numbers[varies] = load(&std::array::from_fn(|lane| {
                (lane as u32) << (24 - 8 * (template.nonce_at % 4))
            }));
            let most = all(most);

            let mut base = first - first % $lanes;
            loop {
                put_nonce(&mut tail, template.nonce_at, base);
                for index in changes.clone() {
                    words[index] = u32::from_be_bytes(tail.as_flattened().as_chunks().0[index]);
                }
                let mut state = midstate;
                let (block, more) = words.split_at(16);
                compress(
                    &mut state,
                    std::array::from_fn(|at| add(all(block[at]), numbers[at])),
                );
                if template.blocks == 2 {
                    compress(&mut state, std::array::from_fn(|at| all(more[at])));
                }
                let mut found = at_most(state[0], most);
                if base < first {
                    found &= u32::MAX << (first - base);
                }
                if found != 0 {
                    let nonce = base + u64::from(found.trailing_zeros());
                    return (nonce <= last).then_some(nonce);
                }
                base = base.checked_add($lanes).filter(|base| *base <= last)?;
            }
        }
    };
}

/// Sixteen lanes.
pub(super) mod avx512 {
    use core::arch::x86_64::{__m512i, _mm512_cmple_epu32_mask, _mm512_loadu_si512};

    pub(in crate::consensus::work) use crate::format::digest::lanes::avx512::is_available;
    use crate::format::digest::lanes::avx512::{add, all, compress};

    #[target_feature(enable = "avx512f,avx512bw")]
    fn load(words: &[u32; 16]) -> __m512i {
        // SAFETY: 64 bytes are there, and this load asks for no alignment.
        unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
    }

    /// A bit for each lane whose word is at most that of `most`.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    fn at_most(words: __m512i, most: __m512i) -> u32 {
        _mm512_cmple_epu32_mask(words, most).into()
    }

    candidates!("avx512f,avx512bw", __m512i, 16);
}

/// Eight lanes.
pub(super) mod avx2 {
    use core::arch::x86_64::{
        __m256i, _mm256_castsi256_ps, _mm256_cmpeq_epi32, _mm256_loadu_si256, _mm256_min_epu32,
        _mm256_movemask_ps,
    };

    pub(in crate::consensus::work) use crate::format::digest::lanes::avx2::is_available;
    use crate::format::digest::lanes::avx2::{add, all, compress};

    #[target_feature(enable = "avx2")]
    fn load(words: &[u32; 8]) -> __m256i {
        // SAFETY: 32 bytes are there, and this load asks for no alignment.
        unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
    }

    /// A bit for each lane whose word is at most that of `most`.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn at_most(words: __m256i, most: __m256i) -> u32 {
        let is_least = _mm256_cmpeq_epi32(_mm256_min_epu32(words, most), words);
        _mm256_movemask_ps(_mm256_castsi256_ps(is_least)).cast_unsigned()
    }

    candidates!("avx2", __m256i, 8);
}

/// Two hashes in turns with the instructions for SHA.
pub(super) mod pairs {
    use crate::consensus::work::template::{Template, put_nonce};
    pub(in crate::consensus::work) use crate::format::digest::pair::x86::is_available;
    use crate::format::digest::pair::x86::{compress, first_word, state};

    /// See [`Path`](super::super::Path); where this [is available](is_available).
    pub(in crate::consensus::work) fn first_candidate(
        template: &Template,
        most: u32,
        first: u64,
        last: u64,
    ) -> Option<u64> {
        assert!(is_available(), "asked for before");
        // SAFETY: the processor has the instructions.
        unsafe { search(template, most, first, last) }
    }

    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    fn search(template: &Template, most: u32, first: u64, last: u64) -> Option<u64> {
        let midstate = state(template.midstate);
        let mut tails = [template.tail; 2];
        let mut nonce = first;
        loop {
            // At the very end both are the last one.
            let second = nonce.saturating_add(1);
            put_nonce(&mut tails[0], template.nonce_at, nonce);
            put_nonce(&mut tails[1], template.nonce_at, second);
            let mut states = [midstate; 2];
            for (a, b) in tails[0].iter().zip(&tails[1]).take(template.blocks) {
                compress(&mut states, [a, b]);
            }
            let found = [nonce, second]
                .into_iter()
                .zip(states)
                .find(|(_, state)| first_word(*state) <= most);
            if let Some((found, _)) = found {
                return (found <= last).then_some(found);
            }
            nonce = nonce.checked_add(2).filter(|nonce| *nonce <= last)?;
        }
    }
}
