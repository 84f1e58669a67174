//! The rows of a view while blocks are applied: those of the store, under what isn't committed yet.

use std::collections::BTreeMap;
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
            .get(usize::from(table))
            .and_then(|rows| rows.get(key))
        {
            return Ok(known.value.clone());
        }
        let value = self.base.get(table, key)?;
        let known = Known {
            value: value.clone(),
            is_changed: false,
        };
        self.know(table, Bytes::copy_from_slice(key), known);
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
        self.changed += 1;
        self.changed_bytes += key.len() + value.as_ref().map_or(0, Bytes::len);
        let known = Known {
            value,
            is_changed: true,
        };
        self.know(table, key, known);
    }

    fn know(&mut self, table: u8, key: Bytes, known: Known) {
        let table = usize::from(table);
        if self.tables.len() <= table {
            self.tables.resize_with(table + 1, BTreeMap::new);
        }
        if self.tables[table].insert(key, known).is_none() {
            self.known += 1;
        }
    }

    /// Bytes of keys and values that were changed since the last commit; what was changed twice counts twice.
    pub(super) const fn changed_bytes(&self) -> usize {
        self.changed_bytes
    }

    /// What was changed since the last commit, ascending.
    pub(super) fn changes(&self) -> Vec<TableChange> {
        let mut changes = Vec::with_capacity(self.changed);
        for (table, rows) in (0..=u8::MAX).zip(&self.tables) {
            let changed = rows.iter().filter(|(_, known)| known.is_changed);
            changes.extend(changed.map(|(key, known)| TableChange {
                table,
                key: key.clone(),
                value: known.value.clone(),
            }));
        }
        changes
    }

    /// What was changed is committed, and in `base`.
    pub(super) fn committed(&mut self, base: Arc<dyn TableView>) {
        self.base = base;
        (self.changed, self.changed_bytes) = (0, 0);
        if self.known > REMEMBERED_MAX {
            self.tables.clear();
            self.known = 0;
            return;
        }
        for known in self.tables.iter_mut().flat_map(BTreeMap::values_mut) {
            known.is_changed = false;
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
