//! Formulas on points of the curve, lane by lane, written once for every [`Field`].
//!
//! Twisted Edwards coordinates with `a = -1`: H. Hisil, K. Wong, G. Carter and E. Dawson, "Twisted Edwards curves
//! revisited" (2008). The addition is complete on this curve, since `d` is not a square: no case is special, the
//! identity, doublings and small-order points included.
//!
//! # Safety
//! See [`field`](super::field).

use super::field::{Affine, Cached, Extended, Field, LANES_MAX, Mask, Niels};
use crate::point::{D, D2, ONE, SQRT_M1, ZERO};

impl<F: Field> Extended<F> {
    #[inline(always)]
    pub(crate) unsafe fn identity() -> Self {
        unsafe {
            let (zero, one) = (F::splat(&ZERO), F::splat(&ONE));
            Self {
                x: zero,
                y: one,
                z: one,
                t: zero,
            }
        }
    }

    /// The last half of an addition: `E = B - A`, `F = 2Z - C`, `G = 2Z + C`, `H = B + A`, with `2Z` as `z` twice.
    #[inline(always)]
    unsafe fn complete(a: F::Wide, b: F::Wide, c: F::Wide, z: F) -> Self {
        unsafe {
            let e = F::wide_sub(b, a);
            let h = F::wide_add(b, a);
            let f = z.twice_sub(c);
            let g = z.twice_add(c);
            Self {
                x: e.mul(f),
                y: g.mul(h),
                z: f.mul(g),
                t: e.mul(h),
            }
        }
    }

    /// 7 multiplications.
    #[inline(always)]
    pub(crate) unsafe fn add_affine(&self, other: &Affine<F>) -> Self {
        unsafe {
            let a = self.y.sub_lazy(self.x).mul_wide(other.y_minus_x);
            let b = self.y.add_lazy(self.x).mul_wide(other.y_plus_x);
            let c = self.t.mul_wide(other.xy2d);
            Self::complete(a, b, c, self.z)
        }
    }

    /// 9 multiplications.
    #[inline(always)]
    pub(crate) unsafe fn add(&self, other: &Self) -> Self {
        unsafe { self.add_cached(&other.cached()) }
    }

    /// 8 multiplications.
    #[inline(always)]
    pub(crate) unsafe fn add_cached(&self, other: &Cached<F>) -> Self {
        unsafe {
            let a = self.y.sub_lazy(self.x).mul_wide(other.y_minus_x);
            let b = self.y.add_lazy(self.x).mul_wide(other.y_plus_x);
            let c = self.t.mul_wide(other.t2d);
            Self::complete(a, b, c, self.z.mul(other.z))
        }
    }

    #[inline(always)]
    pub(crate) unsafe fn cached(&self) -> Cached<F> {
        unsafe {
            Cached {
                y_plus_x: self.y.add(self.x),
                y_minus_x: self.y.sub(self.x),
                z: self.z,
                t2d: self.t.mul(F::splat(&D2)),
            }
        }
    }

    /// 4 squares and 4 multiplications.
    #[inline(always)]
    pub(crate) unsafe fn double(&self) -> Self {
        unsafe { self.double_with::<true>() }
    }

    /// `[2^times]self`; `T`, which only an addition needs, is left out until the last.
    #[inline(always)]
    pub(crate) unsafe fn double_times(&self, times: u32) -> Self {
        unsafe {
            let mut point = *self;
            for _ in 1..times {
                point = point.double_with::<false>();
            }
            point.double()
        }
    }

    /// With the signs of E, F, G and H turned, which cancel in pairs.
    #[inline(always)]
    unsafe fn double_with<const WITH_T: bool>(&self) -> Self {
        unsafe {
            let [xx, yy, zz] = F::square_times([self.x, self.y, self.z], 1);
            let xy = self.x.mul(self.y);
            let e = xy.add(xy);
            let g = yy.sub(xx);
            let h = yy.add(xx).negate();
            let f = g.sub(zz.add(zz));
            Self {
                x: e.mul(f),
                y: g.mul(h),
                z: f.mul(g),
                t: if WITH_T { e.mul(h) } else { self.t },
            }
        }
    }

    /// The affine form, by the inverse of `Z`: some 260 multiplications for all lanes together.
    #[inline(always)]
    pub(crate) unsafe fn to_affine(self) -> Affine<F> {
        unsafe {
            // Z^(p-2) = (Z^((p-5)/8))^8 · Z^3
            let [power] = power_p58([self.z]);
            let [power] = F::square_times([power], 3);
            let inverse = power.mul(self.z.square().mul(self.z));
            affine(self.x.mul(inverse), self.y.mul(inverse))
        }
    }
}

impl<F: Field> Cached<F> {
    /// Negates the point in the lanes of the mask.
    #[inline(always)]
    pub(crate) unsafe fn negate_if(&self, mask: Mask) -> Self {
        unsafe {
            Self {
                y_plus_x: self.y_plus_x.select(self.y_minus_x, mask),
                y_minus_x: self.y_minus_x.select(self.y_plus_x, mask),
                z: self.z,
                t2d: self.t2d.select(self.t2d.negate(), mask),
            }
        }
    }
}

#[inline(always)]
unsafe fn affine<F: Field>(x: F, y: F) -> Affine<F> {
    unsafe {
        Affine {
            y_plus_x: y.add(x),
            y_minus_x: y.sub(x),
            xy2d: x.mul(y).mul(F::splat(&D2)),
        }
    }
}

