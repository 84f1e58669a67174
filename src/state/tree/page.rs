//! Pages of the tree: rows, or sixteen pages below. Copies share them, until one changes.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::leaves::{Change, Leaves, Packed, Parts, ROWS_MAX, Row, subtree_of};
use super::merge::Merged;
use super::store::Pages;
use crate::format::digest::Digest;
use crate::format::sparse::Subtree;
use crate::format::sparse::plan::{Plan, Planned};

/// A branch with no more rows becomes a page of rows again. Well below what splits one, so that a row that comes and goes
/// doesn't split and gather each time.
const GATHERED_MAX: usize = ROWS_MAX / 2;

/// Hashes above more rows aren't planned together.
const PLAN_ROWS_MAX: usize = 4096;

/// Bits of a place that a branch decides.
pub(super) const BITS: usize = 4;

/// What is said of a page itself, by whoever has it: a page that is shared never changes in anything else.
#[derive(Debug, Default)]
pub(super) struct Mark {
    /// Whether it is written down, with all that is below it.
    is_saved: AtomicBool,
    /// When it was last read or changed.
    touched: AtomicU32,
}

impl Mark {
    pub(super) fn saved() -> Self {
        Self {
            is_saved: AtomicBool::new(true),
            touched: AtomicU32::new(0),
        }
    }

    fn at(now: u32) -> Self {
        Self {
            is_saved: AtomicBool::new(false),
            touched: AtomicU32::new(now),
        }
    }

    pub(super) fn is_saved(&self) -> bool {
        self.is_saved.load(Ordering::Acquire)
    }

    fn save(&self) {
        self.is_saved.store(true, Ordering::Release);
    }

    pub(super) fn touch(&self, now: u32) {
        // Read first: pages that everybody reads would else go from one processor's cache to another's.
        if self.touched.load(Ordering::Relaxed) != now {
            self.touched.store(now, Ordering::Relaxed);
        }
    }

    fn is_old(&self, now: u32) -> bool {
        self.touched.load(Ordering::Relaxed) != now
    }
}

/// Rows whose places begin with as many bits as the page is deep.
#[derive(Debug, Clone)]
pub(super) enum Page {
    Leaves(Arc<Leaves>),
    Branch(Arc<Branch>),
}

/// Where a page is: in memory, only written down, or nowhere because it has no rows.
#[derive(Debug, Clone, Default)]
pub(super) struct Slot {
    page: OnceLock<Page>,
    /// Of a page that is written down, how its hash begins. What is read has to be that page, and not a later one in its place.
    stored: Option<u64>,
}

/// Sixteen pages, by the next four bits, and the nodes above them.
#[derive(Debug, Default)]
pub(super) struct Branch {
    /// Rows below.
    count: usize,
    /// Bit n: page n changed, and the subtrees above it are those of before.
    stale: u16,
    /// A binary tree: subtree n is over 2n and 2n + 1, subtree 16 + n is page n. Number 0 is nothing, and 1 all of it.
    subtrees: [Subtree; 32],
    slots: [Slot; 16],
    mark: Mark,
}

impl Clone for Branch {
    /// One that is about to be changed, and so isn't saved.
    fn clone(&self) -> Self {
        Self {
            count: self.count,
            stale: self.stale,
            subtrees: self.subtrees,
            slots: self.slots.clone(),
            mark: Mark::at(self.mark.touched.load(Ordering::Relaxed)),
        }
    }
}

/// The four bits of a place behind `depth` others, which are a multiple of four.
pub(super) fn nibble(place: &Digest, depth: usize) -> usize {
    let byte = place.0[depth / 8];
    usize::from(if depth.is_multiple_of(8) {
        byte >> 4
    } else {
        byte & 0xf
    })
}

/// The lowest place with another nibble at this depth than `place`, and nothing behind it.
pub(super) fn with_nibble(place: &Digest, depth: usize, nibble: usize) -> Digest {
    let mut first = Digest::ZERO;
    first.0[..depth / 8].copy_from_slice(&place.0[..depth / 8]);
    first.0[depth / 8] = if depth.is_multiple_of(8) {
        (nibble as u8) << 4
    } else {
        place.0[depth / 8] & 0xf0 | nibble as u8
    };
    first
}

fn beginning(hash: &Digest) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&hash.0[..8]);
    u64::from_le_bytes(first)
}

