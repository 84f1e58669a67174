//! How an SQLite store is opened.

use std::path::Path;
use std::sync::Arc;

use crate::{BlockReader, IndexOptions, Result, Store};

/// How a store `sqlite:FILE` is opened. Any values open any store: they are no part of its format.
///
/// ```
/// # fn main() -> hubledger_storage::Result<()> {
/// # let directory = tempfile::tempdir().expect("a temporary directory");
/// use hubledger_storage::SqliteOptions;
///
/// let options = SqliteOptions {
///     cache_kib: 4096,
///     ..SqliteOptions::default()
/// };
/// let store = options.create(&directory.path().join("chain.db"))?;
/// assert!(store.reader.extent()?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SqliteOptions {
    /// Kibibytes of pages that each connection keeps in memory: the writer's, and one for each thread that reads at a
    /// time. 8192 by default.
    pub cache_kib: u16,
    /// The sizes of the index.
    pub index: IndexOptions,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            cache_kib: 8192,
            index: IndexOptions::default(),
        }
    }
}

impl SqliteOptions {
    /// Creates an empty store. See [`StoreUrl::create`](crate::StoreUrl::create).
    ///
    /// # Errors
    /// Those of [`StoreUrl::create`](crate::StoreUrl::create).
    pub fn create(&self, path: &Path) -> Result<Store> {
        super::create(path, *self)
    }

    /// Opens a store to write and to read. See [`StoreUrl::open`](crate::StoreUrl::open).
    ///
    /// # Errors
    /// Those of [`StoreUrl::open`](crate::StoreUrl::open).
    pub fn open(&self, path: &Path) -> Result<Store> {
        super::open(path, *self)
    }

    /// Opens a store only to read. See [`StoreUrl::open_read_only`](crate::StoreUrl::open_read_only).
    ///
    /// # Errors
    /// Those of [`StoreUrl::open_read_only`](crate::StoreUrl::open_read_only).
    pub fn open_read_only(&self, path: &Path) -> Result<Arc<dyn BlockReader>> {
        super::open_read_only(path, *self)
    }
}
