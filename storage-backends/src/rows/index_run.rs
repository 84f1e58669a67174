//! Runs of the index: immutable, sorted by hash, in rows of about a page each.
//!
//! ```text
//! runs   id · 2^32 + n          → page n: entries of 16 bytes, hash u64 and address u64, by ascending hash. Page n of p has the
//!                                 hashes h with h · p / 2^64 = n
//! runs   id · 2^32 + 2^31 + n   → 60 filter blocks of 64 bytes, from block 60 · n on. Block n of b is a Bloom filter
//!                                 over the hashes h with h · b / 2^64 = n
//! ```
//!
//! Hashes are keyed with a secret seed, so pages and filter blocks fill evenly whatever the keys are, and a page
//! is found without a search. Pages and filters are made in the order of the hashes, in memory for a row of each.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::{RowContext, Table, View};
use crate::entry_table::{Entry, IndexAddress};
use crate::toolbox::filter::{FilterBlock, scale};
use crate::toolbox::little_endian::u64_at;
use crate::{DamageAt, Result};

const ENTRY_BYTES: usize = 16;
/// Entries that a page has on average; few have so many that they fill more than a page of 4 KiB.
const PAGE_ENTRIES: u64 = 200;
const FILTER_BLOCK_BYTES: usize = 64;
const FILTER_ROW_BLOCKS: u64 = 60;
/// Entries that a filter block of 512 bits has on average: about one in two hundred misses gets past it.
const FILTER_BLOCK_ENTRIES: u64 = 44;
/// The bits of a filter block, of which a hash has six.
type FilterBits = FilterBlock<512, 6>;
const FILTER_ROWS: u64 = 1 << 31;
const RUN_BITS: u32 = 32;

/// Runs have numbers below this.
pub(super) const RUN_MAX: u64 = 1 << (63 - RUN_BITS);
/// Most entries of a run: with more, its pages would have the row numbers of its filters.
pub(super) const ENTRIES_MAX: u64 = FILTER_ROWS * PAGE_ENTRIES - 1;

/// What the catalogue says of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IndexRunShape {
    pub(super) id: u64,
    /// How often its entries were merged.
    pub(super) level: u64,
    pub(super) heights: Range<u64>,
    /// At most this many.
    pub(super) entries: u64,
}

impl IndexRunShape {
    /// Whether all its rows have numbers of their own.
    pub(super) const fn is_possible(&self) -> bool {
        self.id < RUN_MAX && self.entries <= ENTRIES_MAX
    }

    pub(super) const fn pages(&self) -> u64 {
        1 + self.entries / PAGE_ENTRIES
    }

    /// The page of a hash.
    pub(super) const fn page_of(&self, hash: u64) -> u64 {
        scale(hash, self.pages())
    }

    const fn filter_blocks(&self) -> u64 {
        1 + self.entries / FILTER_BLOCK_ENTRIES
    }

    pub(super) const fn filter_rows(&self) -> u64 {
        self.filter_blocks().div_ceil(FILTER_ROW_BLOCKS)
    }

    const fn filter_bytes(&self) -> u64 {
        self.filter_rows() * FILTER_ROW_BLOCKS * FILTER_BLOCK_BYTES as u64
    }

    pub(super) const fn page_row(&self, page: u64) -> u64 {
        self.id << RUN_BITS | page
    }

    pub(super) const fn filter_row(&self, row: u64) -> u64 {
        self.id << RUN_BITS | FILTER_ROWS | row
    }

    /// The entries of a page, checked.
    pub(super) fn page(
        &self,
        view: &impl View,
        context: RowContext<'_>,
        page: u64,
    ) -> Result<Bytes> {
        let row = (Table::Runs, self.page_row(page));
        let bytes = context.fetch(view, row, DamageAt::Index)?;
        if bytes.len() % ENTRY_BYTES != 0 {
            return Err(context.corrupt(DamageAt::Index, "a page has a wrong length"));
        }
        Ok(bytes)
    }

    /// A row of filter blocks, checked.
    pub(super) fn filter(
        &self,
        view: &impl View,
        context: RowContext<'_>,
        row: u64,
    ) -> Result<Bytes> {
        let row = (Table::Runs, self.filter_row(row));
        let bytes = context.fetch(view, row, DamageAt::Index)?;
        if bytes.len() as u64 != FILTER_ROW_BLOCKS * FILTER_BLOCK_BYTES as u64 {
            let reason = "a row of filters has a wrong length";
            return Err(context.corrupt(DamageAt::Index, reason));
        }
        Ok(bytes)
    }
}

/// All rows that a run can have.
pub(super) const fn run_rows(id: u64) -> Range<u64> {
    id << RUN_BITS..(id + 1) << RUN_BITS
}

/// The entries of a page.
pub(super) fn entries(page: &[u8]) -> impl Iterator<Item = Entry> + '_ {
    page.chunks_exact(ENTRY_BYTES).map(|bytes| Entry {
        hash: u64_at(bytes, 0),
        address: IndexAddress::from_bits(u64_at(bytes, 8)),
    })
}

/// How many bytes of filters are in memory, of how many that may be.
#[derive(Debug)]
pub(super) struct FilterBudget {
    pub(super) used: AtomicU64,
    pub(super) limit: u64,
}

/// A run of the catalogue, and its filters, if they were asked for and there is room for them.
#[derive(Debug)]
pub(super) struct IndexRun {
    pub(super) shape: IndexRunShape,
    /// `None` inside if one of them is damaged: then each row is read when it is asked for.
    filters: OnceLock<Option<Box<[u8]>>>,
}

