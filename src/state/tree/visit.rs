//! All rows from a place on, without keeping the pages that they are in: for whoever goes through a state that is larger than memory.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

use super::StateTree;
use super::leaves::Row;
use super::page::{BITS, Page, Slot, with_nibble};
use super::store::Pages;
use crate::format::digest::Digest;
use crate::format::sparse::DEPTH_MAX;

/// Shows a row; [`ControlFlow::Break`] ends the visit.
type Show<'a> = dyn FnMut(Digest, u8, &[u8], &[u8]) -> ControlFlow<()> + 'a;

impl StateTree {
    /// Shows the rows with places from `first` on, in that order: place, table, key, value. Pages that aren't in memory are read and let go, so
    /// that memory stays as it is. What can't be read is left out: whoever visits asks for the [failure](StateTree::failure) afterwards.
    pub(crate) fn visit(&self, first: &Digest, show: &mut Show<'_>) {
        let visit = Visit {
            pages: &self.pages,
            first,
        };
        // Whether it was ended early is known to whoever shows.
        let _ = visit.slot(&self.top, &Digest::ZERO, 0, show);
    }
}

struct Visit<'a> {
    pages: &'a Pages,
    first: &'a Digest,
}

impl Visit<'_> {
    /// At most as deep as a place has fours of bits.
    fn slot(
        &self,
        slot: &Slot,
        place: &Digest,
        depth: usize,
        show: &mut Show<'_>,
    ) -> ControlFlow<()> {
        if !slot.is_used() || last_of(place, depth) < *self.first {
            return ControlFlow::Continue(());
        }
        if let Some(page) = slot.loaded() {
            return self.page(page, place, depth, show);
        }
        let read = slot.beginning();
        let read = read.and_then(|beginning| self.pages.load(place, depth, beginning));
        let Some(page) = read else {
            return ControlFlow::Continue(());
        };
        let flow = self.page(&page, place, depth, show);
        let less = |count: u64| Some(count.saturating_sub(page.memory()));
        let resident = &self.pages.resident;
        let _ = resident.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        flow
    }

    fn page(
        &self,
        page: &Page,
        place: &Digest,
        depth: usize,
        show: &mut Show<'_>,
    ) -> ControlFlow<()> {
        match page {
            Page::Leaves(leaves) => {
                let mut rows = leaves.rows().filter(|row| row.place() >= *self.first);
                rows.try_for_each(|row: Row<'_>| {
                    show(row.place(), row.table(), row.key(), row.value())
                })
            }
            Page::Branch(branch) => (0..16).try_for_each(|number| {
                let below = with_nibble(place, depth, number);
                self.slot(branch.slot(number), &below, depth + BITS, show)
            }),
        }
    }
}

/// The highest place that begins with the same `depth` bits, a multiple of four.
fn last_of(place: &Digest, depth: usize) -> Digest {
    let mut last = Digest([0xff; DEPTH_MAX / 8]);
    let bytes = depth / 8;
    last.0[..bytes].copy_from_slice(&place.0[..bytes]);
    if !depth.is_multiple_of(8) {
        last.0[bytes] = place.0[bytes] | 0x0f;
    }
    last
}
