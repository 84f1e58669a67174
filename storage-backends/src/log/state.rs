//! What readers see: one value under one lock, so that every answer is of one moment.
//!
//! Invariants:
//! 1. `segments` are all segments by number; the last is open. Their live ranges are disjoint, ascend, and cover
//!    `0..end` together.
//! 2. An index entry proves nothing. It counts only if its height is below the end and the record there has the
//!    key that was asked for; so entries of blocks that were truncated or replaced do no harm, nor do those that the
//!    writer inserts before it publishes a run.
//! 3. Each sealed segment is covered by an index file, or by a table in `frozen`, or it is not indexed. A key
//!    that may be in a segment that is not indexed is never answered with "absent", nor with a later address.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::format::Salt;
use super::index_file::IndexFile;
use super::nearby::Nearby;
use super::read_file::ReadFile;
use super::record::Record;
use super::records::Records;
use super::segment::{FoundEntry, Segment};
use super::shared::LogContext;
use crate::entry_table::{Entry, EntryTable, IndexAddress, Same};
use crate::toolbox::key_hash::KeyHash;
use crate::{DamageAt, Error, Extent, Id, Location, Result};

/// The table of a sealed segment whose index file is not written yet.
#[derive(Debug, Clone)]
pub(super) struct Frozen {
    pub(super) segment: u64,
    pub(super) table: Arc<EntryTable>,
}

/// Where a named value is in the file of values.
#[derive(Debug, Clone, Copy)]
pub(super) struct StoredValue {
    pub(super) offset: u64,
    pub(super) length: usize,
    pub(super) checksum: u32,
}

/// The named values.
#[derive(Debug, Clone)]
pub(super) struct Values {
    pub(super) file: ReadFile,
    pub(super) by_name: BTreeMap<String, StoredValue>,
}

#[derive(Debug)]
pub(super) struct LogState {
    pub(super) salt: Salt,
    pub(super) hash: KeyHash,
    pub(super) extent: Extent,
    pub(super) segments: Vec<Segment>,
    pub(super) records: Records,
    pub(super) nearby: Nearby,
    /// The index of the open segment.
    pub(super) table: EntryTable,
    pub(super) frozen: Vec<Frozen>,
    /// Index files, ascending, not overlapping.
    pub(super) index_files: Vec<Arc<IndexFile>>,
    pub(super) values: Values,
    /// Segments that can't be indexed, and why: look-ups say so instead of "not indexed yet" for ever.
    pub(super) unindexable: BTreeMap<u64, String>,
}

impl LogState {
    /// What is known of a store before anything is indexed. There is at least one segment.
    pub(super) fn new(
        context: &LogContext,
        extent: Extent,
        segments: Vec<Segment>,
        values: Values,
    ) -> Self {
        Self {
            salt: context.salt,
            hash: context.hash,
            extent,
            segments,
            records: Records::default(),
            nearby: Nearby::default(),
            table: EntryTable::with_room(0),
            frozen: Vec::new(),
            index_files: Vec::new(),
            values,
            unindexable: BTreeMap::new(),
        }
    }

    pub(super) fn open(&self) -> &Segment {
        &self.segments[self.segments.len() - 1]
    }

    pub(super) fn open_mut(&mut self) -> &mut Segment {
        let last = self.segments.len() - 1;
        &mut self.segments[last]
    }

    /// The segment of a height below the end. O(log segments), in memory.
    pub(super) fn segment_of(&self, height: u64) -> Option<&Segment> {
        let number = self
            .segments
            .partition_point(|segment| segment.live.end <= height);
        self.segments
            .get(number)
            .filter(|segment| height < self.extent.end && segment.live.contains(&height))
    }

