//! Selecting what a block takes.
//!
//! Twice over those that a block could take, the best first. The first time each source gets its share at most, and whatever
//! exceeds it is put off; the second time what is left of the room goes to what was put off. So a source that is alone fills
//! the block, in the order of fees, and one that floods leaves room for the others, whatever its fees.
//!
//! Nothing is looked at that isn't taken but what finds no room, of which there is a bound, and one of each source that has its share: so
//! it costs O(log n) for each one selected, however many wait.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, btree_set};

use super::sender::Best;
use super::waiting::{Pool, Waiting};
use crate::format::model::{TRANSACTION_BYTES_MIN, Transaction};

/// How many are passed over at most that find no room, so that selecting ends soon after a block is full.
const PASSED_OVER_MAX: usize = 4096;
/// How many of a source, before the rest of it is put off.
const PASSED_OVER_OF_SOURCE_MAX: usize = 32;

/// The room that a block has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// For so many transactions …
    pub transactions: usize,
    /// … and so many bytes of them.
    pub bytes: usize,
    /// How many more are wanted, in the order in which they would follow, in case some can't be taken after all.
    pub spare: usize,
}

/// One that could be next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Next {
    best: Best,
    origin: Origin,
}

/// How it was come upon, which says what is looked at after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    /// As the best of its source.
    First,
    /// As one further on of its source.
    Further,
    /// Behind another one of its sender.
    Behind,
}

/// What a source has got.
#[derive(Default)]
struct Got<'a> {
    transactions: usize,
    bytes: usize,
    passed_over: usize,
    is_put_off: bool,
    /// Those of the source that weren't looked at.
    further: Option<btree_set::Iter<'a, Best>>,
}

struct Selection<'a> {
    pool: &'a Pool,
    room: Room,
    heap: BinaryHeap<Reverse<Next>>,
    firsts: btree_set::Iter<'a, (Best, u32)>,
    /// Whether several sources have something to take: where there is one, its share is all.
    is_contested: bool,
    got: HashMap<u32, Got<'a>>,
    put_off: Vec<Next>,
    /// What each sender spends by what is taken; only where balances are kept.
    spent: HashMap<u32, u128>,
    taken: Vec<Transaction>,
    spare: Vec<Transaction>,
    passed_over: usize,
    bytes: usize,
}

impl Pool {
    /// What a block with this room takes: by fee, the highest first, each sender's in the order of their nonces, as far as a source doesn't
    /// exceed its share while others have something for the rest. What finds no room in bytes is passed over with all that is
    /// behind it, for what is shorter. What spares there are comes last. O(log n) for each.
    #[must_use]
    pub fn select(&self, room: Room) -> Vec<Transaction> {
        let expected = room.transactions.min(self.len());
        let mut selection = Selection {
            pool: self,
            room,
            heap: BinaryHeap::new(),
            firsts: self.best.firsts(),
            is_contested: self.best.firsts().len() > 1,
            got: HashMap::new(),
            put_off: Vec::new(),
            spent: HashMap::new(),
            taken: Vec::with_capacity(expected),
            spare: Vec::new(),
            passed_over: 0,
            bytes: 0,
        };
        selection.look_at_next_source();
        while selection.has_room()
            && let Some(Reverse(next)) = selection.heap.pop()
        {
            selection.take_in_share(next);
        }
        selection.look_at_put_off();
        while selection.wants_more()
            && let Some(Reverse(next)) = selection.heap.pop()
        {
            selection.take(next);
        }
        selection.taken.append(&mut selection.spare);
        selection.taken
    }
}

impl<'a> Selection<'a> {
    fn has_room(&self) -> bool {
        self.taken.len() < self.room.transactions
            && self.room.bytes - self.bytes >= TRANSACTION_BYTES_MIN
            && self.passed_over < PASSED_OVER_MAX
    }

    fn wants_more(&self) -> bool {
        self.has_room() || self.spare.len() < self.room.spare
    }

