//! The right edge of a growing tree: enough to append leaves and to know the root, in O(log n).

use super::{empty_root, node_hash};
use crate::format::digest::Digest;

/// [`Frontier::from_parts`] refuses a larger tree, so that counting the leaves of one can't overflow.
pub const MAX_FRONTIER_SIZE: u64 = 1 << 63;

/// A tree that can be appended to, kept as its peaks: the roots of the complete subtrees that it is made of.
///
/// There is one peak per one-bit of the size, the largest subtree (and highest bit) first. A push costs two
/// compressions amortised, a root one node hash per peak, and the whole at most 2 KiB.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Digest>,
}

impl Frontier {
    /// The tree without leaves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The frontier that [`Self::size`] and [`Self::peaks`] came from. `None` unless there is exactly one
    /// peak per one-bit of `size`, and `size` is at most [`MAX_FRONTIER_SIZE`].
    ///
    /// Nothing else can be wrong with the parts, but they may be those of another tree: where they come from
    /// somebody else, compare the root.
    #[must_use]
    pub fn from_parts(size: u64, peaks: Vec<Digest>) -> Option<Self> {
        let whole = size <= MAX_FRONTIER_SIZE && peaks.len() == size.count_ones() as usize;
        whole.then_some(Self { size, peaks })
    }

    /// Appends a leaf hash.
    pub fn push(&mut self, leaf: Digest) {
        // Each trailing one-bit is a peak as large as the subtree that the new leaf has completed so far.
        let mut node = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// The root over all leaves so far.
    #[must_use]
    pub fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev();
        peaks.next().map_or_else(empty_root, |last| {
            peaks.fold(*last, |node, peak| node_hash(peak, &node))
        })
    }

    /// The number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the complete subtrees, largest (leftmost) first.
    #[must_use]
    pub fn peaks(&self) -> &[Digest] {
        &self.peaks
    }
}

impl Extend<Digest> for Frontier {
    fn extend<I: IntoIterator<Item = Digest>>(&mut self, leaves: I) {
        leaves.into_iter().for_each(|leaf| self.push(leaf));
    }
}

impl FromIterator<Digest> for Frontier {
    fn from_iter<I: IntoIterator<Item = Digest>>(leaves: I) -> Self {
        let mut frontier = Self::new();
        frontier.extend(leaves);
        frontier
    }
}
