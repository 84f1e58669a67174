//! Every implementation of [`Field`] and what is built on it, against slow integers, [`Fe`](crate::point::Fe),
//! [`Point`] and curve25519-dalek.

#![allow(clippy::unwrap_used)]

use core::mem::transmute;

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::traits::VartimeMultiscalarMul;
use curve25519_dalek::{EdwardsPoint, Scalar};

use super::avx2::F4;
use super::buckets::{Group, Terms};
use super::field::{Affine, Bucket, Extended, Field, LANES_MAX, Mask, Niels};
use super::ifma::F8;
use super::{Avx2, Ifma, VectorPath};
use crate::point::{D2, Fe, ONE, Point, ZERO};

/// An integer under `p`, added and doubled and nothing else: too simple to be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Int([u64; 4]);

impl Int {
    const P: [u64; 4] = [!18, !0, !0, !0 >> 1];
    const ZERO: Self = Self([0; 4]);

    fn new(mut words: [u64; 4]) -> Self {
        while words.iter().rev().ge(Self::P.iter().rev()) {
            let mut borrow = false;
            for (word, p) in words.iter_mut().zip(Self::P) {
                let (difference, first) = word.overflowing_sub(p);
                let (difference, second) = difference.overflowing_sub(u64::from(borrow));
                (*word, borrow) = (difference, first | second);
            }
        }
        Self(words)
    }

    fn plus(self, other: Self) -> Self {
        let mut carry = 0;
        Self::new(core::array::from_fn(|i| {
            let sum = u128::from(self.0[i]) + u128::from(other.0[i]) + carry;
            carry = sum >> 64;
            sum as u64
        }))
    }

    fn times(self, other: Self) -> Self {
        (0..256).rev().fold(Self::ZERO, |sum, bit| {
            let sum = sum.plus(sum);
            match other.0[bit / 64] >> (bit % 64) & 1 {
                0 => sum,
                _ => sum.plus(self),
            }
        })
    }

    fn small(value: u64) -> Self {
        Self::new([value, 0, 0, 0])
    }

    fn minus(self, other: Self) -> Self {
        let p_minus_1 = Self([!19, !0, !0, !0 >> 1]);
        self.plus(other.times(p_minus_1))
    }

    fn from_limbs(limbs: [i64; 5]) -> Self {
        let radix = Self::small(1 << 51);
        limbs.iter().rev().fold(Self::ZERO, |sum, limb| {
            let (sum, size) = (sum.times(radix), Self::small(limb.unsigned_abs()));
            if *limb < 0 {
                sum.minus(size)
            } else {
                sum.plus(size)
            }
        })
    }

    fn limbs(self) -> [u64; 5] {
        let [a, b, c, d] = self.0;
        let mask = (1 << 51) - 1;
        [
            a & mask,
            (a >> 51 | b << 13) & mask,
            (b >> 38 | c << 26) & mask,
            (c >> 25 | d << 39) & mask,
            d >> 12,
        ]
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn bytes(&mut self) -> [u8; 32] {
        let words = [(); 4].map(|()| self.next().to_le_bytes());
        words.concat().try_into().unwrap()
    }
}

/// Limbs by lanes.
type Limbs = [[i64; LANES_MAX]; 5];

/// What limbs an implementation allows, ends included, and its representation laid open.
trait Open: Field {
    /// Of reduced elements.
    const REDUCED: [i64; 2];
    /// Of the first factor of a product.
    const FIRST: [i64; 2];
    /// Of the second factor.
    const SECOND: [i64; 2];

    fn close(limbs: &Limbs) -> Self;
    fn open(self) -> Limbs;
}

impl Open for F4 {
    const REDUCED: [i64; 2] = [-(1 << 50) - (1 << 14), (1 << 50) + (1 << 14)];
    const FIRST: [i64; 2] = [-(1 << 51) - (1 << 15), (1 << 51) + (1 << 15)];
    const SECOND: [i64; 2] = Self::REDUCED;

    fn close(limbs: &Limbs) -> Self {
        let rows = limbs.map(|row| core::array::from_fn::<f64, 4, _>(|lane| row[lane] as f64));
        // SAFETY: as many bytes, and any are a value.
        unsafe { transmute(rows) }
    }

