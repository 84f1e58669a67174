//! The filter blocks of an index file in memory, a part at a time as they are asked for, for as long as there is room:
//! every look-up asks every file's filter, and reading one from the file each time would cost more than all the rest.
//!
//! What is here is as the file has it, and is checked whenever it is used.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::read_file::ReadFile;
use super::run::FILTER_BYTES;
use crate::Result;

/// Bytes that are kept or not as one.
const PART_BYTES: usize = if cfg!(test) { 128 } else { 64 << 10 };

/// Room for the filters of a store's index files.
#[derive(Debug)]
pub(super) struct FilterRoom {
    free: AtomicU64,
}

impl FilterRoom {
    pub(super) const fn new(bytes: u64) -> Self {
        Self {
            free: AtomicU64::new(bytes),
        }
    }

    fn take(&self, bytes: u64) -> bool {
        let (success, failure) = (Ordering::AcqRel, Ordering::Relaxed);
        let take = |free: u64| free.checked_sub(bytes);
        self.free.fetch_update(success, failure, take).is_ok()
    }

    fn give_back(&self, bytes: u64) {
        self.free.fetch_add(bytes, Ordering::AcqRel);
    }
}

/// The filter blocks of one file.
#[derive(Debug)]
pub(super) struct Filters {
    /// Where in the file they begin, and how many bytes they have.
    start: u64,
    bytes: u64,
    parts: Box<[OnceLock<Box<[u8]>>]>,
    room: Arc<FilterRoom>,
}

impl Filters {
    pub(super) fn new(start: u64, blocks: u64, room: &Arc<FilterRoom>) -> Self {
        let bytes = blocks * FILTER_BYTES as u64;
        let parts = bytes.div_ceil(PART_BYTES as u64);
        Self {
            start,
            bytes,
            parts: (0..parts).map(|_| OnceLock::new()).collect(),
            room: Arc::clone(room),
        }
    }

    /// Gives the block of a number to `see`, from memory if there is room for it.
    pub(super) fn with<T>(
        &self,
        file: &ReadFile,
        number: u64,
        see: impl FnOnce(&[u8]) -> T,
    ) -> Result<T> {
        let at = number * FILTER_BYTES as u64;
        let within = (at % PART_BYTES as u64) as usize;
        match self.part(file, at)? {
            Some(part) => Ok(see(&part[within..within + FILTER_BYTES])),
            None => Ok(see(&file.array::<FILTER_BYTES>(self.start + at)?)),
        }
    }

    /// The part that a byte is in; `None` if there is no room for it.
    fn part(&self, file: &ReadFile, at: u64) -> Result<Option<&[u8]>> {
        let number = at / PART_BYTES as u64;
        let part = &self.parts[number as usize];
        if let Some(part) = part.get() {
            return Ok(Some(part));
        }
        let start = number * PART_BYTES as u64;
        let length = (self.bytes - start).min(PART_BYTES as u64);
        if !self.room.take(length) {
            return Ok(None);
        }
        let read = file.read(self.start + start, length as usize);
        let is_kept = read.map(|bytes| part.set(bytes.into_boxed_slice()).is_ok());
        // Somebody else may have been faster.
        if !matches!(is_kept, Ok(true)) {
            self.room.give_back(length);
        }
        is_kept?;
        Ok(part.get().map(|part| &part[..]))
    }
}

impl Drop for Filters {
    fn drop(&mut self) {
        let kept = self.parts.iter().filter_map(OnceLock::get);
        self.room.give_back(kept.map(|part| part.len() as u64).sum());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::files::SystemFiles;
    use super::*;

    #[test]
    fn blocks_are_the_files_within_the_room_and_beyond_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let content: Vec<u8> = (0..64 * 7 + 8).map(|at| (at / 64) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let file = ReadFile::open(&SystemFiles, &path).unwrap();
        for bytes in [0, 128, 300, 1 << 20] {
            let room = Arc::new(FilterRoom::new(bytes));
            let filters = Filters::new(8, 7, &room);
            for number in (0..7).chain((0..7).rev()) {
                let at = 8 + 64 * number as usize;
                let same = filters.with(&file, number, |block| *block == content[at..at + 64]);
                assert!(same.unwrap());
            }
            let free = room.free.load(Ordering::Relaxed);
            assert_eq!(bytes - free, bytes.min(448) / 128 * 128 + if bytes > 448 { 64 } else { 0 });
            drop(filters);
            assert_eq!(room.free.load(Ordering::Relaxed), bytes, "all is given back");
        }
    }
}
