//! The rows of a state, in the shape of the tree that is hashed over them (`format::sparse`): a value whose copies are cheap, from which
//! rows are read, whose root costs the hashes of what changed since the last one, and which proves what it holds.
//!
//! Rows are in pages of a few, and pages in branches of sixteen, by the bits of their places. A page is a piece of memory of its own;
//! copies of the tree share pages, and whoever changes one that is shared copies it first.

mod check;
mod leaves;
mod load;
mod merge;
mod page;
mod prove;
mod store;
mod visit;
mod walk;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use self::leaves::{Change, Packed, Parts, Row, first_bits};
use self::page::{Page, Slot};
use self::store::Pages;
pub(crate) use self::store::rows_in;
pub use self::store::{PageSource, StateFailure};
use self::walk::Walk;
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
    top: Slot,
    /// Rows in all.
    count: usize,
    /// The whole as it was hashed last, unless something changed since.
    whole: Option<Subtree>,
    /// Changes since then.
    changed: usize,
    pages: Pages,
}

impl StateTree {
    /// A tree whose pages are read from `source` when they are needed: that of `count` rows and of this root, as it was when
    /// its pages were taken.
    #[must_use]
    pub fn stored(source: Arc<dyn PageSource>, count: usize, root: Digest) -> Self {
        let whole = match count {
            0 => Subtree::Empty,
            1 => Subtree::Leaf(root),
            _ => Subtree::Node(root),
        };
        Self {
            top: match count {
                0 => Slot::default(),
                _ => Slot::stored(&root),
            },
            count,
            whole: Some(whole),
            changed: 0,
            pages: Pages::read_from(source),
        }
    }

    /// What failed when a page was read, of this tree or that which it was copied of: what was read from it since is worth nothing.
    #[must_use]
    pub fn failure(&self) -> Option<&StateFailure> {
        self.pages.failure()
    }

    /// Takes over what failed in a copy.
    pub(crate) fn note_failure(&self, failure: StateFailure) {
        self.pages.note_failure(failure);
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn page(&self) -> Option<&Page> {
        self.top.get(&self.pages, &Digest::ZERO, 0)
    }

    /// The value of a key. One hash, and O(log rows); where pages are not in memory, at most one read a page on the way.
    #[must_use]
    pub fn get(&self, table: u8, key: &[u8]) -> Option<&[u8]> {
        self.at(&sparse::place(table, key)).map(|row| row.value())
    }

    fn at(&self, place: &Digest) -> Option<Row<'_>> {
        self.page()?.get(&self.pages, place)
    }

    /// The values at places, looked up together.
    pub(crate) fn get_at(&self, places: &[Digest]) -> Vec<Option<&[u8]>> {
        let Some(page) = self.page() else {
            return vec![None; places.len()];
        };
        page.get_all(&self.pages, places)
    }

