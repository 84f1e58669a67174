//! The rows of a view while blocks are applied: those of the store, under what isn't committed yet.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use hubledger_storage::{KeyRange, RangeLimit, Row, TableChange, TableView};

use super::Result;

/// So many rows are remembered from one commit to the next; then all are forgotten.
const REMEMBERED_MAX: usize = 1 << 16;

/// What is known of one key, committed or not.
#[derive(Debug)]
struct Known {
    value: Option<Bytes>,
    is_changed: bool,
    /// Whether a view has read it: then it will again, and the row is remembered. Most rows are written once, and remembering them would only make the search for
    /// others longer.
    is_read: bool,
}

/// The rows of one view, as after the last block that was applied. Reading sees what was changed before.
pub struct Rows {
    base: Arc<dyn TableView>,
    tables: Vec<BTreeMap<Bytes, Known>>,
    known: usize,
    changed: usize,
    changed_bytes: usize,
}

impl Rows {
    pub(super) fn over(base: Arc<dyn TableView>) -> Self {
        Self {
            base,
            tables: Vec::new(),
            known: 0,
            changed: 0,
            changed_bytes: 0,
        }
    }

    /// The value of a key. From the second time on O(log rows known) in memory.
    ///
    /// # Errors
    /// The store failed.
    pub fn get(&mut self, table: u8, key: &[u8]) -> Result<Option<Bytes>> {
        if let Some(known) = self
            .tables
            .get_mut(usize::from(table))
            .and_then(|rows| rows.get_mut(key))
        {
            known.is_read = true;
            return Ok(known.value.clone());
        }
        let value = self.base.get(table, key)?;
        let known = Known {
            value: value.clone(),
            is_changed: false,
            is_read: true,
        };
        self.table(table).insert(Bytes::copy_from_slice(key), known);
        self.known += 1;
        Ok(value)
    }

    /// Sets the value of a key.
    pub fn put(&mut self, table: u8, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.change(table, key.into(), Some(value.into()));
    }

    /// Removes a key, whether it is there or not.
    pub fn remove(&mut self, table: u8, key: impl Into<Bytes>) {
        self.change(table, key.into(), None);
    }

    /// The first row of a table whose key is not below `from`, and below `below` if that is given.
    ///
    /// # Errors
    /// The store failed.
    pub fn first(&self, table: u8, from: &[u8], below: Option<&[u8]>) -> Result<Option<Row>> {
        let mut from = Bytes::copy_from_slice(from);
        loop {
            let range = KeyRange {
                from: from.clone(),
                below: below.map(Bytes::copy_from_slice),
                is_descending: false,
            };
            let limit = RangeLimit { rows: 1, bytes: 0 };
            let base = self.base.range(table, &range, limit)?.pop();
            let own = self.first_known(table, &from, below);
            match (base, own) {
                (base, None) => return Ok(base),
                (Some((key, value)), Some((own, _))) if key < *own => {
                    return Ok(Some((key, value)));
                }
                (_, Some((key, known))) => match &known.value {
                    Some(value) => return Ok(Some((key.clone(), value.clone()))),
                    None => from = successor(key),
                },
            }
        }
    }

    fn first_known(
        &self,
        table: u8,
        from: &[u8],
        below: Option<&[u8]>,
    ) -> Option<(&Bytes, &Known)> {
        if below.is_some_and(|below| below <= from) {
            return None;
        }
        let upper = below.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = self.tables.get(usize::from(table))?;
        rows.range::<[u8], _>((Bound::Included(from), upper)).next()
    }

    fn change(&mut self, table: u8, key: Bytes, value: Option<Bytes>) {
        self.changed_bytes += key.len() + value.as_ref().map_or(0, Bytes::len);
        let (mut is_new, mut was_changed) = (false, false);
        match self.table(table).entry(key) {
            Entry::Occupied(mut held) => {
                let known = held.get_mut();
                was_changed = std::mem::replace(&mut known.is_changed, true);
                known.value = value;
            }
            Entry::Vacant(free) => {
                is_new = true;
                free.insert(Known {
                    value,
                    is_changed: true,
                    is_read: false,
                });
            }
        }
        self.known += usize::from(is_new);
        self.changed += usize::from(!was_changed);
    }

    fn table(&mut self, table: u8) -> &mut BTreeMap<Bytes, Known> {
        let table = usize::from(table);
        if self.tables.len() <= table {
            self.tables.resize_with(table + 1, BTreeMap::new);
        }
        &mut self.tables[table]
    }

    /// Bytes of keys and values that were changed since the last commit; what was changed twice counts twice.
    pub(super) const fn changed_bytes(&self) -> usize {
        self.changed_bytes
    }

    /// Takes out what was changed since the last commit, ascending. What has been read, too, is remembered.
    pub(super) fn take_changes(&mut self) -> Vec<TableChange> {
        let mut changes = Vec::with_capacity(self.changed);
        for (table, rows) in (0..=u8::MAX).zip(&mut self.tables) {
            let mut remember = Vec::new();
            // What wasn't read is only there because it was changed.
            for (key, mut known) in std::mem::take(rows) {
                if !known.is_read {
                    let value = known.value;
                    changes.push(TableChange { table, key, value });
                    continue;
                }
                if std::mem::take(&mut known.is_changed) {
                    let (key, value) = (key.clone(), known.value.clone());
                    changes.push(TableChange { table, key, value });
                }
                remember.push((key, known));
            }
            *rows = remember.into_iter().collect();
        }
        self.known = self.tables.iter().map(BTreeMap::len).sum();
        self.changed = 0;
        changes
    }

    /// Puts changes back that were taken out and couldn't be committed.
    pub(super) fn put_back(&mut self, changes: Vec<TableChange>) {
        let bytes = self.changed_bytes;
        for TableChange { table, key, value } in changes {
            self.change(table, key, value);
        }
        self.changed_bytes = bytes;
    }

    /// What was taken out is committed, and in `base`.
    pub(super) fn committed(&mut self, base: Arc<dyn TableView>) {
        self.base = base;
        self.changed_bytes = 0;
        if self.known > REMEMBERED_MAX {
            self.tables.clear();
            self.known = 0;
        }
    }
}

/// The key right behind another one.
fn successor(key: &[u8]) -> Bytes {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next.into()
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows")
            .field("known", &self.known)
            .field("changed", &self.changed)
            .finish_non_exhaustive()
    }
}
