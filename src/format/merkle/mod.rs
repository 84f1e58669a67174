//! Merkle trees of RFC 9162: hashes, roots, inclusion and consistency proofs, and an appendable frontier.
//!
//! The tree over `n` leaves splits at the largest power of two below `n`; a leaf is
//! `SHA-256(0x00 ‖ data)`, an inner node `SHA-256(0x01 ‖ left ‖ right)`, the empty tree `SHA-256("")`.
//! Nothing is padded and no leaf is ever duplicated, so that two different leaf lists never share a root
//! (unless SHA-256 collides): the prefixes keep leaves and nodes apart, and the shape follows from `n`.
//!
//! All functions here take *leaf hashes*; [`leaf_hash`] makes one from data. Indices and sizes are `u64`
//! because that is what blocks and proofs carry.
//!
//! **What a proof does not prove.** A proof carries no sizes of its own, and RFC 9162 leaves a freedom in
//! them: sizes that lead to the same path (same directions, same length) verify alike. Sizes have to come
//! from something authenticated: here the block header, which commits to its transaction count and height.
//! See [`verify_inclusion`] and [`verify_consistency`] for exactly what is refused.
//!
//! Source: RFC 9162, "Certificate Transparency Version 2.0", section 2.1. The same tree as in RFC 6962.

mod chunks;
mod frontier;
mod proof;
mod tree;

pub(crate) use chunks::Chunks;
pub use frontier::{Frontier, MAX_FRONTIER_SIZE};
pub use proof::{
    MAX_CONSISTENCY_PATH, MAX_INCLUSION_PATH, ProofError, consistency_path, consistency_path_len,
    inclusion_path, inclusion_path_len, verify_consistency, verify_inclusion,
};

pub use tree::Tree;

use crate::format::digest::many::hash_many;
use crate::format::digest::pair::Message;
use crate::format::digest::{BlockHash, Digest, sha256};
use sha2::{Digest as _, Sha256};

/// The leaf of a chain's history tree that stands for the block `hash`.
#[must_use]
pub fn history_leaf(hash: &BlockHash) -> Digest {
    leaf_hash(&[&hash.0])
}

/// The hash of a leaf whose data is the concatenation of `parts`: `SHA-256(0x00 ‖ parts…)`.
#[must_use]
pub fn leaf_hash(parts: &[&[u8]]) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update([0x00]);
    for part in parts {
        hasher.update(part);
    }
    Digest(hasher.finalize().into())
}

/// The hash of an inner node: `SHA-256(0x01 ‖ left ‖ right)`. Two compressions.
#[must_use]
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    // One buffer rather than three updates: the hasher's own buffering costs more than the copy.
    let mut input = [0x01; 65];
    input[1..33].copy_from_slice(left.as_bytes());
    input[33..].copy_from_slice(right.as_bytes());
    Digest(Sha256::digest(input).into())
}

/// The root of the tree without leaves: `SHA-256("")`.
#[must_use]
pub fn empty_root() -> Digest {
    Digest(sha256(&[]))
}

/// The root over `leaves`, which are leaf hashes. `n - 1` node hashes, and room for half of the leaves.
#[must_use]
pub fn root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let mut level = parents(leaves);
            while level.len() > 1 {
                level = parents(&level);
            }
            level[0]
        }
    }
}

/// The level above: a node for each two, and a last one without a neighbour as it is. That is the same tree as splitting at
/// the largest power of two, since every left half is complete.
fn parents(level: &[Digest]) -> Vec<Digest> {
    let prefix = |two: &[Digest]| {
        let mut prefix = [0x01; 33];
        prefix[1..].copy_from_slice(&two[0].0);
        prefix
    };
    let prefixes: Vec<[u8; 33]> = level.chunks_exact(2).map(prefix).collect();
    let message = |number: usize| Message {
        prefix: &prefixes[number],
        rest: &level[2 * number + 1].0,
    };
    let mut above = Vec::with_capacity(level.len().div_ceil(2));
    hash_many(prefixes.len(), message, |_, node| above.push(Digest(node)));
    above.extend(level.chunks_exact(2).remainder());
    above
}

/// The largest power of two below `n`, where RFC 9162 splits `n > 1` leaves.
fn split(n: usize) -> usize {
    debug_assert!(n > 1, "a single leaf is not split");
    1 << (n - 1).ilog2()
}

#[cfg(test)]
mod tests;
