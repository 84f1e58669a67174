//! Why a snapshot can't be written, read or imported. Every message names the file.

use std::io;
use std::path::{Path, PathBuf};

use crate::format::digest::BlockHash;
use crate::ledger::LedgerError;
use crate::state::StateFailure;

/// Why a snapshot can't be written, read or imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The directory holds something else.
    #[error("{}: not a snapshot: {reason}", path.display())]
    NotASnapshot {
        /// The file or directory.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// A snapshot of another format version.
    #[error("{}: snapshot version {found}, this build knows version {supported}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: u64,
        /// The version of this build.
        supported: u64,
    },
    /// Another process is writing there.
    #[error("{}: in use by another writer", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The snapshot is of another block than the trusted one, or than the one to be exported.
    #[error("{}: a snapshot of head {held}, not of {asked}", path.display())]
    OtherHead {
        /// The directory.
        path: PathBuf,
        /// The snapshot's head.
        held: BlockHash,
        /// The head asked for.
        asked: BlockHash,
    },
    /// A file is not what it has to be.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where and what.
        reason: String,
    },
    /// The block whose state is to be exported could still be replaced.
    #[error("block {height} is not final: the chain is final up to block {final_height}")]
    NotFinal {
        /// The block's height.
        height: u64,
        /// The height up to which the chain is final.
        final_height: u64,
    },
    /// The target has an unfinished import of another snapshot.
    #[error(
        "the target store has an unfinished import of another snapshot; finish that one, or begin anew in another place"
    )]
    OtherImport,
    /// The chain or its store failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl SnapshotError {
    /// Whether bytes are damaged: those of the snapshot, or of the store.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        match self {
            Self::Damaged { .. } => true,
            Self::Ledger(error) => error.is_corrupt(),
            _ => false,
        }
    }

    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn damaged(path: &Path, reason: impl ToString) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}

impl From<hubledger_storage::Error> for SnapshotError {
    fn from(error: hubledger_storage::Error) -> Self {
        LedgerError::from(error).into()
    }
}

impl From<StateFailure> for SnapshotError {
    fn from(failure: StateFailure) -> Self {
        LedgerError::from(failure).into()
    }
}
