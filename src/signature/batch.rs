//! Many signatures at once, for a fraction of the cost, with exactly the verdicts of [`verify`](super::verify).
//!
//! # The equation
//!
//! Item `i` has the key `A_i`, the point `R_i`, the scalar `s_i` and the challenge `k_i`. The rule's last step
//! says `[8]D_i = 0` with `D_i = R_i + [k_i]A_i - [s_i]B`. Draw `z_i` at random below `2^128` and check
//!
//! ```text
//! [8]( Σ [z_i]R_i + Σ_A [Σ z_i k_i]A - [Σ z_i s_i]B ) = 0        i.e. [8] Σ [z_i]D_i = 0
//! ```
//!
//! in one multi-scalar multiplication. `Σ_A` runs over the distinct keys, the inner sum over a key's items, so
//! that a key costs one term however many signatures it made.
//!
//! # Why it is the same verdict
//!
//! If every item is good, all `[8]D_i` are 0 and so is the sum: a good batch never fails. If some `[8]D_j` is
//! not 0, it has the prime order `ℓ` (that is what the 8 is for: a small-order rest would vanish under one `z_j`
//! in 2, 4 or 8), and for any choice of the other coefficients at most one `z_j` mod `ℓ` makes the sum 0. As
//! `2^128 < ℓ`, that is a chance of at most `2^-128`, below the strength of the curve itself (about `2^126`
//! steps). It holds against anyone, since the coefficients are drawn from the operating system after the
//! items are fixed; they must not be predictable, nor derived from a subset of what is checked.
//!
//! # Finding the bad ones
//!
//! Items that fail the byte checks or have no point are never in the sum, so junk can't spoil a batch. If
//! the sum is not 0, the half on the left is summed with the same coefficients, and the right half's sum is the
//! difference. Each half that isn't 0 is searched in turn, down to [`LEAF`] items, which are checked singly.
//! The ranges that may be summed are fixed before the coefficients are drawn, and there are fewer than `2^11` in a
//! chunk: a bad item passes as good with a chance of less than `2^-117`, and a good one never as bad, since an item
//! is called bad by the single equation only.
//!
//! # Cost
//!
//! A square root for each `R` and each distinct key, a SHA-512 for each item, and the multiplication. One bad
//! item of `n` costs about one more multiplication. An adversary's worst is bounded by [`BUDGET`]:
//! once that many items have been summed in the search, the rest of the chunk is checked singly.
//! Memory is bounded by [`BATCH_MAX`] items, about 5 MiB, however many are given.

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul;

use super::rule::{challenge, check_encodings, check_equation, key_point, r_point, vanishes};
use super::{PublicKey, Signature, SignatureError};

/// So many items are checked in one equation; more are cut into chunks.
pub const BATCH_MAX: usize = 8192;

/// Ranges of so few items are not split again but checked singly.
const LEAF: usize = 16;

/// How many times a chunk's items the search for bad ones may sum before it falls back to checking singly.
/// About where bisecting (with bad items in one of a hundred) stops paying.
const BUDGET: usize = 3;

/// One signature to check, with what it is over and by whom.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// The key that is said to have signed.
    pub key: &'a PublicKey,
    /// The signed bytes.
    pub message: &'a [u8],
    /// The signature.
    pub signature: &'a Signature,
}

/// What [`verify_batch`] found: the items that were not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdicts {
    bad: Vec<(usize, SignatureError)>,
}

impl Verdicts {
    /// Whether every item was accepted. True of no items.
    #[must_use]
    pub fn all_valid(&self) -> bool {
        self.bad.is_empty()
    }

    /// The items that were not accepted, by index, ascending, each with what [`verify`](super::verify) says of it.
    #[must_use]
    pub fn bad(&self) -> &[(usize, SignatureError)] {
        &self.bad
    }
}

