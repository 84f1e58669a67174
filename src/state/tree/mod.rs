//! The rows of a state, in the shape of the tree that is hashed over them (`format::sparse`): a value whose copies are cheap, from which
//! rows are read, whose root costs the hashes of what changed since the last one, and which proves what it holds.
//!
//! Rows are in pages of a few, and pages in branches of sixteen, by the bits of their places. A page is a piece of memory of its own;
//! copies of the tree share pages, and whoever changes one that is shared copies it first.

mod leaves;
mod page;
mod plan;
mod prove;

use std::fmt;

use self::leaves::{Change, NewRow, Row};
use self::page::Page;
use self::plan::Plan;
use crate::format::digest::Digest;
use crate::format::sparse::{self, EMPTY, Subtree};

/// The longest key of a row, in bytes.
pub const KEY_BYTES_MAX: usize = 2048;
/// The longest value of a row, in bytes.
pub const VALUE_BYTES_MAX: usize = 1 << 20;

/// A row that is put, or removed if it has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Put<'a> {
    /// The table.
    pub table: u8,
    /// The key: at most [`KEY_BYTES_MAX`] bytes.
    pub key: &'a [u8],
    /// The value: at most [`VALUE_BYTES_MAX`] bytes.
    pub value: Option<&'a [u8]>,
}

/// Rows by table and key, and the tree over them. A copy costs O(1). Memory: about 90 bytes a row besides its key and value.
///
/// ```
/// use hubledger::format::sparse;
/// use hubledger::state::{Put, StateTree};
///
/// let mut tree = StateTree::default();
/// tree.change(&[Put { table: 1, key: b"alice", value: Some(b"7") }]);
/// let root = tree.root();
/// let (path, value) = tree.prove(1, b"alice").expect("the root was asked for");
/// assert_eq!(path.verify(&sparse::place(1, b"alice"), value, &root), Ok(()));
/// ```
#[derive(Clone, Default)]
pub struct StateTree {
    page: Option<Page>,
    /// The whole as it was hashed last, unless something changed since.
    whole: Option<Subtree>,
}

impl StateTree {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.page.as_ref().map_or(0, Page::count)
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.page.is_none()
    }

    /// The value of a key. One hash, and O(log rows).
    #[must_use]
    pub fn get(&self, table: u8, key: &[u8]) -> Option<&[u8]> {
        self.at(&sparse::place(table, key)).map(|row| row.value())
    }

    fn at(&self, place: &Digest) -> Option<Row<'_>> {
        self.page.as_ref()?.get(place)
    }

    /// Puts and removes rows; of several for one key, the last counts. O(rows · log(rows in all)), three hashes each.
    ///
    /// # Panics
    /// If a key or a value is too long: both are bounded where they come from.
    pub fn change(&mut self, puts: &[Put<'_>]) {
        if puts.is_empty() {
            return;
        }
        let is_bounded = |put: &Put<'_>| {
            put.key.len() <= KEY_BYTES_MAX
                && put.value.is_none_or(|value| value.len() <= VALUE_BYTES_MAX)
        };
        // Lengths are written down in fewer bits than a length in memory has.
        assert!(puts.iter().all(is_bounded), "keys and values are bounded");
        let places = places_of(puts);
        let mut order: Vec<u32> = (0_u32..).take(puts.len()).collect();
        // Stable, so that the last of several for one key is behind the others.
        order.sort_by(|a, b| places[*a as usize].cmp(&places[*b as usize]));
        let is_last = |at: usize| {
            let next = order.get(at + 1);
            next.is_none_or(|next| places[*next as usize] != places[order[at] as usize])
        };
        let last: Vec<usize> = (0..order.len())
            .filter(|at| is_last(*at))
            .map(|at| order[at] as usize)
            .collect();
        let values = last
            .iter()
            .map(|at| (&places[*at], puts[*at].value.unwrap_or_default()));
        let leaves = sparse::leaf_hashes(&values.collect::<Vec<_>>());
        let changes = last.iter().zip(leaves).map(|(at, leaf)| {
            let Put { table, key, value } = puts[*at];
            Change {
                place: places[*at],
                row: value.map(|value| NewRow {
                    leaf,
                    table,
                    key,
                    value,
                }),
            }
        });
        let changes: Vec<Change<'_>> = changes.collect();
        self.page = Page::change(self.page.take(), 0, &changes);
        self.whole = None;
    }

    /// The root over all rows. As many hashes as there are nodes above what changed since the last time.
    pub fn root(&mut self) -> Digest {
        if let Some(whole) = self.whole {
            return whole.hash();
        }
        let Some(page) = &mut self.page else {
            return EMPTY;
        };
        let (mut plan, mut noted) = (Plan::default(), Vec::new());
        let whole = page.plan(0, &mut plan, &mut noted);
        plan.run();
        page.settle(&plan, &mut noted.into_iter());
        let whole = plan.made(whole);
        self.whole = Some(whole);
        whole.hash()
    }

    /// All rows, in the order of their places: table, key, value.
    #[must_use]
    pub fn rows(&self) -> impl Iterator<Item = (u8, &[u8], &[u8])> {
        page::Walk::over(self.page.as_ref()).map(|row| (row.table(), row.key(), row.value()))
    }
}

/// Places of keys, those of one table hashed together.
fn places_of(puts: &[Put<'_>]) -> Vec<Digest> {
    let mut places = Vec::with_capacity(puts.len());
    for same in puts.chunk_by(|a, b| a.table == b.table) {
        let keys: Vec<&[u8]> = same.iter().map(|put| put.key).collect();
        places.extend(sparse::places(same[0].table, &keys));
    }
    places
}

impl PartialEq for StateTree {
    /// By what they hold; O(rows).
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.rows().eq(other.rows())
    }
}

impl Eq for StateTree {}

impl fmt::Debug for StateTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.rows()).finish()
    }
}

#[cfg(test)]
mod tests;
