//! Inclusion and consistency proofs: building them from leaf hashes, and verifying them without trust.
//!
//! RFC 9162 states verification as a loop over `fn` and `sn`, the node's and the last node's number, halved
//! once a level (sections 2.1.3.2 and 2.1.4.2). Here the same walk is cut at the one level that matters. With
//! `last = size - 1`, let `inner` be the bit length of `index ^ last`: the number of levels until the path
//! from the leaf meets the right edge of the tree.
//!
//! - Below that level every level has a sibling, on the right where the level's bit of `index` is 0, else
//!   on the left.
//! - From it on the node is the right edge itself. A level where the bit of `index` is 1 has a left sibling;
//!   one where it is 0 has none: that is the level the RFC's inner loop skips.
//!
//! So the exact length of a path is known before anything is hashed, a path of another length is refused at
//! once, and no trailing node can be smuggled in. The tests hold both walks against each other.
//!
//! Verification allocates nothing, doesn't panic whatever the input, and hashes at most 64 nodes for an
//! inclusion and 128 for a consistency proof.

use super::{empty_root, node_hash, root, split};
use crate::format::digest::Digest;

/// No inclusion path is longer, whatever the index and size: a tree of `u64` leaves has 64 levels.
pub const MAX_INCLUSION_PATH: usize = 64;

/// No consistency path is longer: a node of the old tree to start from, and one more per level.
pub const MAX_CONSISTENCY_PATH: usize = 65;

/// Why a Merkle proof doesn't hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The leaf is not in a tree of that size.
    #[error("leaf {index} is not in a tree of {size} leaves")]
    Index {
        /// Index of the leaf.
        index: u64,
        /// Number of leaves.
        size: u64,
    },
    /// The path does not have the one length that index and size demand.
    #[error("the path has {found} nodes instead of {expected}")]
    Length {
        /// Number of nodes that the path must have.
        expected: usize,
        /// Number of nodes that it has.
        found: usize,
    },
    /// The tree that should be the earlier one is larger.
    #[error("a tree of {new} leaves can't extend one of {old}")]
    Shrinks {
        /// Size of the earlier tree.
        old: u64,
        /// Size of the later tree.
        new: u64,
    },
    /// Leaf and path don't lead to the root.
    #[error("the path doesn't lead to the root")]
    Root,
    /// The path doesn't lead to the root of the earlier tree.
    #[error("the path doesn't lead to the old root")]
    OldRoot,
    /// The path doesn't lead to the root of the later tree.
    #[error("the path doesn't lead to the new root")]
    NewRoot,
}

/// The siblings of leaf `index` on its way to the root over `leaves`, lowest first (RFC 9162, section
/// 2.1.3.1). `None` if there is no such leaf. Costs about as much as [`root`].
#[must_use]
pub fn inclusion_path(leaves: &[Digest], index: u64) -> Option<Vec<Digest>> {
    let index = usize::try_from(index).ok()?;
    if index >= leaves.len() {
        return None;
    }
    let mut path = Vec::with_capacity(inclusion_path_len(index as u64, leaves.len() as u64));
    collect_inclusion(leaves, index, &mut path);
    Some(path)
}

fn collect_inclusion(leaves: &[Digest], index: usize, path: &mut Vec<Digest>) {
    if leaves.len() == 1 {
        return;
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    if index < left.len() {
        collect_inclusion(left, index, path);
        path.push(root(right));
    } else {
        collect_inclusion(right, index - left.len(), path);
        path.push(root(left));
    }
}

/// The nodes that show the tree over the first `old_size` leaves to be a prefix of the tree over all of
/// `leaves` (RFC 9162, section 2.1.4.1). Costs about as much as [`root`].
///
/// Empty where `old_size` is 0 or all; `None` where it is more than there are leaves.
#[must_use]
pub fn consistency_path(leaves: &[Digest], old_size: u64) -> Option<Vec<Digest>> {
    let old = usize::try_from(old_size).ok()?;
    if old > leaves.len() {
        return None;
    }
    let mut path = Vec::with_capacity(consistency_path_len(old_size, leaves.len() as u64));
    if old > 0 {
        collect_consistency(leaves, old, true, &mut path);
    }
    Some(path)
}

/// `known`: whether these leaves begin with a whole old tree, whose root the verifier already has.
fn collect_consistency(leaves: &[Digest], old: usize, known: bool, path: &mut Vec<Digest>) {
    if old == leaves.len() {
        if !known {
            path.push(root(leaves));
        }
        return;
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    if old <= left.len() {
        collect_consistency(left, old, known, path);
        path.push(root(right));
    } else {
        collect_consistency(right, old - left.len(), false, path);
        path.push(root(left));
    }
}

/// How a path runs through a tree: siblings below the right edge, then left siblings along it.
struct Shape {
    inner: u32,
    border: u32,
}

impl Shape {
    /// The way from leaf `index` to the root of a tree whose last leaf is `last`; `index <= last`.
    fn new(index: u64, last: u64) -> Self {
        let inner = u64::BITS - (index ^ last).leading_zeros();
        // `inner` may be 64, where an ordinary shift would overflow; nothing is left above it then.
        let border = index.checked_shr(inner).unwrap_or(0).count_ones();
        Self { inner, border }
    }
}

/// The number of nodes in the inclusion path of leaf `index` among `size` leaves; 0 where there is no such
/// leaf. At most [`MAX_INCLUSION_PATH`].
#[must_use]
pub fn inclusion_path_len(index: u64, size: u64) -> usize {
    if index >= size {
        return 0;
    }
    let shape = Shape::new(index, size - 1);
    (shape.inner + shape.border) as usize
}

/// The number of nodes in the consistency path from `old_size` to `new_size` leaves; 0 where the sizes are
/// equal, the old tree is empty, or there is no such path. At most [`MAX_CONSISTENCY_PATH`].
#[must_use]
pub fn consistency_path_len(old_size: u64, new_size: u64) -> usize {
    if old_size == 0 || old_size >= new_size {
        return 0;
    }
    let shape = Shape::new(old_size - 1, new_size - 1);
    // The path starts at the old tree's last complete subtree. Where that is all of the old tree, its root
    // is known and left out.
    let start = u32::from(!old_size.is_power_of_two());
    (start + shape.inner - old_size.trailing_zeros() + shape.border) as usize
}

/// Checks that `leaf` (a leaf hash) is number `index` of the `size` leaves under `root`
/// (RFC 9162, section 2.1.3.2).
///
/// Any change of leaf, path or root is refused, and so is any other index at the same size (unless the very
/// same leaf is there too). Another `size` is refused where it changes the path's length or directions, and
/// otherwise can't be: the first of 3 leaves and the first of 4 have the same path. The same goes for an
/// index and size changed together. So `size` must come from something authenticated, such as a block
/// header, which commits to its transaction count.
///
/// # Errors
/// The first thing found wrong, in the order of [`ProofError`].
pub fn verify_inclusion(
    leaf: &Digest,
    index: u64,
    size: u64,
    path: &[Digest],
    root: &Digest,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::Index { index, size });
    }
    check_length(path, inclusion_path_len(index, size))?;
    let shape = Shape::new(index, size - 1);
    let (inner, border) = path.split_at(shape.inner as usize);
    if climb_border(climb(*leaf, inner, index), border) == *root {
        Ok(())
    } else {
        Err(ProofError::Root)
    }
}

