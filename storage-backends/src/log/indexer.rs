//! Keeps index files complete and few: one for each sealed segment, and of every so many of one size, one.
//!
//! An entry is written once for its segment and once for each of [`LEVELS_MAX`] merges at most, so the cost of
//! indexing does not grow with the chain; the number of files grows by a few a level, and from the last level on
//! by one in some hundred segments. Nothing here is needed for any answer to be right: what is lost is made
//! again, from the segments.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};

use super::options::LogOptions;
use super::run::{Cover, Run};
use super::run_writer::{NextEntry, Site, Written, merged, write_run};
use super::segment::Segment;
use super::shared::{Failure, Shared};
use super::state::{Frozen, State, hashed_entries, same_key};
use crate::table::{Entry, Table};
use crate::{Error, Place, Result};

/// How often index files are merged at most.
const LEVELS_MAX: u32 = 3;
/// Tables that wait for their file; the writer waits when there are more.
pub(super) const FROZEN_MAX: usize = 2;

/// Something to do.
enum Job {
    /// Drop a damaged index file.
    Discard(Arc<Run>),
    /// Write the index file of a segment.
    Build(u64),
    /// Make one index file of several, or of one that has too many keys below the index floor.
    Merge(Vec<Arc<Run>>),
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
            let directory = shared.site.directory.clone();
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
            let stale = |run: &Arc<Run>| run.is_stale(state.extent.index_floor);
            state.frozen.is_empty() && !state.runs.iter().any(stale)
        })?;
        Ok(self.shared.work().freed_bytes)
    }

    fn run_until(&self, reached: impl Fn(&State) -> bool) -> Result<()> {
        if self.thread.is_none() {
            return index(&self.shared, self.fanout);
        }
        self.shared.tell(|work| work.due = true);
        let failed = self.shared.wait(|work| {
            let waits = !reached(&self.shared.read());
            match (&work.failed, waits) {
                (Some(reason), _) => Some(Some(reason.clone())),
                (None, true) => None,
                (None, false) => Some(None),
            }
        });
        match failed {
            None => Ok(()),
            Some(failure) => Err(failure.error(&self.shared.site.directory)),
        }
    }
}

impl Drop for Indexer {
    fn drop(&mut self) {
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
            self.0.tell(|work| work.failed = Some(Failure::panicked()));
        }
    }
}

/// What the thread does.
fn index_when_due(shared: &Shared, fanout: usize) {
    let _notice = PanicNotice(shared);
    loop {
        let stop = shared.wait(|work| {
            let stop = shared.stop.load(Ordering::Acquire);
            (std::mem::take(&mut work.due) || stop).then_some(stop)
        });
        if let Err(error) = index(shared, fanout) {
            tracing::error!(%error, "indexing failed");
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
            Some(Job::Discard(run)) => discard(shared, &run)?,
            Some(Job::Build(segment)) => build(shared, segment)?,
            Some(Job::Merge(runs)) => merge(shared, &runs)?,
        }
        shared.tell(|_| {});
    }
}

fn next_job(state: &State, fanout: usize, stop: bool) -> Option<Job> {
    if let Some(frozen) = state.frozen.first() {
        return Some(Job::Build(frozen.segment));
    }
    if stop {
        return None;
    }
    if let Some(run) = state.runs.iter().find(|run| run.is_damaged()) {
        return Some(Job::Discard(Arc::clone(run)));
    }
    let stale = |run: &&Arc<Run>| run.is_stale(state.extent.index_floor);
    if let Some(run) = state.runs.iter().find(stale) {
        return Some(Job::Merge(vec![Arc::clone(run)]));
    }
    let sealed = state.segments.len() as u64 - 1;
    let missing = (0..sealed)
        .find(|segment| !state.is_covered(*segment) && !state.unindexable.contains_key(segment));
    if let Some(segment) = missing {
        return Some(Job::Build(segment));
    }
    let span_max = (fanout as u64).saturating_pow(LEVELS_MAX);
    state.runs.windows(fanout).find_map(|group| {
        let span = group[0].span();
        let even = group
            .windows(2)
            .all(|pair| pair[1].span() == span && pair[0].last() + 1 == pair[1].first);
        (even && span * fanout as u64 <= span_max).then(|| Job::Merge(group.to_vec()))
    })
}

