//! The pool: what waits, and everything that leads to it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use slab::Slab;

use super::Source;
use super::bounds::{Bounds, Terms};
use super::order::Order;
use super::sender::{Best, Senders, Worth};
use super::source::Sources;
use crate::format::model::{Operation, Transaction};
use crate::state::Account;

/// The pool: see the [module](super).
#[derive(Debug, Clone)]
pub struct Pool {
    pub(super) bounds: Bounds,
    pub(super) terms: Terms,
    pub(super) waiting: Slab<Waiting>,
    pub(super) senders: Senders,
    pub(super) sources: Sources,
    /// What a block could take first of each sender, by the source of that.
    pub(super) best: Order<Best>,
    /// What leaves first of each sender, by the source of that.
    pub(super) worth: Order<Worth>,
    /// Those that expire, by when.
    pub(super) expiries: BTreeSet<(u64, u32)>,
    /// In the order in which they came.
    pub(super) by_age: BTreeMap<u64, u32>,
    pub(super) bytes: usize,
    /// Transactions and bytes of the senders all of whose could be in a block.
    pub(super) ready: (usize, usize),
    pub(super) arrivals: u64,
    pub(super) now_us: u64,
    pub(super) left: Left,
}

/// A transaction that waits.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) transaction: Transaction,
    pub(super) nonce: u64,
    pub(super) fee: u64,
    /// What the sender needs cover for.
    pub(super) cost: u128,
    pub(super) arrival: u64,
    /// When it came.
    pub(super) since_us: u64,
    pub(super) source: Source,
    pub(super) source_slot: u32,
    pub(super) sender: u32,
}

impl Waiting {
    pub(super) fn bytes(&self) -> usize {
        self.transaction.bytes().len()
    }
}

/// How many transactions have left the pool, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Left {
    /// A block used their nonce, mostly by having them in it.
    pub used: u64,
    /// They expired.
    pub expired: u64,
    /// They waited too long.
    pub aged: u64,
    /// They made room for what is worth more.
    pub pushed_out: u64,
    /// A dearer one of the same sender and nonce replaced them.
    pub replaced: u64,
    /// A rule refused them when a block was made.
    pub refused: u64,
}

impl Left {
    /// Each number with the word for it in every output.
    #[must_use]
    pub const fn counts(&self) -> [(&'static str, u64); 6] {
        [
            ("used", self.used),
            ("expired", self.expired),
            ("aged", self.aged),
            ("pushed_out", self.pushed_out),
            ("replaced", self.replaced),
            ("refused", self.refused),
        ]
    }
}

impl Pool {
    /// An empty pool.
    #[must_use]
    pub fn new(bounds: Bounds, terms: Terms) -> Self {
        let bounds = Bounds {
            // Places are numbered with 32 bits.
            transactions_max: bounds.transactions_max.min(u32::MAX as usize / 2),
            ..bounds
        };
        Self {
            bounds,
            terms,
            waiting: Slab::new(),
            senders: Senders::default(),
            sources: Sources::default(),
            best: Order::default(),
            worth: Order::default(),
            expiries: BTreeSet::new(),
            by_age: BTreeMap::new(),
            bytes: 0,
            ready: (0, 0),
            arrivals: 0,
            now_us: 0,
            left: Left::default(),
        }
    }

    /// The same with another share for each source, for what comes from now on and for blocks: see [`Bounds::source_percent`].
    #[must_use]
    pub const fn with_source_percent(mut self, percent: u8) -> Self {
        self.bounds.source_percent = percent;
        self
    }

    pub(super) fn cost_of(&self, transaction: &Transaction) -> u128 {
        let amount = match transaction.operation() {
            Operation::Transfer => transaction.amount(),
            _ => 0,
        };
        match self.terms.keeps_balances {
            true => u128::from(amount) + u128::from(transaction.fee()),
            false => 0,
        }
    }

