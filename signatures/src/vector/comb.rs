//! Combs: tables of a point's multiples in every window, so that multiplying it takes additions only. For keys that
//! sign one message at a time, where there is no batch to share doublings with.
//!
//! E. Brickell, D. Gordon, K. McCurley and D. Wilson, "Fast exponentiation with precomputation" (1992), with signed digits.
//!
//! # Safety
//! See [`field`](super::field).

use super::buckets::export;
use super::cells::{DIGIT_BITS, TABLE};
use super::field::{Extended, Field, LANES_MAX, Mask, Niels};
use crate::point::Point;

/// Windows of a comb: 4 bits each, 256 in all.
pub(crate) const COMB_WINDOWS: usize = 64;
/// Points of a comb: for each window, the multiples of `[16^window]P` from 0 to 8.
pub(crate) const COMB_POINTS: usize = COMB_WINDOWS * TABLE;

/// `[a]A + [b]B + …` by combs, which leave only additions: each lane takes other windows. A comb's points are in the
/// order window, multiple.
///
/// # Panics
/// If a comb has not [`COMB_POINTS`] points, or a digit is larger than 8.
#[inline(always)]
pub(crate) unsafe fn comb_sum<F: Field>(terms: &[(&[Niels], &[i16; COMB_WINDOWS])]) -> Point {
    unsafe {
        let mut sum = Extended::<F>::identity();
        for (comb, digits) in terms {
            assert_eq!(comb.len(), COMB_POINTS);
            for first in (0..COMB_WINDOWS).step_by(F::LANES) {
                let mut rows = [comb.as_ptr(); LANES_MAX];
                let mut negative: Mask = 0;
                for lane in 0..F::LANES {
                    let digit = digits[first + lane];
                    let entry = (first + lane) * TABLE + usize::from(digit.unsigned_abs());
                    rows[lane] = core::ptr::from_ref(&comb[entry]);
                    negative |= Mask::from(digit < 0) << lane;
                }
                sum = sum.add_affine(&F::gather(&rows, negative));
            }
        }
        let mut lanes = [Point::IDENTITY; LANES_MAX];
        export(&sum, &mut lanes);
        lanes[..F::LANES]
            .iter()
            .fold(Point::IDENTITY, |total, &lane| total + lane)
    }
}

/// The points of a comb.
pub(crate) fn comb_points(point: Point) -> Vec<Point> {
    let mut points = Vec::with_capacity(COMB_POINTS);
    let mut base = point;
    for _ in 0..COMB_WINDOWS {
        let mut multiple = Point::IDENTITY;
        for _ in 0..TABLE {
            points.push(multiple);
            multiple = multiple + base;
        }
        base = base.double_times(DIGIT_BITS);
    }
    points
}

#[cfg(test)]
mod tests;
