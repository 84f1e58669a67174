//! The one acceptance rule, as stated in the module's documentation: byte checks, points, equation.

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use sha2::{Digest as _, Sha512};

use crate::bytes::{PublicKey, Signature};
use crate::scalar;

/// Why a signature is not accepted: the first step of the rule that it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// `s` is not below the group order `ℓ`.
    #[error("the signature's scalar is not reduced")]
    NonCanonicalScalar,
    /// The key's `y` is not below `p`, or its `x` is 0 with a sign.
    #[error("the public key is not encoded canonically")]
    NonCanonicalKey,
    /// `R`'s `y` is not below `p`, or its `x` is 0 with a sign.
    #[error("the signature's point is not encoded canonically")]
    NonCanonicalR,
    /// The key is one of the eight points whose order divides 8.
    #[error("the public key is a point of small order")]
    SmallOrderKey,
    /// `R` is one of the eight points whose order divides 8.
    #[error("the signature's point is of small order")]
    SmallOrderR,
    /// No point has the key's `y`.
    #[error("the public key is not a point on the curve")]
    KeyNotOnCurve,
    /// No point has `R`'s `y`.
    #[error("the signature's point is not on the curve")]
    RNotOnCurve,
    /// All is well formed, but `[8][s]B ≠ [8]R + [8][k]A`: wrong key, wrong message, or a forgery.
    #[error("the signature does not match the key and message")]
    Equation,
}

/// Checks one signature by the rule. Some tens of microseconds, no allocation.
///
/// # Errors
/// The first step of the rule that fails.
pub fn verify(
    key: &PublicKey,
    message: &[u8],
    signature: &Signature,
) -> Result<(), SignatureError> {
    check_bytes(key, signature)?;
    let a = key_point(key)?;
    let r = r_point(signature)?;
    let k = challenge(key, message, signature);
    check_equation(signature, &r, &k, &a)
}

/// Checks that `key` can belong to an accepted signature at all: canonical, not of small order, on the curve.
/// For keys that are configured rather than received with a signature, such as a chain's authorities.
///
/// # Errors
/// [`SignatureError::NonCanonicalKey`], [`SignatureError::SmallOrderKey`] or [`SignatureError::KeyNotOnCurve`].
pub fn check_key(key: &PublicKey) -> Result<(), SignatureError> {
    if !is_canonical(key.as_bytes()) {
        return Err(SignatureError::NonCanonicalKey);
    }
    if is_small_order(key.as_bytes()) {
        return Err(SignatureError::SmallOrderKey);
    }
    key_point(key).map(|_| ())
}

/// Steps 1 to 3, which only compare bytes. Returns `s`.
#[inline]
pub(crate) fn check_bytes(
    key: &PublicKey,
    signature: &Signature,
) -> Result<scalar::Scalar, SignatureError> {
    let s = scalar::Scalar::from_canonical(signature.s());
    let s = s.ok_or(SignatureError::NonCanonicalScalar)?;
    if !is_canonical(key.as_bytes()) {
        return Err(SignatureError::NonCanonicalKey);
    }
    if !is_canonical(signature.r()) {
        return Err(SignatureError::NonCanonicalR);
    }
    if is_small_order(key.as_bytes()) {
        return Err(SignatureError::SmallOrderKey);
    }
    if is_small_order(signature.r()) {
        return Err(SignatureError::SmallOrderR);
    }
    Ok(s)
}

/// Step 4 for the key. One square root.
pub(crate) fn key_point(key: &PublicKey) -> Result<EdwardsPoint, SignatureError> {
    CompressedEdwardsY(*key.as_bytes())
        .decompress()
        .ok_or(SignatureError::KeyNotOnCurve)
}

/// Step 4 for `R`. One square root.
pub(crate) fn r_point(signature: &Signature) -> Result<EdwardsPoint, SignatureError> {
    CompressedEdwardsY(*signature.r())
        .decompress()
        .ok_or(SignatureError::RNotOnCurve)
}

/// `k`, from the encodings as received.
pub(crate) fn challenge(key: &PublicKey, message: &[u8], signature: &Signature) -> Scalar {
    let mut hasher = Sha512::new();
    hasher.update(signature.r());
    hasher.update(key.as_bytes());
    hasher.update(message);
    Scalar::from_bytes_mod_order_wide(&hasher.finalize().into())
}

/// Step 5, for an `s` that step 1 let pass.
pub(crate) fn check_equation(
    signature: &Signature,
    r: &EdwardsPoint,
    k: &Scalar,
    a: &EdwardsPoint,
) -> Result<(), SignatureError> {
    let s = Scalar::from_bytes_mod_order(*signature.s());
    let difference = EdwardsPoint::vartime_double_scalar_mul_basepoint(k, &-a, &s) - r;
    if vanishes(&difference) {
        Ok(())
    } else {
        Err(SignatureError::Equation)
    }
}