fn discard(shared: &Shared, run: &Arc<Run>) -> Result<()> {
    shared.write().runs.retain(|held| !Arc::ptr_eq(held, run));
    remove(shared, run.path())
}

fn remove(shared: &Shared, path: &Path) -> Result<()> {
    shared
        .site
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
    let site = site_of(shared);
    // A table in memory would be lost by stopping.
    let site = Site {
        stop: &std::sync::atomic::AtomicBool::new(false),
        ..site
    };
    let Written::Done(path) = write_run(site, number, &[cover], index_floor, expected, entries)?
    else {
        return Ok(());
    };
    let run = open_written(shared, &path, number, number)?;
    let mut state = shared.write();
    state.frozen.retain(|frozen| frozen.segment != number);
    let at = state.runs.partition_point(|held| held.first < number);
    state.runs.insert(at, run);
    Ok(())
}

/// The table of a sealed segment from its records, which then serves look-ups already.
fn rebuild(shared: &Shared, number: u64) -> Result<Option<Arc<Table>>> {
    let (live, entries) = {
        let state = shared.read();
        let segment = &state.segments[number as usize];
        (segment.live.clone(), segment.entries)
    };
    let mut table = Table::with_room(usize::try_from(entries).unwrap_or(0).min(1 << 21));
    for height in live {
        if shared.stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let state = shared.read();
        let segment = &state.segments[number as usize];
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
    state: &State,
    number: u64,
    height: u64,
    table: &mut Table,
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
    entry.place.entry().is_none() || entry.place.height() >= index_floor
}

fn merge(shared: &Shared, runs: &[Arc<Run>]) -> Result<()> {
    let (first, last) = (runs[0].first, runs[runs.len() - 1].last());
    let covers: Vec<Cover> = runs
        .iter()
        .flat_map(|run| run.covers.iter().copied())
        .collect();
    let index_floor = shared.read().extent.index_floor;
    let kept = |entry: &NextEntry| match entry {
        Ok(entry) => is_kept(entry, index_floor),
        Err(_) => true,
    };
    let expected = match runs.iter().all(|run| run.keys_from == index_floor) {
        true => runs.iter().map(|run| run.layout.entries).sum(),
        false => merged(runs).filter(kept).count() as u64,
    };
    // Of one alone the new file gets the name, while look-ups are still at the old one.
    runs.iter().try_for_each(|run| run.pin())?;
    let before = allocated(shared, runs.iter().map(|run| run.path()))?;
    let entries = merged(runs).filter(kept);
    let written = write_run(
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
        Written::Damaged(run) => {
            run.mark_damaged();
            return Ok(());
        }
    };
    let run = open_written(shared, &path, first, last)?;
    {
        let mut state = shared.write();
        state
            .runs
            .retain(|held| held.last() < first || held.first > last);
        let at = state.runs.partition_point(|held| held.first < first);
        state.runs.insert(at, run);
    }
    for run in runs.iter().filter(|run| run.path() != path) {
        remove(shared, run.path())?;
    }
    let after = allocated(shared, std::iter::once(path.as_path()))?;
    shared.tell(|work| work.freed_bytes += before.saturating_sub(after));
    Ok(())
}

fn allocated<'a>(shared: &Shared, paths: impl Iterator<Item = &'a Path>) -> Result<u64> {
    let files = &shared.site.files;
    let sizes = paths.map(|path| {
        files
            .allocated(path)
            .map_err(|source| Error::system("measure", path, source))
    });
    sizes.sum()
}

fn open_written(shared: &Shared, path: &Path, first: u64, last: u64) -> Result<Arc<Run>> {
    let site = &shared.site;
    let file = site.open_to_read(path)?;
    let run = Run::open(file, first, last, &site.store, &site.cache)?;
    run.map(Arc::new).ok_or_else(|| {
        Error::corrupt(
            path,
            Place::Structure,
            "the file is not what was just written",
        )
    })
}

fn site_of(shared: &Shared) -> Site<'_> {
    Site {
        files: &*shared.site.files,
        directory: &shared.site.directory,
        store: &shared.site.store,
        stop: &shared.stop,
    }
}
