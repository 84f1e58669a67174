//! All rows of a range of places: proof that these are in the tree, and no others of the range.

use super::{DEPTH_MAX, EMPTY, hashed_leaves, leaf_hash, subtree_of_many};
use crate::format::codec::{self, DecodeError, DecodeProblem, Reader};
use crate::format::digest::Digest;
use crate::format::merkle::node_hash;

/// What the tree looks like around a range of places, from the root down and from left to right: a subtree wholly within the range follows
/// from its rows and has no part here, one wholly outside has its hash, and of one that is partly in it is said what it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RangeProof {
    pub(crate) parts: Vec<Part>,
}

/// A subtree that isn't wholly within the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Wholly outside, with its hash.
    Outside(Digest),
    /// Partly within; without any row.
    Empty,
    /// Partly within; its only row is of the range.
    Within,
    /// Partly within; its only row is not of the range.
    Beside { place: Digest, value: Digest },
    /// Partly within; several rows: both halves follow.
    Node,
}

/// Why a range proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RangeError {
    /// The rows are not in strictly ascending order of their places, or not within the range.
    #[error("the rows are out of order or out of the range")]
    Order,
    /// The parts don't fit the range, or there are too few or too many of them.
    #[error("the proof doesn't fit the range")]
    Shape,
    /// It leads to another root: a row is missing, too many or different.
    #[error("the rows and the proof don't lead to the root")]
    Root,
}

/// The most parts that a proof has: along both ends of the range, two a bit.
pub(crate) const PARTS_MAX: usize = 4 * DEPTH_MAX + 2;

const TAG_OUTSIDE: u8 = 0;
const TAG_EMPTY: u8 = 1;
const TAG_WITHIN: u8 = 2;
const TAG_BESIDE: u8 = 3;
const TAG_NODE: u8 = 4;

/// The lowest and the highest place of all.
pub(crate) const ENDS: (Digest, Digest) = (Digest([0; 32]), Digest([0xff; 32]));

impl RangeProof {
    /// Checks that `rows` are all rows with places from `first` to `last`, both included, in the tree of this root: of each its place and
    /// the hash of its value, in strictly ascending order. O(rows + parts) hashes.
    ///
    /// # Errors
    /// [`RangeError`].
    pub fn verify(
        &self,
        (first, last): (&Digest, &Digest),
        rows: &[(Digest, Digest)],
        root: &Digest,
    ) -> Result<(), RangeError> {
        let is_ascending = rows.windows(2).all(|two| two[0].0 < two[1].0);
        let is_within = rows.first().is_none_or(|row| row.0 >= *first)
            && rows.last().is_none_or(|row| row.0 <= *last);
        if !is_ascending || !is_within || first > last {
            return Err(RangeError::Order);
        }
        let leaves = rows.iter().zip(hashed_leaves(rows));
        let leaves: Vec<_> = leaves.map(|((place, _), leaf)| (*place, leaf)).collect();
        let mut walk = Walk {
            range: (*first, *last),
            parts: self.parts.iter(),
        };
        let found = walk.hash(Region::all(), &leaves)?;
        if walk.parts.next().is_some() {
            return Err(RangeError::Shape);
        }
        if found == *root {
            Ok(())
        } else {
            Err(RangeError::Root)
        }
    }

    /// Appends the canonical encoding (`FORMAT.md`, "Snapshot"): at most 67 KiB.
    pub fn encode(&self, out: &mut Vec<u8>) {
        codec::put_count(out, self.parts.len());
        for part in &self.parts {
            match part {
                Part::Outside(hash) => {
                    out.push(TAG_OUTSIDE);
                    out.extend_from_slice(&hash.0);
                }
                Part::Empty => out.push(TAG_EMPTY),
                Part::Within => out.push(TAG_WITHIN),
                Part::Beside { place, value } => {
                    out.push(TAG_BESIDE);
                    out.extend_from_slice(&place.0);
                    out.extend_from_slice(&value.0);
                }
                Part::Node => out.push(TAG_NODE),
            }
        }
    }

