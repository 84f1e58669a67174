//! Writing index files: one pass over sorted entries, with buffers of fixed size however long the file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use zerocopy::{FromZeros, IntoBytes};

use super::files::{FileHandle, Files};
use super::format::{FileKind, Salt, StoreId, Superblock, VERSION};
use super::index_file::{
    BUCKET_ENTRIES_MAX, Cover, Damaged, FilterBits, IndexFile, Layout, Sound, encode_head,
    index_path,
};
use super::on_disk::{Bucket, FilterBlock};
use super::read_file::Pieces;
use crate::entry_table::Entry;
use crate::{Error, Result};

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 1 << 20;
/// Entries between two looks at whether to stop.
const STOP_STRIDE: u64 = 8192;
const OPERATION: &str = "write an index file";

/// The next entry, or the index file that can't give it.
pub(super) type NextEntry = std::result::Result<Entry, Arc<IndexFile>>;

/// How the writing of an index file ended.
#[derive(Debug)]
pub(super) enum Written {
    /// The file has its name and is on the disk.
    Done(PathBuf),
    /// It was told to stop; the unfinished file stays, without a name of its own.
    Stopped,
    /// What it was to be made from is damaged.
    Damaged(Arc<IndexFile>),
}

/// Where and for which store an index file is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct IndexFileTarget<'a> {
    pub(super) files: &'a dyn Files,
    pub(super) directory: &'a Path,
    pub(super) store: &'a StoreId,
    pub(super) stop: &'a AtomicBool,
}

/// Writes the index file of the segments from `first` on from at most `expected` entries, which ascend by hash and
/// among which are no keys of blocks below `keys_from`.
pub(super) fn write_index_file(
    target: IndexFileTarget<'_>,
    first: u64,
    covers: &[Cover],
    keys_from: u64,
    expected: u64,
    entries: impl Iterator<Item = NextEntry>,
) -> Result<Written> {
    let last = first + covers.len() as u64 - 1;
    let path = index_path(target.directory, first, last);
    let fresh = path.with_extension("new");
    let fault = |source| Error::system(OPERATION, &fresh, source);
    let file = target.files.create(&fresh).map_err(fault)?;
    let mut layout = Layout::of(covers.len(), expected);
    let salt = Salt::of(target.store);
    let mut filters = Filters::new(Stream::new(&*file, layout.filters_at()), salt);
    let mut buckets = Buckets::new(Stream::new(&*file, layout.buckets_at()), salt);
    let mut count = 0;
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(damaged) => return Ok(Written::Damaged(damaged)),
        };
        // A merge can take minutes, for which closing the store must not wait; what was written is made again.
        if count % STOP_STRIDE == 0 && target.stop.load(Ordering::Relaxed) {
            return Ok(Written::Stopped);
        }
        count += 1;
        filters
            .add(layout.filter_of(entry.hash), entry.hash)
            .map_err(fault)?;
        buckets
            .add(layout.home_of(entry.hash), entry)
            .map_err(fault)?;
    }
    filters.finish(layout.filters).map_err(fault)?;
    layout.buckets = buckets.finish(layout.homes).map_err(fault)?;
    layout.entries = count;
    let superblock = Superblock {
        kind: FileKind::Index,
        version: VERSION,
        store: *target.store,
        number: first,
        fields: [first, last, keys_from, 0, 0],
    };
    let mut head = superblock.encode().to_vec();
    head.extend_from_slice(&encode_head(&layout, covers, salt));
    head.resize(layout.filters_at() as usize, 0);
    // The head comes last, since it has the counts, and the name after the sync: a name may survive a crash that the bytes
    // don't.
    file.write_at(&head, 0).map_err(fault)?;
    file.sync().map_err(fault)?;
    drop(file);
    target.files.rename(&fresh, &path).map_err(fault)?;
    // The caller removes the files that this one was made from; a crash must not keep that and lose the new name.
    target
        .files
        .sync_directory(target.directory)
        .map_err(|source| Error::system(OPERATION, target.directory, source))?;
    Ok(Written::Done(path))
}

