//! What waits of one sender, by nonce, with the lowest fee of it. Most senders have one transaction waiting, which needs no trees: they would
//! be most of the work of entering and most of the memory.

use std::collections::{BTreeMap, BTreeSet};

/// See the [module](self).
#[derive(Debug, Clone, Default)]
pub(super) enum Queue {
    #[default]
    Empty,
    One {
        nonce: u64,
        fee: u64,
        slot: u32,
    },
    Many(Box<Trees>),
}

#[derive(Debug, Clone, Default)]
pub(super) struct Trees {
    /// Where each is.
    slots: BTreeMap<u64, u32>,
    /// Fees with their nonces, so that the lowest is known whoever leaves.
    fees: BTreeSet<(u64, u64)>,
}

impl Trees {
    fn insert(&mut self, nonce: u64, fee: u64, slot: u32) {
        self.slots.insert(nonce, slot);
        self.fees.insert((fee, nonce));
    }
}

impl Queue {
    /// Takes up a nonce that isn't there.
    pub(super) fn insert(&mut self, nonce: u64, fee: u64, slot: u32) {
        match self {
            Self::Empty => *self = Self::One { nonce, fee, slot },
            Self::Many(trees) => trees.insert(nonce, fee, slot),
            Self::One {
                nonce: first,
                fee: first_fee,
                slot: first_slot,
            } => {
                let mut trees = Box::<Trees>::default();
                trees.insert(*first, *first_fee, *first_slot);
                trees.insert(nonce, fee, slot);
                *self = Self::Many(trees);
            }
        }
    }

    /// Gives up a nonce that is there with this fee.
    pub(super) fn remove(&mut self, nonce: u64, fee: u64) {
        if let Self::Many(trees) = self {
            trees.slots.remove(&nonce);
            trees.fees.remove(&(fee, nonce));
            if !trees.slots.is_empty() {
                return;
            }
        }
        *self = Self::Empty;
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::One { .. } => 1,
            Self::Many(trees) => trees.slots.len(),
        }
    }

    /// The lowest fee.
    pub(super) fn fee_min(&self) -> Option<u64> {
        match self {
            Self::Empty => None,
            Self::One { fee, .. } => Some(*fee),
            Self::Many(trees) => trees.fees.first().map(|(fee, _)| *fee),
        }
    }

    /// The first nonce that is at least this one, and where it is.
    pub(super) fn first_from(&self, least: u64) -> Option<(u64, u32)> {
        match self {
            Self::Empty => None,
            Self::One { nonce, slot, .. } => (*nonce >= least).then_some((*nonce, *slot)),
            Self::Many(trees) => {
                let next = trees.slots.range(least..).next();
                next.map(|(nonce, slot)| (*nonce, *slot))
            }
        }
    }

    pub(super) fn first(&self) -> Option<(u64, u32)> {
        match self {
            Self::Many(trees) => trees
                .slots
                .first_key_value()
                .map(|(nonce, slot)| (*nonce, *slot)),
            few => few.first_from(0),
        }
    }

    pub(super) fn last(&self) -> Option<(u64, u32)> {
        match self {
            Self::Many(trees) => trees
                .slots
                .last_key_value()
                .map(|(nonce, slot)| (*nonce, *slot)),
            few => few.first_from(0),
        }
    }

    pub(super) fn get(&self, nonce: u64) -> Option<u32> {
        let found = self.first_from(nonce);
        found.and_then(|(found, slot)| (found == nonce).then_some(slot))
    }

    /// All, by nonce.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u32)> {
        let (one, many) = match self {
            Self::Many(trees) => (None, Some(trees.slots.iter())),
            few => (few.first_from(0), None),
        };
        let many = many.into_iter().flatten();
        one.into_iter()
            .chain(many.map(|(nonce, slot)| (*nonce, *slot)))
    }
}
