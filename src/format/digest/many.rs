//! SHA-256 of many messages: sixteen at a time in the lanes of AVX-512 registers, else [in pairs](super::pair).
//!
//! The instructions for SHA are bound by one port of the processor, about 100 cycles a block; sixteen lanes of ordinary
//! arithmetic take two ports and about half of that for each of them.

use super::pair::{Message, hash_pair};

/// Hashes `count` messages, and hands each hash over with its number, in order.
pub(crate) fn hash_many<'a>(
    count: usize,
    message: impl Fn(usize) -> Message<'a>,
    mut each: impl FnMut(usize, [u8; 32]),
) {
    let mut start = 0;
    #[cfg(target_arch = "x86_64")]
    if count >= lanes::LANES && lanes::is_available() {
        while count - start >= lanes::LANES {
            let messages = std::array::from_fn(|lane| message(start + lane));
            match lanes::hash(&messages) {
                Some(hashes) => (start..).zip(hashes).for_each(|(at, hash)| each(at, hash)),
                None => in_pairs(start, start + lanes::LANES, &message, &mut each),
            }
            start += lanes::LANES;
        }
    }
    in_pairs(start, count, &message, &mut each);
}

fn in_pairs<'a>(
    start: usize,
    end: usize,
    message: &impl Fn(usize) -> Message<'a>,
    each: &mut impl FnMut(usize, [u8; 32]),
) {
    let mut at = start;
    while at + 1 < end {
        let [a, b] = hash_pair(message(at), message(at + 1));
        each(at, a);
        each(at + 1, b);
        at += 2;
    }
    if at < end {
        each(at, message(at).hash());
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "instructions that the processor may lack")]
mod lanes {
    use core::arch::x86_64::{
        __m512i, _mm256_storeu_si256, _mm512_castsi512_si256, _mm512_loadu_si512,
        _mm512_maskz_loadu_epi8, _mm512_maskz_set1_epi8, _mm512_maskz_set1_epi64, _mm512_or_si512,
        _mm512_set1_epi32, _mm512_set4_epi32, _mm512_shuffle_epi8, _mm512_shuffle_i32x4,
        _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
    };

    use crate::format::digest::lanes::avx512::compress;
    pub(super) use crate::format::digest::lanes::avx512::is_available;
    use crate::format::digest::pair::{BLOCK, INITIAL, Message};

    pub(super) const LANES: usize = 16;

    /// The hashes of messages of as many blocks, on a processor that [is able to](is_available).
    pub(super) fn hash(messages: &[Message<'_>; LANES]) -> Option<[[u8; 32]; LANES]> {
        let blocks = messages[0].blocks();
        let are_alike = messages.iter().all(|message| message.blocks() == blocks);
        // SAFETY: the caller has asked whether the instructions are there.
        are_alike.then(|| unsafe { hash_with(messages, blocks) })
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    fn hash_with(messages: &[Message<'_>; LANES], blocks: usize) -> [[u8; 32]; LANES] {
        let mut state = [_mm512_set1_epi32(0); 8];
        for (word, initial) in state.iter_mut().zip(INITIAL) {
            *word = _mm512_set1_epi32(initial.cast_signed());
        }
        for number in 0..blocks {
            let mut rows = [_mm512_set1_epi32(0); LANES];
            for (row, message) in rows.iter_mut().zip(messages) {
                *row = swap(block(message, number, blocks));
            }
            compress(&mut state, transpose(rows));
        }
        let mut words = [_mm512_set1_epi32(0); LANES];
        words[..8].copy_from_slice(&state);
        let mut hashes = [[0; 32]; LANES];
        for (hash, row) in hashes.iter_mut().zip(transpose(words)) {
            store(row, hash);
        }
        hashes
    }

    /// Words to big-endian bytes, and back.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    fn swap(words: __m512i) -> __m512i {
        let order = _mm512_set4_epi32(0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203);
        _mm512_shuffle_epi8(words, order)
    }

    /// The block of a number of a message that has so many, with the padding of FIPS 180-4, section 5.1.1.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    fn block(message: &Message<'_>, number: usize, blocks: usize) -> __m512i {
        let (prefix, rest) = (message.prefix, message.rest);
        let start = number * BLOCK;
        if let Some(within) = start.checked_sub(prefix.len())
            && let Some(whole) = rest.get(within..).and_then(<[u8]>::first_chunk::<BLOCK>)
        {
            // SAFETY: 64 bytes are there, and this load asks for no alignment.
            return unsafe { _mm512_loadu_si512(whole.as_ptr().cast()) };
        }
        let end = prefix.len() + rest.len();
        // How much of the block each of both reaches to.
        let to_prefix = prefix.len().saturating_sub(start).min(BLOCK);
        let to_rest = end.saturating_sub(start).min(BLOCK);
        let from_prefix = first(to_prefix);
        let from_rest = first(to_rest) & !from_prefix;
        let rest = rest.as_ptr().wrapping_add(start).wrapping_sub(prefix.len());
        // SAFETY: only bytes whose bit is set are read. Those of the prefix begin at its first byte, since only the first
        // block has some (else the mask is 0), and are as many as it has, or 64. Byte `i` of the block is byte
        // `start + i - prefix.len()` of the rest, where `i` is at least the number of bytes from the prefix, and less than
        // `end - start`: so it is within.
        let mut block = unsafe {
            _mm512_or_si512(
                _mm512_maskz_loadu_epi8(from_prefix, prefix.as_ptr().cast()),
                _mm512_maskz_loadu_epi8(from_rest, rest.cast()),
            )
        };
        if (start..start + BLOCK).contains(&end) {
            let one = _mm512_maskz_set1_epi8(1 << (end - start), 0x80_u8.cast_signed());
            block = _mm512_or_si512(block, one);
        }
        if number + 1 == blocks {
            let bits = (end as u64 * 8).swap_bytes().cast_signed();
            block = _mm512_or_si512(block, _mm512_maskz_set1_epi64(0x80, bits));
        }
        block
    }

    /// A mask of so many bytes, at most 64.
    fn first(bytes: usize) -> u64 {
        1_u64
            .checked_shl(bytes as u32)
            .map_or(u64::MAX, |next| next - 1)
    }

    /// The first eight words.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    fn store(words: __m512i, hash: &mut [u8; 32]) {
        let half = _mm512_castsi512_si256(swap(words));
        // SAFETY: there is room for 32 bytes, and this store asks for no alignment.
        unsafe { _mm256_storeu_si256(hash.as_mut_ptr().cast(), half) };
    }

