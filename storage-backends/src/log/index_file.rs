//! Index files: the entries of one or more sealed segments, immutable.
//!
//! ```text
//! DIR/index-F-L: segments F to L; superblock as in every file, c: the height below which keys were left out; then
//!   80  checksum u32 over all of the rest of this head    84 segments u32
//!   88  entries u64   96 filter blocks u64   104 homes u64   112 buckets u64
//!  120  per segment, 24 bytes: low u64, end u64, content u32, zero u32
//!  then, from the next multiple of 64 on,
//!   filter blocks, 64 bytes each: checksum u32 over number u64 and the bits; 480 bits
//!   buckets, 512 bytes each: checksum u32 over number u64 and 4..512, count u16, spilled u16, zero [8],
//!       31 entries of hash u64 and address u64, ascending by hash
//! ```
//!
//! An entry's filter block and its home bucket are the hash times their number, divided by 2^64; so both grow
//! with the hash, and a file is written in one pass over sorted entries, of whatever length. A bucket that is
//! full spills into the next. A filter block has about 40 entries with 7 bits each: a miss reads one cache
//! line a file and goes on to a bucket once in about a hundred and fifty times; a hit reads one more bucket.
//!
//! A look-up checks the checksum of every block and bucket that it reads. A file that fails is no reason for a
//! wrong answer: it counts as missing from then on, and is rewritten from the segments.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, IntoBytes};

use super::cache::{Cache, CachedFile};
use super::format::{FileKind, Named, SUPERBLOCK_BYTES, Salt, StoreId, Superblock};
pub(super) use super::on_disk::BUCKET_ENTRIES_MAX;
use super::on_disk::{self, FilterBlock, IndexEntry, IndexHead};
use super::read_file::{Pieces, ReadFile};
use crate::entry_table::{Entry, IndexAddress};
use crate::toolbox::filter::{self, scale};
use crate::{DamageAt, Error, Result};

pub(super) const FILTER_BYTES: usize = size_of::<FilterBlock>();
pub(super) const FILTER_ENTRIES: u64 = 40;
/// The bits behind a filter block's checksum, of which a hash has seven.
pub(super) type FilterBits = filter::FilterBlock<480, 7>;
pub(super) const BUCKET_BYTES: usize = size_of::<on_disk::Bucket>();
/// Entries that a bucket has on average: few enough that one in twenty spills.
pub(super) const BUCKET_ENTRIES: u64 = 24;
/// The superblock, and sizes.
pub(super) const HEAD_BYTES: usize = SUPERBLOCK_BYTES + size_of::<IndexHead>();
pub(super) const COVER_BYTES: usize = size_of::<on_disk::Cover>();

/// What an index file knows of one of its segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cover {
    pub(super) low: u64,
    pub(super) end: u64,
    pub(super) content: u32,
}

impl Cover {
    const fn on_disk(&self) -> on_disk::Cover {
        on_disk::Cover {
            low: U64::new(self.low),
            end: U64::new(self.end),
            content: U32::new(self.content),
            zero: U32::ZERO,
        }
    }

    const fn of(found: &on_disk::Cover) -> Self {
        Self {
            low: found.low.get(),
            end: found.end.get(),
            content: found.content.get(),
        }
    }
}

/// Sizes, from which all offsets follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) segments: usize,
    pub(super) entries: u64,
    pub(super) filters: u64,
    pub(super) homes: u64,
    pub(super) buckets: u64,
}

impl Layout {
    /// A file for at most so many entries, before its buckets are counted.
    pub(super) fn of(segments: usize, entries: u64) -> Self {
        Self {
            segments,
            entries,
            filters: entries.div_ceil(FILTER_ENTRIES).max(1),
            homes: entries.div_ceil(BUCKET_ENTRIES).max(1),
            buckets: 0,
        }
    }

