//! Pages of the tree: rows, or sixteen pages below. Copies share them, until one changes.

use std::sync::Arc;

use super::leaves::{Change, Leaves, ROWS_MAX, Row, Rows};
use super::plan::{Plan, Planned};
use crate::format::digest::Digest;
use crate::format::sparse::{Subtree, bit};

/// A branch with no more rows becomes a page of rows again. Well below what splits one, so that a row that comes and goes
/// doesn't split and gather each time.
const GATHERED_MAX: usize = ROWS_MAX / 2;

/// Bits of a place that a branch decides.
pub(super) const BITS: usize = 4;

/// Rows whose places begin with as many bits as the page is deep.
#[derive(Debug, Clone)]
pub(super) enum Page {
    Leaves(Arc<Leaves>),
    Branch(Arc<Branch>),
}

/// Sixteen pages, by the next four bits, and the nodes above them.
#[derive(Debug, Clone, Default)]
pub(super) struct Branch {
    /// Rows below.
    count: usize,
    /// Bit n: page n changed, and the subtrees above it are those of before.
    stale: u16,
    /// A binary tree: subtree n is over 2n and 2n + 1, subtree 16 + n is page n. Number 0 is nothing, and 1 all of it.
    subtrees: [Subtree; 32],
    pages: [Option<Page>; 16],
}

/// The four bits of a place behind `depth` others, which are a multiple of four.
fn nibble(place: &Digest, depth: usize) -> usize {
    let byte = place.0[depth / 8];
    usize::from(if depth.is_multiple_of(8) {
        byte >> 4
    } else {
        byte & 0xf
    })
}

impl Page {
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Leaves(leaves) => leaves.len(),
            Self::Branch(branch) => branch.count,
        }
    }

    /// The row at a place. O(log rows).
    pub(super) fn get(&self, place: &Digest) -> Option<Row<'_>> {
        let (mut page, mut depth) = (self, 0);
        loop {
            match page {
                Self::Leaves(leaves) => return leaves.get(place),
                Self::Branch(branch) => page = branch.pages[nibble(place, depth)].as_ref()?,
            }
            depth += BITS;
        }
    }

    /// The page at `depth` after changes, which are in strictly ascending order; `None` if no row is left.
    pub(super) fn change(page: Option<Self>, depth: usize, changes: &[Change<'_>]) -> Option<Self> {
        let changed = match page {
            None => Self::of(Leaves::default().with(changes), depth),
            Some(Self::Leaves(leaves)) => Self::of(leaves.with(changes), depth),
            Some(Self::Branch(mut branch)) => {
                // Copied here if a copy of the tree still shares it, so that the copy stays as it was.
                Arc::make_mut(&mut branch).change(depth, changes);
                match branch.count {
                    0..=GATHERED_MAX => Self::Leaves(Arc::new(branch.gather())),
                    _ => Self::Branch(branch),
                }
            }
        };
        (changed.count() > 0).then_some(changed)
    }

    /// A page of rows, split as often as they are too many.
    fn of(leaves: Leaves, depth: usize) -> Self {
        if leaves.len() <= ROWS_MAX {
            return Self::Leaves(Arc::new(leaves));
        }
        let mut branch = Branch {
            count: leaves.len(),
            stale: u16::MAX,
            ..Branch::default()
        };
        let parts = leaves.by_nibble(|place| nibble(place, depth));
        for (slot, part) in branch.pages.iter_mut().zip(parts) {
            *slot = (part.len() > 0).then(|| Self::of(part, depth + BITS));
        }
        Self::Branch(Arc::new(branch))
    }

    /// Plans what is stale, and notes for each stale subtree of a branch what it will be: in the order of [`Page::settle`].
    pub(super) fn plan(&self, depth: usize, plan: &mut Plan, noted: &mut Vec<Planned>) -> Planned {
        match self {
            Self::Leaves(leaves) => {
                let rows: Vec<Row<'_>> = leaves.rows().collect();
                plan_rows(depth, &rows, plan)
            }
            Self::Branch(branch) => branch.plan(1, depth, plan, noted),
        }
    }

    /// Takes over what was planned, once it is made.
    pub(super) fn settle(&mut self, plan: &Plan, noted: &mut impl Iterator<Item = Planned>) {
        let Self::Branch(branch) = self else { return };
        if branch.stale != 0 {
            let branch = Arc::make_mut(branch);
            branch.settle(1, plan, noted);
            branch.stale = 0;
        }
    }
}

