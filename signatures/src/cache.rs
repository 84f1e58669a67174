//! Keys that were seen before, with what was computed from them: bounded in bytes, the least recently used out first.

use std::collections::hash_map::RandomState;
use std::mem::size_of;
use std::num::NonZeroUsize;

use lru::LruCache;

/// What an entry costs beside its value: the encoding, two links, and slots of the table (two pointers and a byte each),
/// which may be half empty.
const OVERHEAD_BYTES: usize = 32 + 2 * size_of::<usize>() + 2 * (2 * size_of::<usize>() + 1);

/// Values of one size, by encoded key. The hash is keyed at random, so that nobody can choose keys that collide.
#[derive(Debug)]
pub(crate) struct KeyCache<V> {
    entries: LruCache<[u8; 32], V, RandomState>,
    entries_max: usize,
}

impl<V> KeyCache<V> {
    /// A cache of at most `bytes_max` bytes, where a value has `heap_bytes` beside its own size. 0 keeps nothing.
    pub(crate) fn new(bytes_max: usize, heap_bytes: usize) -> Self {
        let entries_max = bytes_max / (OVERHEAD_BYTES + size_of::<V>() + heap_bytes);
        // Not by its own constructor, which would take the memory of all entries at once.
        let mut entries = LruCache::unbounded_with_hasher(RandomState::new());
        if let Some(entries_max) = NonZeroUsize::new(entries_max) {
            entries.resize(entries_max);
        }
        Self {
            entries,
            entries_max,
        }
    }

    /// The value of `key`, which becomes the most recently used.
    pub(crate) fn get(&mut self, key: &[u8; 32]) -> Option<&mut V> {
        self.entries.get_mut(key)
    }

    /// Keeps a value; the least recently used goes if there are too many.
    pub(crate) fn insert(&mut self, key: [u8; 32], value: V) {
        if self.entries_max > 0 {
            // Once it is full, an entry takes the memory of the one that goes.
            self.entries.put(key, value);
        }
    }

    pub(crate) fn remove(&mut self, key: &[u8; 32]) {
        self.entries.pop(key);
    }

    /// Whether a single value fits.
    pub(crate) fn keeps_any(&self) -> bool {
        self.entries_max > 0
    }

    /// Keys held.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(i: u32) -> [u8; 32] {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&i.to_le_bytes());
        key
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut cache = KeyCache::new(3 * (OVERHEAD_BYTES + 8), 0);
        for i in 0..3 {
            cache.insert(key(i), u64::from(i));
        }
        assert_eq!(cache.get(&key(0)), Some(&mut 0));
        cache.insert(key(3), 3);
        assert_eq!(cache.get(&key(1)), None);
        assert_eq!(cache.len(), 3);
        for i in [0, 2, 3] {
            assert_eq!(cache.get(&key(i)).copied(), Some(u64::from(i)));
        }
    }

    #[test]
    fn it_never_holds_more_than_its_bytes() {
        for (bytes, most) in [
            (0, 0),
            (OVERHEAD_BYTES + 7, 0),
            (OVERHEAD_BYTES + 8, 1),
            (10_000, 111),
        ] {
            let mut cache = KeyCache::new(bytes, 0);
            for i in 0..5_000 {
                cache.insert(key(i), u64::from(i));
                assert!(cache.len() <= most);
            }
            assert!(cache.len() * (OVERHEAD_BYTES + 8) <= bytes);
        }
    }
}