    /// The record of a height; `None` from the end on.
    pub(super) fn record(&self, height: u64) -> Result<Option<(&Segment, Record)>> {
        if height >= self.extent.end {
            return Ok(None);
        }
        let segment = self.segment_of(height).ok_or_else(|| {
            let reason = "no segment has this height";
            Error::corrupt(self.open().heads.path(), DamageAt::Height(height), reason)
        })?;
        let file = segment.heads.number();
        if let Some(record) = self.records.get(file, height)
            && segment.still_has(&record)
        {
            return Ok(Some((segment, record)));
        }
        let record = segment.record(height, self.salt)?;
        // Noted under the state's lock, so that no truncation comes between reading the record and noting it.
        self.records.put(file, record);
        Ok(Some((segment, record)))
    }

    /// The segments that have any of some heights, as they are now.
    pub(super) fn snapshots(&self, heights: &Range<u64>) -> Vec<Segment> {
        let segments = self.segments.iter();
        segments
            .filter(|segment| segment.live.start < heights.end && heights.start < segment.live.end)
            .map(Segment::snapshot)
            .collect()
    }

    /// Looks an id up in what is indexed.
    pub(super) fn look_up_id(&self, id: &Id) -> Result<IdLookup> {
        let hash = self.hash.of_id(id);
        let found = self.search(hash, &mut |address| {
            if address.entry().is_some() {
                return Ok(None);
            }
            let Some((_, record)) = self.record(address.height())? else {
                return Ok(None);
            };
            Ok((record.id == *id).then_some((record.height, 0)))
        })?;
        if let Some((height, _)) = found.first {
            return Ok(IdLookup::Found(height));
        }
        let sealed = self.segments[..self.segments.len() - 1].iter();
        let unknown = sealed.filter(|segment| {
            segment.number >= found.unknown_from && !self.is_covered(segment.number)
        });
        Ok(IdLookup::Unknown(unknown.map(Segment::snapshot).collect()))
    }

    /// Whether a segment is as it was when a snapshot of it was taken.
    pub(super) fn still_has(&self, snapshot: &Segment) -> bool {
        let now = self.segments.get(snapshot.number as usize);
        now.is_some_and(|now| {
            now.live == snapshot.live
                && now.content == snapshot.content
                && now.heads.is_same(&snapshot.heads)
        })
    }

    /// The first segment whose index entries are not counted.
    pub(super) fn uncounted(&self) -> Option<&Segment> {
        self.segments.iter().find(|segment| !segment.is_counted())
    }

    pub(super) fn locate(&self, key: &Id) -> Result<Location> {
        let hash = self.hash.of_key(key);
        let found = self.search(hash, &mut |address| self.holds(address, key))?;
        if let Some((height, position)) = found.first {
            // An earlier segment that isn't indexed may hold the key's first place, so a later one is no answer.
            let segment = self.segment_of(height).map_or(0, |segment| segment.number);
            if segment < found.unknown_from {
                return Ok(self.extent.location(height, position));
            }
        }
        if found.unknown_from == u64::MAX {
            return Ok(self.extent.missing());
        }
        let unknown = &self.segments[found.unknown_from as usize];
        if let Some(reason) = self.unindexable.get(&unknown.number) {
            let path = unknown.heads.path();
            return Err(Error::corrupt(path, DamageAt::Index, reason.clone()));
        }
        let watermark = unknown.live.start;
        Ok(Location::NotIndexed { watermark })
    }

    /// The height and position of an address, if it is a live one of this key.
    fn holds(&self, address: IndexAddress, key: &Id) -> Result<Option<(u64, u32)>> {
        let Some(number) = address.entry() else {
            return Ok(None);
        };
        let height = address.height();
        // Index files are rewritten some time after the floor is raised; until then their entries below it count for nothing.
        if height < self.extent.index_floor {
            return Ok(None);
        }
        let Some((segment, record)) = self.record(height)? else {
            return Ok(None);
        };
        let damaged = || {
            let damage_at = DamageAt::Height(height);
            let reason = "an index key is damaged";
            Err(Error::corrupt(segment.heads.path(), damage_at, reason))
        };
        match self.entry(segment, &record, number)? {
            Some(entry) if entry.key == *key && entry.checked => Ok(Some((height, entry.position))),
            Some(entry) if entry.key == *key => damaged(),
            // Another key of the same hash, or a stale entry: rare, so there is time to make sure. What was read above had no
            // checksum, and a damaged key must not be answered as an absent one.
            Some(_) => {
                let keys = Segment::keys(&segment.heads, &record, self.salt)?;
                let sound = record.entries(&keys, self.salt).nth(number);
                let sound = sound.filter(|entry| entry.key == key);
                Ok(sound.map(|entry| (height, entry.position)))
            }
            // At or above the floor only truncated blocks have no keys. This one is live, so the frame that truncated it was
            // lost.
            None if record.has_no_keys() => damaged(),
            None => Ok(None),
        }
    }

