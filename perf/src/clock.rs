//! What a piece of work took, by three clocks at once.
//!
//! Processor time leaves out the time in which other programs had the processor, so it is what work in one thread
//! is measured by. Work that is spread over threads has to be measured by the wall clock; the processor time of
//! the whole process beside it tells what the spreading cost.

use std::hint::black_box;
use std::iter::Sum;
use std::ops::Div;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

/// Seconds by each clock.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Times {
    /// Wall clock.
    pub(crate) wall: f64,
    /// Processor time of the thread that asked for the work.
    pub(crate) thread: f64,
    /// Processor time of the process, all its threads together.
    pub(crate) process: f64,
}

/// The clock that a figure is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// Processor time of the measuring thread: for work in that thread alone.
    Thread,
    /// The wall clock: for work in several threads.
    Wall,
    /// Processor time of the process: for work in several threads that waits for a disk, by the core.
    Processor,
}

impl Clock {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Thread => "thread_cpu",
            Self::Wall => "wall",
            Self::Processor => "process_cpu",
        }
    }
}

impl Times {
    /// Does the work and says what it took.
    pub(crate) fn of<T>(work: impl FnOnce() -> T) -> (T, Self) {
        let process = seconds(ClockId::ProcessCPUTime);
        let wall = Instant::now();
        let thread = seconds(ClockId::ThreadCPUTime);
        let result = black_box(work());
        let times = Self {
            thread: seconds(ClockId::ThreadCPUTime) - thread,
            wall: wall.elapsed().as_secs_f64(),
            process: seconds(ClockId::ProcessCPUTime) - process,
        };
        (result, times)
    }

    pub(crate) const fn by(&self, clock: Clock) -> f64 {
        match clock {
            Clock::Thread => self.thread,
            Clock::Wall => self.wall,
            Clock::Processor => self.process,
        }
    }
}

impl Sum for Times {
    fn sum<I: Iterator<Item = Self>>(times: I) -> Self {
        times.fold(Self::default(), |a, b| Self {
            wall: a.wall + b.wall,
            thread: a.thread + b.thread,
            process: a.process + b.process,
        })
    }
}

impl Div<f64> for Times {
    type Output = Self;

    fn div(self, by: f64) -> Self {
        Self {
            wall: self.wall / by,
            thread: self.thread / by,
            process: self.process / by,
        }
    }
}

fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_time_by_every_clock() {
        let (sum, times) = Times::of(|| (0..200_000u64).map(black_box).sum::<u64>());
        assert_eq!(sum, 199_999 * 100_000);
        assert!(times.thread > 0.0 && times.process > 0.0 && times.wall > 0.0);
    }

    #[test]
    fn work_of_another_thread_is_in_the_process_and_not_in_this_one() {
        let busy = || (0..20_000_000u64).map(black_box).sum::<u64>();
        let (_, times) = Times::of(|| std::thread::spawn(busy).join());
        assert!(times.process > times.thread);
    }
}
