//! How much each source has waiting.

use std::collections::HashMap;

use slab::Slab;

use crate::format::Source;

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
