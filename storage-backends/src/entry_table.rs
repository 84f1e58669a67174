//! The index of a segment in memory: a hash table whose slots are in the order of the hashes.
//!
//! An entry is the hash of a key and an address: height and number within the block's record, or, for the block's id,
//! [`ID_NUMBER`]. The key itself is not here; each look-up compares it with the one in the record, so a stale entry or a
//! collision does no harm.
//!
//! Linear probing where a cluster is kept sorted and a slot's home grows with the hash, so that reading the
//! slots from first to last gives the entries sorted by hash: an index file is written from it without
//! sorting. The hash is keyed with a secret of the store; nobody can choose keys that collide.

use std::hint::black_box;

use crate::Result;

/// Bits of an address that hold the number within the block.
const NUMBER_BITS: u32 = 25;
/// The number that stands for a block's id; above any entry's.
const ID_NUMBER: u64 = (1 << NUMBER_BITS) - 1;
/// Heights from here on don't fit into an address.
pub(crate) const HEIGHT_MAX: u64 = 1 << (64 - NUMBER_BITS - 1);

/// Smallest number of slots.
const SLOTS_MIN: usize = 64;
/// Slots beyond the last home, so that a cluster there has room.
const SLOTS_BEYOND: usize = 64;
/// How many entries ahead of the one being inserted a slot is touched, so that the memory is there in time.
const AHEAD: usize = 12;

/// Where a key was given, or which block an id is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct IndexAddress(u64);

impl IndexAddress {
    const NONE: Self = Self(u64::MAX);

    pub(crate) const fn of_entry(height: u64, number: usize) -> Self {
        Self(height << NUMBER_BITS | number as u64)
    }

    pub(crate) const fn of_id(height: u64) -> Self {
        Self(height << NUMBER_BITS | ID_NUMBER)
    }

    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    pub(crate) const fn height(self) -> u64 {
        self.0 >> NUMBER_BITS
    }

    /// The entry's number, unless it is an id's address.
    pub(crate) const fn entry(self) -> Option<usize> {
        let number = self.0 & ID_NUMBER;
        if number == ID_NUMBER {
            None
        } else {
            Some(number as usize)
        }
    }
}

/// A hash and what it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) hash: u64,
    pub(crate) address: IndexAddress,
}

const EMPTY: Entry = Entry {
    hash: 0,
    address: IndexAddress::NONE,
};

impl Entry {
    const fn is_empty(&self) -> bool {
        self.address.0 == IndexAddress::NONE.0
    }
}

/// Which of two equal keys stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Same {
    /// They are not equal.
    No,
    /// The one that is there.
    Old,
    /// The one to be inserted.
    New,
}

#[derive(Debug, Clone)]
pub(crate) struct EntryTable {
    slots: Vec<Entry>,
    homes: usize,
    held: usize,
}

impl EntryTable {
    /// A table with room for some entries before it has to grow.
    pub(crate) fn with_room(entries: usize) -> Self {
        Self::with_homes((entries * 10 / 7).max(SLOTS_MIN))
    }

    fn with_homes(homes: usize) -> Self {
        Self {
            slots: vec![EMPTY; homes + SLOTS_BEYOND],
            homes,
            held: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.held
    }

    /// The entries, by ascending hash.
    pub(crate) fn sorted(&self) -> impl Iterator<Item = Entry> + '_ {
        self.slots.iter().copied().filter(|slot| !slot.is_empty())
    }

