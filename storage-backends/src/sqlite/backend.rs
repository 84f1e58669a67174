//! The backend of `sqlite:FILE`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::options::SqliteOptions;
use crate::backend::Backend;
use crate::check::Report;
use crate::{BlockReader, Repaired, Result, Store, StoreUrl};

/// A store `sqlite:FILE`.
pub(crate) struct SqliteBackend<'a> {
    pub(crate) path: &'a Path,
}

impl SqliteBackend<'_> {
    /// Reads what follows the scheme.
    pub(crate) fn parse(target: &str) -> std::result::Result<StoreUrl, &'static str> {
        Ok(StoreUrl::Sqlite(PathBuf::from(target)))
    }
}

impl fmt::Display for SqliteBackend<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

impl Backend for SqliteBackend<'_> {
    fn create(&self) -> Result<Store> {
        super::create(self.path, SqliteOptions::default())
    }

    fn open(&self) -> Result<Store> {
        super::open(self.path, SqliteOptions::default())
    }

    fn open_read_only(&self) -> Result<Arc<dyn BlockReader>> {
        super::open_read_only(self.path, SqliteOptions::default())
    }

    fn open_damaged(&self, _: &mut Report) -> Result<Arc<dyn BlockReader>> {
        super::open_damaged(self.path)
    }

    fn check(&self, report: &mut Report) -> Result<()> {
        super::check(self.path, report)
    }

    fn repair(&self, done: &mut dyn FnMut(Repaired)) -> Result<()> {
        super::repair(self.path, done)
    }

    fn exists(&self) -> bool {
        super::exists(self.path)
    }
}
