//! Points of the curve, one at a time, without vectors: where a vector path ends, and what its parts are tested with.
//!
//! Radix `2^51`, 64-bit limbs and 128-bit products, after D. J. Bernstein, N. Duif, T. Lange, P. Schwabe and B.-Y. Yang,
//! "High-speed high-security signatures" (2011), section 3. Variable time: nothing here is secret.

use core::ops::{Add, Mul, Neg, Sub};

const MASK_51: u64 = (1 << 51) - 1;

/// Canonical limbs of 0.
pub(crate) const ZERO: [u64; 5] = [0; 5];
/// Canonical limbs of 1.
pub(crate) const ONE: [u64; 5] = [1, 0, 0, 0, 0];
/// Canonical limbs of `d = -121665/121666`, the curve's constant.
pub(crate) const D: [u64; 5] = [
    0x34dca135978a3,
    0x1a8283b156ebd,
    0x5e7a26001c029,
    0x739c663a03cbb,
    0x52036cee2b6ff,
];
/// Canonical limbs of `2d`.
pub(crate) const D2: [u64; 5] = [
    0x69b9426b2f159,
    0x35050762add7a,
    0x3cf44c0038052,
    0x6738cc7407977,
    0x2406d9dc56dff,
];
/// Canonical limbs of `√-1`, the even root.
pub(crate) const SQRT_M1: [u64; 5] = [
    0x61b274a0ea0b0,
    0x0d5a5fc8f189d,
    0x7ef5e9cbd0c60,
    0x78595a6804c9e,
    0x2b8324804fc1d,
];

/// A field element; limbs under `2^52`, not unique.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fe(pub(crate) [u64; 5]);

impl Fe {
    pub(crate) const ZERO: Self = Self(ZERO);
    pub(crate) const ONE: Self = Self(ONE);

    fn carried(mut limbs: [u64; 5]) -> Self {
        let carries = limbs.map(|limb| limb >> 51);
        for limb in &mut limbs {
            *limb &= MASK_51;
        }
        limbs[0] += 19 * carries[4];
        for (limb, carry) in limbs[1..].iter_mut().zip(carries) {
            *limb += carry;
        }
        Self(limbs)
    }

    fn reduced(mut columns: [u128; 5]) -> Self {
        for k in 0..4 {
            columns[k + 1] += columns[k] >> 51;
        }
        let mut limbs = columns.map(|column| column as u64 & MASK_51);
        // Factors of 2^52 make columns under 2^111, so this is under 2^65; with carries it fits once folded.
        let wrapped = 19 * (columns[4] >> 51) + u128::from(limbs[0]);
        limbs[0] = wrapped as u64 & MASK_51;
        limbs[1] += (wrapped >> 51) as u64;
        Self(limbs)
    }

    pub(crate) fn square(self) -> Self {
        self * self
    }

    /// `1/self`, or 0 for 0: `self^(p-2)`.
    pub(crate) fn invert(self) -> Self {
        // Names give the exponent: `p_n` is 2^n - 1, and p - 2 is 2^255 - 21.
        let z2 = self.square();
        let z9 = self * z2.square_times(2);
        let z11 = z2 * z9;
        let p5 = z9 * z11.square();
        let p10 = p5 * p5.square_times(5);
        let p20 = p10 * p10.square_times(10);
        let p40 = p20 * p20.square_times(20);
        let p50 = p10 * p40.square_times(10);
        let p100 = p50 * p50.square_times(50);
        let p200 = p100 * p100.square_times(100);
        let p250 = p50 * p200.square_times(50);
        z11 * p250.square_times(5)
    }

    fn square_times(self, times: u32) -> Self {
        (0..times).fold(self, |power, _| power.square())
    }

    /// The limbs of the only value under `p`.
    pub(crate) fn canonical(self) -> [u64; 5] {
        let mut h = Self::carried(Self::carried(self.0).0).0;
        let mut quotient = (h[0] + 19) >> 51;
        for limb in &h[1..] {
            quotient = (limb + quotient) >> 51;
        }
        h[0] += 19 * quotient;
        for k in 0..4 {
            h[k + 1] += h[k] >> 51;
            h[k] &= MASK_51;
        }
        h[4] &= MASK_51;
        h
    }

    pub(crate) fn is_zero(self) -> bool {
        self.canonical() == ZERO
    }
}

impl Add for Fe {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::carried(core::array::from_fn(|k| self.0[k] + other.0[k]))
    }
}

impl Sub for Fe {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        /// `16p`, so that no limb is negative.
        const BIAS: [u64; 5] = {
            let high = (1 << 55) - 16;
            [(1 << 55) - 304, high, high, high, high]
        };
        Self::carried(core::array::from_fn(|k| self.0[k] + BIAS[k] - other.0[k]))
    }
}

