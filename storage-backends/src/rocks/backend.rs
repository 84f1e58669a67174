//! The backend of `rocksdb:DIR`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::options::RocksOptions;
use crate::backend::Backend;
use crate::check::Report;
use crate::{BlockReader, Repaired, Result, Store, StoreUrl};

/// A store `rocksdb:DIR`.
pub(crate) struct RocksBackend<'a> {
    pub(crate) directory: &'a Path,
    pub(crate) options: &'a RocksOptions,
}

impl RocksBackend<'_> {
    /// Reads what follows the scheme.
    pub(crate) fn parse(target: &str) -> std::result::Result<StoreUrl, &'static str> {
        let (directory, options) = match target.split_once('?') {
            None => (target, RocksOptions::default()),
            Some((directory, query)) => (directory, RocksOptions::parse(query)?),
        };
        Ok(StoreUrl::Rocksdb(PathBuf::from(directory), options))
    }
}

impl fmt::Display for RocksBackend<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.directory.display(), self.options)
    }
}

impl Backend for RocksBackend<'_> {
    fn create(&self) -> Result<Store> {
        super::create(self.directory, *self.options)
    }

    fn open(&self) -> Result<Store> {
        super::open(self.directory, *self.options)
    }

    fn open_read_only(&self) -> Result<Arc<dyn BlockReader>> {
        super::open_read_only(self.directory, *self.options)
    }

    fn open_damaged(&self, _: &mut Report) -> Result<Arc<dyn BlockReader>> {
        super::open_damaged(self.directory, *self.options)
    }

    fn check(&self, report: &mut Report) -> Result<()> {
        super::check(self.directory, report)
    }

    fn repair(&self, done: &mut dyn FnMut(Repaired)) -> Result<()> {
        super::repair(self.directory, done)
    }

    fn exists(&self) -> bool {
        super::exists(self.directory)
    }
}
