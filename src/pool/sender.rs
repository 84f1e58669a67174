//! What waits of each sender, and where that puts the sender among the others.

use std::cmp::Reverse;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use slab::Slab;

use super::bounds::Terms;
use super::queue::Queue;
use super::waiting::Waiting;
use crate::state::{Account, Speaker};

/// The place of a sender's first transaction among those that a block could take: the smallest is taken first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Best {
    pub(super) fee: Reverse<u64>,
    pub(super) weight: Reverse<u8>,
    pub(super) arrival: u64,
    /// Where it is.
    pub(super) slot: u32,
}

/// What a sender's last transaction is worth: the smallest leaves first when there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Worth {
    /// Whether a block could take everything of the sender up to it.
    pub(super) is_sound: bool,
    /// The lowest fee of the sender's.
    pub(super) fee: u64,
    pub(super) weight: u8,
    /// Of those that are worth the same, whoever came last.
    pub(super) arrival: Reverse<u64>,
    pub(super) sender: u32,
}

/// A sender of whom something waits.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    pub(super) name: Box<str>,
    hash: u64,
    /// The last nonce that the chain has.
    pub(super) used: u64,
    pub(super) balance: u64,
    /// By nonce, where each is.
    pub(super) queue: Queue,
    /// What all of them together cost.
    pub(super) cost: u128,
    pub(super) bytes: usize,
    /// What it adds to what could be in a block.
    pub(super) ready: (usize, usize),
    /// Where it is listed, with the sources.
    pub(super) best: Option<(Best, u32)>,
    pub(super) worth: Option<(Worth, u32)>,
}

impl Sender {
    /// What the chain says of it, keys aside.
    pub(super) const fn account(&self) -> Account {
        Account {
            nonce: self.used,
            balance: self.balance,
            speaker: Speaker::Open,
        }
    }

    /// Whether a block could take all of it, given room.
    pub(super) fn is_sound(&self, terms: Terms) -> bool {
        self.is_covered(self.cost) && !self.has_gap(terms)
    }

    fn has_gap(&self, terms: Terms) -> bool {
        let last = self.queue.last().map(|(nonce, _)| nonce);
        // Everything that waits is above what was used, so that without a gap there are as many as the last one is above it.
        terms.is_consecutive && last.is_some_and(|last| last - self.used != self.queue.len() as u64)
    }

    /// Whether the balance covers so much.
    pub(super) fn is_covered(&self, cost: u128) -> bool {
        cost <= u128::from(self.balance)
    }

    /// The next in the queue behind a nonce that a block could take, if it took that one.
    pub(super) fn next_behind(&self, nonce: u64, terms: Terms) -> Option<u32> {
        let after = nonce.checked_add(1)?;
        let (next, slot) = self.queue.first_from(after)?;
        (!terms.is_consecutive || next == after).then_some(slot)
    }

    /// Takes up a transaction.
    pub(super) fn put(&mut self, waiting: &Waiting, slot: u32) {
        self.queue.insert(waiting.nonce, waiting.fee, slot);
        self.cost += waiting.cost;
        self.bytes += waiting.bytes();
    }

    /// Gives one up.
    pub(super) fn take(&mut self, waiting: &Waiting) {
        self.queue.remove(waiting.nonce, waiting.fee);
        self.cost -= waiting.cost;
        self.bytes -= waiting.bytes();
    }
}

/// The senders by name.
#[derive(Debug, Clone, Default)]
pub(super) struct Senders {
    /// So that nobody can choose names that collide.
    secret: RandomState,
    table: HashTable<u32>,
    slots: Slab<Sender>,
}

impl Senders {
    pub(super) fn find(&self, name: &str) -> Option<u32> {
        let hash = self.secret.hash_one(name);
        let found = self.table.find(hash, |slot| self.is(*slot, hash, name));
        found.copied()
    }

    /// The slot of `name`, which has nothing waiting if it is new.
    pub(super) fn find_or_add(&mut self, name: &str, used: u64, balance: u64) -> u32 {
        let hash = self.secret.hash_one(name);
        if let Some(slot) = self.table.find(hash, |slot| self.is(*slot, hash, name)) {
            return *slot;
        }
        let sender = Sender {
            name: name.into(),
            hash,
            used,
            balance,
            queue: Queue::default(),
            cost: 0,
            bytes: 0,
            ready: (0, 0),
            best: None,
            worth: None,
        };
        // Fewer than there are transactions, whose number fits.
        let slot = self.slots.insert(sender) as u32;
        let slots = &self.slots;
        self.table
            .insert_unique(hash, slot, |slot| slots[*slot as usize].hash);
        slot
    }

    pub(super) fn remove(&mut self, slot: u32) {
        let sender = self.slots.remove(slot as usize);
        if let Ok(entry) = self.table.find_entry(sender.hash, |other| *other == slot) {
            entry.remove();
        }
    }

    fn is(&self, slot: u32, hash: u64, name: &str) -> bool {
        let sender = &self.slots[slot as usize];
        sender.hash == hash && *sender.name == *name
    }

    pub(super) fn get(&self, slot: u32) -> &Sender {
        &self.slots[slot as usize]
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> &mut Sender {
        &mut self.slots[slot as usize]
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// All slots in use.
    pub(super) fn slots(&self) -> impl Iterator<Item = u32> {
        self.slots.iter().map(|(slot, _)| slot as u32)
    }
}
