//! Keeps index files complete and few: one for each sealed segment, and of every so many of one size, one.
//!
//! An entry is written once for its segment and at most [`LEVELS_MAX`] times in merges, so the cost of
//! indexing does not grow with the chain; the number of files grows by a few a level, and from the last level on
//! by one in some hundred segments. Nothing here is needed for any answer to be right: what is lost is made
//! again, from the segments.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};

use super::index_file::{Cover, IndexFile};
use super::index_writer::{IndexFileTarget, NextEntry, Written, merged, write_index_file};
use super::options::LogOptions;
use super::segment::Segment;
use super::shared::{Failure, Shared};
use super::state::{Frozen, LogState, hashed_entries, same_key};
use crate::entry_table::{Entry, EntryTable};
use crate::{DamageAt, Error, Result};

/// How often index files are merged at most.
const LEVELS_MAX: u32 = 3;
/// Tables that wait for their file; the writer waits when there are more.
pub(super) const FROZEN_MAX: usize = 2;

/// Something to do.
enum Job {
    /// Drop a damaged index file.
    Discard(Arc<IndexFile>),
    /// Write the index file of a segment.
    Build(u64),
    /// Make one index file of several, or of one that has too many keys below the index floor.
    Merge(Vec<Arc<IndexFile>>),
}

/// The thread that does it; ends when dropped, without what can as well be done later.
#[derive(Debug)]
pub(super) struct Indexer {
    shared: Arc<Shared>,
    fanout: usize,
    thread: Option<JoinHandle<()>>,
}

impl Indexer {
    pub(super) fn start(shared: &Arc<Shared>, options: &LogOptions) -> Result<Self> {
        let fanout = options.index_fanout.max(2);
        shared.stop.store(false, Ordering::Release);
        shared.tell(|work| {
            work.due = true;
            work.failed = None;
        });
        let thread = if options.index_in_background {
            let shared = Arc::clone(shared);
            let directory = shared.context.directory.clone();
            let spawned = thread::Builder::new()
                .name("hubledger-index".to_owned())
                .spawn(move || index_when_due(&shared, fanout));
            Some(spawned.map_err(|source| Error::system("start indexing", &directory, source))?)
        } else {
            None
        };
        let indexer = Self {
            shared: Arc::clone(shared),
            fanout,
            thread,
        };
        indexer.segment_sealed()?;
        Ok(indexer)
    }

    /// A segment was sealed: has it indexed, now or soon. Fails if earlier indexing failed.
    pub(super) fn segment_sealed(&self) -> Result<()> {
        self.run_until(|state| state.frozen.len() <= FROZEN_MAX)
    }

    /// The index floor was raised: has keys below it taken out of the index files. Gives the bytes that the file system
    /// has back.
    pub(super) fn floor_raised(&self) -> Result<u64> {
        self.shared.tell(|work| work.freed_bytes = 0);
        self.run_until(|state| {
            let stale = |index_file: &Arc<IndexFile>| index_file.is_stale(state.extent.index_floor);
            state.frozen.is_empty() && !state.index_files.iter().any(stale)
        })?;
        Ok(self.shared.work().freed_bytes)
    }

    fn run_until(&self, reached: impl Fn(&LogState) -> bool) -> Result<()> {
        if self.thread.is_none() {
            return index(&self.shared, self.fanout);
        }
        self.shared.tell(|work| work.due = true);
        let failed = self.shared.wait(|work| {
            // Looked at under the work's lock, which `index` takes to tell of a step: so none comes between the look and the
            // waiting. Nobody locks the work while holding the state.
            let waits = !reached(&self.shared.read());
            match (&work.failed, waits) {
                (Some(reason), _) => Some(Some(reason.clone())),
                (None, true) => None,
                (None, false) => Some(None),
            }
        });
        match failed {
            None => Ok(()),
            Some(failure) => Err(failure.error("index", &self.shared.context.directory)),
        }
    }
}

impl Drop for Indexer {
    fn drop(&mut self) {
        // Before it is told of: a thread that wakes, or is about to wait, sees the flag under the work's lock.
        self.shared.stop.store(true, Ordering::Release);
        self.shared.tell(|work| work.due = true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the indexing thread panicked");
        }
    }
}

/// Tells of a panic, so that nobody waits for a thread that is gone.
struct PanicNotice<'a>(&'a Shared);

impl Drop for PanicNotice<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0
                .tell(|work| work.failed = Some(Failure::panicked("the indexing thread")));
        }
    }
}

/// What the thread does.
fn index_when_due(shared: &Shared, fanout: usize) {
    let _notice = PanicNotice(shared);
    loop {
        let stop = shared.wait(|work| {
            let stop = shared.stop.load(Ordering::Acquire);
            // Taken before the work begins: what becomes due meanwhile is found in the next round.
            (std::mem::take(&mut work.due) || stop).then_some(stop)
        });
        if let Err(error) = index(shared, fanout) {
            tracing::error!(%error, "indexing failed");
            // Told before the thread ends: a writer that waits would wait for ever.
            shared.tell(|work| work.failed = Some(Failure::from(&error)));
            return;
        }
        if stop {
            return;
        }
    }
}

