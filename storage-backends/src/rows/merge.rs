//! Merging runs into one, a bounded number of entries at a time.

use super::index_run::{IndexRunMaker, IndexRunShape, PutRow, entries};
use super::{RowContext, View};
use crate::entry_table::{Entry, IndexAddress};
use crate::{Extent, Result};

/// Which entries a merge keeps: of blocks that are held, and of those below the index floor only the ids.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keep {
    pub(super) index_floor: u64,
    pub(super) end: u64,
}

impl Keep {
    pub(super) const fn all_of(extent: Extent) -> Self {
        Self {
            index_floor: extent.index_floor,
            end: extent.end,
        }
    }

    fn holds(self, address: IndexAddress) -> bool {
        let height = address.height();
        height < self.end && (height >= self.index_floor || address.entry().is_none())
    }
}

/// A merge that is under way.
#[derive(Debug)]
pub(super) struct Merge {
    inputs: Vec<Cursor>,
    keep: Keep,
    maker: IndexRunMaker,
}

impl Merge {
    /// Begins to merge `inputs`, which are neighbours, into the run `shape`, which has room for the entries that are kept.
    pub(super) fn new(inputs: &[IndexRunShape], shape: IndexRunShape, keep: Keep) -> Self {
        Self {
            inputs: inputs.iter().cloned().map(Cursor::new).collect(),
            keep,
            maker: IndexRunMaker::new(shape),
        }
    }

    /// Merges at least `budget` entries, or all that are left: then it is true.
    pub(super) fn advance(
        &mut self,
        view: &impl View,
        context: RowContext<'_>,
        budget: usize,
        put: &mut PutRow<'_>,
    ) -> Result<bool> {
        for _ in 0..budget {
            for input in &mut self.inputs {
                input.fill(view, context)?;
            }
            let next = self
                .inputs
                .iter_mut()
                .filter(|input| input.head().is_some())
                .min_by_key(|input| input.head().map(|entry| entry.hash));
            let Some(entry) = next.and_then(Cursor::take) else {
                return Ok(true);
            };
            if self.keep.holds(entry.address) {
                self.maker.push(entry, put)?;
            }
        }
        Ok(false)
    }

    /// Puts the last rows, after `advance` said that all is merged.
    pub(super) fn finish(self, put: &mut PutRow<'_>) -> Result<IndexRunShape> {
        self.maker.finish(put)
    }
}

/// Reads a run from its first entry to its last.
#[derive(Debug)]
struct Cursor {
    shape: IndexRunShape,
    next_page: u64,
    page: Vec<Entry>,
    at: usize,
}

impl Cursor {
    fn new(shape: IndexRunShape) -> Self {
        Self {
            shape,
            next_page: 0,
            page: Vec::new(),
            at: 0,
        }
    }

    fn head(&self) -> Option<&Entry> {
        self.page.get(self.at)
    }

    fn take(&mut self) -> Option<Entry> {
        let entry = self.head().copied();
        self.at += 1;
        entry
    }

    /// Makes sure that the next entry, if there is one, is in memory.
    fn fill(&mut self, view: &impl View, context: RowContext<'_>) -> Result<()> {
        // Pages may be empty, several in a row.
        while self.at >= self.page.len() && self.next_page < self.shape.pages() {
            let page = self.shape.page(view, context, self.next_page)?;
            self.page.clear();
            self.page.extend(entries(&page));
            self.at = 0;
            self.next_page += 1;
        }
        Ok(())
    }
}
