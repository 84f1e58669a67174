//! A few points, each times its scalar, summed in each lane apart: small batches, the search for bad signatures, and
//! single signatures.
//!
//! E. G. Straus, "Addition chains of vectors" (1964): all terms of a lane share the doublings, and each has a table of its
//! multiples up to 8, from which signed digits of 4 bits choose.
//!
//! # Safety
//! See [`field`](super::field).

use super::buckets::export;
use super::field::{Bucket, Cached, Extended, Field, LANES_MAX, Mask, Niels};
use crate::point::Point;

/// Bits of a digit.
pub(crate) const DIGIT_BITS: u32 = 4;
/// Entries of a table: the multiples from 0 to the largest size of a digit.
pub(super) const TABLE: usize = (1 << (DIGIT_BITS - 1)) + 1;

/// A term of each lane: a point and the digits of its scalar, the lowest first, equally many in all lanes.
#[derive(Clone, Copy)]
pub(crate) struct LaneTerm<'a> {
    pub(crate) points: [&'a Niels; LANES_MAX],
    pub(crate) digits: [&'a [i16]; LANES_MAX],
}

/// Each lane's `Σ scalar·point`, into `sums`, which has as many elements as there are lanes. `tables` is room that is used again.
///
/// # Panics
/// If a lane has fewer digits than lane 0, or a digit is larger than 8.
#[inline(always)]
pub(crate) unsafe fn cell_sums<F: Field>(
    terms: &[LaneTerm<'_>],
    tables: &mut Vec<Bucket>,
    sums: &mut [Point],
) {
    unsafe {
        tables.clear();
        tables.resize(terms.len() * F::LANES * TABLE, Bucket([0; 24]));
        for (term, table) in terms.iter().zip(tables.chunks_exact_mut(F::LANES * TABLE)) {
            fill::<F>(term, table);
        }
        let windows = terms.iter().map(|term| term.digits[0].len()).max();
        let mut sum = Extended::<F>::identity();
        for window in (0..windows.unwrap_or(0)).rev() {
            sum = sum.double_times(DIGIT_BITS);
            for (term, table) in terms.iter().zip(tables.chunks_exact_mut(F::LANES * TABLE)) {
                if window < term.digits[0].len() {
                    sum = sum.add_cached(&choose(term, table, window));
                }
            }
        }
        export(&sum, sums);
    }
}

/// Where each lane's multiple `sizes` is in a term's table.
#[inline(always)]
fn rows<F: Field>(table: &mut [Bucket], sizes: [usize; LANES_MAX]) -> [*mut Bucket; LANES_MAX] {
    let base = table.as_mut_ptr();
    let mut rows = [base; LANES_MAX];
    assert_eq!(table.len(), F::LANES * TABLE);
    for (lane, (row, size)) in rows.iter_mut().zip(sizes).enumerate().take(F::LANES) {
        assert!(size < TABLE);
        *row = base.wrapping_add(lane * TABLE + size);
    }
    rows
}

/// The multiples of each lane's point.
#[inline(always)]
unsafe fn fill<F: Field>(term: &LaneTerm<'_>, table: &mut [Bucket]) {
    unsafe {
        let point = F::gather(&term.points.map(core::ptr::from_ref), 0);
        let mut multiple = Extended::<F>::identity();
        for size in 0..TABLE {
            let cached = multiple.cached();
            let entry = Extended {
                x: cached.y_plus_x,
                y: cached.y_minus_x,
                z: cached.z,
                t: cached.t2d,
            };
            F::store_buckets(&entry, &rows::<F>(table, [size; LANES_MAX]));
            multiple = multiple.add_affine(&point);
        }
    }
}

/// Each lane's multiple for a window.
#[inline(always)]
unsafe fn choose<F: Field>(term: &LaneTerm<'_>, table: &mut [Bucket], window: usize) -> Cached<F> {
    unsafe {
        let mut sizes = [0; LANES_MAX];
        let mut negative: Mask = 0;
        for (lane, size) in sizes.iter_mut().enumerate().take(F::LANES) {
            let digit = term.digits[lane][window];
            *size = digit.unsigned_abs().into();
            negative |= Mask::from(digit < 0) << lane;
        }
        let entry = F::load_buckets(&rows::<F>(table, sizes));
        let cached = Cached {
            y_plus_x: entry.x,
            y_minus_x: entry.y,
            z: entry.z,
            t2d: entry.t,
        };
        cached.negate_if(negative)
    }
}

/// `[2^128]` of each point. `multiples` is as long as `points`.
#[inline(always)]
pub(crate) unsafe fn multiples<F: Field>(points: &[Niels], multiples: &mut [Niels]) {
    unsafe {
        let groups = points.chunks(F::LANES).zip(multiples.chunks_mut(F::LANES));
        for (points, multiples) in groups {
            let last = points.len() - 1;
            let rows = core::array::from_fn(|lane| core::ptr::from_ref(&points[lane.min(last)]));
            let point = Extended::<F>::identity().add_affine(&F::gather(&rows, 0));
            let mut room = [Niels::UNSET; LANES_MAX];
            F::store(&point.double_times(128).to_affine(), &mut room[..F::LANES]);
            multiples.copy_from_slice(&room[..multiples.len()]);
        }
    }
}

#[cfg(test)]
mod tests;
