//! Small sums, one in each lane: of a few items, or of one with the coefficient 1.

use std::ops::Range;

use super::{Admitted, CELL_ITEMS, Shared};
use crate::point::Point;
use crate::scalar::{SignedWide, Windows};
use crate::vector::{Bucket, DIGIT_BITS, LANES_MAX, LaneTerm, Niels};

static WINDOWS: Windows = Windows::new(DIGITS);
/// Digits of 128 bits.
const DIGITS: usize = 128 / DIGIT_BITS as usize;
/// Digits of a term that takes no part.
static ZEROS: [i16; 2 * DIGITS] = [0; 2 * DIGITS];
/// Digits of the coefficient 1.
static ONE: [i16; 1] = [1];

/// Digits and tables, used again.
#[derive(Debug, Default)]
pub(super) struct CellRoom {
    lanes: Vec<Lane>,
    tables: Vec<Bucket>,
}

/// What one lane sums.
#[derive(Debug)]
struct Lane {
    items: usize,
    r: [[i16; DIGITS]; CELL_ITEMS],
    /// Distinct keys, and their scalars' digits.
    slots: [usize; CELL_ITEMS],
    keys: [[i16; 2 * DIGITS]; CELL_ITEMS],
    keys_len: usize,
    base: [i16; 2 * DIGITS],
}

impl Shared {
    /// Adds the positions in the range that break the equation to `failed`.
    pub(super) fn check_in_cells(
        &self,
        admitted: &Admitted,
        range: Range<usize>,
        room: &mut CellRoom,
        failed: &mut Vec<u32>,
    ) {
        let lanes = self.path.lanes();
        let items = range.len().div_ceil(lanes).clamp(1, CELL_ITEMS);
        let positions: Vec<u32> = range.map(|at| at as u32).collect();
        if items == 1 {
            return self.check_singly(admitted, &positions, room, failed);
        }
        let mut suspects = Vec::new();
        for group in positions.chunks(lanes * items) {
            let sums = self.cell_sums(admitted, group, items, room);
            for (cell, sum) in group.chunks(items).zip(sums) {
                if !sum.vanishes() {
                    suspects.extend_from_slice(cell);
                }
            }
        }
        self.check_singly(admitted, &suspects, room, failed);
    }

    /// Adds those of the positions that break the equation to `failed`. Exact: nothing random.
    pub(super) fn check_singly(
        &self,
        admitted: &Admitted,
        positions: &[u32],
        room: &mut CellRoom,
        failed: &mut Vec<u32>,
    ) {
        for group in positions.chunks(self.path.lanes()) {
            let sums = self.cell_sums(admitted, group, 1, room);
            let verdicts = group.iter().zip(sums);
            failed.extend(
                verdicts
                    .filter(|(_, sum)| !sum.vanishes())
                    .map(|(&at, _)| at),
            );
        }
    }

    /// The sums of cells of `items` positions each, as many as there are lanes.
    fn cell_sums(
        &self,
        admitted: &Admitted,
        positions: &[u32],
        items: usize,
        room: &mut CellRoom,
    ) -> [Point; LANES_MAX] {
        let lanes = self.path.lanes();
        let cells = positions.chunks(items);
        room.lanes.resize_with(lanes, Lane::empty);
        for (lane, cell) in room.lanes.iter_mut().zip(cells.clone()) {
            lane.fill(admitted, cell, items == 1);
        }
        for lane in room.lanes.iter_mut().skip(cells.len()) {
            lane.items = 0;
            lane.keys_len = 0;
            lane.base = ZEROS;
        }
        let terms = self.lane_terms(admitted, positions, items, &room.lanes);
        let mut sums = [Point::IDENTITY; LANES_MAX];
        self.path
            .cell_sums(&terms, &mut room.tables, &mut sums[..lanes]);
        sums
    }

