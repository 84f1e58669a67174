//! Arithmetic modulo the group order `ℓ = 2^252 + 27742317777372353535851937790883648493`, and scalars as signed digits.
//!
//! Sums of products are kept unreduced ([`Wide`]) and reduced once: a key that signed a thousand items costs one
//! reduction. Variable time: nothing here is secret.

/// 64-bit limbs of `ℓ`, the lowest first.
const ORDER: [u64; 4] = [
    0x5812_631a_5cf5_d3ed,
    0x14de_f9de_a2f7_9cd6,
    0,
    0x1000_0000_0000_0000,
];

/// `2^(64·(4 + i)) mod ℓ`: what the limbs above the fourth stand for.
const RESIDUES: [[u64; 4]; WIDE_LIMBS - 4] = {
    let mut residues = [[0; 4]; WIDE_LIMBS - 4];
    // 2^252, doubled on.
    let mut power = [0, 0, 0, 0x1000_0000_0000_0000];
    let mut exponent = 252;
    while exponent < 64 * WIDE_LIMBS {
        if exponent % 64 == 0 && exponent >= 256 {
            residues[exponent / 64 - 4] = power;
        }
        power = double_mod(power);
        exponent += 1;
    }
    residues
};

/// `2x mod ℓ` for `x < ℓ`.
const fn double_mod(x: [u64; 4]) -> [u64; 4] {
    let doubled = [
        x[0] << 1,
        x[1] << 1 | x[0] >> 63,
        x[2] << 1 | x[1] >> 63,
        x[3] << 1 | x[2] >> 63,
    ];
    let (reduced, borrow) = subtract(doubled, ORDER);
    if borrow { doubled } else { reduced }
}

const fn subtract(a: [u64; 4], b: [u64; 4]) -> ([u64; 4], bool) {
    let mut out = [0; 4];
    let mut borrow = false;
    let mut i = 0;
    while i < 4 {
        let (part, first) = a[i].overflowing_sub(b[i]);
        let (part, second) = part.overflowing_sub(borrow as u64);
        out[i] = part;
        borrow = first | second;
        i += 1;
    }
    (out, borrow)
}

/// `a·b + c + carry`; the carry goes on.
#[inline(always)]
fn multiply_add(a: u64, b: u64, c: u64, carry: &mut u64) -> u64 {
    let sum = u128::from(a) * u128::from(b) + u128::from(c) + u128::from(*carry);
    *carry = (sum >> 64) as u64;
    sum as u64
}

/// An integer under `ℓ`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Scalar([u64; 4]);

impl Scalar {
    /// From its encoding. `None` unless it is under `ℓ`.
    #[inline]
    pub(crate) fn from_canonical(bytes: &[u8; 32]) -> Option<Self> {
        let (words, _) = bytes.as_chunks::<8>();
        let limbs: [u64; 4] = core::array::from_fn(|i| u64::from_le_bytes(words[i]));
        subtract(limbs, ORDER).1.then_some(Self(limbs))
    }

    /// From a digest of 64 bytes, as little-endian limbs.
    #[inline]
    pub(crate) fn from_digest(digest: &[u64; 8]) -> Self {
        let mut wide = Wide::default();
        wide.0[..8].copy_from_slice(digest);
        wide.reduce()
    }

    /// The limbs, the lowest first.
    pub(crate) const fn limbs(&self) -> &[u64; 4] {
        &self.0
    }

    #[inline]
    pub(crate) fn sub(self, other: Self) -> Self {
        let (mut out, borrow) = subtract(self.0, other.0);
        if borrow {
            let mut carry = false;
            for (limb, order) in out.iter_mut().zip(ORDER) {
                let (part, first) = limb.overflowing_add(order);
                let (part, second) = part.overflowing_add(carry.into());
                *limb = part;
                carry = first | second;
            }
        }
        Self(out)
    }
}

/// Limbs of a sum of up to `2^32` products of 128 and 512 bits.
const WIDE_LIMBS: usize = 11;

/// A sum of products, not reduced. At most `2^32` may be added: it is then under `2^(128 + 512 + 32)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wide([u64; WIDE_LIMBS]);

impl Wide {
    /// Adds `a·b`.
    #[inline(always)]
    pub(crate) fn multiply_add<const N: usize>(&mut self, a: u128, b: &[u64; N]) {
        for (i, a) in [a as u64, (a >> 64) as u64].into_iter().enumerate() {
            let mut carry = 0;
            for (j, &b) in b.iter().enumerate() {
                self.0[i + j] = multiply_add(a, b, self.0[i + j], &mut carry);
            }
            for limb in &mut self.0[i + N..] {
                if carry == 0 {
                    break;
                }
                let (sum, overflow) = limb.overflowing_add(carry);
                *limb = sum;
                carry = overflow.into();
            }
        }
    }

