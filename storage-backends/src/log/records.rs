//! The records that were read last, so that a look-up in a block that others were looked up in costs one reading less or two.
//! Heights share a fixed number of slots, and a record that is read takes the place of the one in its slot.
//!
//! A record here was read and checked. It counts for one file alone, and a file of heads changes only at its end; whether the
//! open segment still has the record, the caller has to see.

use std::sync::{PoisonError, RwLock};

use super::record::Record;

/// Slots, of some 150 bytes each.
const SLOTS: usize = if cfg!(any(test, fuzzing)) { 4 } else { 1 << 14 };

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Records {
    slots: Box<[RwLock<Option<Kept>>]>,
}

/// A record, and the number of the file that it is in.
#[derive(Debug, Clone, Copy)]
struct Kept {
    file: u64,
    record: Record,
}

impl Default for Records {
    fn default() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| RwLock::default()).collect(),
        }
    }
}

impl Records {
    /// The record of a height in a file, if it is here.
    pub(super) fn get(&self, file: u64, height: u64) -> Option<Record> {
        let slot = self.slot(height);
        let held = slot.read().unwrap_or_else(PoisonError::into_inner);
        held.filter(|kept| kept.file == file && kept.record.height == height)
            .map(|kept| kept.record)
    }

    /// Keeps a record of a file.
    pub(super) fn put(&self, file: u64, record: Record) {
        let mut held = self
            .slot(record.height)
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *held = Some(Kept { file, record });
    }

    fn slot(&self, height: u64) -> &RwLock<Option<Kept>> {
        &self.slots[(height % SLOTS as u64) as usize]
    }
}
