//! Rows whose places begin alike, packed into one piece of memory, sorted by place, with the nodes above them.
//!
//! ```text
//! page:  places [32] each  leaf hashes [32] each  node hashes [32] each  ends u32 each  rows
//! row:   table u8  key length u16  key  value
//! ```
//!
//! A node is between two rows: that with the number n is over rows on both sides of the border behind row n. Its hash is that of the
//! whole subtree, from the depth on at which no more rows begin with the same bits, or from that of the page.

use super::page::Mark;
use crate::format::digest::Digest;
use crate::format::sparse::plan::{Plan, Planned};
use crate::format::sparse::{Subtree, bit, shared_bits};

/// A page with more rows is split. Few, so that little has to be copied and written for one row that changes; at most 32, since what
/// changed is noted in as many bits.
pub(super) const ROWS_MAX: usize = 20;

/// A page that grows gets memory in steps of so many bytes.
const GROWN_BYTES: usize = 512;

const PLACE: usize = 32;
const HASH: usize = 32;
const END: usize = 4;
const ROW_HEAD: usize = 3;

/// Packed rows.
#[derive(Debug, Default)]
pub(super) struct Leaves {
    count: usize,
    /// Bit n: row n changed, and the nodes above it are those of before.
    stale: u32,
    bytes: Vec<u8>,
    pub(super) mark: Mark,
}

impl Clone for Leaves {
    /// One that is about to be changed, and so isn't saved.
    fn clone(&self) -> Self {
        Self {
            count: self.count,
            stale: self.stale,
            bytes: self.bytes.clone(),
            mark: Mark::default(),
        }
    }
}

/// The first bits of a place as a number: in nearly all comparisons they decide.
pub(super) fn first_bits(place: &Digest) -> u64 {
    place
        .0
        .first_chunk()
        .map_or(0, |first| u64::from_be_bytes(*first))
}

/// A row of a page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    leaves: &'a Leaves,
    number: usize,
}

/// A row by itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) place: Digest,
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
    pub(super) row: Option<Parts<'a>>,
}

impl<'a> Row<'a> {
    pub(super) fn place(&self) -> Digest {
        self.leaves.place(self.number)
    }

    pub(super) fn leaf(&self) -> Digest {
        self.leaves.digest(self.leaves.leaf_at(self.number))
    }

    fn packed(&self) -> &'a [u8] {
        self.leaves.row(self.number)
    }

    pub(super) fn table(&self) -> u8 {
        self.packed()[0]
    }

    fn key_end(&self) -> usize {
        let packed = self.packed();
        ROW_HEAD + usize::from(u16::from_le_bytes([packed[1], packed[2]]))
    }

    pub(super) fn key(&self) -> &'a [u8] {
        &self.packed()[ROW_HEAD..self.key_end()]
    }

    pub(super) fn value(&self) -> &'a [u8] {
        &self.packed()[self.key_end()..]
    }

    fn parts(&self) -> Parts<'a> {
        Parts {
            place: self.place(),
            leaf: self.leaf(),
            table: self.table(),
            key: self.key(),
            value: self.value(),
        }
    }
}

/// Rows as a page has them, in memory that is used again.
#[derive(Debug, Default)]
pub(super) struct Packed {
    bytes: Vec<u8>,
    count: usize,
    stale: u32,
}

