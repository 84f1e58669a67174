//! What a path leads to, and what a file or directory is, whatever its names.
//!
//! A name says little: through symbolic links, hard links and mounts, one file has several. A lock on a name lets a second
//! writer in through the next one. So stores that are open are told apart by what they are.

use std::fs::Metadata;
use std::io;
use std::path::Path;

use crate::{Error, Result};

/// What a file or directory is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    #[cfg(unix)]
    device_and_inode: (u64, u64),
    #[cfg(not(unix))]
    path: std::path::PathBuf,
}

impl Identity {
    /// That of what a canonical path leads to.
    #[cfg(feature = "_directory")]
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let found = path.metadata();
        let found = found.map_err(|source| Error::system("open", path, source))?;
        Ok(Self::from(path, &found))
    }

    #[cfg(unix)]
    pub(crate) fn from(_: &Path, found: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            device_and_inode: (found.dev(), found.ino()),
        }
    }

    /// Elsewhere a canonical path has to do.
    #[cfg(not(unix))]
    pub(crate) fn from(path: &Path, _: &Metadata) -> Self {
        Self {
            path: path.to_owned(),
        }
    }
}

/// What is at a path, through symbolic links; `None` if nothing is.
///
/// A link that leads nowhere is refused. It is not nothing: its target may be on a disk that isn't mounted now, and a new
/// store in place of the link would hide that one.
pub(crate) fn look(operation: &'static str, path: &Path) -> Result<Option<Metadata>> {
    let error = match path.metadata() {
        Ok(found) => return Ok(Some(found)),
        Err(error) => error,
    };
    if let Ok(target) = path.read_link() {
        let target = target.display();
        return Err(Error::Unusable {
            path: path.to_owned(),
            reason: format!("it is a symbolic link to {target}, which can't be reached ({error})"),
        });
    }
    match error.kind() {
        // Anything else, such as a directory that may not be entered, hides what is there: that is not nothing.
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(None),
        _ => Err(Error::system(operation, path, error)),
    }
}

/// Whether a path is a symbolic link that leads nowhere.
pub(crate) fn leads_nowhere(path: &Path) -> bool {
    path.is_symlink() && path.metadata().is_err()
}

/// How many names a file has.
#[cfg(all(unix, any(feature = "_directory", feature = "sqlite")))]
pub(crate) fn count_names(found: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(found)
}

#[cfg(all(not(unix), any(feature = "_directory", feature = "sqlite")))]
pub(crate) fn count_names(_: &Metadata) -> u64 {
    1
}
