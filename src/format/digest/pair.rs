//! SHA-256 of two messages at a time.
//!
//! The processor's SHA instructions take four cycles to give a result and could start another every two, so that one message
//! leaves half of them idle: each round waits for the one before. Two messages of as many blocks, one after the other round
//! by round, take as long as one. Where there are no such instructions, or the lengths don't match, the messages are hashed
//! one by one.

use super::sha256;

/// Bytes of a block.
pub(crate) const BLOCK: usize = 64;

/// The state before the first block.
#[cfg(target_arch = "x86_64")]
pub(crate) const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The rounds' constants.
#[cfg(target_arch = "x86_64")]
pub(crate) const K: [u32; 64] = [
    0x428a_2f98,
    0x7137_4491,
    0xb5c0_fbcf,
    0xe9b5_dba5,
    0x3956_c25b,
    0x59f1_11f1,
    0x923f_82a4,
    0xab1c_5ed5,
    0xd807_aa98,
    0x1283_5b01,
    0x2431_85be,
    0x550c_7dc3,
    0x72be_5d74,
    0x80de_b1fe,
    0x9bdc_06a7,
    0xc19b_f174,
    0xe49b_69c1,
    0xefbe_4786,
    0x0fc1_9dc6,
    0x240c_a1cc,
    0x2de9_2c6f,
    0x4a74_84aa,
    0x5cb0_a9dc,
    0x76f9_88da,
    0x983e_5152,
    0xa831_c66d,
    0xb003_27c8,
    0xbf59_7fc7,
    0xc6e0_0bf3,
    0xd5a7_9147,
    0x06ca_6351,
    0x1429_2967,
    0x27b7_0a85,
    0x2e1b_2138,
    0x4d2c_6dfc,
    0x5338_0d13,
    0x650a_7354,
    0x766a_0abb,
    0x81c2_c92e,
    0x9272_2c85,
    0xa2bf_e8a1,
    0xa81a_664b,
    0xc24b_8b70,
    0xc76c_51a3,
    0xd192_e819,
    0xd699_0624,
    0xf40e_3585,
    0x106a_a070,
    0x19a4_c116,
    0x1e37_6c08,
    0x2748_774c,
    0x34b0_bcb5,
    0x391c_0cb3,
    0x4ed8_aa4a,
    0x5b9c_ca4f,
    0x682e_6ff3,
    0x748f_82ee,
    0x78a5_636f,
    0x84c8_7814,
    0x8cc7_0208,
    0x90be_fffa,
    0xa450_6ceb,
    0xbef9_a3f7,
    0xc671_78f2,
];

/// A message as a short prefix and the rest, so that nothing has to be copied together.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a> {
    /// Less than 64 bytes.
    pub(crate) prefix: &'a [u8],
    pub(crate) rest: &'a [u8],
}

impl Message<'_> {
    fn len(&self) -> usize {
        self.prefix.len() + self.rest.len()
    }

    /// Blocks with the padding: a one-bit and the length in bits.
    pub(crate) fn blocks(&self) -> usize {
        (self.len() + 9).div_ceil(BLOCK)
    }

    /// The block of a number: from the message where it is wholly in the rest, else put together.
    pub(crate) fn block<'b>(&'b self, number: usize, room: &'b mut [u8; BLOCK]) -> &'b [u8; BLOCK] {
        let start = number * BLOCK;
        if let Some(within) = start.checked_sub(self.prefix.len())
            && let Some(block) = self.rest[within.min(self.rest.len())..].first_chunk()
        {
            return block;
        }
        *room = [0; BLOCK];
        let from_prefix = self.prefix.get(start..).unwrap_or_default();
        let (head, tail) = room.split_at_mut(from_prefix.len());
        head.copy_from_slice(from_prefix);
        let within = (start + head.len()) - self.prefix.len().min(start + head.len());
        let from_rest = self.rest.get(within..).unwrap_or_default();
        let taken = from_rest.len().min(tail.len());
        tail[..taken].copy_from_slice(&from_rest[..taken]);
        let end = start + head.len() + taken;
        if end == self.len() && end < start + BLOCK && start <= self.len() {
            room[end - start] = 0x80;
        }
        if number + 1 == self.blocks() {
            let bits = (self.len() as u64) * 8;
            room[BLOCK - 8..].copy_from_slice(&bits.to_be_bytes());
        }
        room
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        sha256(&[self.prefix, self.rest])
    }
}

/// The hashes of two messages.
pub(crate) fn hash_pair(a: Message<'_>, b: Message<'_>) -> [[u8; 32]; 2] {
    #[cfg(target_arch = "x86_64")]
    if a.blocks() == b.blocks() && x86::is_available() {
        return x86::hash_pair(a, b);
    }
    [a.hash(), b.hash()]
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "instructions that the processor may lack")]
pub(crate) mod x86 {
    use core::arch::x86_64::{
        __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_set_epi8, _mm_set_epi32,
        _mm_set_epi64x, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32,
        _mm_shuffle_epi8, _mm_shuffle_epi32,
    };

    use super::{BLOCK, INITIAL, K, Message};

    pub(crate) fn is_available() -> bool {
        is_x86_feature_detected!("sha")
            && is_x86_feature_detected!("ssse3")
            && is_x86_feature_detected!("sse4.1")
    }

