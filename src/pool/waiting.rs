//! Admitted transactions that wait for a block.
//!
//! Bounded by count and bytes. A block takes them by fee, the highest first, but each sender's in the order of their nonces;
//! among equal fees, whichever came first.

use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use crate::format::model::Transaction;

/// The pool.
#[derive(Debug)]
pub(crate) struct Pool {
    senders: HashMap<Box<str>, BTreeMap<u64, Waiting>>,
    count: usize,
    bytes: usize,
    arrivals: u64,
    count_max: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct Waiting {
    transaction: Transaction,
    arrival: u64,
}

/// What became of a transaction that was to wait.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entered {
    /// It waits.
    Waits,
    /// This very transaction waits already.
    Again,
    /// Another of this sender with the same nonce waits.
    Taken,
    /// There is no room.
    Full,
}

impl Pool {
    pub(crate) fn new(count_max: usize, bytes_max: usize) -> Self {
        Self {
            senders: HashMap::new(),
            count: 0,
            bytes: 0,
            arrivals: 0,
            count_max,
            bytes_max,
        }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Lets a transaction wait. O(log n).
    pub(crate) fn enter(&mut self, transaction: Transaction) -> Entered {
        let bytes = transaction.bytes().len();
        if let Some(held) = self.senders.get(transaction.sender())
            && let Some(held) = held.get(&transaction.nonce())
        {
            return match held.transaction == transaction {
                true => Entered::Again,
                false => Entered::Taken,
            };
        }
        // Before the sender gets an entry: transactions that are refused must leave nothing behind.
        if self.count == self.count_max || self.bytes + bytes > self.bytes_max {
            return Entered::Full;
        }
        let waiting = self.senders.entry(transaction.sender().into()).or_default();
        if let Entry::Vacant(slot) = waiting.entry(transaction.nonce()) {
            self.arrivals += 1;
            self.count += 1;
            self.bytes += bytes;
            let arrival = self.arrivals;
            slot.insert(Waiting {
                transaction,
                arrival,
            });
        }
        Entered::Waits
    }

    /// Takes a transaction out, if it waits.
    pub(crate) fn remove(&mut self, transaction: &Transaction) {
        let Some(waiting) = self.senders.get_mut(transaction.sender()) else {
            return;
        };
        if let Entry::Occupied(held) = waiting.entry(transaction.nonce())
            && held.get().transaction == *transaction
        {
            held.remove();
            self.count -= 1;
            self.bytes -= transaction.bytes().len();
        }
        if waiting.is_empty() {
            self.senders.remove(transaction.sender());
        }
    }

    /// Forgets what a sender can't use any more: everything up to a nonce.
    pub(crate) fn forget(&mut self, sender: &str, nonce: u64) {
        let Some(waiting) = self.senders.get_mut(sender) else {
            return;
        };
        if waiting
            .first_key_value()
            .is_none_or(|(first, _)| *first > nonce)
        {
            return;
        }
        let left = match nonce.checked_add(1) {
            Some(next) => waiting.split_off(&next),
            None => BTreeMap::new(),
        };
        for used in std::mem::replace(waiting, left).into_values() {
            self.count -= 1;
            self.bytes -= used.transaction.bytes().len();
        }
        if waiting.is_empty() {
            self.senders.remove(sender);
        }
    }

    /// Everything that waits, in the order in which blocks take it. O(log senders) each.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = &Transaction> {
        let mut heads = BinaryHeap::with_capacity(self.senders.len());
        let mut rest: Vec<_> = self.senders.values().map(BTreeMap::values).collect();
        let rank = |waiting: &Waiting| (waiting.transaction.fee(), Reverse(waiting.arrival));
        let mut firsts: Vec<Option<&Waiting>> = rest.iter_mut().map(Iterator::next).collect();
        for (sender, first) in firsts.iter().enumerate() {
            heads.extend(first.map(|first| (rank(first), sender)));
        }
        std::iter::from_fn(move || {
            let (_, sender) = heads.pop()?;
            let taken = firsts[sender].take();
            firsts[sender] = rest[sender].next();
            heads.extend(firsts[sender].map(|next| (rank(next), sender)));
            taken.map(|taken| &taken.transaction)
        })
    }
}
