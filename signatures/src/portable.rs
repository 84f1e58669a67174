//! One batch without vectors of our own: the same equation on curve25519-dalek, on any machine.
//!
//! [`batch`](crate::batch) says what is computed and why it is the same verdict. Here the coefficients are plain 128-bit
//! integers. What is left of a search is checked in small groups, and while most of those fail, one by one.

use std::sync::Mutex;

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul;

use crate::batch::{BATCH_MAX, lock};
use crate::cache::KeyCache;
use crate::coefficients::Coefficients;
use crate::item::Item;
use crate::rule::{self, SignatureError};
use crate::suspicion::Suspicion;

/// Ranges of so few items are not halved again, as in [`batch`](crate::batch).
const SEARCH_MIN: usize = if cfg!(fuzzing) { 8 } else { 128 };
/// How many items the search may sum, as a part of the batch: five quarters find one bad item.
const SEARCH_BUDGET: (usize, usize) = (5, 4);
/// Items of a group.
const GROUP: usize = 16;
/// A part of the groups in a range, and a number: as many may fail before most have to be good.
const GROUPS_FORGIVEN: (usize, usize) = (4, 4);

/// What the batches of a verifier have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    keys: Mutex<KeyCache<EdwardsPoint>>,
    suspicion: Mutex<Suspicion>,
    coefficients: Coefficients,
}

impl Shared {
    pub(crate) fn new(cache_bytes: usize, coefficients: Coefficients) -> Self {
        Self {
            keys: Mutex::new(KeyCache::new(cache_bytes, 0)),
            suspicion: Mutex::new(Suspicion::new()),
            coefficients,
        }
    }

    /// Checks at most [`BATCH_MAX`] items, the first of which has the index `first`; adds the bad ones to `bad`.
    /// `number` tells the batches of a verifier apart.
    pub(crate) fn verify(
        &self,
        number: u64,
        first: usize,
        items: &[Item<'_>],
        bad: &mut Vec<(usize, SignatureError)>,
    ) {
        assert!(items.len() <= BATCH_MAX);
        let mut batch = Batch::prepare(self, first, items, bad);
        let mut failed = Vec::new();
        // One item gains nothing; and without random numbers there is no batch.
        if batch.terms.len() < 2 || batch.draw(&self.coefficients, number).is_err() {
            batch.check_singly(&batch.terms, &mut failed);
        } else {
            let (calm, suspected) = batch.terms.split_at(batch.calm);
            let expects_bad = lock(&self.suspicion).expects_bad(calm.len());
            if expects_bad {
                batch.check_in_groups(calm, &mut failed);
            } else {
                batch.check_together(calm, &mut failed);
            }
            batch.check_in_groups(suspected, &mut failed);
        }
        self.note(&batch, &failed);
        bad.extend(
            failed
                .iter()
                .map(|term| (term.index, SignatureError::Equation)),
        );
    }

    /// Remembers who failed.
    fn note(&self, batch: &Batch<'_>, failed: &[&Term<'_>]) {
        let mut suspicion = lock(&self.suspicion);
        let failed_calm = failed.iter().filter(|term| !term.suspected).count();
        suspicion.note_share(batch.calm, failed_calm);
        if failed.is_empty() && suspicion.is_empty() {
            return;
        }
        let mut bad = vec![0; batch.keys.len()];
        for term in failed {
            bad[term.key] += 1;
        }
        for run in batch.terms.chunk_by(|a, b| a.key == b.key) {
            let bad = bad[run[0].key];
            suspicion.note_key(run[0].item.key.as_bytes(), run.len() as u32 - bad, bad);
        }
    }

    fn suspects(&self, item: &Item<'_>) -> bool {
        let mut suspicion = lock(&self.suspicion);
        !suspicion.is_empty() && suspicion.suspects(item.key.as_bytes())
    }

    /// The point of a key that passed the byte checks.
    pub(crate) fn key_point(&self, item: &Item<'_>) -> Result<EdwardsPoint, SignatureError> {
        if let Some(point) = lock(&self.keys).get(item.key.as_bytes()) {
            return Ok(*point);
        }
        let point = rule::key_point(item.key)?;
        lock(&self.keys).insert(*item.key.as_bytes(), point);
        Ok(point)
    }
}

/// An item that passed the byte checks and has its points.
struct Term<'a> {
    /// Index among all items.
    index: usize,
    item: &'a Item<'a>,
    /// Index of the key among the batch's distinct ones.
    key: usize,
    /// Whether the key's signatures failed recently.
    suspected: bool,
    r: EdwardsPoint,
    s: Scalar,
    k: Scalar,
    /// The coefficient; 0 until drawn.
    z: Scalar,
}

/// The terms of a batch, those of suspected keys last and those of one key next to each other, and the distinct keys'
/// points.
struct Batch<'a> {
    terms: Vec<Term<'a>>,
    /// Terms before those of suspected keys.
    calm: usize,
    keys: Vec<EdwardsPoint>,
}

