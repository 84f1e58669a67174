//! Sums of many points, each times a short signed scalar: the bucket method, a window in each lane.
//!
//! N. Pippenger (1976), as described in D. J. Bernstein, J. Doumen, T. Lange and J.-J. Oosterwijk, "Faster batch forgery
//! identification" (2012): for each window of the scalars, every point is added to the bucket that its digit names;
//! `Σ d·bucket_d` is then two additions a bucket. A vector's lanes are different windows of the *same* point, so
//! two lanes never want the same bucket, and the point is loaded once for all of them.
//!
//! # Safety
//! See [`field`](super::field).

use super::field::{Bucket, Extended, Field, LANES_MAX, Mask, Niels};
use crate::point::{Fe, Point};

/// Points and the digits of their scalars: `stride` digits for each point, one for each window.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) points: &'a [Niels],
    pub(crate) digits: &'a [i16],
}

/// Which windows to sum, of how many, and how many buckets their largest digit needs.
#[derive(Clone, Copy)]
pub(crate) struct Group {
    /// The first window; as many follow as there are lanes.
    pub(crate) first: usize,
    /// Digits of a point.
    pub(crate) stride: usize,
    /// The largest size of a digit.
    pub(crate) digit_max: usize,
}

/// More buckets in a lane than stay in the nearest caches: they are asked for ahead.
const NEAR_BUCKETS_MAX: usize = 256;

/// `Σ digit·point` for each window of the group, into `sums`, which has as many elements as there are lanes.
/// `buckets` is room that is used again.
#[inline(always)]
pub(crate) unsafe fn window_sums<F: Field>(
    terms: &[Terms<'_>],
    group: Group,
    buckets: &mut Vec<Bucket>,
    sums: &mut [Point],
) {
    let lane_buckets = group.digit_max + 1;
    unsafe {
        buckets.clear();
        buckets.resize(F::LANES * lane_buckets, identity::<F>());
        let base = buckets.as_mut_ptr();
        for terms in terms {
            let digits = terms.digits.chunks_exact(group.stride);
            assert_eq!(digits.len(), terms.points.len());
            let far = group.digit_max > NEAR_BUCKETS_MAX;
            for (i, (point, digits)) in terms.points.iter().zip(digits).enumerate() {
                let digits = &digits[group.first..group.first + F::LANES];
                let mut rows = [base; LANES_MAX];
                let mut negative: Mask = 0;
                for lane in 0..F::LANES {
                    let size = usize::from(digits[lane].unsigned_abs());
                    assert!(size < lane_buckets);
                    rows[lane] = base.add(lane * lane_buckets + size);
                    negative |= Mask::from(digits[lane] < 0) << lane;
                }
                if far {
                    let ahead = (i + 2) * group.stride + group.first;
                    for (lane, digit) in terms.digits.iter().skip(ahead).take(F::LANES).enumerate()
                    {
                        let size = usize::from(digit.unsigned_abs());
                        F::prefetch(base.wrapping_add(lane * lane_buckets + size));
                    }
                }
                let sum = F::load_buckets(&rows).add_affine(&F::broadcast(point, negative));
                F::store_buckets(&sum, &rows);
            }
        }
        export(&weighted::<F>(base, lane_buckets), sums);
    }
}

/// A bucket without points.
#[inline(always)]
unsafe fn identity<F: Field>() -> Bucket {
    unsafe {
        let mut buckets = [Bucket([0; 24]); LANES_MAX];
        let base = buckets.as_mut_ptr();
        let rows = core::array::from_fn(|lane| base.wrapping_add(lane));
        F::store_buckets(&Extended::<F>::identity(), &rows);
        buckets[0]
    }
}

/// `Σ d·bucket_d` in each lane, by sums of sums from the largest `d` down.
#[inline(always)]
unsafe fn weighted<F: Field>(base: *mut Bucket, lane_buckets: usize) -> Extended<F> {
    unsafe {
        let mut running = Extended::<F>::identity();
        let mut total = running;
        for digit in (1..lane_buckets).rev() {
            let mut rows = [base; LANES_MAX];
            for (lane, row) in rows.iter_mut().enumerate().take(F::LANES) {
                *row = base.add(lane * lane_buckets + digit);
            }
            running = running.add(&F::load_buckets(&rows));
            total = total.add(&running);
        }
        total
    }
}

/// Lanes as points.
#[inline(always)]
pub(crate) unsafe fn export<F: Field>(lanes: &Extended<F>, points: &mut [Point]) {
    unsafe {
        let coordinates = [lanes.x, lanes.y, lanes.z, lanes.t].map(|f| f.canonical());
        for (lane, point) in points.iter_mut().enumerate().take(F::LANES) {
            let [x, y, z, t] = coordinates.map(|limbs| Fe(limbs.map(|limb| limb[lane])));
            *point = Point { x, y, z, t };
        }
    }
}

#[cfg(test)]
mod tests;