    /// One entry of a record, if the record has so many.
    fn entry(
        &self,
        segment: &Segment,
        record: &Record,
        number: usize,
    ) -> Result<Option<FoundEntry>> {
        let read = |into: &mut [u8], offset| self.nearby.fill(&segment.heads, into, offset);
        segment.entry_by(record, number, self.salt, read)
    }

    /// Asks all parts of the index, the oldest first, and stops when no later one can have an earlier address.
    fn search(
        &self,
        hash: u64,
        check: &mut dyn FnMut(IndexAddress) -> Result<Option<(u64, u32)>>,
    ) -> Result<Search> {
        let mut search = Search {
            first: None,
            unknown_from: self.first_uncovered(),
        };
        for index_file in &self.index_files {
            // The segments of such a file count as not indexed: see `first_uncovered`.
            if index_file.is_damaged() {
                continue;
            }
            match index_file.may_have(hash) {
                Ok(false) => continue,
                Ok(true) => {
                    let outcome =
                        index_file.addresses(hash, |address| search.visit(address, check))?;
                    if outcome.is_err() {
                        search.doubt(index_file);
                    }
                }
                // A filter that can't be checked could hide a key, and "absent" would be a lie.
                Err(_) => search.doubt(index_file),
            }
            if self.is_settled(&search, index_file.last()) {
                return Ok(search);
            }
        }
        for frozen in &self.frozen {
            for address in frozen.table.addresses(hash) {
                search.visit(address, check)?;
            }
        }
        for address in self.table.addresses(hash) {
            search.visit(address, check)?;
        }
        Ok(search)
    }

    /// Whether what was found is in a segment up to `asked`, so that no later part can have an earlier address.
    fn is_settled(&self, search: &Search, asked: u64) -> bool {
        let Some((height, _)) = search.first else {
            return false;
        };
        self.segment_of(height)
            .is_some_and(|segment| segment.number <= asked && segment.number < search.unknown_from)
    }

    /// Whether index file or memory cover a sealed segment.
    pub(super) fn is_covered(&self, segment: u64) -> bool {
        let next = self
            .index_files
            .partition_point(|index_file| index_file.last() < segment);
        let by_file = self
            .index_files
            .get(next)
            .is_some_and(|index_file| index_file.first <= segment && !index_file.is_damaged());
        by_file || self.frozen.iter().any(|frozen| frozen.segment == segment)
    }

    /// The first sealed segment that is not indexed; `u64::MAX` if all are.
    fn first_uncovered(&self) -> u64 {
        let open = self.segments.len() as u64 - 1;
        let mut next = 0;
        for index_file in self
            .index_files
            .iter()
            .filter(|index_file| !index_file.is_damaged())
        {
            if index_file.first > next {
                break;
            }
            next = index_file.last() + 1;
        }
        while next < open {
            if !self.is_covered(next) {
                return next;
            }
            next += 1;
        }
        u64::MAX
    }

    /// Indexes a block of the open segment, published or not, whose entries' bytes are given.
    pub(super) fn index(&mut self, record: &Record, keys: &[u8]) -> Result<()> {
        let index_floor = self.extent.index_floor;
        let entries = hashed_entries(&self.hash, self.salt, record, keys, index_floor);
        let Self {
            table,
            segments,
            salt,
            ..
        } = self;
        let segment = &segments[segments.len() - 1];
        table.insert_all(&entries, |old, new| {
            same_key(segment, *salt, index_floor, old, new)
        })
    }

