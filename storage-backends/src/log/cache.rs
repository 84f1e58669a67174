//! Parts of index files in memory: every look-up asks every file's filter and then a bucket or two, and a system call for
//! each would cost more than all the rest. (The system has the bytes in its cache too; what is saved is asking it.)
//!
//! Invariants:
//! 1. All parts together take no more than the cache's room. When it is used up, parts that nobody asked for lately go: each
//!    is spared once for having been asked for (the clock, or second chance, algorithm).
//! 2. A part is as the file had it when it was read; every use checks it, as if it came from the file.
//! 3. If there is no room, one in [`ADMIT_EVERY`] readings brings its part in. So a set of parts that fits is soon here, and
//!    one that doesn't fit costs no more than a reading each.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use super::read_file::ReadFile;
use super::slots::{SLOT_BYTES, Slot};
use crate::Result;

/// Bytes that are kept or not as one; a multiple of what is read at once.
const PART_BYTES: usize = SLOT_BYTES;
/// See the module's third invariant.
const ADMIT_EVERY: u64 = 16;

/// The room that the parts of a store's index files share.
#[derive(Debug)]
pub(super) struct Cache {
    room: Mutex<Room>,
    /// Readings that found no room.
    refused: AtomicU64,
}

#[derive(Debug)]
struct Room {
    free: u64,
    /// Parts that are in memory, in the order in which they came or were spared last.
    held: VecDeque<(Weak<Parts>, usize)>,
}

impl Cache {
    pub(super) fn new(bytes: u64) -> Arc<Self> {
        Arc::new(Self {
            room: Mutex::new(Room {
                free: bytes,
                held: VecDeque::new(),
            }),
            refused: AtomicU64::new(0),
        })
    }

    /// Makes room for a part that is about to be read, if it is to be kept.
    fn admits(&self, bytes: u64) -> bool {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        if room.free < bytes {
            if !self
                .refused
                .fetch_add(1, Ordering::Relaxed)
                .is_multiple_of(ADMIT_EVERY)
            {
                return false;
            }
            room.make(bytes);
        }
        let is_admitted = room.free >= bytes;
        if is_admitted {
            // Taken before the part is read: threads that read at the same time would exceed the room together.
            room.free -= bytes;
        }
        is_admitted
    }

    fn give_back(&self, bytes: u64) {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        room.free += bytes;
    }

    fn enlist(&self, parts: &Arc<Parts>, number: usize) {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        room.held.push_back((Arc::downgrade(parts), number));
    }
}

impl Room {
    /// Drops parts until so many bytes are free, or all others are in use.
    fn make(&mut self, bytes: u64) {
        // Each may be spared once for having been asked for, and once for being read right now.
        let mut patience = 2 * self.held.len();
        while self.free < bytes && patience > 0 {
            patience -= 1;
            let Some((parts, number)) = self.held.pop_front() else {
                return;
            };
            // The parts of a file that is gone gave their bytes back.
            let Some(held) = parts.upgrade() else {
                continue;
            };
            let part = &held.parts[number];
            let dropped = match part.is_recent.swap(false, Ordering::Relaxed) {
                true => None,
                false => part
                    .bytes
                    // Tried, never waited for: whoever is reading this part may be waiting for a disk, and everybody else for
                    // the room.
                    .try_write()
                    .ok()
                    .and_then(|mut bytes| bytes.take()),
            };
            match dropped {
                Some(dropped) => self.free += dropped.bytes().len() as u64,
                None => self.held.push_back((parts, number)),
            }
        }
    }
}

/// A file that is read through the cache.
#[derive(Debug)]
pub(super) struct CachedFile {
    file: ReadFile,
    parts: Arc<Parts>,
    cache: Arc<Cache>,
}

#[derive(Debug)]
struct Parts {
    parts: Box<[Part]>,
}

#[derive(Debug, Default)]
struct Part {
    bytes: RwLock<Option<Slot>>,
    /// It was asked for since it was last spared.
    is_recent: AtomicBool,
}

impl CachedFile {
    /// A file that is as long as it will be.
    pub(super) fn new(file: ReadFile, cache: &Arc<Cache>) -> Self {
        let parts = file.length().div_ceil(PART_BYTES as u64);
        Self {
            file,
            parts: Arc::new(Parts {
                parts: (0..parts).map(|_| Part::default()).collect(),
            }),
            cache: Arc::clone(cache),
        }
    }

    /// The file as the disk has it.
    pub(super) const fn file(&self) -> &ReadFile {
        &self.file
    }

    /// Some bytes from an offset on, given to `see`; from memory if they are there and within one part.
    pub(super) fn with<const N: usize, T>(
        &self,
        offset: u64,
        see: impl FnOnce(&[u8; N]) -> T,
    ) -> Result<T> {
        let number = (offset / PART_BYTES as u64) as usize;
        let within = (offset % PART_BYTES as u64) as usize;
        let Some(part) = self.parts.parts.get(number) else {
            return self.file.array(offset).map(|bytes| see(&bytes));
        };
        {
            let held = part.bytes.read().unwrap_or_else(PoisonError::into_inner);
            let bytes = held
                .as_ref()
                .and_then(|slot| slot.bytes().get(within..within + N));
            if let Some(bytes) = bytes.and_then(|bytes| bytes.try_into().ok()) {
                // Not written where it is set already: all readers share its cache line.
                if !part.is_recent.load(Ordering::Relaxed) {
                    part.is_recent.store(true, Ordering::Relaxed);
                }
                return Ok(see(bytes));
            }
            if held.is_some() {
                drop(held);
                return self.file.array(offset).map(|bytes| see(&bytes));
            }
        }
        self.bring_in(number)?;
        self.file.array(offset).map(|bytes| see(&bytes))
    }

