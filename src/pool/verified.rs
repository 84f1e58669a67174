//! Transactions whose signatures were checked when they were admitted, so that a block that holds them needn't check
//! them again.
//!
//! The key is the Merkle leaf hash, over id and witness: the id commits to the whole body (chain and sender too), the witness
//! bytes are every key and signature. So whatever could make a signature bad changes the key. Whether those keys speak for
//! the sender is a rule about the state, and is asked for every block whether it is here or not.
//!
//! Bounded: sets of four, of which the oldest makes room. Which set a key belongs to depends on a secret of this process, so
//! that nobody can aim at one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::format::digest::Digest;

const WAYS: usize = 4;

/// Digests as words: of those the library knows that memory which comes zeroed needn't be written.
type Set = [[u64; 4]; WAYS];

fn words(leaf: &Digest) -> [u64; 4] {
    let (words, _) = leaf.0.as_chunks();
    std::array::from_fn(|number| u64::from_le_bytes(words[number]))
}

/// Whole entries come and go, so that a set is sound after a panic too.
fn lock(sets: &Mutex<Vec<Set>>) -> MutexGuard<'_, Vec<Set>> {
    sets.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The cache.
#[derive(Debug)]
pub(crate) struct Verified {
    /// Odd, and known to nobody.
    secret: u64,
    /// Empty until something is inserted.
    sets: Mutex<Vec<Set>>,
    count: usize,
    /// So that imports don't look for what nobody has admitted.
    is_used: AtomicBool,
}

impl Verified {
    /// Room for about `capacity` transactions, at 32 bytes each; 0 keeps none.
    pub(crate) fn new(capacity: usize) -> Self {
        // Without a secret somebody could aim at one set, so then nothing is kept, and every signature is checked again.
        let secret = getrandom::u64().inspect_err(|error| {
            tracing::warn!(%error, "no transactions are remembered as checked: the system gives no randomness");
        });
        let count = match (capacity, &secret) {
            (0, _) | (_, Err(_)) => 0,
            (capacity, Ok(_)) => capacity.div_ceil(WAYS).next_power_of_two(),
        };
        Self {
            secret: secret.unwrap_or(0) | 1,
            sets: Mutex::default(),
            count,
            is_used: AtomicBool::new(false),
        }
    }

    /// Notes that every signature of the transactions with these leaf hashes was checked and is good.
    pub(crate) fn insert(&self, leaves: impl Iterator<Item = Digest>) {
        if self.count == 0 {
            return;
        }
        let mut sets = lock(&self.sets);
        if sets.is_empty() {
            *sets = vec![[[0; 4]; WAYS]; self.count];
        }
        // After the sets are there: a reader that sees the flag indexes into them.
        self.is_used.store(true, Ordering::Release);
        for leaf in leaves {
            let leaf = words(&leaf);
            let set = &mut sets[self.set_of(leaf)];
            if !set.contains(&leaf) {
                set.rotate_right(1);
                set[0] = leaf;
            }
        }
    }

    /// Which of these are here.
    pub(crate) fn contains(&self, leaves: &[Digest]) -> Vec<bool> {
        if !self.is_used.load(Ordering::Acquire) {
            return vec![false; leaves.len()];
        }
        let sets = lock(&self.sets);
        let found = leaves.iter().map(words);
        found
            .map(|leaf| sets[self.set_of(leaf)].contains(&leaf))
            .collect()
    }

    fn set_of(&self, leaf: [u64; 4]) -> usize {
        // A leaf hash is as good as random; the secret only has to hide which bits count.
        let mixed = leaf[0].wrapping_mul(self.secret);
        (mixed >> 32) as usize & (self.count - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::digest::sha256;

    fn leaf(number: u32) -> Digest {
        Digest(sha256(&[&number.to_le_bytes()]))
    }

    #[test]
    fn it_knows_what_came_last_and_stays_in_its_bounds() {
        let verified = Verified::new(64);
        verified.insert((0..10_000).map(leaf));
        let kept = verified.contains(&(0..10_000).map(leaf).collect::<Vec<_>>());
        let kept = kept.iter().filter(|kept| **kept).count();
        assert!((1..=64).contains(&kept), "{kept}");
        verified.insert(std::iter::once(leaf(7)));
        assert_eq!(verified.contains(&[leaf(7), leaf(20_000)]), [true, false]);
    }

    #[test]
    fn without_room_it_knows_nothing() {
        let verified = Verified::new(0);
        verified.insert(std::iter::once(leaf(1)));
        assert_eq!(verified.contains(&[leaf(1)]), [false]);
    }
}
