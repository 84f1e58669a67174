//! The rule by slow, obvious arithmetic that shares no code with the library: whole numbers of 256 bits, the
//! formulas of RFC 8032 section 5.1, and `k` left at its 512 bits.

use std::sync::LazyLock;

use hubledger_signatures::{PublicKey, Signature, SignatureError};
use sha2::{Digest as _, Sha512};

/// An integer below `2^256`, least significant limb first.
type U256 = [u64; 4];

/// `p = 2^255 - 19`.
const P: U256 = [
    0xffff_ffff_ffff_ffed,
    u64::MAX,
    u64::MAX,
    0x7fff_ffff_ffff_ffff,
];
/// `ℓ`, the order of the base point.
const ORDER: U256 = [
    0x5812_631a_5cf5_d3ed,
    0x14de_f9de_a2f7_9cd6,
    0,
    0x1000_0000_0000_0000,
];

fn from_le(bytes: &[u8; 32]) -> U256 {
    let (limbs, _) = bytes.as_chunks::<8>();
    [0, 1, 2, 3].map(|i| u64::from_le_bytes(limbs[i]))
}

fn less(a: &U256, b: &U256) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

fn subtract(a: &U256, b: &U256) -> U256 {
    let mut borrow = false;
    [0, 1, 2, 3].map(|i| {
        let (difference, first) = a[i].overflowing_sub(b[i]);
        let (difference, second) = difference.overflowing_sub(u64::from(borrow));
        borrow = first || second;
        difference
    })
}

/// A number mod `p`, always below `p`.
#[derive(Clone, Copy, PartialEq)]
struct Field(U256);

const ZERO: Field = Field([0; 4]);
const ONE: Field = Field([1, 0, 0, 0]);

impl Field {
    fn reduce(mut value: U256) -> Self {
        while !less(&value, &P) {
            value = subtract(&value, &P);
        }
        Self(value)
    }

    fn small(value: u64) -> Self {
        Self([value, 0, 0, 0])
    }

    fn mul(&self, other: &Self) -> Self {
        let mut wide = [0u64; 8];
        for i in 0..4 {
            let mut carry = 0u128;
            for j in 0..4 {
                let sum = u128::from(wide[i + j])
                    + u128::from(self.0[i]) * u128::from(other.0[j])
                    + carry;
                wide[i + j] = sum as u64;
                carry = sum >> 64;
            }
            wide[i + 4] = carry as u64;
        }
        // 2^256 = 38 mod p: fold the high half onto the low one, until nothing is left of it.
        let mut low = [wide[0], wide[1], wide[2], wide[3]];
        let mut high = [wide[4], wide[5], wide[6], wide[7]];
        while high.iter().any(|&limb| limb != 0) {
            let mut carry = 0u128;
            for i in 0..4 {
                let sum = u128::from(low[i]) + 38 * u128::from(high[i]) + carry;
                low[i] = sum as u64;
                carry = sum >> 64;
            }
            high = [carry as u64, 0, 0, 0];
        }
        Self::reduce(low)
    }

    fn add(&self, other: &Self) -> Self {
        // Both are below 2^255, so that the sum has 256 bits.
        let mut carry = 0u128;
        Self::reduce([0, 1, 2, 3].map(|i| {
            let sum = u128::from(self.0[i]) + u128::from(other.0[i]) + carry;
            carry = sum >> 64;
            sum as u64
        }))
    }

    fn sub(&self, other: &Self) -> Self {
        self.add(&Self::reduce(subtract(&P, &other.0)))
    }

    fn pow(&self, exponent: &U256) -> Self {
        let mut result = ONE;
        for bit in (0..256).rev() {
            result = result.mul(&result);
            if exponent[bit / 64] >> (bit % 64) & 1 == 1 {
                result = result.mul(self);
            }
        }
        result
    }

    fn invert(&self) -> Self {
        self.pow(&subtract(&P, &[2, 0, 0, 0]))
    }
}

/// `d = -121665 / 121666`.
static D: LazyLock<Field> = LazyLock::new(|| {
    ZERO.sub(&Field::small(121_665))
        .mul(&Field::small(121_666).invert())
});

/// The base point and all that doubling makes of it: `[2^i]B` for each bit of a scalar.
static BASE: LazyLock<Vec<Point>> = LazyLock::new(|| {
    // The base point is the one with y = 4/5 and an even x.
    let mut base = [0u8; 32];
    let y = Field::small(4).mul(&Field::small(5).invert());
    for (bytes, limb) in base.chunks_mut(8).zip(y.0) {
        bytes.copy_from_slice(&limb.to_le_bytes());
    }
    let base = Point::decode(&base, &D).expect("the base point");
    let doubled = |point: &Point| Some(point.add(point, &D));
    std::iter::successors(Some(base), doubled)
        .take(256)
        .collect()
});

/// A point in the extended coordinates of RFC 8032, section 5.1.4: `x = X/Z`, `y = Y/Z`, `xy = T/Z`.
#[derive(Clone, Copy)]
struct Point {
    x: Field,
    y: Field,
    z: Field,
    t: Field,
}

const IDENTITY: Point = Point {
    x: ZERO,
    y: ONE,
    z: ONE,
    t: ZERO,
};

