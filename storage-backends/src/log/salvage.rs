//! Opening a damaged store, only to read, and only to save what is there; also one that can't be opened otherwise, since files are
//! damaged where opening reads them.
//!
//! Of each segment all frames and records that can be read are taken, in the order in which they were written; a height whose record can't be
//! is one whose every part is damaged. Footers, with their tables of heights, and index files are not used: what they say follows from the
//! records. What is taken was checked by the same checksums as ever, but frames that can't be read may have said more: of floors,
//! of truncations and replacements, of newer values. Whoever saves a chain has to see that its blocks follow one another.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::check::{Frames, checked_file};
use super::format::{FileKind, FrameKind, Named, SUPERBLOCK_BYTES, Salt};
use super::home::{Home, Unwritten, lock_damaged};
use super::load::{Listing, clip_all};
use super::lock::StoreLock;
use super::mark::{Mark, Slots};
use super::read_file::{Pieces, ReadFile};
use super::reader::LogReader;
use super::record::{FIXED_BYTES, Record};
use super::scan::{Frame, record_at};
use super::segment::{HeightTable, Segment};
use super::shared::{LogContext, Shared, missing_file};
use super::state::{LogState, Values};
use super::values::decode_value;
use crate::check::Report;
use crate::{
    BlockReader, DamageAt, Error, Extent, Held, Id, IndexEntry, Location, Part, Result,
    StoredBlock, StoredHeader, TableReader, Usage,
};

/// Opens what there is of a store that is not open, and reports what is damaged there. Until the reader is gone nobody writes to it.
pub(super) fn open(directory: &Path, report: &mut Report) -> Result<Arc<dyn BlockReader>> {
    let (context, lock) = lock_damaged(directory)?;
    let state = load(&context, report)?;
    Ok(Arc::new(DamagedReader::new(context, state, lock, None)))
}

/// The same of one that is open. What it holds is known. Until the reader is gone this process writes to it no more; where it
/// does already, what other readers see is all that can be had.
pub(super) fn open_again(home: Arc<Home>) -> Result<Arc<dyn BlockReader>> {
    // A writer would change files while they are read here, also one that begins later.
    let Some(unwritten) = Unwritten::begin(&home) else {
        return Ok(Arc::new(LogReader::new(home)));
    };
    let context = home.shared.context.clone();
    // Damage to single blocks is told when they are asked for.
    let mut state = load(&context, &mut Report::default())?;
    state.extent = home.shared.read().extent;
    clip_all(&mut state.segments, state.extent.end);
    Ok(Arc::new(DamagedReader::new(
        context,
        state,
        None,
        Some(unwritten),
    )))
}

/// Reads as much of a store's files as can be read.
pub(super) fn load(context: &LogContext, report: &mut Report) -> Result<LogState> {
    let listing = Listing::read(context)?;
    let slots = report.sound(Slots::read(
        &*context.files,
        &context.directory,
        &context.store,
    ))?;
    let mark = slots.map(|slots| slots.newest).unwrap_or_default();
    report.sound(listing.last_segment(context, &mark))?;
    let values = load_values(context, &listing, report)?;
    let mut extent = Extent::default();
    let mut segments: Vec<Segment> = Vec::new();
    for number in &listing.heads {
        let is_last = Some(number) == listing.heads.last();
        let segment_at = (*number, is_last, extent.end);
        let Some((segment, found)) = load_segment(context, segment_at, &mark, report)? else {
            continue;
        };
        clip_all(&mut segments, segment.low);
        extent.end = found.end;
        for part in Part::ALL {
            let floor = extent.floor_of_mut(part);
            // Floors never fall; but a segment whose superblock can't be read begins with none.
            *floor = (*floor).max(found.floor_of(part));
        }
        segments.push(segment);
    }
    if segments.is_empty() {
        return Err(missing_file(&Named::Heads(0).path(&context.directory)));
    }
    extent.body_floor = extent.body_floor.min(extent.end);
    // Frames that can't be read may have raised the other floors; the contract's order has to hold all the same.
    extent.index_floor = extent.index_floor.min(extent.body_floor);
    extent.header_floor = extent.header_floor.min(extent.body_floor);
    for segment in &mut segments {
        if segment.live.end > extent.body_floor {
            let path = Named::Bodies(segment.number).path(&context.directory);
            segment.bodies = report.sound(context.open_to_read(&path))?;
        }
    }
    Ok(LogState::new(context, extent, segments, values))
}

