//! How much may wait, who may have how much of it, and what the chain says about waiting.

use crate::format::spec::{ChainSpec, Nonces};

/// How much may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The most transactions …
    pub transactions_max: usize,
    /// … and bytes of them.
    pub bytes_max: usize,
    /// The part of both that one sender may have, in per cent; 100 is no limit. One transaction is always allowed.
    pub sender_percent: u8,
    /// The part that a source may have of what it has and what is free, in per cent; 100 is no limit. One transaction is always
    /// allowed, unless it takes more than a thousandth of the room.
    pub source_percent: u8,
    /// How long a transaction may wait, in microseconds.
    pub age_max_us: u64,
}

impl Bounds {
    /// The most that one sender may have, as transactions and bytes.
    pub(super) fn of_sender(&self) -> (usize, usize) {
        let part = |whole: usize| percent_of(self.sender_percent, whole);
        (part(self.transactions_max), part(self.bytes_max))
    }

    /// Whether a source that has `own` of something, of which `free` is left, has more than its share.
    pub(super) fn is_over_share(&self, own: usize, free: usize) -> bool {
        own > percent_of(self.source_percent, own.saturating_add(free))
    }
}

/// So many per cent of `whole`; all of it from 100 on.
fn percent_of(percent: u8, whole: usize) -> usize {
    // Never more than `whole`, so that it fits.
    (whole as u128 * u128::from(percent.min(100)) / 100) as usize
}

/// What a chain says about waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terms {
    /// Whether a nonce has to be one more than the one before: then whatever is behind a gap can be in no block.
    pub is_consecutive: bool,
    /// Whether fees and amounts have to be covered.
    pub keeps_balances: bool,
    /// Whether a balance counts among equal fees: where fees are free, names cost nothing and stakes do.
    pub weighs_balances: bool,
}

impl Terms {
    /// Those of the specification that is in force.
    #[must_use]
    pub fn of(spec: &ChainSpec) -> Self {
        Self {
            is_consecutive: spec.terms.nonces == Nonces::Consecutive,
            keeps_balances: spec.rules.balances,
            weighs_balances: spec.rules.balances && spec.rules.fee_min == 0,
        }
    }

    /// What a balance counts for: its magnitude in binary digits, so that a name's stake can't be made to count for more by
    /// moving a little of it.
    pub(super) const fn weight(self, balance: u64) -> u8 {
        match self.weighs_balances {
            true => (u64::BITS - balance.leading_zeros()) as u8,
            false => 0,
        }
    }
}
