//! A whole tree with its inner nodes: for many proofs over the same leaves.

use super::{empty_root, inclusion_path_len, parents};
use crate::format::digest::Digest;

/// The tree over some leaf hashes. Memory: 64 bytes a leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// The leaves, the level above, and so on up to the root.
    levels: Vec<Vec<Digest>>,
}

impl Tree {
    /// Hashes all inner nodes. O(n).
    #[must_use]
    pub fn new(leaves: Vec<Digest>) -> Self {
        let mut levels = vec![leaves];
        while let Some(last) = levels.last()
            && last.len() > 1
        {
            let above = parents(last);
            levels.push(above);
        }
        Self { levels }
    }

    /// The number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.levels[0].len() as u64
    }

    /// The root. O(1).
    #[must_use]
    pub fn root(&self) -> Digest {
        let top = self.levels.last().and_then(|top| top.first());
        top.copied().unwrap_or_else(empty_root)
    }

    /// The siblings of leaf `index` on its way to the root, lowest first; `None` if there is no such leaf. O(log n), and
    /// nothing is hashed.
    #[must_use]
    pub fn inclusion_path(&self, index: u64) -> Option<Vec<Digest>> {
        if index >= self.size() {
            return None;
        }
        let mut path = Vec::with_capacity(inclusion_path_len(index, self.size()));
        let mut at = index as usize;
        for level in &self.levels {
            path.extend(level.get(at ^ 1));
            at /= 2;
        }
        Some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::merkle::{inclusion_path, leaf_hash, root};

    #[test]
    fn a_tree_gives_the_root_and_the_paths_of_its_leaves() {
        for size in (0_u64..70).chain([127, 128, 129, 1000]) {
            let leaves: Vec<Digest> = (0..size).map(|n| leaf_hash(&[&n.to_le_bytes()])).collect();
            let tree = Tree::new(leaves.clone());
            assert_eq!((tree.size(), tree.root()), (size, root(&leaves)));
            for index in 0..size.min(80) + 1 {
                assert_eq!(
                    tree.inclusion_path(index),
                    inclusion_path(&leaves, index),
                    "{size}"
                );
            }
        }
    }
}
