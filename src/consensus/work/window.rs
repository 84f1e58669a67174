//! Difficulty by MPREG's rule: the mean time between the last blocks against the target, in steps of two.
//!
//! `Blockchain.get_current_difficulty` of MPREG asks this before each block, of the last `interval` blocks. It goes back and forth between two difficulties where ASERT settles
//! ([`asert`](super::asert)), follows a change of the miners' power for a whole window after it, and reaches 100 at most; so it is for chains that want MPREG's numbers.
//! Its answer for a chain of fewer blocks than the interval, the interval itself, is no difficulty; there the one that the
//! chain begins with stays.

/// The greatest difficulty that this rule sets.
pub const DIFFICULTY_MAX: u64 = 100;

/// The last blocks that are looked at, up to the one before the block whose difficulty is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How many blocks there are, both ends included: MPREG's `difficulty_adjustment_interval`.
    pub interval: u32,
    /// Timestamp of the first of them.
    pub first: u64,
    /// Timestamp of the last.
    pub last: u64,
}

/// The difficulty of the block after a window whose last block has `difficulty`. `spacing` is the time that shall pass from one block to
/// the next, in the unit of the timestamps.
///
/// Twice as much, and at most 100, if the mean is below half of the spacing; half as much, rounded down, and at least 1, if
/// it is above twice the spacing; else the same. In a window of fewer than two blocks there is nothing to measure; MPREG says 1
/// then. Times that don't ascend count as equal.
#[must_use]
pub fn next_difficulty(difficulty: u64, window: &Window, spacing: u64) -> u64 {
    let gaps = u128::from(window.interval.saturating_sub(1));
    if gaps == 0 {
        return 1;
    }
    let span = u128::from(window.last.saturating_sub(window.first));
    let ideal = u128::from(spacing) * gaps;
    if 2 * span < ideal {
        difficulty.saturating_mul(2).min(DIFFICULTY_MAX)
    } else if span > 2 * ideal {
        (difficulty / 2).max(1)
    } else {
        difficulty
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The difficulty after eleven blocks, thus ten gaps, over `span`, where 100 are wanted from one to the next.
    fn after(difficulty: u64, span: u64) -> u64 {
        let window = Window {
            interval: 11,
            first: 7_000,
            last: 7_000 + span,
        };
        next_difficulty(difficulty, &window, 100)
    }

    #[test]
    fn a_mean_below_half_doubles_and_exactly_half_does_not() {
        assert_eq!(after(8, 0), 16);
        assert_eq!(after(8, 499), 16);
        assert_eq!(after(8, 500), 8);
    }

    #[test]
    fn a_mean_above_double_halves_and_exactly_double_does_not() {
        assert_eq!(after(8, 2_000), 8);
        assert_eq!(after(8, 2_001), 4);
        assert_eq!(after(9, 2_001), 4);
        assert_eq!(after(8, u64::MAX - 7_000), 4);
    }

    #[test]
    fn it_stays_between_1_and_100() {
        assert_eq!(after(50, 0), 100);
        assert_eq!(after(51, 0), 100);
        assert_eq!(after(100, 0), 100);
        assert_eq!(after(u64::MAX, 0), 100);
        assert_eq!(after(2, 2_001), 1);
        assert_eq!(after(1, 2_001), 1);
        assert_eq!(after(0, 2_001), 1);
        // Only a change is bounded, as in MPREG: who begins above stays until the pace asks for another.
        assert_eq!(after(400, 1_000), 400);
        assert_eq!(after(400, 2_001), 200);
    }

    #[test]
    fn without_a_gap_it_is_1() {
        for interval in [0, 1] {
            let window = Window {
                interval,
                first: 0,
                last: 5,
            };
            assert_eq!(next_difficulty(64, &window, 100), 1);
        }
        let two = Window {
            interval: 2,
            first: 0,
            last: 49,
        };
        assert_eq!(next_difficulty(32, &two, 100), 64);
    }

    #[test]
    fn no_numbers_overflow() {
        let window = Window {
            interval: u32::MAX,
            first: u64::MAX,
            last: 0,
        };
        assert_eq!(next_difficulty(10, &window, u64::MAX), 20);
        let window = Window {
            first: 0,
            last: u64::MAX,
            ..window
        };
        assert_eq!(next_difficulty(10, &window, u64::MAX), 20);
        assert_eq!(next_difficulty(10, &window, 0), 5);
    }
}
