//! Where transactions came from, and how much each place has waiting.

use std::collections::HashMap;
use std::fmt;

use slab::Slab;

use crate::format::digest::sha256;

/// Where a transaction came from, as whoever hands it in tells them apart: a connection, a peer, a customer. Names of senders cost
/// nothing, so that shares of room go by sources too. Two that have the same number share a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Source(
    /// Any number.
    pub u64,
);

impl Source {
    /// Whatever nobody said anything of.
    pub const UNSAID: Self = Self(0);

    /// The source of a label, such as a peer's key or the prefix of an address: the first bytes of its SHA-256, since a label may be of
    /// somebody else's choice.
    #[must_use]
    pub fn of(label: &str) -> Self {
        let hash = sha256(&[label.as_bytes()]);
        let (first, _) = hash.split_first_chunk().expect("a hash has 32 bytes");
        Self(u64::from_le_bytes(*first))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The sources that have something waiting.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources {
    slots: HashMap<Source, u32>,
    held: Slab<Held>,
}

/// What waits of one source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) source: Source,
    pub(super) transactions: usize,
    pub(super) bytes: usize,
}

impl Sources {
    /// Notes one more transaction, and gives the source's slot.
    pub(super) fn add(&mut self, source: Source, bytes: usize) -> u32 {
        let held = &mut self.held;
        let slot = *self.slots.entry(source).or_insert_with(|| {
            let empty = Held {
                source,
                transactions: 0,
                bytes: 0,
            };
            // Fewer than there are transactions, whose number fits.
            held.insert(empty) as u32
        });
        let held = &mut self.held[slot as usize];
        held.transactions += 1;
        held.bytes += bytes;
        slot
    }

    /// Notes one less.
    pub(super) fn subtract(&mut self, slot: u32, bytes: usize) {
        let held = &mut self.held[slot as usize];
        held.transactions -= 1;
        held.bytes -= bytes;
        if held.transactions == 0 {
            let source = held.source;
            self.held.remove(slot as usize);
            self.slots.remove(&source);
        }
    }

    pub(super) fn get(&self, slot: u32) -> &Held {
        &self.held[slot as usize]
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Held> {
        self.held.iter().map(|(_, held)| held)
    }
}
