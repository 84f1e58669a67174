//! The threads that decode, hash, check and rule: for one engine, or for several of one process in turns.
//!
//! Each engine has a lane of its own. Whoever looks for work takes it from the lane that has waited longest since its last turn,
//! so that an engine with much to do leaves each other one its share; within a lane urgent jobs go first.
//!
//! Invariants: what is put into a lane that isn't closed is taken by some thread; a lane is closed when nothing of it waits or
//! is worked on; the threads end when the last who holds [`Workers`] lets go of it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::EngineError;
use super::message::Job;
use super::shared::Shared;
use super::sync::thread::{self, JoinHandle};
use super::sync::{Arc, Condvar, Mutex, lock, wait_until};
use super::worker;

/// The threads, until it is dropped. Dropping it waits for their end, unless it is one of them that does.
#[derive(Debug)]
pub(super) struct Workers {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

/// What the threads share.
#[derive(Debug, Default)]
struct Queue {
    state: Mutex<Queues>,
    /// Work has come, or the end.
    news: Condvar,
    /// Something is done in a lane that somebody waits to close.
    done: Condvar,
}

#[derive(Debug, Default)]
struct Queues {
    /// The one whose turn is next is first.
    lanes: VecDeque<LaneState>,
    next_number: u64,
    /// How many wait to close their lanes.
    closing: usize,
    is_over: bool,
}

struct LaneState {
    number: u64,
    engine: std::sync::Weak<Shared>,
    urgent: VecDeque<Job>,
    jobs: VecDeque<Job>,
    running: usize,
}

impl std::fmt::Debug for LaneState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LaneState")
            .field("number", &self.number)
            .field("urgent", &self.urgent.len())
            .field("jobs", &self.jobs.len())
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}

/// An engine's way to the threads.
#[derive(Debug)]
pub(super) struct Lane {
    queue: Arc<Queue>,
    number: u64,
    /// Urgent jobs that there is room for, where whoever brings one can do it itself.
    urgent_max: usize,
}

impl Workers {
    /// Starts so many threads.
    pub(super) fn start(count: usize) -> Result<Arc<Self>, EngineError> {
        let queue = Arc::<Queue>::default();
        let mut workers = Self {
            queue: Arc::clone(&queue),
            threads: Vec::with_capacity(count),
        };
        for number in 0..count {
            let queue = Arc::clone(&queue);
            let thread = thread::Builder::new().name(format!("hubledger-{number}"));
            let started = thread.spawn(move || queue.work());
            // If not all can be started, dropping it ends the others.
            let started = started.map_err(|error| EngineError::Threads(Arc::new(error)))?;
            workers.threads.push(started);
        }
        Ok(Arc::new(workers))
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.threads.len()
    }

    /// Whether the caller is one of them.
    pub(super) fn have_caller(&self) -> bool {
        let own = thread::current().id();
        self.threads.iter().any(|one| one.thread().id() == own)
    }

    /// A lane for an engine that is yet to be told of ([`Lane::attach`]).
    pub(super) fn lane(&self) -> Lane {
        let mut state = lock(&self.queue.state);
        let number = state.next_number;
        state.next_number += 1;
        state.lanes.push_back(LaneState {
            number,
            engine: std::sync::Weak::new(),
            urgent: VecDeque::new(),
            jobs: VecDeque::new(),
            running: 0,
        });
        Lane {
            queue: Arc::clone(&self.queue),
            number,
            urgent_max: 2 * self.count(),
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        lock(&self.queue.state).is_over = true;
        self.queue.news.notify_all();
        // A thread that joined itself would wait for ever.
        if self.have_caller() {
            return;
        }
        for thread in self.threads.drain(..) {
            // A panic is caught within the thread, so that joining has nothing to report.
            let _ = thread.join();
        }
    }
}

impl Lane {
    /// Says whose jobs these are.
    pub(super) fn attach(&self, engine: &Arc<Shared>) {
        if let Some(lane) = lock(&self.queue.state).lane(self.number) {
            // The engine holds its lane, so that a strong reference here would keep both for ever.
            lane.engine = Arc::downgrade(engine);
        }
    }

    /// Puts a job last.
    pub(super) fn push(&self, job: Job) {
        self.put(|lane| {
            lane.jobs.push_back(job);
            Ok(())
        })
        .unwrap_or_else(drop);
    }

    /// Puts a job behind the urgent ones, however many there are: their number is bounded by those who wait for them.
    pub(super) fn push_urgent(&self, job: Job) {
        self.put(|lane| {
            lane.urgent.push_back(job);
            Ok(())
        })
        .unwrap_or_else(drop);
    }

    /// The same if there are few; else gives the job back, since the threads have enough to do.
    pub(super) fn try_push_urgent(&self, job: Job) -> Result<(), Job> {
        let urgent_max = self.urgent_max;
        self.put(|lane| {
            if lane.urgent.len() >= urgent_max {
                return Err(job);
            }
            lane.urgent.push_back(job);
            Ok(())
        })
    }