impl Slot {
    pub(super) fn of(page: Option<Page>) -> Self {
        let slot = Self::default();
        if let Some(page) = page {
            // Nobody else has it yet.
            let _ = slot.page.set(page);
        }
        slot
    }

    /// Has a page in memory that was read for it.
    pub(super) fn put(&self, page: Page) {
        // Somebody else may have read it meanwhile, which is the same page.
        let _ = self.page.set(page);
    }

    /// A page that is written down, all rows of which have this hash together.
    pub(super) fn stored(whole: &Digest) -> Self {
        Self {
            stored: Some(beginning(whole)),
            ..Self::default()
        }
    }

    pub(super) fn loaded(&self) -> Option<&Page> {
        self.page.get()
    }

    pub(super) fn loaded_mut(&mut self) -> Option<&mut Page> {
        self.page.get_mut()
    }

    /// Whether there are rows.
    pub(super) fn is_used(&self) -> bool {
        self.stored.is_some() || self.page.get().is_some()
    }

    /// How the hash of a page begins that is written down.
    pub(super) const fn beginning(&self) -> Option<u64> {
        self.stored
    }

    /// The page, read if it has to be.
    pub(super) fn get(&self, pages: &Pages, place: &Digest, depth: usize) -> Option<&Page> {
        if let Some(page) = self.page.get() {
            return Some(page);
        }
        let page = pages.load(place, depth, self.stored?)?;
        Some(self.page.get_or_init(|| page))
    }

    /// Takes the page out, read if it has to be.
    pub(super) fn take(&mut self, pages: &Pages, place: &Digest, depth: usize) -> Option<Page> {
        let taken = match self.page.take() {
            None => self
                .stored
                .and_then(|stored| pages.load(place, depth, stored)),
            taken => taken,
        };
        self.stored = None;
        taken
    }
}

