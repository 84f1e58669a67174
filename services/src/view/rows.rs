//! The rows of a view while blocks are applied: those of the store, under what isn't committed yet.

use std::sync::Arc;

use bytes::Bytes;
use hubledger_storage::{KeyRange, RangeLimit, Row, TableChange, TableView};

use super::Result;
use super::table::Table;

/// So many rows are remembered from one commit to the next; then all are forgotten.
const REMEMBERED_MAX: usize = 1 << 16;

/// The rows of one view, as after the last block that was applied. Reading sees what was changed before.
pub struct Rows {
    base: Arc<dyn TableView>,
    tables: Vec<Table>,
    changed: usize,
    changed_bytes: usize,
}

impl Rows {
    pub(super) fn over(base: Arc<dyn TableView>) -> Self {
        Self {
            base,
            tables: Vec::new(),
            changed: 0,
            changed_bytes: 0,
        }
    }

    /// The value of a key. From the second time on O(1) in memory.
    ///
    /// # Errors
    /// The store failed.
    pub fn get(&mut self, table: u8, key: &[u8]) -> Result<Option<Bytes>> {
        if let Some(value) = self.table(table).read(key) {
            return Ok(value);
        }
        let value = self.base.get(table, key)?;
        let key = Bytes::copy_from_slice(key);
        self.table(table).remember(key, value.clone());
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

    /// The first row of a table whose key is not below `from`, and below `below` if that is given. From the first time on, writing the table costs
    /// O(log rows known).
    ///
    /// # Errors
    /// The store failed.
    pub fn first(&mut self, table: u8, from: &[u8], below: Option<&[u8]>) -> Result<Option<Row>> {
        let mut from = Bytes::copy_from_slice(from);
        loop {
            let range = KeyRange {
                from: from.clone(),
                below: below.map(Bytes::copy_from_slice),
                is_descending: false,
            };
            let limit = RangeLimit { rows: 1, bytes: 0 };
            let base = self.base.range(table, &range, limit)?.pop();
            let own = self.table(table).first(&from, below);
            match (base, own) {
                (base, None) => return Ok(base),
                (Some((key, value)), Some((own, _))) if key < *own => {
                    return Ok(Some((key, value)));
                }
                (_, Some((key, value))) => match value {
                    Some(value) => return Ok(Some((key.clone(), value.clone()))),
                    None => from = successor(key),
                },
            }
        }
    }

    fn change(&mut self, table: u8, key: Bytes, value: Option<Bytes>) {
        self.changed_bytes += key.len() + value.as_ref().map_or(0, Bytes::len);
        self.changed += usize::from(self.table(table).change(key, value));
    }

    fn table(&mut self, table: u8) -> &mut Table {
        let table = usize::from(table);
        if self.tables.len() <= table {
            self.tables.resize_with(table + 1, Table::default);
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
            rows.take_changes(table, &mut changes);
        }
        self.changed = 0;
        changes
    }

    fn known(&self) -> usize {
        self.tables.iter().map(Table::len).sum()
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
        if self.known() > REMEMBERED_MAX {
            self.tables.clear();
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
            .field("known", &self.known())
            .field("changed", &self.changed)
            .finish_non_exhaustive()
    }
}