/// Checks all items by the rule; the verdict on each is that of [`verify`](super::verify), the reason included.
///
/// Checked is `[8]( Σ [z_i]R_i + Σ_A [Σ z_i k_i]A - [Σ z_i s_i]B ) = 0` with random `z_i` below `2^128`, for
/// [`BATCH_MAX`] items at a time: a fraction of the cost of as many single verifications when all are good, and
/// about their cost at worst. If it fails, halves are searched for the bad items. A bad item passes with a
/// chance below `2^-117`; a good one never fails.
#[must_use]
pub fn verify_batch(items: &[Item<'_>]) -> Verdicts {
    let mut bad = Vec::new();
    for (chunk, items) in items.chunks(BATCH_MAX).enumerate() {
        verify_chunk(chunk * BATCH_MAX, items, &mut bad);
    }
    bad.sort_unstable();
    Verdicts { bad }
}

/// An item that passed the byte checks and has its points.
struct Term {
    /// Index among all items.
    index: usize,
    /// Index of the key among the chunk's distinct ones.
    key: usize,
    r: EdwardsPoint,
    s: Scalar,
    k: Scalar,
    /// The coefficient; 0 until drawn.
    z: Scalar,
}

/// The terms of a chunk, those of one key next to each other, and the distinct keys' points.
struct Chunk {
    terms: Vec<Term>,
    keys: Vec<EdwardsPoint>,
}

fn verify_chunk(first: usize, items: &[Item<'_>], bad: &mut Vec<(usize, SignatureError)>) {
    let mut chunk = Chunk::prepare(first, items, bad);
    // One item gains nothing; and without random numbers there is no batch.
    if chunk.terms.len() < 2 || chunk.draw_coefficients().is_err() {
        return chunk.check_singly(&chunk.terms, bad);
    }
    let sum = chunk.sum(&chunk.terms);
    if !vanishes(&sum) {
        let mut budget = BUDGET * chunk.terms.len();
        chunk.search(&chunk.terms, sum, &mut budget, bad);
    }
}

impl Chunk {
    /// Applies the rule up to its last step; items that fail it go to `bad`.
    fn prepare(first: usize, items: &[Item<'_>], bad: &mut Vec<(usize, SignatureError)>) -> Self {
        let mut encoded = Vec::with_capacity(items.len());
        for (offset, item) in items.iter().enumerate() {
            match check_encodings(item.key, item.signature) {
                Ok(s) => encoded.push((first + offset, item, s)),
                Err(error) => bad.push((first + offset, error)),
            }
        }
        // Sorting rather than a map: any range of the terms then has its keys in runs, and a range is all that
        // the search ever looks at.
        encoded.sort_unstable_by_key(|(index, item, _)| (item.key, *index));
        let mut chunk = Self {
            terms: Vec::with_capacity(encoded.len()),
            keys: Vec::new(),
        };
        for run in encoded.chunk_by(|(_, a, _), (_, b, _)| a.key == b.key) {
            chunk.push_run(run, bad);
        }
        chunk
    }

    /// Adds the items of one key.
    fn push_run(
        &mut self,
        run: &[(usize, &Item<'_>, Scalar)],
        bad: &mut Vec<(usize, SignatureError)>,
    ) {
        let Some((_, first, _)) = run.first() else {
            return;
        };
        match key_point(first.key) {
            Ok(a) => self.keys.push(a),
            Err(error) => return bad.extend(run.iter().map(|(index, ..)| (*index, error))),
        }
        let key = self.keys.len() - 1;
        for (index, item, s) in run {
            match r_point(item.signature) {
                Ok(r) => {
                    let k = challenge(item.key, item.message, item.signature);
                    self.terms.push(Term {
                        index: *index,
                        key,
                        r,
                        s: *s,
                        k,
                        z: Scalar::ZERO,
                    });
                }
                Err(error) => bad.push((*index, error)),
            }
        }
    }

    fn draw_coefficients(&mut self) -> Result<(), getrandom::Error> {
        let mut random = vec![0u8; 16 * self.terms.len()];
        getrandom::fill(&mut random)?;
        let (coefficients, _) = random.as_chunks::<16>();
        for (term, bytes) in self.terms.iter_mut().zip(coefficients) {
            term.z = Scalar::from(u128::from_le_bytes(*bytes));
        }
        Ok(())
    }

    /// `Σ [z_i]D_i` over `terms`, up to small-order points, since key scalars are reduced mod `ℓ`.
    fn sum(&self, terms: &[Term]) -> EdwardsPoint {
        let mut scalars = Vec::with_capacity(2 * terms.len() + 1);
        let mut points = Vec::with_capacity(2 * terms.len() + 1);
        let mut base = Scalar::ZERO;
        for run in terms.chunk_by(|a, b| a.key == b.key) {
            let mut key = Scalar::ZERO;
            for term in run {
                key += term.z * term.k;
                base -= term.z * term.s;
                // The short coefficients stay on the R side, where they halve the work.
                scalars.push(term.z);
                points.push(term.r);
            }
            scalars.push(key);
            points.push(self.keys[run[0].key]);
        }
        scalars.push(base);
        points.push(ED25519_BASEPOINT_POINT);
        EdwardsPoint::vartime_multiscalar_mul(&scalars, &points)
    }

    /// Names the bad ones among `terms`, given that their `sum` does not vanish. At most as deep as the
    /// logarithm of [`BATCH_MAX`].
    fn search(
        &self,
        terms: &[Term],
        sum: EdwardsPoint,
        budget: &mut usize,
        bad: &mut Vec<(usize, SignatureError)>,
    ) {
        let (left, right) = terms.split_at(terms.len() / 2);
        if terms.len() <= LEAF || *budget < left.len() {
            return self.check_singly(terms, bad);
        }
        *budget -= left.len();
        let left_sum = self.sum(left);
        let right_sum = sum - left_sum;
        for (half, half_sum) in [(left, left_sum), (right, right_sum)] {
            if !vanishes(&half_sum) {
                self.search(half, half_sum, budget, bad);
            }
        }
    }

    fn check_singly(&self, terms: &[Term], bad: &mut Vec<(usize, SignatureError)>) {
        for term in terms {
            if let Err(error) = check_equation(&term.s, &term.r, &term.k, &self.keys[term.key]) {
                bad.push((term.index, error));
            }
        }
    }
}
