//! Views on a thread of their own, which follows an engine.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use hubledger::engine::{Change, Engine, EngineError, Follower, Start};

use super::{Result, ViewError, Views};

/// So long it takes at least from one time that rows are made durable, so that the engine may prune, to the next: a write to the disk for each block would cost more
/// than the views themselves.
const FINISH_PAUSE: Duration = Duration::from_secs(1);

/// Views that follow an engine, on a thread of their own. It ends when the engine was shut down and all that was committed is applied;
/// when it is [stopped](Following::stop) or this is dropped; and after an error, which stopping gives.
#[derive(Debug)]
pub struct Following {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<Views>>>,
}

#[derive(Debug, Default)]
struct Shared {
    progress: Mutex<Progress>,
    changed: Condvar,
    is_stopping: AtomicBool,
}

#[derive(Debug, Default)]
struct Progress {
    /// Blocks below are committed in all views.
    next: u64,
    is_over: bool,
}

impl Shared {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        // Two plain values: whole also after a panic of another thread.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress());
        self.changed.notify_all();
    }
}

impl Views {
    /// Follows an engine as a registered follower, on a thread of its own; pruning waits for it. The chain must be the one that the views were
    /// opened with.
    ///
    /// # Errors
    /// [`ViewError::Gap`]; the engine refuses the follower; no thread can be started.
    pub fn follow(mut self, engine: &Engine, name: &str) -> Result<Following> {
        self.reconcile(None)?;
        self.refuse_gap(
            engine
                .reader()
                .extent()
                .map_err(ViewError::from)?
                .body_floor,
        )?;
        let start = match self.last() {
            Some(last) => Start::After(last),
            None => Start::At(self.next_height()),
        };
        let follower = engine.register(name, start)?;
        let shared = Arc::new(Shared::default());
        let run = Run {
            next: self.next_height(),
            views: self,
            follower,
            shared: Arc::clone(&shared),
            is_finished: false,
            finished_at: Instant::now(),
            common: None,
        };
        let thread = thread::Builder::new()
            .name("views".to_owned())
            .spawn(move || run.until_the_end())
            .map_err(|_| ViewError::Stopped)?;
        Ok(Following {
            shared,
            thread: Some(thread),
        })
    }
}

impl Following {
    /// Waits until all views have committed the block at `height`, or a later one.
    ///
    /// # Errors
    /// [`ViewError::Stopped`] if the thread ends before.
    pub fn wait_for(&self, height: u64) -> Result<()> {
        let waiting = self
            .shared
            .changed
            .wait_while(self.shared.progress(), |progress| {
                progress.next <= height && !progress.is_over
            });
        let progress = waiting.unwrap_or_else(PoisonError::into_inner);
        match progress.next > height {
            true => Ok(()),
            false => Err(ViewError::Stopped),
        }
    }

    /// The height of the first block that isn't committed in all views, when it was last looked.
    #[must_use]
    pub fn next_height(&self) -> u64 {
        self.shared.progress().next
    }

    /// Ends the thread, after the block that it is at, and gives the views back.
    ///
    /// # Errors
    /// Why it ended before.
    pub fn stop(mut self) -> Result<Views> {
        self.end().unwrap_or(Err(ViewError::Stopped))
    }

    fn end(&mut self) -> Option<Result<Views>> {
        let thread = self.thread.take()?;
        self.shared.is_stopping.store(true, Ordering::Release);
        thread.thread().unpark();
        Some(thread.join().unwrap_or(Err(ViewError::Stopped)))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.end() {
            tracing::warn!(%error, "views ended");
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// What the thread has.
struct Run {
    views: Views,
    follower: Follower,
    shared: Arc<Shared>,
    /// The next height when that was last told.
    next: u64,
    /// Whether the engine was told of that.
    is_finished: bool,
    /// When that was last done, or could have been first.
    finished_at: Instant,
    /// Blocks above have gone, and it wasn't looked yet which of them views had seen.
    common: Option<u64>,
}

/// So that whoever waits learns of the end, also by a panic.
struct Over(Arc<Shared>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.tell(|progress| progress.is_over = true);
    }
}

impl Run {
    fn until_the_end(mut self) -> Result<Views> {
        let over = Over(Arc::clone(&self.shared));
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        while !self.shared.is_stopping.load(Ordering::Acquire) {
            match self.follower.poll_next(&mut context) {
                Poll::Ready(Some(change)) => self.take(change?)?,
                Poll::Ready(None) => break,
                Poll::Pending => {
                    self.rest()?;
                    match self.finish_in_time()? {
                        Some(pause) => thread::park_timeout(pause),
                        None => thread::park(),
                    }
                }
            }
        }
        self.rest()?;
        self.finish()?;
        drop(over);
        Ok(self.views)
    }

    fn take(&mut self, change: Change) -> Result<()> {
        let block = match change {
            Change::Committed { block } => block,
            Change::Reverted { height, .. } => {
                let below = height.saturating_sub(1);
                self.common = Some(self.common.map_or(below, |common| common.min(below)));
                return Ok(());
            }
        };
        self.go_back()?;
        match self.views.accept(&block) {
            // Blocks that were committed together were taken back together, so that some are missing before this one; or the chain has
            // changed once more.
            Err(ViewError::Apart { .. }) => self.views.catch_up()?,
            outcome => outcome?,
        }
        Ok(())
    }

    fn go_back(&mut self) -> Result<()> {
        match self.common.take() {
            Some(common) => self.views.reconcile(Some(common)),
            None => Ok(()),
        }
    }

    /// Commits, and says what is done: nothing else is to be done at this moment.
    fn rest(&mut self) -> Result<()> {
        self.go_back()?;
        self.views.flush()?;
        let next = self.views.next_height();
        self.is_finished &= next == self.next;
        self.next = next;
        self.shared.tell(|progress| progress.next = next);
        Ok(())
    }

    /// [Finishes](Run::finish) if there is something to be finished, and the last time is long enough ago; else says how long to wait.
    fn finish_in_time(&mut self) -> Result<Option<Duration>> {
        if self.is_finished {
            return Ok(None);
        }
        match FINISH_PAUSE.checked_sub(self.finished_at.elapsed()) {
            Some(pause) => Ok(Some(pause)),
            None => self.finish().map(|()| None),
        }
    }

    /// Lets the engine prune what isn't needed again.
    fn finish(&mut self) -> Result<()> {
        self.is_finished = true;
        self.finished_at = Instant::now();
        let Some(settled) = self.views.settle()? else {
            return Ok(());
        };
        if self.follower.next_height() <= settled {
            return Ok(());
        }
        match self.follower.finished(settled) {
            // It was told already when the engine stopped, or somebody else has the name now.
            Err(EngineError::Stopped) => Ok(()),
            outcome => Ok(outcome?),
        }
    }
}
