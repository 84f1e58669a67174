//! Signatures that nobody honest makes: small and mixed orders, non-canonical encodings, scalars at the edge.

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::{Signer as _, SigningKey};
use hubledger_signatures::{Item, PublicKey, Signature};
use sha2::{Digest as _, Sha512};

/// A key pair by another library.
pub(crate) struct KeyPair(SigningKey);

impl KeyPair {
    pub(crate) fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The pair that this number stands for.
    pub(crate) fn number(number: u64) -> Self {
        let mut seed = [0x5e; 32];
        seed[..8].copy_from_slice(&number.to_le_bytes());
        Self::from_seed(&seed)
    }

    pub(crate) fn public_key(&self) -> PublicKey {
        PublicKey::from_bytes(self.0.verifying_key().to_bytes())
    }

    pub(crate) fn secret(&self) -> Scalar {
        self.0.to_scalar()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        Signature::from_bytes(self.0.sign(message).to_bytes())
    }
}

/// An item with its parts, and what it is.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) key: PublicKey,
    pub(crate) message: Vec<u8>,
    pub(crate) signature: Signature,
}

impl Case {
    pub(crate) fn new(
        name: impl Into<String>,
        key: PublicKey,
        message: &[u8],
        signature: Signature,
    ) -> Self {
        Self {
            name: name.into(),
            key,
            message: message.to_vec(),
            signature,
        }
    }

    pub(crate) fn item(&self) -> Item<'_> {
        Item {
            key: &self.key,
            message: &self.message,
            signature: &self.signature,
        }
    }
}

pub(crate) fn join(r: &[u8; 32], s: &[u8; 32]) -> Signature {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(r);
    bytes[32..].copy_from_slice(s);
    Signature::from_bytes(bytes)
}

pub(crate) fn challenge(r: &[u8; 32], key: &[u8; 32], message: &[u8]) -> Scalar {
    let digest = Sha512::digest([r.as_slice(), key, message].concat());
    Scalar::from_bytes_mod_order_wide(&digest.into())
}

/// A scalar that looks random and is the same in every run.
pub(crate) fn scalar(seed: u64) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&Sha512::digest(seed.to_le_bytes()).into())
}

/// Encodings for `A = [a]B + T` and `R = [r]B + U`, as given, with the `s` that solves the cofactored equation.
pub(crate) fn solve(
    a: &Scalar,
    key: [u8; 32],
    r: &Scalar,
    r_bytes: [u8; 32],
    message: &[u8],
) -> Signature {
    let s = r + challenge(&r_bytes, &key, message) * a;
    join(&r_bytes, s.as_bytes())
}

/// The six encodings of points of small order that are not canonical: `-1` and `1` with a sign (`x` is 0),
/// and `y = p` and `y = p + 1`, with and without.
pub(crate) fn non_canonical_small_order() -> [[u8; 32]; 6] {
    let with = |low: u8, middle: u8, high: u8| {
        let mut bytes = [middle; 32];
        (bytes[0], bytes[31]) = (low, high);
        bytes
    };
    [
        with(0x01, 0x00, 0x80),
        with(0xec, 0xff, 0xff),
        with(0xed, 0xff, 0x7f),
        with(0xed, 0xff, 0xff),
        with(0xee, 0xff, 0x7f),
        with(0xee, 0xff, 0xff),
    ]
}

/// Every encoding of the eight points of small order: the eight canonical ones, then the others.
pub(crate) fn small_order_encodings() -> [[u8; 32]; 14] {
    let canonical = EIGHT_TORSION.map(|point| point.compress().to_bytes());
    let mut encodings = [[0; 32]; 14];
    encodings[..8].copy_from_slice(&canonical);
    encodings[8..].copy_from_slice(&non_canonical_small_order());
    encodings
}

pub(crate) fn torsion(index: usize) -> EdwardsPoint {
    EIGHT_TORSION[index]
}

/// Mixed-order and plain keys and `R`, all 64 pairs, each solving the cofactored equation: all accepted.
pub(crate) fn mixed_orders() -> Vec<Case> {
    let mut cases = Vec::new();
    for (i, j) in (0..8).flat_map(|i| (0..8).map(move |j| (i, j))) {
        let (a, r) = (scalar(100 + i as u64), scalar(200 + j as u64));
        let key = (ED25519_BASEPOINT_POINT * a + torsion(i))
            .compress()
            .to_bytes();
        let r_bytes = (ED25519_BASEPOINT_POINT * r + torsion(j))
            .compress()
            .to_bytes();
        let message = format!("mixed {i} {j}");
        let signature = solve(&a, key, &r, r_bytes, message.as_bytes());
        let key = PublicKey::from_bytes(key);
        cases.push(Case::new(
            message.clone(),
            key,
            message.as_bytes(),
            signature,
        ));
    }
    cases
}