    /// Puts and removes rows; of several for one key, the last counts. O(rows · log(rows in all)), three hashes each.
    ///
    /// # Panics
    /// If a key or a value is too long: both are bounded where they come from.
    pub fn change(&mut self, puts: &[Put<'_>]) {
        if puts.is_empty() {
            return;
        }
        let changes = changes_of(puts, &places_of(puts));
        if let Some(page) = self.top.loaded() {
            std::hint::black_box(page.look_ahead(changes.iter().map(|change| change.place)));
        }
        self.put(&changes);
    }

    /// The same, of keys whose places are known and were [looked up](Self::get_at) a moment ago.
    pub(crate) fn change_at(&mut self, puts: &[Put<'_>], places: &[Digest]) {
        if !puts.is_empty() {
            self.put(&changes_of(puts, places));
        }
    }

    fn put(&mut self, changes: &[Change<'_>]) {
        let page = self.top.take(&self.pages, &Digest::ZERO, 0);
        let page = Page::change(page, 0, changes, &self.pages, &mut Packed::default());
        self.count = page.as_ref().map_or(0, Page::count);
        self.top = Slot::of(page);
        self.whole = None;
        self.changed = self.changed.saturating_add(changes.len());
    }

    /// The root over all rows. As many hashes as there are nodes above what changed since the last time.
    pub fn root(&mut self) -> Digest {
        if let Some(whole) = self.whole {
            return whole.hash();
        }
        // What changed is in memory.
        let Some(page) = self.top.loaded_mut() else {
            return EMPTY;
        };
        let whole = page.hash(0, self.changed);
        self.changed = 0;
        self.whole = Some(whole);
        whole.hash()
    }

    /// The root, if nothing changed since it was asked for.
    pub(crate) fn known_root(&self) -> Option<Digest> {
        match self.count {
            0 => Some(EMPTY),
            _ => self.whole.map(|whole| whole.hash()),
        }
    }

    /// All rows, in the order of their places: table, key, value.
    pub fn rows(&self) -> impl Iterator<Item = (u8, &[u8], &[u8])> {
        let rows = Walk::from(&self.top, &self.pages, Digest::ZERO);
        rows.map(|row| (row.table(), row.key(), row.value()))
    }

    /// The rows with places from `first` on, in that order: place, table, key, value.
    pub fn rows_from(&self, first: &Digest) -> impl Iterator<Item = (Digest, u8, &[u8], &[u8])> {
        let rows = Walk::from(&self.top, &self.pages, *first);
        rows.map(|row| (row.place(), row.table(), row.key(), row.value()))
    }

    /// Bytes of pages that changed since they were last written down, roughly.
    #[must_use]
    pub fn unsaved_bytes(&self) -> u64 {
        self.pages.unsaved.load(Ordering::Relaxed)
    }

    /// Bytes of pages in memory, roughly.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        self.pages.resident.load(Ordering::Relaxed)
    }

    /// Lets go of whatever the source holds to read pages from: see [`PageSource::release`].
    pub(crate) fn release_pages(&self) {
        if let Some(source) = &self.pages.source {
            source.release();
        }
    }

    /// The pages that changed since they were last written down, in ascending order of their keys; the root has been asked for since
    /// the last change. O(what changed). Pages of which nothing is left by now may still be where they were written to:
    /// no page leads to them.
    #[must_use]
    pub fn unsaved(&self) -> Vec<(Bytes, Bytes)> {
        let mut found = Vec::new();
        if let Some(page) = self.top.loaded() {
            page.unsaved(&Digest::ZERO, 0, &mut |place, depth, page| {
                found.push((Bytes::from(store::key(place, depth)), store::encode(page)));
            });
        }
        found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        found
    }

    /// Notes that all pages of this copy, which [`StateTree::unsaved`] gave, are written down now. Every tree that shares them knows it
    /// from now on.
    pub fn saved(&self) {
        if let Some(page) = self.top.loaded() {
            let bytes = page.save();
            let less = |count: u64| Some(count.saturating_sub(bytes));
            let unsaved = &self.pages.unsaved;
            let _ = unsaved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }

    /// From now on reads pages from `source`, in which all that is [saved](StateTree::saved) has been written down, and gives up
    /// pages of memory until at most `resident_max` bytes are left, as far as pages aren't changed, nor shared with a copy. Those that were
    /// read or changed since the last time stay longest. O(pages looked at).
    pub fn adopt(&mut self, source: Arc<dyn PageSource>, resident_max: u64) {
        self.pages.source = Some(source);
        let now = self.pages.now;
        self.pages.now = now.wrapping_add(1);
        let Some(page) = self.top.loaded_mut() else {
            return;
        };
        *self.pages.unsaved.get_mut() = page.count_unsaved();
        let resident = self.pages.resident.get_mut();
        if now.is_multiple_of(ADOPTED_UNCOUNTED) {
            // What copies read is only found by looking.
            *resident = page.count_memory();
        }
        for is_all in [false, true] {
            if *resident > resident_max {
                *resident = page.give_up(now, is_all);
            }
        }
    }
}

/// How often a source is adopted at most before pages are counted.
const ADOPTED_UNCOUNTED: u32 = 16;

/// What becomes of the rows at places, in ascending order of these; of several for one place, the last counts.
fn changes_of<'a>(puts: &[Put<'a>], places: &[Digest]) -> Vec<Change<'a>> {
    let is_bounded = |put: &Put<'_>| {
        put.key.len() <= KEY_BYTES_MAX
            && put.value.is_none_or(|value| value.len() <= VALUE_BYTES_MAX)
    };
    // Lengths are written down in fewer bits than a length in memory has.
    assert!(puts.iter().all(is_bounded), "keys and values are bounded");
    // Nearly always the first bits of two places decide; the numbers come last, so that of several for one key the last is behind.
    let mut order: Vec<(u64, u32)> = places.iter().map(first_bits).zip(0..).collect();
    order.sort_unstable_by(|a, b| {
        let wholly = || {
            places[a.1 as usize]
                .cmp(&places[b.1 as usize])
                .then(a.1.cmp(&b.1))
        };
        a.0.cmp(&b.0).then_with(wholly)
    });
    let mut last: Vec<usize> = Vec::with_capacity(order.len());
    for (_, at) in order {
        let at = at as usize;
        match last.last_mut() {
            Some(before) if places[*before] == places[at] => *before = at,
            _ => last.push(at),
        }
    }
    let values = last
        .iter()
        .map(|at| (&places[*at], puts[*at].value.unwrap_or_default()));
    let leaves = sparse::leaf_hashes(&values.collect::<Vec<_>>());
    let changes = last.iter().zip(leaves).map(|(at, leaf)| {
        let Put { table, key, value } = puts[*at];
        Change {
            place: places[*at],
            row: value.map(|value| Parts {
                place: places[*at],
                leaf,
                table,
                key,
                value,
            }),
        }
    });
    changes.collect()
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
mod many_tests;
#[cfg(test)]
mod tests;
