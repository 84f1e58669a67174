//! Names of files that survive loss of power: a file system forgets them unless their directory is synced too.

use std::io;
use std::path::Path;

use crate::opening::open_directory;

/// Makes the names in a directory survive.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    open_directory(directory)?.sync_all()
}

/// Renames a file, which should be on the disk itself, so that the new name survives.
#[cfg(feature = "sqlite")]
pub(crate) fn rename_durably(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    match to.parent() {
        // Elsewhere a directory can't be synced.
        Some(directory) if cfg!(unix) => sync_directory(directory),
        _ => Ok(()),
    }
}
