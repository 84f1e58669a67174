//! The path to the place of one key: proof that a row is in the tree with a value, or that none is.

use super::{DEPTH_MAX, EMPTY, bit, leaf_hash, shared_bits, value_hash};
use crate::format::digest::Digest;
use crate::format::merkle::node_hash;

/// The way from the root to where the row of a key is or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The hashes beside the way, from the root down; at most [`DEPTH_MAX`].
    pub siblings: Vec<Digest>,
    /// What is at its end.
    pub end: PathEnd,
}

/// What is at the end of a [`Path`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathEnd {
    /// The row of the key.
    Present,
    /// No row: none begins with the bits of the way.
    Empty,
    /// The only row that begins with the bits of the way, which is that of another key.
    Other {
        /// Its place.
        place: Digest,
        /// The hash of its value.
        value: Digest,
    },
}

/// Why a path proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// More siblings than a place has bits.
    #[error("the path is longer than any")]
    Length,
    /// It ends in a row where absence is to be proved, or in none where a value is.
    #[error("the path ends in something else than what is to be proved")]
    End,
    /// The other row at its end couldn't be there.
    #[error("the row at the end of the path belongs elsewhere")]
    Place,
    /// It leads to another root.
    #[error("the path doesn't lead to the root")]
    Root,
}

impl Path {
    /// Checks that the row at `place` has this value, or that there is no such row if it is `None`, in the tree of this root.
    /// O(siblings + bytes of the value); allocates nothing.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn verify(
        &self,
        place: &Digest,
        value: Option<&[u8]>,
        root: &Digest,
    ) -> Result<(), PathError> {
        let depth = self.siblings.len();
        if depth > DEPTH_MAX {
            return Err(PathError::Length);
        }
        let mut hash = match (&self.end, value) {
            (PathEnd::Present, Some(value)) => leaf_hash(place, &value_hash(value)),
            (PathEnd::Empty, None) => EMPTY,
            (
                PathEnd::Other {
                    place: other,
                    value,
                },
                None,
            ) => {
                // A row that shares fewer bits would be elsewhere, and that of the key itself is not absent.
                if other == place || shared_bits(other, place) < depth {
                    return Err(PathError::Place);
                }
                leaf_hash(other, value)
            }
            _ => return Err(PathError::End),
        };
        for (depth, sibling) in self.siblings.iter().enumerate().rev() {
            hash = match bit(place, depth) {
                false => node_hash(&hash, sibling),
                true => node_hash(sibling, &hash),
            };
        }
        if hash == *root {
            Ok(())
        } else {
            Err(PathError::Root)
        }
    }
}