/// Checks that the `old_size` leaves under `old_root` are the first of the `new_size` leaves under
/// `new_root` (RFC 9162, section 2.1.4.2).
///
/// Special cases, none of which has a path:
/// - `old_size > new_size` is refused;
/// - equal sizes: the roots must be equal (and, for size 0, those of the empty tree);
/// - `old_size == 0 < new_size`: every tree extends the empty one, so that nothing is claimed of
///   `new_root`; `old_root` must be the empty tree's.
///
/// Otherwise any change of either root or of the path is refused. Other sizes are refused where they change
/// the path's length or directions, and can't be otherwise (see [`verify_inclusion`]): both must be
/// authenticated.
///
/// # Errors
/// The first thing found wrong: sizes, length, old root, new root.
pub fn verify_consistency(
    old_size: u64,
    old_root: &Digest,
    new_size: u64,
    new_root: &Digest,
    path: &[Digest],
) -> Result<(), ProofError> {
    if old_size > new_size {
        return Err(ProofError::Shrinks {
            old: old_size,
            new: new_size,
        });
    }
    check_length(path, consistency_path_len(old_size, new_size))?;
    if old_size == 0 && *old_root != empty_root() {
        return Err(ProofError::OldRoot);
    }
    if old_size == new_size && old_root != new_root {
        return Err(ProofError::NewRoot);
    }
    if old_size == 0 || old_size == new_size {
        return Ok(());
    }
    // Start at the old tree's last complete subtree, `level` levels up: a node of both trees.
    let level = old_size.trailing_zeros();
    let (seed, path) = match path.split_first() {
        Some((seed, rest)) if !old_size.is_power_of_two() => (*seed, rest),
        _ => (*old_root, path),
    };
    let shape = Shape::new(old_size - 1, new_size - 1);
    let (inner, border) = path.split_at((shape.inner - level) as usize);
    let directions = (old_size - 1) >> level;
    // In the old tree the subtree is on the right edge, so only its left siblings are there.
    if climb_border(climb_left(seed, inner, directions), border) != *old_root {
        return Err(ProofError::OldRoot);
    }
    if climb_border(climb(seed, inner, directions), border) != *new_root {
        return Err(ProofError::NewRoot);
    }
    Ok(())
}

fn check_length(path: &[Digest], expected: usize) -> Result<(), ProofError> {
    if path.len() == expected {
        Ok(())
    } else {
        Err(ProofError::Length {
            expected,
            found: path.len(),
        })
    }
}

/// Below the right edge: bit `i` of `directions` says that `siblings[i]` is on the left.
fn climb(start: Digest, siblings: &[Digest], directions: u64) -> Digest {
    siblings
        .iter()
        .enumerate()
        .fold(start, |node, (level, sibling)| {
            if (directions >> level) & 1 == 0 {
                node_hash(&node, sibling)
            } else {
                node_hash(sibling, &node)
            }
        })
}

/// Like [`climb`], but leaves the right siblings out, as a smaller tree did not have them.
fn climb_left(start: Digest, siblings: &[Digest], directions: u64) -> Digest {
    siblings
        .iter()
        .enumerate()
        .fold(start, |node, (level, sibling)| {
            if (directions >> level) & 1 == 0 {
                node
            } else {
                node_hash(sibling, &node)
            }
        })
}

/// Along the right edge: every sibling is on the left.
fn climb_border(start: Digest, siblings: &[Digest]) -> Digest {
    siblings
        .iter()
        .fold(start, |node, sibling| node_hash(sibling, &node))
}