    pub(super) fn filters_at(&self) -> u64 {
        (HEAD_BYTES + self.segments * COVER_BYTES).next_multiple_of(FILTER_BYTES) as u64
    }

    pub(super) fn buckets_at(&self) -> u64 {
        self.filters_at() + self.filters * FILTER_BYTES as u64
    }

    pub(super) fn filter_at(&self, number: u64) -> u64 {
        self.filters_at() + number * FILTER_BYTES as u64
    }

    pub(super) fn bucket_at(&self, number: u64) -> u64 {
        self.buckets_at() + number * BUCKET_BYTES as u64
    }

    fn file_bytes(&self) -> Option<u64> {
        let filters = self.filters.checked_mul(FILTER_BYTES as u64)?;
        let buckets = self.buckets.checked_mul(BUCKET_BYTES as u64)?;
        self.filters_at().checked_add(filters)?.checked_add(buckets)
    }

    pub(super) fn filter_of(&self, hash: u64) -> u64 {
        scale(hash, self.filters)
    }

    pub(super) fn home_of(&self, hash: u64) -> u64 {
        scale(hash, self.homes)
    }
}

/// Whether a file is to be rewritten to get rid of so many blocks' parts of all that it has: each rewriting takes
/// an eighth away, so what is written is bounded by what is removed, and what stays by what is kept.
pub(super) const fn is_worth_it(removed: u64, held: u64) -> bool {
    removed > 0 && removed >= held.div_ceil(8)
}

/// A part of an index file is damaged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Damaged;

/// What was read of an index file, if it is sound.
pub(super) type Sound<T> = std::result::Result<T, Damaged>;

#[derive(Debug)]
pub(super) struct IndexFile {
    file: CachedFile,
    pub(super) first: u64,
    /// Keys of blocks below this height were left out.
    pub(super) keys_from: u64,
    pub(super) covers: Vec<Cover>,
    pub(super) layout: Layout,
    salt: Salt,
    damaged: AtomicBool,
}