    /// The hashes of two messages of as many blocks, on a processor that [is able to](is_available).
    pub(super) fn hash_pair(a: Message<'_>, b: Message<'_>) -> [[u8; 32]; 2] {
        // SAFETY: the caller has asked whether the instructions are there.
        unsafe { hash_pair_with(a, b) }
    }

    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    fn hash_pair_with(a: Message<'_>, b: Message<'_>) -> [[u8; 32]; 2] {
        let mut states = [state(INITIAL); 2];
        let mut rooms = [[0; BLOCK]; 2];
        let [room_a, room_b] = &mut rooms;
        for number in 0..a.blocks() {
            compress(
                &mut states,
                [a.block(number, room_a), b.block(number, room_b)],
            );
        }
        [digest(states[0]), digest(states[1])]
    }

    /// A state as the instructions want it: words A, B, E, F and words C, D, G, H, the first the highest.
    pub(crate) type State = [__m128i; 2];

    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    pub(crate) fn state(words: [u32; 8]) -> State {
        let [a, b, c, d, e, f, g, h] = words.map(u32::cast_signed);
        [_mm_set_epi32(a, b, e, f), _mm_set_epi32(c, d, g, h)]
    }

    /// The first word of a state.
    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    #[inline]
    pub(crate) fn first_word([abef, _]: State) -> u32 {
        _mm_extract_epi32::<3>(abef).cast_unsigned()
    }

    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    fn digest([abef, cdgh]: State) -> [u8; 32] {
        let words = [
            _mm_extract_epi32::<3>(abef),
            _mm_extract_epi32::<2>(abef),
            _mm_extract_epi32::<3>(cdgh),
            _mm_extract_epi32::<2>(cdgh),
            _mm_extract_epi32::<1>(abef),
            _mm_extract_epi32::<0>(abef),
            _mm_extract_epi32::<1>(cdgh),
            _mm_extract_epi32::<0>(cdgh),
        ];
        let mut digest = [0; 32];
        for (bytes, word) in digest.chunks_exact_mut(4).zip(words) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        digest
    }

    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    #[inline]
    fn load(bytes: &[u8; BLOCK], at: usize) -> __m128i {
        let half = |at: usize| {
            let mut half = [0; 8];
            half.copy_from_slice(&bytes[at..at + 8]);
            i64::from_le_bytes(half)
        };
        let big_endian = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
        _mm_shuffle_epi8(_mm_set_epi64x(half(at + 8), half(at)), big_endian)
    }

    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    #[inline]
    fn words(block: &[u8; BLOCK]) -> [__m128i; 4] {
        [
            load(block, 0),
            load(block, 16),
            load(block, 32),
            load(block, 48),
        ]
    }

    /// One block of each message: sixteen times four rounds, of both in turn. Written so that everything but the constants
    /// stays in registers: the words that are used up make room for those four groups on.
    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    #[inline]
    pub(crate) fn compress(states: &mut [State; 2], blocks: [&[u8; BLOCK]; 2]) {
        let [mut a, mut b] = *states;
        let [mut wa, mut wb] = [words(blocks[0]), words(blocks[1])];
        for (number, k) in K.chunks_exact(16).enumerate() {
            let is_last = number == 3;
            macro_rules! group {
                ($w0:literal $w1:literal $w2:literal $w3:literal) => {
                    let k = constants(k, 4 * $w0);
                    four_rounds(&mut a, _mm_add_epi32(wa[$w0], k));
                    four_rounds(&mut b, _mm_add_epi32(wb[$w0], k));
                    if !is_last {
                        wa[$w0] = next_words(wa[$w0], wa[$w1], wa[$w2], wa[$w3]);
                        wb[$w0] = next_words(wb[$w0], wb[$w1], wb[$w2], wb[$w3]);
                    }
                };
            }
            group!(0 1 2 3);
            group!(1 2 3 0);
            group!(2 3 0 1);
            group!(3 0 1 2);
        }
        for (state, after) in states.iter_mut().zip([a, b]) {
            for (half, after) in state.iter_mut().zip(after) {
                *half = _mm_add_epi32(*half, after);
            }
        }
    }

    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    #[inline]
    fn constants(k: &[u32], at: usize) -> __m128i {
        let word = |number: usize| k[at + number].cast_signed();
        _mm_set_epi32(word(3), word(2), word(1), word(0))
    }

    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    #[inline]
    fn four_rounds([abef, cdgh]: &mut State, words: __m128i) {
        *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, words);
        *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32::<0x0e>(words));
    }

    /// The words sixteen rounds after `w0`.
    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    #[inline]
    fn next_words(w0: __m128i, w1: __m128i, w2: __m128i, w3: __m128i) -> __m128i {
        let partial = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8::<4>(w3, w2));
        _mm_sha256msg2_epu32(partial, w3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_the_hashes_of_its_messages() {
        let bytes: Vec<u8> = (0..600_u32)
            .map(|number| (number * 7 + number / 256) as u8)
            .collect();
        for prefix in [0, 1, 15, 33, 63] {
            for length in 0..400 {
                for more in [0, 1, 70] {
                    let message = |from: usize, length: usize| Message {
                        prefix: &bytes[from..from + prefix],
                        rest: &bytes[from + prefix..from + prefix + length],
                    };
                    let (a, b) = (message(0, length), message(9, length + more));
                    let expected = [a, b].map(|m| sha256(&[m.prefix, m.rest]));
                    assert_eq!(
                        hash_pair(a, b),
                        expected,
                        "{prefix} and {length}, {more} more"
                    );
                }
            }
        }
    }
}