/// The entries of several index files as one ascending sequence, which ends with the first damage: asked again for what can't
/// be read it would give the same error, and counting the entries would never end.
pub(super) fn merged(index_files: &[Arc<IndexFile>]) -> impl Iterator<Item = NextEntry> + '_ {
    let mut cursors: Vec<Cursor<'_>> = index_files.iter().map(Cursor::new).collect();
    let mut is_over = false;
    std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        let mut least: Option<(usize, Entry)> = None;
        for (number, cursor) in cursors.iter_mut().enumerate() {
            match cursor.peek() {
                Err(Damaged) => {
                    is_over = true;
                    return Some(Err(Arc::clone(cursor.index_file)));
                }
                Ok(Some(entry)) if least.is_none_or(|(_, least)| entry.hash < least.hash) => {
                    least = Some((number, entry));
                }
                Ok(_) => {}
            }
        }
        let (number, entry) = least?;
        cursors[number].next += 1;
        Some(Ok(entry))
    })
}

/// A position in one index file.
struct Cursor<'a> {
    index_file: &'a Arc<IndexFile>,
    pieces: Pieces<'a>,
    bucket: u64,
    entries: Vec<Entry>,
    next: usize,
}

impl<'a> Cursor<'a> {
    fn new(index_file: &'a Arc<IndexFile>) -> Self {
        Self {
            index_file,
            pieces: index_file.pieces(),
            bucket: 0,
            entries: Vec::with_capacity(BUCKET_ENTRIES_MAX),
            next: 0,
        }
    }

    fn peek(&mut self) -> Sound<Option<Entry>> {
        while self.next == self.entries.len() {
            if self.bucket == self.index_file.layout.buckets {
                return Ok(None);
            }
            let bucket = self.index_file.next_bucket(&mut self.pieces, self.bucket)?;
            self.entries.clear();
            self.entries.extend(bucket.entries());
            self.next = 0;
            self.bucket += 1;
        }
        Ok(Some(self.entries[self.next]))
    }
}

/// Bytes on their way to one position of a file.
pub(super) struct Stream<'a> {
    file: &'a dyn FileHandle,
    at: u64,
    buffer: Vec<u8>,
}