impl IndexFile {
    /// Reads an index file's head. A file of another store or version is an error; `None` if the file is torn
    /// or damaged, and so no loss.
    pub(super) fn open(
        file: ReadFile,
        first: u64,
        last: u64,
        store: &StoreId,
        cache: &Arc<Cache>,
    ) -> Result<Option<Self>> {
        let decoded = file
            .head()
            .and_then(|head| Superblock::decode(file.path(), &head, FileKind::Index, Some(store)));
        let head = match decoded {
            Ok(head) => head,
            // What a crash tore is made again. Another store's file, which somebody put here, must not be removed.
            Err(Error::Corrupt { damage_at, .. }) if damage_at != DamageAt::Offset(16) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let [begin, end, keys_from, ..] = head.fields;
        if (head.number, begin, end) != (first, first, last) {
            return Ok(None);
        }
        let salt = Salt::of(store);
        let Some((layout, covers)) = read_head(&file, salt)? else {
            return Ok(None);
        };
        let span = last.checked_sub(first).and_then(|more| more.checked_add(1));
        let whole = span == Some(covers.len() as u64) && layout.file_bytes() == Some(file.length());
        Ok(whole.then(|| Self {
            file: CachedFile::new(file, cache),
            first,
            keys_from,
            covers,
            layout,
            salt,
            damaged: AtomicBool::new(false),
        }))
    }

    /// Keeps the file open until it is dropped.
    pub(super) fn pin(&self) -> Result<()> {
        self.file.file().pin()
    }

    pub(super) fn path(&self) -> &Path {
        self.file.file().path()
    }

    pub(super) fn last(&self) -> u64 {
        self.first + self.covers.len() as u64 - 1
    }

    /// Whether so many of its keys are below a floor that it should be rewritten without them.
    pub(super) fn is_stale(&self, index_floor: u64) -> bool {
        let heights = |below: u64| -> u64 {
            let part = |cover: &Cover| cover.end.min(below).saturating_sub(cover.low);
            self.covers.iter().map(part).sum()
        };
        let (left_out, below) = (heights(self.keys_from), heights(index_floor));
        is_worth_it(below.saturating_sub(left_out), heights(u64::MAX) - left_out)
    }

    /// How many segments it covers.
    pub(super) fn span(&self) -> u64 {
        self.covers.len() as u64
    }

    pub(super) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    pub(super) fn mark_damaged(&self) {
        if !self.damaged.swap(true, Ordering::Relaxed) {
            tracing::warn!(file = %self.path().display(), "an index file is damaged and will be rewritten");
        }
    }

    /// Whether a key of this hash may be here. One cache line.
    pub(super) fn may_have(&self, hash: u64) -> Sound<bool> {
        let number = self.layout.filter_of(hash);
        let may_have = |block: &[u8; FILTER_BYTES]| {
            let block = self.filter(number, block)?;
            Ok(FilterBits::may_have(&block.bits, hash))
        };
        let answer = self.file.with(self.layout.filter_at(number), may_have);
        answer.map_err(|_| Damaged)?
    }

    /// The filter block that bytes are, checked.
    fn filter<'a>(&self, number: u64, bytes: &'a [u8]) -> Sound<&'a FilterBlock> {
        let block = FilterBlock::ref_from_bytes(bytes).map_err(|_| Damaged)?;
        match block.checksum.get() == block.compute_checksum(self.salt, number) {
            true => Ok(block),
            false => Err(Damaged),
        }
    }

    /// Whether there are zeros between the head and the filter blocks.
    pub(super) fn is_padded(&self) -> bool {
        let head = HEAD_BYTES + self.covers.len() * COVER_BYTES;
        let zeros = self.layout.filters_at() as usize - head;
        self.file
            .file()
            .read(head as u64, zeros)
            .is_ok_and(|zeros| zeros.iter().all(|byte| *byte == 0))
    }

    /// Reads the file from front to back.
    pub(super) const fn pieces(&self) -> Pieces<'_> {
        Pieces::new(self.file.file())
    }

    /// Reads a filter block as the file has it, and checks it.
    pub(super) fn check_filter(&self, pieces: &mut Pieces<'_>, number: u64) -> Sound<()> {
        let offset = self.layout.filter_at(number);
        let found = pieces.get(offset, FILTER_BYTES).ok().flatten();
        self.filter(number, found.ok_or(Damaged)?).map(|_| ())
    }

    /// Calls `visit` with every address under a hash.
    pub(super) fn addresses(
        &self,
        hash: u64,
        mut visit: impl FnMut(IndexAddress) -> Result<()>,
    ) -> Result<Sound<()>> {
        let mut number = self.layout.home_of(hash);
        loop {
            let offset = self.layout.bucket_at(number);
            let visited = self.file.with(offset, |bytes: &[u8; BUCKET_BYTES]| {
                let Ok(bucket) = Bucket::decode(bytes, number, self.salt) else {
                    return Ok(Err(Damaged));
                };
                let mut entries = bucket.entries().filter(|entry| entry.hash == hash);
                entries.try_for_each(|entry| visit(entry.address))?;
                Ok(Ok(bucket.spilled))
            });
            // What the disk can't read counts as damaged: the file is made again from the segments.
            match visited.unwrap_or(Ok(Err(Damaged)))? {
                Ok(true) => number += 1,
                Ok(false) => return Ok(Ok(())),
                Err(Damaged) => return Ok(Err(Damaged)),
            }
        }
    }

    /// A bucket, checked, for those who read one after the other.
    pub(super) fn next_bucket<'a>(
        &self,
        pieces: &'a mut Pieces<'_>,
        number: u64,
    ) -> Sound<Bucket<'a>> {
        let offset = self.layout.bucket_at(number);
        let found = pieces.get(offset, BUCKET_BYTES).ok().flatten();
        Bucket::decode(found.ok_or(Damaged)?, number, self.salt)
    }
}

