//! One segment as readers see it: a file of heads, a file of bodies while any body in it is held, and a table
//! from heights to records.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::format::{
    BODY_HEAD_BYTES, FRAME_BYTES, Salt, Stripped, TABLE_ENTRY_BYTES, TRAILER_BYTES, body_head,
    table_offset,
};
use super::read_file::ReadFile;
use super::record::{ENTRY_BYTES_MAX, FIXED_BYTES, Record};
use crate::{DamageAt, Error, Id, IndexEntry, Result};

/// Where the records are, by height from `Segment::low` on.
#[derive(Debug, Clone)]
pub(super) enum HeightTable {
    /// Of the open segment, and of a sealed one whose footer is damaged.
    Listed(Vec<u64>),
    /// In the file of heads, from this offset on.
    InFile(u64),
}

/// Stands for "not known" in [`Segment::keys`].
const UNKNOWN: u64 = u64::MAX;

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) heads: ReadFile,
    /// `None` once all bodies of `live` were pruned.
    pub(super) bodies: Option<ReadFile>,
    /// The height of the table's first entry.
    pub(super) low: u64,
    /// The heights whose valid blocks are here. Truncation takes some away, which stay in the files.
    pub(super) live: Range<u64>,
    pub(super) table: HeightTable,
    /// Checksum of the last frame, which stands for the content of a sealed segment.
    pub(super) content: u32,
    /// Entries that an index of this segment has, ids included; of the open one also those of truncated blocks.
    pub(super) entries: u64,
    /// The length of the file of bodies.
    pub(super) bodies_bytes: u64,
    /// What is no longer in the file of heads.
    pub(super) stripped: Stripped,
    /// How many index entries the blocks of `live` from the index floor up have; [`UNKNOWN`] until summed.
    pub(super) keys: AtomicU64,
}

impl Segment {
    /// A segment whose files begin with a superblock and nothing else, or of which the rest is set next.
    pub(super) fn new(number: u64, heads: ReadFile, low: u64) -> Self {
        Self {
            number,
            heads,
            bodies: None,
            low,
            live: low..low,
            table: HeightTable::Listed(Vec::new()),
            content: 0,
            entries: 0,
            bodies_bytes: 0,
            stripped: Stripped::default(),
            keys: AtomicU64::new(UNKNOWN),
        }
    }

    /// The record of a height that the table has, live or not.
    pub(super) fn record(&self, height: u64, salt: Salt) -> Result<Record> {
        let offset = self.offset(height, salt)?;
        let damaged = |cause: String| {
            let reason = format!("the record at byte {offset} is damaged{cause}");
            Error::corrupt(self.heads.path(), DamageAt::Height(height), reason)
        };
        let room = self.heads.length().saturating_sub(offset);
        let bytes = match self.heads.array::<FIXED_BYTES>(offset) {
            Ok(bytes) => bytes,
            Err(Error::Corrupt { reason, .. }) => return Err(damaged(format!(": {reason}"))),
            Err(error) => return Err(error),
        };
        Record::decode(&bytes, offset, room, salt)
            // A checksum says that this is a record, not that it is the one of this height: the table could lead elsewhere.
            .filter(|record| record.height == height)
            .ok_or_else(|| damaged(String::new()))
    }

