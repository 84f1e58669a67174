//! A line of jobs, done on several threads and shown in order.
//!
//! The caller's thread makes the jobs, shows what came of them, and lends a hand where it would have to wait. So one thread is
//! the plain case of several, and nothing but jobs and what was found goes between threads. It is for work that needs nothing of
//! what comes before it; what does is for the [engine](crate::engine).
//!
//! Bounds: jobs on their way weigh no more together than the caller says, and one job more.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

use crossbeam_channel::{Receiver, Sender, unbounded};

/// How the jobs of a line are done.
pub struct Work<'w, J, D> {
    /// Threads, the caller's own included.
    pub threads: usize,
    /// What the others are called.
    pub name: &'w str,
    /// What the others begin with.
    pub prepare: &'w (dyn Fn() + Sync),
    /// What is done with a job.
    pub work: &'w (dyn Fn(&J) -> D + Sync),
    /// What jobs on their way may weigh together.
    pub weight_max: usize,
}

/// What is done with each job and what came of it, in order; breaking off ends the line.
pub type Show<'s, J, D> = dyn FnMut(J, D) -> ControlFlow<()> + 's;

impl<J: Send, D: Send> Work<'_, J, D> {
    /// Has `feed` push jobs, and shows all of them, unless `show` breaks off. The answers are that of `feed` and whether `show`
    /// did. O(jobs) beside the work.
    ///
    /// # Panics
    /// If the work does, in the caller's thread and in the order of the jobs.
    pub fn run<R>(
        &self,
        show: &mut Show<'_, J, D>,
        feed: impl FnOnce(&mut Line<'_, '_, J, D>) -> R,
    ) -> (R, ControlFlow<()>) {
        // Bounded by the weight of the jobs in them, which is counted before they are sent.
        let (jobs, queue) = unbounded();
        let (results, done) = unbounded();
        thread::scope(|scope| {
            for number in 1..self.threads.max(1) {
                let (queue, results): (Receiver<Job<J>>, _) = (queue.clone(), results.clone());
                let work = move || {
                    (self.prepare)();
                    for job in queue {
                        // Nobody waits for a result that can't be sent.
                        let _ = results.send(job.run(self.work));
                    }
                };
                let thread = thread::Builder::new().name(format!("{}-{number}", self.name));
                // With fewer threads, or none, it takes longer.
                if thread.spawn_scoped(scope, work).is_err() {
                    break;
                }
            }
            let mut line = Line {
                jobs,
                queue,
                done,
                work: self.work,
                show,
                weight_max: self.weight_max,
                sent: 0,
                shown: 0,
                waiting: VecDeque::new(),
                weight: 0,
                ended: false,
            };
            let fed = feed(&mut line);
            let ended = line.finish();
            // Whatever is still queued is of no interest.
            while line.queue.try_recv().is_ok() {}
            (fed, ended)
        })
    }
}

struct Job<J> {
    /// Its place in the line.
    number: usize,
    weight: usize,
    job: J,
}

/// A job that was done, or how that panicked.
struct Finished<J, D> {
    number: usize,
    weight: usize,
    job: J,
    done: thread::Result<D>,
}

impl<J> Job<J> {
    fn run<D>(self, work: &(dyn Fn(&J) -> D + Sync)) -> Finished<J, D> {
        // A panic goes on in the caller's thread, which would wait for ever otherwise; nothing that it broke is used again.
        let done = catch_unwind(AssertUnwindSafe(|| work(&self.job)));
        Finished {
            number: self.number,
            weight: self.weight,
            job: self.job,
            done,
        }
    }
}

/// The caller's side of a line.
pub struct Line<'l, 's, J, D> {
    jobs: Sender<Job<J>>,
    queue: Receiver<Job<J>>,
    done: Receiver<Finished<J, D>>,
    work: &'l (dyn Fn(&J) -> D + Sync),
    show: &'l mut Show<'s, J, D>,
    weight_max: usize,
    /// How many jobs were sent, and how many of them shown.
    sent: usize,
    shown: usize,
    /// Those after the last shown one, as far as they are finished.
    waiting: VecDeque<Option<Finished<J, D>>>,
    /// Of those that were sent and not shown.
    weight: usize,
    /// Whether `show` broke off.
    ended: bool,
}