impl IndexRun {
    pub(super) fn new(shape: IndexRunShape) -> Self {
        Self {
            shape,
            filters: OnceLock::new(),
        }
    }

    /// Bytes that its filters take in memory now.
    pub(super) fn filter_bytes_held(&self) -> u64 {
        let held = self.filters.get().and_then(Option::as_deref);
        held.map_or(0, |filters| filters.len() as u64)
    }

    /// Calls `visit` with every address under a hash.
    pub(super) fn addresses(
        &self,
        view: &impl View,
        context: RowContext<'_>,
        budget: &FilterBudget,
        hash: u64,
        visit: &mut impl FnMut(IndexAddress),
    ) -> Result<()> {
        let block = scale(hash, self.shape.filter_blocks());
        let within = |block: u64| (block as usize) * FILTER_BLOCK_BYTES;
        let may_have = match self.filters(view, context, budget)? {
            Some(filters) => {
                FilterBits::may_have(&filters[within(block)..][..FILTER_BLOCK_BYTES], hash)
            }
            None => {
                let row = self
                    .shape
                    .filter(view, context, block / FILTER_ROW_BLOCKS)?;
                let at = within(block % FILTER_ROW_BLOCKS);
                FilterBits::may_have(&row[at..][..FILTER_BLOCK_BYTES], hash)
            }
        };
        if may_have {
            let page = self.shape.page_of(hash);
            let page = self.shape.page(view, context, page)?;
            entries(&page)
                .filter(|entry| entry.hash == hash)
                .for_each(|entry| visit(entry.address));
        }
        Ok(())
    }

    /// All filters, if there is room for them and all are sound. A damaged row among them is the business of those
    /// hashes alone that lead to it.
    fn filters(
        &self,
        view: &impl View,
        context: RowContext<'_>,
        budget: &FilterBudget,
    ) -> Result<Option<&[u8]>> {
        if let Some(filters) = self.filters.get() {
            return Ok(filters.as_deref());
        }
        let bytes = self.shape.filter_bytes();
        // Taken before it is compared and before anything is read: two threads that both found room would exceed the limit
        // together.
        let used = budget.used.fetch_add(bytes, Ordering::Relaxed);
        let give_up = || {
            budget.used.fetch_sub(bytes, Ordering::Relaxed);
        };
        if used + bytes > budget.limit {
            give_up();
            return Ok(None);
        }
        let mut filters = Vec::with_capacity(bytes as usize);
        for row in 0..self.shape.filter_rows() {
            match self.shape.filter(view, context, row) {
                Ok(row) => filters.extend_from_slice(&row),
                Err(error) => {
                    give_up();
                    if !error.is_corrupt() {
                        return Err(error);
                    }
                    // Remembered, so that not every look-up reads all filters up to the damaged one.
                    self.filters.get_or_init(|| None);
                    return Ok(None);
                }
            }
        }
        if self.filters.set(Some(filters.into_boxed_slice())).is_err() {
            // Another thread was faster, and its filters are counted.
            give_up();
        }
        Ok(self.filters.get().and_then(Option::as_deref))
    }
}

/// Makes the rows of a run from entries by ascending hash.
#[derive(Debug)]
pub(super) struct IndexRunMaker {
    pub(super) shape: IndexRunShape,
    page: Vec<u8>,
    next_page: u64,
    filters: Vec<u8>,
    next_filters: u64,
}

/// Where the rows of a run go.
pub(super) type PutRow<'a> = dyn FnMut(u64, &[u8]) -> Result<()> + 'a;

impl IndexRunMaker {
    pub(super) fn new(shape: IndexRunShape) -> Self {
        Self {
            shape,
            page: Vec::with_capacity(2 * PAGE_ENTRIES as usize * ENTRY_BYTES),
            next_page: 0,
            filters: vec![0; FILTER_ROW_BLOCKS as usize * FILTER_BLOCK_BYTES],
            next_filters: 0,
        }
    }

    pub(super) fn push(&mut self, entry: Entry, put: &mut PutRow<'_>) -> Result<()> {
        let page = self.shape.page_of(entry.hash);
        while self.next_page < page {
            self.put_page(put)?;
        }
        self.page.extend_from_slice(&entry.hash.to_le_bytes());
        self.page
            .extend_from_slice(&entry.address.bits().to_le_bytes());
        let block = scale(entry.hash, self.shape.filter_blocks());
        while self.next_filters < block / FILTER_ROW_BLOCKS {
            self.put_filters(put)?;
        }
        let at = (block % FILTER_ROW_BLOCKS) as usize * FILTER_BLOCK_BYTES;
        let block = &mut self.filters[at..at + FILTER_BLOCK_BYTES];
        FilterBits::add(block, entry.hash);
        Ok(())
    }

    /// Puts what is left.
    pub(super) fn finish(mut self, put: &mut PutRow<'_>) -> Result<IndexRunShape> {
        while self.next_page < self.shape.pages() {
            self.put_page(put)?;
        }
        while self.next_filters < self.shape.filter_rows() {
            self.put_filters(put)?;
        }
        Ok(self.shape)
    }

    fn put_page(&mut self, put: &mut PutRow<'_>) -> Result<()> {
        put(self.shape.page_row(self.next_page), &self.page)?;
        self.next_page += 1;
        self.page.clear();
        Ok(())
    }

    fn put_filters(&mut self, put: &mut PutRow<'_>) -> Result<()> {
        put(self.shape.filter_row(self.next_filters), &self.filters)?;
        self.next_filters += 1;
        self.filters.fill(0);
        Ok(())
    }
}
