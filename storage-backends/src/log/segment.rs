//! One segment as readers see it: a file of heads, a file of bodies while any body in it is held, and a table
//! from heights to records.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::format::{
    BODY_HEAD_BYTES, FRAME_BYTES, Salt, Stripped, TABLE_ENTRY_BYTES, TRAILER_BYTES, body_head,
    table_offset,
};
use super::map::Map;
use super::record::Record;
use crate::{Error, IndexEntry, Place, Result};

/// A file that is read through its map.
#[derive(Debug, Clone)]
pub(super) struct MappedFile {
    pub(super) path: Arc<PathBuf>,
    pub(super) map: Arc<Map>,
}

impl MappedFile {
    pub(super) fn corrupt(&self, at: u64, reason: impl Into<String>) -> Error {
        Error::corrupt(&self.path, Place::Offset(at), reason)
    }
}

/// Where the records are, by height from `Segment::low` on.
#[derive(Debug, Clone)]
pub(super) enum HeightTable {
    /// Of the open segment, and of a sealed one whose footer is damaged.
    Listed(Vec<u64>),
    /// In the file of heads, from this offset on.
    Mapped(u64),
}

/// Stands for "not known" in [`Segment::keys`].
const UNKNOWN: u64 = u64::MAX;

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) heads: MappedFile,
    /// `None` once all bodies of `live` were pruned.
    pub(super) bodies: Option<MappedFile>,
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
    pub(super) fn new(number: u64, heads: MappedFile, low: u64) -> Self {
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

    /// The record of a height in `live`.
    pub(super) fn record(&self, height: u64, salt: Salt) -> Result<Record> {
        let damaged =
            |reason: &str| Error::corrupt(&self.heads.path, Place::Height(height), reason);
        let number = (height - self.low) as usize;
        let offset = match &self.table {
            HeightTable::Listed(offsets) => offsets.get(number).copied(),
            HeightTable::Mapped(start) => self
                .heads
                .map
                .get(
                    start + (number * TABLE_ENTRY_BYTES) as u64,
                    TABLE_ENTRY_BYTES,
                )
                .and_then(|bytes| table_offset(salt, height, bytes)),
        }
        .ok_or_else(|| damaged("its entry in the height table is damaged"))?;
        let record = Record::decode(self.heads.map.all(), offset, salt)
            .filter(|record| record.height == height)
            .ok_or_else(|| damaged(&format!("the record at byte {offset} is damaged")))?;
        Ok(record)
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
            HeightTable::Mapped(start) => {
                let table = self.heads.map.exists() - TRAILER_BYTES as u64 - start;
                table / TABLE_ENTRY_BYTES as u64
            }
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
        self.keys.store(sum, Ordering::Release);
        Ok(sum)
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

    /// Has the index entries counted anew.
    pub(super) fn forget_keys(&mut self) {
        *self.keys.get_mut() = UNKNOWN;
    }

    /// The header of a record, checked.
    pub(super) fn header(heads: &MappedFile, record: &Record, salt: Salt) -> Result<Bytes> {
        let offset = record.header_offset();
        heads
            .map
            .share(offset, record.header_bytes)
            .filter(|_| !record.has_no_header())
            .filter(|bytes| salt.checksum(bytes) == record.header_checksum)
            .ok_or_else(|| {
                let place = Place::Height(record.height);
                let reason = format!("the header at byte {offset} is damaged");
                Error::corrupt(&heads.path, place, reason)
            })
    }

    /// The index entries of a record, checked.
    pub(super) fn index(
        heads: &MappedFile,
        record: &Record,
        salt: Salt,
    ) -> Result<Vec<IndexEntry>> {
        let bytes = heads.map.all();
        if record.has_no_keys() || !record.keys_are_sound(bytes, salt) {
            let place = Place::Height(record.height);
            let reason = "its index entries are damaged";
            return Err(Error::corrupt(&heads.path, place, reason));
        }
        let entries = (0..record.entries).filter_map(|number| {
            let position = record.entry(bytes, number, salt)?.position;
            let key = record.key(bytes, number);
            Some(IndexEntry { key, position })
        });
        Ok(entries.collect())
    }

    /// The body of a record, checked.
    pub(super) fn body(bodies: &MappedFile, record: &Record, salt: Salt) -> Result<Bytes> {
        body_bytes(&bodies.map, record, salt)
            .and_then(|()| {
                let offset = record.body_offset + BODY_HEAD_BYTES as u64;
                bodies.map.share(offset, record.body_bytes)
            })
            .ok_or_else(|| {
                let place = Place::Height(record.height);
                let reason = format!("the body at byte {} is damaged", record.body_offset);
                Error::corrupt(&bodies.path, place, reason)
            })
    }
}

/// Checks that the body of a record is there and whole.
pub(super) fn body_bytes(bodies: &Map, record: &Record, salt: Salt) -> Option<()> {
    let head = bodies.get(record.body_offset, BODY_HEAD_BYTES)?;
    let expected = body_head(
        salt,
        u32::try_from(record.body_bytes).ok()?,
        record.height,
        record.body_checksum,
    );
    let body = bodies.get(
        record.body_offset.checked_add(BODY_HEAD_BYTES as u64)?,
        record.body_bytes,
    )?;
    (expected[..] == *head && salt.checksum(body) == record.body_checksum).then_some(())
}

/// Where the height table of a footer begins.
pub(super) const fn table_start(footer: u64) -> u64 {
    footer + FRAME_BYTES as u64
}
