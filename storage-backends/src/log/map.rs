//! Read-only maps of files: the one place with `unsafe`.
//!
//! Invariants that make a slice of a map sound, kept by the rest of this backend:
//!
//! 1. Only bytes below `exists` are ever looked at; the file is at least that long for as long as the map
//!    lives. Files are cut only above what was ever published, and what a name loses when it is unlinked the map
//!    still holds.
//! 2. Bytes below `exists` never change while anybody holds them: files grow at their end. Two exceptions:
//!    opening may write bytes anew that are the same, and pruning punches holes into a file of bodies, after it
//!    made sure that nobody else holds the map.
//!
//! Another program that shortens or rewrites a store's files behind its back can still cause a signal or a
//! changed byte, as with every map; the lock keeps only programs out that ask for it.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use memmap2::{MmapOptions, MmapRaw};

/// A file's map, which may be longer than the file.
#[derive(Debug)]
pub(super) struct Map {
    raw: MmapRaw,
    /// As many bytes may be looked at.
    exists: AtomicU64,
}

impl Map {
    /// Maps `capacity` bytes of a file of which `exists` are there.
    pub(super) fn new(file: &File, capacity: u64, exists: u64) -> io::Result<Self> {
        let capacity = usize::try_from(capacity.max(exists).max(1)).map_err(io::Error::other)?;
        let raw = MmapOptions::new().len(capacity).map_raw_read_only(file)?;
        Ok(Self {
            raw,
            exists: AtomicU64::new(exists),
        })
    }

    /// The map, showing less; before anybody else has it.
    pub(super) fn limited(mut self, exists: u64) -> Self {
        let shown = self.exists.get_mut();
        *shown = exists.min(*shown);
        self
    }

    /// How long the file may become before it needs another map.
    pub(super) fn capacity(&self) -> u64 {
        self.raw.len() as u64
    }

    /// Bytes that may be looked at.
    pub(super) fn exists(&self) -> u64 {
        self.exists.load(Ordering::Acquire)
    }

    /// Lets bytes be looked at that were written to the file meanwhile; at most the capacity.
    pub(super) fn grow(&self, exists: u64) {
        debug_assert!(exists >= self.exists());
        self.exists
            .store(exists.min(self.capacity()), Ordering::Release);
    }

    /// Some bytes, if all are there.
    pub(super) fn get(&self, offset: u64, length: usize) -> Option<&[u8]> {
        let end = offset.checked_add(length as u64)?;
        if end > self.exists() {
            return None;
        }
        let offset = usize::try_from(offset).ok()?;
        // SAFETY: `offset + length` is within the map, since `exists` never exceeds its length, and within
        // the file by the module's first invariant, so the bytes can be read; by the second nobody changes
        // them while the slice lives, which borrows the map.
        Some(unsafe { std::slice::from_raw_parts(self.raw.as_ptr().add(offset), length) })
    }

    /// Everything that may be looked at.
    pub(super) fn all(&self) -> &[u8] {
        self.get(0, self.exists() as usize).unwrap_or_default()
    }

    /// Some bytes that keep the map alive for as long as they are held, if all are there.
    pub(super) fn share(self: &Arc<Self>, offset: u64, length: usize) -> Option<Bytes> {
        if length == 0 {
            return Some(Bytes::new());
        }
        self.get(offset, length)?;
        Some(Bytes::from_owner(Held {
            map: Arc::clone(self),
            offset,
            length,
        }))
    }
}

struct Held {
    map: Arc<Map>,
    offset: u64,
    length: usize,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        // `exists` never shrinks, so what was there when this was made still is.
        self.map.get(self.offset, self.length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn only_what_exists_can_be_seen_and_it_outlives_the_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let file = File::create_new(&path).unwrap();
        let file_read = File::open(&path).unwrap();
        file.write_all_at(b"0123456789", 0).unwrap();
        let map = Arc::new(Map::new(&file_read, 1 << 20, 4).unwrap());
        assert_eq!(map.get(1, 3), Some(&b"123"[..]));
        assert_eq!(map.get(1, 4), None);
        assert_eq!(map.get(u64::MAX, 4), None);
        map.grow(10);
        let held = map.share(8, 2).unwrap();
        drop((map, file, file_read));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(held, &b"89"[..]);
    }
}
