//! MPREG's Merkle tree over the signing bytes of a block's transactions.
//!
//! A leaf is SHA-256(`leaf:` ‖ data), an inner node SHA-256(`internal:LEFT:RIGHT`) over the children's
//! lowercase hexadecimal digits. The leaves are padded to a power of two with the data `__PADDING_i__`,
//! `i` counting on from the number of leaves; no leaves have the empty string as their root.
//!
//! The padding makes roots ambiguous: a list that ends in the data `__PADDING_3__` has the root of the
//! list without it. Transactions can't have such signing bytes, other data can.

mod forest;

use std::io::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use self::forest::{Leaves, roots};

/// A node's hash as 64 lowercase hexadecimal digits, which is how parents hash it.
pub type Node = [u8; 64];

/// SHA-256 of `hasher`'s input as lowercase hexadecimal digits.
pub fn finish_hex(hasher: Sha256) -> Node {
    let mut text = [0; 64];
    hex::encode_to_slice(hasher.finalize(), &mut text).expect("64 digits hold 32 bytes");
    text
}

/// The digits of `node` as text.
pub fn node_text(node: &Node) -> &str {
    std::str::from_utf8(node).expect("a node is hexadecimal digits")
}

/// The hash of one leaf.
pub fn leaf(data: &[u8]) -> Node {
    let mut hasher = Sha256::new_with_prefix(b"leaf:");
    hasher.update(data);
    finish_hex(hasher)
}

fn parent(left: &[u8], right: &[u8]) -> Node {
    let mut hasher = Sha256::new_with_prefix(b"internal:");
    hasher.update(left);
    hasher.update(b":");
    hasher.update(right);
    finish_hex(hasher)
}

fn pad(nodes: &mut Vec<Node>) {
    for index in nodes.len()..nodes.len().next_power_of_two() {
        let mut data = Vec::new();
        write_padding(index, &mut data);
        nodes.push(leaf(&data));
    }
}

/// Appends the data of the leaf that pads at `index`.
fn write_padding(index: usize, out: &mut Vec<u8>) {
    write!(out, "__PADDING_{index}__").expect("writing to a vector can't fail");
}

/// Replaces a level by the one above it.
fn ascend(nodes: &mut Vec<Node>) {
    let half = nodes.len() / 2;
    for index in 0..half {
        nodes[index] = parent(&nodes[2 * index], &nodes[2 * index + 1]);
    }
    nodes.truncate(half);
}

/// The root over `leaves` in lowercase hexadecimal digits; the empty string for no leaves.
#[must_use]
pub fn root<L: AsRef<[u8]>>(leaves: &[L]) -> String {
    let mut nodes: Vec<Node> = leaves.iter().map(|data| leaf(data.as_ref())).collect();
    if nodes.is_empty() {
        return String::new();
    }
    pad(&mut nodes);
    while nodes.len() > 1 {
        ascend(&mut nodes);
    }
    node_text(&nodes[0]).to_owned()
}

/// One step of a [`Proof`] from the leaf towards the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The sibling's hash.
    pub hash: String,
    /// Whether the sibling stands on the right.
    pub is_right_sibling: bool,
}

/// MPREG's proof that a leaf is under a root, in MPREG's own JSON form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Position of the leaf. [`Proof::verify`] doesn't look at it: see there.
    pub leaf_index: u64,
    /// The leaf's data, not its hash.
    #[serde(with = "hex::serde")]
    pub leaf_data: Vec<u8>,
    /// The siblings, from the leaf's own up to the root's child.
    pub proof_path: Vec<Step>,
    /// The root that the path leads to.
    pub root_hash: String,
}

impl Proof {
    /// The proof for the leaf at `index`, or `None` if there is no such leaf.
    #[must_use]
    pub fn generate<L: AsRef<[u8]>>(leaves: &[L], index: usize) -> Option<Self> {
        let leaf_data = leaves.get(index)?.as_ref().to_vec();
        let mut nodes: Vec<Node> = leaves.iter().map(|data| leaf(data.as_ref())).collect();
        pad(&mut nodes);
        let mut proof_path = Vec::new();
        let mut position = index;
        while nodes.len() > 1 {
            let hash = node_text(&nodes[position ^ 1]).to_owned();
            proof_path.push(Step {
                hash,
                is_right_sibling: position.is_multiple_of(2),
            });
            ascend(&mut nodes);
            position /= 2;
        }
        let root_hash = node_text(&nodes[0]).to_owned();
        Some(Self {
            leaf_index: index as u64,
            leaf_data,
            proof_path,
            root_hash,
        })
    }

    /// Whether the path leads from the leaf to the root, by MPREG's rule.
    ///
    /// That rule shows that the leaf is *somewhere* under the root: it ignores `leaf_index`, and nothing
    /// ties the path's length to the tree's size. The caller compares `root_hash` with one it trusts.
    #[must_use]
    pub fn verify(&self) -> bool {
        if self.leaf_data.is_empty() {
            return false;
        }
        let top = self
            .proof_path
            .iter()
            .fold(leaf(&self.leaf_data), |node, step| {
                let sibling = step.hash.as_bytes();
                if step.is_right_sibling {
                    parent(&node, sibling)
                } else {
                    parent(sibling, &node)
                }
            });
        self.root_hash.as_bytes() == top
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_leaves_have_the_empty_root_and_no_proof() {
        assert_eq!(root::<&[u8]>(&[]), "");
        assert_eq!(Proof::generate::<&[u8]>(&[], 0), None);
    }

    #[test]
    fn every_leaf_of_every_small_tree_has_a_proof_that_no_change_survives() {
        for count in 1..20usize {
            let leaves: Vec<Vec<u8>> = (0..count).map(|i| format!("leaf {i}").into()).collect();
            for index in 0..count {
                let proof = Proof::generate(&leaves, index).expect("the leaf is there");
                assert_eq!(proof.root_hash, root(&leaves));
                assert!(proof.verify());
                let mut other = proof.clone();
                other.leaf_data.push(0);
                assert!(!other.verify());
                for step in 0..proof.proof_path.len() {
                    let mut other = proof.clone();
                    other.proof_path[step].is_right_sibling ^= true;
                    assert!(!other.verify());
                }
            }
            assert_eq!(Proof::generate(&leaves, count), None);
        }
    }

    #[test]
    fn padding_makes_two_leaf_lists_share_a_root() {
        assert_eq!(
            root(&["a", "b", "c"]),
            root(&["a", "b", "c", "__PADDING_3__"])
        );
    }
}
