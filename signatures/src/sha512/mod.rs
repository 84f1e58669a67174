//! The hashes of a batch: SHA-512 (FIPS 180-4) of `R ‖ A ‖ M` for many signatures, several lanes at a time.
//!
//! SHA-512 is a chain from block to block and does not go faster within a message, so each lane of a vector has a
//! message of its own. Messages differ in length: they are sorted by their number of blocks, and each
//! [`LANES`](Words::LANES) of them that follow one another go through the compression function together, as many
//! times as the longest has blocks. A lane's digest is taken after its own last block; what it does from there on
//! counts for nothing. A message so long that the others would mostly wait for it is hashed alone.
//!
//! Layout: [`words`] is what an instruction set gives and the compression function, [`avx2`] and [`avx512`] are the
//! instruction sets, [`lane`] cuts preimages into blocks, [`order`] sorts.
//!
//! Cost: 384 bytes of room for each lane, on the stack, into which a message's first and last blocks are copied; the
//! blocks between are read in place. Four bytes for each message in `order`.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod lane;
mod order;
#[cfg(test)]
mod tests;
mod words;

use sha2::{Digest, Sha512};

#[cfg(target_arch = "x86_64")]
pub(crate) use self::avx2::challenges_avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use self::avx512::challenges_avx512;
use self::lane::{Lane, blocks};
use self::words::{Blocks, INITIAL, LANES_MAX, State, Words};

/// What a signature's challenge is the hash of: `R ‖ A ‖ M`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Preimage<'a> {
    /// The encoding of `R`.
    pub(crate) r: &'a [u8; 32],
    /// The encoding of the key `A`.
    pub(crate) key: &'a [u8; 32],
    /// The message `M`.
    pub(crate) message: &'a [u8],
}

/// The most preimages that are sorted at a time.
const SORTED: usize = 1 << 16;

/// The digests of the preimages, as [`challenges`] gives them, one at a time with the `sha2` crate.
#[cfg(test)]
pub(crate) fn challenges_portable(
    preimages: &[Preimage<'_>],
    digests: &mut [[u64; 8]],
    _order: &mut Vec<u32>,
) {
    assert_eq!(preimages.len(), digests.len());
    for (preimage, digest) in preimages.iter().zip(digests) {
        *digest = preimage.digest();
    }
}

impl Preimage<'_> {
    /// Its digest, with the `sha2` crate.
    pub(crate) fn digest(&self) -> [u64; 8] {
        let hash = Sha512::new().chain_update(self.r).chain_update(self.key);
        let digest = hash.chain_update(self.message).finalize();
        let (limbs, _) = digest.as_slice().as_chunks();
        core::array::from_fn(|i| u64::from_le_bytes(limbs[i]))
    }
}

/// Sets each of `digests` to its preimage's digest, as the eight limbs, lowest first, of the little-endian integer
/// that Ed25519 reduces modulo `ℓ`. `order` is room to be used again: what it holds does not matter.
///
/// # Panics
/// If there are not as many digests as preimages.
///
/// # Safety
/// See [`words`].
#[inline(always)]
pub(crate) unsafe fn challenges<W: Words>(
    preimages: &[Preimage<'_>],
    digests: &mut [[u64; 8]],
    order: &mut Vec<u32>,
) {
    assert_eq!(preimages.len(), digests.len());
    let mut lanes = [const { Lane::EMPTY }; LANES_MAX];
    for (preimages, digests) in preimages.chunks(SORTED).zip(digests.chunks_mut(SORTED)) {
        order::by_blocks(preimages, order);
        let mut rest = order.as_slice();
        while let Some((&first, others)) = rest.split_first() {
            if stands_out(preimages, first, others) {
                digests[first as usize] = preimages[first as usize].digest();
                rest = others;
                continue;
            }
            let (group, after) = rest.split_at(W::LANES.min(rest.len()));
            fill(&mut lanes, preimages, group);
            // SAFETY: as for this function.
            unsafe {
                hash::<W>(&lanes, |lane, digest| {
                    digests[group[lane] as usize] = digest
                })
            };
            rest = after;
        }
    }
}

/// Whether the first preimage is better hashed alone: if it has more than twice as many blocks as the next.
///
/// A group costs what its longest preimage costs, and a vector block about twice a block hashed alone. So with `b`
/// blocks in the first and `c` in the next, hashing it alone costs `b` and saves `2(b - c)`.
fn stands_out(preimages: &[Preimage<'_>], first: u32, others: &[u32]) -> bool {
    let blocks_of = |&i: &u32| blocks(&preimages[i as usize]);
    blocks_of(&first) > 2 * others.first().map_or(0, blocks_of)
}

/// Gives each of a group's preimages a lane.
fn fill<'a>(lanes: &mut [Lane<'a>; LANES_MAX], preimages: &[Preimage<'a>], group: &[u32]) {
    lanes.iter_mut().for_each(Lane::clear);
    for (lane, &i) in lanes.iter_mut().zip(group) {
        lane.fill(&preimages[i as usize]);
    }
}

/// Hashes what is in the lanes, and hands over each lane's digest.
///
/// # Safety
/// See [`words`].
#[inline(always)]
unsafe fn hash<W: Words>(lanes: &[Lane<'_>; LANES_MAX], mut done: impl FnMut(usize, [u64; 8])) {
    let longest = lanes.iter().map(Lane::blocks).max().unwrap_or(0);
    let mut state: State = INITIAL.map(|word| [word; LANES_MAX]);
    for n in 0..longest {
        let blocks: Blocks = core::array::from_fn(|lane| lanes[lane].block(n).as_ptr());
        // SAFETY: as for this function; `Lane::block` gives a whole block.
        unsafe { W::compress(&mut state, &blocks) };
        let ended = lanes
            .iter()
            .enumerate()
            .filter(|(_, lane)| lane.blocks() == n + 1);
        ended.for_each(|(lane, _)| done(lane, state.map(|word| word[lane].swap_bytes())));
    }
}
