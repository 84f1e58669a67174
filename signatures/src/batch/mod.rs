//! One batch on a vector path: admission, the sum, and the search if it isn't 0.
//!
//! # The equation
//!
//! Item `i` has the key `A_i`, the point `R_i`, the scalar `s_i` and the challenge `k_i`. The rule's last step
//! says `[8]D_i = 0` with `D_i = R_i + [k_i]A_i - [s_i]B`. Draw `z_i` at random from `2^128` consecutive integers
//! and check
//!
//! ```text
//! [8]( Σ [z_i]R_i + Σ_A [Σ z_i k_i]A - [Σ z_i s_i]B ) = 0        i.e. [8] Σ [z_i]D_i = 0
//! ```
//!
//! in one multi-scalar multiplication. `Σ_A` runs over the distinct keys, the inner sum over a key's items, so
//! that a key costs one term however many signatures it made. A key's scalar has 253 bits; with `A' = [2^128]A`
//! it becomes two of 128, and no window lies above those of `R`. `A'` is computed for keys that come again and kept.
//!
//! # Why it is the same verdict
//!
//! If every item is good, all `[8]D_i` are 0 and so is the sum: a good batch never fails. If some `[8]D_j` is
//! not 0, it has the prime order `ℓ` (that is what the 8 is for: a small-order rest would vanish under one `z_j`
//! in 2, 4 or 8), and for any choice of the other coefficients at most one `z_j` mod `ℓ` makes the sum 0. The
//! candidates for `z_j` are `2^128` integers less than `ℓ` apart, so all different mod `ℓ`: that is a chance of at most
//! `2^-128`, below the strength of the curve itself (about `2^126` steps). It holds against anyone, since the
//! coefficients are drawn after the items are fixed ([`coefficients`](crate::coefficients)).
//!
//! Reducing scalars mod `ℓ` changes `[x]A` by a small-order point where `A` is of mixed order; the factor 8 takes that
//! away as well.
//!
//! # Finding the bad ones
//!
//! Items that fail the byte checks or have no point are never in the sum, so junk can't spoil a batch. Items are in
//! the order of their keys, which brings an attacker's together. If the sum is not 0, the left half is summed with the same
//! coefficients, and the right half's sum is the difference. Each half that isn't 0 is searched in turn, down to
//! [`SEARCH_MIN`] items or until [`SEARCH_BUDGET`] is used up. What is left goes into cells: a few items in each lane,
//! each lane with a sum of its own. The items of a cell that isn't 0 are then checked one in each lane, with the
//! coefficient 1: exactly by the rule's equation. So an item is only ever called bad by that, and a good one never.
//!
//! The sums that a batch may take, of halves and of cells, are fixed before its coefficients are drawn, and there are
//! fewer than `2^13`: a bad item passes as good with a chance of less than `2^-115`.
//!
//! # Cost
//!
//! A square root for each `R` and each unknown key, a SHA-512 for each item, and the sum: in a batch, about as many
//! additions for each point as there are windows, divided by the lanes. A bad item that is alone costs about one more
//! sum. Where more are expected, everything is checked in cells, which costs between two and three times what the sum
//! does; the items of each cell that isn't 0 are checked once more. When all are bad, that comes to five to nine times
//! what good ones cost, twelve with new keys: still less than one by one.

mod admission;
mod cells;
mod sum;

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use self::admission::Admitted;
use self::cells::CellRoom;
use self::sum::{SEARCH_WINDOWS, SumRoom, WINDOWS};
use crate::cache::KeyCache;
use crate::coefficients::Coefficients;
use crate::item::Item;
use crate::point::Point;
use crate::rule::SignatureError;
use crate::scalar::Windows;
use crate::suspicion::Suspicion;
use crate::vector::{Niels, VectorPath};

/// The most items that are checked in one sum; more are cut into several.
pub(crate) const BATCH_MAX: usize = 8192;
/// Fewer items are not summed in buckets, but in cells.
const BUCKETS_MIN: usize = 32;
/// Ranges of so few items are not halved again. A fuzzer's batches are small, and are to be searched all the same.
const SEARCH_MIN: usize = if cfg!(fuzzing) { 8 } else { 512 };
/// How many items the search may sum, as a part of the batch: five quarters find one bad item.
const SEARCH_BUDGET: (usize, usize) = (5, 4);
/// Items in a cell.
const CELL_ITEMS: usize = 8;

/// A key as the vector path uses it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VectorKey {
    /// `A`
    low: Niels,
    /// `[2^128]A`, once the key has come again.
    high: Option<Niels>,
}

/// What the batches of a verifier have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    path: &'static dyn VectorPath,
    /// `B` and `[2^128]B`
    base: [Niels; 2],
    keys: Mutex<KeyCache<VectorKey>>,
    suspicion: Mutex<Suspicion>,
    coefficients: Coefficients,
}

/// Room for a batch, used again for the next.
#[derive(Debug, Default)]
pub(crate) struct Room {
    admitted: Admitted,
    sum: SumRoom,
    cells: CellRoom,
    /// Positions of items that break the equation.
    failed: Vec<u32>,
}

