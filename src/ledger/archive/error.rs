//! Why an archive can't be read or written. Every message names the file.

use std::io;
use std::path::{Path, PathBuf};

use crate::format::blockfile::BlockFileError;
use crate::format::digest::ChainId;

/// Why an archive can't be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The directory holds something else.
    #[error("{}: not an archive: {reason}", path.display())]
    NotAnArchive {
        /// The file or directory.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// An archive of another format version.
    #[error("{}: archive version {found}, this build knows version {supported}", path.display())]
    Version {
        /// The manifest.
        path: PathBuf,
        /// The version found.
        found: u64,
        /// The version of this build.
        supported: u64,
    },
    /// Another process is writing to the archive.
    #[error("{}: in use by another writer", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The archive is of another chain.
    #[error("{}: an archive of chain {held}, not of {asked}", path.display())]
    OtherChain {
        /// The directory.
        path: PathBuf,
        /// The archive's chain.
        held: ChainId,
        /// The chain asked for.
        asked: ChainId,
    },
    /// A file is not what it has to be.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where and what.
        reason: String,
    },
    /// The archive ends before the blocks that come next can be had.
    #[error(
        "{}: the archive ends before block {end}, and bodies are held only from block {floor} on",
        path.display()
    )]
    Gap {
        /// The directory.
        path: PathBuf,
        /// The height after the archive's last block.
        end: u64,
        /// The lowest height whose body could follow.
        floor: u64,
    },
    /// The archive has another block at a height, or reaches beyond the chain.
    #[error("{}: block {height} of the archive is not in this chain", path.display())]
    Forked {
        /// The directory.
        path: PathBuf,
        /// The height of the archive's block.
        height: u64,
    },
}

impl ArchiveError {
    /// Whether the archive's bytes are damaged.
    #[must_use]
    pub const fn is_corrupt(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }

    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    /// What is wrong with the block file within `path`; its decompression fails as reading does.
    pub(super) fn contents(path: &Path, error: BlockFileError) -> Self {
        let reason = match error {
            BlockFileError::Io { source, .. } => format!("it can't be decompressed: {source}"),
            BlockFileError::NotABlockFile { reason, .. } => {
                format!("its contents are not a block file: {reason}")
            }
            BlockFileError::Version { found, .. } => {
                format!("its contents have block file version {found}")
            }
            BlockFileError::Frame { offset, reason, .. } => {
                format!("byte {offset} of its contents: {reason}")
            }
        };
        Self::damaged(path, reason)
    }
}