/// A segment, and the extent after it; nothing if its file of heads is missing. What could be read before it ended at `before`.
fn load_segment(
    context: &LogContext,
    (number, is_last, before): (u64, bool, u64),
    mark: &Mark,
    report: &mut Report,
) -> Result<Option<(Segment, Extent)>> {
    let found = checked_file(
        context,
        Named::Heads(number),
        FileKind::Heads,
        number,
        report,
    )?;
    let Some((heads, superblock)) = found else {
        return Ok(None);
    };
    let begun = superblock.map(|superblock| superblock.extent());
    let synced = match (is_last, mark.segment == number) {
        (false, _) => heads.length(),
        (true, true) => mark.heads,
        (true, false) => 0,
    };
    let frames = Frames::read(&heads, superblock.as_ref(), context.salt, synced, report)?;
    let begun = begun.unwrap_or(Extent::whole(before));
    let found = Found::follow(begun, &frames, &heads, context.salt)?;
    let segment = Segment {
        live: found.low..found.extent.end,
        table: HeightTable::Listed(found.offsets),
        ..Segment::new(number, heads, found.low)
    };
    Ok(Some((segment, found.extent)))
}

/// What was found in a segment so far.
#[derive(Debug)]
struct Found {
    low: u64,
    extent: Extent,
    /// Where the records of heights from `low` on are; of one that can't be read, a place where it isn't.
    offsets: Vec<u64>,
    /// Where the last record ends: what is missing before the next one is behind it.
    read_to: u64,
    /// So many bytes are known to have been on the disk.
    synced: u64,
}

impl Found {
    fn follow(begun: Extent, frames: &Frames, heads: &ReadFile, salt: Salt) -> Result<Self> {
        let mut pieces = Pieces::going_on(heads);
        let mut found = Self {
            low: begun.end,
            extent: begun,
            offsets: Vec::new(),
            read_to: SUPERBLOCK_BYTES as u64,
            synced: frames.synced,
        };
        let mut at = found.read_to;
        for frame in &frames.frames {
            let height = frame.head.height;
            // The head of a frame may be unreadable and its records not.
            found.take(at, frame.at, &mut pieces, salt)?;
            match frame.head.kind {
                FrameKind::Run | FrameKind::Replace => found.records(frame, &mut pieces, salt)?,
                FrameKind::Rest => {
                    found.truncate(found.low.min(height));
                    found.records(frame, &mut pieces, salt)?;
                }
                FrameKind::Truncate => found.truncate(height),
                FrameKind::Floor => found.extent.body_floor = height,
                FrameKind::IndexFloor => found.extent.index_floor = height,
                FrameKind::HeaderFloor => found.extent.header_floor = height,
                FrameKind::Footer | FrameKind::Value => {}
            }
            at = frame.end();
        }
        found.take(at, heads.length(), &mut pieces, salt)?;
        Ok(found)
    }

    fn records(&mut self, frame: &Frame, pieces: &mut Pieces<'_>, salt: Salt) -> Result<()> {
        // Those that it replaces go; and a truncation before it may not have been readable.
        self.truncate(frame.head.height);
        let first = frame.at + frame.head.records_at() as u64;
        self.skip_to(frame.head.height, first);
        self.take(first, frame.payload_end(), pieces, salt)
    }