/// Does what there is to do; of that, when it is to stop, only what is in memory already.
fn index(shared: &Shared, fanout: usize) -> Result<()> {
    loop {
        let job = {
            let state = shared.read();
            let stop = shared.stop.load(Ordering::Acquire);
            next_job(&state, fanout, stop)
        };
        match job {
            None => return Ok(()),
            Some(Job::Discard(index_file)) => discard(shared, &index_file)?,
            Some(Job::Build(segment)) => build(shared, segment)?,
            Some(Job::Merge(index_files)) => merge(shared, &index_files)?,
        }
        // A writer may wait for this step.
        shared.tell(|_| {});
    }
}

fn next_job(state: &LogState, fanout: usize, stop: bool) -> Option<Job> {
    if let Some(frozen) = state.frozen.first() {
        // First, also when it is to stop: these tables are in memory alone, and the writer waits while there are too many.
        return Some(Job::Build(frozen.segment));
    }
    if stop {
        return None;
    }
    if let Some(index_file) = state
        .index_files
        .iter()
        .find(|index_file| index_file.is_damaged())
    {
        return Some(Job::Discard(Arc::clone(index_file)));
    }
    let stale = |index_file: &&Arc<IndexFile>| index_file.is_stale(state.extent.index_floor);
    if let Some(index_file) = state.index_files.iter().find(stale) {
        return Some(Job::Merge(vec![Arc::clone(index_file)]));
    }
    let sealed = state.segments.len() as u64 - 1;
    let missing = (0..sealed)
        .find(|segment| !state.is_covered(*segment) && !state.unindexable.contains_key(segment));
    if let Some(segment) = missing {
        return Some(Job::Build(segment));
    }
    let span_max = (fanout as u64).saturating_pow(LEVELS_MAX);
    state.index_files.windows(fanout).find_map(|group| {
        let span = group[0].span();
        let even = group
            .windows(2)
            .all(|pair| pair[1].span() == span && pair[0].last() + 1 == pair[1].first);
        (even && span * fanout as u64 <= span_max).then(|| Job::Merge(group.to_vec()))
    })
}

fn discard(shared: &Shared, index_file: &Arc<IndexFile>) -> Result<()> {
    shared
        .write()
        .index_files
        .retain(|held| !Arc::ptr_eq(held, index_file));
    remove(shared, index_file.path())
}

fn remove(shared: &Shared, path: &Path) -> Result<()> {
    shared
        .context
        .files
        .remove(path)
        .map_err(|source| Error::system("remove an index file", path, source))
}

fn build(shared: &Shared, number: u64) -> Result<()> {
    let held = {
        let state = shared.read();
        let frozen = state.frozen.iter().find(|frozen| frozen.segment == number);
        frozen.map(|frozen| Arc::clone(&frozen.table))
    };
    let table = match held {
        Some(table) => table,
        None => match rebuild(shared, number) {
            Ok(Some(table)) => table,
            Ok(None) => return Ok(()),
            Err(error) => {
                tracing::error!(%error, segment = number, "a segment can't be indexed");
                let mut state = shared.write();
                state.unindexable.insert(number, error.to_string());
                return Ok(());
            }
        },
    };
    let (cover, index_floor) = {
        let state = shared.read();
        let segment = &state.segments[number as usize];
        // What the state says is on the disk by then, since truncations and floors are published after their syncs. So an
        // opening can take this file for a witness of them.
        let cover = Cover {
            low: segment.live.start,
            end: segment.live.end,
            content: segment.content,
        };
        (cover, state.extent.index_floor)
    };
    let kept = |entry: &Entry| is_kept(entry, index_floor);
    let expected = table.sorted().filter(kept).count() as u64;
    let entries = table.sorted().filter(kept).map(Ok);
    let context = site_of(shared);
    // Stopping would lose a table that is in memory alone, so the writing isn't told to stop.
    let context = IndexFileTarget {
        stop: &std::sync::atomic::AtomicBool::new(false),
        ..context
    };
    let Written::Done(path) =
        write_index_file(context, number, &[cover], index_floor, expected, entries)?
    else {
        return Ok(());
    };
    let index_file = open_written(shared, &path, number, number)?;
    // Table and file change places under one lock: in between the segment would be in neither, and its keys not indexed.
    let mut state = shared.write();
    state.frozen.retain(|frozen| frozen.segment != number);
    let at = state
        .index_files
        .partition_point(|held| held.first < number);
    state.index_files.insert(at, index_file);
    Ok(())
}

