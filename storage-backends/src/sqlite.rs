//! The backend `sqlite:FILE`: its name is reserved, its implementation comes next.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::{BlockReader, Error, Result, Store};

fn unsupported<T>(path: &Path) -> Result<T> {
    let source = io::ErrorKind::Unsupported.into();
    Err(Error::Io {
        operation: "open",
        path: path.to_owned(),
        source,
    })
}

pub(crate) fn create(path: &Path) -> Result<Store> {
    unsupported(path)
}

pub(crate) fn open(path: &Path) -> Result<Store> {
    unsupported(path)
}

pub(crate) fn open_read_only(path: &Path) -> Result<Arc<dyn BlockReader>> {
    unsupported(path)
}

pub(crate) fn exists(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|found| !found.is_file() || found.len() > 0)
}