impl Packed {
    /// Packs rows, which are in strictly ascending order of their places. No node above them is made yet.
    pub(super) fn put(&mut self, rows: &[Parts<'_>]) {
        let (count, bytes) = (rows.len(), &mut self.bytes);
        let packed = rows
            .iter()
            .map(|row| ROW_HEAD + row.key.len() + row.value.len());
        let head = (PLACE + HASH + END) * count + HASH * count.saturating_sub(1);
        bytes.clear();
        bytes.reserve_exact(head + packed.sum::<usize>());
        for row in rows {
            bytes.extend_from_slice(&row.place.0);
        }
        for row in rows {
            bytes.extend_from_slice(&row.leaf.0);
        }
        bytes.resize(bytes.len() + HASH * count.saturating_sub(1), 0);
        let mut end = 0;
        for row in rows {
            end += ROW_HEAD + row.key.len() + row.value.len();
            // Keys and values are bounded, and so are the rows of a page.
            bytes.extend_from_slice(&(end as u32).to_le_bytes());
        }
        for row in rows {
            bytes.push(row.table);
            bytes.extend_from_slice(&(row.key.len() as u16).to_le_bytes());
            bytes.extend_from_slice(row.key);
            bytes.extend_from_slice(row.value);
        }
        (self.count, self.stale) = (count, u32::MAX);
    }

    /// Sets which rows have nodes of before above them.
    pub(super) const fn set_stale(&mut self, stale: u32) {
        self.stale = stale;
    }

    /// Sets the hash of the node between two rows that lie side by side.
    pub(super) fn set_node(&mut self, before: usize, hash: &[u8]) {
        let at = (PLACE + HASH) * self.count + HASH * before;
        self.bytes[at..at + HASH].copy_from_slice(hash);
    }
}

/// Where the sections of a page begin.
impl Leaves {
    fn leaf_at(&self, row: usize) -> usize {
        (PLACE * self.count) + HASH * row
    }

    fn node_at(&self, node: usize) -> usize {
        (PLACE + HASH) * self.count + HASH * node
    }

    fn end_at(&self, row: usize) -> usize {
        self.node_at(self.count.saturating_sub(1)) + END * row
    }

    /// Where the row of a number ends, from the first one's beginning on.
    fn end(&self, row: usize) -> usize {
        let at = self.end_at(row);
        let bytes = &self.bytes[at..at + END];
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize
    }

    fn row(&self, number: usize) -> &[u8] {
        let rows = self.end_at(self.count);
        let start = number.checked_sub(1).map_or(0, |before| self.end(before));
        &self.bytes[rows + start..rows + self.end(number)]
    }

    fn digest(&self, at: usize) -> Digest {
        let mut digest = Digest::ZERO;
        digest.0.copy_from_slice(&self.bytes[at..at + HASH]);
        digest
    }

    fn place(&self, row: usize) -> Digest {
        self.digest(PLACE * row)
    }
}

impl Leaves {
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// A page of rows, which are in strictly ascending order of their places.
    pub(super) fn new(rows: &[Parts<'_>]) -> Self {
        let mut packed = Packed::default();
        packed.put(rows);
        let Packed {
            bytes,
            count,
            stale,
        } = packed;
        Self {
            count,
            stale,
            bytes,
            mark: Mark::default(),
        }
    }

    /// The hash of the node between two rows that lie side by side.
    pub(super) fn node(&self, before: usize) -> &[u8] {
        let at = self.node_at(before);
        &self.bytes[at..at + HASH]
    }

    /// Whether the nodes above a row are those of before.
    pub(super) const fn is_row_stale(&self, row: usize) -> bool {
        self.stale & (1 << row) != 0
    }
    /// The page as it is written down: the number of rows as u16, then all but the nodes, which follow.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.count as u16).to_le_bytes());
        out.extend_from_slice(&self.bytes[..self.node_at(0)]);
        out.extend_from_slice(&self.bytes[self.end_at(0)..]);
    }

    /// The page that [`Leaves::encode`] wrote, at a depth; `None` if it isn't one.
    pub(super) fn decode(bytes: &[u8], depth: usize) -> Option<Self> {
        let mut read = Self::decode_unhashed(bytes)?;
        let mut plan = Plan::default();
        let mut noted = Vec::new();
        read.plan(depth, &mut plan, &mut noted);
        plan.run();
        read.settle(&plan, &mut noted.into_iter());
        Some(read)
    }

    /// The same, without the nodes above its rows.
    pub(super) fn decode_unhashed(bytes: &[u8]) -> Option<Self> {
        let (count, rest) = bytes.split_first_chunk::<2>()?;
        let count = usize::from(u16::from_le_bytes(*count));
        if count == 0 || count > ROWS_MAX || rest.len() < (PLACE + HASH + END) * count {
            return None;
        }
        let (before, behind) = rest.split_at((PLACE + HASH) * count);
        let nodes = HASH * (count - 1);
        let mut all = Vec::with_capacity(rest.len() + nodes);
        all.extend_from_slice(before);
        all.resize(all.len() + nodes, 0);
        all.extend_from_slice(behind);
        let read = Self {
            count,
            stale: u32::MAX,
            bytes: all,
            mark: Mark::saved(),
        };
        read.is_sound().then_some(read)
    }

