//! The vector paths: the work on many points at once, for each instruction set, behind safe functions.
//!
//! [`field`] says what an instruction set gives, [`point`], [`buckets`] and [`cells`] are written on top of that once,
//! and `avx2` and `ifma` implement it. Adding an instruction set is one more such file and one more line at the end
//! of this one.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod buckets;
mod cells;
mod comb;
mod field;
#[cfg(target_arch = "x86_64")]
mod ifma;
mod point;

use core::fmt;

pub(crate) use self::buckets::{Group, Terms};
pub(crate) use self::cells::{DIGIT_BITS, LaneTerm};
pub(crate) use self::comb::{COMB_POINTS, COMB_WINDOWS, comb_points};
use self::field::Field;
pub(crate) use self::field::{Bucket, LANES_MAX, Niels};
use crate::point::Point;
use crate::sha512::Preimage;

/// What an instruction set does for batch verification. A value exists only where the processor has it.
pub(crate) trait VectorPath: fmt::Debug + Send + Sync {
    /// Elements of a vector.
    fn lanes(&self) -> usize;

    /// The points that the encodings stand for, and whether there is one. All slices are equally long.
    fn decompress(&self, encodings: &[[u8; 32]], points: &mut [Niels], valid: &mut [bool]);

    /// `[2^128]` of each point. Both slices are equally long.
    fn multiples(&self, points: &[Niels], multiples: &mut [Niels]);

    /// `Σ digit·point` in each window of the group; as many sums as there are lanes.
    fn window_sums(
        &self,
        terms: &[Terms<'_>],
        group: Group,
        buckets: &mut Vec<Bucket>,
        sums: &mut [Point],
    );

    /// Each lane's `Σ scalar·point`; as many sums as there are lanes.
    fn cell_sums(&self, terms: &[LaneTerm<'_>], tables: &mut Vec<Bucket>, sums: &mut [Point]);

    /// `Σ scalar·point`, from each point's comb and the scalar's digits.
    fn comb_sum(&self, terms: &[(&[Niels], &[i16; COMB_WINDOWS])]) -> Point;

    /// The challenges' digests, as little-endian limbs. `order` is room that is used again.
    fn challenges(
        &self,
        preimages: &[Preimage<'_>],
        digests: &mut [[u64; 8]],
        order: &mut Vec<u32>,
    );
}

/// Defines a path: its type, its field, how many vectors are decompressed together, the features it needs, and
/// how it hashes.
macro_rules! vector_path {
    ($path:ident, $field:ty, $interleaved:literal, $features:literal, [$($feature:tt),*], $challenges:path) => {
        #[derive(Debug)]
        struct $path(());

        impl $path {
            fn detect() -> Option<&'static dyn VectorPath> {
                static PATH: $path = $path(());
                let found = true $(&& is_x86_feature_detected!($feature))*;
                found.then_some(&PATH)
            }

            #[target_feature(enable = $features)]
            unsafe fn decompress(encodings: &[[u8; 32]], points: &mut [Niels], valid: &mut [bool]) {
                unsafe { point::decompress_all::<$field, $interleaved>(encodings, points, valid) }
            }

            #[target_feature(enable = $features)]
            unsafe fn multiples(points: &[Niels], multiples: &mut [Niels]) {
                unsafe { cells::multiples::<$field>(points, multiples) }
            }

            #[target_feature(enable = $features)]
            unsafe fn window_sums(
                terms: &[Terms<'_>],
                group: Group,
                buckets: &mut Vec<Bucket>,
                sums: &mut [Point],
            ) {
                unsafe { buckets::window_sums::<$field>(terms, group, buckets, sums) }
            }

            #[target_feature(enable = $features)]
            unsafe fn cell_sums(
                terms: &[LaneTerm<'_>],
                tables: &mut Vec<Bucket>,
                sums: &mut [Point],
            ) {
                unsafe { cells::cell_sums::<$field>(terms, tables, sums) }
            }

            #[target_feature(enable = $features)]
            unsafe fn comb_sum(terms: &[(&[Niels], &[i16; COMB_WINDOWS])]) -> Point {
                unsafe { comb::comb_sum::<$field>(terms) }
            }
        }

        // SAFETY, for every block: a value of the type is only handed out after its features were detected.
        impl VectorPath for $path {
            fn lanes(&self) -> usize {
                <$field>::LANES
            }

            fn decompress(&self, encodings: &[[u8; 32]], points: &mut [Niels], valid: &mut [bool]) {
                unsafe { Self::decompress(encodings, points, valid) }
            }

            fn multiples(&self, points: &[Niels], multiples: &mut [Niels]) {
                unsafe { Self::multiples(points, multiples) }
            }

            fn window_sums(
                &self,
                terms: &[Terms<'_>],
                group: Group,
                buckets: &mut Vec<Bucket>,
                sums: &mut [Point],
            ) {
                unsafe { Self::window_sums(terms, group, buckets, sums) }
            }

            fn cell_sums(
                &self,
                terms: &[LaneTerm<'_>],
                tables: &mut Vec<Bucket>,
                sums: &mut [Point],
            ) {
                unsafe { Self::cell_sums(terms, tables, sums) }
            }

            fn comb_sum(&self, terms: &[(&[Niels], &[i16; COMB_WINDOWS])]) -> Point {
                unsafe { Self::comb_sum(terms) }
            }

            fn challenges(
                &self,
                preimages: &[Preimage<'_>],
                digests: &mut [[u64; 8]],
                order: &mut Vec<u32>,
            ) {
                unsafe { $challenges(preimages, digests, order) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
vector_path!(
    Avx2,
    avx2::F4,
    2,
    "avx2,fma",
    ["avx2", "fma"],
    crate::sha512::challenges_avx2
);

#[cfg(target_arch = "x86_64")]
vector_path!(
    Ifma,
    ifma::F8,
    4,
    "avx512f,avx512dq,avx512bw,avx512ifma",
    ["avx512f", "avx512dq", "avx512bw", "avx512ifma"],
    crate::sha512::challenges_avx512
);

/// The path for four lanes, if the processor has it.
pub(crate) fn avx2() -> Option<&'static dyn VectorPath> {
    #[cfg(target_arch = "x86_64")]
    return Avx2::detect();
    #[cfg(not(target_arch = "x86_64"))]
    None
}

/// The path for eight lanes, if the processor has it.
pub(crate) fn ifma() -> Option<&'static dyn VectorPath> {
    #[cfg(target_arch = "x86_64")]
    return Ifma::detect();
    #[cfg(not(target_arch = "x86_64"))]
    None
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
