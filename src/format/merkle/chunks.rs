//! A growing tree of which only the nodes above chunks of leaves are kept: for proofs over a long list whose leaves can be read
//! again. A proof reads a few chunks and hashes O(log n) nodes instead of all of them; a leaf costs one byte of memory.

use std::ops::Range;

use super::{parents, split};
use crate::format::digest::Digest;

/// Leaves in a chunk.
const CHUNK: u64 = 64;

/// The nodes above complete chunks. Leaves are asked for where they are needed.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    /// Roots of the complete chunks, of complete pairs of them, and so on.
    levels: Vec<Vec<Digest>>,
}

impl Chunks {
    /// Takes in the complete chunks of the first `size` leaves. O(new leaves).
    ///
    /// # Errors
    /// Those of `leaf`.
    pub(crate) fn extend<E>(
        &mut self,
        size: u64,
        leaf: &mut impl FnMut(u64) -> Result<Digest, E>,
    ) -> Result<(), E> {
        let known = self.levels.first().map_or(0, Vec::len) as u64;
        for chunk in known..size / CHUNK {
            let leaves: Result<Vec<_>, E> = (chunk * CHUNK..(chunk + 1) * CHUNK)
                .map(&mut *leaf)
                .collect();
            self.push(super::root(&leaves?));
        }
        Ok(())
    }

    fn push(&mut self, mut node: Digest) {
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            self.levels[level].push(node);
            match self.levels[level][..] {
                [.., left, right] if self.levels[level].len().is_multiple_of(2) => {
                    node = parents(&[left, right])[0];
                }
                _ => return,
            }
        }
    }

    /// The root over some leaves that are a subtree of the whole.
    fn root<E>(
        &self,
        leaves: Range<u64>,
        leaf: &mut impl FnMut(u64) -> Result<Digest, E>,
    ) -> Result<Digest, E> {
        let count = leaves.end - leaves.start;
        if count < CHUNK {
            let leaves: Result<Vec<_>, E> = leaves.map(leaf).collect();
            return Ok(super::root(&leaves?));
        }
        if count.is_power_of_two() {
            let level = (count / CHUNK).ilog2() as usize;
            let kept = self
                .levels
                .get(level)
                .map(Vec::as_slice)
                .unwrap_or_default();
            if let Some(node) = kept.get((leaves.start / count) as usize) {
                return Ok(*node);
            }
        }
        let (left, right) = halves(&leaves);
        let halves = [self.root(left, leaf)?, self.root(right, leaf)?];
        Ok(parents(&halves)[0])
    }

    /// As [`inclusion_path`](super::inclusion_path), over the first `size` leaves, of which `index` is one.
    ///
    /// # Errors
    /// Those of `leaf`.
    pub(crate) fn inclusion_path<E>(
        &self,
        index: u64,
        size: u64,
        leaf: &mut impl FnMut(u64) -> Result<Digest, E>,
    ) -> Result<Vec<Digest>, E> {
        let (mut path, mut leaves) = (Vec::new(), 0..size);
        while leaves.end - leaves.start > 1 {
            let (left, right) = halves(&leaves);
            let (inner, sibling) = match left.contains(&index) {
                true => (left, right),
                false => (right, left),
            };
            path.push(self.root(sibling, leaf)?);
            leaves = inner;
        }
        path.reverse();
        Ok(path)
    }

    /// As [`consistency_path`](super::consistency_path), from the first `old` to the first `size` leaves; `old` is neither 0
    /// nor more than `size`.
    ///
    /// # Errors
    /// Those of `leaf`.
    pub(crate) fn consistency_path<E>(
        &self,
        old: u64,
        size: u64,
        leaf: &mut impl FnMut(u64) -> Result<Digest, E>,
    ) -> Result<Vec<Digest>, E> {
        // `known`: whether these leaves begin with the whole old tree, whose root the verifier already has.
        let (mut path, mut leaves, mut known) = (Vec::new(), 0..size, true);
        while leaves.end != old {
            let (left, right) = halves(&leaves);
            let sibling = if old <= left.end {
                leaves = left;
                right
            } else {
                known = false;
                leaves = right;
                left
            };
            path.push(self.root(sibling, leaf)?);
        }
        if !known {
            path.push(self.root(leaves, leaf)?);
        }
        path.reverse();
        Ok(path)
    }
}

fn halves(leaves: &Range<u64>) -> (Range<u64>, Range<u64>) {
    let middle = leaves.start + split((leaves.end - leaves.start) as usize) as u64;
    (leaves.start..middle, middle..leaves.end)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::format::merkle::{consistency_path, inclusion_path, leaf_hash};

    #[test]
    fn paths_are_those_over_all_leaves_and_few_are_read() {
        let all: Vec<Digest> = (0..1_500_u64)
            .map(|n| leaf_hash(&[&n.to_le_bytes()]))
            .collect();
        let mut chunks = Chunks::default();
        for size in [1_u64, 2, 63, 64, 65, 127, 128, 129, 500, 640, 1_025, 1_500] {
            let leaves = &all[..size as usize];
            let mut read = 0;
            let mut leaf = |index: u64| {
                read += 1;
                Ok::<_, Infallible>(all[index as usize])
            };
            chunks.extend(size, &mut leaf).expect("infallible");
            for index in (0..size).step_by(1 + size as usize / 40).chain([size - 1]) {
                let path = chunks.inclusion_path(index, size, &mut leaf);
                assert_eq!(
                    path.ok(),
                    inclusion_path(leaves, index),
                    "{index} of {size}"
                );
                let path = chunks.consistency_path(index + 1, size, &mut leaf);
                assert_eq!(
                    path.ok(),
                    consistency_path(leaves, index + 1),
                    "{index} of {size}"
                );
            }
            read = 0;
            let mut leaf = |index: u64| {
                read += 1;
                Ok::<_, Infallible>(all[index as usize])
            };
            chunks
                .inclusion_path(size / 2, size, &mut leaf)
                .expect("infallible");
            assert!(read < 3 * CHUNK, "{read} leaves read for one of {size}");
        }
    }

    #[test]
    fn a_shorter_tree_than_the_chunks_are_of_has_its_own_paths() {
        let all: Vec<Digest> = (0..700_u64)
            .map(|n| leaf_hash(&[&n.to_le_bytes()]))
            .collect();
        let mut leaf = |index: u64| Ok::<_, Infallible>(all[index as usize]);
        let mut chunks = Chunks::default();
        chunks.extend(700, &mut leaf).expect("infallible");
        for size in 1..400_u64 {
            let leaves = &all[..size as usize];
            let path = chunks.inclusion_path(size / 3, size, &mut leaf);
            assert_eq!(path.ok(), inclusion_path(leaves, size / 3), "{size}");
        }
    }
}