fn plan_rows(depth: usize, rows: &[Row<'_>], plan: &mut Plan) -> Planned {
    match rows {
        [] => Planned::Known(Subtree::Empty),
        [row] => Planned::Known(Subtree::Leaf(row.leaf())),
        _ => {
            let middle = rows.partition_point(|row| !bit(&row.place(), depth));
            let (left, right) = rows.split_at(middle);
            let left = plan_rows(depth + 1, left, plan);
            let right = plan_rows(depth + 1, right, plan);
            plan.join(left, right)
        }
    }
}

/// The pages below a subtree of a branch, as bits.
const fn below(number: usize) -> u16 {
    let level = number.ilog2();
    let width = 16 >> level;
    let first = (number - (1 << level)) * width;
    ((1_u32 << width) - 1 << first) as u16
}

impl Branch {
    fn change(&mut self, depth: usize, mut changes: &[Change<'_>]) {
        while let Some(first) = changes.first() {
            let slot = nibble(&first.place, depth);
            let end = changes.partition_point(|change| nibble(&change.place, depth) <= slot);
            let (here, rest) = changes.split_at(end);
            let page = self.pages[slot].take();
            self.count -= page.as_ref().map_or(0, Page::count);
            self.pages[slot] = Page::change(page, depth + BITS, here);
            self.count += self.pages[slot].as_ref().map_or(0, Page::count);
            self.stale |= 1 << slot;
            changes = rest;
        }
    }

    fn plan(
        &self,
        number: usize,
        depth: usize,
        plan: &mut Plan,
        noted: &mut Vec<Planned>,
    ) -> Planned {
        if self.stale & below(number) == 0 {
            return Planned::Known(self.subtrees[number]);
        }
        let at = noted.len();
        noted.push(Planned::Known(Subtree::Empty));
        let planned = match number.checked_sub(16) {
            Some(slot) => match &self.pages[slot] {
                Some(page) => page.plan(depth + BITS, plan, noted),
                None => Planned::Known(Subtree::Empty),
            },
            None => {
                let left = self.plan(2 * number, depth, plan, noted);
                let right = self.plan(2 * number + 1, depth, plan, noted);
                plan.join(left, right)
            }
        };
        noted[at] = planned;
        planned
    }

    fn settle(&mut self, number: usize, plan: &Plan, noted: &mut impl Iterator<Item = Planned>) {
        if self.stale & below(number) == 0 {
            return;
        }
        if let Some(planned) = noted.next() {
            self.subtrees[number] = plan.made(planned);
        }
        match number.checked_sub(16) {
            Some(slot) => {
                if let Some(page) = &mut self.pages[slot] {
                    page.settle(plan, noted);
                }
            }
            None => {
                self.settle(2 * number, plan, noted);
                self.settle(2 * number + 1, plan, noted);
            }
        }
    }

    /// All rows below, which are few.
    fn gather(&self) -> Leaves {
        let mut pages = Vec::new();
        self.collect(&mut pages);
        Leaves::gather(pages.into_iter())
    }

    fn collect<'a>(&'a self, into: &mut Vec<&'a Leaves>) {
        for page in self.pages.iter().flatten() {
            match page {
                Page::Leaves(leaves) => into.push(leaves),
                Page::Branch(branch) => branch.collect(into),
            }
        }
    }

    /// The subtree of a number, as of the last time that hashes were made.
    pub(super) const fn subtree(&self, number: usize) -> Subtree {
        self.subtrees[number]
    }

    pub(super) const fn page(&self, slot: usize) -> Option<&Page> {
        self.pages[slot].as_ref()
    }
}

/// All rows below a page, in the order of their places.
pub(super) struct Walk<'a> {
    /// Pages that are still to come, the next one last.
    pages: Vec<&'a Page>,
    rows: Option<Rows<'a>>,
}

impl<'a> Walk<'a> {
    pub(super) fn over(page: Option<&'a Page>) -> Self {
        Self {
            pages: page.into_iter().collect(),
            rows: None,
        }
    }

    /// Those whose places are `first` or behind it.
    pub(super) fn from(page: Option<&'a Page>, first: &Digest) -> impl Iterator<Item = Row<'a>> {
        let (mut walk, mut depth) = (Self::over(page), 0);
        // Down to the page that `first` is in; what is to the right of the way stays to come.
        while let Some(Page::Branch(branch)) = walk.pages.last() {
            walk.pages.pop();
            let slot = nibble(first, depth);
            let behind = branch.pages[slot + 1..].iter().rev().flatten();
            walk.pages.extend(behind);
            match &branch.pages[slot] {
                Some(page) => walk.pages.push(page),
                None => break,
            }
            depth += BITS;
        }
        let first = *first;
        walk.skip_while(move |row| row.place() < first)
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Row<'a>;

    fn next(&mut self) -> Option<Row<'a>> {
        loop {
            if let Some(row) = self.rows.as_mut().and_then(Iterator::next) {
                return Some(row);
            }
            match self.pages.pop()? {
                Page::Leaves(leaves) => self.rows = Some(leaves.rows()),
                Page::Branch(branch) => self.pages.extend(branch.pages.iter().rev().flatten()),
            }
        }
    }
}