/// The table of a sealed segment from its records, which then serves look-ups already.
fn rebuild(shared: &Shared, number: u64) -> Result<Option<Arc<EntryTable>>> {
    let (live, entries) = {
        let state = shared.read();
        let segment = &state.segments[number as usize];
        (segment.live.clone(), segment.entries)
    };
    let mut table = EntryTable::with_room(usize::try_from(entries).unwrap_or(0).min(1 << 21));
    for height in live {
        // Reading a segment takes seconds on a slow disk, for which closing must not wait.
        if shared.stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let state = shared.read();
        let segment = &state.segments[number as usize];
        // The lock was free between two heights, so blocks may have been truncated.
        if !segment.live.contains(&height) {
            break;
        }
        index_record(&state, number, height, &mut table)?;
    }
    let table = Arc::new(table);
    shared.write().frozen.push(Frozen {
        segment: number,
        table: Arc::clone(&table),
    });
    Ok(Some(table))
}

/// Puts the entries of a record of a sealed segment into a table, after checking them.
pub(super) fn index_record(
    state: &LogState,
    number: u64,
    height: u64,
    table: &mut EntryTable,
) -> Result<()> {
    let segment = &state.segments[number as usize];
    let record = segment.record(height, state.salt)?;
    let index_floor = state.extent.index_floor;
    let keys = match height < index_floor {
        true => Vec::new(),
        false => Segment::whole_keys(&segment.heads, &record, state.salt)?,
    };
    let entries = hashed_entries(&state.hash, state.salt, &record, &keys, index_floor);
    table.insert_all(&entries, |old, new| {
        same_key(segment, state.salt, index_floor, old, new)
    })
}

/// Whether an entry is an id, or a key that isn't below the index floor.
fn is_kept(entry: &Entry, index_floor: u64) -> bool {
    entry.address.entry().is_none() || entry.address.height() >= index_floor
}

fn merge(shared: &Shared, index_files: &[Arc<IndexFile>]) -> Result<()> {
    let (first, last) = (
        index_files[0].first,
        index_files[index_files.len() - 1].last(),
    );
    let covers: Vec<Cover> = index_files
        .iter()
        .flat_map(|index_file| index_file.covers.iter().copied())
        .collect();
    let index_floor = shared.read().extent.index_floor;
    let kept = |entry: &NextEntry| match entry {
        Ok(entry) => is_kept(entry, index_floor),
        Err(_) => true,
    };
    let expected = match index_files
        .iter()
        .all(|index_file| index_file.keys_from == index_floor)
    {
        true => index_files
            .iter()
            .map(|index_file| index_file.layout.entries)
            .sum(),
        false => merged(index_files).filter(kept).count() as u64,
    };
    // A single file is rewritten under its own name. Look-ups are still at the old one, and could not open it again by name.
    index_files
        .iter()
        .try_for_each(|index_file| index_file.pin())?;
    let before = allocated(
        shared,
        index_files.iter().map(|index_file| index_file.path()),
    )?;
    let entries = merged(index_files).filter(kept);
    let written = write_index_file(
        site_of(shared),
        first,
        &covers,
        index_floor,
        expected,
        entries,
    )?;
    let path = match written {
        Written::Done(path) => path,
        Written::Stopped => return Ok(()),
        Written::Damaged(index_file) => {
            index_file.mark_damaged();
            return Ok(());
        }
    };
    let index_file = open_written(shared, &path, first, last)?;
    {
        let mut state = shared.write();
        state
            .index_files
            .retain(|held| held.last() < first || held.first > last);
        let at = state.index_files.partition_point(|held| held.first < first);
        state.index_files.insert(at, index_file);
    }
    // Removed when the new file is on the disk and look-ups are at it; what a crash leaves of these overlaps with it, and
    // opening removes it.
    for index_file in index_files
        .iter()
        .filter(|index_file| index_file.path() != path)
    {
        remove(shared, index_file.path())?;
    }
    let after = allocated(shared, std::iter::once(path.as_path()))?;
    shared.tell(|work| work.freed_bytes += before.saturating_sub(after));
    Ok(())
}

fn allocated<'a>(shared: &Shared, paths: impl Iterator<Item = &'a Path>) -> Result<u64> {
    let files = &shared.context.files;
    let sizes = paths.map(|path| {
        files
            .allocated(path)
            .map_err(|source| Error::system("measure", path, source))
    });
    sizes.sum()
}

fn open_written(shared: &Shared, path: &Path, first: u64, last: u64) -> Result<Arc<IndexFile>> {
    let context = &shared.context;
    let file = context.open_to_read(path)?;
    let index_file = IndexFile::open(file, first, last, &context.store, &context.cache)?;
    index_file.map(Arc::new).ok_or_else(|| {
        Error::corrupt(
            path,
            DamageAt::Structure,
            "the file is not what was just written",
        )
    })
}

fn site_of(shared: &Shared) -> IndexFileTarget<'_> {
    IndexFileTarget {
        files: &*shared.context.files,
        directory: &shared.context.directory,
        store: &shared.context.store,
        stop: &shared.stop,
    }
}
