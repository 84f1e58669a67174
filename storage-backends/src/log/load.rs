//! Reading a store's files into what readers see, without changing anything.
//!
//! Of the last segment all heads are read, and those bodies that are not known to have been on the disk; of the
//! others a superblock and a trailer. What a crash can explain is cut, by `recover`; everything else is an
//! error that names the file.

use std::path::PathBuf;
use std::sync::Arc;

use super::format::{FileKind, Named, SUPERBLOCK_BYTES, Salt, Superblock, TRAILER_BYTES, Trailer};
use super::index_file::IndexFile;
use super::indexer::{FROZEN_MAX, index_record};
use super::mark::{Mark, Slots};
use super::read_file::{Pieces, ReadFile};
use super::scan::{Scan, check_tail, record_at};
use super::segment::{HeightTable, Segment, table_start};
use super::shared::{LogContext, missing_file};
use super::state::{Frozen, LogState};
use super::values::FoundValues;
use super::witness::check_witnesses;
use crate::entry_table::EntryTable;
use crate::{Error, Result};

/// A store as its files have it.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) state: LogState,
    pub(super) mark: Slots,
    pub(super) last: LastSegment,
    pub(super) values: FoundValues,
    /// Files that a crash left behind, of no use.
    pub(super) leftovers: Vec<PathBuf>,
}

/// What recovery has to know of the open segment.
#[derive(Debug)]
pub(super) struct LastSegment {
    pub(super) scan: Scan,
    /// Bytes of the heads that are known to be on the disk.
    pub(super) synced: u64,
    pub(super) heads_length: u64,
    pub(super) bodies_length: u64,
}

/// What the names in the directory say.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) heads: Vec<u64>,
    bodies: Vec<u64>,
    pub(super) generations: Vec<u64>,
    pub(super) indexes: Vec<(u64, u64)>,
    pub(super) leftovers: Vec<PathBuf>,
}

impl Listing {
    pub(super) fn read(context: &LogContext) -> Result<Self> {
        let mut listing = Self::default();
        let names = context
            .files
            .list(&context.directory)
            .map_err(|source| Error::system("list", &context.directory, source))?;
        for name in names {
            match Named::of(&name) {
                Named::Heads(number) => listing.heads.push(number),
                Named::Bodies(number) => listing.bodies.push(number),
                Named::Values(generation) => listing.generations.push(generation),
                Named::Index(first, last) => listing.indexes.push((first, last)),
                Named::New => listing.leftovers.push(context.directory.join(name)),
                Named::Store | Named::Mark | Named::Other => {}
            }
        }
        listing.heads.sort_unstable();
        listing.generations.sort_unstable();
        Ok(listing)
    }

    /// The number of the last segment, if no segment is missing.
    pub(super) fn last_segment(&self, context: &LogContext, mark: &Mark) -> Result<u64> {
        let missing = (0..)
            .zip(&self.heads)
            .find(|(expected, found)| expected != *found)
            .map(|(expected, _)| expected);
        if let Some(number) = missing {
            return Err(missing_file(&Named::Heads(number).path(&context.directory)));
        }
        let count = self.heads.len() as u64;
        let Some(last) = count.checked_sub(1) else {
            return Err(missing_file(&Named::Heads(0).path(&context.directory)));
        };
        // The mark names a segment only once its heads have their name on the disk. So the file was there and was taken away;
        // without this check the chain would read as a shorter one.
        if mark.segment > last {
            return Err(missing_file(&Named::Heads(count).path(&context.directory)));
        }
        Ok(last)
    }
}

/// Opens a file of the store and checks its superblock.
fn open(
    context: &LogContext,
    named: Named,
    kind: FileKind,
    number: u64,
) -> Result<(ReadFile, Superblock)> {
    let file = context.open_to_read(&named.path(&context.directory))?;
    let superblock = Superblock::decode(file.path(), &file.head()?, kind, Some(&context.store))?;
    if superblock.number != number {
        let reason = "the file has another one's name";
        return Err(file.corrupt(32, reason));
    }
    Ok((file, superblock))
}

/// Reads a store. `alone`: nobody will write, so nothing will be indexed later.
pub(super) fn load(context: &LogContext, alone: bool) -> Result<Loaded> {
    let mark = Slots::read(&*context.files, &context.directory, &context.store)?;
    load_marked(context, alone, mark)
}

