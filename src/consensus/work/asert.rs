//! Difficulty by ASERT: the next target follows from how far the last block is ahead of an absolute schedule or behind it.
//!
//! This is `aserti3-2d` as specified for Bitcoin Cash ([2020-11-15-asert]), with the unit of time left to the caller:
//!
//! ```text
//! exponent    = trunc((time - anchor.parent_time - spacing * (height - anchor.height + 1)) * 2^16 / half_life)
//! next target = anchor.target * 2^(exponent / 2^16)
//! ```
//!
//! where 2^x between two whole numbers is a cubic approximation in integers that errs by less than 0.013 %. Nothing accumulates: each
//! target comes from the anchor, the same in all chains, and not from the target before. So no rounding adds up, a false timestamp
//! has no effect beyond its own block, and there is no window at whose ends times could be chosen well. A chain that is one half-life behind its schedule has
//! twice the target.
//!
//! [2020-11-15-asert]: https://upgradespecs.bitcoincashnode.org/2020-11-15-asert/

use super::Target;

/// What all targets of a chain are relative to. As an anchor, height 1 with the time of genesis as that of its parent is known from
/// the specification alone; then the chain keeps up with a schedule that begins at genesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// Height of the block.
    pub height: u64,
    /// Timestamp of the block before it.
    pub parent_time: u64,
    /// Its target, above 0.
    pub target: Target,
}

/// How fast blocks shall follow each other, and how fast targets give way. Times are in any one unit, that of all timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// From one block to the next.
    pub spacing: u64,
    /// How much a chain has to be behind for its target to double, at least 1 (0 counts as 1). The specification of a chain says it as so
    /// many blocks times the spacing.
    pub half_life: u64,
    /// The greatest target that there is, above 0.
    pub limit: Target,
}

/// Bits of a fixed-point number behind the point.
const FRACTION: u32 = 16;
const ONE: i128 = 1 << FRACTION;
/// Beyond so many doublings or halvings a target of 256 bits is the limit, or 1.
const SHIFTS_MAX: i128 = 512;

/// The target of the block that follows the one at `height` with the timestamp `time`. At least 1 and at most the limit.
#[must_use]
pub fn next_target(schedule: &Schedule, anchor: &Anchor, height: u64, time: u64) -> Target {
    let exponent = exponent(schedule, anchor, height, time);
    // Rounded down, as an arithmetic shift does it, so that the fraction is never negative.
    let shifts = (exponent >> FRACTION).clamp(-SHIFTS_MAX, SHIFTS_MAX) as i32;
    let fraction = (exponent & (ONE - 1)) as u64;
    let target = anchor
        .target
        .scaled(power_of_two(fraction), shifts - FRACTION as i32);
    target.max(Target::ONE).min(schedule.limit)
}

/// [`next_target`] between difficulties: the anchor's target is that of a difficulty, and the limit that of the least.
#[must_use]
pub fn next_difficulty(schedule: &Schedule, anchor: &Anchor, height: u64, time: u64) -> u64 {
    next_target(schedule, anchor, height, time).difficulty()
}

/// By how many half-lives the chain is behind, in 2⁻¹⁶, rounded towards 0. The product can leave 128 bits only where it is so far beyond
/// [`SHIFTS_MAX`] that the greatest number of 128 bits is, too: 2¹²⁷ by a half-life below 2⁶⁴ is above 2⁶³.
fn exponent(schedule: &Schedule, anchor: &Anchor, height: u64, time: u64) -> i128 {
    let elapsed = i128::from(time) - i128::from(anchor.parent_time);
    let blocks = i128::from(height) - i128::from(anchor.height) + 1;
    let ideal = i128::from(schedule.spacing).saturating_mul(blocks);
    let behind = elapsed.saturating_sub(ideal);
    behind.saturating_mul(ONE) / i128::from(schedule.half_life.max(1))
}

/// 2¹⁶ · 2^(fraction / 2¹⁶) for a fraction below 2¹⁶. The sum is below 2⁶⁴.
fn power_of_two(fraction: u64) -> u64 {
    let linear = 195_766_423_245_049 * fraction;
    let square = 971_821_376 * fraction * fraction;
    let cubic = 5_127 * fraction * fraction * fraction;
    (1 << FRACTION) + ((linear + square + cubic + (1 << 47)) >> 48)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten seconds a block and a half-life of 100 of them, in microseconds.
    const SCHEDULE: Schedule = Schedule {
        spacing: 10_000_000,
        half_life: 1_000_000_000,
        limit: Target::MAX,
    };

    fn anchor(difficulty: u64) -> Anchor {
        Anchor {
            height: 1,
            parent_time: 5_000_000,
            target: Target::from_difficulty(difficulty),
        }
    }

    #[test]
    fn on_schedule_the_difficulty_is_that_of_the_anchor() {
        for height in [1, 2, 77, 1_000_000] {
            let time = 5_000_000 + height * SCHEDULE.spacing;
            for difficulty in [1, 2, 3, 1_000, u64::MAX] {
                let next = next_difficulty(&SCHEDULE, &anchor(difficulty), height, time);
                assert_eq!(next, difficulty);
            }
        }
    }

    #[test]
    fn one_half_life_behind_halves_and_one_ahead_doubles() {
        let (height, on_time) = (500, 5_000_000 + 500 * SCHEDULE.spacing);
        let next = |time| next_difficulty(&SCHEDULE, &anchor(1 << 40), height, time);
        for times in 1..=4 {
            let difference = times * SCHEDULE.half_life;
            assert_eq!(next(on_time + difference), 1 << (40 - times));
            assert_eq!(next(on_time - difference), 1 << (40 + times));
        }
        let root = next(on_time + SCHEDULE.half_life / 2) as f64 / (1_u64 << 40) as f64;
        assert!((root - 0.5_f64.sqrt()).abs() < 0.000_2, "{root}");
    }

    #[test]
    fn a_later_block_is_never_followed_by_a_harder_one() {
        let mut last = u64::MAX;
        for step in 0..4_000 {
            let time = step * 1_234_567;
            let next = next_difficulty(&SCHEDULE, &anchor(1 << 30), 200, time);
            assert!(next <= last, "{time}");
            last = next;
        }
    }

    #[test]
    fn targets_stay_between_one_and_the_limit() {
        let limited = Schedule {
            limit: Target::from_difficulty(16),
            ..SCHEDULE
        };
        let at = |height, time| next_difficulty(&limited, &anchor(1_000), height, time);
        assert_eq!(at(1, u64::MAX), 16);
        assert_eq!(at(u64::MAX, 0), u64::MAX);
        assert_eq!(
            next_target(&limited, &anchor(1_000), u64::MAX, 0),
            Target::ONE
        );
    }

    #[test]
    fn any_numbers_give_a_target() {
        let extremes = [0, 1, 2, 1 << 32, u64::MAX / 2, u64::MAX - 1, u64::MAX];
        let targets = [Target::ONE, Target::from_difficulty(1 << 32), Target::MAX];
        for (spacing, half_life) in extremes.into_iter().flat_map(|a| extremes.map(|b| (a, b))) {
            for limit in targets {
                let schedule = Schedule {
                    spacing,
                    half_life,
                    limit,
                };
                for (height, time) in extremes.into_iter().flat_map(|a| extremes.map(|b| (a, b))) {
                    for (target, parent_time) in targets.into_iter().zip(extremes) {
                        let anchor = Anchor {
                            height: time,
                            parent_time,
                            target,
                        };
                        let next = next_target(&schedule, &anchor, height, time);
                        assert!(Target::ONE <= next && next <= limit);
                    }
                }
            }
        }
    }
}
