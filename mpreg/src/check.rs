//! MPREG's rules for a chain of blocks, as pure functions, and [`Checker`], which applies them in order.
//!
//! The rules are split where a pipeline splits: [`check_successor`] is cheap and goes block by block,
//! [`check_admission`] is cheap and needs one block, [`check_signatures`] is dear and needs one block.
//! Their joint verdict is that of the sequential order (successor first, then transaction by transaction:
//! timestamp, presence of the signature, signature) if the fault at the lower index wins; that is what
//! [`check_transactions`] does.
//!
//! What MPREG doesn't check, and so neither does this: recorded hashes, proof of work and the number of
//! transactions when a chain is loaded, who signs for whom, repetition. The audit reports those.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::block::{Block, VectorClock};
use super::chunk::Judged;
use super::config::ChainConfig;
use super::entry::Entry;
use super::raw::clip;
use hubledger::original::Number;
use hubledger::rejection::{Reason, Rejected};
use hubledger::signature::{SignatureError, Verifier};

/// How far a transaction's timestamp may be ahead of its block's (of the present, in the first block).
pub const AHEAD_MAX_SECONDS: u32 = 300;

/// What the next block is compared with.
#[derive(Debug, Clone)]
pub struct Tip {
    /// Height of the last block.
    pub height: u64,
    /// Its computed hash.
    pub hash: String,
    /// Its clock.
    pub vector_clock: VectorClock,
    /// Its timestamp.
    pub timestamp: Number,
}

impl Tip {
    /// What the block after `block` is compared with.
    #[must_use]
    pub fn of<T: Entry>(block: &Block<T>) -> Self {
        Self::with_hash(block, block.hash())
    }

    /// [`Tip::of`] a block whose hash is known.
    fn with_hash<T: Entry>(block: &Block<T>, hash: String) -> Self {
        Self {
            height: block.height,
            hash,
            vector_clock: block.vector_clock.clone(),
            timestamp: block.timestamp.clone(),
        }
    }
}

/// Whether `earlier` happens before `later`: no counter falls and one rises, absent ones counting as zero;
/// but an empty clock is before every clock that isn't, even one of zeros.
#[must_use]
pub fn happens_before(earlier: &VectorClock, later: &VectorClock) -> bool {
    if earlier.is_empty() || later.is_empty() {
        return earlier.is_empty() && !later.is_empty();
    }
    let zero = Number::from(0_u64);
    let falls = earlier
        .iter()
        .any(|(node, counter)| counter > later.get(node).unwrap_or(&zero));
    let rises = || {
        later
            .iter()
            .any(|(node, counter)| counter > earlier.get(node).unwrap_or(&zero))
    };
    !falls && rises()
}

/// Checks that `block` follows `previous`, or is a first block where there is none.
///
/// # Errors
/// The first fault, in MPREG's order: height, previous hash, clock, timestamp.
pub fn check_successor<T: Entry>(previous: Option<&Tip>, block: &Block<T>) -> Result<(), Rejected> {
    let reject = |reason, detail| Err(Rejected::block(block.height, reason, detail));
    let Some(previous) = previous else {
        if block.height != 0 {
            return reject(Reason::Height, "the first block must have height 0".into());
        }
        if !block.previous_hash.is_empty() {
            return reject(
                Reason::PreviousHash,
                "the first block names a previous hash".into(),
            );
        }
        if !block.vector_clock.is_empty() {
            return reject(
                Reason::VectorClock,
                "the first block's clock is not empty".into(),
            );
        }
        return Ok(());
    };
    if previous.height.checked_add(1) != Some(block.height) {
        return reject(
            Reason::Height,
            format!("it follows height {}", previous.height),
        );
    }
    if block.previous_hash != previous.hash {
        let named = clip(&block.previous_hash);
        let detail = format!("names {named:?}, the block before has {:?}", previous.hash);
        return reject(Reason::PreviousHash, detail);
    }
    if !happens_before(&previous.vector_clock, &block.vector_clock) {
        let detail = "the clock is not after the previous block's";
        return reject(Reason::VectorClock, detail.into());
    }
    if block.timestamp <= previous.timestamp {
        let detail = format!("{} is not after {}", block.timestamp, previous.timestamp);
        return reject(Reason::Timestamp, detail);
    }
    Ok(())
}