    /// The addresses under a hash.
    pub(crate) fn addresses(&self, hash: u64) -> impl Iterator<Item = IndexAddress> + '_ {
        self.slots[self.home(hash)..]
            .iter()
            .take_while(move |slot| !slot.is_empty() && slot.hash <= hash)
            .filter(move |slot| slot.hash == hash)
            .map(|slot| slot.address)
    }

    /// Inserts entries. `same` compares the keys of two addresses that have one hash, the one held first.
    pub(crate) fn insert_all(
        &mut self,
        entries: &[Entry],
        mut same: impl FnMut(IndexAddress, IndexAddress) -> Result<Same>,
    ) -> Result<()> {
        let needed = self.held + entries.len();
        // Before the first is inserted: with linear probing, clusters grow steeply once more than about seven in ten slots are
        // used.
        if needed * 10 > self.homes * 7 {
            self.grow((needed * 10 / 7).max(self.homes * 2));
        }
        let mut touched = 0;
        for (number, entry) in entries.iter().enumerate() {
            if let Some(later) = entries.get(number + AHEAD) {
                touched ^= self.slots[self.home(later.hash)].hash;
            }
            self.insert(*entry, &mut same)?;
        }
        // Nobody uses what was read; without this the compiler leaves the reading out, and with it the fetching.
        black_box(touched);
        Ok(())
    }

    fn insert(
        &mut self,
        entry: Entry,
        same: &mut impl FnMut(IndexAddress, IndexAddress) -> Result<Same>,
    ) -> Result<()> {
        let mut at = self.home(entry.hash);
        while !self.slots[at].is_empty() && self.slots[at].hash <= entry.hash {
            if self.slots[at].hash == entry.hash {
                match same(self.slots[at].address, entry.address)? {
                    Same::No => {}
                    Same::Old => return Ok(()),
                    Same::New => {
                        self.slots[at].address = entry.address;
                        return Ok(());
                    }
                }
            }
            at += 1;
        }
        self.put(at, entry);
        Ok(())
    }

    /// Puts an entry into a slot and moves those from there on to the next free one.
    fn put(&mut self, at: usize, entry: Entry) {
        let run = self.slots[at..].iter().take_while(|slot| !slot.is_empty());
        // The last slot is always free (see `make_room`), so this ends within the table.
        let free = at + run.count();
        self.make_room(free);
        self.slots.copy_within(at..free, at + 1);
        self.slots[at] = entry;
        self.held += 1;
    }

    /// Makes sure that a slot is there and isn't the last, which stays empty and so ends every search.
    fn make_room(&mut self, at: usize) {
        if at + 1 >= self.slots.len() {
            self.slots.resize(at + SLOTS_BEYOND, EMPTY);
        }
    }

    fn grow(&mut self, homes: usize) {
        let mut larger = Self::with_homes(homes);
        let mut next = 0;
        for entry in self.sorted() {
            next = larger.home(entry.hash).max(next);
            // A cluster at the end can reach beyond the last home.
            larger.make_room(next);
            larger.slots[next] = entry;
            next += 1;
        }
        larger.held = self.held;
        *self = larger;
    }

    /// Removes an entry, if it is there.
    pub(crate) fn remove(&mut self, entry: Entry) {
        let mut at = self.home(entry.hash);
        loop {
            let slot = self.slots[at];
            if slot.is_empty() || slot.hash > entry.hash {
                return;
            }
            if slot == entry {
                break;
            }
            at += 1;
        }
        self.held -= 1;
        // Those that were pushed past their home move back.
        while !self.slots[at + 1].is_empty() && self.home(self.slots[at + 1].hash) <= at {
            self.slots[at] = self.slots[at + 1];
            at += 1;
        }
        self.slots[at] = EMPTY;
    }

    fn home(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.homes as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn entry(hash: u64, address: u64) -> Entry {
        Entry {
            hash,
            address: IndexAddress::from_bits(address),
        }
    }

    #[test]
    fn places_hold_heights_numbers_and_ids() {
        let address = IndexAddress::of_entry(HEIGHT_MAX - 1, (1 << 24) - 1);
        assert_eq!(
            (address.height(), address.entry()),
            (HEIGHT_MAX - 1, Some((1 << 24) - 1))
        );
        assert_eq!(IndexAddress::of_id(5).entry(), None);
        assert_eq!(IndexAddress::of_id(5).height(), 5);
        assert_ne!(IndexAddress::of_id(HEIGHT_MAX - 1), IndexAddress::NONE);
    }

    proptest! {
        /// Whatever is inserted and removed, also where the hashes crowd at the end.
        #[test]
        fn a_table_is_a_sorted_set(
            steps in prop::collection::vec((any::<bool>(), prop_oneof![
                any::<u64>(), (0_u64..9), (0_u64..400).prop_map(|low| u64::MAX - low)
            ], 0_u64..3), 0..600),
        ) {
            let mut table = EntryTable::with_room(0);
            let mut model = BTreeSet::new();
            for (insert, hash, address) in steps {
                if insert {
                    let same = |old, new| Ok(if old == new { Same::Old } else { Same::No });
                    table.insert_all(&[entry(hash, address)], same).unwrap();
                    model.insert((hash, address));
                } else {
                    table.remove(entry(hash, address));
                    model.remove(&(hash, address));
                }
                let found: BTreeSet<_> = table.addresses(hash).map(IndexAddress::bits).collect();
                let held: BTreeSet<_> =
                    model.iter().filter(|held| held.0 == hash).map(|held| held.1).collect();
                prop_assert_eq!(found, held);
            }
            let hashes: Vec<u64> = table.sorted().map(|entry| entry.hash).collect();
            prop_assert!(hashes.is_sorted());
            prop_assert_eq!(table.len(), model.len());
            prop_assert_eq!(hashes.len(), model.len());
        }
    }
}
