//! The tree over a state: a compressed sparse Merkle tree of SHA-256, whose root follows from the rows alone, in whatever order they
//! came to be, and against which each row, the absence of a key, and all rows of a range can be proved.
//!
//! A row is in a table, has a key and a value. Its place is the 256 bits of `SHA-256(0x02 ‖ table ‖ key)`, from the highest bit of the
//! first byte on. Of the rows whose places begin with the same bits,
//!
//! - none have the hash `SHA-256("")`;
//! - one has the hash of its leaf, `SHA-256(0x00 ‖ place ‖ SHA-256(0x03 ‖ value))`, however few the bits are;
//! - more have `SHA-256(0x01 ‖ left ‖ right)`, of those whose next bit is 0 and those whose next bit is 1.
//!
//! The hash for no bits at all is the root. The prefixes keep leaves, nodes, places and values apart. Whoever wants rows close to
//! each other has to search for keys with equal beginnings of their hashes, so that paths are hardly longer than the logarithm of the
//! number of rows: n bits deeper cost 2ⁿ times as many hashes.
//!
//! Sources: Dahlberg, Pulls, Peeters, "Efficient Sparse Merkle Trees", 2016; Gao, Hu, Wu, "Jellyfish Merkle Tree", 2021, for the
//! shortening of subtrees with one leaf.

mod path;
pub(crate) mod plan;
mod range;

pub use self::path::{Path, PathEnd, PathError};
use self::plan::{Plan, Planned};
pub(crate) use self::range::{ENDS, Part, Region, Relation};
pub use self::range::{RangeError, RangeProof};
use crate::format::digest::many::hash_many;
use crate::format::digest::pair::Message;
use crate::format::digest::{Digest, sha256};
use crate::format::merkle;

/// The bits of a place, and so the most nodes above a leaf.
pub const DEPTH_MAX: usize = 256;

/// `SHA-256("")`, the hash of no rows.
pub const EMPTY: Digest = Digest([
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
]);

/// Where the row of a key is: `SHA-256(0x02 ‖ table ‖ key)`.
#[must_use]
pub fn place(table: u8, key: &[u8]) -> Digest {
    Digest(sha256(&[&[0x02, table], key]))
}

/// `SHA-256(0x03 ‖ value)`.
#[must_use]
pub fn value_hash(value: &[u8]) -> Digest {
    Digest(sha256(&[&[0x03], value]))
}

/// The hash of a leaf: `SHA-256(0x00 ‖ place ‖ value hash)`.
#[must_use]
pub fn leaf_hash(place: &Digest, value_hash: &Digest) -> Digest {
    Digest(sha256(&[&[0x00], &place.0, &value_hash.0]))
}

/// The places of many keys of one table, hashed many at a time.
pub(crate) fn places(table: u8, keys: &[&[u8]]) -> Vec<Digest> {
    let prefix = [0x02, table];
    let message = |number: usize| Message {
        prefix: &prefix,
        rest: keys[number],
    };
    collect(keys.len(), message)
}

/// The hashes of many values, hashed many at a time.
pub(crate) fn value_hashes(values: &[&[u8]]) -> Vec<Digest> {
    let message = |number: usize| Message {
        prefix: &[0x03],
        rest: values[number],
    };
    collect(values.len(), message)
}

/// The hashes of many leaves, hashed many at a time: of each its place and its value.
pub(crate) fn leaf_hashes(rows: &[(&Digest, &[u8])]) -> Vec<Digest> {
    let values: Vec<&[u8]> = rows.iter().map(|(_, value)| *value).collect();
    let values = value_hashes(&values);
    let hashed = rows
        .iter()
        .zip(values)
        .map(|((place, _), value)| (**place, value));
    hashed_leaves(&hashed.collect::<Vec<_>>())
}

/// The same, of each its place and the hash of its value.
pub(crate) fn hashed_leaves(rows: &[(Digest, Digest)]) -> Vec<Digest> {
    let prefixed = |(place, _): &(Digest, Digest)| {
        let mut prefix = [0x00; 33];
        prefix[1..].copy_from_slice(&place.0);
        prefix
    };
    let prefixes: Vec<[u8; 33]> = rows.iter().map(prefixed).collect();
    let message = |number: usize| Message {
        prefix: &prefixes[number],
        rest: &rows[number].1.0,
    };
    collect(rows.len(), message)
}

fn collect<'a>(count: usize, message: impl Fn(usize) -> Message<'a>) -> Vec<Digest> {
    let mut hashes = Vec::with_capacity(count);
    hash_many(count, message, |_, hash| hashes.push(Digest(hash)));
    hashes
}

/// The bit of a place at a depth below [`DEPTH_MAX`].
#[must_use]
pub(crate) fn bit(place: &Digest, depth: usize) -> bool {
    place.0[depth / 8] >> (7 - depth % 8) & 1 == 1
}

/// How many bits two places begin with alike.
pub(crate) fn shared_bits(a: &Digest, b: &Digest) -> usize {
    let differing = a.0.iter().zip(&b.0).position(|(a, b)| a != b);
    differing.map_or(DEPTH_MAX, |byte| {
        8 * byte + (a.0[byte] ^ b.0[byte]).leading_zeros() as usize
    })
}

/// All rows whose places begin with the same bits, as far as the nodes above them need to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Subtree {
    /// No row.
    #[default]
    Empty,
    /// One row, with its leaf's hash.
    Leaf(Digest),
    /// Several rows, with the node's hash.
    Node(Digest),
}

impl Subtree {
    pub(crate) const fn hash(&self) -> Digest {
        match self {
            Self::Empty => EMPTY,
            Self::Leaf(hash) | Self::Node(hash) => *hash,
        }
    }