#[inline(always)]
unsafe fn mul_each<F: Field, const N: usize>(a: [F; N], b: [F; N]) -> [F; N] {
    unsafe {
        let mut out = a;
        let mut n = 0;
        while n < N {
            out[n] = a[n].mul(b[n]);
            n += 1;
        }
        out
    }
}

/// `z^((p-5)/8) = z^(2^252 - 3)`, by the usual chain of 252 squares and 11 multiplications.
#[inline(always)]
unsafe fn power_p58<F: Field, const N: usize>(z: [F; N]) -> [F; N] {
    unsafe {
        // Names give the exponent: `p_n` is 2^n - 1.
        let z2 = F::square_times(z, 1);
        let z9 = mul_each(z, F::square_times(z2, 2));
        let z11 = mul_each(z2, z9);
        let p5 = mul_each(z9, F::square_times(z11, 1));
        let p10 = mul_each(p5, F::square_times(p5, 5));
        let p20 = mul_each(p10, F::square_times(p10, 10));
        let p40 = mul_each(p20, F::square_times(p20, 20));
        let p50 = mul_each(p10, F::square_times(p40, 10));
        let p100 = mul_each(p50, F::square_times(p50, 50));
        let p200 = mul_each(p100, F::square_times(p100, 100));
        let p250 = mul_each(p50, F::square_times(p200, 50));
        mul_each(z, F::square_times(p250, 2))
    }
}

/// The points whose encodings have these `y` and signs, and the lanes in which there is one (RFC 8032, section
/// 5.1.3): `x^2 = u/v` with `u = y^2 - 1`, `v = dy^2 + 1`, by `r = u·v^3·(u·v^7)^((p-5)/8)`, which is the root up to
/// a factor of `√-1`. In other lanes the point is meaningless. `N` vectors are interleaved.
#[inline(always)]
pub(crate) unsafe fn decompress<F: Field, const N: usize>(
    y: [F; N],
    signs: [u8; N],
) -> ([Affine<F>; N], [u8; N]) {
    unsafe {
        let one = F::splat(&ONE);
        let (mut u, mut v, mut uv3, mut uv7) = (y, y, y, y);
        let mut n = 0;
        while n < N {
            let yy = y[n].square();
            u[n] = yy.sub(one);
            v[n] = yy.mul(F::splat(&D)).add(one);
            let v2 = v[n].square();
            uv3[n] = u[n].mul(v2.mul(v[n]));
            uv7[n] = uv3[n].mul(v2.square());
            n += 1;
        }
        let power = power_p58(uv7);
        let mut points = [affine(one, one); N];
        let mut valid = [0; N];
        n = 0;
        while n < N {
            let root = uv3[n].mul(power[n]);
            let check = v[n].mul(root.square());
            let right = check.sub(u[n]).is_zero();
            let turned = check.add(u[n]).is_zero();
            let x = root.select(root.mul(F::splat(&SQRT_M1)), turned & !right);
            let x = x.select(x.negate(), x.parity() ^ signs[n]);
            points[n] = affine(x, y[n]);
            valid[n] = right | turned;
            n += 1;
        }
        (points, valid)
    }
}

/// The most vectors that are decompressed together.
const INTERLEAVED_MAX: usize = 4;

/// The points that the encodings stand for, and whether there is one. `N` vectors are decompressed together.
///
/// # Panics
/// If the slices are not equally long.
#[inline(always)]
pub(crate) unsafe fn decompress_all<F: Field, const N: usize>(
    encodings: &[[u8; 32]],
    points: &mut [Niels],
    valid: &mut [bool],
) {
    assert!(encodings.len() == points.len() && encodings.len() == valid.len());
    unsafe {
        if encodings.len() <= F::LANES {
            decompress_groups::<F, 1>(encodings, points, valid);
        } else {
            decompress_groups::<F, N>(encodings, points, valid);
        }
    }
}

#[inline(always)]
unsafe fn decompress_groups<F: Field, const N: usize>(
    encodings: &[[u8; 32]],
    points: &mut [Niels],
    valid: &mut [bool],
) {
    unsafe {
        let step = N * F::LANES;
        let groups = encodings
            .chunks(step)
            .zip(points.chunks_mut(step))
            .zip(valid.chunks_mut(step));
        for ((encodings, points), valid) in groups {
            let last = encodings.len() - 1;
            let mut y = [F::splat(&ZERO); N];
            let mut signs = [0; N];
            for n in 0..N {
                let row = |lane: usize| &encodings[(n * F::LANES + lane).min(last)];
                (y[n], signs[n]) = F::decode(&core::array::from_fn(row));
            }
            let (found, ok) = decompress(y, signs);
            let mut room = [Niels::UNSET; INTERLEAVED_MAX * LANES_MAX];
            let whole = points.len() == step;
            let out = if whole {
                &mut *points
            } else {
                &mut room[..step]
            };
            for (found, out) in found.iter().zip(out.chunks_exact_mut(F::LANES)) {
                F::store(found, out);
            }
            if !whole {
                points.copy_from_slice(&room[..points.len()]);
            }
            for (i, valid) in valid.iter_mut().enumerate() {
                *valid = ok[i / F::LANES] >> (i % F::LANES) & 1 == 1;
            }
        }
    }
}
