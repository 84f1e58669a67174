//! Items of every kind from a few numbers each, for tests that draw them at random.

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::scalar::Scalar;
use hubledger_signatures::{PublicKey, Signature};

use super::crafted::{
    Case, KeyPair, add_orders, join, scalar, small_order_encodings, solve, torsion,
};

/// What to make. Any numbers give an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Recipe {
    /// What is wrong with it, if anything: [`KINDS`] kinds.
    pub(crate) kind: u8,
    /// Who signs.
    pub(crate) signer: u8,
    /// Which message.
    pub(crate) message: u8,
    /// Where it is changed.
    pub(crate) at: u8,
    /// What it is changed to.
    pub(crate) value: u8,
}

/// Kinds there are.
pub(crate) const KINDS: u8 = 12;
/// Signers that a fuzzer can name, which is more than the small caches hold.
const SIGNERS: u8 = 8;
/// The lengths of messages go around every boundary of a block of SHA-512, after the 64 bytes of `R` and `A`.
const LENGTHS: [usize; 8] = [0, 1, 47, 48, 63, 64, 200, 300];

impl Recipe {
    /// From the bytes that a fuzzer made up. Bytes that make the same item, or one that is odd in the same way, give the same
    /// recipe: the verdict of the slow reference on it is then known more often.
    pub(crate) fn from_bytes([kind, signer, message, at, value]: [u8; 5]) -> Self {
        let kind = kind % KINDS;
        // How many places and values make a difference to this kind.
        let (places, values) = match kind {
            0 | 1 => (1, 1),
            2 => (32, 8),
            3 => (64, 8),
            4 => (1, 4),
            5 => (1, 16),
            6 => (64, 1),
            7 => (8, 8),
            8 => (1, 8),
            9 => (1, 15),
            10 => (3 * 14, 14),
            _ => (20, u8::MAX),
        };
        Self {
            kind,
            signer: signer % SIGNERS,
            message: message % LENGTHS.len() as u8,
            at: at % places,
            value: value % values,
        }
    }

    fn message(&self) -> Vec<u8> {
        vec![self.message; LENGTHS[usize::from(self.message) % LENGTHS.len()]]
    }

    /// The item.
    pub(crate) fn make(&self) -> Case {
        let pair = KeyPair::number(self.signer.into());
        let (mut key, mut message) = (pair.public_key(), self.message());
        let mut signature = pair.sign(&message);
        let at = usize::from(self.at);
        match self.kind % KINDS {
            // Valid.
            0 | 1 => {}
            // A bit of the key, of R, of s.
            2 => key = PublicKey::from_bytes(flipped(*key.as_bytes(), at, self.value)),
            3 => signature = Signature::from_bytes(flipped(*signature.as_bytes(), at, self.value)),
            // Another message, or another signer's key.
            4 => message.push(self.value),
            5 => key = KeyPair::number(u64::from(self.value) + 1_000).public_key(),
            // Of mixed order, valid under the cofactored equation, ...
            6 => (key, signature) = mixed_order(&pair, at, &message),
            // ... and not: s is off by a little, so that two such items may cancel each other.
            7 => {
                (key, signature) = mixed_order(&pair, at % 8, &message);
                signature = shifted(&signature, self.value);
            }
            // The same for an honest signature.
            8 => signature = shifted(&signature, self.value),
            // s is not reduced.
            9 => signature = unreduced(&signature, 1 + u16::from(self.value % 15)),
            // A, R or both of small order, in any encoding, with the equation solved.
            10 => (key, signature) = small_order(&pair, at, self.value.into(), &message),
            // Any value for A or R: non-canonical ones, and such that are not on the curve.
            _ => (key, signature) = odd_value(key, &signature, at, self.value),
        }
        Case::new(format!("{self:?}"), key, &message, signature)
    }
}

fn flipped<const N: usize>(mut bytes: [u8; N], at: usize, bit: u8) -> [u8; N] {
    bytes[at % N] ^= 1 << (bit % 8);
    bytes
}

fn parts(signature: &Signature) -> ([u8; 32], [u8; 32]) {
    let (r, s) = signature.as_bytes().split_at(32);
    (
        r.try_into().expect("32 bytes"),
        s.try_into().expect("32 bytes"),
    )
}

/// `A + T` and `R + U`; `at` chooses `T` and `U`.
fn mixed_order(pair: &KeyPair, at: usize, message: &[u8]) -> (PublicKey, Signature) {
    let secret = pair.secret();
    let r = scalar(at as u64);
    let encode = |scalar: &Scalar, part: usize| {
        let point = ED25519_BASEPOINT_POINT * scalar + torsion(part % 8);
        point.compress().to_bytes()
    };
    let (key, r_bytes) = (encode(&secret, at), encode(&r, at / 8));
    let signature = solve(&secret, key, &r, r_bytes, message);
    (PublicKey::from_bytes(key), signature)
}

/// `s` off by 1 to 4, up or down.
fn shifted(signature: &Signature, by: u8) -> Signature {
    let (r, s) = parts(signature);
    let shift = Scalar::from(1 + by / 2 % 4);
    let s = Scalar::from_bytes_mod_order(s) + if by.is_multiple_of(2) { shift } else { -shift };
    join(&r, s.as_bytes())
}

fn unreduced(signature: &Signature, orders: u16) -> Signature {
    let (r, s) = parts(signature);
    join(&r, &add_orders(&s, orders).unwrap_or([0xff; 32]))
}

fn small_order(pair: &KeyPair, at: usize, value: usize, message: &[u8]) -> (PublicKey, Signature) {
    let small = small_order_encodings();
    let (a, r) = (small[at % small.len()], small[value % small.len()]);
    let (secret, full) = (pair.secret(), *pair.public_key().as_bytes());
    let zero = Scalar::ZERO;
    let (key, signature) = match at / small.len() % 3 {
        0 => (a, solve(&zero, a, &secret, full, message)),
        1 => (full, solve(&secret, full, &zero, r, message)),
        _ => (a, solve(&zero, a, &zero, r, message)),
    };
    (PublicKey::from_bytes(key), signature)
}

fn odd_value(
    key: PublicKey,
    signature: &Signature,
    at: usize,
    value: u8,
) -> (PublicKey, Signature) {
    // Around 0, p, 2^255, 2^256, and elsewhere: low bytes from 0 on, and around that of p, which is 0xed.
    let low = value.wrapping_add([0, 0xe8][at / 10 % 2]);
    let (middle, high) = [
        (0x00, 0x00),
        (0x00, 0x80),
        (0xff, 0x7f),
        (0xff, 0xff),
        (0x5a, 0x5a),
    ][at % 5];
    let mut bytes = [middle; 32];
    (bytes[0], bytes[31]) = (low, high);
    if (at / 5).is_multiple_of(2) {
        (PublicKey::from_bytes(bytes), *signature)
    } else {
        (key, join(&bytes, &parts(signature).1))
    }
}