/// Checks what costs little about the transactions: none too far ahead, none unsigned where the chain
/// requires signatures, none signed where the chain's algorithm is unknown. `now` counts from the Unix
/// epoch and matters for the first block only.
///
/// # Errors
/// The fault at the lowest index.
pub fn check_admission<T: Entry>(
    block: &Block<T>,
    config: &ChainConfig,
    now: Duration,
) -> Result<(), Rejected> {
    let is_first = block.height == 0;
    let base = if is_first {
        Number::from_f64(now.as_secs_f64())
    } else {
        None
    };
    let limit = base
        .as_ref()
        .unwrap_or(&block.timestamp)
        .plus(AHEAD_MAX_SECONDS);
    let algorithm_is_known = is_first || config.signature_algorithm == "ed25519";
    for (index, transaction) in (0_u32..).zip(block.transactions()) {
        let reject = |reason, detail: String| {
            Err(Rejected::transaction(block.height, index, reason, detail))
        };
        if *transaction.timestamp() > limit {
            let detail = format!("{} is later than {limit}", transaction.timestamp());
            return reject(Reason::Timestamp, detail);
        }
        match transaction.witness() {
            None if config.require_signatures && !is_first => {
                return reject(
                    Reason::SignatureMissing,
                    "the chain requires signatures".into(),
                );
            }
            Some(_) if !algorithm_is_known => {
                let algorithm = clip(&config.signature_algorithm);
                let detail =
                    format!("the chain's signature algorithm {algorithm:?} is unsupported");
                return reject(Reason::Malformed, detail);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Verifies the signatures of the first `count` transactions, where present, as one batch.
///
/// # Errors
/// The one at the lowest index that doesn't verify.
pub fn check_signatures<T: Entry>(
    block: &Block<T>,
    count: usize,
    verifier: &Verifier,
) -> Result<(), Rejected> {
    let (indices, items): (Vec<u32>, Vec<_>) = block
        .signed()
        .take_while(|(index, _)| (*index as usize) < count)
        .unzip();
    match verifier.verify(&items).bad().first() {
        None => Ok(()),
        Some((item, error)) => Err(bad_signature(block.height, indices[*item], *error)),
    }
}

fn bad_signature(height: u64, index: u32, error: SignatureError) -> Rejected {
    Rejected::transaction(height, index, Reason::Signature, error.to_string())
}

/// [`check_admission`] and [`check_signatures`] with the verdict of going through the transactions once.
///
/// # Errors
/// The fault at the lowest index.
pub fn check_transactions<T: Entry>(
    block: &Block<T>,
    config: &ChainConfig,
    now: Duration,
    verifier: &Verifier,
) -> Result<(), Rejected> {
    let admission = check_admission(block, config, now);
    let before_fault = match &admission {
        Err(rejected) => rejected.transaction.map_or(0, |index| index as usize),
        Ok(()) => block.transactions().len(),
    };
    check_signatures(block, before_fault, verifier).and(admission)
}

/// The verdict of [`check_transactions`], from that of [`check_admission`] and the first signature, if any, that doesn't
/// verify.
pub(super) fn settle_transactions<T: Entry>(
    block: &Block<T>,
    admission: Result<(), Rejected>,
    first_bad: Option<(u32, SignatureError)>,
) -> Result<(), Rejected> {
    match (&admission, first_bad) {
        (Err(fault), Some((index, _))) if fault.transaction.is_none_or(|at| at <= index) => {
            admission
        }
        (_, Some((index, error))) => Err(bad_signature(block.height, index, error)),
        (_, None) => admission,
    }
}

/// Checks the blocks of one chain in order. The first rejection is the verdict on the chain.
#[derive(Debug, Clone)]
pub struct Checker {
    config: ChainConfig,
    now: Duration,
    tip: Option<Tip>,
    verifier: Arc<OnceLock<Verifier>>,
}

impl Checker {
    /// A checker that has seen no block. `now` counts from the Unix epoch.
    #[must_use]
    pub fn new(config: &ChainConfig, now: Duration) -> Self {
        Self {
            config: config.clone(),
            now,
            tip: None,
            verifier: Arc::default(),
        }
    }

    /// The height that the next block must have.
    #[must_use]
    pub fn next_height(&self) -> u64 {
        self.tip
            .as_ref()
            .map_or(0, |tip| tip.height.saturating_add(1))
    }

    /// The last accepted block's hash.
    #[must_use]
    pub fn head(&self) -> Option<&str> {
        self.tip.as_ref().map(|tip| tip.hash.as_str())
    }

    /// What the next block is compared with.
    #[must_use]
    pub const fn tip(&self) -> Option<&Tip> {
        self.tip.as_ref()
    }

    /// Checks `block` wholly and, if it is valid, makes it the tip.
    ///
    /// # Errors
    /// The first fault; the tip stays.
    pub fn check<T: Entry>(&mut self, block: &Block<T>) -> Result<(), Rejected> {
        check_successor(self.tip.as_ref(), block)?;
        let verifier = self.verifier.get_or_init(Verifier::default);
        check_transactions(block, &self.config, self.now, verifier)?;
        self.tip = Some(Tip::of(block));
        Ok(())
    }

    /// [`Checker::check`] of a block of which all that can be said of it alone is known.
    pub(super) fn check_judged<T: Entry>(&mut self, judged: &Judged<T>) -> Result<(), Rejected> {
        check_successor(self.tip.as_ref(), &judged.block)?;
        judged.transactions.clone()?;
        self.tip = Some(Tip::with_hash(&judged.block, judged.hash.clone()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(entries: &[(&str, u64)]) -> VectorClock {
        entries
            .iter()
            .map(|(node, count)| ((*node).to_owned(), Number::from(*count)))
            .collect()
    }

    #[test]
    fn clocks_are_ordered_by_happening_before() {
        for (earlier, later, expected) in [
            (&[][..], &[][..], false),
            (&[], &[("a", 1)], true),
            (&[], &[("a", 0)], true),
            (&[("a", 0)], &[], false),
            (&[("a", 1)], &[("a", 1)], false),
            (&[("a", 1)], &[("a", 2)], true),
            (&[("a", 2)], &[("a", 1)], false),
            (&[("a", 1)], &[("a", 1), ("b", 1)], true),
            (&[("a", 1)], &[("a", 1), ("b", 0)], false),
            (&[("a", 1), ("b", 0)], &[("a", 2)], true),
            (&[("a", 1), ("b", 1)], &[("a", 2)], false),
            (&[("a", 1)], &[("b", 1)], false),
        ] {
            let (earlier, later) = (clock(earlier), clock(later));
            assert_eq!(
                happens_before(&earlier, &later),
                expected,
                "{earlier:?} {later:?}"
            );
        }
    }
}
