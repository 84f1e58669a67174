//! Rows as accounts have them, and batches of updates of random ones.

use hubledger::format::digest::sha256;
use rand::rngs::StdRng;
use rand::seq::index;
use rand::{Rng as _, SeedableRng as _};

/// Hashes, so that they are spread evenly, as peers want them.
pub(super) type Key = [u8; 32];
/// As long as an encoded account.
pub(super) type Value = [u8; 49];

/// Updates between two roots.
pub(super) const BATCH: usize = 1_000;
/// Rows of a batch that fills: larger, since nothing is measured meanwhile.
const FILL: u64 = 10_000;

/// The key of a row.
pub(super) fn key(number: u64) -> Key {
    sha256(&[&number.to_le_bytes()])
}

/// So many rows, and updates of random ones. The same seed gives the same updates.
#[derive(Debug)]
pub(super) struct Rows {
    count: u64,
    random: StdRng,
}

impl Rows {
    pub(super) fn new(count: u64, seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        Self { count, random }
    }

    /// The same rows, with other updates: who reads what somebody else has just changed finds it in the processor's cache.
    pub(super) fn with_seed(&self, seed: u64) -> Self {
        Self::new(self.count, seed)
    }

    /// All of them, in batches to begin with.
    pub(super) fn all(&self) -> impl Iterator<Item = Vec<(Key, Value)>> + use<> {
        let (count, mut random) = (self.count, StdRng::seed_from_u64(0));
        (0..count).step_by(FILL as usize).map(move |first| {
            let numbers = first..count.min(first + FILL);
            in_order(numbers.map(|number| (key(number), value(&mut random))))
        })
    }

    /// The keys of different random rows, [`BATCH`] of them or all if they are fewer, in no order.
    pub(super) fn draw(&mut self) -> Vec<Key> {
        let count = self.count as usize;
        let numbers = index::sample(&mut self.random, count, BATCH.min(count));
        numbers.iter().map(|number| key(number as u64)).collect()
    }

    /// A batch of updates, by ascending keys.
    pub(super) fn batch(&mut self) -> Vec<(Key, Value)> {
        let keys = self.draw();
        in_order(keys.into_iter().map(|key| (key, value(&mut self.random))))
    }
}

fn value(random: &mut StdRng) -> Value {
    let mut value = [0; 49];
    random.fill_bytes(&mut value);
    value
}

fn in_order(rows: impl Iterator<Item = (Key, Value)>) -> Vec<(Key, Value)> {
    let mut rows: Vec<_> = rows.collect();
    rows.sort_unstable();
    rows
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn updates_are_of_different_rows_that_are_there() {
        let mut rows = Rows::new(12_345, 1);
        let all: BTreeSet<Key> = rows.all().flatten().map(|(key, _)| key).collect();
        assert_eq!(all.len(), 12_345);
        let batch = rows.batch();
        assert_eq!(batch.len(), BATCH);
        assert!(batch.is_sorted_by(|a, b| a.0 < b.0));
        assert!(batch.iter().all(|(key, _)| all.contains(key)));
        assert_ne!(batch, rows.batch());
        assert_eq!(Rows::new(7, 1).batch().len(), 7);
    }
}