impl Page {
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Leaves(leaves) => leaves.len(),
            Self::Branch(branch) => branch.count,
        }
    }

    fn mark(&self) -> &Mark {
        match self {
            Self::Leaves(leaves) => &leaves.mark,
            Self::Branch(branch) => &branch.mark,
        }
    }

    pub(super) fn touch(&self, now: u32) {
        self.mark().touch(now);
    }

    /// Bytes of memory of the page itself, roughly.
    pub(super) fn memory(&self) -> u64 {
        match self {
            Self::Leaves(leaves) => leaves.memory(),
            Self::Branch(_) => size_of::<Branch>() as u64 + 32,
        }
    }

    /// The row at a place, in the page at `depth`. O(log rows).
    pub(super) fn get(&self, pages: &Pages, place: &Digest) -> Option<Row<'_>> {
        let (mut page, mut depth) = (self, 0);
        loop {
            match page {
                Self::Leaves(leaves) => {
                    leaves.mark.touch(pages.now);
                    return leaves.get(place);
                }
                Self::Branch(branch) => {
                    let slot = &branch.slots[nibble(place, depth)];
                    depth += BITS;
                    page = slot.get(pages, place, depth)?;
                }
            }
        }
    }

    /// Looks at all that changes of these places will need, as far as it is in memory: many at a time, so that the processor waits for
    /// many parts of memory at once. One after the other, changes of a large tree would be nothing but waiting.
    pub(super) fn look_ahead(&self, places: impl Iterator<Item = Digest>) -> u64 {
        // A way ends where a page isn't in memory: it is at another depth than the others from there on.
        let mut ways: Vec<(Option<&Self>, Digest)> =
            places.map(|place| (Some(self), place)).collect();
        let (mut depth, mut seen) = (0, 0_u64);
        let mut goes_on = true;
        while goes_on {
            goes_on = false;
            for (way, place) in &mut ways {
                let Some(Self::Branch(branch)) = *way else {
                    continue;
                };
                let slot = nibble(place, depth);
                let subtrees = [16 + slot, 8 + slot / 2].map(|number| branch.subtrees[number]);
                let first = subtrees.map(|subtree| u64::from(subtree.hash().0[0]));
                seen = seen.wrapping_add(u64::from(branch.stale) + first[0] + first[1]);
                *way = branch.slots[slot].loaded();
                goes_on = true;
            }
            depth += BITS;
        }
        for (way, _) in ways {
            if let Some(Self::Leaves(leaves)) = way {
                seen = seen.wrapping_add(leaves.look_at());
            }
        }
        seen
    }

    /// The page at `depth` after changes, which are in strictly ascending order; `None` if no row is left.
    pub(super) fn change(
        page: Option<Self>,
        depth: usize,
        changes: &[Change<'_>],
        pages: &Pages,
        room: &mut Packed,
    ) -> Option<Self> {
        let changed = match page {
            None => {
                let rows = changes.iter().filter_map(|change| change.row);
                Self::of(&rows.collect::<Vec<_>>(), depth, pages)
            }
            Some(Self::Leaves(leaves)) => Self::change_leaves(leaves, depth, changes, pages, room),
            Some(Self::Branch(mut branch)) => {
                // Copied here if a copy of the tree still shares it, so that the copy stays as it was.
                let own = Arc::make_mut(&mut branch);
                if own.mark.is_saved() {
                    pages.count_unsaved(size_of::<Branch>() as u64);
                }
                own.mark = Mark::at(pages.now);
                own.change(depth, changes, pages, room);
                match branch.count {
                    0..=GATHERED_MAX => {
                        let place = changes.first().map_or(Digest::ZERO, |change| change.place);
                        let mut rows = Vec::new();
                        branch.collect(depth, &place, pages, &mut rows);
                        Self::leaves(Leaves::new(&rows), pages)
                    }
                    _ => Self::Branch(branch),
                }
            }
        };
        (changed.count() > 0).then_some(changed)
    }

    fn change_leaves(
        mut leaves: Arc<Leaves>,
        depth: usize,
        changes: &[Change<'_>],
        pages: &Pages,
        room: &mut Packed,
    ) -> Self {
        let (was_saved, bytes) = (leaves.mark.is_saved(), leaves.memory());
        let is_own = Arc::get_mut(&mut leaves).is_some();
        if let Some(numbers) = leaves.in_place(changes) {
            // Copied here if a copy of the tree still shares it, with the hashes that stay.
            Arc::make_mut(&mut leaves).change_in_place(&numbers, changes);
            leaves.mark.touch(pages.now);
            if !is_own {
                pages.replaced(bytes, was_saved);
                pages.count_new(leaves.memory());
            } else if was_saved {
                pages.count_unsaved(bytes);
            }
            return Self::Leaves(leaves);
        }
        pages.replaced(bytes, was_saved);
        let merged = Merged::of(&leaves, changes);
        if merged.rows.len() > ROWS_MAX {
            return Self::of(&merged.rows, depth, pages);
        }
        merged.pack(room);
        if !is_own {
            leaves = Arc::default();
        }
        // Nobody else has it.
        let own = Arc::make_mut(&mut leaves);
        own.become_page(room);
        own.mark.touch(pages.now);
        pages.count_new(own.memory());
        Self::Leaves(leaves)
    }

    fn leaves(leaves: Leaves, pages: &Pages) -> Self {
        leaves.mark.touch(pages.now);
        pages.count_new(leaves.memory());
        Self::Leaves(Arc::new(leaves))
    }

    /// A page of rows in the order of their places, split as often as they are too many.
    fn of(rows: &[Parts<'_>], depth: usize, pages: &Pages) -> Self {
        if rows.len() <= ROWS_MAX {
            return Self::leaves(Leaves::new(rows), pages);
        }
        let mut branch = Branch {
            count: rows.len(),
            stale: u16::MAX,
            mark: Mark::at(pages.now),
            ..Branch::default()
        };
        for same in rows.chunk_by(|a, b| nibble(&a.place, depth) == nibble(&b.place, depth)) {
            let page = Self::of(same, depth + BITS, pages);
            branch.slots[nibble(&same[0].place, depth)] = Slot::of(Some(page));
        }
        pages.count_new(size_of::<Branch>() as u64);
        Self::Branch(Arc::new(branch))
    }

    /// Plans what is stale, and notes for each stale subtree of a branch what it will be: in the order of [`Page::settle`].
    pub(super) fn plan(&self, depth: usize, plan: &mut Plan, noted: &mut Vec<Planned>) -> Planned {
        match self {
            Self::Leaves(leaves) => leaves.plan(depth, plan, noted),
            Self::Branch(branch) => branch.plan(1, depth, plan, noted),
        }
    }

    /// Makes the hashes of what is stale, about so many rows, and gives that of all rows together. Of many rows, those of each part are
    /// made by themselves first: a plan of all would take more memory than the processor's caches have, and in the end than there is.
    pub(super) fn hash(&mut self, depth: usize, rows: usize) -> Subtree {
        if rows > PLAN_ROWS_MAX
            && let Self::Branch(branch) = self
            && branch.stale != 0
        {
            let branch = Arc::make_mut(branch);
            let parts = branch.stale.count_ones() as usize;
            for (number, slot) in branch.slots.iter_mut().enumerate() {
                if branch.stale & (1 << number) != 0
                    && let Some(page) = slot.page.get_mut()
                {
                    page.hash(depth + BITS, rows / parts);
                }
            }
        }
        let (mut plan, mut noted) = (Plan::default(), Vec::new());
        let whole = self.plan(depth, &mut plan, &mut noted);
        plan.run();
        self.settle(&plan, &mut noted.into_iter());
        plan.made(whole)
    }

    /// All rows of the page together, of one whose hashes are made.
    pub(super) fn subtree(&self, depth: usize) -> Subtree {
        match self {
            Self::Leaves(leaves) => {
                let rows: Vec<Row<'_>> = leaves.rows().collect();
                subtree_of(depth, &rows)
            }
            Self::Branch(branch) => branch.subtree(1),
        }
    }

    /// How the hash of all rows together begins, of a page whose hashes are made.
    pub(super) fn beginning(&self) -> u64 {
        beginning(&match self {
            Self::Leaves(leaves) => leaves.whole().hash(),
            Self::Branch(branch) => branch.subtree(1).hash(),
        })
    }

    /// Takes over what was planned, once it is made.
    pub(super) fn settle(&mut self, plan: &Plan, noted: &mut impl Iterator<Item = Planned>) {
        match self {
            Self::Leaves(leaves) if leaves.is_any_stale() => {
                // Pages that are stale came to be since the last root. If a copy was taken since, it has hashes of its own to make.
                let own = Arc::make_mut(leaves);
                own.settle(plan, noted);
            }
            Self::Branch(branch) if branch.stale != 0 => {
                let branch = Arc::make_mut(branch);
                branch.settle(1, plan, noted);
                branch.stale = 0;
            }
            _ => {}
        }
    }

    /// Shows all pages that aren't saved, with their places and depths, those above first.
    pub(super) fn unsaved(
        &self,
        place: &Digest,
        depth: usize,
        show: &mut impl FnMut(&Digest, usize, &Self),
    ) {
        if self.mark().is_saved() {
            return;
        }
        show(place, depth, self);
        if let Self::Branch(branch) = self {
            for (number, slot) in branch.slots.iter().enumerate() {
                if let Some(page) = slot.loaded() {
                    let place = with_nibble(place, depth, number);
                    page.unsaved(&place, depth + BITS, show);
                }
            }
        }
    }

    /// Marks the page and all below it as saved, and says how many bytes of memory those are that weren't.
    pub(super) fn save(&self) -> u64 {
        if self.mark().is_saved() {
            return 0;
        }
        let mut bytes = self.memory();
        if let Self::Branch(branch) = self {
            let loaded = branch.slots.iter().filter_map(Slot::loaded);
            bytes += loaded.map(Self::save).sum::<u64>();
        }
        self.mark().save();
        bytes
    }

    /// Gives up what is saved below this page and may go: if it wasn't touched since `now` began, or whenever `is_all`. Says how many
    /// bytes of memory stay, this page's included, which stays itself. What copies share stays too.
    pub(super) fn give_up(&mut self, now: u32, is_all: bool) -> u64 {
        let own = self.memory();
        let Self::Branch(branch) = self else {
            return own;
        };
        let may_go = |page: &Self| page.mark().is_saved() && (is_all || page.mark().is_old(now));
        // Shared with a copy: giving up a page of it would take a copy of the branch.
        let Some(branch) = Arc::get_mut(branch) else {
            return self.count_memory();
        };
        let mut kept = own;
        for (number, slot) in branch.slots.iter_mut().enumerate() {
            let Some(page) = slot.page.get_mut() else {
                continue;
            };
            let below = page.give_up(now, is_all);
            let is_bare = match page {
                Self::Leaves(_) => true,
                Self::Branch(branch) => branch.slots.iter().all(|slot| slot.loaded().is_none()),
            };
            if is_bare && may_go(page) {
                *slot = Slot::stored(&branch.subtrees[16 + number].hash());
            } else {
                kept += below;
            }
        }
        kept
    }

    /// Bytes of memory of this page and all below it.
    pub(super) fn count_memory(&self) -> u64 {
        let below = match self {
            Self::Leaves(_) => 0,
            Self::Branch(branch) => {
                let loaded = branch.slots.iter().filter_map(Slot::loaded);
                loaded.map(Self::count_memory).sum()
            }
        };
        self.memory() + below
    }

    /// Bytes of memory of what isn't saved, this page and below it.
    pub(super) fn count_unsaved(&self) -> u64 {
        let mut bytes = 0;
        self.unsaved(&Digest::ZERO, 0, &mut |_, _, page| bytes += page.memory());
        bytes
    }
}

impl Pages {
    /// Counts a page that came to be.
    fn count_new(&self, bytes: u64) {
        self.resident.fetch_add(bytes, Ordering::Relaxed);
        self.count_unsaved(bytes);
    }

    fn count_unsaved(&self, bytes: u64) {
        self.unsaved.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts a page that another one comes in place of.
    fn replaced(&self, bytes: u64, was_saved: bool) {
        let less = |count: u64| Some(count.saturating_sub(bytes));
        let take = |count: &AtomicU64| {
            let _ = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        };
        take(&self.resident);
        if !was_saved {
            take(&self.unsaved);
        }
    }
}

/// The pages below a subtree of a branch, as bits.
const fn below(number: usize) -> u16 {
    let level = number.ilog2();
    let width = 16 >> level;
    let first = (number - (1 << level)) * width;
    (((1_u32 << width) - 1) << first) as u16
}

impl Branch {
    /// One whose pages are all written down, with what is said of them.
    pub(super) fn stored(count: usize, subtrees: &[Subtree; 16]) -> Self {
        let mut all = [Subtree::Empty; 32];
        all[16..].copy_from_slice(subtrees);
        for number in (1..16).rev() {
            all[number] = Subtree::over(all[2 * number], all[2 * number + 1]);
        }
        let slot = |number: usize| match subtrees[number] {
            Subtree::Empty => Slot::default(),
            subtree => Slot::stored(&subtree.hash()),
        };
        Self {
            count,
            stale: 0,
            subtrees: all,
            slots: std::array::from_fn(slot),
            mark: Mark::saved(),
        }
    }

    pub(super) const fn count(&self) -> usize {
        self.count
    }

    fn change(
        &mut self,
        depth: usize,
        mut changes: &[Change<'_>],
        pages: &Pages,
        room: &mut Packed,
    ) {
        while let Some(first) = changes.first() {
            let slot = nibble(&first.place, depth);
            let end = changes.partition_point(|change| nibble(&change.place, depth) <= slot);
            let (here, rest) = changes.split_at(end);
            let page = self.slots[slot].take(pages, &first.place, depth + BITS);
            self.count = self
                .count
                .saturating_sub(page.as_ref().map_or(0, Page::count));
            let page = Page::change(page, depth + BITS, here, pages, room);
            self.count += page.as_ref().map_or(0, Page::count);
            self.slots[slot] = Slot::of(page);
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
            // Stale ones are in memory: they were changed there, and aren't saved.
            Some(slot) => match self.slots[slot].loaded() {
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
                if let Some(page) = self.slots[slot].page.get_mut() {
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
    fn collect<'a>(
        &'a self,
        depth: usize,
        place: &Digest,
        pages: &Pages,
        into: &mut Vec<Parts<'a>>,
    ) {
        for (number, slot) in self.slots.iter().enumerate() {
            let place = with_nibble(place, depth, number);
            match slot.get(pages, &place, depth + BITS) {
                Some(Page::Leaves(leaves)) => into.extend(leaves.all_parts()),
                Some(Page::Branch(branch)) => branch.collect(depth + BITS, &place, pages, into),
                None => {}
            }
        }
    }

    /// The subtree of a number, as of the last time that hashes were made.
    pub(super) const fn subtree(&self, number: usize) -> Subtree {
        self.subtrees[number]
    }

    pub(super) const fn slot(&self, number: usize) -> &Slot {
        &self.slots[number]
    }
}