    /// The terms of the lanes side by side. Lanes with fewer get `[0]B`.
    fn lane_terms<'a>(
        &'a self,
        admitted: &'a Admitted,
        positions: &[u32],
        items: usize,
        lanes: &'a [Lane],
    ) -> Vec<LaneTerm<'a>> {
        let [base_low, base_high] = &self.base;
        // Without A', the digits above 128 bits are A's own, with twice the doublings.
        let long = positions
            .iter()
            .any(|&at| admitted.is_cold(admitted.slot(at)));
        let mut terms = Vec::with_capacity(3 * items + 2);
        let mut push = |of: &dyn Fn(usize) -> Option<(&'a Niels, &'a [i16])>, digits: usize| {
            let mut term = LaneTerm {
                points: [base_low; LANES_MAX],
                digits: [&ZEROS[..digits]; LANES_MAX],
            };
            for lane in 0..lanes.len() {
                if let Some((point, digits)) = of(lane) {
                    term.points[lane] = point;
                    term.digits[lane] = digits;
                }
            }
            terms.push(term);
        };
        let mut start = [0; LANES_MAX];
        for lane in 1..lanes.len() {
            start[lane] = start[lane - 1] + lanes[lane - 1].items;
        }
        for item in 0..items {
            let digits = |lane: usize| {
                if items == 1 {
                    &ONE[..]
                } else {
                    &lanes[lane].r[item]
                }
            };
            let r = |lane: usize| {
                let at = *positions.get(start[lane] + item)? as usize;
                (item < lanes[lane].items).then(|| (&admitted.r[at], digits(lane)))
            };
            push(&r, if items == 1 { 1 } else { DIGITS });
        }
        let keys = lanes.iter().map(|lane| lane.keys_len).max().unwrap_or(0);
        if long {
            push(&|lane| Some((base_low, &lanes[lane].base[..])), 2 * DIGITS);
        } else {
            push(
                &|lane| Some((base_low, &lanes[lane].base[..DIGITS])),
                DIGITS,
            );
            push(
                &|lane| Some((base_high, &lanes[lane].base[DIGITS..])),
                DIGITS,
            );
        }
        for key in 0..keys {
            let digits = |lane: usize| {
                let lane = &lanes[lane];
                (key < lane.keys_len).then(|| (lane.slots[key], &lane.keys[key][..]))
            };
            let low = |lane| digits(lane).map(|(slot, digits)| (&admitted.low[slot], digits));
            let high = |lane| digits(lane).map(|(slot, digits)| (&admitted.high[slot], digits));
            if long {
                push(&low, 2 * DIGITS);
            } else {
                push(
                    &|lane| low(lane).map(|(point, digits)| (point, &digits[..DIGITS])),
                    DIGITS,
                );
                push(
                    &|lane| high(lane).map(|(point, digits)| (point, &digits[DIGITS..])),
                    DIGITS,
                );
            }
        }
        terms
    }
}

impl Lane {
    fn empty() -> Self {
        Self {
            items: 0,
            r: [[0; DIGITS]; CELL_ITEMS],
            slots: [0; CELL_ITEMS],
            keys: [ZEROS; CELL_ITEMS],
            keys_len: 0,
            base: ZEROS,
        }
    }

    /// The digits for a cell, whose positions are in the order of their keys.
    fn fill(&mut self, admitted: &Admitted, cell: &[u32], exact: bool) {
        self.items = cell.len();
        self.keys_len = 0;
        let mut base = SignedWide::default();
        let mut r = self.r.iter_mut();
        for run in cell.chunk_by(|&a, &b| admitted.slot(a) == admitted.slot(b)) {
            let mut key = SignedWide::default();
            for &at in run {
                let bits = if exact {
                    WINDOWS.one()
                } else {
                    admitted.bits(at as usize)
                };
                if let Some(digits) = r.next() {
                    WINDOWS.split(bits, digits);
                }
                let coefficient = WINDOWS.coefficient(bits);
                key.multiply_add(coefficient, admitted.digest(at as usize));
                base.multiply_add(coefficient, admitted.s(at as usize).limbs());
            }
            self.slots[self.keys_len] = admitted.slot(run[0]);
            let (low, high) = self.keys[self.keys_len].split_at_mut(DIGITS);
            WINDOWS.split_scalar(&key.reduce(), low, high);
            self.keys_len += 1;
        }
        let (low, high) = self.base.split_at_mut(DIGITS);
        WINDOWS.split_scalar(&base.reduce_negated(), low, high);
    }
}

#[cfg(test)]
mod tests;
