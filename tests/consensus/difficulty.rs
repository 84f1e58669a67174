//! Targets and the rules for the next difficulty against models in numbers of any size, written from the definitions.

use hubledger::consensus::work::Target;
use hubledger::consensus::work::asert::{Anchor, Schedule, next_target};
use hubledger::consensus::work::window::{self, Window};
use hubledger::digest::BlockHash;
use num_bigint::{BigInt, Sign};

/// Bytes of an input: seven numbers of 8 bytes and three of 32.
pub(crate) const INPUT: usize = 7 * 8 + 3 * 32;

fn big(target: Target) -> BigInt {
    BigInt::from_bytes_be(Sign::Plus, &target.to_be_bytes())
}

fn power(exponent: u32) -> BigInt {
    BigInt::from(1) << exponent
}

/// Checks everything about the numbers of an input, which are little-endian. What is too short says nothing.
pub(crate) fn check(input: &[u8]) {
    let Some((numbers, targets)) = input
        .first_chunk::<INPUT>()
        .and_then(|input| input.split_first_chunk::<56>())
    else {
        return;
    };
    let (numbers, _) = numbers.as_chunks::<8>();
    let (targets, _) = targets.as_chunks::<32>();
    let number = |at: usize| u64::from_le_bytes(numbers[at]);
    let target = |at: usize| Target::from_be_bytes(&targets[at]);

    check_difficulty(number(0), &BlockHash(targets[0]));
    check_difficulty_of(target(0));
    check_compact(number(0) as u32, target(0));
    let schedule = Schedule {
        spacing: number(0),
        half_life: number(1),
        limit: target(1).max(Target::ONE),
    };
    let anchor = Anchor {
        height: number(2),
        parent_time: number(3),
        target: target(2).max(Target::ONE),
    };
    check_asert(&schedule, &anchor, number(4), number(5));
    let window = Window {
        interval: number(1) as u32,
        first: number(3),
        last: number(5),
    };
    check_window(number(6), &window, number(0));
}

/// A difficulty comes back from its target, which the hash meets exactly if hash times difficulty stays below 2²⁵⁶.
fn check_difficulty(difficulty: u64, hash: &BlockHash) {
    let target = Target::from_difficulty(difficulty);
    assert_eq!(target.difficulty(), difficulty.max(1));
    let product = BigInt::from_bytes_be(Sign::Plus, &hash.0) * difficulty.max(1);
    assert_eq!(target.is_met_by(hash), product < power(256));
    // What Bitcoin would count as its work.
    let work = power(256) / (big(target) + 1);
    assert!(work == difficulty.max(1).into() || work + 1 == difficulty.into());
}

fn check_difficulty_of(target: Target) {
    let difficulty = target.difficulty();
    let greatest: BigInt = power(256) - 1;
    let quotient: BigInt = greatest / big(target).max(BigInt::from(1));
    assert_eq!(
        BigInt::from(difficulty),
        quotient.min(BigInt::from(u64::MAX))
    );
    assert_eq!(Target::from_be_bytes(&target.to_be_bytes()), target);
}

/// Compact bits keep the first 15 bits of a number at least, never make it greater, and come back from what they say.
fn check_compact(bits: u32, target: Target) {
    let (exponent, mantissa) = (bits >> 24, bits & 0x007f_ffff);
    let number = match exponent {
        0..3 => BigInt::from(mantissa >> (8 * (3 - exponent))),
        _ => BigInt::from(mantissa) << (8 * (exponent - 3)),
    };
    let is_negative = bits & 0x0080_0000 != 0 && number != BigInt::ZERO;
    let expected = (!is_negative && number < power(256)).then_some(number);
    let read = Target::from_compact(bits);
    assert_eq!(read.map(big), expected, "{bits:08x}");
    if let Some(read) = read {
        assert_eq!(Target::from_compact(read.to_compact()), Some(read));
    }
    let kept = Target::from_compact(target.to_compact());
    let kept = big(kept.expect("neither negative nor too long"));
    let lost = big(target) - kept;
    assert!(BigInt::ZERO <= lost && lost <= big(target) >> 15);
}

/// The algorithm of the specification, line by line.
fn check_asert(schedule: &Schedule, anchor: &Anchor, height: u64, time: u64) {
    let time_delta = BigInt::from(time) - anchor.parent_time;
    let height_delta = BigInt::from(height) - anchor.height;
    let behind = time_delta - BigInt::from(schedule.spacing) * (height_delta + 1);
    // This division truncates, and this shift rounds down.
    let exponent: BigInt = behind * 65_536 / schedule.half_life.max(1);
    let shifts: BigInt = &exponent >> 16;
    let fraction = exponent - (&shifts << 16);
    let square = &fraction * &fraction;
    let cube = &square * &fraction;
    let factor: BigInt =
        ((fraction * 195_766_423_245_049_u64 + square * 971_821_376 + cube * 5_127 + power(47))
            >> 48)
            + 65_536;
    let product = big(anchor.target) * factor;
    // Beyond these, no number of 256 bits but the least and the greatest is left.
    let next = match i32::try_from(&shifts) {
        Ok(shifts @ -300..0) => product >> (16 + shifts.unsigned_abs()),
        Ok(shifts @ 0..300) => (product << shifts) >> 16,
        _ if shifts < BigInt::ZERO => BigInt::ZERO,
        _ => power(256),
    };
    let expected = next.max(BigInt::from(1)).min(big(schedule.limit));
    assert_eq!(big(next_target(schedule, anchor, height, time)), expected);
}

/// The mean as a fraction, compared as MPREG does it.
fn check_window(difficulty: u64, window: &Window, spacing: u64) {
    let gaps = BigInt::from(window.interval) - 1;
    let span = (BigInt::from(window.last) - window.first).max(BigInt::ZERO);
    let expected: BigInt = if gaps < BigInt::from(1) {
        1.into()
    } else if &span * 2 < &gaps * spacing {
        BigInt::from(u128::from(difficulty) * 2).min(BigInt::from(100))
    } else if span > gaps * spacing * 2 {
        BigInt::from((difficulty / 2).max(1))
    } else {
        difficulty.into()
    };
    let found = window::next_difficulty(difficulty, window, spacing);
    assert_eq!(BigInt::from(found), expected, "{window:?}");
}