    fn put(&self, put: impl FnOnce(&mut LaneState) -> Result<(), Job>) -> Result<(), Job> {
        let mut state = lock(&self.queue.state);
        let Some(lane) = state.lane(self.number) else {
            return Ok(());
        };
        put(lane)?;
        drop(state);
        self.queue.news.notify_one();
        Ok(())
    }

    /// Jobs and urgent jobs that wait.
    pub(super) fn len(&self) -> (usize, usize) {
        let mut state = lock(&self.queue.state);
        let lane = state.lane(self.number);
        lane.map_or((0, 0), |lane| (lane.jobs.len(), lane.urgent.len()))
    }

    /// Waits until all that was put here is done. What comes later is dropped.
    pub(super) fn close(&self) {
        let mut state = lock(&self.queue.state);
        state.closing += 1;
        let mut state = wait_until(&self.queue.done, state, |state| {
            state.lane(self.number).is_none_or(|lane| lane.is_idle())
        });
        state.closing -= 1;
        state.lanes.retain(|lane| lane.number != self.number);
    }
}

impl LaneState {
    fn is_idle(&self) -> bool {
        self.running == 0 && self.jobs.is_empty() && self.urgent.is_empty()
    }
}

impl Queues {
    fn lane(&mut self, number: u64) -> Option<&mut LaneState> {
        self.lanes.iter_mut().find(|lane| lane.number == number)
    }

    /// The next job, of the first lane that has one, which is last then.
    fn take(&mut self) -> Option<(u64, std::sync::Weak<Shared>, Job)> {
        let has_work = |lane: &LaneState| !lane.urgent.is_empty() || !lane.jobs.is_empty();
        let at = self.lanes.iter().position(has_work)?;
        let mut lane = self.lanes.remove(at)?;
        let job = lane.urgent.pop_front().or_else(|| lane.jobs.pop_front())?;
        lane.running += 1;
        let taken = (lane.number, lane.engine.clone(), job);
        self.lanes.push_back(lane);
        Some(taken)
    }
}

impl Queue {
    /// Works until the end.
    fn work(&self) {
        loop {
            let waiting = Instant::now();
            let mut taken = None;
            drop(wait_until(&self.news, lock(&self.state), |state| {
                taken = state.take();
                taken.is_some() || state.is_over
            }));
            let Some((number, engine, job)) = taken else {
                return;
            };
            let waited = waiting.elapsed();
            // An engine that has gone has nobody who waits for its jobs.
            if let Some(engine) = engine.upgrade() {
                work_for(&engine, waited, job);
            }
            self.done(number);
        }
    }

    fn done(&self, number: u64) {
        let mut state = lock(&self.state);
        if let Some(lane) = state.lane(number) {
            lane.running -= 1;
        }
        let is_waited_for = state.closing > 0;
        drop(state);
        if is_waited_for {
            self.done.notify_all();
        }
    }
}

fn work_for(engine: &Shared, waited: Duration, job: Job) {
    engine.meters.workers_idle.add(waited);
    worker::run(engine, job);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(lanes: &[(usize, usize)]) -> Queues {
        let mut state = Queues::default();
        for (number, (urgent, jobs)) in (0..).zip(lanes) {
            state.lanes.push_back(LaneState {
                number,
                engine: std::sync::Weak::new(),
                urgent: (0..*urgent).map(|_| Job::Advance).collect(),
                jobs: (0..*jobs).map(|_| Job::Advance).collect(),
                running: 0,
            });
        }
        state
    }

    #[test]
    fn lanes_take_turns_whatever_each_has() {
        let mut state = state(&[(0, 6), (2, 1), (0, 0), (0, 2)]);
        let order: Vec<u64> = std::iter::from_fn(|| state.take())
            .map(|(number, ..)| number)
            .collect();
        assert_eq!(order, [0, 1, 3, 0, 1, 3, 0, 1, 0, 0, 0]);
        assert!(state.lanes.iter().all(|lane| lane.jobs.is_empty()));
        let running: usize = state.lanes.iter().map(|lane| lane.running).sum();
        assert_eq!(running, 11);
    }

    #[test]
    fn urgent_jobs_have_a_bound_where_they_can_be_given_back() {
        let check = || {
            let workers = Workers {
                queue: Arc::default(),
                threads: Vec::new(),
            };
            let lane = Lane {
                urgent_max: 1,
                ..workers.lane()
            };
            assert!(lane.try_push_urgent(Job::Advance).is_ok());
            assert!(lane.try_push_urgent(Job::Advance).is_err());
            lane.push_urgent(Job::Advance);
            lane.push(Job::Advance);
            assert_eq!(lane.len(), (1, 2));
        };
        shuttle::check_random(check, 1);
    }
}