    /// Takes the records that there are between two offsets, also those behind one that can't be read. They were written in this order:
    /// one of a height that is there already came in its place, by a frame that can't be read.
    fn take(&mut self, from: u64, to: u64, pieces: &mut Pieces<'_>, salt: Salt) -> Result<()> {
        let mut next = from;
        while next < to {
            let record = record_at(pieces, next, to, salt)?;
            match record.filter(|record| self.is_next(record)) {
                Some(record) => {
                    self.truncate(record.height);
                    self.skip_to(record.height, next);
                    self.offsets.push(next);
                    self.extent.end += 1;
                    next += record.bytes() as u64;
                    self.read_to = next;
                }
                // Records begin at multiples of 8.
                None => next += 8,
            }
        }
        Ok(())
    }

    /// Whether a record can be that of the next height, or of one behind records that can't be read, which take some bytes each; or
    /// of a height that is there, unless a crash may have torn the frame that was to replace it.
    fn is_next(&self, record: &Record) -> bool {
        if record.height < self.extent.end {
            // A frame that a crash tore leaves records that are whole though the replacement never took place.
            return record.offset < self.synced;
        }
        let room = record.offset.saturating_sub(self.read_to) / FIXED_BYTES as u64;
        record.height.saturating_sub(self.extent.end) <= room && record.height < u64::MAX
    }

    /// Notes that nothing is known of the heights before one; `at` is the offset of what comes next.
    fn skip_to(&mut self, height: u64, at: u64) {
        // The height comes from a record behind damage: no more are skipped than records had room for, so that no height makes
        // the list grow without bound.
        let room = at.saturating_sub(self.read_to) / FIXED_BYTES as u64;
        let skipped = height.saturating_sub(self.extent.end);
        if skipped > room {
            // There was no room for them, so they were never in this file.
            self.low = height;
            self.extent.end = height;
            self.offsets.clear();
            return;
        }
        for _ in 0..skipped {
            self.offsets.push(self.read_to);
            self.extent.end += 1;
        }
    }

    fn truncate(&mut self, end: u64) {
        if end < self.extent.end {
            self.extent.end = end;
            self.low = self.low.min(end);
            self.offsets.truncate((end - self.low) as usize);
        }
    }
}

/// The values of the newest file of which any can be read.
fn load_values(context: &LogContext, listing: &Listing, report: &mut Report) -> Result<Values> {
    // A crash, or damage to the newest, may have left an older one from which something can be had.
    for generation in listing.generations.iter().rev() {
        let named = Named::Values(*generation);
        let found = checked_file(context, named, FileKind::Values, *generation, report)?;
        let Some((file, superblock)) = found else {
            continue;
        };
        let frames = Frames::read(&file, superblock.as_ref(), context.salt, 0, report)?.frames;
        let mut pieces = Pieces::going_on(&file);
        let mut by_name = BTreeMap::new();
        for frame in &frames {
            if let Some((name, value_at)) = decode_value(&mut pieces, frame)? {
                by_name.insert(name, value_at);
            }
        }
        if !by_name.is_empty() {
            return Ok(Values { file, by_name });
        }
    }
    Err(missing_file(&Named::Values(0).path(&context.directory)))
}

/// Reads a damaged store by heights and names. Its index is not known, and it never says that something is absent.
struct DamagedReader {
    reader: LogReader,
    /// Keeps writers out, of this process and of others, if it was opened as ever.
    _opened: Option<Unwritten>,
}

impl DamagedReader {
    fn new(
        context: LogContext,
        state: LogState,
        lock: Option<StoreLock>,
        opened: Option<Unwritten>,
    ) -> Self {
        let home = Home::new(Shared::new(context, state), lock);
        Self {
            reader: LogReader::new(Arc::new(home)),
            _opened: opened,
        }
    }
}

impl BlockReader for DamagedReader {
    fn extent(&self) -> Result<Extent> {
        self.reader.extent()
    }

    fn header(&self, height: u64) -> Result<Option<StoredHeader>> {
        self.reader.header(height)
    }

    fn block(&self, height: u64) -> Result<Option<StoredBlock>> {
        self.reader.block(height)
    }

