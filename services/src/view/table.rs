//! The known rows of one table: found by their keys at once, and put in order only where that is asked for.

use std::collections::BTreeSet;
use std::ops::Bound;

use bytes::Bytes;
use hubledger_storage::TableChange;
use indexmap::IndexMap;
use indexmap::map::Entry;

/// What is known of one key, committed or not.
#[derive(Debug)]
struct Known {
    value: Option<Bytes>,
    is_changed: bool,
    /// Whether a view has read it: then it will again, and the row is remembered. Most rows are written once, and remembering them would only take
    /// memory.
    is_read: bool,
}

/// Known rows, as they came: views often write them ascending, and then sorting finds them sorted. Transactions choose the keys, so that these are hashed
/// with a secret of the process: keys that collide would make a block slow.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: IndexMap<Bytes, Known>,
    /// All keys in order, from when a view first searched the table in order. Most tables are never searched so.
    order: Option<BTreeSet<Bytes>>,
}

impl Table {
    /// How many rows are known.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The value of a known row, which may be that there is none. The row will be remembered.
    pub(super) fn read(&mut self, key: &[u8]) -> Option<Option<Bytes>> {
        let known = self.rows.get_mut(key)?;
        known.is_read = true;
        Some(known.value.clone())
    }

    /// Remembers what the store has.
    pub(super) fn remember(&mut self, key: Bytes, value: Option<Bytes>) {
        if let Some(order) = &mut self.order {
            order.insert(key.clone());
        }
        let known = Known {
            value,
            is_changed: false,
            is_read: true,
        };
        self.rows.insert(key, known);
    }

    /// Changes a row, or removes it. Whether no change of it was waiting for a commit before.
    pub(super) fn change(&mut self, key: Bytes, value: Option<Bytes>) -> bool {
        match self.rows.entry(key) {
            Entry::Occupied(mut held) => {
                let known = held.get_mut();
                known.value = value;
                !std::mem::replace(&mut known.is_changed, true)
            }
            Entry::Vacant(free) => {
                if let Some(order) = &mut self.order {
                    order.insert(free.key().clone());
                }
                free.insert(Known {
                    value,
                    is_changed: true,
                    is_read: false,
                });
                true
            }
        }
    }

    /// The first known row whose key is not below `from`, and below `below` if that is given; it may be one that was removed.
    pub(super) fn first(
        &mut self,
        from: &[u8],
        below: Option<&[u8]>,
    ) -> Option<(&Bytes, &Option<Bytes>)> {
        if below.is_some_and(|below| below <= from) {
            return None;
        }
        let rows = &self.rows;
        let order = self
            .order
            .get_or_insert_with(|| rows.keys().cloned().collect());
        let upper = below.map_or(Bound::Unbounded, Bound::Excluded);
        let key = order
            .range::<[u8], _>((Bound::Included(from), upper))
            .next()?;
        rows.get_key_value(key)
            .map(|(key, known)| (key, &known.value))
    }

    /// Takes out what was changed, ascending, as changes of the table of this number. What has been read, too, is remembered.
    pub(super) fn take_changes(&mut self, table: u8, changes: &mut Vec<TableChange>) {
        let start = changes.len();
        let mut remembered = Vec::new();
        for (key, mut known) in self.rows.drain(..) {
            if !known.is_read {
                // What wasn't read is only there because it was changed.
                let value = known.value;
                changes.push(TableChange { table, key, value });
                continue;
            }
            if std::mem::take(&mut known.is_changed) {
                let (key, value) = (key.clone(), known.value.clone());
                changes.push(TableChange { table, key, value });
            }
            remembered.push((key, known));
        }
        // Runs that are ascending already are found by a stable sort, which only merges them.
        changes[start..].sort_by(|a, b| a.key.cmp(&b.key));
        if let Some(order) = &mut self.order {
            *order = remembered.iter().map(|(key, _)| key.clone()).collect();
        }
        self.rows.extend(remembered);
    }
}
