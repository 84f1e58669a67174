//! Vector clocks (Fidge 1988, Mattern 1989): which of two events could have known of the other.
//!
//! A clock maps node names to event counters. Entries are kept sorted by the name's bytes and counters are never
//! zero (an absent entry *is* zero), so equal clocks have equal bytes. Size is bounded by [`CLOCK_ENTRIES_MAX`].

use std::cmp::Ordering;
use std::sync::Arc;

use crate::format::codec::{self, DecodeError, DecodeProblem, FieldError, Reader};

/// The most entries a clock can have.
pub const CLOCK_ENTRIES_MAX: usize = 4096;

/// An immutable vector clock. Clones share their entries.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct VectorClock {
    entries: Arc<[(Arc<str>, u64)]>,
}

/// How two clocks relate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Causality {
    /// The same entries.
    Equal,
    /// The first happened before the second: no entry larger, one smaller.
    Before,
    /// The first happened after the second.
    After,
    /// Neither could have known of the other.
    Concurrent,
}

impl VectorClock {
    /// The clock without entries.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// A clock of `entries`, in any order; zero counters are dropped.
    ///
    /// # Errors
    /// An empty or over-long name, a name twice, or more than [`CLOCK_ENTRIES_MAX`] entries.
    pub fn new(entries: impl IntoIterator<Item = (String, u64)>) -> Result<Self, FieldError> {
        let mut sorted: Vec<(Arc<str>, u64)> = Vec::new();
        for (node, counter) in entries {
            FieldError::check_name("vector_clock", &node)?;
            if counter > 0 {
                sorted.push((node.into(), counter));
            }
            FieldError::check_length("vector_clock", sorted.len(), CLOCK_ENTRIES_MAX)?;
        }
        sorted.sort();
        if sorted.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(FieldError::new("vector_clock", "a node has two entries"));
        }
        Ok(Self {
            entries: sorted.into(),
        })
    }

    /// The counter of `node`, 0 if it has none. O(log n).
    #[must_use]
    pub fn get(&self, node: &str) -> u64 {
        match self.find(node) {
            Ok(index) => self.entries[index].1,
            Err(_) => 0,
        }
    }

    /// Entries in ascending order of the name's bytes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, u64)> {
        self.entries
            .iter()
            .map(|(node, counter)| (&**node, *counter))
    }

    /// How many nodes have an entry.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no node has an entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// This clock with `node`'s counter one higher. O(n).
    ///
    /// # Errors
    /// A bad name, a full clock, or a counter that is already `u64::MAX`.
    pub fn increment(&self, node: &str) -> Result<Self, FieldError> {
        FieldError::check_name("vector_clock", node)?;
        let mut entries = self.entries.to_vec();
        match self.find(node) {
            Ok(index) => {
                entries[index].1 = entries[index]
                    .1
                    .checked_add(1)
                    .ok_or_else(|| FieldError::new("vector_clock", "the counter is at its end"))?;
            }
            Err(index) => {
                FieldError::check_length("vector_clock", entries.len() + 1, CLOCK_ENTRIES_MAX)?;
                entries.insert(index, (node.into(), 1));
            }
        }
        Ok(Self {
            entries: entries.into(),
        })
    }

    /// The larger counter of both, node by node. O(n + m).
    ///
    /// # Errors
    /// More than [`CLOCK_ENTRIES_MAX`] nodes together.
    pub fn merge(&self, other: &Self) -> Result<Self, FieldError> {
        let mut entries = Vec::with_capacity(self.len().max(other.len()));
        walk(self, other, |node, mine, theirs| {
            entries.push((Arc::clone(node), mine.max(theirs)));
        });
        FieldError::check_length("vector_clock", entries.len(), CLOCK_ENTRIES_MAX)?;
        Ok(Self {
            entries: entries.into(),
        })
    }

    /// How this clock relates to `other`. O(n + m).
    #[must_use]
    pub fn compare(&self, other: &Self) -> Causality {
        let (mut less, mut greater) = (false, false);
        walk(self, other, |_, mine, theirs| match mine.cmp(&theirs) {
            Ordering::Less => less = true,
            Ordering::Greater => greater = true,
            Ordering::Equal => {}
        });
        match (less, greater) {
            (false, false) => Causality::Equal,
            (true, false) => Causality::Before,
            (false, true) => Causality::After,
            (true, true) => Causality::Concurrent,
        }
    }

    /// The largest amount by which an entry other than `except` is ahead of `earlier`.
    #[must_use]
    pub fn largest_advance(&self, earlier: &Self, except: &str) -> u64 {
        let mut largest = 0;
        walk(self, earlier, |node, mine, theirs| {
            if &**node != except {
                largest = largest.max(mine.saturating_sub(theirs));
            }
        });
        largest
    }

    /// Appends the canonical encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        codec::put_count(out, self.len());
        for (node, counter) in self.iter() {
            codec::put_bytes(out, node.as_bytes());
            codec::put_u64(out, counter);
        }
    }

    /// Reads the canonical encoding.
    ///
    /// # Errors
    /// Entries out of order, zero counters, more than [`CLOCK_ENTRIES_MAX`] entries, truncation.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        const FIELD: &str = "vector_clock";
        let count = reader.count(FIELD, CLOCK_ENTRIES_MAX, 13)?;
        let mut entries: Vec<(Arc<str>, u64)> = Vec::with_capacity(count);
        for _ in 0..count {
            let start = reader.clone();
            let node = reader.name(FIELD)?;
            if entries.last().is_some_and(|(last, _)| **last >= *node) {
                return Err(start.error(FIELD, DecodeProblem::Order));
            }
            let counter = reader.u64(FIELD)?;
            // An absent entry is zero: written down, it would be a second encoding of the same clock.
            if counter == 0 {
                return Err(start.error(FIELD, DecodeProblem::Value("a counter can't be zero")));
            }
            entries.push((node.into(), counter));
        }
        Ok(Self {
            entries: entries.into(),
        })
    }

    fn find(&self, node: &str) -> Result<usize, usize> {
        self.entries
            .binary_search_by(|(name, _)| (**name).cmp(node))
    }
}