    /// The sum modulo `ℓ`.
    ///
    /// The upper limbs are folded by [`RESIDUES`], to under `2^256 + 7·2^64·ℓ < 2^320`, and once more, to under `2^318`. With
    /// `x = 2^252·q + r`, `2^252 ≡ -c` (`c = ℓ - 2^252 < 2^125`) and `q < 2^66`, the rest is `r - q·c`, between
    /// `-2^191` and `2^252`.
    #[inline]
    pub(crate) fn reduce(&self) -> Scalar {
        let x = &self.0;
        let mut sum = [x[0], x[1], x[2], x[3], 0];
        for (&limb, residue) in x[4..].iter().zip(&RESIDUES) {
            fold(&mut sum, limb, residue);
        }
        let [r0, r1, r2, r3, high] = sum;
        let mut sum = [r0, r1, r2, r3, 0];
        fold(&mut sum, high, &RESIDUES[0]);
        let [r0, r1, r2, r3, high] = sum;
        let quotient = u128::from(r3 >> 60) | u128::from(high) << 4;
        let rest = [r0, r1, r2, r3 & ((1 << 60) - 1)];
        let mut product = [0; 4];
        for (i, q) in [quotient as u64, (quotient >> 64) as u64]
            .into_iter()
            .enumerate()
        {
            let mut carry = 0;
            for j in 0..2 {
                product[i + j] = multiply_add(q, ORDER[j], product[i + j], &mut carry);
            }
            product[i + 2] = carry;
        }
        // Both are under ℓ.
        Scalar(rest).sub(Scalar(product))
    }
}

/// `sum += limb·residue`, which the caller knows to fit.
#[inline(always)]
fn fold(sum: &mut [u64; 5], limb: u64, residue: &[u64; 4]) {
    let mut carry = 0;
    for (part, &residue) in sum.iter_mut().zip(residue) {
        *part = multiply_add(limb, residue, *part, &mut carry);
    }
    sum[4] += carry;
}

/// A sum of products of signed coefficients: the positive and the negative ones apart.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SignedWide {
    positive: Wide,
    negative: Wide,
}

impl SignedWide {
    /// Adds `coefficient·b`.
    #[inline(always)]
    pub(crate) fn multiply_add<const N: usize>(&mut self, coefficient: Coefficient, b: &[u64; N]) {
        let (size, negative) = coefficient.size();
        let side = if negative {
            &mut self.negative
        } else {
            &mut self.positive
        };
        side.multiply_add(size, b);
    }

    /// The sum modulo `ℓ`.
    #[inline]
    pub(crate) fn reduce(&self) -> Scalar {
        self.positive.reduce().sub(self.negative.reduce())
    }

    /// The sum's negative modulo `ℓ`.
    #[inline]
    pub(crate) fn reduce_negated(&self) -> Scalar {
        self.negative.reduce().sub(self.positive.reduce())
    }
}

/// A random coefficient: one of `2^128` consecutive integers around 0, kept as 128 random bits.
///
/// How they map to integers depends on [`Windows`]: in each window of `w` bits, the bits less `2^(w-1)` are the
/// digit. So random bits *are* random signed digits, and nothing has to be recoded. For every way to cut the windows,
/// different bits give different integers, less than `2^128` apart, and thus different residues modulo `ℓ`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Coefficient {
    bits: u128,
    half: u128,
}

impl Coefficient {
    /// Size and whether it is negative. The size is at most `2^128 - 1`: the offset is between `2^127` and `2^128`.
    #[inline(always)]
    fn size(self) -> (u128, bool) {
        if self.bits >= self.half {
            (self.bits - self.half, false)
        } else {
            (self.half - self.bits, true)
        }
    }
}

/// How 128 bits are cut into windows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Windows {
    count: usize,
    /// The first windows are of one bit more than `bits`.
    wider: usize,
    bits: u32,
    /// Half of each window: what turns bits into signed digits.
    half: u128,
}

impl Windows {
    /// `count` windows, as equal as can be, of 4 to 15 bits.
    pub(crate) const fn new(count: usize) -> Self {
        assert!(count > 8 && count <= 32, "windows have 4 to 15 bits");
        let bits = 128 / count as u32;
        let wider = 128 % count;
        let mut half = 0;
        let mut at = 0;
        let mut window = 0;
        while window < count {
            let width = bits + (window < wider) as u32;
            half |= 1 << (at + width - 1);
            at += width;
            window += 1;
        }
        Self {
            count,
            wider,
            bits,
            half,
        }
    }

    /// Windows in 128 bits.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// Bits of a window.
    pub(crate) const fn width(&self, window: usize) -> u32 {
        self.bits + (window < self.wider) as u32
    }

    /// The largest size of a digit.
    pub(crate) const fn digit_max(&self) -> usize {
        1 << (self.width(0) - 1)
    }

    /// The coefficient that these random bits stand for.
    #[inline(always)]
    pub(crate) const fn coefficient(&self, bits: u128) -> Coefficient {
        Coefficient {
            bits,
            half: self.half,
        }
    }

    /// The coefficient 1.
    pub(crate) const fn one(&self) -> u128 {
        self.half + 1
    }

    /// The digits of the coefficient that the bits stand for, the lowest window first.
    #[inline(always)]
    pub(crate) fn split(&self, mut bits: u128, digits: &mut [i16]) {
        debug_assert_eq!(digits.len(), self.count);
        for (window, digit) in digits.iter_mut().enumerate() {
            let width = self.width(window);
            *digit = (bits as u16 & ((1 << width) - 1)) as i16 - (1 << (width - 1));
            bits >>= width;
        }
    }

    /// The digits of a scalar: those of its low 128 bits, and those of the rest.
    #[inline(always)]
    pub(crate) fn split_scalar(&self, scalar: &Scalar, low: &mut [i16], high: &mut [i16]) {
        let limbs = scalar.limbs();
        let wide = |i: usize| u128::from(limbs[i]) | u128::from(limbs[i + 1]) << 64;
        let (bits, carry) = wide(0).overflowing_add(self.half);
        self.split(bits, low);
        // Under 2^125 + 1 + 2^128·(1/2 + 1/16): the highest window has at least 4 bits, so the half starts with 1000.
        self.split(wide(2) + u128::from(carry) + self.half, high);
    }
}

#[cfg(test)]
mod tests;