    /// Reads what [`RangeProof::encode`] wrote. Whether it proves anything is for [`RangeProof::verify`] to say.
    ///
    /// # Errors
    /// Anything but the canonical encoding of a proof with as many parts as one can have.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        const FIELD: &str = "range proof";
        let count = reader.count(FIELD, PARTS_MAX, 1)?;
        let mut parts = Vec::with_capacity(count);
        for _ in 0..count {
            let start = reader.clone();
            parts.push(match reader.u8(FIELD)? {
                TAG_OUTSIDE => Part::Outside(Digest(reader.array(FIELD)?)),
                TAG_EMPTY => Part::Empty,
                TAG_WITHIN => Part::Within,
                TAG_BESIDE => Part::Beside {
                    place: Digest(reader.array(FIELD)?),
                    value: Digest(reader.array(FIELD)?),
                },
                TAG_NODE => Part::Node,
                tag => return Err(start.error(FIELD, DecodeProblem::Tag(tag))),
            });
        }
        Ok(Self { parts })
    }
}

struct Walk<'a> {
    range: (Digest, Digest),
    parts: std::slice::Iter<'a, Part>,
}

impl Walk<'_> {
    /// The hash of a region: `leaves` are those of the range in it. At most [`DEPTH_MAX`] deep.
    fn hash(&mut self, region: Region, leaves: &[(Digest, Digest)]) -> Result<Digest, RangeError> {
        let part = match region.relation(&self.range) {
            Relation::Within => return Ok(subtree_of_many(region.depth, leaves).hash()),
            Relation::Outside => match self.parts.next() {
                Some(Part::Outside(hash)) => return Ok(*hash),
                _ => return Err(RangeError::Shape),
            },
            Relation::Partly => self.parts.next().ok_or(RangeError::Shape)?,
        };
        match (part, leaves) {
            (Part::Empty, []) => Ok(EMPTY),
            (Part::Within, [(_, leaf)]) => Ok(*leaf),
            (Part::Beside { place, value }, [])
                // A row in the range that is passed off as one beside it would be hidden.
                if region.holds(place) && !(self.range.0..=self.range.1).contains(place) =>
            {
                Ok(leaf_hash(place, value))
            }
            (Part::Node, _) => {
                let (left, right) = region.halves();
                let middle = leaves.partition_point(|(place, _)| *place < right.first);
                let (lower, upper) = leaves.split_at(middle);
                let left = self.hash(left, lower)?;
                let right = self.hash(right, upper)?;
                Ok(node_hash(&left, &right))
            }
            _ => Err(RangeError::Shape),
        }
    }
}

/// How a region lies to a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    Within,
    Outside,
    Partly,
}

/// All places that begin with the same bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Region {
    pub(crate) depth: usize,
    pub(crate) first: Digest,
    pub(crate) last: Digest,
}

impl Region {
    pub(crate) const fn all() -> Self {
        let (first, last) = ENDS;
        Self {
            depth: 0,
            first,
            last,
        }
    }

    pub(crate) fn relation(&self, (first, last): &(Digest, Digest)) -> Relation {
        if *first <= self.first && self.last <= *last {
            Relation::Within
        } else if self.last < *first || *last < self.first {
            Relation::Outside
        } else {
            Relation::Partly
        }
    }

    pub(crate) fn holds(&self, place: &Digest) -> bool {
        (self.first..=self.last).contains(place)
    }

    /// Both halves; of a region of more than one place, which any is that is only partly in a range.
    pub(crate) fn halves(&self) -> (Self, Self) {
        let (byte, bit) = (self.depth / 8, 0x80 >> (self.depth % 8));
        let depth = self.depth + 1;
        let (mut left, mut right) = (*self, *self);
        left.last.0[byte] &= !bit;
        right.first.0[byte] |= bit;
        (left.depth, right.depth) = (depth, depth);
        (left, right)
    }
}
