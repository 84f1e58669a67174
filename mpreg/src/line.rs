//! Chunks of a chain, judged on several threads and shown in order.
//!
//! The caller's thread reads the source, shows what was judged, and lends a hand where it would have to wait. So one thread
//! is the plain case of several, and nothing but chunks and what was found of them goes between threads.
//!
//! Towards the end of the chain chunks get smaller, so that no thread is left with one while the others are done.
//!
//! Bounds: chunks in flight hold at most twice [`TEXT_MAX`] of text for each thread and one chunk more, whose last block may
//! have any length that is read at all.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::chunk::{Chunk, Judged, TEXT_MAX};
use super::source::{RawRow, Source, SourceError};
use hubledger::rejection::Rejected;

/// What was found of a chunk's rows, up to the first that isn't sound alone.
type Found<T> = Vec<Result<Judged<T>, Rejected>>;

/// What a thread does with a chunk.
type Judge<'j, T> = dyn Fn(&Chunk) -> Found<T> + Sync + 'j;

/// What is done with each row, in order; breaking off ends the reading.
type Show<'s, T> = dyn FnMut(RawRow<'_>, Result<Judged<T>, Rejected>) -> ControlFlow<()> + 's;

/// Hands the rows of the chain `id` to `show` in order, each with what `judge` made of it on one of `threads` threads. The
/// other threads than the caller's begin with `prepare`. After a row that isn't sound, `show` has to break off.
///
/// # Errors
/// What keeps the source from being read on, unless `show` broke off before that place.
///
/// # Panics
/// If `judge` does.
pub(super) fn show_judged<T: Send>(
    source: &Source,
    id: &str,
    threads: usize,
    prepare: &(dyn Fn() + Sync),
    judge: &Judge<'_, T>,
    show: &mut Show<'_, T>,
) -> Result<(), SourceError> {
    let (jobs, queue) = unbounded();
    let (results, done) = unbounded();
    thread::scope(|scope| {
        for number in 1..threads.max(1) {
            let (queue, results): (Receiver<Job>, _) = (queue.clone(), results.clone());
            let work = move || {
                prepare();
                for job in queue {
                    // Nobody waits for a result that can't be sent.
                    let _ = results.send(job.run(judge));
                }
            };
            let thread = thread::Builder::new().name(format!("mpreg-{number}"));
            // With fewer threads, or none, it takes longer.
            if thread.spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        let rows = source.chain(id)?.blocks;
        let mut line = Line {
            jobs,
            queue,
            done,
            judge,
            show,
            limit: 2 * threads.max(1) * TEXT_MAX,
            shares: 2 * threads.max(1) as u64,
            rows,
            chunk: Chunk::default(),
            spare: Vec::new(),
            sent: 0,
            shown: 0,
            waiting: VecDeque::new(),
            bytes: 0,
            ended: false,
        };
        line.chunk.restart(0, line.share(0));
        let read = source.for_each_row(id, &mut |row| line.push(&row));
        let ended = line.finish();
        // Whatever is still queued is of no interest.
        while line.queue.try_recv().is_ok() {}
        if ended.is_break() { Ok(()) } else { read }
    })
}

/// A chunk to judge, with its number in the chain.
struct Job {
    number: usize,
    chunk: Chunk,
}

/// A chunk that was judged, or how that panicked.
struct Finished<T> {
    number: usize,
    chunk: Chunk,
    judged: thread::Result<Found<T>>,
}

impl Job {
    fn run<T>(self, judge: &Judge<'_, T>) -> Finished<T> {
        // A panic goes on in the caller's thread, which would wait for ever otherwise; nothing that it broke is used again.
        let judged = catch_unwind(AssertUnwindSafe(|| judge(&self.chunk)));
        Finished {
            number: self.number,
            chunk: self.chunk,
            judged,
        }
    }
}

/// The caller's side.
struct Line<'l, 's, T> {
    jobs: Sender<Job>,
    queue: Receiver<Job>,
    done: Receiver<Finished<T>>,
    judge: &'l Judge<'l, T>,
    show: &'l mut Show<'s, T>,
    limit: usize,
    /// The rows that are left are divided by this.
    shares: u64,
    /// How many rows the source says that there are.
    rows: u64,
    /// Where rows are gathered.
    chunk: Chunk,
    spare: Vec<Chunk>,
    /// How many chunks were sent, and how many of them shown.
    sent: usize,
    shown: usize,
    /// Those after the last shown one, as far as they are finished.
    waiting: VecDeque<Option<Finished<T>>>,
    /// The text of those that were sent and not shown.
    bytes: usize,
    /// Whether `show` broke off.
    ended: bool,
}

impl<T> Line<'_, '_, T> {
    /// How many rows are enough for a chunk from the row `first` on.
    fn share(&self, first: u64) -> u64 {
        self.rows.saturating_sub(first) / self.shares
    }

    fn push(&mut self, row: &RawRow<'_>) -> ControlFlow<()> {
        self.chunk.push(row);
        if self.chunk.is_full() {
            self.send()?;
        }
        ControlFlow::Continue(())
    }

    /// Sends what was gathered, and shows what is finished, until there is room for more.
    fn send(&mut self) -> ControlFlow<()> {
        let mut next = self.spare.pop().unwrap_or_default();
        let first = self.chunk.end();
        next.restart(first, self.share(first));
        let chunk = std::mem::replace(&mut self.chunk, next);
        self.bytes += chunk.text_bytes();
        let job = Job {
            number: self.sent,
            chunk,
        };
        self.sent += 1;
        self.waiting.push_back(None);
        self.jobs
            .send(job)
            .expect("the queue's other end is here too");
        while let Ok(finished) = self.done.try_recv() {
            self.take(finished)?;
        }
        while self.bytes > self.limit {
            self.wait()?;
        }
        ControlFlow::Continue(())
    }

    /// Shows everything that was pushed, unless `show` breaks off or has.
    fn finish(&mut self) -> ControlFlow<()> {
        if self.ended {
            return ControlFlow::Break(());
        }
        self.send()?;
        while self.shown < self.sent {
            self.wait()?;
        }
        ControlFlow::Continue(())
    }

    /// Waits for a chunk to be finished: by working on one, if there is any.
    fn wait(&mut self) -> ControlFlow<()> {
        let finished = match self.queue.try_recv() {
            Ok(job) => job.run(self.judge),
            Err(_) => self.done.recv().expect("what isn't queued is being judged"),
        };
        self.take(finished)
    }

    fn take(&mut self, finished: Finished<T>) -> ControlFlow<()> {
        let place = finished.number - self.shown;
        self.waiting[place] = Some(finished);
        while let Some(next) = self.waiting.front_mut().and_then(Option::take) {
            self.waiting.pop_front();
            self.shown += 1;
            self.bytes -= next.chunk.text_bytes();
            let judged = next.judged.unwrap_or_else(|panic| resume_unwind(panic));
            for (row, judged) in next.chunk.rows().zip(judged) {
                if (self.show)(row, judged).is_break() {
                    self.ended = true;
                    return ControlFlow::Break(());
                }
            }
            self.spare.push(next.chunk);
        }
        ControlFlow::Continue(())
    }
}
