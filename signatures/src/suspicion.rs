//! Who sent bad signatures of late, so that they slow themselves and not others.
//!
//! A bad signature makes its whole batch fail. Whose signatures failed recently is therefore checked apart, in small
//! cells; where bad ones come under ever new keys, their share of the stream tells, and everything is checked in
//! cells until it falls. Neither changes a verdict.

use crate::cache::KeyCache;

/// Bytes for remembering keys: some ten thousand.
const BYTES_MAX: usize = 1 << 20;
/// Good signatures in a row after which a key is trusted again.
const GOOD_TO_FORGET: u32 = 2048;
/// Signatures over which the share of bad ones is averaged.
const WINDOW: f64 = 16_384.0;
/// With this many bad ones expected, a batch is not worth trying.
const EXPECTED_MAX: f64 = 2.0;

/// Recent failures. Bounded.
#[derive(Debug)]
pub(crate) struct Suspicion {
    /// By key, how many good signatures it owes.
    keys: KeyCache<u32>,
    /// Share of bad signatures under keys that were not suspected.
    share: f64,
}

impl Suspicion {
    pub(crate) fn new() -> Self {
        Self {
            keys: KeyCache::new(BYTES_MAX, 0),
            share: 0.0,
        }
    }

    /// Whether nobody is suspected, which saves looking.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.len() == 0
    }

    /// Whether this key's signatures are to be checked apart.
    pub(crate) fn suspects(&mut self, key: &[u8; 32]) -> bool {
        self.keys.get(key).is_some()
    }

    /// Whether a batch of so many signatures under unsuspected keys is likely to hold many bad ones.
    pub(crate) fn expects_bad(&self, signatures: usize) -> bool {
        self.share * signatures as f64 > EXPECTED_MAX
    }

    /// Notes that a key signed this many good and bad signatures of a batch.
    pub(crate) fn note_key(&mut self, key: &[u8; 32], good: u32, bad: u32) {
        if bad > 0 {
            self.keys.insert(*key, GOOD_TO_FORGET);
        } else if let Some(owed) = self.keys.get(key) {
            *owed = owed.saturating_sub(good);
            if *owed == 0 {
                self.keys.remove(key);
            }
        }
    }

    /// Notes the verdicts on the unsuspected part of a batch.
    pub(crate) fn note_share(&mut self, signatures: usize, bad: usize) {
        if signatures > 0 {
            let (signatures, bad) = (signatures as f64, bad as f64);
            let weight = signatures / (signatures + WINDOW);
            self.share += weight * (bad / signatures - self.share);
        }
    }
}

#[cfg(test)]
mod tests;