/// Reads a store whose mark this is.
pub(super) fn load_marked(context: &LogContext, alone: bool, slots: Slots) -> Result<Loaded> {
    let mut listing = Listing::read(context)?;
    let mark = slots.newest;
    let last_number = listing.last_segment(context, &mark)?;
    let values = load_values(context, &mut listing, &mark)?;
    let mut segments = Vec::with_capacity(listing.heads.len());
    let mut end = 0;
    for number in 0..last_number {
        let segment = load_sealed(context, number, end)?;
        end = segment.live.end;
        // A truncation or replacement is written into the segment that is open at the time, also where it reaches into earlier
        // ones: their files say nothing of it.
        clip_all(&mut segments, segment.low);
        segments.push(segment);
    }
    let (segment, last) = load_last(context, last_number, end, &mark)?;
    clip_all(&mut segments, segment.low);
    segments.push(segment);
    let extent = last.scan.extent;
    attach_bodies(context, &mut segments, &mut listing, extent.body_floor)?;
    for segment in &mut segments {
        // The file's count includes keys below the floor, which don't count any more.
        if segment.stripped.keys < extent.index_floor && segment.low < extent.index_floor {
            segment.forget_keys();
        }
    }
    let runs = load_runs(context, &segments, &mut listing)?;
    let room = usize::try_from(last.scan.entries).unwrap_or(0);
    let mut state = LogState {
        // The count comes from the file, so it is bounded before memory is taken; the table grows where it is right.
        table: EntryTable::with_room(room.min(1 << 24)),
        index_files: runs,
        ..LogState::new(context, extent, segments, values.values.clone())
    };
    // Before anything is indexed or removed: a log that lost its last frames must not be acted on.
    check_witnesses(&state)?;
    index_open(&mut state)?;
    if alone {
        index_in_memory(&mut state)?;
    }
    Ok(Loaded {
        state,
        mark: slots,
        last,
        values,
        leftovers: listing.leftovers,
    })
}

/// Indexes the open segment's live blocks.
fn index_open(state: &mut LogState) -> Result<()> {
    let heads = state.open().heads.clone();
    let mut pieces = Pieces::new(&heads);
    let HeightTable::Listed(offsets) = &state.open().table else {
        return Ok(());
    };
    let before = (state.open().live.start - state.open().low) as usize;
    let live: Vec<u64> = offsets.iter().skip(before).copied().collect();
    for offset in live {
        let damaged = || heads.corrupt(offset, "the record is damaged");
        let record = record_at(&mut pieces, offset, heads.length(), state.salt)?;
        let record = record.ok_or_else(damaged)?;
        let whole = pieces.get(offset, record.bytes())?.ok_or_else(damaged)?;
        state.index(&record, record.keys_of(whole))?;
    }
    Ok(())
}

pub(super) fn clip_all(segments: &mut [Segment], end: u64) {
    for segment in segments.iter_mut().rev() {
        if segment.live.end <= end {
            break;
        }
        segment.clip(end);
    }
}

fn load_values(context: &LogContext, listing: &mut Listing, mark: &Mark) -> Result<FoundValues> {
    let newest = listing.generations.last().copied();
    let expected = newest.unwrap_or(0).max(mark.generation);
    // The mark names a generation only once its file is on the disk under its name, so a newest file that is older is a file
    // that was lost, with values that were acknowledged.
    if newest != Some(expected) {
        return Err(missing_file(
            &Named::Values(expected).path(&context.directory),
        ));
    }
    let older = listing.generations.iter().filter(|held| **held != expected);
    let older: Vec<_> = older
        .map(|generation| Named::Values(*generation).path(&context.directory))
        .collect();
    // A crash came between the naming of the newest file and the removal of the one before.
    listing.leftovers.extend(older);
    FoundValues::read(context, expected, mark)
}

/// A segment that is followed by another one: sealed, and on the disk.
fn load_sealed(context: &LogContext, number: u64, begin: u64) -> Result<Segment> {
    let (heads, superblock) = open(context, Named::Heads(number), FileKind::Heads, number)?;
    check_begin(&heads, &superblock, begin)?;
    let (trailer, table) = match last_trailer(&heads, context.salt)? {
        Some(trailer) => (trailer, HeightTable::InFile(table_start(trailer.footer))),
        None => rescan(context, &heads, &superblock)?,
    };
    Ok(Segment {
        live: trailer.low..trailer.end,
        table,
        content: trailer.content,
        entries: trailer.entries.saturating_add(trailer.end - trailer.low),
        stripped: trailer.stripped,
        bodies_bytes: trailer.bodies_bytes,
        ..Segment::new(number, heads, trailer.low).with_keys(trailer.entries)
    })
}

