//! What the reader, the writer and the merging of one store's tables share.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};

use super::super::shared::{Failure, LogContext};
use super::boundaries::Boundaries;
use super::context::TableContext;
use super::load::load;
use super::view::Snapshot;
use crate::{DamageAt, Error, Result};

/// A set, as it is now.
#[derive(Debug, Clone)]
pub(super) struct SetState {
    pub(super) snapshot: Arc<Snapshot>,
    /// With all commits.
    pub(super) boundaries: Boundaries,
    /// With those that the runs in files have: what can be gone back to after a crash.
    pub(super) durable: Boundaries,
    /// A run couldn't be read when it was to be merged; it isn't tried again.
    pub(super) is_damaged: bool,
}

impl SetState {
    pub(super) fn new(context: &Arc<TableContext>) -> Self {
        Self {
            snapshot: Arc::new(Snapshot::empty(context)),
            boundaries: Boundaries::new(),
            durable: Boundaries::new(),
            is_damaged: false,
        }
    }

    /// Whether a crash would take commits.
    pub(super) fn is_ahead(&self) -> bool {
        self.boundaries != self.durable
    }

    /// Bytes of memory that its commits take until they are in a run.
    pub(super) fn memory_bytes(&self) -> usize {
        self.snapshot
            .memory
            .iter()
            .map(|run| run.memory_bytes())
            .sum()
    }
}

/// What is known of a set.
#[derive(Debug, Clone)]
pub(super) enum Slot {
    Sound(SetState),
    /// Its file, or the end of a run, is damaged.
    Damaged {
        path: PathBuf,
        damage_at: DamageAt,
        reason: String,
    },
}

impl Slot {
    pub(super) fn sound(&self) -> Result<&SetState> {
        match self {
            Self::Sound(set) => Ok(set),
            Self::Damaged {
                path,
                damage_at,
                reason,
            } => Err(Error::corrupt(path, *damage_at, reason.clone())),
        }
    }
}

/// All sets, once they were read.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) sets: BTreeMap<String, Slot>,
    pub(super) is_loaded: bool,
}

/// What the merging thread and others tell each other.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Something may have to be merged.
    pub(super) is_due: bool,
    /// Why merging ended; it begins again with the next writer.
    pub(super) failed: Option<Failure>,
}

/// See the [module](self).
#[derive(Debug)]
pub(in super::super) struct TableShared {
    pub(super) context: Arc<TableContext>,
    state: RwLock<State>,
    /// Held by whoever changes which runs count, from looking at the set until readers see it. Taken before the state's.
    installing: Mutex<()>,
    work: Mutex<Work>,
    changed: Condvar,
    /// Tells the merging to end soon.
    pub(super) stop: AtomicBool,
    next_run: AtomicU64,
    /// The name of the directory of tables is on the disk.
    pub(super) is_directory_synced: AtomicBool,
    /// Files that nothing names were removed.
    pub(super) is_clean: AtomicBool,
    /// A change failed half-way, so that sets' files may say more than readers were shown.
    pub(super) is_uncertain: AtomicBool,
}

impl TableShared {
    pub(in super::super) fn new(context: &LogContext) -> Self {
        Self {
            context: Arc::new(TableContext::new(context)),
            state: RwLock::default(),
            installing: Mutex::default(),
            work: Mutex::default(),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
            next_run: AtomicU64::new(0),
            is_directory_synced: AtomicBool::new(false),
            is_clean: AtomicBool::new(false),
            is_uncertain: AtomicBool::new(false),
        }
    }

    /// What tells where the files are.
    pub(in super::super) const fn context(&self) -> &Arc<TableContext> {
        &self.context
    }

    /// All sets, read first if that was not done yet.
    pub(super) fn read(&self) -> Result<RwLockReadGuard<'_, State>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if state.is_loaded {
            return Ok(state);
        }
        drop(state);
        {
            let _installing = self.installing();
            let is_loaded = self.write().is_loaded;
            if !is_loaded {
                let (sets, next_run) = load(&self.context)?;
                self.next_run.store(next_run, Ordering::Relaxed);
                let mut state = self.write();
                state.sets = sets;
                state.is_loaded = true;
            }
        }
        Ok(self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A set as it is now; that of none if there is none of this name.
    pub(super) fn set(&self, name: &str) -> Result<SetState> {
        match self.read()?.sets.get(name) {
            Some(slot) => slot.sound().cloned(),
            None => Ok(SetState::new(&self.context)),
        }
    }

    /// How many sets there are, if there is none of this name.
    pub(super) fn count_others(&self, name: &str) -> Result<Option<usize>> {
        let state = self.read()?;
        let is_new = !state.sets.contains_key(name);
        Ok(is_new.then(|| state.sets.len()))
    }

    pub(super) fn snapshot(&self, name: &str) -> Result<Arc<Snapshot>> {
        match self.read()?.sets.get(name) {
            Some(slot) => Ok(Arc::clone(&slot.sound()?.snapshot)),
            None => Ok(Arc::new(Snapshot::empty(&self.context))),
        }
    }

    pub(super) fn installing(&self) -> MutexGuard<'_, ()> {
        self.installing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that no run has had.
    pub(super) fn next_run(&self) -> u64 {
        self.next_run.fetch_add(1, Ordering::Relaxed)
    }

    /// Changes what threads wait for and wakes them.
    pub(super) fn tell(&self, change: impl FnOnce(&mut Work)) {
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut work);
        self.changed.notify_all();
    }

    /// Waits until `ready` gives something. It is called with the work locked, and must not lock it.
    pub(super) fn wait<T>(&self, mut ready: impl FnMut(&mut Work) -> Option<T>) -> T {
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// Fails once merging has failed.
    pub(super) fn check_merging(&self) -> Result<()> {
        let failed = self.wait(|work| Some(work.failed.clone()));
        failed.map_or(Ok(()), |failure| {
            Err(failure.error("merge", &self.context.directory))
        })
    }

    /// Bytes that the file system gave to all files.
    pub(in super::super) fn bytes_on_disk(&self) -> io::Result<u64> {
        let context = &self.context;
        let names = match context.files.list(&context.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            names => names?,
        };
        let sizes = names.iter().map(|name| {
            match context.files.allocated(&context.directory.join(name)) {
                // Merged, or given its final name, meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
                bytes => bytes,
            }
        });
        sizes.sum()
    }
}