    /// What both halves are together, or the two hashes that the node is over, if there is one.
    pub(crate) const fn join(left: Self, right: Self) -> Result<Self, (Digest, Digest)> {
        match (left, right) {
            (Self::Empty, Self::Empty) => Ok(Self::Empty),
            (Self::Leaf(_), Self::Empty) => Ok(left),
            (Self::Empty, Self::Leaf(_)) => Ok(right),
            _ => Err((left.hash(), right.hash())),
        }
    }

    /// What both halves are together.
    pub(crate) fn over(left: Self, right: Self) -> Self {
        Self::join(left, right)
            .unwrap_or_else(|(left, right)| Self::Node(merkle::node_hash(&left, &right)))
    }
}

/// The subtree over leaves that share their first `depth` bits: of each its place, ascending, and its hash. O(leaves).
pub(crate) fn subtree(depth: usize, leaves: &[(Digest, Digest)]) -> Subtree {
    match leaves {
        [] => Subtree::Empty,
        [(_, leaf)] => Subtree::Leaf(*leaf),
        _ => {
            let (left, right) = halves(depth, leaves);
            Subtree::over(subtree(depth + 1, left), subtree(depth + 1, right))
        }
    }
}

/// More leaves aren't planned together. However close somebody's places are, a plan has few nodes then.
const PLAN_LEAVES_MAX: usize = 1024;

/// The same as [`subtree`], hashed many at a time.
pub(crate) fn subtree_of_many(depth: usize, leaves: &[(Digest, Digest)]) -> Subtree {
    if leaves.len() > PLAN_LEAVES_MAX {
        let (left, right) = halves(depth, leaves);
        let left = subtree_of_many(depth + 1, left);
        return Subtree::over(left, subtree_of_many(depth + 1, right));
    }
    let mut plan = Plan::default();
    let whole = planned(depth, leaves, &mut plan);
    plan.run();
    plan.made(whole)
}

fn planned(depth: usize, leaves: &[(Digest, Digest)], plan: &mut Plan) -> Planned {
    match leaves {
        [] => Planned::Known(Subtree::Empty),
        [(_, leaf)] => Planned::Known(Subtree::Leaf(*leaf)),
        _ => {
            let (left, right) = halves(depth, leaves);
            let left = planned(depth + 1, left, plan);
            let right = planned(depth + 1, right, plan);
            plan.join(left, right)
        }
    }
}

/// A place, and the hash of the leaf there.
type Leaf = (Digest, Digest);

/// Those whose next bit is 0, and those whose next bit is 1.
fn halves(depth: usize, leaves: &[Leaf]) -> (&[Leaf], &[Leaf]) {
    leaves.split_at(leaves.partition_point(|(place, _)| !bit(place, depth)))
}

/// The root over rows: of each the hash of its place and of its value, strictly ascending by place. O(rows) hashes.
///
/// This is the definition; the tree that a chain keeps comes to the same, from what changes alone.
#[must_use]
pub fn root(rows: &[(Digest, Digest)]) -> Digest {
    let leaves = rows
        .iter()
        .map(|(place, value)| (*place, leaf_hash(place, value)));
    subtree(0, &leaves.collect::<Vec<_>>()).hash()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_rows_have_the_hash_of_nothing() {
        assert_eq!(root(&[]), Digest(sha256(&[])));
    }

    #[test]
    fn one_row_is_its_leaf_and_two_are_a_node_below_the_bits_they_share() {
        let (a, b) = (Digest([0b1010_0000; 32]), Digest([0b1011_0000; 32]));
        let (x, y) = (value_hash(b"x"), value_hash(b"y"));
        assert_eq!(root(&[(a, x)]), leaf_hash(&a, &x));
        let node = merkle::node_hash(&leaf_hash(&a, &x), &leaf_hash(&b, &y));
        // Three bits are alike, 101: on the way up they come from the last to the first.
        let node = merkle::node_hash(&EMPTY, &node);
        let node = merkle::node_hash(&node, &EMPTY);
        let node = merkle::node_hash(&EMPTY, &node);
        assert_eq!(root(&[(a, x), (b, y)]), node);
        assert_eq!(shared_bits(&a, &b), 3);
    }

    #[test]
    fn a_subtree_of_many_leaves_is_that_of_each_hashed_alone() {
        for count in [0, 1, 2, 3, 100, 1_024, 1_025, 5_000_u32] {
            let places = (0..count).map(|number| place(1, &number.to_le_bytes()));
            let mut leaves: Vec<_> = places
                .map(|place| (place, Digest(sha256(&[&place.0]))))
                .collect();
            // Two that begin alike for long have nodes with nothing beside them.
            if let Some((first, leaf)) = leaves.first().copied() {
                let mut close = first;
                close.0[31] ^= 1;
                leaves.push((close, leaf));
            }
            leaves.sort_unstable();
            assert_eq!(subtree_of_many(0, &leaves), subtree(0, &leaves), "{count}");
        }
    }

    #[test]
    fn hashes_of_many_are_those_of_each() {
        let keys: Vec<Vec<u8>> = (0..100_u8).map(|n| vec![n; usize::from(n)]).collect();
        let slices: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        let places = places(7, &slices);
        let rows: Vec<_> = places.iter().zip(slices.iter().copied()).collect();
        let leaves = leaf_hashes(&rows);
        for (number, key) in slices.iter().enumerate() {
            assert_eq!(places[number], place(7, key));
            assert_eq!(leaves[number], leaf_hash(&places[number], &value_hash(key)));
        }
    }
}