/// Small-order `A`, then small-order `R`, in all canonical and non-canonical encodings, each beside a partner of
/// full order and beside each other; the cofactored equation holds in every one: all refused.
pub(crate) fn small_orders() -> Vec<Case> {
    let small = small_order_encodings();
    let mut cases = Vec::new();
    for (i, encoding) in small.iter().enumerate() {
        let secret = scalar(300 + i as u64);
        let full = (ED25519_BASEPOINT_POINT * secret).compress().to_bytes();
        let message = format!("small order {i}");
        let mut push = |which: &str, key: [u8; 32], signature| {
            let key = PublicKey::from_bytes(key);
            cases.push(Case::new(
                format!("{message} {which}"),
                key,
                message.as_bytes(),
                signature,
            ));
        };
        let zero = Scalar::ZERO;
        push(
            "A",
            *encoding,
            solve(&zero, *encoding, &secret, full, message.as_bytes()),
        );
        push(
            "R",
            full,
            solve(&secret, full, &zero, *encoding, message.as_bytes()),
        );
        for other in &small {
            push(
                "A and R",
                *encoding,
                solve(&zero, *encoding, &zero, *other, message.as_bytes()),
            );
        }
    }
    cases
}

/// Encodings with `y >= p` that are not of small order, and such that are no points at all.
pub(crate) fn odd_encodings() -> Vec<Case> {
    let pair = KeyPair::from_seed(&[7; 32]);
    let message = b"odd encodings";
    let honest = pair.sign(message);
    let s: &[u8; 32] = honest.as_bytes().last_chunk().expect("32 bytes");
    let mut cases = Vec::new();
    for low in 0..=255u8 {
        for (middle, high) in [
            (0x00, 0x00),
            (0x00, 0x80),
            (0xff, 0x7f),
            (0xff, 0xff),
            (0x5a, 0x5a),
        ] {
            let mut bytes = [middle; 32];
            (bytes[0], bytes[31]) = (low, high);
            // Every value near the edges, a few elsewhere.
            if middle == 0x5a && low % 16 != 0 || middle == 0x00 && (6..=250).contains(&low) {
                continue;
            }
            if middle == 0xff && (4..0xe8).contains(&low) {
                continue;
            }
            let name = format!("odd encoding {low:02x} {middle:02x} {high:02x}");
            let key = PublicKey::from_bytes(bytes);
            cases.push(Case::new(format!("{name} A"), key, message, honest));
            let signature = join(&bytes, s);
            cases.push(Case::new(
                format!("{name} R"),
                pair.public_key(),
                message,
                signature,
            ));
        }
    }
    cases
}

/// `s + [n]ℓ` as a number of 256 bits, where it still fits.
pub(crate) fn add_orders(s: &[u8; 32], n: u16) -> Option<[u8; 32]> {
    let order: [u8; 32] = {
        // ℓ = (ℓ - 1) + 1, and ℓ - 1 is the scalar -1.
        let mut bytes = (-Scalar::ONE).to_bytes();
        bytes[0] += 1;
        bytes
    };
    let mut sum = *s;
    let mut carry = 0u32;
    for (byte, add) in sum.iter_mut().zip(order) {
        carry += u32::from(*byte) + u32::from(add) * u32::from(n);
        *byte = carry as u8;
        carry >>= 8;
    }
    (carry == 0).then_some(sum)
}

/// Scalars at the edges. Those that equal the honest one mod `ℓ` solve the equation: all refused.
pub(crate) fn edge_scalars() -> Vec<Case> {
    let pair = KeyPair::from_seed(&[8; 32]);
    let message = b"edge scalars";
    let honest = pair.sign(message);
    let r: &[u8; 32] = honest.as_bytes().first_chunk().expect("32 bytes");
    let s: &[u8; 32] = honest.as_bytes().last_chunk().expect("32 bytes");
    let mut scalars: Vec<(String, [u8; 32])> = (1..16)
        .filter_map(|n| add_orders(s, n).map(|sum| (format!("s + {n} orders"), sum)))
        .collect();
    let minus_one = (-Scalar::ONE).to_bytes();
    scalars.push(("zero".into(), [0; 32]));
    scalars.push(("order - 1".into(), minus_one));
    scalars.push(("order".into(), add_orders(&[0; 32], 1).expect("fits")));
    scalars.push((
        "order + 1".into(),
        add_orders(Scalar::ONE.as_bytes(), 1).expect("fits"),
    ));
    scalars.push(("2^252".into(), {
        let mut b = [0; 32];
        b[31] = 0x10;
        b
    }));
    scalars.push(("2^255 - 1".into(), {
        let mut b = [0xff; 32];
        b[31] = 0x7f;
        b
    }));
    scalars.push(("2^256 - 1".into(), [0xff; 32]));
    for bit in 5..8 {
        let mut high = *s;
        high[31] |= 1 << bit;
        scalars.push((format!("s + 2^{}", 248 + bit), high));
    }
    let case = |(name, s): (String, [u8; 32])| {
        Case::new(
            format!("scalar {name}"),
            pair.public_key(),
            message,
            join(r, &s),
        )
    };
    scalars.into_iter().map(case).collect()
}

/// Honest signatures by several keys over messages of many lengths.
pub(crate) fn honest(count: usize) -> Vec<Case> {
    (0..count)
        .map(|i| {
            let pair = KeyPair::from_seed(&[(i % 5) as u8 + 1; 32]);
            let message: Vec<u8> = (0..i * 7 % 300).map(|byte| byte as u8).collect();
            let signature = pair.sign(&message);
            Case::new(
                format!("honest {i}"),
                pair.public_key(),
                &message,
                signature,
            )
        })
        .collect()
}
