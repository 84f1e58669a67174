//! Tests: rows in a map, which are a view and a commit at once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;

use super::state::{Identity, initialise};
use super::{Batch, KeySpan, RowContext, Table, View, VisitKeyed};
use crate::Result;

#[derive(Debug, Default)]
pub(super) struct InMemory {
    rows: BTreeMap<(u8, u64), Bytes>,
    keyed: BTreeMap<Vec<u8>, Bytes>,
}

impl InMemory {
    /// The rows of an empty store, and whose they are.
    pub(super) fn initialised() -> (Self, RowContext<'static>) {
        let path = Path::new("rows");
        let mut rows = Self::default();
        initialise(&mut rows, path).unwrap();
        let context = Identity::read(&rows, path).unwrap().at(path);
        (rows, context)
    }
}

impl View for InMemory {
    fn get(&self, table: Table, number: u64) -> Result<Option<Bytes>> {
        Ok(self.rows.get(&(table as u8, number)).cloned())
    }

    fn numbers(&self, table: Table, visit: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
        let table = table as u8;
        let mut rows = self.rows.range((table, 0)..=(table, u64::MAX));
        rows.try_for_each(|((_, number), _)| visit(*number))
    }

    fn keyed(&self, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.keyed.get(key).cloned())
    }

    fn scan(&self, keys: KeySpan<'_>, visit: &mut VisitKeyed<'_>) -> Result<()> {
        let range = keys.from.to_vec()..keys.below.to_vec();
        let mut rows: Vec<_> = self.keyed.range(range).collect();
        if keys.is_descending {
            rows.reverse();
        }
        for (key, row) in rows {
            if !visit(Ok((key, row.clone())))? {
                break;
            }
        }
        Ok(())
    }
}

impl Batch for InMemory {
    fn put(&mut self, table: Table, number: u64, row: &[u8]) -> Result<()> {
        self.rows
            .insert((table as u8, number), Bytes::copy_from_slice(row));
        Ok(())
    }

    fn remove(&mut self, table: Table, numbers: Range<u64>) -> Result<()> {
        self.rows
            .retain(|(found, number), _| *found != table as u8 || !numbers.contains(number));
        Ok(())
    }

    fn begin_keyed(&mut self) -> Result<()> {
        Ok(())
    }

    fn put_keyed(&mut self, key: &[u8], row: &[u8]) -> Result<()> {
        self.keyed.insert(key.to_vec(), Bytes::copy_from_slice(row));
        Ok(())
    }

    fn remove_keyed(&mut self, key: &[u8]) -> Result<()> {
        self.keyed.remove(key);
        Ok(())
    }

    fn remove_span(&mut self, from: &[u8], below: &[u8]) -> Result<()> {
        self.keyed
            .retain(|key, _| &key[..] < from || &key[..] >= below);
        Ok(())
    }
}
