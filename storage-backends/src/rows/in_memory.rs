//! Tests: rows in a map, which are a view and a commit at once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;

use super::state::{Identity, initialise};
use super::{Batch, RowContext, Table, View};
use crate::Result;

#[derive(Debug, Default)]
pub(super) struct InMemory(BTreeMap<(u8, u64), Bytes>);

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
        Ok(self.0.get(&(table as u8, number)).cloned())
    }

    fn numbers(&self, table: Table, visit: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
        let table = table as u8;
        let mut rows = self.0.range((table, 0)..=(table, u64::MAX));
        rows.try_for_each(|((_, number), _)| visit(*number))
    }
}

impl Batch for InMemory {
    fn put(&mut self, table: Table, number: u64, row: &[u8]) -> Result<()> {
        self.0
            .insert((table as u8, number), Bytes::copy_from_slice(row));
        Ok(())
    }

    fn remove(&mut self, table: Table, numbers: Range<u64>) -> Result<()> {
        self.0
            .retain(|(found, number), _| *found != table as u8 || !numbers.contains(number));
        Ok(())
    }
}
