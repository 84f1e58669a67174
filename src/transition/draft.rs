//! What a transition has done so far: its effects over what was known before it, for those that read again what they wrote.

use std::borrow::Cow;

use super::{Book, Effects};
use crate::state::Account;
use crate::state::tables::Table;

/// A book with the rows of effects in it.
pub(crate) struct Draft<'a> {
    book: &'a dyn Book,
    pub(crate) effects: &'a mut Effects,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(book: &'a dyn Book, effects: &'a mut Effects) -> Self {
        Self { book, effects }
    }

    pub(super) fn put<T: Table>(&mut self, key: &[u8], value: &T::Value) {
        self.effects.put::<T>(key, value);
    }

    pub(super) fn remove<T: Table>(&mut self, key: &[u8]) {
        self.effects.remove::<T>(key);
    }
}

impl Book for Draft<'_> {
    fn account(&self, name: &str) -> Account {
        self.book.account(name)
    }

    fn row(&self, table: u8, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let rows = self.effects.rows.iter().rev();
        let mut written = rows.filter(|row| row.table == table && *row.key == *key);
        match written.next() {
            Some(row) => row.value.as_deref().map(Cow::Borrowed),
            None => self.book.row(table, key),
        }
    }
}