impl<'a> Stream<'a> {
    pub(super) fn new(file: &'a dyn FileHandle, at: u64) -> Self {
        Self {
            file,
            at,
            buffer: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> std::io::Result<()> {
        self.file.write_at(&self.buffer, self.at)?;
        self.at += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

struct Filters<'a> {
    stream: Stream<'a>,
    salt: Salt,
    number: u64,
    block: FilterBlock,
}

impl<'a> Filters<'a> {
    fn new(stream: Stream<'a>, salt: Salt) -> Self {
        Self {
            stream,
            salt,
            number: 0,
            block: FilterBlock::new_zeroed(),
        }
    }

    fn add(&mut self, number: u64, hash: u64) -> std::io::Result<()> {
        while self.number < number {
            self.emit()?;
        }
        FilterBits::add(&mut self.block.bits, hash);
        Ok(())
    }

    fn emit(&mut self) -> std::io::Result<()> {
        let checksum = self.block.compute_checksum(self.salt, self.number);
        self.block.checksum.set(checksum);
        self.stream.push(self.block.as_bytes())?;
        self.block = FilterBlock::new_zeroed();
        self.number += 1;
        Ok(())
    }

    fn finish(mut self, blocks: u64) -> std::io::Result<()> {
        while self.number < blocks {
            self.emit()?;
        }
        self.stream.flush()
    }
}

struct Buckets<'a> {
    stream: Stream<'a>,
    salt: Salt,
    number: u64,
    entries: Vec<Entry>,
}

impl<'a> Buckets<'a> {
    fn new(stream: Stream<'a>, salt: Salt) -> Self {
        Self {
            stream,
            salt,
            number: 0,
            entries: Vec::with_capacity(BUCKET_ENTRIES_MAX),
        }
    }

    fn add(&mut self, home: u64, entry: Entry) -> std::io::Result<()> {
        while self.number < home {
            self.emit(false)?;
        }
        if self.entries.len() == BUCKET_ENTRIES_MAX {
            self.emit(true)?;
        }
        self.entries.push(entry);
        Ok(())
    }

    fn emit(&mut self, spilled: bool) -> std::io::Result<()> {
        let mut bucket = Bucket::new_zeroed();
        // At most as many as there is room for: `add` ends the bucket before.
        bucket.count.set(self.entries.len() as u16);
        bucket.spilled = u8::from(spilled);
        for (entry, slot) in self.entries.iter().zip(&mut bucket.entries) {
            slot.hash.set(entry.hash);
            slot.address.set(entry.address.bits());
        }
        let checksum = bucket.compute_checksum(self.salt, self.number);
        bucket.checksum.set(checksum);
        self.stream.push(bucket.as_bytes())?;
        self.entries.clear();
        self.number += 1;
        Ok(())
    }

    /// Writes what is left, up to the last home at least; gives the number of buckets.
    fn finish(mut self, homes: u64) -> std::io::Result<u64> {
        while self.number < homes || !self.entries.is_empty() {
            self.emit(false)?;
        }
        self.stream.flush()?;
        Ok(self.number)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::super::cache::Cache;
    use super::super::files::SystemFiles;
    use super::super::read_file::ReadFile;
    use super::*;
    use crate::entry_table::IndexAddress;

    const STORE: StoreId = [5; 16];

    fn write(directory: &Path, first: u64, sorted: &[Entry]) -> Arc<IndexFile> {
        let cover = Cover {
            low: first * 10,
            end: first * 10 + 10,
            content: 9,
        };
        let entries = sorted.iter().copied().map(Ok);
        save(directory, first, &[cover], sorted.len() as u64, entries)
    }

    fn save(
        directory: &Path,
        first: u64,
        covers: &[Cover],
        expected: u64,
        entries: impl Iterator<Item = NextEntry>,
    ) -> Arc<IndexFile> {
        let stop = AtomicBool::new(false);
        let target = IndexFileTarget {
            files: &SystemFiles,
            directory,
            store: &STORE,
            stop: &stop,
        };
        let Written::Done(path) =
            write_index_file(target, first, covers, 2, expected, entries).unwrap()
        else {
            panic!("not written");
        };
        let last = first + covers.len() as u64 - 1;
        let index_file = open(&path, first, last).unwrap();
        assert_eq!((index_file.keys_from, &index_file.covers[..]), (2, covers));
        Arc::new(index_file)
    }

    fn open(path: &Path, first: u64, last: u64) -> Option<IndexFile> {
        let file = ReadFile::open(&SystemFiles, path).unwrap();
        IndexFile::open(file, first, last, &STORE, &Cache::new(2000))
            .ok()
            .flatten()
    }

    fn addresses(index_file: &IndexFile, hash: u64) -> Vec<u64> {
        let mut found = Vec::new();
        if index_file.may_have(hash).unwrap() {
            let visit = |address: IndexAddress| {
                found.push(address.bits());
                Ok(())
            };
            index_file.addresses(hash, visit).unwrap().unwrap();
        }
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

        /// Every entry is found, alone and after a merge, also where hashes crowd.
        #[test]
        fn what_was_written_is_found(
            parts in prop::collection::vec(prop::collection::vec(prop_oneof![
                any::<u64>(), (0_u64..90), (0_u64..400).prop_map(|low| u64::MAX - low)
            ], 0..700), 1..4),
        ) {
            let directory = tempfile::tempdir().unwrap();
            let mut index_files = Vec::new();
            let mut all = Vec::new();
            for (number, hashes) in (0_u64..).zip(&parts) {
                let mut entries: Vec<Entry> = hashes
                    .iter()
                    .zip(0_u64..)
                    .map(|(&hash, address)| Entry {
                        hash,
                        address: IndexAddress::from_bits(address << 8 | number),
                    })
                    .collect();
                entries.sort_by_key(|entry| entry.hash);
                index_files.push(write(directory.path(), number, &entries));
                all.extend(entries);
            }
            let covers: Vec<Cover> = index_files.iter().flat_map(|index_file| index_file.covers.clone()).collect();
            // As merging does: one file alone is written anew under its own name.
            index_files.iter().for_each(|index_file| index_file.pin().unwrap());
            let whole = save(directory.path(), 0, &covers, all.len() as u64, merged(&index_files));
            prop_assert_eq!(whole.layout.entries, all.len() as u64);
            for entry in &all {
                let address = entry.address.bits();
                prop_assert!(addresses(&index_files[(address & 255) as usize], entry.hash).contains(&address));
                prop_assert!(addresses(&whole, entry.hash).contains(&address));
            }
        }
    }

    /// It would be counted for ever otherwise.
    #[test]
    fn a_merge_ends_with_the_first_damage() {
        let directory = tempfile::tempdir().unwrap();
        let entries = |first: u64| -> Vec<Entry> {
            let entry = |number| Entry {
                hash: number << 48,
                address: IndexAddress::from_bits(number),
            };
            (first..2000).step_by(2).map(entry).collect()
        };
        let index_files = [
            write(directory.path(), 0, &entries(0)),
            write(directory.path(), 1, &entries(1)),
        ];
        let sound = merged(&index_files).take(2001).count();
        assert_eq!(sound, 2000);
        let mut bytes = std::fs::read(index_files[1].path()).unwrap();
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        let path = directory.path().join("damaged");
        std::fs::write(&path, bytes).unwrap();
        let damaged = Arc::new(open(&path, 1, 1).unwrap());
        let index_files = [Arc::clone(&index_files[0]), damaged];
        let read: Vec<_> = merged(&index_files).take(2001).collect();
        assert!(read.len() < 2000, "{}", read.len());
        let (last, sound) = read.split_last().unwrap();
        assert!(last.is_err() && sound.iter().all(|entry| entry.is_ok()));
    }

    /// The format of version 2: this file never changes.
    #[test]
    fn a_golden_file() {
        let directory = tempfile::tempdir().unwrap();
        let entries: Vec<Entry> = (0..200)
            .map(|number| Entry {
                hash: number << 56 | number,
                address: IndexAddress::of_entry(number, 1),
            })
            .collect();
        let index_file = write(directory.path(), 3, &entries);
        let bytes = std::fs::read(index_file.path()).unwrap();
        let hash = bytes.iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
        });
        assert_eq!((bytes.len(), hash), (5120, 3740966396282648430));
    }

    #[test]
    fn few_misses_pass_the_filter_and_damage_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let mix = |number: u64| {
            number
                .wrapping_mul(0xD134_2543_DE82_EF95)
                .rotate_left(31)
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        };
        let mut entries: Vec<Entry> = (0..20_000)
            .map(|number| Entry {
                hash: mix(number),
                address: IndexAddress::from_bits(number),
            })
            .collect();
        entries.sort_by_key(|entry| entry.hash);
        let index_file = write(directory.path(), 0, &entries);
        let passed = (20_000..120_000)
            .filter(|&number| index_file.may_have(mix(number)).unwrap())
            .count();
        assert!(passed < 1500, "{passed} of 100,000 misses pass the filter");
        let bytes = std::fs::read(index_file.path()).unwrap();
        for at in (0..bytes.len()).step_by(4099) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            let path = directory.path().join("damaged");
            std::fs::write(&path, damaged).unwrap();
            let Some(index_file) = open(&path, 0, 0) else {
                continue;
            };
            for entry in &entries {
                let Ok(true) = index_file.may_have(entry.hash) else {
                    assert!(index_file.may_have(entry.hash).is_err(), "a filter lies");
                    continue;
                };
                let mut found = false;
                let outcome = index_file.addresses(entry.hash, |address| {
                    found |= address == entry.address;
                    Ok(())
                });
                assert!(outcome.unwrap().is_err() || found, "a bucket lies");
            }
        }
    }
}
