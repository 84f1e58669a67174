//! What can go wrong with a store: one enum for every backend.
//!
//! Every variant names the operation or the path it is about, so that its text alone tells an operator
//! where to look. Three groups matter to callers: wrong arguments ([`Error::is_argument`]: the store is
//! unchanged and usable), damage ([`Error::is_corrupt`]: acknowledged bytes can't be given back), and the
//! rest, faults of the place or the machine.

#[cfg(feature = "_files")]
use std::path::Path;
use std::path::PathBuf;
use std::{fmt, io};

/// The result of every operation on a store.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation on a store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system, or the database engine, refused.
    #[error("{}: can't {operation}: {source}", path.display())]
    Io {
        /// What was being done, as a verb.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk is full (or a quota is used up). The writer is poisoned; the store opens again.
    #[error("{}: can't {operation}: the disk is full", path.display())]
    Full {
        /// What was being done, as a verb.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
    },
    /// What is at the path is something else.
    #[error("{} is not a store: it is {found}", path.display())]
    NotAStore {
        /// The file or directory.
        path: PathBuf,
        /// What was found there, to follow "it is".
        found: String,
    },
    /// The store has a format version that this build doesn't know.
    #[error("{} has format version {found}; this build knows version {supported}", path.display())]
    Version {
        /// The file or directory.
        path: PathBuf,
        /// The version found.
        found: u32,
        /// The version this build reads and writes.
        supported: u32,
    },
    /// Another writer has the store open.
    #[error("{} is in use by another writer", path.display())]
    InUse {
        /// The file or directory.
        path: PathBuf,
    },
    /// There is no store at the path.
    #[error("there is no store at {}", path.display())]
    Missing {
        /// The file or directory.
        path: PathBuf,
    },
    /// Something is already at the path where a store was to be created.
    #[error("can't create a store at {}: it exists", path.display())]
    Exists {
        /// The file or directory.
        path: PathBuf,
    },
    /// What is at the path can't be used as it is: a symbolic link that leads nowhere, a file with several names, a log that
    /// can't be moved into its database where nothing can be written. Nothing was changed.
    #[error("{} can't be used: {reason}", path.display())]
    Unusable {
        /// The file or directory.
        path: PathBuf,
        /// What is in the way, and what helps.
        reason: String,
    },
    /// The place can't be written, and the operation needs to.
    #[error("{}: can't {operation}: it is read-only here", path.display())]
    ReadOnly {
        /// What was being done, as a verb.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
    },
    /// What was stored can't be given back as it was.
    #[error("{} is corrupt at {damage_at}: {reason}", path.display())]
    Corrupt {
        /// The file or directory.
        path: PathBuf,
        /// Where in the store.
        damage_at: DamageAt,
        /// What is wrong there.
        reason: String,
    },
    /// The caller asked for something the contract forbids. The store is unchanged.
    #[error("can't {operation}: {reason}")]
    Argument {
        /// The method.
        operation: &'static str,
        /// What is wrong with the arguments.
        reason: String,
    },
    /// An earlier mutation failed; this writer refuses all further ones. Open the store again.
    #[error(
        "{}: can't {operation}: an earlier failure to {earlier} left this writer unusable; open the store again",
        path.display()
    )]
    Poisoned {
        /// The method.
        operation: &'static str,
        /// The method that failed first.
        earlier: &'static str,
        /// The file or directory.
        path: PathBuf,
    },
    /// The URL's scheme is known, but this binary was built without that backend.
    #[error("the backend of {url:?} is not built into this binary (built in: {available})")]
    NotBuilt {
        /// The URL.
        url: String,
        /// The forms that this binary opens.
        available: String,
    },
    /// The URL is not of a known form.
    #[error("{url:?} doesn't name a store ({reason}); known forms: {known}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
        /// Every known form.
        known: &'static str,
    },
}

impl Error {
    /// Whether acknowledged data is damaged.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }

    /// Whether there is no store at the path.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }

    /// Whether the arguments were wrong: the store is unchanged, and its writer stays usable.
    #[must_use]
    pub fn is_argument(&self) -> bool {
        matches!(self, Self::Argument { .. })
    }

    /// Whether an earlier failure made this writer unusable.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        matches!(self, Self::Poisoned { .. })
    }

    pub(crate) fn argument(operation: &'static str, reason: impl Into<String>) -> Self {
        Self::Argument {
            operation,
            reason: reason.into(),
        }
    }

    /// What the system's refusal means.
    #[cfg(feature = "_files")]
    pub(crate) fn system(operation: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::ReadOnly { operation, path }
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { operation, path }
            }
            _ => Self::Io {
                operation,
                path,
                source,
            },
        }
    }

    #[cfg(feature = "_files")]
    pub(crate) fn corrupt(path: &Path, damage_at: DamageAt, reason: impl Into<String>) -> Self {
        Self::Corrupt {
            path: path.to_owned(),
            damage_at,
            reason: reason.into(),
        }
    }
}

/// Where in a store damage was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DamageAt {
    /// The header, body or id of the block at this height.
    Height(u64),
    /// The index from keys to positions.
    Index,
    /// The named values.
    NamedValues,
    /// The tables beside the blocks.
    Tables,
    /// The record of floor and end.
    Extent,
    /// A byte of the file.
    Offset(u64),
    /// The file's own structure, below blocks and rows.
    Structure,
}

impl fmt::Display for DamageAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Height(height) => write!(f, "height {height}"),
            Self::Index => f.write_str("the index"),
            Self::NamedValues => f.write_str("the named values"),
            Self::Tables => f.write_str("the tables"),
            Self::Extent => f.write_str("the extent"),
            Self::Offset(offset) => write!(f, "byte {offset}"),
            Self::Structure => f.write_str("the file's structure"),
        }
    }
}