impl<J, D> Line<'_, '_, J, D> {
    /// Sends a job, and shows what is finished, until there is room for more. Once this breaks off no more should be pushed.
    pub fn push(&mut self, job: J, weight: usize) -> ControlFlow<()> {
        if self.ended {
            return ControlFlow::Break(());
        }
        self.weight += weight;
        let job = Job {
            number: self.sent,
            weight,
            job,
        };
        self.sent += 1;
        self.waiting.push_back(None);
        self.jobs
            .send(job)
            .expect("the queue's other end is here too");
        while let Ok(finished) = self.done.try_recv() {
            self.take(finished)?;
        }
        while self.weight > self.weight_max {
            self.wait()?;
        }
        ControlFlow::Continue(())
    }

    /// Shows everything that was pushed, unless `show` breaks off or has.
    fn finish(&mut self) -> ControlFlow<()> {
        if self.ended {
            return ControlFlow::Break(());
        }
        while self.shown < self.sent {
            self.wait()?;
        }
        ControlFlow::Continue(())
    }

    /// Waits for a job to be finished: by doing one, if there is any.
    fn wait(&mut self) -> ControlFlow<()> {
        let finished = match self.queue.try_recv() {
            Ok(job) => job.run(self.work),
            Err(_) => self.done.recv().expect("what isn't queued is being done"),
        };
        self.take(finished)
    }

    fn take(&mut self, finished: Finished<J, D>) -> ControlFlow<()> {
        let index = finished.number - self.shown;
        self.waiting[index] = Some(finished);
        while let Some(next) = self.waiting.front_mut().and_then(Option::take) {
            self.waiting.pop_front();
            self.shown += 1;
            self.weight -= next.weight;
            let done = next.done.unwrap_or_else(|panic| resume_unwind(panic));
            if (self.show)(next.job, done).is_break() {
                self.ended = true;
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The squares of the jobs, in the order in which they were shown, up to `last`.
    fn squares(threads: usize, weight_max: usize, jobs: u64, last: u64) -> (Vec<u64>, bool) {
        let mut shown = Vec::new();
        let work = Work {
            threads,
            name: "test",
            prepare: &|| {},
            work: &|job: &u64| job * job,
            weight_max,
        };
        let mut show = |job, square| {
            shown.push(square);
            match job < last {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        };
        let ((), ended) = work.run(&mut show, |line| {
            for job in 0..jobs {
                if line.push(job, 1 + job as usize % 3).is_break() {
                    break;
                }
            }
        });
        (shown, ended.is_break())
    }

    #[test]
    fn jobs_are_shown_in_order_whatever_the_threads_and_the_room() {
        for threads in 0..5 {
            for weight_max in [0, 1, 5, 1000] {
                let (shown, ended) = squares(threads, weight_max, 200, 1000);
                assert_eq!(shown, (0..200).map(|job| job * job).collect::<Vec<_>>());
                assert!(!ended);
                let (shown, ended) = squares(threads, weight_max, 200, 57);
                assert_eq!((shown.len(), ended), (58, true));
            }
        }
    }

    #[test]
    fn a_panic_of_the_work_is_the_callers_and_no_hang() {
        for threads in 1..4 {
            let work = Work {
                threads,
                name: "test",
                prepare: &|| {},
                work: &|job: &u64| assert!(*job != 7, "seven"),
                weight_max: 3,
            };
            let mut shown = 0;
            let caught = catch_unwind(AssertUnwindSafe(|| {
                work.run(
                    &mut |_, ()| {
                        shown += 1;
                        ControlFlow::Continue(())
                    },
                    |line| (0..20).try_for_each(|job| line.push(job, 1)),
                )
            }));
            assert!(caught.is_err());
            assert_eq!(shown, 7);
        }
    }
}
