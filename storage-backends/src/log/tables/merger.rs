//! The thread that merges. It ends when dropped, without what can as well be done later.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};

use super::super::shared::Failure;
use super::merge::merge_due;
use super::shared::{Slot, TableShared};
use crate::{Error, Result};

/// A commit that writes a run waits while its set has more runs than this.
const RUNS_MAX: usize = 64;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Merger {
    shared: Arc<TableShared>,
    thread: Option<JoinHandle<()>>,
}

impl Merger {
    pub(super) fn start(shared: &Arc<TableShared>) -> Result<Self> {
        shared.stop.store(false, Ordering::Release);
        shared.tell(|work| {
            work.is_due = true;
            work.failed = None;
        });
        let mut thread = None;
        if shared.context.options.index_in_background {
            let directory = shared.context.directory.clone();
            let shared = Arc::clone(shared);
            let spawned = thread::Builder::new()
                .name("hubledger-merge".to_owned())
                .spawn(move || merge_when_due(&shared));
            thread =
                Some(spawned.map_err(|source| Error::system("start merging", &directory, source))?);
        }
        Ok(Self {
            shared: Arc::clone(shared),
            thread,
        })
    }

    /// A set has a new run: has runs merged, now or soon. Waits if the set has too many.
    pub(super) fn run_added(&self, set: &str) -> Result<()> {
        if self.thread.is_none() {
            return merge_due(&self.shared);
        }
        self.shared.tell(|work| work.is_due = true);
        let are_many = || match self.shared.read()?.sets.get(set) {
            Some(Slot::Sound(set)) => {
                Ok::<_, Error>(set.snapshot.files.len() > RUNS_MAX && !set.is_damaged)
            }
            _ => Ok(false),
        };
        // Looked at under the work's lock, which merging takes to tell of a step: so none comes between the look and the
        // waiting. Nobody locks the work while holding the state.
        self.shared.wait(|work| match are_many() {
            Ok(true) if work.failed.is_none() => None,
            outcome => Some(outcome.map(drop)),
        })
    }
}

impl Drop for Merger {
    fn drop(&mut self) {
        // Before it is told of: a thread that wakes, or is about to wait, sees the flag under the work's lock.
        self.shared.stop.store(true, Ordering::Release);
        self.shared.tell(|work| work.is_due = true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the merging thread panicked");
        }
    }
}

/// Tells of a panic, so that nobody waits for a thread that is gone.
struct PanicNotice<'a>(&'a TableShared);

impl Drop for PanicNotice<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0
                .tell(|work| work.failed = Some(Failure::panicked("the merging thread")));
        }
    }
}

fn merge_when_due(shared: &TableShared) {
    let _notice = PanicNotice(shared);
    loop {
        let stop = shared.wait(|work| {
            let stop = shared.stop.load(Ordering::Acquire);
            // Taken before the work begins: what becomes due meanwhile is found in the next round.
            (std::mem::take(&mut work.is_due) || stop).then_some(stop)
        });
        if stop {
            return;
        }
        if let Err(error) = merge_due(shared) {
            tracing::error!(%error, "merging tables failed");
            // Told before the thread ends: a writer that waits would wait for ever.
            shared.tell(|work| work.failed = Some(Failure::from(&error)));
            return;
        }
    }
}