/// Visits every node of either clock in order, with both counters.
fn walk(a: &VectorClock, b: &VectorClock, mut visit: impl FnMut(&Arc<str>, u64, u64)) {
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        let order = match (a.entries.get(i), b.entries.get(j)) {
            (Some((x, _)), Some((y, _))) => x.cmp(y),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        match order {
            Ordering::Less => visit(&a.entries[i].0, a.entries[i].1, 0),
            Ordering::Greater => visit(&b.entries[j].0, 0, b.entries[j].1),
            Ordering::Equal => visit(&a.entries[i].0, a.entries[i].1, b.entries[j].1),
        }
        i += usize::from(order != Ordering::Greater);
        j += usize::from(order != Ordering::Less);
    }
}

impl serde::Serialize for VectorClock {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn clock(entries: &[(&str, u64)]) -> VectorClock {
        VectorClock::new(
            entries
                .iter()
                .map(|&(node, counter)| (node.to_owned(), counter)),
        )
        .expect("valid entries")
    }

    #[test]
    fn compare_tells_equal_before_after_and_concurrent_apart() {
        let a = clock(&[("a", 1), ("b", 2)]);
        assert_eq!(
            a.compare(&clock(&[("b", 2), ("a", 1), ("c", 0)])),
            Causality::Equal
        );
        assert_eq!(a.compare(&clock(&[("a", 1), ("b", 3)])), Causality::Before);
        assert_eq!(a.compare(&clock(&[("b", 2)])), Causality::After);
        assert_eq!(
            a.compare(&clock(&[("a", 2), ("b", 1)])),
            Causality::Concurrent
        );
        assert_eq!(VectorClock::empty().compare(&a), Causality::Before);
    }

    #[test]
    fn limits_are_named() {
        let many = (0..=CLOCK_ENTRIES_MAX).map(|i| (format!("n{i}"), 1));
        let error = VectorClock::new(many).expect_err("too many");
        assert_eq!(
            error.to_string(),
            "vector_clock: 4097 is above the limit of 4096"
        );
        assert!(clock(&[("a", u64::MAX)]).increment("a").is_err());
        assert!(clock(&[]).increment("").is_err());
    }

    proptest! {
        #[test]
        fn merge_is_the_least_clock_after_both(
            a in prop::collection::btree_map("[a-e]", 0u64..5, 0..5),
            b in prop::collection::btree_map("[a-e]", 0u64..5, 0..5),
        ) {
            let naive = |a: &BTreeMap<String, u64>, b: &BTreeMap<String, u64>| {
                let mut merged = a.clone();
                for (node, counter) in b {
                    let entry = merged.entry(node.clone()).or_default();
                    *entry = (*entry).max(*counter);
                }
                VectorClock::new(merged).expect("valid")
            };
            let (x, y) = (VectorClock::new(a.clone()).expect("valid"), VectorClock::new(b.clone()).expect("valid"));
            let merged = x.merge(&y).expect("small");
            prop_assert_eq!(&merged, &naive(&a, &b));
            prop_assert!(matches!(x.compare(&merged), Causality::Equal | Causality::Before));
            let more = merged.increment("c").expect("small");
            prop_assert_eq!(merged.compare(&more), Causality::Before);
            prop_assert_eq!(more.get("c"), merged.get("c") + 1);
            let mut bytes = Vec::new();
            merged.encode(&mut bytes);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(VectorClock::decode(&mut reader).expect("canonical"), merged);
            reader.finish("clock").expect("all read");
        }
    }
}