    fn index(&self, height: u64) -> Result<Option<Held<Vec<IndexEntry>>>> {
        self.reader.index(height)
    }

    fn height_of(&self, _: &Id) -> Result<Option<u64>> {
        let path = self.reader.directory();
        let reason = "the store was opened without it, since it is damaged";
        Err(Error::corrupt(path, DamageAt::Index, reason))
    }

    fn locate(&self, _: &Id) -> Result<Location> {
        Ok(Location::NotIndexed { watermark: 0 })
    }

    fn named_value(&self, key: &str) -> Result<Option<Bytes>> {
        self.reader.named_value(key)
    }

    fn usage(&self) -> Result<Usage> {
        self.reader.usage()
    }

    fn tables(&self) -> Arc<dyn TableReader> {
        self.reader.tables()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::PathBuf;

    use super::super::crash::{OPTIONS, new_machine};
    use super::super::files::{Files, SystemFiles};
    use super::super::home::{open_on, site_on};
    use super::super::simulated::Dice;
    use super::*;
    use crate::{Block, Durability, StoreUrl};

    const BLOCKS: u64 = 61;

    #[test]
    fn nobody_writes_to_a_sound_store_while_it_is_open_to_be_saved() {
        let (_folder, path) = made();
        let url = StoreUrl::Log(path);
        let save = || url.open_damaged(&mut |damage| panic!("{damage}")).unwrap();
        let (one, two) = (save(), save());
        for reader in [one, two] {
            let error = url.open().unwrap_err();
            assert!(matches!(error, Error::InUse { .. }), "{error}");
            assert!(reader.block(BLOCKS - 1).unwrap().is_some());
        }
        let mut store = url.open().unwrap();
        let beside = save();
        let end = store.reader.extent().unwrap().end;
        store.writer.append(&[block(end)], Durability::Os).unwrap();
        assert!(beside.block(end).unwrap().is_some());
    }

    fn block(height: u64) -> Block {
        let key = |position: u32| {
            let mut key = [height as u8; 32];
            key[0] = position as u8;
            IndexEntry { key, position }
        };
        let mut id = [height as u8; 32];
        id[0] = 77;
        Block {
            height,
            id,
            header: format!("header {height}").into(),
            body: format!("the body of block {height}").repeat(4).into(),
            index: (0..height as u32 % 3).map(key).collect(),
        }
    }

    /// Fills a store of several segments, one or two blocks to a run.
    fn fill(store: &mut crate::Store) {
        let writer = &mut store.writer;
        writer
            .put_named_value("name", b"value", Durability::Disk)
            .unwrap();
        let mut height = 0;
        while height < BLOCKS {
            let run: Vec<Block> = (height..=height + height % 2).map(block).collect();
            writer.append(&run, Durability::Disk).unwrap();
            height += run.len() as u64;
        }
        writer.sync().unwrap();
    }

    fn made() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store").canonicalize();
        let path = path.unwrap_or_else(|_| folder.path().canonicalize().unwrap().join("store"));
        fill(&mut OPTIONS.create(&path).unwrap());
        (folder, path)
    }

    /// What a reader gives: never another thing than what was appended. Says which heights it has whole.
    fn whole_blocks(reader: &dyn BlockReader) -> BTreeSet<u64> {
        let end = reader.extent().unwrap().end;
        assert!(end <= BLOCKS);
        let mut whole = BTreeSet::new();
        for height in 0..end {
            let expected = block(height);
            let found = reader.block(height);
            let index = reader.index(height);
            if let Ok(Some(found)) = &found {
                assert_eq!(found.id, expected.id);
                assert_eq!(found.header, Held::Present(expected.header));
                assert_eq!(found.body, Held::Present(expected.body));
            }
            if let Ok(Some(index)) = &index {
                assert_eq!(*index, Held::Present(expected.index));
            }
            for error in [found.as_ref().err(), index.as_ref().err()]
                .into_iter()
                .flatten()
            {
                assert!(error.is_corrupt(), "{error}");
            }
            if found.is_ok() && index.is_ok() {
                whole.insert(height);
            }
        }
        whole
    }