    /// Whether places ascend and rows are within the bytes.
    fn is_sound(&self) -> bool {
        let rows = self.bytes.len() - self.end_at(self.count);
        let mut start = 0;
        for number in 0..self.count {
            let end = self.end(number);
            if end < start + ROW_HEAD || end > rows {
                return false;
            }
            let packed = self.row(number);
            if ROW_HEAD + usize::from(u16::from_le_bytes([packed[1], packed[2]])) > packed.len() {
                return false;
            }
            if number > 0 && self.place(number - 1) >= self.place(number) {
                return false;
            }
            start = end;
        }
        start == rows
    }

    /// Looks at every part of its memory.
    pub(super) fn look_at(&self) -> u64 {
        self.bytes
            .iter()
            .step_by(64)
            .map(|byte| u64::from(*byte))
            .sum()
    }

    /// Bytes of memory, roughly.
    pub(super) fn memory(&self) -> u64 {
        (self.bytes.capacity() + size_of::<Self>() + 32) as u64
    }

    pub(super) const fn rows(&self) -> Rows<'_> {
        Rows {
            leaves: self,
            next: 0,
        }
    }

    /// The number of the row at a place. Counts the places before it by their first bits, which is faster than a search in so few: the
    /// processor needn't guess where it leads.
    fn find(&self, place: &Digest) -> Option<usize> {
        let places = self.bytes[..PLACE * self.count].as_chunks::<PLACE>().0;
        let wanted = first_bits(place);
        let first = |place: &[u8; PLACE]| first_bits(&Digest(*place));
        let before = places
            .iter()
            .map(|place| usize::from(first(place) < wanted));
        let before = before.sum::<usize>();
        // Several only if somebody searched for places with the same first bits.
        let alike = places[before..].iter();
        let mut alike = alike.take_while(|place| first(place) == wanted);
        alike
            .position(|found| *found == place.0)
            .map(|at| before + at)
    }