impl Neg for Fe {
    type Output = Self;

    fn neg(self) -> Self {
        Self::ZERO - self
    }
}

impl Mul for Fe {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        let wide = |x: u64, y: u64| u128::from(x) * u128::from(y);
        let (b1, b2, b3, b4) = (19 * b[1], 19 * b[2], 19 * b[3], 19 * b[4]);
        Self::reduced([
            wide(a[0], b[0]) + wide(a[4], b1) + wide(a[3], b2) + wide(a[2], b3) + wide(a[1], b4),
            wide(a[1], b[0]) + wide(a[0], b[1]) + wide(a[4], b2) + wide(a[3], b3) + wide(a[2], b4),
            wide(a[2], b[0])
                + wide(a[1], b[1])
                + wide(a[0], b[2])
                + wide(a[4], b3)
                + wide(a[3], b4),
            wide(a[3], b[0])
                + wide(a[2], b[1])
                + wide(a[1], b[2])
                + wide(a[0], b[3])
                + wide(a[4], b4),
            wide(a[4], b[0])
                + wide(a[3], b[1])
                + wide(a[2], b[2])
                + wide(a[1], b[3])
                + wide(a[0], b[4]),
        ])
    }
}

/// `y`, and the sign of `x` in the top bit.
fn encode(x: Fe, y: Fe) -> [u8; 32] {
    let (sign, l) = (x.canonical()[0] & 1, y.canonical());
    let words = [
        l[0] | l[1] << 51,
        l[1] >> 13 | l[2] << 38,
        l[2] >> 26 | l[3] << 25,
        l[3] >> 39 | l[4] << 12 | sign << 63,
    ];
    let mut encoding = [0; 32];
    for (bytes, word) in encoding.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    encoding
}

/// A point in extended coordinates: `x = X/Z`, `y = Y/Z`, `XY = ZT`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    pub(crate) x: Fe,
    pub(crate) y: Fe,
    pub(crate) z: Fe,
    pub(crate) t: Fe,
}

impl Point {
    pub(crate) const IDENTITY: Self = Self {
        x: Fe::ZERO,
        y: Fe::ONE,
        z: Fe::ONE,
        t: Fe::ZERO,
    };

    pub(crate) fn double(&self) -> Self {
        let (xx, yy, zz) = (self.x.square(), self.y.square(), self.z.square());
        let h = xx + yy;
        let e = h - (self.x + self.y).square();
        let g = xx - yy;
        let f = zz + zz + g;
        Self {
            x: e * f,
            y: g * h,
            z: f * g,
            t: e * h,
        }
    }

    /// `[2^times]self`
    pub(crate) fn double_times(&self, times: u32) -> Self {
        (0..times).fold(*self, |point, _| point.double())
    }

    /// The encodings of points (RFC 8032, section 5.1.2), by one inversion for all.
    pub(crate) fn compress_all(points: &[Self]) -> Vec<[u8; 32]> {
        // P. Montgomery's trick: from the inverse of a product of all `Z`, each inverse takes two products.
        let mut before = Vec::with_capacity(points.len());
        let mut product = Fe::ONE;
        for point in points {
            before.push(product);
            product = product * point.z;
        }
        let mut inverse = product.invert();
        let mut encodings = vec![[0; 32]; points.len()];
        let places = points.iter().zip(before).zip(&mut encodings).rev();
        for ((point, before), encoding) in places {
            let z_inverse = inverse * before;
            inverse = inverse * point.z;
            *encoding = encode(point.x * z_inverse, point.y * z_inverse);
        }
        encodings
    }

    /// Whether `[8]self` is the identity: whether `self` is 0 but for a small-order part.
    pub(crate) fn vanishes(&self) -> bool {
        let point = self.double_times(3);
        point.x.is_zero() && (point.y - point.z).is_zero()
    }
}

impl Add for Point {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let a = (self.y - self.x) * (other.y - other.x);
        let b = (self.y + self.x) * (other.y + other.x);
        let c = self.t * Fe(D2) * other.t;
        let zz = self.z * other.z;
        let (e, h) = (b - a, b + a);
        let (f, g) = (zz + zz - c, zz + zz + c);
        Self {
            x: e * f,
            y: g * h,
            z: f * g,
            t: e * h,
        }
    }
}

impl Neg for Point {
    type Output = Self;

    fn neg(self) -> Self {
        Self {
            x: -self.x,
            t: -self.t,
            ..self
        }
    }
}

impl Sub for Point {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

#[cfg(test)]
mod tests;