    fn open(self) -> Limbs {
        // SAFETY: as above.
        let rows: [[f64; 4]; 5] = unsafe { transmute(self) };
        rows.map(|row| core::array::from_fn(|lane| row.get(lane).map_or(0, |x| *x as i64)))
    }
}

impl Open for F8 {
    const REDUCED: [i64; 2] = [0, (1 << 51) + (1 << 15) - 1];
    const FIRST: [i64; 2] = [0, (1 << 52) - 1];
    const SECOND: [i64; 2] = Self::FIRST;

    fn close(limbs: &Limbs) -> Self {
        // SAFETY: as many bytes, and any are a value.
        unsafe { transmute(*limbs) }
    }

    fn open(self) -> Limbs {
        // SAFETY: as above.
        unsafe { transmute(self) }
    }
}

fn value<F: Open>(f: F) -> [Int; LANES_MAX] {
    let limbs = f.open();
    core::array::from_fn(|lane| Int::from_limbs(limbs.map(|row| row[lane])))
}

/// Lanes of limbs within bounds: random, all at an end, some at an end, small values, values about `p`.
fn draw<F: Open>(random: &mut Random, [min, max]: [i64; 2]) -> F {
    let mut limbs = [[0; LANES_MAX]; 5];
    for lane in 0..F::LANES {
        let kind = random.below(8);
        for (k, row) in limbs.iter_mut().enumerate() {
            let full = (1 << 51) - 1;
            row[lane] = match kind {
                0 => min,
                1 => max,
                2 => [min, max][random.below(2)],
                3 => [min, max, 0, 1, random.next() as i64 >> 14][random.below(5)],
                // From p - 2 to p + 2, and from 0 to 4.
                4 if k == 0 => full - 20 + random.below(5) as i64,
                4 => full,
                5 if k == 0 => random.below(5) as i64,
                5 => 0,
                _ => random.next() as i64 >> 12,
            };
            if row[lane] > max || row[lane] < min {
                row[lane] = row[lane].rem_euclid(max + 1);
            }
        }
    }
    F::close(&limbs)
}

/// Asserts that `f`'s limbs are within bounds, and its lanes what `expected` says.
#[track_caller]
fn check<F: Open>(what: &str, f: F, [min, max]: [i64; 2], expected: impl Fn(usize) -> Int) {
    let (limbs, values) = (f.open(), value(f));
    for lane in 0..F::LANES {
        for row in limbs {
            assert!((min..=max).contains(&row[lane]), "{what}: {limbs:x?}");
        }
        assert_eq!(values[lane], expected(lane), "{what}, lane {lane}");
    }
}

fn operations<F: Open>() {
    let mut random = Random(1);
    for _ in 0..120 {
        let a: F = draw(&mut random, F::REDUCED);
        let b: F = draw(&mut random, F::REDUCED);
        let first: F = draw(&mut random, F::FIRST);
        let second: F = draw(&mut random, F::SECOND);
        let (x, y, u, v) = (value(a), value(b), value(first), value(second));
        let mask = random.next() as Mask;
        // SAFETY: whoever calls this has looked for the features.
        unsafe {
            check("add", a.add(b), F::REDUCED, |i| x[i].plus(y[i]));
            check("sub", a.sub(b), F::REDUCED, |i| x[i].minus(y[i]));
            check("add_lazy", a.add_lazy(b), F::FIRST, |i| x[i].plus(y[i]));
            check("sub_lazy", a.sub_lazy(b), F::FIRST, |i| x[i].minus(y[i]));
            check("mul", first.mul(second), F::REDUCED, |i| u[i].times(v[i]));
            check("mul", a.add_lazy(b).mul(second), F::REDUCED, |i| {
                x[i].plus(y[i]).times(v[i])
            });
            check("mul", a.sub_lazy(b).mul(second), F::REDUCED, |i| {
                x[i].minus(y[i]).times(v[i])
            });
            check("square", a.square(), F::REDUCED, |i| x[i].times(x[i]));
            let selected = a.select(b, mask);
            check("select", selected, F::REDUCED, |i| {
                [x[i], y[i]][usize::from(mask >> i & 1)]
            });

            let (p, q) = (first.mul_wide(second), a.mul_wide(b));
            let (pi, qi) = (|i: usize| u[i].times(v[i]), |i: usize| x[i].times(y[i]));
            let twice = |i: usize| x[i].plus(x[i]);
            check("wide_add", F::wide_add(p, q), F::REDUCED, |i| {
                pi(i).plus(qi(i))
            });
            check("wide_add", F::wide_add(p, p), F::REDUCED, |i| {
                pi(i).plus(pi(i))
            });
            check("wide_sub", F::wide_sub(p, q), F::REDUCED, |i| {
                pi(i).minus(qi(i))
            });
            check("wide_sub", F::wide_sub(q, p), F::REDUCED, |i| {
                qi(i).minus(pi(i))
            });
            check("twice_add", a.twice_add(p), F::REDUCED, |i| {
                twice(i).plus(pi(i))
            });
            check("twice_sub", a.twice_sub(p), F::REDUCED, |i| {
                twice(i).minus(pi(i))
            });

            let canonical = a.canonical();
            for (i, x) in x.iter().enumerate().take(F::LANES) {
                assert_eq!(canonical.map(|row| row[i]), x.limbs());
                assert_eq!(a.parity() >> i & 1, (x.0[0] & 1) as Mask);
                assert_eq!(a.is_zero() >> i & 1 == 1, *x == Int::ZERO);
                assert_eq!(a.sub(a).is_zero() >> i & 1, 1);
                // The scalar code, by the same integers.
                let (f, g) = (Fe(x.limbs()), Fe(y[i].limbs()));
                assert_eq!((f * g).canonical(), x.times(y[i]).limbs());
                assert_eq!((f + g).canonical(), x.plus(y[i]).limbs());
                assert_eq!((f - g).canonical(), x.minus(y[i]).limbs());
            }
            assert_eq!(u32::from(a.is_zero()) >> F::LANES, 0);
            assert_eq!(u32::from(a.parity()) >> F::LANES, 0);
        }
    }
    // SAFETY: as above.
    unsafe {
        for limbs in [ZERO, ONE, D2, Int::new([!19, !0, !0, !0 >> 1]).limbs()] {
            let expected = Int::from_limbs(limbs.map(|limb| limb as i64));
            check("splat", F::splat(&limbs), F::REDUCED, |_| expected);
        }
    }
}

fn repeated_squares<F: Open>() {
    fn some<F: Open, const N: usize>(random: &mut Random, times: usize) {
        let vectors: [F; N] = core::array::from_fn(|_| draw(random, F::REDUCED));
        // SAFETY: whoever calls this has looked for the features.
        let squares = unsafe { F::square_times(vectors, times) };
        for n in 0..N {
            let expected = value(vectors[n]).map(|x| (0..times).fold(x, |x, _| x.times(x)));
            check("square_times", squares[n], F::REDUCED, |i| expected[i]);
        }
    }
    let mut random = Random(2);
    for times in [0, 1, 2, 3, 5, 10, 20] {
        for _ in 0..3 {
            some::<F, 1>(&mut random, times);
            some::<F, 2>(&mut random, times);
            some::<F, 3>(&mut random, times);
            some::<F, 4>(&mut random, times);
        }
    }
}

/// Long chains of operations, where what one leaves is what the next gets.
fn chains<F: Open>() {
    let mut random = Random(3);
    for _ in 0..20 {
        let mut state: [F; 4] = core::array::from_fn(|_| draw(&mut random, F::REDUCED));
        for step in 0..200 {
            let [a, b, c, d] = core::array::from_fn(|_| state[random.below(4)]);
            let [x, y, z, w] = [a, b, c, d].map(value);
            let operation = random.below(9);
            // SAFETY: whoever calls this has looked for the features.
            let (result, expected): (F, [Int; LANES_MAX]) = unsafe {
                match operation {
                    0 => (a.add(b), core::array::from_fn(|i| x[i].plus(y[i]))),
                    1 => (a.sub(b), core::array::from_fn(|i| x[i].minus(y[i]))),
                    2 => (a.square(), x.map(|x| x.times(x))),
                    3 => (
                        a.add_lazy(b).mul(c),
                        core::array::from_fn(|i| x[i].plus(y[i]).times(z[i])),
                    ),
                    4 => (
                        a.sub_lazy(b).mul(c),
                        core::array::from_fn(|i| x[i].minus(y[i]).times(z[i])),
                    ),
                    5 => (
                        F::wide_add(a.add_lazy(b).mul_wide(c), c.mul_wide(d)),
                        core::array::from_fn(|i| {
                            x[i].plus(y[i]).times(z[i]).plus(z[i].times(w[i]))
                        }),
                    ),
                    6 => (
                        F::wide_sub(c.mul_wide(d), a.sub_lazy(b).mul_wide(c)),
                        core::array::from_fn(|i| {
                            z[i].times(w[i]).minus(x[i].minus(y[i]).times(z[i]))
                        }),
                    ),
                    7 => (
                        a.twice_add(b.mul_wide(c)),
                        core::array::from_fn(|i| x[i].plus(x[i]).plus(y[i].times(z[i]))),
                    ),
                    _ => (
                        a.twice_sub(b.mul_wide(c)),
                        core::array::from_fn(|i| x[i].plus(x[i]).minus(y[i].times(z[i]))),
                    ),
                }
            };
            check("chain", result, F::REDUCED, |i| expected[i]);
            state[step % 4] = result;
        }
    }
}

fn decoding<F: Open>() {
    let mut random = Random(4);
    let p = Int::P;
    let mut extremes = vec![[0; 4], [1, 0, 0, 0], [!0; 4], [!0, !0, !0, !0 >> 1]];
    extremes.extend((0..=18).map(|i| [p[0] + i, p[1], p[2], p[3]]));
    extremes.extend([51, 102, 153, 204, 255].map(|bit| {
        let mut words = [0; 4];
        words[bit / 64] = 1 << (bit % 64);
        words
    }));
    extremes.push([p[0] - 1, p[1], p[2], p[3]]);
    for _ in 0..200 {
        let encodings: [[u8; 32]; LANES_MAX] = core::array::from_fn(|_| match random.below(2) {
            0 => random.bytes(),
            _ => {
                let mut words = extremes[random.below(extremes.len())];
                words[3] ^= random.next() << 63;
                words.map(u64::to_le_bytes).concat().try_into().unwrap()
            }
        });
        let rows = core::array::from_fn(|lane| &encodings[lane]);
        // SAFETY: whoever calls this has looked for the features.
        let (decoded, tops) = unsafe { F::decode(&rows) };
        let words = encodings.map(|bytes| {
            let words = bytes.as_chunks::<8>().0;
            core::array::from_fn::<_, 4, _>(|i| u64::from_le_bytes(words[i]))
        });
        check("decode", decoded, F::REDUCED, |lane| {
            let [a, b, c, d] = words[lane];
            Int::new([a, b, c, d << 1 >> 1])
        });
        for (lane, words) in words.iter().enumerate().take(F::LANES) {
            assert_eq!(tops >> lane & 1, (words[3] >> 63) as Mask);
        }
    }
}

fn round_trips<F: Open>() {
    let mut random = Random(5);
    for mask in 0..=Mask::MAX {
        let [plus, minus, xy2d] = [(); 3].map(|()| draw::<F>(&mut random, F::REDUCED));
        let point = Affine {
            y_plus_x: plus,
            y_minus_x: minus,
            xy2d,
        };
        let [p, m, c] = [plus, minus, xy2d].map(value);
        let mut niels = vec![Niels::UNSET; F::LANES];
        let check_affine = |read: Affine<F>, from: &dyn Fn(usize) -> usize| {
            let negative = |lane: usize| mask >> lane & 1 == 1;
            let (same, other) = (from, |lane| negative(lane));
            check(
                "y + x",
                read.y_plus_x,
                F::SECOND,
                |i| if other(i) { m } else { p }[same(i)],
            );
            check(
                "y - x",
                read.y_minus_x,
                F::SECOND,
                |i| if other(i) { p } else { m }[same(i)],
            );
            check("2dxy", read.xy2d, F::SECOND, |i| {
                if other(i) {
                    Int::ZERO.minus(c[same(i)])
                } else {
                    c[same(i)]
                }
            });
        };
        // SAFETY: whoever calls this has looked for the features; pointers are to elements of vectors.
        unsafe {
            F::store(&point, &mut niels);
            let rows = core::array::from_fn(|lane| &raw const niels[lane % F::LANES]);
            check_affine(F::gather(&rows, mask), &|lane| lane);
            let reversed = core::array::from_fn(|lane| &raw const niels[!lane % F::LANES]);
            check_affine(F::gather(&reversed, mask), &|lane| F::LANES - 1 - lane);
            for (k, niels) in niels.iter().enumerate() {
                check_affine(F::broadcast(niels, mask), &|_| k);
            }

            let [x, y, z, t] = [(); 4].map(|()| draw::<F>(&mut random, F::REDUCED));
            let mut buckets = vec![Bucket([!0; 24]); 2 * LANES_MAX];
            let base = buckets.as_mut_ptr();
            let shift = random.below(LANES_MAX);
            let rows = core::array::from_fn(|lane| base.add((3 * lane + shift) % (2 * LANES_MAX)));
            F::store_buckets(&Extended { x, y, z, t }, &rows);
            let read = F::load_buckets(&rows);
            for (read, written) in [(read.x, x), (read.y, y), (read.z, z), (read.t, t)] {
                for (read, written) in read.open().iter().zip(written.open()) {
                    assert_eq!(read[..F::LANES], written[..F::LANES]);
                }
            }
        }
    }
}

fn all<F: Open>() {
    operations::<F>();
    repeated_squares::<F>();
    chains::<F>();
    decoding::<F>();
    round_trips::<F>();
}

/// `z^(p-2)`
fn invert(z: Fe) -> Fe {
    (0..255).rev().fold(Fe::ONE, |power, bit| {
        let power = power.square();
        // p - 2 = 2^255 - 21
        if bit == 2 || bit == 4 {
            power
        } else {
            power * z
        }
    })
}

fn encode(point: &Point) -> [u8; 32] {
    let inverse = invert(point.z);
    let (x, y) = (
        (point.x * inverse).canonical(),
        (point.y * inverse).canonical(),
    );
    assert_eq!((Fe(x) * Fe(y) * point.z).canonical(), point.t.canonical());
    let words = [
        y[0] | y[1] << 51,
        y[1] >> 13 | y[2] << 38,
        y[2] >> 26 | y[3] << 25,
        y[3] >> 39 | y[4] << 12 | x[0] << 63,
    ];
    words.map(u64::to_le_bytes).concat().try_into().unwrap()
}

/// Encodings of points and of none: random ones, all of small order, those that are not canonical.
fn encodings() -> Vec<[u8; 32]> {
    let mut random = Random(6);
    let mut out: Vec<[u8; 32]> = (0..300).map(|_| random.bytes()).collect();
    let mut extremes: Vec<[u8; 32]> = EIGHT_TORSION.map(|point| point.compress().0).to_vec();
    // From p - 1 to 2^255 - 1, and from 0 to 19.
    for i in 0..=19 {
        let mut high = [0xff; 32];
        (high[0], high[31]) = (0xec + i, 0x7f);
        let mut low = [0; 32];
        low[0] = i;
        extremes.extend([high, low]);
    }
    for mut bytes in extremes {
        out.push(bytes);
        bytes[31] ^= 0x80;
        out.push(bytes);
    }
    for i in 0..100u64 {
        out.push(EdwardsPoint::mul_base(&Scalar::from(i)).compress().0);
    }
    out
}

macro_rules! path_tests {
    ($name:ident, $path:ident, $field:ident) => {
        mod $name {
            use super::*;

            fn path() -> Option<&'static dyn VectorPath> {
                let path = $path::detect();
                if path.is_none() {
                    println!(
                        "skipped: the processor lacks what {} needs",
                        stringify!($path)
                    );
                }
                path
            }

            #[test]
            fn field() {
                if path().is_some() {
                    all::<$field>();
                }
            }

            #[test]
            fn decompression() {
                let Some(path) = path() else { return };
                let encodings = encodings();
                for count in (0..40).chain([encodings.len()]) {
                    let encodings = &encodings[encodings.len() - count..];
                    let mut points = vec![Niels::UNSET; count];
                    let mut valid = vec![false; count];
                    path.decompress(encodings, &mut points, &mut valid);
                    for ((encoding, niels), valid) in encodings.iter().zip(&points).zip(valid) {
                        let expected = CompressedEdwardsY(*encoding).decompress();
                        assert_eq!(valid, expected.is_some(), "{encoding:x?}");
                        let Some(expected) = expected else { continue };
                        // SAFETY: the path is the proof of the features.
                        let affine = unsafe { $field::broadcast(niels, 0) };
                        let read = |f: $field| Fe(unsafe { f.canonical() }.map(|row| row[0]));
                        let (plus, minus) = (read(affine.y_plus_x), read(affine.y_minus_x));
                        let half = invert(Fe([2, 0, 0, 0, 0]));
                        let (x, y) = ((plus - minus) * half, (plus + minus) * half);
                        let xy2d = x * y * Fe(D2);
                        assert_eq!(read(affine.xy2d).canonical(), xy2d.canonical());
                        let point = Point {
                            x,
                            y,
                            z: Fe::ONE,
                            t: x * y,
                        };
                        assert_eq!(encode(&point), expected.compress().0);
                    }
                }
            }

            fn check_sums(encodings: &[[u8; 32]], stride: usize, digit_max: usize, seed: u64) {
                let Some(path) = path() else { return };
                let mut random = Random(seed);
                let n = encodings.len();
                let mut points = vec![Niels::UNSET; n];
                let mut valid = vec![false; n];
                path.decompress(encodings, &mut points, &mut valid);
                assert!(valid.iter().all(|valid| *valid));
                let max = digit_max as i16;
                let digits: Vec<i16> = (0..n * stride)
                    .map(|_| match random.below(8) {
                        0 => 0,
                        1 => max,
                        2 => -max,
                        3 => [1, -1][random.below(2)],
                        _ => random.below(2 * digit_max + 1) as i16 - max,
                    })
                    .collect();
                let expected: Vec<EdwardsPoint> = encodings
                    .iter()
                    .map(|encoding| CompressedEdwardsY(*encoding).decompress().unwrap())
                    .collect();
                // In two parts, of which one may be empty.
                let cut = random.below(n + 1);
                let terms = [
                    Terms {
                        points: &points[..cut],
                        digits: &digits[..cut * stride],
                    },
                    Terms {
                        points: &points[cut..],
                        digits: &digits[cut * stride..],
                    },
                ];
                let mut buckets = Vec::new();
                for first in (0..stride).step_by($field::LANES) {
                    let group = Group {
                        first,
                        stride,
                        digit_max,
                    };
                    let mut sums = [Point::IDENTITY; $field::LANES];
                    path.window_sums(&terms, group, &mut buckets, &mut sums);
                    for (lane, sum) in sums.iter().enumerate() {
                        let digits = || digits.iter().skip(first + lane).step_by(stride);
                        // Not negated scalars: they are modulo the group order, and points may be of small order.
                        let points = expected
                            .iter()
                            .zip(digits())
                            .map(|(point, digit)| if *digit < 0 { -point } else { *point });
                        let sizes = digits().map(|digit| Scalar::from(digit.unsigned_abs()));
                        let expected = EdwardsPoint::vartime_multiscalar_mul(sizes, points);
                        assert_eq!(
                            encode(sum),
                            expected.compress().0,
                            "{n} points, {stride} digits up to {digit_max}, window {}",
                            first + lane
                        );
                    }
                }
            }

            #[test]
            fn sums() {
                let all: Vec<[u8; 32]> = encodings()
                    .into_iter()
                    .filter(|encoding| CompressedEdwardsY(*encoding).decompress().is_some())
                    .collect();
                for (seed, n) in [0, 1, 2, 3, 7, 50, all.len()].into_iter().enumerate() {
                    for (stride, digit_max) in [(8, 1), (16, 8), (16, 128), (32, 128), (8, 4096)] {
                        check_sums(&all[all.len() - n..], stride, digit_max, seed as u64);
                    }
                }
                // One point, whose sums meet themselves and their inverses.
                check_sums(&[all[0]; 200], 16, 2, 99);
            }
        }
    };
}

path_tests!(avx2, Avx2, F4);
path_tests!(ifma, Ifma, F8);