/// A bucket's content.
#[derive(Debug)]
pub(super) struct Bucket<'a> {
    entries: &'a [IndexEntry],
    spilled: bool,
}

impl<'a> Bucket<'a> {
    fn decode(bytes: &'a [u8], number: u64, salt: Salt) -> Sound<Self> {
        let found = on_disk::Bucket::ref_from_bytes(bytes).map_err(|_| Damaged)?;
        if found.checksum.get() != found.compute_checksum(salt, number) {
            return Err(Damaged);
        }
        // The count comes from the file and is compared with the room there is, though the checksum matched.
        let entries = found.entries.get(..usize::from(found.count.get()));
        Ok(Self {
            entries: entries.ok_or(Damaged)?,
            spilled: found.spilled != 0,
        })
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> + 'a {
        self.entries.iter().map(|entry| Entry {
            hash: entry.hash.get(),
            address: IndexAddress::from_bits(entry.address.get()),
        })
    }
}

/// What follows the superblock, up to the zeros before the filter blocks.
pub(super) fn encode_head(layout: &Layout, covers: &[Cover], salt: Salt) -> Vec<u8> {
    let mut head = IndexHead {
        checksum: U32::ZERO,
        segments: U32::new(covers.len() as u32),
        entries: U64::new(layout.entries),
        filters: U64::new(layout.filters),
        homes: U64::new(layout.homes),
        buckets: U64::new(layout.buckets),
    };
    let covers: Vec<on_disk::Cover> = covers.iter().map(Cover::on_disk).collect();
    head.checksum.set(head.compute_checksum(salt, &covers));
    [head.as_bytes(), covers.as_bytes()].concat()
}

/// Reads sizes and segments; `None` if they are damaged, or the file is too short for them.
fn read_head(file: &ReadFile, salt: Salt) -> Result<Option<(Layout, Vec<Cover>)>> {
    let fixed = HEAD_BYTES - SUPERBLOCK_BYTES;
    let start = SUPERBLOCK_BYTES as u64;
    let read = |length: usize| match file.read(start, length) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Error::Corrupt { .. }) => Ok(None),
        Err(error) => Err(error),
    };
    let Some(bytes) = read(fixed)? else {
        return Ok(None);
    };
    let Ok(head) = IndexHead::ref_from_bytes(&bytes) else {
        return Ok(None);
    };
    // A number from the file, not checked yet: reading compares the length that follows from it with the file's before it takes
    // memory.
    let segments = head.segments.get() as usize;
    let whole = segments
        .checked_mul(COVER_BYTES)
        .and_then(|covers| covers.checked_add(fixed));
    let Some(bytes) = whole.map(read).transpose()?.flatten() else {
        return Ok(None);
    };
    Ok(decode_head(&bytes, salt))
}

/// Reads what follows the superblock.
fn decode_head(bytes: &[u8], salt: Salt) -> Option<(Layout, Vec<Cover>)> {
    let (head, covers) = IndexHead::ref_from_prefix(bytes).ok()?;
    let covers = <[on_disk::Cover]>::ref_from_bytes(covers).ok()?;
    if head.checksum.get() != head.compute_checksum(salt, covers) {
        return None;
    }
    let layout = Layout {
        segments: covers.len(),
        entries: head.entries.get(),
        filters: head.filters.get(),
        homes: head.homes.get(),
        buckets: head.buckets.get(),
    };
    let covers = covers.iter().map(Cover::of).collect();
    // Otherwise hashes would lead to parts that aren't there.
    (layout.filters > 0 && layout.homes > 0 && layout.buckets >= layout.homes)
        .then_some((layout, covers))
}

/// The path of the index file of segments `first..=last`.
pub(super) fn index_path(directory: &Path, first: u64, last: u64) -> PathBuf {
    Named::Index(first, last).path(directory)
}