    /// The row at a place. O(log rows).
    pub(super) fn get(&self, place: &Digest) -> Option<Row<'_>> {
        let number = self.find(place)?;
        Some(Row {
            leaves: self,
            number,
        })
    }

    /// The rows that change, if all are there and stay as long as they were.
    pub(super) fn in_place(&self, changes: &[Change<'_>]) -> Option<[u8; ROWS_MAX]> {
        if changes.len() > self.count {
            return None;
        }
        let mut numbers = [0; ROWS_MAX];
        for (number, change) in numbers.iter_mut().zip(changes) {
            let (row, found) = (change.row?, self.find(&change.place)?);
            if self.row(found).len() != ROW_HEAD + row.key.len() + row.value.len() {
                return None;
            }
            *number = found as u8;
        }
        Some(numbers)
    }

    /// Changes rows [in their places](Self::in_place). O(changes).
    pub(super) fn change_in_place(&mut self, numbers: &[u8; ROWS_MAX], changes: &[Change<'_>]) {
        for (number, change) in numbers.iter().zip(changes) {
            let (number, Some(row)) = (usize::from(*number), change.row) else {
                continue;
            };
            let leaf = self.leaf_at(number);
            self.bytes[leaf..leaf + HASH].copy_from_slice(&row.leaf.0);
            // The key stays: a place is of one key.
            let end = self.end_at(self.count) + self.end(number);
            self.bytes[end - row.value.len()..end].copy_from_slice(row.value);
            self.stale |= 1 << number;
        }
        self.mark = Mark::default();
    }

    /// Becomes a page of other rows, in the memory that it has, if it has room for them.
    pub(super) fn become_page(&mut self, packed: &Packed) {
        if self.bytes.capacity() < packed.bytes.len() {
            // Rows that come to a page come one by one.
            let room = packed.bytes.len().next_multiple_of(GROWN_BYTES);
            self.bytes = Vec::with_capacity(room);
        }
        self.bytes.clear();
        self.bytes.extend_from_slice(&packed.bytes);
        (self.count, self.stale) = (packed.count, packed.stale);
        self.mark = Mark::default();
    }

    pub(super) fn all_parts(&self) -> impl Iterator<Item = Parts<'_>> {
        self.rows().map(|row| row.parts())
    }

    /// Plans the nodes above rows that changed, and notes each: in the order of [`Leaves::settle`].
    pub(super) fn plan(&self, depth: usize, plan: &mut Plan, noted: &mut Vec<Planned>) -> Planned {
        self.plan_range((0, self.count), depth, plan, noted)
    }

    fn plan_range(
        &self,
        (first, end): (usize, usize),
        depth: usize,
        plan: &mut Plan,
        noted: &mut Vec<Planned>,
    ) -> Planned {
        match end - first {
            0 => return Planned::Known(Subtree::Empty),
            1 => return Planned::Known(Subtree::Leaf(self.digest(self.leaf_at(first)))),
            _ => {}
        }
        let (branching, border) = self.border(first, end);
        let node = border - 1;
        if !self.is_stale(first, end) {
            return Planned::Known(Subtree::Node(self.digest(self.node_at(node))));
        }
        let at = noted.len();
        noted.push(Planned::Known(Subtree::Empty));
        let left = self.plan_range((first, border), branching + 1, plan, noted);
        let right = self.plan_range((border, end), branching + 1, plan, noted);
        let mut planned = plan.join(left, right);
        // Above it are nodes with nothing on their other side.
        let place = self.place(first);
        for depth in (depth..branching).rev() {
            let empty = Planned::Known(Subtree::Empty);
            planned = match bit(&place, depth) {
                false => plan.join(planned, empty),
                true => plan.join(empty, planned),
            };
        }
        noted[at] = planned;
        planned
    }

    /// Takes over what was planned, once it is made.
    pub(super) fn settle(&mut self, plan: &Plan, noted: &mut impl Iterator<Item = Planned>) {
        self.settle_range((0, self.count), plan, noted);
        self.stale = 0;
    }

    fn settle_range(
        &mut self,
        (first, end): (usize, usize),
        plan: &Plan,
        noted: &mut impl Iterator<Item = Planned>,
    ) {
        if end - first < 2 || !self.is_stale(first, end) {
            return;
        }
        let (_, border) = self.border(first, end);
        if let Some(planned) = noted.next() {
            let at = self.node_at(border - 1);
            self.bytes[at..at + HASH].copy_from_slice(&plan.made(planned).hash().0);
        }
        self.settle_range((first, border), plan, noted);
        self.settle_range((border, end), plan, noted);
    }

    /// All rows together, once their hashes are made.
    pub(super) fn whole(&self) -> Subtree {
        match self.count {
            0 => Subtree::Empty,
            1 => Subtree::Leaf(self.digest(self.leaf_at(0))),
            count => {
                let (_, border) = self.border(0, count);
                Subtree::Node(self.digest(self.node_at(border - 1)))
            }
        }
    }

    /// Where the places of several rows first differ, and the first row that has a 1 there.
    fn border(&self, first: usize, end: usize) -> (usize, usize) {
        let depth = shared_bits(&self.place(first), &self.place(end - 1));
        let (byte, mask) = (depth / 8, 0x80_u8 >> (depth % 8));
        let mut border = first + 1;
        while self.bytes[PLACE * border + byte] & mask == 0 {
            border += 1;
        }
        (depth, border)
    }

    pub(super) const fn is_any_stale(&self) -> bool {
        self.stale != 0
    }

    fn is_stale(&self, first: usize, end: usize) -> bool {
        let rows = (1_u64 << end) - (1_u64 << first);
        u64::from(self.stale) & rows != 0
    }
}

/// The rows of a page, in the order of their places.
#[derive(Clone)]
pub(super) struct Rows<'a> {
    leaves: &'a Leaves,
    next: usize,
}

impl<'a> Iterator for Rows<'a> {
    type Item = Row<'a>;

    fn next(&mut self) -> Option<Row<'a>> {
        let number = self.next;
        (number < self.leaves.count).then(|| {
            self.next += 1;
            Row {
                leaves: self.leaves,
                number,
            }
        })
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