/// A lock whose holder panicked is still good here: caches and averages are whole after every statement.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(
        path: &'static dyn VectorPath,
        cache_bytes: usize,
        coefficients: Coefficients,
    ) -> Self {
        let encoding = curve25519_dalek::constants::ED25519_BASEPOINT_COMPRESSED.0;
        let mut base = [Niels::UNSET; 2];
        let [low, high] = &mut base;
        path.decompress(&[encoding], std::slice::from_mut(low), &mut [false]);
        path.multiples(std::slice::from_ref(low), std::slice::from_mut(high));
        Self {
            path,
            base,
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
        room: &mut Room,
        bad: &mut Vec<(usize, SignatureError)>,
    ) {
        room.admitted.admit(self, first, items, bad);
        room.failed.clear();
        // Drawn when the items are fixed: known before, bad items could be chosen whose errors cancel each other out.
        let drawn = room.admitted.draw(&self.coefficients, number);
        let calm = room.admitted.calm();
        let all = room.admitted.len();
        let cells_from = if drawn.is_err() {
            // Without random numbers there are no batches, only exact equations.
            let positions: Vec<u32> = (0..all as u32).collect();
            self.check_singly(
                &room.admitted,
                &positions,
                &mut room.cells,
                &mut room.failed,
            );
            all
        } else if calm < BUCKETS_MIN || lock(&self.suspicion).expects_bad(calm) {
            0
        } else {
            self.check_in_buckets(calm, room);
            calm
        };
        self.check_in_cells(
            &room.admitted,
            cells_from..all,
            &mut room.cells,
            &mut room.failed,
        );
        self.note(&room.admitted, &room.failed);
        let failed = room.failed.iter();
        bad.extend(failed.map(|&at| (first + room.admitted.item(at), SignatureError::Equation)));
    }

    /// Whether the sum in buckets over all items is 0: for the self-test, since a sum that is wrong would otherwise only
    /// cost time.
    pub(crate) fn sum_vanishes(&self, items: &[Item<'_>], room: &mut Room) -> bool {
        room.admitted.admit(self, 0, items, &mut Vec::new());
        let all = 0..room.admitted.len();
        room.admitted.draw(&self.coefficients, 0).is_ok()
            && WINDOWS.iter().all(|windows| {
                !windows.count().is_multiple_of(self.path.lanes())
                    || self
                        .sum(&room.admitted, all.clone(), windows, &mut room.sum)
                        .vanishes()
            })
    }

    /// Checks the first `calm` positions by one sum, and searches them if it isn't 0.
    fn check_in_buckets(&self, calm: usize, room: &mut Room) {
        let windows = self.cheapest_windows(&room.admitted, 0..calm);
        let sum = self.sum(&room.admitted, 0..calm, windows, &mut room.sum);
        if sum.vanishes() {
            return;
        }
        let mut budget = calm * SEARCH_BUDGET.0 / SEARCH_BUDGET.1;
        // Coefficients depend on the windows: with others, the sum at hand is not that of the halves.
        let sum = (windows.count() == SEARCH_WINDOWS.count()).then_some(sum);
        self.search(0..calm, sum, &mut budget, room);
    }

    /// Names the bad ones in a range whose sum, if it is given, does not vanish.
    fn search(&self, range: Range<usize>, sum: Option<Point>, budget: &mut usize, room: &mut Room) {
        let half = range.len() / 2;
        if range.len() < 2 * SEARCH_MIN || *budget < half {
            return self.check_in_cells(&room.admitted, range, &mut room.cells, &mut room.failed);
        }
        *budget -= half;
        let middle = range.start + half;
        let (left, right) = (range.start..middle, middle..range.end);
        let windows = &SEARCH_WINDOWS;
        let left_sum = self.sum(&room.admitted, left.clone(), windows, &mut room.sum);
        let right_sum = match sum {
            Some(sum) => sum - left_sum,
            None => self.sum(&room.admitted, right.clone(), windows, &mut room.sum),
        };
        for (half, sum) in [(left, left_sum), (right, right_sum)] {
            if !sum.vanishes() {
                self.search(half, Some(sum), budget, room);
            }
        }
    }

    /// Remembers who failed.
    fn note(&self, admitted: &Admitted, failed: &[u32]) {
        let mut suspicion = lock(&self.suspicion);
        let calm = admitted.calm();
        let calm_failed = failed.iter().filter(|&&at| (at as usize) < calm).count();
        suspicion.note_share(calm, calm_failed);
        if failed.is_empty() && suspicion.is_empty() {
            return;
        }
        let mut bad = vec![0; admitted.keys().len()];
        for &at in failed {
            bad[admitted.slot(at)] += 1;
        }
        for (slot, (key, bad)) in admitted.keys().iter().zip(bad).enumerate() {
            suspicion.note_key(key, admitted.run(slot).len() as u32 - bad, bad);
        }
    }

    fn cheapest_windows(&self, admitted: &Admitted, range: Range<usize>) -> &'static Windows {
        sum::cheapest_windows(self.path.lanes(), admitted.terms(range))
    }
}

#[cfg(test)]
mod tests;