impl<'a> Batch<'a> {
    /// Applies the rule up to its last step; items that fail it go to `bad`.
    fn prepare(
        shared: &Shared,
        first: usize,
        items: &'a [Item<'a>],
        bad: &mut Vec<(usize, SignatureError)>,
    ) -> Self {
        let mut passed = Vec::with_capacity(items.len());
        for (offset, item) in items.iter().enumerate() {
            match rule::check_bytes(item.key, item.signature) {
                Ok(_) => passed.push((shared.suspects(item), first + offset, item)),
                Err(error) => bad.push((first + offset, error)),
            }
        }
        // Sorting rather than a map: any range of the terms then has its keys in runs, and a range is all that
        // the search ever looks at.
        passed.sort_unstable_by_key(|&(suspected, index, item)| (suspected, item.key, index));
        let mut batch = Self {
            terms: Vec::with_capacity(passed.len()),
            calm: 0,
            keys: Vec::new(),
        };
        for run in passed.chunk_by(|(.., a), (.., b)| a.key == b.key) {
            batch.push_run(shared, run, bad);
        }
        batch.calm = batch.terms.partition_point(|term| !term.suspected);
        batch
    }

    /// Adds the items of one key.
    fn push_run(
        &mut self,
        shared: &Shared,
        run: &[(bool, usize, &'a Item<'a>)],
        bad: &mut Vec<(usize, SignatureError)>,
    ) {
        let Some((.., first)) = run.first() else {
            return;
        };
        match shared.key_point(first) {
            Ok(a) => self.keys.push(a),
            Err(error) => return bad.extend(run.iter().map(|(_, index, _)| (*index, error))),
        }
        let key = self.keys.len() - 1;
        for &(suspected, index, item) in run {
            match rule::r_point(item.signature) {
                Ok(r) => self.terms.push(Term {
                    index,
                    item,
                    key,
                    suspected,
                    r,
                    s: Scalar::from_bytes_mod_order(*item.signature.s()),
                    k: rule::challenge(item.key, item.message, item.signature),
                    z: Scalar::ZERO,
                }),
                Err(error) => bad.push((index, error)),
            }
        }
    }

    fn draw(&mut self, coefficients: &Coefficients, number: u64) -> Result<(), getrandom::Error> {
        let mut bits = vec![0; self.terms.len()];
        coefficients.draw(number, &mut bits)?;
        for (term, bits) in self.terms.iter_mut().zip(bits) {
            term.z = Scalar::from(bits);
        }
        Ok(())
    }

    /// `Σ [z_i]D_i` over `terms`, up to small-order points, since key scalars are reduced mod `ℓ`.
    fn sum(&self, terms: &[Term<'_>]) -> EdwardsPoint {
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

    /// Adds the terms that break the equation to `failed`: by one sum, and a search if it isn't 0.
    fn check_together<'b>(&'b self, terms: &'b [Term<'a>], failed: &mut Vec<&'b Term<'a>>) {
        if terms.len() < 2 {
            return self.check_singly(terms, failed);
        }
        let sum = self.sum(terms);
        if !rule::vanishes(&sum) {
            let mut budget = terms.len() * SEARCH_BUDGET.0 / SEARCH_BUDGET.1;
            self.search(terms, sum, &mut budget, failed);
        }
    }

    /// Names the bad ones among `terms`, given that their `sum` does not vanish.
    fn search<'b>(
        &'b self,
        terms: &'b [Term<'a>],
        sum: EdwardsPoint,
        budget: &mut usize,
        failed: &mut Vec<&'b Term<'a>>,
    ) {
        let (left, right) = terms.split_at(terms.len() / 2);
        if terms.len() < 2 * SEARCH_MIN || *budget < left.len() {
            return self.check_in_groups(terms, failed);
        }
        *budget -= left.len();
        let left_sum = self.sum(left);
        let right_sum = sum - left_sum;
        for (half, half_sum) in [(left, left_sum), (right, right_sum)] {
            if !rule::vanishes(&half_sum) {
                self.search(half, half_sum, budget, failed);
            }
        }
    }

    /// Adds the terms that break the equation to `failed`: by a sum for each group, while not too many failed.
    fn check_in_groups<'b>(&'b self, terms: &'b [Term<'a>], failed: &mut Vec<&'b Term<'a>>) {
        let (part, most) = GROUPS_FORGIVEN;
        let forgiven = (terms.len().div_ceil(GROUP) / part).min(most);
        let (mut good_groups, mut bad_groups) = (forgiven, 0);
        for group in terms.chunks(GROUP) {
            if good_groups <= bad_groups || !rule::vanishes(&self.sum(group)) {
                let before = failed.len();
                self.check_singly(group, failed);
                if failed.len() > before {
                    bad_groups += 1;
                } else {
                    good_groups += 1;
                }
            } else {
                good_groups += 1;
            }
        }
    }

    /// Adds the terms that break the equation to `failed`. Exact: nothing random.
    fn check_singly<'b>(&'b self, terms: &'b [Term<'a>], failed: &mut Vec<&'b Term<'a>>) {
        let breaks = |term: &&Term<'_>| {
            let a = &self.keys[term.key];
            rule::check_equation(term.item.signature, &term.r, &term.k, a).is_err()
        };
        failed.extend(terms.iter().filter(breaks));
    }
}
