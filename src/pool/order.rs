//! An order in groups: which key is the first of all, which is the first of a group, and what comes after it there.
//!
//! Invariant: `firsts` has the first key of every group that has any.

use std::collections::{BTreeSet, btree_set};

/// Keys in groups. A key is in one group; groups are numbered densely.
#[derive(Debug, Clone)]
pub(super) struct Order<K> {
    groups: Vec<BTreeSet<K>>,
    firsts: BTreeSet<(K, u32)>,
}

impl<K> Default for Order<K> {
    fn default() -> Self {
        Self {
            groups: Vec::new(),
            firsts: BTreeSet::new(),
        }
    }
}

impl<K: Ord + Copy> Order<K> {
    pub(super) fn insert(&mut self, group: u32, key: K) {
        let index = group as usize;
        if index >= self.groups.len() {
            self.groups.resize_with(index + 1, BTreeSet::new);
        }
        let keys = &mut self.groups[index];
        let first = keys.first().copied();
        keys.insert(key);
        if first.is_none_or(|first| key < first) {
            if let Some(first) = first {
                self.firsts.remove(&(first, group));
            }
            self.firsts.insert((key, group));
        }
    }

    pub(super) fn remove(&mut self, group: u32, key: K) {
        let keys = &mut self.groups[group as usize];
        let was_first = keys.first() == Some(&key);
        keys.remove(&key);
        if was_first {
            self.firsts.remove(&(key, group));
            if let Some(next) = keys.first() {
                self.firsts.insert((*next, group));
            }
        }
    }

    /// The first of all.
    pub(super) fn first(&self) -> Option<K> {
        self.firsts.first().map(|(key, _)| *key)
    }

    /// The first of a group.
    pub(super) fn first_of(&self, group: u32) -> Option<K> {
        self.groups.get(group as usize)?.first().copied()
    }

    /// The first of each group, in their order.
    pub(super) fn firsts(&self) -> btree_set::Iter<'_, (K, u32)> {
        self.firsts.iter()
    }

    /// A group in its order.
    pub(super) fn group(&self, group: u32) -> btree_set::Iter<'_, K> {
        self.groups[group as usize].iter()
    }
}
