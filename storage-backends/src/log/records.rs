//! The records that were read last, so that a look-up in a block that others were looked up in costs one reading less or
//! two. A place for each of so many heights: whatever is read takes the place of what was there.
//!
//! What is here was read and checked. It counts for one file alone, and a file of heads changes only at its end; whether the
//! open segment still has the record is for whoever asks to see.

use std::sync::{PoisonError, RwLock};

use super::record::Record;

/// Places, of some 150 bytes each.
const PLACES: usize = if cfg!(any(test, fuzzing)) { 4 } else { 1 << 14 };

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Records {
    places: Box<[RwLock<Option<Kept>>]>,
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
            places: (0..PLACES).map(|_| RwLock::default()).collect(),
        }
    }
}

impl Records {
    /// The record of a height in a file, if it is here.
    pub(super) fn get(&self, file: u64, height: u64) -> Option<Record> {
        let place = self.place(height);
        let held = place.read().unwrap_or_else(PoisonError::into_inner);
        held.filter(|kept| kept.file == file && kept.record.height == height)
            .map(|kept| kept.record)
    }

    /// Keeps a record of a file.
    pub(super) fn put(&self, file: u64, record: Record) {
        let mut held = self
            .place(record.height)
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *held = Some(Kept { file, record });
    }

    fn place(&self, height: u64) -> &RwLock<Option<Kept>> {
        &self.places[(height % PLACES as u64) as usize]
    }
}