/// The trailer at the end of a file of heads, if there is one.
fn last_trailer(heads: &ReadFile, salt: Salt) -> Result<Option<Trailer>> {
    let Some(start) = heads.length().checked_sub(TRAILER_BYTES as u64) else {
        return Ok(None);
    };
    match heads.array::<TRAILER_BYTES>(start) {
        Ok(bytes) => Ok(Trailer::decode(&bytes, start, salt)),
        // What can't be read here is made again from the rest of the file.
        Err(Error::Corrupt { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn check_begin(heads: &ReadFile, superblock: &Superblock, begin: u64) -> Result<()> {
    let found = superblock.extent().end;
    if found != begin {
        let reason =
            format!("the segment begins at height {found}, the one before ends at {begin}");
        return Err(heads.corrupt(40, reason));
    }
    Ok(())
}

/// Rebuilds the height table of a sealed segment whose footer is damaged.
fn rescan(
    context: &LogContext,
    heads: &ReadFile,
    superblock: &Superblock,
) -> Result<(Trailer, HeightTable)> {
    let scan = Scan::read_frames(heads, superblock, context.salt)?;
    if scan.footer.is_none() && !scan.lacks_only_footer(heads.length()) {
        return Err(heads.corrupt(scan.frames_end, "the frame here is damaged"));
    }
    tracing::warn!(
        file = %heads.path().display(),
        offset = scan.frames_end,
        "the footer is damaged; the segment was read instead"
    );
    let trailer = scan.trailer();
    Ok((trailer, HeightTable::Listed(scan.offsets)))
}

/// The last segment: its valid part, and what recovery needs to know.
fn load_last(
    context: &LogContext,
    number: u64,
    begin: u64,
    mark: &Mark,
) -> Result<(Segment, LastSegment)> {
    let (heads, superblock) = open(context, Named::Heads(number), FileKind::Heads, number)?;
    check_begin(&heads, &superblock, begin)?;
    let (bodies, _) = open(context, Named::Bodies(number), FileKind::Bodies, number)?;
    let mut scan = Scan::read(&heads, heads.length(), &superblock, context.salt)?;
    // Heads are rewritten as those of a sealed segment only where another one follows, so that one's heads are gone.
    if scan.is_rest_of_sealed() {
        return Err(missing_file(
            &Named::Heads(number + 1).path(&context.directory),
        ));
    }
    let mut synced = scan.synced;
    if mark.segment == number {
        synced = synced.max(mark.heads);
    }
    let mut pieces = Pieces::new(&heads);
    // Before the tail is taken for torn: what had been on the disk, and can't be read now, is damage and never cut.
    check_tail(&mut pieces, scan.frames_end, synced, context.salt)?;
    // Repeated, since a cut may take a floor away: bodies below it, which need not be there before, have to be there then.
    while let Some(torn) = torn_run(context, &scan, &heads, &bodies, synced)? {
        check_tail(&mut pieces, torn, synced, context.salt)?;
        scan = Scan::read(&heads, torn, &superblock, context.salt)?;
    }
    let last = LastSegment {
        synced,
        heads_length: heads.length(),
        bodies_length: bodies.length(),
        scan,
    };
    let scan = &last.scan;
    // Readers without a writer leave a torn tail where it is; they must not see it.
    heads.show(scan.frames_end);
    bodies.show(scan.bodies_end);
    let segment = Segment {
        bodies: Some(bodies),
        live: scan.low..scan.extent.end,
        table: HeightTable::Listed(scan.offsets.clone()),
        content: scan.content,
        entries: scan.entries,
        stripped: scan.trailer().stripped,
        bodies_bytes: scan.bodies_end,
        ..Segment::new(number, heads, scan.low)
    };
    Ok((segment, last))
}

/// The first run whose bodies are not whole, though its heads are: a crash came between the two. Bodies that
/// were on the disk already aren't read, and those below the floor and of truncated blocks need not be there.
fn torn_run(
    context: &LogContext,
    scan: &Scan,
    heads: &ReadFile,
    bodies: &ReadFile,
    synced: u64,
) -> Result<Option<u64>> {
    let mut pieces = Pieces::new(heads);
    let pruned = scan.extent.body_floor.saturating_sub(scan.low) as usize;
    for offset in scan.offsets.iter().skip(pruned).copied() {
        let record = record_at(&mut pieces, offset, heads.length(), context.salt)?
            .ok_or_else(|| heads.corrupt(offset, "the record is damaged"))?;
        // The bodies of a frame that isn't known to be synced may have been lost by the crash that the frame survived.
        if offset >= synced {
            match Segment::body(bodies, &record, context.salt) {
                Ok(_) => {}
                Err(Error::Corrupt { .. }) => return Ok(Some(scan.run_of(offset))),
                Err(error) => return Err(error),
            }
        } else if record.body_offset + record.body_bytes as u64 > bodies.length() {
            // Reading bodies that were synced would make opening as slow as the segment is large; a file that was cut shows by
            // its length.
            let reason = format!("the file ends within the body of height {}", record.height);
            return Err(bodies.corrupt(bodies.length(), reason));
        }
    }
    Ok(None)
}

/// Opens the bodies of sealed segments that have any above the floor; the files of others are left over.
fn attach_bodies(
    context: &LogContext,
    segments: &mut [Segment],
    listing: &mut Listing,
    floor: u64,
) -> Result<()> {
    let last = segments.len() - 1;
    for segment in &mut segments[..last] {
        let number = segment.number;
        let named = Named::Bodies(number);
        if segment.live.is_empty() || segment.live.end <= floor {
            // A crash came between the frame that made these bodies useless and the unlinking.
            if listing.bodies.contains(&number) {
                listing.leftovers.push(named.path(&context.directory));
            }
            continue;
        }
        let (bodies, _) = open(context, named, FileKind::Bodies, number)?;
        // A sealed segment is on the disk as a whole before the next one has a name, so a shorter file was cut by something
        // else.
        if bodies.length() < segment.bodies_bytes {
            let reason = format!("the file should have {} bytes", segment.bodies_bytes);
            return Err(bodies.corrupt(bodies.length(), reason));
        }
        segment.bodies = Some(bodies);
    }
    for number in &listing.bodies {
        if *number <= last as u64 {
            continue;
        }
        // A crash came before the next segment's heads had their name. If bodies were written, heads were there before, and
        // somebody took them away.
        let path = Named::Bodies(*number).path(&context.directory);
        if context.open_to_read(&path)?.length() > SUPERBLOCK_BYTES as u64 {
            return Err(missing_file(
                &Named::Heads(*number).path(&context.directory),
            ));
        }
        listing.leftovers.push(path);
    }
    Ok(())
}

/// The index files that are whole and belong to these segments; the others are left over.
fn load_runs(
    context: &LogContext,
    segments: &[Segment],
    listing: &mut Listing,
) -> Result<Vec<Arc<IndexFile>>> {
    let sealed = segments.len() as u64 - 1;
    // The widest first: a crash after a merge may have left the files that it was made from, which then overlap and go.
    listing
        .indexes
        .sort_by_key(|(first, last)| (std::cmp::Reverse(last.saturating_sub(*first)), *first));
    let mut runs: Vec<Arc<IndexFile>> = Vec::new();
    for (first, last) in std::mem::take(&mut listing.indexes) {
        let path = Named::Index(first, last).path(&context.directory);
        let file = context.open_to_read(&path)?;
        let run = IndexFile::open(file, first, last, &context.store, &context.cache)?;
        let at = runs.partition_point(|held| held.first < first);
        let overlaps = at
            .checked_sub(1)
            .is_some_and(|before| runs[before].last() >= first)
            || runs.get(at).is_some_and(|after| after.first <= last);
        match run {
            // An index file is made only once the next segment exists, so that one's heads are missing.
            Some(_) if last >= sealed => {
                return Err(missing_file(
                    &Named::Heads(sealed + 1).path(&context.directory),
                ));
            }
            Some(run) if !overlaps && belongs(&run, segments) => {
                runs.insert(at, Arc::new(run));
            }
            _ => {
                if !overlaps {
                    tracing::warn!(file = %path.display(), "an index file is damaged or not of these segments");
                }
                listing.leftovers.push(path);
            }
        }
    }
    Ok(runs)
}

fn belongs(run: &IndexFile, segments: &[Segment]) -> bool {
    let covered = &segments[run.first as usize..=run.last() as usize];
    let mut pairs = run.covers.iter().zip(covered);
    pairs.all(|(cover, segment)| cover.content == segment.content)
}

/// Indexes the few segments whose index files a crash may have prevented.
fn index_in_memory(state: &mut LogState) -> Result<()> {
    let sealed = state.segments.len() as u64 - 1;
    let missing: Vec<u64> = (0..sealed)
        .filter(|segment| !state.is_covered(*segment))
        // A writer never gets further ahead of its index files than this. More are missing only where files were removed, and
        // reading all of those would take memory and time without bound.
        .take(FROZEN_MAX + 1)
        .collect();
    for number in missing {
        let segment = &state.segments[number as usize];
        // The trailer's count is bounded before memory is taken for it.
        let mut table =
            EntryTable::with_room(usize::try_from(segment.entries).unwrap_or(0).min(1 << 21));
        let indexed = segment
            .live
            .clone()
            .try_for_each(|height| index_record(state, number, height, &mut table));
        match indexed {
            Ok(()) => state.frozen.push(Frozen {
                segment: number,
                table: Arc::new(table),
            }),
            Err(error) => {
                state.unindexable.insert(number, error.to_string());
            }
        }
    }
    Ok(())
}
