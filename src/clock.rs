//! Time, as values that callers inject: rules never ask the machine themselves.
//!
//! There are two kinds, and no value is of both: a [`Clock`] tells the time of day, which anybody may set, and a [`Timer`] tells
//! how much time has passed, which only grows. Timestamps are checked and made by the first; limits on waiting go by the second.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The last moment of the year 9999 in microseconds since the Unix epoch. A time beyond it is a mistake: a clock that is
/// broken, or another unit.
pub const TIME_US_MAX: u64 = 253_402_300_799_999_999;

/// How far a block of our own may be ahead, in microseconds: a day, which a machine may have slept.
pub(crate) const AHEAD_US_MAX: u64 = 24 * 60 * 60 * 1_000_000;

/// Tells the time of day.
pub trait Clock: Send + Sync {
    /// Microseconds since the Unix epoch.
    fn now_us(&self) -> u64;
}

/// The machine's own clock. A machine set before 1970 is at 0.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_us(&self) -> u64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }
}

/// Tells how much time has passed, and never goes back: for limits on waiting.
pub trait Timer: Send + Sync {
    /// Microseconds since some moment that stays the same for as long as the timer lives.
    fn elapsed_us(&self) -> u64;
}

/// The machine's monotonic time since this timer was made.
#[derive(Debug, Clone, Copy)]
pub struct SystemTimer(Instant);

impl Default for SystemTimer {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Timer for SystemTimer {
    fn elapsed_us(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// What the clock and the timer read at one moment.
///
/// A block can't be older than the one before it, so that a single block from a clock that has jumped ahead would bind the
/// chain to that time; at the end of `u64` it would be the last. The clock is therefore held against the timer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    unix_us: u64,
    elapsed_us: u64,
}

impl Start {
    pub(crate) fn of(clock: &dyn Clock, timer: &dyn Timer) -> Self {
        Self {
            unix_us: clock.now_us(),
            elapsed_us: timer.elapsed_us(),
        }
    }

    /// The latest time that the clock can tell and be believed when the timer reads `elapsed_us` and the last block is of
    /// `head_us`: a day after both the last block and the time that it is by the timer, and not beyond the year
    /// 9999. So a chain that rested for a week goes on at once (the clock said so from the start), and so does one
    /// whose clock was set right, as soon as others' blocks say the same.
    pub(crate) fn latest_us(self, elapsed_us: u64, head_us: u64) -> u64 {
        let passed = elapsed_us.saturating_sub(self.elapsed_us);
        let by_timer = self.unix_us.saturating_add(passed);
        let latest = by_timer.max(head_us).saturating_add(AHEAD_US_MAX);
        latest.min(TIME_US_MAX)
    }
}

/// A clock that stands still, for tests and for checking as of a given moment.
#[derive(Debug, Clone, Copy)]
pub struct FixedClock(
    /// Microseconds since the Unix epoch.
    pub u64,
);

impl Clock for FixedClock {
    fn now_us(&self) -> u64 {
        self.0
    }
}

/// A timer that stands still, for tests.
#[derive(Debug, Clone, Copy)]
pub struct FixedTimer(
    /// Microseconds.
    pub u64,
);

impl Timer for FixedTimer {
    fn elapsed_us(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK: u64 = 7 * AHEAD_US_MAX;
    /// Some day in 2023.
    const THEN: u64 = 1_700_000_000_000_000;

    #[test]
    fn a_clock_may_be_a_day_ahead_of_the_last_block_and_of_the_time_that_passed() {
        let start = Start::of(&FixedClock(THEN + WEEK), &FixedTimer(500));
        // After a week of rest, and a week later without a block.
        assert_eq!(start.latest_us(500, THEN), THEN + WEEK + AHEAD_US_MAX);
        let later = start.latest_us(500 + WEEK, THEN);
        assert_eq!(later, THEN + 2 * WEEK + AHEAD_US_MAX);
        // A machine that slept, while others went on.
        let head = THEN + 3 * WEEK;
        assert_eq!(start.latest_us(500, head), head + AHEAD_US_MAX);
    }

    #[test]
    fn no_clock_reaches_beyond_the_year_9999() {
        let broken = Start::of(&FixedClock(u64::MAX), &FixedTimer(u64::MAX));
        assert_eq!(broken.latest_us(0, 0), TIME_US_MAX);
        assert_eq!(broken.latest_us(u64::MAX, u64::MAX), TIME_US_MAX);
    }

    #[test]
    fn the_last_time_is_the_end_of_the_year_9999() {
        let end = UNIX_EPOCH + std::time::Duration::from_micros(TIME_US_MAX);
        let text = humantime::format_rfc3339_micros(end).to_string();
        assert_eq!(text, "9999-12-31T23:59:59.999999Z");
    }
}
