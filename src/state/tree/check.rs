//! Checking a tree that is written down: every page against what the page above says of it, and every row against its place.
//!
//! Whoever only reads rows trusts pages as far as the store's checksums go. This doesn't: what leads to the root is what was hashed.

use super::StateTree;
use super::page::{BITS, Page, with_nibble};
use super::store::{Pages, StateFailure};
use crate::format::codec::DecodeProblem;
use crate::format::digest::Digest;
use crate::format::sparse::{self, Subtree, shared_bits};

/// What a row may be, by its table, key and value.
type RowCheck = fn(u8, &[u8], &[u8]) -> Result<(), DecodeProblem>;

/// A walk through all pages, each read from where it is written down.
struct Check<'a> {
    pages: &'a Pages,
    check_row: RowCheck,
}

impl StateTree {
    /// Reads every page that the tree is written down in, and checks that they lead to its root, that every row is where it
    /// belongs and is one by `check_row`, and that there are as many as it says. O(rows), three hashes each; memory: a page for each four
    /// bits of depth.
    ///
    /// # Errors
    /// The page where it doesn't, and why.
    pub(crate) fn check_written(&self, check_row: RowCheck) -> Result<(), StateFailure> {
        let mut fresh = Pages::default();
        fresh.source.clone_from(&self.pages.source);
        let check = Check {
            pages: &fresh,
            check_row,
        };
        let top = Digest::ZERO;
        let Some(whole) = self.whole else {
            return Err(failure(&top, 0, "it was changed since it was written down"));
        };
        let rows = match whole {
            Subtree::Empty => 0,
            _ => check.page(&top, 0, whole)?,
        };
        match rows == self.count {
            true => Ok(()),
            false => {
                let problem = format!("{rows} rows are below it, not {}", self.count);
                Err(failure(&top, 0, problem))
            }
        }
    }
}

impl Check<'_> {
    /// Checks the page of a place and all below it, which are `expected` together; gives the number of rows.
    fn page(&self, place: &Digest, depth: usize, expected: Subtree) -> Result<usize, StateFailure> {
        let page = self.pages.load_alone(place, depth)?;
        let (found, rows) = match &page {
            Page::Leaves(leaves) => {
                for row in leaves.rows() {
                    self.row(place, depth, &row)?;
                }
                (page.subtree(depth), leaves.len())
            }
            Page::Branch(branch) => {
                let mut rows = 0;
                for number in 0..16 {
                    let subtree = branch.subtree(16 + number);
                    if subtree != Subtree::Empty {
                        let place = with_nibble(place, depth, number);
                        rows += self.page(&place, depth + BITS, subtree)?;
                    }
                }
                if rows != branch.count() {
                    let problem = format!("{rows} rows are below it, not {}", branch.count());
                    return Err(failure(place, depth, problem));
                }
                (branch.subtree(1), rows)
            }
        };
        match found == expected {
            true => Ok(rows),
            false => {
                let problem = "has another hash than the page above it says";
                Err(failure(place, depth, problem))
            }
        }
    }

    fn row(&self, place: &Digest, depth: usize, row: &super::Row<'_>) -> Result<(), StateFailure> {
        let refuse = |problem: &str| {
            let key = hex::encode(row.key());
            Err(failure(place, depth, format!("row {key} {problem}")))
        };
        let (table, key, value) = (row.table(), row.key(), row.value());
        // A lone row has the same hash wherever it is: where it belongs only its place says.
        if row.place() != sparse::place(table, key) || shared_bits(&row.place(), place) < depth {
            return refuse("is not where it belongs");
        }
        if row.leaf() != sparse::leaf_hash(&row.place(), &sparse::value_hash(value)) {
            return refuse("has another hash than the page says");
        }
        match (self.check_row)(table, key, value) {
            Ok(()) => Ok(()),
            Err(problem) => refuse(&format!("is none: {problem}")),
        }
    }
}

fn failure(place: &Digest, depth: usize, problem: impl Into<String>) -> StateFailure {
    StateFailure {
        key: hex::encode(super::store::key(place, depth)),
        problem: problem.into(),
    }
}
