//! Ed25519: keys, signing, and the one rule by which a signature is accepted, alone or in a batch.
//!
//! Ed25519 as published leaves verifiers room to disagree: on encodings, on small-order points, on whether
//! to multiply by the cofactor, and on batches. A ledger whose hubs disagree forks. So there is one rule,
//! [`verify`] states it, and [`verify_batch`] gives the same verdict for every input, whatever the batch's
//! size and an item's place in it.
//!
//! # The rule
//!
//! Symbols: `p = 2^255 - 19`; `B` is the base point, of prime order
//! `ℓ = 2^252 + 27742317777372353535851937790883648493`; the curve has `8ℓ` points, and 8 is the cofactor. A
//! key is the encoding of a point `A`, a signature that of a point `R` and a scalar `s`, `M` is the message,
//! and `k = SHA-512(R ‖ A ‖ M)` over the encodings as received, little-endian, reduced mod `ℓ`. A signature
//! is accepted if and only if, in this order,
//!
//! 1. `s < ℓ` (else anybody turns one signature into another for the same message);
//! 2. `A` and then `R` are encoded canonically: `y < p`, and no sign bit where `x = 0`;
//! 3. `A` and then `R` are not of small order (a small-order key signs everything; a small-order `R` is never
//!    honest);
//! 4. `A` and then `R` are points on the curve;
//! 5. `[8][s]B = [8]R + [8][k]A`.
//!
//! The first that fails names the error. Steps 1 to 3 only compare bytes, a few nanoseconds; 4 costs two
//! square roots and 5 one double-base scalar multiplication, together some tens of microseconds.
//!
//! # Why with the cofactor
//!
//! A point of mixed order is a point of order `ℓ` plus one of small order. Keys and `R` of that kind can't be
//! told by their bytes. Without the factor 8 the small-order parts have to cancel as well. A batch adds
//! randomly weighted equations, and cannot check that: what cancels in one weighting doesn't in another, so
//! that the verdict would depend on the draw. With the factor 8 the small-order parts vanish from both sides,
//! and single and batch verification decide the same thing. It also makes reducing `k` and its multiples
//! mod `ℓ` harmless for such points. Honest signatures satisfy both forms.
//!
//! # Sources
//!
//! RFC 8032, section 5.1.7 (which allows the cofactored equation, and demands canonical `s`, `A` and `R`);
//! ZIP 215 (cofactored, batch equals single, but encodings and orders left open); K. Chalkias, F. Garillot and
//! V. Nikolaenko, "Taming the many EdDSAs", SSR 2020. The rule contains all that the paper asks of a strict
//! verifier, which makes signatures strongly unforgeable and strongly binding (one signature, one key, one
//! message), and refuses a small-order `R` besides.

mod batch;
mod bytes;
mod key;
mod pem;
mod rule;

pub use batch::{BATCH_MAX, Item, Verdicts, verify_batch};
pub use bytes::{ParseHexError, PublicKey, Signature};
pub use key::KeyPair;
pub use pem::{KeyError, PEM_BYTES_MAX};
pub use rule::{SignatureError, check_key, verify};