    /// From a row for each message to a row for each word.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    fn transpose(rows: [__m512i; LANES]) -> [__m512i; LANES] {
        let mut a = rows;
        for pair in 0..8 {
            let (x, y) = (rows[2 * pair], rows[2 * pair + 1]);
            a[2 * pair] = _mm512_unpacklo_epi32(x, y);
            a[2 * pair + 1] = _mm512_unpackhi_epi32(x, y);
        }
        let mut b = a;
        for four in 0..4 {
            let at = 4 * four;
            b[at] = _mm512_unpacklo_epi64(a[at], a[at + 2]);
            b[at + 1] = _mm512_unpackhi_epi64(a[at], a[at + 2]);
            b[at + 2] = _mm512_unpacklo_epi64(a[at + 1], a[at + 3]);
            b[at + 3] = _mm512_unpackhi_epi64(a[at + 1], a[at + 3]);
        }
        // Now `b[4 q + r]` holds, in its quarter `c`, word `4 c + r` of messages `4 q` to `4 q + 3`.
        let mut words = b;
        for r in 0..4 {
            let low = _mm512_shuffle_i32x4::<0x88>(b[r], b[4 + r]);
            let high = _mm512_shuffle_i32x4::<0xdd>(b[r], b[4 + r]);
            let low_two = _mm512_shuffle_i32x4::<0x88>(b[8 + r], b[12 + r]);
            let high_two = _mm512_shuffle_i32x4::<0xdd>(b[8 + r], b[12 + r]);
            words[r] = _mm512_shuffle_i32x4::<0x88>(low, low_two);
            words[8 + r] = _mm512_shuffle_i32x4::<0xdd>(low, low_two);
            words[4 + r] = _mm512_shuffle_i32x4::<0x88>(high, high_two);
            words[12 + r] = _mm512_shuffle_i32x4::<0xdd>(high, high_two);
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::digest::sha256;

    #[test]
    fn many_have_the_hashes_of_each() {
        let bytes: Vec<u8> = (0..900_u32)
            .map(|number| (number * 7 + number / 256) as u8)
            .collect();
        for prefix in [0, 15, 33] {
            for length in (0..330).step_by(3) {
                for more in [0, 1, 70] {
                    for count in [0, 1, 2, 15, 16, 17, 35] {
                        let message = |number: usize| Message {
                            prefix: &bytes[number..number + prefix],
                            rest: &bytes[number + 40..][..length + more * (number % 2)],
                        };
                        let mut hashes = Vec::new();
                        hash_many(count, message, |at, hash| {
                            assert_eq!(at, hashes.len(), "in order");
                            hashes.push(hash);
                        });
                        let one = |number| sha256(&[message(number).prefix, message(number).rest]);
                        let expected: Vec<_> = (0..count).map(one).collect();
                        assert_eq!(hashes, expected, "{prefix}, {length}, {more}, {count}");
                    }
                }
            }
        }
    }
}
