//! Proofs of what a tree holds: paths to places, and all rows of a range.

use super::StateTree;
use super::leaves::{Row, subtree_of};
use super::page::{BITS, Branch, Page, Slot, with_nibble};
use super::store::Pages;
use crate::format::digest::Digest;
use crate::format::sparse::{
    Part, Path, PathEnd, RangeProof, Region, Relation, Subtree, bit, value_hash,
};

/// A subtree of a tree whose hashes are made, wherever in a page it is.
#[derive(Clone)]
enum Node<'a> {
    Empty,
    /// A subtree of a branch, by its number.
    Within {
        branch: &'a Branch,
        number: usize,
        depth: usize,
        /// The bits that the branch's page is at.
        place: Digest,
        pages: &'a Pages,
    },
    Rows {
        rows: Vec<Row<'a>>,
        depth: usize,
    },
}

impl<'a> Node<'a> {
    fn of_slot(slot: &'a Slot, place: Digest, depth: usize, pages: &'a Pages) -> Self {
        match slot.get(pages, &place, depth) {
            None => Self::Empty,
            Some(Page::Leaves(leaves)) => Self::Rows {
                rows: leaves.rows().collect(),
                depth,
            },
            Some(Page::Branch(branch)) => Self::Within {
                branch,
                number: 1,
                depth,
                place,
                pages,
            },
        }
    }

    fn subtree(&self) -> Subtree {
        match self {
            Self::Empty => Subtree::Empty,
            Self::Within { branch, number, .. } => branch.subtree(*number),
            Self::Rows { rows, depth } => subtree_of(*depth, rows),
        }
    }

    /// Both halves.
    fn halves(&self) -> (Self, Self) {
        match self {
            Self::Empty => (Self::Empty, Self::Empty),
            Self::Within {
                branch,
                number,
                depth,
                place,
                pages,
            } => {
                let depth = depth + 1;
                let below = |number: usize| match number.checked_sub(16) {
                    Some(slot) => {
                        let place = with_nibble(place, depth - BITS, slot);
                        Self::of_slot(branch.slot(slot), place, depth, pages)
                    }
                    None => Self::Within {
                        branch,
                        number,
                        depth,
                        place: *place,
                        pages,
                    },
                };
                (below(2 * number), below(2 * number + 1))
            }
            Self::Rows { rows, depth } => {
                let middle = rows.partition_point(|row| !bit(&row.place(), *depth));
                let depth = depth + 1;
                let of = |rows: &[Row<'a>]| Self::Rows {
                    rows: rows.to_vec(),
                    depth,
                };
                (of(&rows[..middle]), of(&rows[middle..]))
            }
        }
    }

    /// The only row of a subtree with one.
    fn only(&self) -> Option<Row<'a>> {
        let mut node = self.clone();
        loop {
            match &node {
                Self::Empty => return None,
                Self::Rows { rows, .. } => return rows.first().copied(),
                Self::Within { .. } => {
                    let (left, right) = node.halves();
                    node = match left.subtree() {
                        Subtree::Empty => right,
                        _ => left,
                    };
                }
            }
        }
    }
}

impl StateTree {
    /// The tree with its hashes made, which proofs are taken from.
    fn whole_node(&self) -> Option<Node<'_>> {
        if self.is_empty() {
            return Some(Node::Empty);
        }
        self.whole?;
        Some(Node::of_slot(&self.top, Digest::ZERO, 0, &self.pages))
    }

    /// The path to the place of a key, and the value that is there; `None` if something changed since the root was asked for.
    /// O(log rows), and some 16 hashes.
    #[must_use]
    pub fn prove(&self, table: u8, key: &[u8]) -> Option<(Path, Option<&[u8]>)> {
        let place = crate::format::sparse::place(table, key);
        let mut node = self.whole_node()?;
        let mut siblings = Vec::new();
        loop {
            match node.subtree() {
                Subtree::Empty => {
                    let end = PathEnd::Empty;
                    return Some((Path { siblings, end }, None));
                }
                Subtree::Leaf(_) => {
                    let row = node.only()?;
                    if row.place() == place {
                        let end = PathEnd::Present;
                        return Some((Path { siblings, end }, Some(row.value())));
                    }
                    let end = PathEnd::Other {
                        place: row.place(),
                        value: value_hash(row.value()),
                    };
                    return Some((Path { siblings, end }, None));
                }
                Subtree::Node(_) => {
                    let (left, right) = node.halves();
                    let (on, beside) = match bit(&place, siblings.len()) {
                        false => (left, right),
                        true => (right, left),
                    };
                    siblings.push(beside.subtree().hash());
                    node = on;
                }
            }
        }
    }

    /// What proves all rows with places from `first` to `last`, both included; `None` as with [`StateTree::prove`].
    #[must_use]
    pub fn prove_range(&self, first: &Digest, last: &Digest) -> Option<RangeProof> {
        let node = self.whole_node()?;
        let mut parts = Vec::new();
        put_parts(&node, Region::all(), &(*first, *last), &mut parts)?;
        Some(RangeProof { parts })
    }
}

fn put_parts(
    node: &Node<'_>,
    region: Region,
    range: &(Digest, Digest),
    parts: &mut Vec<Part>,
) -> Option<()> {
    match region.relation(range) {
        Relation::Within => return Some(()),
        Relation::Outside => {
            parts.push(Part::Outside(node.subtree().hash()));
            return Some(());
        }
        Relation::Partly => {}
    }
    match node.subtree() {
        Subtree::Empty => parts.push(Part::Empty),
        Subtree::Leaf(_) => {
            let row = node.only()?;
            let place = row.place();
            parts.push(if (range.0..=range.1).contains(&place) {
                Part::Within
            } else {
                Part::Beside {
                    place,
                    value: value_hash(row.value()),
                }
            });
        }
        Subtree::Node(_) => {
            parts.push(Part::Node);
            let (left, right) = node.halves();
            let (lower, upper) = region.halves();
            put_parts(&left, lower, range, parts)?;
            put_parts(&right, upper, range, parts)?;
        }
    }
    Some(())
}
