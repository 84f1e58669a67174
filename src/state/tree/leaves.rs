//! Rows whose places begin alike, packed into one piece of memory, sorted by place.
//!
//!     row:  place [32]  leaf hash [32]  table u8  key length u16  value length u32  key  value

use super::page::Mark;
use crate::format::digest::Digest;
use crate::format::sparse::{Subtree, bit};

/// A page with more rows is split. Small, so that little has to be copied, hashed and written for one row that changes.
pub(super) const ROWS_MAX: usize = 20;

const HEAD_BYTES: usize = 32 + 32 + 1 + 2 + 4;

/// Packed rows.
#[derive(Debug, Default)]
pub(super) struct Leaves {
    count: usize,
    bytes: Vec<u8>,
    pub(super) mark: Mark,
}

/// A row of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    packed: &'a [u8],
}

impl<'a> Row<'a> {
    /// The row at the beginning of `bytes`, and what is behind it.
    fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let head = bytes.first_chunk::<HEAD_BYTES>()?;
        let key = usize::from(u16::from_le_bytes([head[65], head[66]]));
        let value = u32::from_le_bytes([head[67], head[68], head[69], head[70]]) as usize;
        let (packed, rest) = bytes.split_at_checked(HEAD_BYTES + key + value)?;
        Some((Self { packed }, rest))
    }

    fn digest(&self, at: usize) -> Digest {
        let mut digest = Digest::ZERO;
        digest.0.copy_from_slice(&self.packed[at..at + 32]);
        digest
    }

    pub(super) fn place(&self) -> Digest {
        self.digest(0)
    }

    pub(super) fn leaf(&self) -> Digest {
        self.digest(32)
    }

    pub(super) const fn table(&self) -> u8 {
        self.packed[64]
    }

    fn key_bytes(&self) -> usize {
        usize::from(u16::from_le_bytes([self.packed[65], self.packed[66]]))
    }

    pub(super) fn key(&self) -> &'a [u8] {
        &self.packed[HEAD_BYTES..HEAD_BYTES + self.key_bytes()]
    }

    pub(super) fn value(&self) -> &'a [u8] {
        &self.packed[HEAD_BYTES + self.key_bytes()..]
    }
}

/// A row as it is put.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewRow<'a> {
    pub(super) leaf: Digest,
    pub(super) table: u8,
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
}

/// What becomes of the row at a place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change<'a> {
    pub(super) place: Digest,
    /// What it is from now on; `None` if there is none.
    pub(super) row: Option<NewRow<'a>>,
}

impl Leaves {
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of memory, roughly.
    pub(super) fn memory(&self) -> u64 {
        (self.bytes.capacity() + size_of::<Self>() + 32) as u64
    }

    /// The rows that [`Leaves::bytes`] gave; `None` if they aren't rows in order.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (mut rest, mut count, mut last) = (bytes, 0, None);
        while !rest.is_empty() {
            let (row, behind) = Row::split(rest)?;
            let place = row.place();
            if last.is_some_and(|last| last >= place) {
                return None;
            }
            last = Some(place);
            count += 1;
            rest = behind;
        }
        Some(Self {
            count,
            bytes: bytes.to_vec(),
            mark: Mark::saved(),
        })
    }

    pub(super) fn rows(&self) -> Rows<'_> {
        Rows { rest: &self.bytes }
    }

    /// The row at a place. O(rows).
    pub(super) fn get(&self, place: &Digest) -> Option<Row<'_>> {
        self.rows().find(|row| row.packed[..32] == place.0)
    }

    /// These rows with changes, which are in strictly ascending order. O(rows + changes).
    pub(super) fn with(&self, changes: &[Change<'_>]) -> Self {
        let room = changes.iter().filter_map(|change| change.row);
        let room: usize = room
            .map(|row| HEAD_BYTES + row.key.len() + row.value.len())
            .sum();
        let mut merged = Self {
            bytes: Vec::with_capacity(self.bytes.len() + room),
            ..Self::default()
        };
        let mut changes = changes.iter().peekable();
        for row in self.rows() {
            let place = row.place();
            while let Some(change) = changes.next_if(|change| change.place < place) {
                merged.put(change);
            }
            match changes.next_if(|change| change.place == place) {
                Some(change) => merged.put(change),
                None => merged.keep(row),
            }
        }
        changes.for_each(|change| merged.put(change));
        merged
    }

    fn keep(&mut self, row: Row<'_>) {
        self.count += 1;
        self.bytes.extend_from_slice(row.packed);
    }

    fn put(&mut self, change: &Change<'_>) {
        let Some(row) = change.row else { return };
        self.count += 1;
        self.bytes.extend_from_slice(&change.place.0);
        self.bytes.extend_from_slice(&row.leaf.0);
        self.bytes.push(row.table);
        // Both are within the bounds that the tree checks.
        self.bytes
            .extend_from_slice(&(row.key.len() as u16).to_le_bytes());
        self.bytes
            .extend_from_slice(&(row.value.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(row.key);
        self.bytes.extend_from_slice(row.value);
    }

    /// Takes rows of pages that follow each other into one page.
    pub(super) fn gather<'a>(pages: impl Iterator<Item = &'a Self>) -> Self {
        let mut all = Self::default();
        for page in pages {
            all.count += page.count;
            all.bytes.extend_from_slice(&page.bytes);
        }
        all
    }

    /// The rows by the four bits of their places from a depth on.
    pub(super) fn by_nibble(&self, nibble: impl Fn(&Digest) -> usize) -> [Self; 16] {
        let mut parts: [Self; 16] = std::array::from_fn(|_| Self::default());
        for row in self.rows() {
            parts[nibble(&row.place())].keep(row);
        }
        for part in &mut parts {
            part.bytes.shrink_to_fit();
        }
        parts
    }
}

/// The rows of a page, in the order of their places.
#[derive(Clone)]
pub(super) struct Rows<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Rows<'a> {
    type Item = Row<'a>;

    fn next(&mut self) -> Option<Row<'a>> {
        let (row, rest) = Row::split(self.rest)?;
        self.rest = rest;
        Some(row)
    }
}

/// The subtree over rows that share their first `depth` bits, one hash after the other. For proofs; a tree hashes by plan.
pub(super) fn subtree_of(depth: usize, rows: &[Row<'_>]) -> Subtree {
    match rows {
        [] => Subtree::Empty,
        [row] => Subtree::Leaf(row.leaf()),
        _ => {
            let middle = rows.partition_point(|row| !bit(&row.place(), depth));
            let (left, right) = rows.split_at(middle);
            Subtree::over(subtree_of(depth + 1, left), subtree_of(depth + 1, right))
        }
    }
}
