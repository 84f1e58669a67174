//! The backend of `log:DIR`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::options::LogOptions;
use crate::backend::Backend;
use crate::check::Report;
use crate::{BlockReader, Repaired, Result, Store, StoreUrl};

/// A store `log:DIR`.
pub(crate) struct LogBackend<'a> {
    pub(crate) directory: &'a Path,
}

impl LogBackend<'_> {
    /// Reads what follows the scheme.
    pub(crate) fn parse(target: &str) -> std::result::Result<StoreUrl, &'static str> {
        Ok(StoreUrl::Log(PathBuf::from(target)))
    }
}

impl fmt::Display for LogBackend<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.directory.display().fmt(f)
    }
}

impl Backend for LogBackend<'_> {
    fn create(&self) -> Result<Store> {
        super::create(self.directory, LogOptions::default())
    }

    fn open(&self) -> Result<Store> {
        super::open(self.directory, LogOptions::default())
    }

    fn open_read_only(&self) -> Result<Arc<dyn BlockReader>> {
        super::open_read_only(self.directory, LogOptions::default())
    }

    fn open_damaged(&self, report: &mut Report) -> Result<Arc<dyn BlockReader>> {
        super::open_damaged(self.directory, report)
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
