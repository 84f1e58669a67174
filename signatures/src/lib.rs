//! Ed25519 signatures, verified thousands at a time, by one rule.
//!
//! ```
//! use hubledger_signatures::{Item, PublicKey, Settings, Signature, Verifier};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let verifier = Verifier::new(&Settings::default())?;
//! // RFC 8032, section 7.1, test 2.
//! let key: PublicKey = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c".parse()?;
//! let signature: Signature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
//!     085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00".parse()?;
//! let good = Item { key: &key, message: &[0x72], signature: &signature };
//! let bad = Item { message: &[0x73], ..good };
//! let verdicts = verifier.verify(&[good, bad, good]);
//! assert_eq!(verdicts.bad()[0].0, 1);
//! # Ok(())
//! # }
//! ```
//!
//! Ed25519 as published leaves verifiers room to disagree: on encodings, on small-order points, on whether
//! to multiply by the cofactor, and on batches. A ledger whose hubs disagree forks. So there is one rule,
//! [`verify`] states it, and [`Verifier`] gives the same verdict for every input, whatever the batch's size, an item's
//! place in it, the processor, and the number of threads.
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
//!
//! # How it is fast
//!
//! A [`Verifier`] takes signatures by the thousand and checks one equation for all of them, whose terms are computed
//! four or eight at a time in vector registers; `batch` gives the equation, the argument why the verdicts are those of
//! single verification, and how bad signatures are found. The rooms, in the order in which a batch meets them:
//!
//! | module | what it is |
//! |---|---|
//! | `verifier` | the public face: settings, threads, parts of a batch |
//! | `rule` | the rule for one signature, on curve25519-dalek |
//! | `batch` | a batch on a vector path: admission, sum, search, cells |
//! | `portable` | the same on curve25519-dalek, for other machines |
//! | `single` | one signature, with combs for keys that come often |
//! | `sha512` | the challenges, several lanes at a time |
//! | `scalar`, `point` | arithmetic modulo the group order; points without vectors |
//! | `vector` | field, points, buckets, cells and combs in lanes, for each instruction set |
//! | `cache`, `suspicion`, `coefficients` | known keys, recent failures, random numbers |
//! | `self_test` | what a path has to get right before it is used |
//!
//! Verification handles nothing secret, so nothing here takes constant time.

mod batch;
mod bytes;
mod cache;
mod coefficients;
mod item;
#[cfg(test)]
mod many;
#[cfg(test)]
mod oracle;
mod point;
mod portable;
mod rule;
mod scalar;
mod self_test;
#[allow(unsafe_code, reason = "instructions that the processor may lack")]
mod sha512;
mod single;
mod suspicion;
#[allow(
    unsafe_code,
    reason = "instructions that the processor may lack, and pointers to lanes"
)]
mod vector;
mod verifier;

pub use bytes::{ParseHexError, PublicKey, Signature};
pub use item::{Item, Verdicts};
pub use rule::{SignatureError, check_key, verify};
pub use verifier::{PATH_VARIABLE, Path, Settings, SetupError, Verifier};
