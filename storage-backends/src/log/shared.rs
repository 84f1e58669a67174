//! What the halves of one open store share, and the options it was opened with.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};

use super::cache::Cache;
use super::files::Files;
use super::format::{Salt, StoreId};
use super::options::LogOptions;
use super::read_file::ReadFile;
use super::segment::Segment;
use super::state::{IdLookup, LogState};
use crate::toolbox::key_hash::KeyHash;
use crate::{DamageAt, Error, Id, Result};

/// Which store it is, and how its files are reached.
#[derive(Debug, Clone)]
pub(super) struct LogContext {
    pub(super) files: Arc<dyn Files>,
    pub(super) directory: PathBuf,
    pub(super) store: StoreId,
    pub(super) salt: Salt,
    pub(super) hash: KeyHash,
    pub(super) options: LogOptions,
    pub(super) cache: Arc<Cache>,
}

impl LogContext {
    /// What is known of a store and how it is opened.
    pub(super) fn new(
        files: Arc<dyn Files>,
        directory: &Path,
        store: StoreId,
        seed: [u64; 2],
        options: LogOptions,
    ) -> Self {
        Self {
            files,
            directory: directory.to_owned(),
            store,
            salt: Salt::of(&store),
            hash: KeyHash { seed },
            options,
            cache: Cache::new(options.cache_bytes),
        }
    }

    /// Opens a file of the store to read; one that is missing, or can't be a store's, is damage.
    pub(super) fn open_to_read(&self, path: &Path) -> Result<ReadFile> {
        open_to_read(&*self.files, path)
    }
}

/// The same, of a store of which nothing is known yet.
pub(super) fn open_to_read(files: &dyn Files, path: &Path) -> Result<ReadFile> {
    ReadFile::open(files, path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => missing_file(path),
        _ => Error::system("open", path, source),
    })
}

pub(super) fn missing_file(path: &Path) -> Error {
    Error::corrupt(path, DamageAt::Structure, "the file is missing")
}

/// So often a segment is counted that then has changed.
const COUNTS_IN_VAIN_MAX: u32 = 3;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) context: LogContext,
    state: RwLock<LogState>,
    work: Mutex<Work>,
    changed: Condvar,
    /// Tells the indexing to end soon.
    pub(super) stop: AtomicBool,
}

/// Why work in a thread of its own ended.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    reason: String,
    /// For want of room on the disk.
    is_full: bool,
}

impl Failure {
    /// `who` is the thread.
    pub(super) fn panicked(who: &str) -> Self {
        Self {
            reason: format!("{who} panicked"),
            is_full: false,
        }
    }

    /// The error for a caller that waits for what was done in a directory.
    pub(super) fn error(&self, operation: &'static str, directory: &Path) -> Error {
        let kind = match self.is_full {
            true => io::ErrorKind::StorageFull,
            false => io::ErrorKind::Other,
        };
        Error::system(
            operation,
            directory,
            io::Error::new(kind, self.reason.clone()),
        )
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            reason: error.to_string(),
            is_full: matches!(error, Error::Full { .. }),
        }
    }
}

/// What the indexing thread and others tell each other.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Something may have to be done.
    pub(super) due: bool,
    /// Why indexing ended; it begins again when the store is opened again.
    pub(super) failed: Option<Failure>,
    /// Bytes by which merging made index files smaller.
    pub(super) freed_bytes: u64,
}

impl Shared {
    pub(super) fn new(context: LogContext, state: LogState) -> Self {
        Self {
            context,
            state: RwLock::new(state),
            work: Mutex::default(),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
        }
    }

    // A panic under a lock closes the writer's latch. Readers may go on: what they read is checked against the files.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, LogState> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody has the state locked, not even to read.
    #[cfg(test)]
    pub(super) fn is_free(&self) -> bool {
        self.state.try_write().is_ok()
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, LogState> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The height of the block with an id.
    pub(super) fn height_of(&self, id: &Id) -> Result<Option<u64>> {
        loop {
            let segments = match self.read().look_up_id(id)? {
                IdLookup::Found(height) => return Ok(Some(height)),
                IdLookup::Unknown(segments) => segments,
            };
            // `None` has to mean that there is none, so ids of blocks that are not indexed are read from the heads, which are few
            // bytes a block but many blocks. Not under the lock: the answer is of the moment at which the index was asked.
            let found = segments
                .iter()
                .find_map(|segment| segment.find_id(id, self.context.salt).transpose());
            match found.transpose() {
                // A file may have been rewritten meanwhile, and the old one closed. Each round needs that anew, so this ends.
                Err(_) if !self.still_has(&segments) => {}
                outcome => return outcome,
            }
        }
    }

    fn still_has(&self, snapshots: &[Segment]) -> bool {
        let state = self.read();
        snapshots.iter().all(|segment| state.still_has(segment))
    }

    /// Counts the index entries of segments for which that was not done yet, as far as possible without the lock: there may be
    /// millions of records to read.
    pub(super) fn count_keys(&self) -> Result<()> {
        let mut in_vain = 0;
        // A writer may change the open segment faster than it is counted. What is left is counted under the lock, when the sum
        // is asked for.
        while in_vain < COUNTS_IN_VAIN_MAX {
            let (segment, index_floor) = {
                let state = self.read();
                let Some(segment) = state.uncounted() else {
                    return Ok(());
                };
                (segment.snapshot(), state.extent.index_floor)
            };
            let counted = segment.count_keys(index_floor, self.context.salt);
            let state = self.read();
            if state.still_has(&segment) && state.extent.index_floor == index_floor {
                state.segments[segment.number as usize].note_count(counted?);
            } else {
                in_vain += 1;
            }
        }
        Ok(())
    }

    pub(super) fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what threads wait for and wakes them.
    pub(super) fn tell(&self, change: impl FnOnce(&mut Work)) {
        change(&mut self.work());
        self.changed.notify_all();
    }

    /// Waits until `ready` gives something. It is called with the work locked, and must not lock it.
    pub(super) fn wait<T>(&self, mut ready: impl FnMut(&mut Work) -> Option<T>) -> T {
        let mut work = self.work();
        loop {
            if let Some(done) = ready(&mut work) {
                return done;
            }
            work = self
                .changed
                // A condition variable may wake without having been told, so what is waited for is asked again.
                .wait(work)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}