    fn waiting(&self, slot: u32) -> &'a Waiting {
        &self.pool.waiting[slot as usize]
    }

    fn look_at(&mut self, best: Best, origin: Origin) {
        self.heap.push(Reverse(Next { best, origin }));
    }

    /// The best of a source is behind that of the source before, so that one of them at a time is enough.
    fn look_at_next_source(&mut self) {
        if let Some((best, _)) = self.firsts.next() {
            self.look_at(*best, Origin::First);
        }
    }

    /// The next of a source, once the one before is dealt with.
    fn look_further(&mut self, source: u32) {
        let pool = self.pool;
        let got = self.got.entry(source).or_default();
        let further = got.further.get_or_insert_with(|| {
            let mut all = pool.best.group(source);
            all.next();
            all
        });
        if let Some(best) = further.next() {
            self.look_at(*best, Origin::Further);
        }
    }

    /// The next of the same sender, if it could follow.
    fn look_behind(&mut self, next: Next) {
        let (pool, waiting) = (self.pool, self.waiting(next.best.slot));
        let sender = pool.senders.get(waiting.sender);
        let Some(slot) = sender.next_behind(waiting.nonce, pool.terms) else {
            return;
        };
        let behind = self.waiting(slot);
        if pool.terms.keeps_balances {
            let spent = self.spent.entry(waiting.sender).or_default();
            *spent += waiting.cost;
            if !sender.is_covered(*spent + behind.cost) {
                return;
            }
        }
        let best = Best {
            fee: Reverse(behind.fee),
            arrival: behind.arrival,
            slot,
            ..next.best
        };
        self.look_at(best, Origin::Behind);
    }

    /// Takes one if its source's share and the room allow it, and looks at what comes after it.
    fn take_in_share(&mut self, next: Next) {
        if next.origin == Origin::First {
            self.look_at_next_source();
        }
        let waiting = self.waiting(next.best.slot);
        let (source, bytes) = (waiting.source_slot, waiting.bytes());
        let (free, free_bytes) = (
            self.room.transactions - self.taken.len(),
            self.room.bytes - self.bytes,
        );
        let bounds = &self.pool.bounds;
        let got = self.got.entry(source).or_default();
        let is_contested = self.is_contested;
        let has_share = |own: usize, more: usize, free: usize| {
            is_contested && bounds.is_over_share(own + more, free.saturating_sub(more))
        };
        if got.is_put_off || got.transactions > 0 && has_share(got.transactions, 1, free) {
            got.is_put_off = true;
            self.put_off.push(next);
            return;
        }
        let is_too_long = bytes > free_bytes;
        // The first of a source too: else a single long one of each flood would take the block.
        if is_too_long || has_share(got.bytes, bytes, free_bytes) {
            got.passed_over += 1;
            // A source of which much is too long would have all of it looked at.
            got.is_put_off = got.passed_over == PASSED_OVER_OF_SOURCE_MAX;
            let goes_on = !got.is_put_off && next.origin != Origin::Behind;
            self.passed_over += usize::from(is_too_long);
            self.put_off.push(next);
            if goes_on {
                self.look_further(source);
            }
            return;
        }
        got.transactions += 1;
        got.bytes += bytes;
        self.bytes += bytes;
        self.taken.push(waiting.transaction.clone());
        self.look_behind(next);
        if next.origin != Origin::Behind {
            self.look_further(source);
        }
    }

    /// From here on nobody's share counts.
    fn look_at_put_off(&mut self) {
        let put_off = std::mem::take(&mut self.put_off);
        // Whose source was put off, looks further there when its own turn comes.
        self.heap.extend(put_off.into_iter().map(Reverse));
    }

    /// Takes one if there is room, as a spare if there is none for any more, and looks at what comes after it.
    fn take(&mut self, next: Next) {
        if next.origin == Origin::First {
            self.look_at_next_source();
        }
        let waiting = self.waiting(next.best.slot);
        let source = waiting.source_slot;
        if next.origin != Origin::Behind {
            self.look_further(source);
        }
        let bytes = waiting.bytes();
        if !self.has_room() {
            self.spare.push(waiting.transaction.clone());
        } else if bytes > self.room.bytes - self.bytes {
            self.passed_over += 1;
            return;
        } else {
            self.bytes += bytes;
            self.taken.push(waiting.transaction.clone());
        }
        self.look_behind(next);
    }
}
