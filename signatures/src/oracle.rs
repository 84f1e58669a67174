//! What the parts' tests compare with: curve25519-dalek and whole numbers of any size.

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar as DalekScalar;
use num_bigint::BigUint;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::point::{Fe, Point};
use crate::scalar::Scalar;
use crate::vector::{self, LANES_MAX, LaneTerm, Niels, VectorPath};

/// The vector paths of this machine.
pub(crate) fn paths() -> impl Iterator<Item = &'static dyn VectorPath> {
    [vector::avx2(), vector::ifma()].into_iter().flatten()
}

/// Numbers that look random, the same in every run.
pub(crate) struct Random(ChaCha12Rng);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha12Rng::seed_from_u64(seed))
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.word() % bound as u64) as usize
    }

    pub(crate) fn wide(&mut self) -> u128 {
        u128::from(self.word()) << 64 | u128::from(self.word())
    }

    pub(crate) fn scalar(&mut self) -> DalekScalar {
        DalekScalar::from_bytes_mod_order_wide(&self.bytes())
    }

    /// A point of prime order, or one of mixed order: any.
    pub(crate) fn point(&mut self) -> EdwardsPoint {
        EdwardsPoint::mul_base(&self.scalar()) + EIGHT_TORSION[self.below(8)]
    }

    /// A word that is often at an edge.
    pub(crate) fn edge(&mut self, max: u64) -> u64 {
        match self.below(4) {
            0 => 0,
            1 => max,
            2 => max - self.word() % 3.min(max),
            _ => self.word() % max,
        }
    }
}

/// Points where formulas that are not complete go wrong: all of small order, the base point, mixed ones, negatives.
pub(crate) fn nasty_points() -> Vec<EdwardsPoint> {
    let base = ED25519_BASEPOINT_POINT;
    let small = EIGHT_TORSION.into_iter();
    let mixed = EIGHT_TORSION.iter().map(|t| base + t);
    small.chain(mixed).chain([-base, base + base]).collect()
}

/// Our scalar from dalek's.
pub(crate) fn ours(scalar: &DalekScalar) -> Scalar {
    Scalar::from_canonical(scalar.as_bytes()).expect("dalek's scalars are reduced")
}

/// Dalek's scalar from ours.
pub(crate) fn theirs(scalar: &Scalar) -> DalekScalar {
    let mut bytes = [0; 32];
    for (bytes, limb) in bytes.chunks_exact_mut(8).zip(scalar.limbs()) {
        bytes.copy_from_slice(&limb.to_le_bytes());
    }
    Option::from(DalekScalar::from_canonical_bytes(bytes)).expect("our scalars are reduced")
}

/// The encoding of a point as a point of dalek's.
pub(crate) fn decoded(encoding: [u8; 32]) -> EdwardsPoint {
    let point = CompressedEdwardsY(encoding).decompress();
    point.expect("the encoding of a point")
}

/// Our point as dalek's. Fails if ours is not on the curve, or its `T` is wrong.
pub(crate) fn exported(point: &Point) -> EdwardsPoint {
    assert_eq!(
        (point.x * point.y).canonical(),
        (point.z * point.t).canonical(),
        "XY = ZT"
    );
    decoded(Point::compress_all(&[*point])[0])
}

/// Points as a path keeps them.
pub(crate) fn niels(path: &dyn VectorPath, points: &[EdwardsPoint]) -> Vec<Niels> {
    let encodings: Vec<_> = points.iter().map(|p| p.compress().0).collect();
    let mut niels = vec![Niels::UNSET; points.len()];
    let mut valid = vec![false; points.len()];
    path.decompress(&encodings, &mut niels, &mut valid);
    assert!(valid.iter().all(|&valid| valid));
    niels
}

/// What a path keeps as a point of ours.
pub(crate) fn unpacked(path: &dyn VectorPath, point: &Niels) -> Point {
    let term = LaneTerm {
        points: [point; LANES_MAX],
        digits: [&[1]; LANES_MAX],
    };
    let mut sums = [Point::IDENTITY; LANES_MAX];
    path.cell_sums(&[term], &mut Vec::new(), &mut sums[..path.lanes()]);
    sums[0]
}

/// A point of dalek's as ours, with `Z = 1`.
pub(crate) fn imported(point: &EdwardsPoint) -> Point {
    let encoding = point.compress().0;
    // x² = (y² - 1) / (dy² + 1), by big integers' square root for p = 5 mod 8.
    let p = prime();
    let (one, two) = (BigUint::from(1u32), BigUint::from(2u32));
    let mut y_bytes = encoding;
    y_bytes[31] &= 0x7f;
    let y = BigUint::from_bytes_le(&y_bytes);
    let d = value(&Fe(crate::point::D));
    let inverse = |x: &BigUint| x.modpow(&(&p - &two), &p);
    let yy = &y * &y % &p;
    let square = (&yy + &p - &one) * inverse(&((&d * &yy + &one) % &p)) % &p;
    let mut x = square.modpow(&((&p + 3u32) / 8u32), &p);
    if &x * &x % &p != square {
        x = x * two.modpow(&((&p - &one) / 4u32), &p) % &p;
    }
    if x.bit(0) != (encoding[31] >> 7 == 1) {
        x = (&p - &x) % &p;
    }
    let (x, y) = (element(&x), element(&y));
    Point {
        x,
        y,
        z: Fe::ONE,
        t: x * y,
    }
}

/// `p = 2^255 - 19`
pub(crate) fn prime() -> BigUint {
    (BigUint::from(1u32) << 255) - 19u32
}

/// `ℓ`
pub(crate) fn order() -> BigUint {
    BigUint::from_bytes_le((-DalekScalar::ONE).as_bytes()) + 1u32
}

/// The number that limbs of radix `2^51` stand for, not reduced.
pub(crate) fn value(element: &Fe) -> BigUint {
    let limbs = element.0.iter().rev();
    limbs.fold(BigUint::ZERO, |sum, &limb| (sum << 51) + limb)
}

/// A number under `2^255` as limbs.
pub(crate) fn element(value: &BigUint) -> Fe {
    Fe(std::array::from_fn(|k| {
        let limb = (value >> (51 * k)) & BigUint::from((1u64 << 51) - 1);
        u64::try_from(limb).expect("51 bits")
    }))
}

/// The number of limbs of 64 bits.
pub(crate) fn number(limbs: &[u64]) -> BigUint {
    let limbs = limbs.iter().rev();
    limbs.fold(BigUint::ZERO, |sum, &limb| (sum << 64) + limb)
}

/// `[digit]point`, whole, so that points of small order are right as well.
pub(crate) fn signed_times(point: &EdwardsPoint, digit: i16) -> EdwardsPoint {
    let multiple = point * DalekScalar::from(digit.unsigned_abs());
    if digit < 0 { -multiple } else { multiple }
}

/// `[Σ digit·16^place]point`
pub(crate) fn times_digits(point: &EdwardsPoint, digits: &[i16]) -> EdwardsPoint {
    let digits = digits.iter().rev();
    digits.fold(EdwardsPoint::default(), |sum, &digit| {
        sum * DalekScalar::from(16u32) + signed_times(point, digit)
    })
}