    /// Takes the files of bodies out of the sealed segments of which no block counts any more.
    pub(super) fn take_emptied(&mut self) -> Vec<ReadFile> {
        let sealed = self.segments.len() - 1;
        self.segments[..sealed]
            .iter_mut()
            .filter(|segment| segment.live.is_empty())
            .filter_map(|segment| segment.bodies.take())
            .collect()
    }

    /// The index entries of all blocks from the index floor up.
    pub(super) fn index_entries(&self) -> Result<u64> {
        let counts = self.segments.iter();
        let mut counts =
            counts.map(|segment| segment.count_keys(self.extent.index_floor, self.salt));
        counts.try_fold(0, |sum, count| Ok(sum + count?))
    }
}

/// What looking an id up in the index gives.
#[derive(Debug)]
pub(super) enum IdLookup {
    Found(u64),
    /// No indexed block has it. Those of these segments, as they were at that moment, are not indexed.
    Unknown(Vec<Segment>),
}

/// What a search found so far.
struct Search {
    first: Option<(u64, u32)>,
    /// The first segment whose entries are not all known.
    unknown_from: u64,
}

impl Search {
    fn visit(
        &mut self,
        address: IndexAddress,
        check: &mut dyn FnMut(IndexAddress) -> Result<Option<(u64, u32)>>,
    ) -> Result<()> {
        if let Some(found) = check(address)? {
            self.first = Some(self.first.map_or(found, |first| first.min(found)));
        }
        Ok(())
    }

    fn doubt(&mut self, index_file: &IndexFile) {
        index_file.mark_damaged();
        self.unknown_from = self.unknown_from.min(index_file.first);
    }
}

/// The entries of one block, whose entries' bytes are given: its id, and its keys if it isn't below the index floor.
pub(super) fn hashed_entries(
    hash: &KeyHash,
    salt: Salt,
    record: &Record,
    keys: &[u8],
    index_floor: u64,
) -> Vec<Entry> {
    let id = Entry {
        hash: hash.of_id(&record.id),
        address: IndexAddress::of_id(record.height),
    };
    let keys = match record.height < index_floor {
        true => &[],
        false => keys,
    };
    let keys = record.entries(keys, salt).enumerate();
    let keys = keys.map(|(number, entry)| Entry {
        hash: hash.of_key(entry.key),
        address: IndexAddress::of_entry(record.height, number),
    });
    std::iter::once(id).chain(keys).collect()
}

/// The index entries of a segment's blocks from `end` on.
pub(super) fn entries_from(
    segment: &Segment,
    hash: &KeyHash,
    salt: Salt,
    end: u64,
) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for height in end.max(segment.live.start)..segment.live.end {
        let record = segment.record(height, salt)?;
        let (offset, length) = record.keys_at();
        let keys = segment.heads.read(offset, length)?;
        entries.extend(hashed_entries(hash, salt, &record, &keys, 0));
    }
    Ok(entries)
}

/// Which of two addresses of one hash in a segment stays: of equal keys the first address that isn't below the index floor.
pub(super) fn same_key(
    segment: &Segment,
    salt: Salt,
    index_floor: u64,
    old: IndexAddress,
    new: IndexAddress,
) -> Result<Same> {
    // The old place doesn't count any more, so the key's first place is the new one; and its keys may be gone from the file.
    if old.height() < index_floor {
        return Ok(Same::No);
    }
    let (Some(old_number), Some(new_number)) = (old.entry(), new.entry()) else {
        return Ok(Same::No);
    };
    let (held, offered) = (
        segment.record(old.height(), salt)?,
        segment.record(new.height(), salt)?,
    );
    let entries = (
        segment.entry(&held, old_number, salt)?,
        segment.entry(&offered, new_number, salt)?,
    );
    let (Some(held), Some(offered)) = entries else {
        return Ok(Same::No);
    };
    if held.key != offered.key {
        return Ok(Same::No);
    }
    let earlier = (new.height(), offered.position) < (old.height(), held.position);
    Ok(if earlier { Same::New } else { Same::Old })
}