impl Point {
    /// The addition of RFC 8032, section 5.1.4, which is complete: it also doubles.
    fn add(&self, other: &Self, d: &Field) -> Self {
        let a = self.y.sub(&self.x).mul(&other.y.sub(&other.x));
        let b = self.y.add(&self.x).mul(&other.y.add(&other.x));
        let c = self.t.mul(&other.t).mul(d);
        let c = c.add(&c);
        let dd = self.z.mul(&other.z);
        let dd = dd.add(&dd);
        let (e, f, g, h) = (b.sub(&a), dd.sub(&c), dd.add(&c), b.add(&a));
        Self {
            x: e.mul(&f),
            y: g.mul(&h),
            z: f.mul(&g),
            t: e.mul(&h),
        }
    }

    /// `[n]P`, for a little-endian `n` of any length.
    fn times(&self, n: &[u8], d: &Field) -> Self {
        let mut result = IDENTITY;
        for byte in n.iter().rev() {
            for bit in (0..8).rev() {
                result = result.add(&result, d);
                if byte >> bit & 1 == 1 {
                    result = result.add(self, d);
                }
            }
        }
        result
    }

    fn equals(&self, other: &Self) -> bool {
        self.x.mul(&other.z) == other.x.mul(&self.z) && self.y.mul(&other.z) == other.y.mul(&self.z)
    }

    /// RFC 8032, section 5.1.3, for a `y` below `p`.
    fn decode(encoding: &[u8; 32], d: &Field) -> Option<Self> {
        let (y, sign) = split(encoding);
        let y = Field(y);
        let yy = y.mul(&y);
        let (u, v) = (yy.sub(&ONE), d.mul(&yy).add(&ONE));
        let square = u.mul(&v.invert());
        // (p + 3) / 8 and (p - 1) / 4.
        let mut x = square.pow(&[
            0xffff_ffff_ffff_fffe,
            u64::MAX,
            u64::MAX,
            0x0fff_ffff_ffff_ffff,
        ]);
        if x.mul(&x) != square {
            let quarter = [
                0xffff_ffff_ffff_fffb,
                u64::MAX,
                u64::MAX,
                0x1fff_ffff_ffff_ffff,
            ];
            x = x.mul(&Field::small(2).pow(&quarter));
        }
        if x.mul(&x) != square {
            return None;
        }
        if (x.0[0] & 1 == 1) != sign {
            x = ZERO.sub(&x);
        }
        Some(Self {
            x,
            y,
            z: ONE,
            t: x.mul(&y),
        })
    }
}

fn split(encoding: &[u8; 32]) -> (U256, bool) {
    let mut y = from_le(encoding);
    let sign = y[3] >> 63 == 1;
    y[3] &= u64::MAX >> 1;
    (y, sign)
}

/// `[s]B`.
fn times_base(s: &[u8; 32], d: &Field) -> Point {
    let is_set = |bit: &usize| s[bit / 8] >> (bit % 8) & 1 == 1;
    let bits = (0..256).filter(is_set);
    bits.fold(IDENTITY, |sum, bit| sum.add(&BASE[bit], d))
}

/// An encoding and the point that it stands for, if any.
struct Encoded {
    y: U256,
    sign: bool,
    point: Option<Point>,
}

impl Encoded {
    fn new(encoding: &[u8; 32], d: &Field) -> Self {
        let (y, sign) = split(encoding);
        let point = Point::decode(encoding, d);
        Self { y, sign, point }
    }

    fn is_canonical(&self) -> bool {
        let zero_x = || self.point.is_some_and(|point| point.x == ZERO);
        less(&self.y, &P) && !(self.sign && zero_x())
    }

    fn is_small_order(&self, d: &Field) -> bool {
        self.point
            .is_some_and(|point| point.times(&[8], d).equals(&IDENTITY))
    }
}

/// The rule, in the order in which it is stated.
pub(crate) fn verify(
    key: &PublicKey,
    message: &[u8],
    signature: &Signature,
) -> Result<(), SignatureError> {
    let d = &*D;
    let key = key.as_bytes();
    let r: &[u8; 32] = signature.as_bytes().first_chunk().expect("32 bytes");
    let s: &[u8; 32] = signature.as_bytes().last_chunk().expect("32 bytes");
    let (a, r_point) = (Encoded::new(key, d), Encoded::new(r, d));
    let rule = [
        (
            less(&from_le(s), &ORDER),
            SignatureError::NonCanonicalScalar,
        ),
        (a.is_canonical(), SignatureError::NonCanonicalKey),
        (r_point.is_canonical(), SignatureError::NonCanonicalR),
        (!a.is_small_order(d), SignatureError::SmallOrderKey),
        (!r_point.is_small_order(d), SignatureError::SmallOrderR),
    ];
    if let Some((_, error)) = rule.into_iter().find(|(holds, _)| !holds) {
        return Err(error);
    }
    let a = a.point.ok_or(SignatureError::KeyNotOnCurve)?;
    let r_point = r_point.point.ok_or(SignatureError::RNotOnCurve)?;
    let k = Sha512::digest([r.as_slice(), key, message].concat());
    let left = times_base(s, d).times(&[8], d);
    let right = r_point
        .times(&[8], d)
        .add(&a.times(&k, d).times(&[8], d), d);
    if left.equals(&right) {
        Ok(())
    } else {
        Err(SignatureError::Equation)
    }
}
