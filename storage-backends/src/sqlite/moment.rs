//! A moment that is kept for as long as somebody likes: what a view of a table reads.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rusqlite::Connection;

use super::pool::{OwnedConnection, Pool};
use super::rows::SqliteView;
use crate::Result;
use crate::rows::{KeySpan, Table, View, VisitKeyed};

/// A moment that belongs to nobody: a connection of its own, in a read transaction.
pub(super) struct SqliteMoment {
    connection: Mutex<OwnedConnection>,
}

impl SqliteMoment {
    /// This moment.
    pub(super) fn begin(pool: &Arc<Pool>) -> Result<Self> {
        Ok(Self {
            connection: Mutex::new(OwnedConnection::begin(pool)?),
        })
    }

    fn with<T>(&self, ask: impl FnOnce(SqliteView<'_, &Connection>) -> Result<T>) -> Result<T> {
        let connection = self.connection.lock();
        let connection = connection.unwrap_or_else(PoisonError::into_inner);
        ask(SqliteView::within(&connection, connection.file()))
    }
}

impl View for SqliteMoment {
    fn get(&self, table: Table, number: u64) -> Result<Option<Bytes>> {
        self.with(|view| view.get(table, number))
    }

    fn numbers(&self, table: Table, visit: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
        self.with(|view| view.numbers(table, visit))
    }

    fn keyed(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.with(|view| view.keyed(key))
    }

    fn scan(&self, keys: KeySpan<'_>, visit: &mut VisitKeyed<'_>) -> Result<()> {
        self.with(|view| view.scan(keys, visit))
    }
}
