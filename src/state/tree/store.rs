//! Pages that aren't in memory: where they are read from, and how they are written down.
//!
//! A page is read when somebody needs it and stays in memory until its tree [gives it up](super::StateTree::adopt). Whoever reads rows
//! gets no error with each: a page that can't be read is noted as the [`StateFailure`] of the tree it was read for, and what was read from that
//! one since is worth nothing. Rules stay functions of values in this way, and whoever runs them asks once.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::leaves::Leaves;
use super::page::{Branch, Page};
use crate::format::digest::Digest;
use crate::format::sparse::{DEPTH_MAX, Subtree};

/// Where pages are read from. It may give a later state's page in place of an earlier one's: what is read is known by its hash.
pub trait PageSource: Send + Sync {
    /// The page of a key, as [`StateTree::unsaved`](super::StateTree::unsaved) gave it.
    ///
    /// # Errors
    /// Why it can't be read, for people.
    fn page(&self, key: &[u8]) -> Result<Option<Bytes>, String>;

    /// Lets go of whatever is held to read pages from, until one is asked for again.
    fn release(&self) {}
}

/// A page of a state that couldn't be read: nothing that was decided since can be relied on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("page {key} of the state: {problem}")]
pub struct StateFailure {
    /// The page's key, in hexadecimal digits.
    pub key: String,
    /// What is wrong.
    pub problem: String,
}

/// Where a tree's pages are read from, and how much of it is in memory. Each copy keeps the moment that it was copied at, and counts for
/// itself: what a copy changes goes with it.
#[derive(Default)]
pub(super) struct Pages {
    pub(super) source: Option<Arc<dyn PageSource>>,
    failure: OnceLock<StateFailure>,
    /// Counts the moments that were adopted: who touches a page notes it.
    pub(super) now: u32,
    /// Bytes of pages in memory, roughly. Pages that a copy read are not in it until they are counted anew.
    pub(super) resident: AtomicU64,
    /// Bytes of pages that were changed since they were last written down, roughly.
    pub(super) unsaved: AtomicU64,
}

impl Clone for Pages {
    fn clone(&self) -> Self {
        let copied = |count: &AtomicU64| AtomicU64::new(count.load(Ordering::Relaxed));
        Self {
            source: self.source.clone(),
            failure: self.failure.clone(),
            now: self.now,
            resident: copied(&self.resident),
            unsaved: copied(&self.unsaved),
        }
    }
}

impl Pages {
    pub(super) fn read_from(source: Arc<dyn PageSource>) -> Self {
        Self {
            source: Some(source),
            ..Self::default()
        }
    }

    pub(super) fn failure(&self) -> Option<&StateFailure> {
        self.failure.get()
    }

    /// The first one is kept: what comes after it may only follow from it.
    pub(super) fn note_failure(&self, failure: StateFailure) {
        let _ = self.failure.set(failure);
    }

    /// Reads the page of a place at a depth whose hash begins so; `None` if that fails, which is noted.
    pub(super) fn load(&self, place: &Digest, depth: usize, beginning: u64) -> Option<Page> {
        let read = self.load_alone(place, depth);
        match read.and_then(|page| self.accept(page, place, depth, beginning)) {
            Ok(page) => Some(page),
            Err(failure) => {
                self.note_failure(failure);
                None
            }
        }
    }

    /// Takes a page in that was read, if its hash begins so.
    pub(super) fn accept(
        &self,
        page: Page,
        place: &Digest,
        depth: usize,
        beginning: u64,
    ) -> Result<Page, StateFailure> {
        if page.beginning() != beginning {
            // A copy that lives long may find what came after it.
            return Err(failure(place, depth, "is of another state".to_owned()));
        }
        self.resident.fetch_add(page.memory(), Ordering::Relaxed);
        page.touch(self.now);
        Ok(page)
    }

    /// Reads the page of a place at a depth, for somebody who doesn't keep it.
    pub(super) fn load_alone(&self, place: &Digest, depth: usize) -> Result<Page, StateFailure> {
        let bytes = self.read(place, depth)?;
        decode(&bytes, depth).ok_or_else(|| failure(place, depth, "is not a page".to_owned()))
    }

