//! How many refused blocks are written down: whoever sends bad blocks must not fill the disk with lines about them.

/// Lines about refused blocks that are written in a minute; the others are counted.
pub const REJECTIONS_A_MINUTE: u32 = 60;

const MINUTE_US: u64 = 60_000_000;

/// Counts what was written in the current minute, and what wasn't.
#[derive(Debug, Default)]
pub(super) struct Ration {
    minute: u64,
    written: u32,
    left_out: u64,
}

impl Ration {
    /// Whether one more may be written at this time, in microseconds since 1970.
    pub(super) fn takes(&mut self, time: u64) -> bool {
        self.begin(time / MINUTE_US);
        let takes = self.written < REJECTIONS_A_MINUTE;
        match takes {
            true => self.written += 1,
            false => self.left_out += 1,
        }
        takes
    }

    /// How many were left out since this was last asked, if that is to be said at this time: once the minute is over.
    pub(super) fn left_out(&mut self, time: u64) -> Option<u64> {
        match time / MINUTE_US == self.minute {
            true => None,
            false => self.rest(),
        }
    }

    /// How many were left out since this was last asked.
    pub(super) fn rest(&mut self) -> Option<u64> {
        Some(std::mem::take(&mut self.left_out)).filter(|left_out| *left_out > 0)
    }

    /// A clock that was set back begins a minute too.
    fn begin(&mut self, minute: u64) {
        if minute != self.minute {
            (self.minute, self.written) = (minute, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_in_a_minute_the_first_are_taken_and_the_others_counted_once() {
        let mut ration = Ration::default();
        let taken = (0..100)
            .filter(|second| ration.takes(MINUTE_US + second))
            .count();
        assert_eq!(taken, 60);
        assert_eq!(ration.left_out(MINUTE_US + 200), None);
        assert_eq!(ration.left_out(2 * MINUTE_US), Some(40));
        assert_eq!(ration.left_out(2 * MINUTE_US), None);
        assert!(ration.takes(2 * MINUTE_US));
        assert_eq!(ration.rest(), None);
    }
}
