//! When a block is due, for whoever makes blocks by itself. Pure: time and what there is to see come in as arguments.

/// How often a block that can't be made is tried again, until something changes.
pub(super) const RETRIES_MAX: u32 = 8;

/// What there is to see at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Seen {
    /// The end of the committed chain.
    pub(super) end: u64,
    /// The time between two blocks, in microseconds; 0: no block is due by time.
    pub(super) block_time_us: u64,
    /// Whether somebody asks for a block.
    pub(super) is_asked: bool,
    /// Whether what waits fills a block.
    pub(super) is_full: bool,
    /// Whether anything could be in a block.
    pub(super) has_ready: bool,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Make a block; without transactions only if that may be.
    Make {
        /// Whether it may be empty.
        may_be_empty: bool,
    },
    /// Wait for news, at most until a time by the timer if there is one.
    Wait(Option<u64>),
}

/// How blocks are paced.
#[derive(Debug)]
pub(super) struct Pace {
    makes_empty: bool,
    retry_us: u64,
    end: u64,
    /// When the last block was seen, by the timer.
    since_us: u64,
    failures: u32,
    /// When it may be tried again.
    again_us: u64,
}

impl Pace {
    /// From now on, with the chain's end at `end`.
    pub(super) const fn new(makes_empty: bool, retry_us: u64, end: u64, now_us: u64) -> Self {
        Self {
            makes_empty,
            retry_us,
            end,
            since_us: now_us,
            failures: 0,
            again_us: now_us,
        }
    }

    /// What is to be done now.
    pub(super) fn step(&mut self, seen: Seen, now_us: u64) -> Step {
        if seen.end != self.end {
            // A block came, whoever made it: the next is due as long after it, and what failed may succeed behind it.
            *self = Self::new(self.makes_empty, self.retry_us, seen.end, now_us);
        }
        if seen.is_asked {
            return Step::Make { may_be_empty: true };
        }
        if self.failures > RETRIES_MAX {
            return Step::Wait(None);
        }
        let is_paced = seen.block_time_us > 0;
        let due_us = match seen.is_full {
            true => self.again_us,
            false => self
                .since_us
                .saturating_add(seen.block_time_us)
                .max(self.again_us),
        };
        let is_wanted = seen.is_full || is_paced && (seen.has_ready || self.makes_empty);
        match (is_wanted, now_us >= due_us) {
            (true, true) => Step::Make {
                may_be_empty: is_paced && self.makes_empty,
            },
            (true, false) => Step::Wait(Some(due_us)),
            // What becomes ready is news.
            (false, _) => Step::Wait(None),
        }
    }

    /// Notes that there was nothing to be put into a block after all: the next is due a block time later.
    pub(super) const fn found_nothing(&mut self, now_us: u64) {
        self.since_us = now_us;
        self.again_us = now_us.saturating_add(self.retry_us);
    }

    /// Notes that no block could be made. Whether it will be tried again by itself.
    pub(super) const fn failed(&mut self, now_us: u64) -> bool {
        self.failures += 1;
        self.again_us = now_us.saturating_add(self.retry_us);
        self.failures <= RETRIES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn seen(change: impl FnOnce(&mut Seen)) -> Seen {
        let mut seen = Seen {
            end: 1,
            block_time_us: SECOND,
            has_ready: true,
            ..Seen::default()
        };
        change(&mut seen);
        seen
    }

    fn make(may_be_empty: bool) -> Step {
        Step::Make { may_be_empty }
    }

    #[test]
    fn a_block_is_due_a_block_time_after_the_last_whoever_made_it() {
        let mut pace = Pace::new(false, 1, 1, 0);
        assert_eq!(pace.step(seen(|_| {}), 0), Step::Wait(Some(SECOND)));
        assert_eq!(
            pace.step(seen(|seen| seen.end = 2), 600),
            Step::Wait(Some(SECOND + 600))
        );
        let later = seen(|seen| seen.end = 2);
        assert_eq!(
            pace.step(later, SECOND + 599),
            Step::Wait(Some(SECOND + 600))
        );
        assert_eq!(pace.step(later, SECOND + 600), make(false));
    }

    #[test]
    fn an_empty_block_is_made_only_where_that_is_wanted_or_asked_for() {
        let empty = seen(|seen| seen.has_ready = false);
        let mut pace = Pace::new(false, 1, 1, 0);
        assert_eq!(pace.step(empty, 5 * SECOND), Step::Wait(None));
        let asked = seen(|seen| (seen.has_ready, seen.is_asked) = (false, true));
        assert_eq!(pace.step(asked, 0), make(true));
        let mut pace = Pace::new(true, 1, 1, 0);
        assert_eq!(pace.step(empty, SECOND), make(true));
    }

    #[test]
    fn without_a_block_time_a_block_is_made_when_it_is_full() {
        let mut pace = Pace::new(true, 1, 1, 0);
        let idle = seen(|seen| seen.block_time_us = 0);
        assert_eq!(pace.step(idle, 100 * SECOND), Step::Wait(None));
        let full = seen(|seen| (seen.block_time_us, seen.is_full) = (0, true));
        assert_eq!(pace.step(full, 100 * SECOND), make(false));
    }

    #[test]
    fn what_fails_is_tried_again_a_few_times_and_then_when_something_changed() {
        let mut pace = Pace::new(false, 10, 1, 0);
        let mut now_us = SECOND;
        for failure in 1..=RETRIES_MAX + 1 {
            assert_eq!(pace.step(seen(|_| {}), now_us), make(false));
            assert_eq!(pace.failed(now_us), failure <= RETRIES_MAX);
            let waits = match failure <= RETRIES_MAX {
                true => Some(now_us + 10),
                false => None,
            };
            assert_eq!(pace.step(seen(|_| {}), now_us), Step::Wait(waits));
            now_us += 10;
        }
        assert_eq!(
            pace.step(seen(|seen| seen.is_full = true), 9 * SECOND),
            Step::Wait(None)
        );
        assert_eq!(
            pace.step(seen(|seen| seen.is_asked = true), 9 * SECOND),
            make(true)
        );
        let news = seen(|seen| (seen.end, seen.is_full) = (2, true));
        assert_eq!(pace.step(news, 9 * SECOND), make(false));
    }

    #[test]
    fn what_turns_out_to_be_nothing_is_not_looked_at_again_at_once() {
        let mut pace = Pace::new(false, 10, 1, 0);
        let full = seen(|seen| seen.is_full = true);
        assert_eq!(pace.step(full, 5), make(false));
        pace.found_nothing(5);
        assert_eq!(pace.step(full, 5), Step::Wait(Some(15)));
        assert_eq!(pace.step(seen(|_| {}), 15), Step::Wait(Some(SECOND + 5)));
    }
}