    /// Puts a transaction into all that leads to it. Bounds are for [`Pool::make_room`] to look after.
    pub(super) fn put_in(&mut self, mut waiting: Waiting, account: &Account) -> u32 {
        let bytes = waiting.bytes();
        let name = waiting.transaction.sender();
        waiting.sender = self
            .senders
            .find_or_add(name, account.nonce, account.balance);
        waiting.source_slot = self.sources.add(waiting.source, bytes);
        let entry = self.waiting.vacant_entry();
        let slot = entry.key() as u32;
        self.senders.get_mut(waiting.sender).put(&waiting, slot);
        if let expiry @ 1.. = waiting.transaction.expiry() {
            self.expiries.insert((expiry, slot));
        }
        self.by_age.insert(waiting.arrival, slot);
        self.bytes += bytes;
        let sender = waiting.sender;
        entry.insert(waiting);
        self.list(sender);
        slot
    }

    /// Takes one out of all of that, and gives it with what is known of its sender.
    pub(super) fn take_out(&mut self, slot: u32) -> (Waiting, Account) {
        let waiting = self.unlink(slot);
        let account = self.senders.get(waiting.sender).account();
        self.list(waiting.sender);
        (waiting, account)
    }

    /// The same, but that the sender is still listed as before.
    pub(super) fn unlink(&mut self, slot: u32) -> Waiting {
        let waiting = self.waiting.remove(slot as usize);
        let bytes = waiting.bytes();
        self.senders.get_mut(waiting.sender).take(&waiting);
        self.sources.subtract(waiting.source_slot, bytes);
        if let expiry @ 1.. = waiting.transaction.expiry() {
            self.expiries.remove(&(expiry, slot));
        }
        self.by_age.remove(&waiting.arrival);
        self.bytes -= bytes;
        waiting
    }

    /// Lists a sender where it belongs now, or forgets it if nothing of it waits.
    pub(super) fn list(&mut self, slot: u32) {
        let sender = self.senders.get(slot);
        let weight = self.terms.weight(sender.balance);
        let best = sender.queue.first().and_then(|(nonce, at)| {
            let first = &self.waiting[at as usize];
            let follows = !self.terms.is_consecutive || nonce - sender.used == 1;
            let best = Best {
                fee: Reverse(first.fee),
                weight: Reverse(weight),
                arrival: first.arrival,
                slot: at,
            };
            (follows && self.is_covered(sender.balance, first.cost))
                .then_some((best, first.source_slot))
        });
        let worth = sender.queue.last().map(|(_, last)| {
            let last = &self.waiting[last as usize];
            let worth = Worth {
                is_sound: sender.is_sound(self.terms),
                fee: sender.queue.fee_min().unwrap_or_default(),
                weight,
                arrival: Reverse(last.arrival),
                sender: slot,
            };
            (worth, last.source_slot)
        });
        let is_sound = worth.is_some_and(|(worth, _)| worth.is_sound);
        let sender = self.senders.get_mut(slot);
        let before = sender.ready;
        sender.ready = match is_sound {
            true => (sender.queue.len(), sender.bytes),
            false => (0, 0),
        };
        self.ready.0 = self.ready.0 + sender.ready.0 - before.0;
        self.ready.1 = self.ready.1 + sender.ready.1 - before.1;
        let old = (sender.best, sender.worth);
        (sender.best, sender.worth) = (best, worth);
        replace(&mut self.best, old.0, best);
        replace(&mut self.worth, old.1, worth);
        if worth.is_none() {
            self.senders.remove(slot);
        }
    }

    pub(super) fn is_covered(&self, balance: u64, cost: u128) -> bool {
        !self.terms.keeps_balances || cost <= u128::from(balance)
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Bytes of what waits, as encoded.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many have left, and why.
    #[must_use]
    pub const fn left(&self) -> Left {
        self.left
    }
}

/// Moves a sender from one place to another, if it has to.
fn replace<K: Ord + Copy>(order: &mut Order<K>, old: Option<(K, u32)>, new: Option<(K, u32)>) {
    if old == new {
        return;
    }
    if let Some((key, group)) = old {
        order.remove(group, key);
    }
    if let Some((key, group)) = new {
        order.insert(group, key);
    }
}
