//! The sum over a range of positions, by the bucket method.

use std::ops::Range;

use super::{Admitted, Shared};
use crate::point::Point;
use crate::scalar::{SignedWide, Windows};
use crate::vector::{Bucket, Group, LANES_MAX, Terms};

/// The windows that every sum in a search uses: coefficients depend on the windows.
pub(super) static SEARCH_WINDOWS: Windows = Windows::new(16);

/// The windows that there are to choose from; each is a multiple of 4, some of 8.
pub(super) static WINDOWS: [Windows; 5] = [
    Windows::new(12),
    SEARCH_WINDOWS,
    Windows::new(20),
    Windows::new(24),
    Windows::new(32),
];

/// Additions that two additions of buckets with each other cost, when an addition of a point to a bucket is 2.
const REDUCTION_COST: usize = 5;

/// The windows with which a sum of so many low and high terms takes the fewest additions.
pub(super) fn cheapest_windows(lanes: usize, (low, high): (usize, usize)) -> &'static Windows {
    let fits = WINDOWS
        .iter()
        .filter(|windows| windows.count() % lanes == 0);
    let cost = |windows: &&Windows| {
        let reductions = REDUCTION_COST * windows.digit_max();
        let halves = if high > 0 { 2 } else { 1 };
        windows.count() * (2 * (low + high) + halves * reductions)
    };
    fits.min_by_key(cost).unwrap_or(&SEARCH_WINDOWS)
}

/// Digits and buckets, used again.
#[derive(Debug, Default)]
pub(super) struct SumRoom {
    r: Vec<i16>,
    low: Vec<i16>,
    high: Vec<i16>,
    base: Vec<i16>,
    buckets: Vec<Bucket>,
    sums: Vec<Point>,
}

impl Shared {
    /// `Σ [z]D` over positions before the suspected ones, up to small-order points.
    pub(super) fn sum(
        &self,
        admitted: &Admitted,
        range: Range<usize>,
        windows: &Windows,
        room: &mut SumRoom,
    ) -> Point {
        let slots = admitted.slots(&range);
        room.split(admitted, &range, &slots, windows);
        let cold = admitted.first_cold(&slots);
        let count = windows.count();
        let (high_warm, high_cold) = room.high.split_at((cold - slots.start) * count);
        let low_windows = [
            Terms {
                points: &admitted.r[range],
                digits: &room.r,
            },
            Terms {
                points: &admitted.low[slots.clone()],
                digits: &room.low,
            },
            Terms {
                points: &admitted.high[slots.start..cold],
                digits: high_warm,
            },
            Terms {
                points: &self.base,
                digits: &room.base,
            },
        ];
        let high_windows = [Terms {
            points: &admitted.low[cold..slots.end],
            digits: high_cold,
        }];
        let lanes = self.path.lanes();
        room.sums.clear();
        for (terms, wanted) in [(&low_windows[..], true), (&high_windows, cold < slots.end)] {
            for first in (0..count).step_by(lanes).filter(|_| wanted) {
                let group = Group {
                    first,
                    stride: count,
                    digit_max: windows.digit_max(),
                };
                let mut sums = [Point::IDENTITY; LANES_MAX];
                self.path
                    .window_sums(terms, group, &mut room.buckets, &mut sums[..lanes]);
                room.sums.extend_from_slice(&sums[..lanes]);
            }
        }
        horner(&room.sums, windows)
    }
}

impl SumRoom {
    /// The digits of every term.
    fn split(
        &mut self,
        admitted: &Admitted,
        range: &Range<usize>,
        slots: &Range<usize>,
        windows: &Windows,
    ) {
        let count = windows.count();
        // Every digit is rewritten below.
        self.r.resize(range.len() * count, 0);
        self.low.resize(slots.len() * count, 0);
        self.high.resize(slots.len() * count, 0);
        self.base.resize(2 * count, 0);
        let mut base = SignedWide::default();
        let mut r = self.r.chunks_exact_mut(count);
        let low = self.low.chunks_exact_mut(count);
        let high = self.high.chunks_exact_mut(count);
        for ((slot, low), high) in slots.clone().zip(low).zip(high) {
            let run = admitted.run(slot);
            let mut key = SignedWide::default();
            for at in run.start.max(range.start)..run.end.min(range.end) {
                let bits = admitted.bits(at);
                if let Some(digits) = r.next() {
                    windows.split(bits, digits);
                }
                let coefficient = windows.coefficient(bits);
                key.multiply_add(coefficient, admitted.digest(at));
                base.multiply_add(coefficient, admitted.s(at).limbs());
            }
            windows.split_scalar(&key.reduce(), low, high);
        }
        let (low, high) = self.base.split_at_mut(count);
        windows.split_scalar(&base.reduce_negated(), low, high);
    }
}

/// `Σ 2^(place of window i)·sum_i`; windows beyond those of 128 bits go on above them.
fn horner(sums: &[Point], windows: &Windows) -> Point {
    let mut total = Point::IDENTITY;
    for (i, &sum) in sums.iter().enumerate().rev() {
        total = total.double_times(windows.width(i % windows.count())) + sum;
    }
    total
}

#[cfg(test)]
mod tests;