    /// The bytes of the page of a place at a depth.
    pub(super) fn read(&self, place: &Digest, depth: usize) -> Result<Bytes, StateFailure> {
        let read = match &self.source {
            Some(source) => source.page(&key(place, depth)),
            None => Err("there is no store to read it from".to_owned()),
        };
        let read = read.and_then(|bytes| bytes.ok_or_else(|| "is missing".to_owned()));
        read.map_err(|problem| failure(place, depth, problem))
    }
}

/// What is wrong with the page of a place at a depth.
pub(super) fn failure(place: &Digest, depth: usize, problem: String) -> StateFailure {
    StateFailure {
        key: hex::encode(key(place, depth)),
        problem,
    }
}

/// The key of a page: the bytes that its place begins with, the bits behind its depth zero, then the depth in fours of bits.
pub(super) fn key(place: &Digest, depth: usize) -> Vec<u8> {
    let mut key = place.0[..depth.div_ceil(8)].to_vec();
    if !depth.is_multiple_of(8)
        && let Some(last) = key.last_mut()
    {
        *last &= 0xf0;
    }
    // At most 64.
    key.push((depth / super::page::BITS) as u8);
    key
}

const TAG_LEAVES: u8 = 0;
const TAG_BRANCH: u8 = 1;

/// The bytes of a page whose hashes are made: a tag, then the rows as [`Leaves::encode`] writes them, or of a branch the number of rows as
/// u64 and each subtree (0 no row; 1 one row, 2 several, and the hash).
pub(super) fn encode(page: &Page) -> Bytes {
    let mut out;
    match page {
        Page::Leaves(leaves) => {
            out = Vec::with_capacity(leaves.memory() as usize);
            out.push(TAG_LEAVES);
            leaves.encode(&mut out);
        }
        Page::Branch(branch) => {
            out = Vec::with_capacity(1 + 8 + 16 * 33);
            out.push(TAG_BRANCH);
            out.extend_from_slice(&(branch.count() as u64).to_le_bytes());
            for slot in 0..16 {
                let subtree = branch.subtree(16 + slot);
                match subtree {
                    Subtree::Empty => {
                        out.push(0);
                        continue;
                    }
                    Subtree::Leaf(_) => out.push(1),
                    Subtree::Node(_) => out.push(2),
                }
                out.extend_from_slice(&subtree.hash().0);
            }
        }
    }
    out.into()
}

/// How many rows a page has itself, by its first bytes; none if it is a branch, or no page.
pub(crate) fn rows_in(page: &[u8]) -> u64 {
    match page {
        [TAG_LEAVES, low, high, ..] => u16::from_le_bytes([*low, *high]).into(),
        _ => 0,
    }
}

/// The rows in the bytes of a page that has some itself.
pub(super) fn rows_of(page: &[u8]) -> Option<&[u8]> {
    match page.split_first()? {
        (&TAG_LEAVES, rows) => Some(rows),
        _ => None,
    }
}

pub(super) fn decode(bytes: &[u8], depth: usize) -> Option<Page> {
    let (tag, rest) = bytes.split_first()?;
    match *tag {
        TAG_LEAVES => Leaves::decode(rest, depth).map(|leaves| Page::Leaves(Arc::new(leaves))),
        // Behind its last bit a place can't be told from another.
        TAG_BRANCH if depth < DEPTH_MAX => {
            let (count, mut rest) = rest.split_first_chunk::<8>()?;
            let mut subtrees = [Subtree::Empty; 16];
            for subtree in &mut subtrees {
                let (kind, behind) = rest.split_first()?;
                rest = behind;
                if *kind == 0 {
                    continue;
                }
                let (hash, behind) = rest.split_first_chunk::<32>()?;
                rest = behind;
                *subtree = match *kind {
                    1 => Subtree::Leaf(Digest(*hash)),
                    2 => Subtree::Node(Digest(*hash)),
                    _ => return None,
                };
            }
            let count = usize::try_from(u64::from_le_bytes(*count)).ok()?;
            rest.is_empty()
                .then(|| Page::Branch(Arc::new(Branch::stored(count, &subtrees))))
        }
        _ => None,
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").finish_non_exhaustive()
    }
}