    /// Reads a part into memory, if there is room.
    fn bring_in(&self, number: usize) -> Result<()> {
        let start = (number * PART_BYTES) as u64;
        let length = (self.file.length() - start).min(PART_BYTES as u64);
        if !self.cache.admits(length) {
            return Ok(());
        }
        // A sector that can't be read spoils the whole part; the caller then asks the file for its own few bytes.
        let read = Slot::new(length as usize)
            .ok()
            .filter(|slot| slot.bytes().len() as u64 == length);
        let read = read.and_then(|mut slot| {
            self.file.fill(slot.bytes_mut(), start).ok()?;
            Some(slot)
        });
        let part = &self.parts.parts[number];
        // Locked only now, after the disk was read.
        let mut held = part.bytes.write().unwrap_or_else(PoisonError::into_inner);
        match (read, held.is_some()) {
            (Some(slot), false) => {
                *held = Some(slot);
                drop(held);
                self.cache.enlist(&self.parts, number);
            }
            // Another thread was faster, or the part can't be read: the room that was taken for it goes back.
            _ => {
                drop(held);
                self.cache.give_back(length);
            }
        }
        Ok(())
    }
}

impl Drop for CachedFile {
    fn drop(&mut self) {
        let held = self.parts.parts.iter().filter_map(|part| {
            let mut bytes = part.bytes.write().unwrap_or_else(PoisonError::into_inner);
            // `Room::make` may be at the same part: whoever takes the slot out gives its bytes back, and nobody else does.
            bytes.take().map(|slot| slot.bytes().len() as u64)
        });
        let bytes = held.sum();
        self.cache.give_back(bytes);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::files::SystemFiles;
    use super::*;

    const PART: u64 = PART_BYTES as u64;

    fn file_of(parts: u64, cache: &Arc<Cache>) -> CachedFile {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let content: Vec<u8> = (0..parts * PART / 8 + 5)
            .flat_map(u64::to_le_bytes)
            .collect();
        std::fs::write(&path, content).unwrap();
        // It stays open after it lost its name.
        CachedFile::new(ReadFile::open(&SystemFiles, &path).unwrap(), cache)
    }

    /// Reads the number that is at an offset, and checks that it is.
    fn read(file: &CachedFile, number: u64) {
        let read: u64 = file
            .with(number * 8, |bytes| u64::from_le_bytes(*bytes))
            .unwrap();
        assert_eq!(read, number);
    }

    fn used(cache: &Cache, total: u64) -> u64 {
        total - cache.room.lock().unwrap().free
    }

    #[test]
    fn bytes_are_the_files_whatever_the_room_which_is_never_exceeded() {
        for room in [0, PART, 3 * PART, 64 * PART] {
            let cache = Cache::new(room);
            let files = [file_of(4, &cache), file_of(9, &cache)];
            for step in 0..3000_u64 {
                let file = &files[(step % 2) as usize];
                let numbers = file.file().length() / 8;
                read(file, step.wrapping_mul(0x9E37_79B9_7F4A_7C15) % numbers);
                assert!(used(&cache, room) <= room);
            }
            let whole: u64 = files.iter().map(|file| file.file().length()).sum();
            // All of it, or as many parts as fit.
            assert!(used(&cache, room) + PART > room.min(whole), "{room}");
            drop(files);
            assert_eq!(used(&cache, room), 0, "all is given back");
            let left = cache.room.lock().unwrap().held.len();
            cache.room.lock().unwrap().make(u64::MAX);
            assert!(cache.room.lock().unwrap().held.is_empty(), "of {left}");
        }
    }

    #[test]
    fn what_is_asked_for_stays_and_what_is_not_goes() {
        let cache = Cache::new(4 * PART);
        let file = file_of(64, &cache);
        let is_held = |part: usize| file.parts.parts[part].bytes.read().unwrap().is_some();
        for step in 0..20_000_u64 {
            read(&file, 1);
            read(&file, PART / 8 + 1);
            read(&file, (2 + step % 62) * PART / 8);
        }
        assert!(is_held(0) && is_held(1));
    }

    #[test]
    fn a_value_across_two_parts_is_read_whole() {
        let cache = Cache::new(64 * PART);
        let file = file_of(4, &cache);
        for _ in 0..2 {
            read(&file, 0);
            let bytes: [u8; 16] = file.with(PART - 8, |bytes| *bytes).unwrap();
            let numbers = [PART / 8 - 1, PART / 8].map(u64::to_le_bytes).concat();
            assert_eq!(&bytes[..], numbers);
        }
        assert!(
            file.with::<8, _>(file.file().length(), |_| ())
                .unwrap_err()
                .is_corrupt()
        );
    }
}
