//! A header on which nonces are tried: all that doesn't change with the nonce is hashed once.

use sha2::block_api::compress256;

use crate::format::digest::BlockHash;
use crate::format::model::Header;

/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;
/// Bytes of a nonce, the last of a header.
const NONCE: usize = 8;
/// The state before the first block (FIPS 180-4, section 5.3.3).
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// A header without its nonce, ready to be hashed with any.
///
/// The nonce is the last field of a header, little-endian. So every block of SHA-256 before the one in which it begins is hashed once, into the
/// *midstate*; what is left for each nonce is that block, and another one if nonce and padding don't both fit into it: see
/// [`compressions`](Self::compressions).
#[derive(Debug, Clone)]
pub struct Template {
    pub(super) midstate: [u32; 8],
    /// What follows the midstate, with the padding; the nonce begins in the first block.
    pub(super) tail: [[u8; BLOCK]; 2],
    /// How many blocks of the tail there are.
    pub(super) blocks: usize,
    /// Where in the tail the nonce begins.
    pub(super) nonce_at: usize,
}

impl Template {
    /// The template of a header, whatever its nonce is now. O(length of the header).
    #[must_use]
    pub fn of(header: &Header) -> Self {
        let mut message = header.hash_input().concat();
        let bits = 8 * message.len() as u64;
        let nonce_at = message.len() - NONCE;
        let midstate_end = nonce_at - nonce_at % BLOCK;
        message.push(0x80);
        message.resize((message.len() + 8).next_multiple_of(BLOCK) - 8, 0);
        message.extend_from_slice(&bits.to_be_bytes());

        let (before, after) = message.split_at(midstate_end);
        let mut midstate = INITIAL;
        compress256(&mut midstate, before.as_chunks().0);
        let mut tail = [[0; BLOCK]; 2];
        let (rest, _) = after.as_chunks();
        for (block, rest) in tail.iter_mut().zip(rest) {
            *block = *rest;
        }
        Self {
            midstate,
            tail,
            blocks: rest.len(),
            nonce_at: nonce_at - midstate_end,
        }
    }

    /// How many blocks of SHA-256 each nonce costs, 1 or 2. With *n* the length of the header and of the tag before it, it is 1 if *n* mod 64
    /// is from 8 to 55; so a producer whose name is some bytes longer or shorter may get twice as far.
    #[must_use]
    pub const fn compressions(&self) -> usize {
        self.blocks
    }

    /// The hash of the header with this nonce.
    #[must_use]
    pub fn hash(&self, nonce: u64) -> BlockHash {
        let state = self.state(&self.tail_with(nonce));
        let mut hash = [0; 32];
        for (bytes, word) in hash.as_chunks_mut().0.iter_mut().zip(state) {
            *bytes = word.to_be_bytes();
        }
        BlockHash(hash)
    }

    /// The tail with this nonce in it.
    #[inline]
    pub(super) fn tail_with(&self, nonce: u64) -> [[u8; BLOCK]; 2] {
        let mut tail = self.tail;
        put_nonce(&mut tail, self.nonce_at, nonce);
        tail
    }

    /// The state of the hash after a tail, of which it is the words.
    #[inline]
    pub(super) fn state(&self, tail: &[[u8; BLOCK]; 2]) -> [u32; 8] {
        let mut state = self.midstate;
        compress256(&mut state, &tail[..self.blocks]);
        state
    }
}

/// Puts a nonce where it begins in a tail.
#[inline]
pub(super) fn put_nonce(tail: &mut [[u8; BLOCK]; 2], at: usize, nonce: u64) {
    tail.as_flattened_mut()[at..at + NONCE].copy_from_slice(&nonce.to_le_bytes());
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::format::FormatVersion;
    use crate::format::digest::{ChainId, Digest};
    use crate::format::model::{HeaderFields, VectorClock};

    /// A header whose producer's name has so many bytes.
    pub(in crate::consensus::work) fn header(name: usize, nonce: u64) -> Header {
        Header::new(HeaderFields {
            version: FormatVersion::V2,
            chain: ChainId([1; 32]),
            height: 7,
            previous_hash: BlockHash([2; 32]),
            merkle_root: Digest([3; 32]),
            history_root: Digest([4; 32]),
            state_root: Digest([5; 32]),
            members_root: Digest([6; 32]),
            weight: 8,
            transactions: 9,
            transaction_count: 0,
            body_size: 0,
            vector_clock: VectorClock::default(),
            timestamp: 10,
            producer: "x".repeat(name),
            difficulty: 11,
            nonce,
        })
        .expect("a short name")
    }

    #[test]
    fn with_each_nonce_it_has_the_hash_of_the_header_with_that_nonce() {
        for name in 1..=130 {
            let template = Template::of(&header(name, 5));
            for nonce in [0, 5, 0x0102_0304_0506_0708, u64::MAX] {
                assert_eq!(template.hash(nonce), header(name, nonce).hash(), "{name}");
            }
        }
    }

    #[test]
    fn of_64_lengths_48_cost_one_compression() {
        let costs = (1..=64).map(|name| {
            let header = header(name, 0);
            let length: usize = header.hash_input().iter().map(|part| part.len()).sum();
            let compressions = Template::of(&header).compressions();
            let is_one = (8..=55).contains(&(length % BLOCK));
            assert_eq!(compressions, if is_one { 1 } else { 2 }, "{length}");
            compressions
        });
        assert_eq!(costs.sum::<usize>(), 48 + 2 * 16);
    }
}
