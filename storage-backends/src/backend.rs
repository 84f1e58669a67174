//! What a backend does for a [`StoreUrl`](crate::StoreUrl). The table of backends is in `url`.

use std::fmt;
use std::sync::Arc;

use crate::check::Report;
use crate::{BlockReader, Repaired, Result, Store};

/// A backend, and the store that a URL names: what follows the scheme is how it is displayed. `StoreUrl` says what each method has
/// to do.
pub(crate) trait Backend: fmt::Display {
    fn create(&self) -> Result<Store>;

    fn open(&self) -> Result<Store>;

    fn open_read_only(&self) -> Result<Arc<dyn BlockReader>>;

    fn open_damaged(&self, report: &mut Report) -> Result<Arc<dyn BlockReader>>;

    fn check(&self, report: &mut Report) -> Result<()>;

    fn repair(&self, done: &mut dyn FnMut(Repaired)) -> Result<()>;

    fn exists(&self) -> bool;
}
