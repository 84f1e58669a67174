//! All rows from a place on, in the order of their places.

use super::leaves::{Row, Rows};
use super::page::{BITS, Page, Slot, nibble, with_nibble};
use super::store::Pages;
use crate::format::digest::Digest;

/// See the [module](self).
pub(super) struct Walk<'a> {
    pages: &'a Pages,
    /// What is still to come, the next one last, with its place and depth.
    slots: Vec<(&'a Slot, Digest, usize)>,
    rows: Option<Rows<'a>>,
    first: Digest,
}

impl<'a> Walk<'a> {
    /// The rows whose places are `first` or behind it.
    pub(super) fn from(top: &'a Slot, pages: &'a Pages, first: Digest) -> Self {
        Self {
            pages,
            slots: vec![(top, Digest::ZERO, 0)],
            rows: None,
            first,
        }
    }

    /// Whether everything below a slot is before the first place.
    fn is_passed(&self, place: &Digest, depth: usize) -> bool {
        let bytes = depth / 8;
        let (mine, wanted) = (&place.0[..bytes], &self.first.0[..bytes]);
        match mine.cmp(wanted) {
            std::cmp::Ordering::Equal if !depth.is_multiple_of(8) => {
                place.0[bytes] >> 4 < self.first.0[bytes] >> 4
            }
            order => order.is_lt(),
        }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Row<'a>;

    fn next(&mut self) -> Option<Row<'a>> {
        loop {
            if let Some(rows) = &mut self.rows {
                let first = self.first;
                if let Some(row) = rows.find(|row| row.place() >= first) {
                    return Some(row);
                }
                self.rows = None;
            }
            let (slot, place, depth) = self.slots.pop()?;
            if self.is_passed(&place, depth) {
                continue;
            }
            match slot.get(self.pages, &place, depth) {
                Some(Page::Leaves(leaves)) => self.rows = Some(leaves.rows()),
                Some(Page::Branch(branch)) => {
                    let least = match depth == 0 || !self.is_behind(&place, depth) {
                        true => nibble(&self.first, depth),
                        false => 0,
                    };
                    for number in (least..16).rev() {
                        let slot = branch.slot(number);
                        if slot.is_used() {
                            let place = with_nibble(&place, depth, number);
                            self.slots.push((slot, place, depth + BITS));
                        }
                    }
                }
                // Without rows, or it can't be read: whoever walks asks the tree whether something failed.
                None => {}
            }
        }
    }
}

impl Walk<'_> {
    /// Whether the first place is before everything below a slot.
    fn is_behind(&self, place: &Digest, depth: usize) -> bool {
        let bytes = depth / 8;
        let (mine, wanted) = (&place.0[..bytes], &self.first.0[..bytes]);
        match mine.cmp(wanted) {
            std::cmp::Ordering::Equal if !depth.is_multiple_of(8) => {
                place.0[bytes] >> 4 > self.first.0[bytes] >> 4
            }
            order => order.is_gt(),
        }
    }
}
