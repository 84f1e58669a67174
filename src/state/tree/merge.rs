//! A page of rows with changes that don't fit into their places: rows that come, go or get longer.

use super::leaves::{Change, Leaves, Packed, Parts};

/// The rows of a page after changes, and which each was before.
pub(super) struct Merged<'a> {
    old: &'a Leaves,
    pub(super) rows: Vec<Parts<'a>>,
    /// The number of each row in the old page; none of those that changed or are new.
    from: Vec<Option<usize>>,
}

impl<'a> Merged<'a> {
    /// Those of a page with changes, which are in strictly ascending order. O(rows + changes).
    pub(super) fn of(old: &'a Leaves, changes: &[Change<'a>]) -> Self {
        let most = old.len() + changes.len();
        let mut merged = Self {
            old,
            rows: Vec::with_capacity(most),
            from: Vec::with_capacity(most),
        };
        let mut changes = changes.iter().peekable();
        for (number, row) in old.all_parts().enumerate() {
            while let Some(change) = changes.next_if(|change| change.place < row.place) {
                merged.push(change.row, None);
            }
            match changes.next_if(|change| change.place == row.place) {
                Some(change) => merged.push(change.row, None),
                None => merged.push(Some(row), Some(number)),
            }
        }
        changes.for_each(|change| merged.push(change.row, None));
        merged
    }

    fn push(&mut self, row: Option<Parts<'a>>, from: Option<usize>) {
        if let Some(row) = row {
            self.rows.push(row);
            self.from.push(from);
        }
    }

    /// Packs the rows, which are no more than a page has, with the nodes that stay as they were.
    ///
    /// A node stays if neither its rows changed nor how deep it is. The second depends on what lies beside it: a row that came or went
    /// there had one of the node's outermost rows for a neighbour, which counts as changed for that reason.
    pub(super) fn pack(&self, into: &mut Packed) {
        into.put(&self.rows);
        let is_fresh = |from: &Option<usize>| from.is_none_or(|from| self.old.is_row_stale(from));
        let mut stale = 0;
        for (number, from) in self.from.iter().enumerate() {
            stale |= u32::from(is_fresh(from)) << number;
        }
        for (before, pair) in self.from.windows(2).enumerate() {
            match (pair[0], pair[1]) {
                (Some(left), Some(right)) if right == left + 1 => {
                    into.set_node(before, self.old.node(left));
                }
                _ => stale |= 0b11 << before,
            }
        }
        let (first, last) = (self.from.first(), self.from.last());
        if first.copied().flatten() != Some(0) {
            stale |= 1;
        }
        if last.copied().flatten().map(|last| last + 1) != Some(self.old.len()) {
            stale |= 1 << self.from.len().saturating_sub(1);
        }
        into.set_stale(stale);
    }
}
