//! What time it is, as a value that callers inject: rules never ask the machine themselves.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Tells the time.
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

/// Time since this clock was made, which never goes back: for limits on waiting.
#[derive(Debug, Clone, Copy)]
pub struct MonotonicClock(Instant);

impl Default for MonotonicClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for MonotonicClock {
    fn now_us(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
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