/// Whether `[8]P` is the identity: whether `P` is 0 but for its small-order part.
pub(crate) fn vanishes(point: &EdwardsPoint) -> bool {
    point.mul_by_cofactor().is_identity()
}

/// A `y` as little-endian words.
type Words = [u64; 4];

/// The lowest word of `p`; the other three are all ones but for the top bit.
const P_LOW: u64 = u64::MAX - 18;
const HIGH_ONES: u64 = u64::MAX >> 1;
/// `y = 1`, the identity.
const Y_ONE: Words = [1, 0, 0, 0];
/// `y = 0`, two points of order 4.
const Y_ZERO: Words = [0; 4];
/// `y = -1 = p - 1`, of order 2.
const Y_MINUS_ONE: Words = [P_LOW - 1, u64::MAX, u64::MAX, HIGH_ONES];
/// Two points of order 8.
const Y_EIGHT: Words = [
    0xb027_b2c2_8f95_e826,
    0xf098_eff2_89f4_c345,
    0x3933_c6d3_05ac_dfd5,
    0x05fc_536d_8802_38b1,
];
/// The other two, whose `y` is the negative.
const Y_MINUS_EIGHT: Words = [
    0x4fd8_4d3d_706a_17c7,
    0x0f67_100d_760b_3cba,
    0xc6cc_392c_fa53_202a,
    0x7a03_ac92_77fd_c74e,
];

/// An encoding is `y`, 255 bits, and the sign of `x` in the top bit.
fn split_sign(encoding: &[u8; 32]) -> (Words, bool) {
    let (words, _) = encoding.as_chunks::<8>();
    let mut y: Words = std::array::from_fn(|i| u64::from_le_bytes(words[i]));
    let sign = y[3] > HIGH_ONES;
    y[3] &= HIGH_ONES;
    (y, sign)
}

/// Whether `y < p`, and no sign is given to `x = 0`, which is the `x` of `y = ±1` and of no other point.
fn is_canonical(encoding: &[u8; 32]) -> bool {
    let (y, sign) = split_sign(encoding);
    let reduced = y[3] != HIGH_ONES || y[2] & y[1] != u64::MAX || y[0] < P_LOW;
    reduced && !(sign && (y == Y_ONE || y == Y_MINUS_ONE))
}

/// Whether a canonical encoding is one of the eight whose point has an order that divides 8.
fn is_small_order(encoding: &[u8; 32]) -> bool {
    let (y, _) = split_sign(encoding);
    [Y_ONE, Y_ZERO, Y_MINUS_ONE, Y_EIGHT, Y_MINUS_EIGHT].contains(&y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use curve25519_dalek::constants::EIGHT_TORSION;
    use std::collections::BTreeSet;

    #[test]
    fn the_small_order_encodings_are_those_of_the_eight_torsion_points() {
        let torsion: BTreeSet<[u8; 32]> = EIGHT_TORSION
            .iter()
            .map(|point| point.compress().to_bytes())
            .collect();
        let mut listed = BTreeSet::new();
        for y in [Y_ONE, Y_ZERO, Y_MINUS_ONE, Y_EIGHT, Y_MINUS_EIGHT] {
            for sign in [0x00, 0x80] {
                let mut encoding = [0; 32];
                for (bytes, word) in encoding.chunks_exact_mut(8).zip(y) {
                    bytes.copy_from_slice(&word.to_le_bytes());
                }
                encoding[31] |= sign;
                assert!(is_small_order(&encoding));
                if is_canonical(&encoding) {
                    listed.insert(encoding);
                }
            }
        }
        assert_eq!(listed, torsion);
    }

    #[test]
    fn canonical_encodings_are_those_that_decompress_and_compress_to_themselves() {
        // Around every boundary: 0, ±1, p, 2^255, and each with and without the sign.
        for low in 0..=255u8 {
            for (middle, high) in [
                (0x00, 0x00),
                (0xff, 0x7f),
                (0xff, 0x80),
                (0x00, 0x80),
                (0xff, 0xff),
            ] {
                let mut encoding = [middle; 32];
                encoding[0] = low;
                encoding[31] = high;
                if let Some(point) = CompressedEdwardsY(encoding).decompress() {
                    let same = point.compress().to_bytes() == encoding;
                    assert_eq!(is_canonical(&encoding), same, "{encoding:02x?}");
                }
            }
        }
    }
}