    fn salvaged(path: &Path) -> (Result<Arc<dyn BlockReader>>, u64) {
        let url = StoreUrl::Log(path.to_owned());
        let mut damage = 0;
        let reader = url.open_damaged(&mut |_| damage += 1);
        (reader, damage)
    }

    fn heads(path: &Path, number: u64) -> PathBuf {
        Named::Heads(number).path(path)
    }

    /// The heights of a segment.
    fn heights_of(path: &Path, number: u64) -> std::ops::Range<u64> {
        let context = site_on(Arc::new(SystemFiles), path, OPTIONS).unwrap();
        let state = super::super::load::load(&context, true).unwrap().state;
        state.segments[number as usize].live.clone()
    }

    #[test]
    fn of_a_sound_store_everything_is_read() {
        let (_folder, path) = made();
        let (reader, damage) = salvaged(&path);
        let reader = reader.unwrap();
        assert_eq!((whole_blocks(&*reader).len() as u64, damage), (BLOCKS, 0));
        drop(reader);
        let reader = OPTIONS.open(&path).unwrap().reader;
        assert!(matches!(reader.locate(&[9; 32]), Ok(Location::Absent)));
    }

    /// A store whose blocks from 9 to 11 replaced others, by a frame in a segment that is sealed. Gives the frame's file and offset.
    fn replaced() -> (tempfile::TempDir, PathBuf, PathBuf, usize) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("store");
        let mut store = OPTIONS.create(&path).unwrap();
        let writer = &mut store.writer;
        writer
            .put_named_value("name", b"value", Durability::Disk)
            .unwrap();
        let other = |height| Block {
            height,
            ..block(height + 100)
        };
        let blocks = (0..9).map(block).chain((9..13).map(other));
        for block in blocks {
            writer.append(&[block], Durability::Disk).unwrap();
        }
        let run: Vec<Block> = (9..12).map(block).collect();
        writer.replace(8, &run, Durability::Disk).unwrap();
        for height in 12..BLOCKS {
            writer.append(&[block(height)], Durability::Disk).unwrap();
        }
        drop(store);
        let frame = [b"HLFR".as_slice(), &9_u32.to_le_bytes()].concat();
        let found = (0..20).find_map(|number| {
            let bytes = fs::read(heads(&path, number)).ok()?;
            let at = bytes.windows(8).position(|bytes| bytes == frame)?;
            Some((heads(&path, number), at))
        });
        let (file, at) = found.unwrap();
        (folder, path, file, at)
    }

    #[test]
    fn of_a_replacement_whose_frame_is_damaged_the_blocks_count() {
        let (_folder, path, file, at) = replaced();
        let all: BTreeSet<u64> = (0..BLOCKS).collect();
        assert_eq!(whole_blocks(&*salvaged(&path).0.unwrap()), all);
        let sound = fs::read(&file).unwrap();
        // Its head, or a record and so its checksum.
        for (from, to, lost) in [(at, at + 48, None), (at + 50, at + 60, Some(9))] {
            let mut bytes = sound.clone();
            bytes[from..to].fill(0xA5);
            fs::write(&file, bytes).unwrap();
            let whole = whole_blocks(&*salvaged(&path).0.unwrap());
            let expected: BTreeSet<u64> = (0..BLOCKS).filter(|at| Some(*at) != lost).collect();
            assert_eq!(whole, expected);
        }
    }

    #[test]
    fn a_missing_segment_takes_its_own_blocks_only() {
        let (_folder, path) = made();
        let lost = heights_of(&path, 1);
        assert!(
            !lost.is_empty() && heads(&path, 3).exists(),
            "several segments"
        );
        fs::remove_file(heads(&path, 1)).unwrap();
        let (reader, damage) = salvaged(&path);
        let reader = reader.unwrap();
        assert!(damage > 0);
        let expected: BTreeSet<u64> = (0..BLOCKS)
            .filter(|height| !lost.contains(height))
            .collect();
        assert_eq!(whole_blocks(&*reader), expected);
        assert_eq!(reader.named_value("name").unwrap().unwrap(), b"value"[..]);
        // What isn't known is never said to be absent.
        assert!(matches!(
            reader.locate(&[9; 32]),
            Ok(Location::NotIndexed { watermark: 0 })
        ));
        assert!(reader.height_of(&[9; 32]).unwrap_err().is_corrupt());
    }

    #[test]
    fn missing_bodies_leave_the_headers_and_keys() {
        let (_folder, path) = made();
        let lost = heights_of(&path, 1);
        fs::remove_file(Named::Bodies(1).path(&path)).unwrap();
        let reader = salvaged(&path).0.unwrap();
        let expected: BTreeSet<u64> = (0..BLOCKS)
            .filter(|height| !lost.contains(height))
            .collect();
        assert_eq!(whole_blocks(&*reader), expected);
        for height in lost {
            assert_eq!(reader.header(height).unwrap().unwrap().id, block(height).id);
            assert!(reader.index(height).is_ok());
        }
    }

    /// Every byte of the heads of a sealed segment and of the open one, of mark, identity and values, flipped and zeroed in blocks.
    #[test]
    fn whatever_is_damaged_the_rest_is_read_and_nothing_else() {
        let (_folder, path) = made();
        let names: Vec<_> = fs::read_dir(&path)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        for name in names {
            let sound = fs::read(&name).unwrap();
            let is_heads = name
                .file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("heads");
            for at in (0..sound.len()).step_by(if is_heads { 23 } else { 41 }) {
                for length in [1, 100] {
                    let mut bytes = sound.clone();
                    let end = (at + length).min(bytes.len());
                    match length {
                        1 => bytes[at] ^= 0x40,
                        _ => bytes[at..end].fill(0),
                    }
                    fs::write(&name, &bytes).unwrap();
                    match salvaged(&path).0 {
                        Ok(reader) => {
                            let whole = whole_blocks(&*reader);
                            let lost = (0..BLOCKS).filter(|height| !whole.contains(height));
                            let lost: Vec<u64> = lost.collect();
                            // A hundred bytes touch two records, or three bodies, at most.
                            assert!(lost.len() <= 3, "{length} of {name:?} at {at}: {lost:?}");
                        }
                        // The one place where there is no second: the values, of which there is one here.
                        Err(error) => {
                            let is_meta = name.to_string_lossy().contains("meta");
                            assert!(error.is_corrupt() && is_meta, "{name:?} at {at}: {error}");
                        }
                    }
                }
            }
            fs::write(&name, &sound).unwrap();
        }
    }

    /// Every reading of opening and asking fails once, as one of a bad sector does.
    #[test]
    fn every_reading_may_fail_and_costs_a_block_at_most() {
        let machine = new_machine(&mut Dice(7));
        let directory = machine.directory();
        let files: Arc<dyn Files> = Arc::new(machine.files.clone());
        fill(&mut open_on(Arc::clone(&files), &directory, OPTIONS).unwrap());
        let read_all = || {
            let mut report = Report::default();
            let context = site_on(Arc::clone(&files), &directory, OPTIONS).unwrap();
            let state = load(&context, &mut report).unwrap();
            whole_blocks(&DamagedReader::new(context, state, None, None)).len() as u64
        };
        machine.files.set_unreadable(None);
        assert_eq!(read_all(), BLOCKS);
        let readings = machine.files.reads();
        let mut lost = 0;
        for at in 1..=readings {
            machine.files.set_unreadable(Some(at));
            let whole = read_all();
            assert!(whole + 1 >= BLOCKS, "reading {at}: {whole}");
            lost += BLOCKS - whole;
        }
        assert!(
            lost > BLOCKS,
            "{lost} blocks were lost by {readings} readings"
        );
    }
}
