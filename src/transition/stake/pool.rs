//! What shares of a pool cost and are worth. All rounding is in favour of the pool, so that nobody gains by putting up and taking back
//! in small pieces, and the value in a pool is at most as much as there are shares.

use super::refuse;
use crate::format::rejection::Fault;
use crate::format::spec::{BASIS_POINTS, WEIGHT_MAX};
use crate::state::tables::Pool;

impl Pool {
    /// Puts value in; the shares that it buys.
    ///
    /// # Errors
    /// `stake`: all that was in it was taken by penalties while its holders still have their shares, or it would hold more than can
    /// be counted.
    pub(super) fn deposit(&mut self, tokens: u64) -> Result<u64, Fault> {
        let minted = match (tokens, self.shares, self.tokens) {
            (0, ..) => Some(0),
            (_, 0, _) => Some(tokens),
            (.., 0) => return refuse("penalties have taken all that was put up there"),
            (_, shares, held) => {
                let minted = u128::from(tokens) * u128::from(shares) / u128::from(held);
                u64::try_from(minted).ok()
            }
        };
        let shares = minted.and_then(|minted| self.shares.checked_add(minted));
        let all = self.tokens.checked_add(tokens);
        let all = all.filter(|all| *all <= WEIGHT_MAX);
        match (minted, shares, all) {
            (Some(minted), Some(shares), Some(all)) => {
                self.tokens = all;
                self.shares = shares;
                Ok(minted)
            }
            _ => refuse("more would be there than can be counted"),
        }
    }

    /// Takes value out for so many of `held` shares as it costs: how many, and the value. `None` if they aren't worth so much. What
    /// would be left to the holder is gone with them if it is worth nothing; of an empty pool that is all, and no value.
    pub(super) fn withdraw(&mut self, tokens: u64, held: u64) -> Option<(u64, u64)> {
        if self.tokens == 0 && held > 0 {
            self.shares -= held;
            return Some((held, 0));
        }
        if tokens > self.worth(held) {
            return None;
        }
        let cost = u128::from(tokens) * u128::from(self.shares);
        let cost = cost.div_ceil(u128::from(self.tokens));
        let mut burnt = u64::try_from(cost).ok()?.min(held);
        self.tokens -= tokens;
        self.shares -= burnt;
        let rest = held - burnt;
        if self.worth(rest) == 0 {
            burnt += rest;
            self.shares -= rest;
        }
        Some((burnt, tokens))
    }

    /// Takes a part of the value; how much that was.
    pub(super) fn cut(&mut self, basis_points: u16) -> u64 {
        let parts = u128::from(self.tokens) * u128::from(basis_points.min(BASIS_POINTS));
        let taken = parts / u128::from(BASIS_POINTS);
        // A part of it.
        let taken = u64::try_from(taken).unwrap_or(u64::MAX).min(self.tokens);
        self.tokens -= taken;
        taken
    }
}