    /// Where the record of a height is.
    fn offset(&self, height: u64, salt: Salt) -> Result<u64> {
        let damaged = |cause: String| {
            let reason = format!("its entry in the height table is damaged{cause}");
            Error::corrupt(self.heads.path(), DamageAt::Height(height), reason)
        };
        let number = (height - self.low) as usize;
        let offset = match &self.table {
            HeightTable::Listed(offsets) => offsets.get(number).copied(),
            HeightTable::InFile(start) => {
                let at = start + (number * TABLE_ENTRY_BYTES) as u64;
                match self.heads.array::<TABLE_ENTRY_BYTES>(at) {
                    Ok(bytes) => table_offset(salt, height, &bytes),
                    Err(Error::Corrupt { reason, .. }) => {
                        return Err(damaged(format!(": {reason}")));
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        offset.ok_or_else(|| damaged(String::new()))
    }

    /// Whether a record that was read before is the one that counts for its height now. In the open segment a truncation or
    /// replacement may have put another one in its place.
    pub(super) fn still_has(&self, record: &Record) -> bool {
        let HeightTable::Listed(offsets) = &self.table else {
            return true;
        };
        let number = record.height.checked_sub(self.low);
        number.and_then(|number| offsets.get(number as usize)) == Some(&record.offset)
    }

    /// One entry of a record, if the record has so many.
    pub(super) fn entry(
        &self,
        record: &Record,
        number: usize,
        salt: Salt,
    ) -> Result<Option<FoundEntry>> {
        let read = |into: &mut [u8], offset| self.heads.fill(into, offset);
        self.entry_by(record, number, salt, read)
    }

    /// The same, of bytes that `read` reads from the heads.
    pub(super) fn entry_by(
        &self,
        record: &Record,
        number: usize,
        salt: Salt,
        read: impl FnOnce(&mut [u8], u64) -> Result<()>,
    ) -> Result<Option<FoundEntry>> {
        let Some((offset, length)) = record.entry_at(number) else {
            return Ok(None);
        };
        let mut bytes = [0; ENTRY_BYTES_MAX];
        let bytes = &mut bytes[..length];
        read(bytes, offset).map_err(|error| at_height(error, record.height))?;
        let entry = record.decode_entry(bytes, number, salt);
        Ok(entry.map(|entry| FoundEntry {
            key: *entry.key,
            position: entry.position,
            checked: entry.checked,
        }))
    }

    /// The segment as it is now, but for its bodies.
    pub(super) fn snapshot(&self) -> Self {
        Self {
            live: self.live.clone(),
            table: self.table.clone(),
            content: self.content,
            entries: self.entries,
            bodies_bytes: self.bodies_bytes,
            stripped: self.stripped,
            ..Self::new(self.number, self.heads.clone(), self.low)
        }
    }

    /// How many heights the table has, truncated ones included.
    pub(super) fn blocks(&self) -> u64 {
        match &self.table {
            HeightTable::Listed(offsets) => offsets.len() as u64,
            HeightTable::InFile(start) => {
                let table = self.heads.length() - TRAILER_BYTES as u64 - start;
                table / TABLE_ENTRY_BYTES as u64
            }
        }
    }

    /// Takes heights from `end` on out of the open segment, whose table is the only one that forgets them.
    pub(super) fn cut(&mut self, end: u64) {
        self.forget_keys();
        self.low = self.low.min(end);
        self.live = self.live.start.min(end)..end;
        let kept = (end - self.low) as usize;
        if let HeightTable::Listed(offsets) = &mut self.table {
            offsets.truncate(kept);
        }
    }

    /// Takes heights from `end` on away.
    pub(super) fn clip(&mut self, end: u64) {
        if self.live.end > end {
            self.live.end = end;
            self.live.start = self.live.start.min(end);
            self.forget_keys();
        }
    }

    /// How many index entries its live blocks from the index floor up have. Reads each record once, and again after
    /// truncation or a floor took some away.
    pub(super) fn count_keys(&self, index_floor: u64, salt: Salt) -> Result<u64> {
        let known = self.keys.load(Ordering::Acquire);
        if known != UNKNOWN {
            return Ok(known);
        }
        let mut sum = 0;
        for height in self.live.start.max(index_floor)..self.live.end {
            sum += self.record(height, salt)?.entries as u64;
        }
        // Two readers may do this at the same time and come to the same sum: whoever changes what is summed has the state
        // locked for writing.
        self.keys.store(sum, Ordering::Release);
        Ok(sum)
    }

    /// Whether [`count_keys`](Self::count_keys) reads nothing.
    pub(super) fn is_counted(&self) -> bool {
        self.keys.load(Ordering::Acquire) != UNKNOWN
    }

    /// Notes a count that was made of a snapshot of it, which has not changed since: the state is locked.
    pub(super) fn note_count(&self, keys: u64) {
        self.keys.store(keys, Ordering::Release);
    }

    /// The height of the live block with an id. Reads the records.
    pub(super) fn find_id(&self, id: &Id, salt: Salt) -> Result<Option<u64>> {
        for height in self.live.clone() {
            if self.record(height, salt)?.id == *id {
                return Ok(Some(height));
            }
        }
        Ok(None)
    }

    /// Adds a new block's index entries to the count, if there is one.
    pub(super) fn add_keys(&mut self, entries: u64) {
        let keys = self.keys.get_mut();
        if *keys != UNKNOWN {
            *keys += entries;
        }
    }

    /// Takes a count from the file of heads.
    pub(super) fn with_keys(self, entries: u64) -> Self {
        Self {
            keys: AtomicU64::new(entries),
            ..self
        }
    }

    /// Has the index entries recounted.
    pub(super) fn forget_keys(&mut self) {
        *self.keys.get_mut() = UNKNOWN;
    }

    /// The header of a record, checked.
    pub(super) fn header(heads: &ReadFile, record: &Record, salt: Salt) -> Result<Bytes> {
        let offset = record.header_offset();
        let bytes = heads
            .bytes(offset, record.header_bytes)
            .map_err(|error| at_height(error, record.height))?;
        // A header that was taken away has no bytes and their right checksum, so an empty one would be given out.
        if record.has_no_header() || salt.checksum(&bytes) != record.header_checksum {
            let damage_at = DamageAt::Height(record.height);
            let reason = format!("the header at byte {offset} is damaged");
            return Err(Error::corrupt(heads.path(), damage_at, reason));
        }
        Ok(bytes)
    }

    /// The bytes of a record's index entries, checked.
    pub(super) fn keys(heads: &ReadFile, record: &Record, salt: Salt) -> Result<Vec<u8>> {
        let (offset, length) = record.keys_at();
        let keys = heads
            .read(offset, length)
            .map_err(|error| at_height(error, record.height))?;
        if !record.keys_are_sound(&keys, salt) {
            let damage_at = DamageAt::Height(record.height);
            return Err(Error::corrupt(heads.path(), damage_at, KEYS_ARE_DAMAGED));
        }
        Ok(keys)
    }

    /// The same of a block that must have its entries. A record of a block that was truncated has none; it is live again
    /// only if that was lost.
    pub(super) fn whole_keys(heads: &ReadFile, record: &Record, salt: Salt) -> Result<Vec<u8>> {
        if record.has_no_keys() {
            let damage_at = DamageAt::Height(record.height);
            return Err(Error::corrupt(heads.path(), damage_at, KEYS_ARE_DAMAGED));
        }
        Self::keys(heads, record, salt)
    }

    /// The index entries of a record, checked.
    pub(super) fn index(heads: &ReadFile, record: &Record, salt: Salt) -> Result<Vec<IndexEntry>> {
        let keys = Self::whole_keys(heads, record, salt)?;
        let entries = record.entries(&keys, salt).map(|entry| IndexEntry {
            key: *entry.key,
            position: entry.position,
        });
        Ok(entries.collect())
    }

    /// The body of a record, checked.
    pub(super) fn body(bodies: &ReadFile, record: &Record, salt: Salt) -> Result<Bytes> {
        let length = BODY_HEAD_BYTES + record.body_bytes;
        let bytes = bodies
            .bytes(record.body_offset, length)
            .map_err(|error| at_height(error, record.height))?;
        if !is_body(&bytes, record, salt) {
            let damage_at = DamageAt::Height(record.height);
            let reason = format!("the body at byte {} is damaged", record.body_offset);
            return Err(Error::corrupt(bodies.path(), damage_at, reason));
        }
        Ok(bytes.slice(BODY_HEAD_BYTES..))
    }
}

const KEYS_ARE_DAMAGED: &str = "its index entries are damaged";

/// An index entry as its record has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FoundEntry {
    pub(super) key: Id,
    pub(super) position: u32,
    /// Whether key and position are known to be undamaged.
    pub(super) checked: bool,
}

/// Says of which block something could not be read; where in the file is in the reason.
fn at_height(error: Error, height: u64) -> Error {
    match error {
        Error::Corrupt {
            path,
            damage_at: DamageAt::Offset(offset),
            reason,
        } => Error::Corrupt {
            path,
            damage_at: DamageAt::Height(height),
            reason: format!("at byte {offset}: {reason}"),
        },
        other => other,
    }
}

/// Whether bytes are the head and the body that a record speaks of.
fn is_body(bytes: &[u8], record: &Record, salt: Salt) -> bool {
    let (Ok(length), Some((head, body))) = (
        u32::try_from(record.body_bytes),
        bytes.split_at_checked(BODY_HEAD_BYTES),
    ) else {
        return false;
    };
    // The head has height and length too: a sound body of another block at this place isn't this one's.
    let expected = body_head(salt, length, record.height, record.body_checksum);
    expected[..] == *head && salt.checksum(body) == record.body_checksum
}

/// Where the height table of a footer begins.
pub(super) const fn table_start(footer: u64) -> u64 {
    footer + FRAME_BYTES as u64
}
