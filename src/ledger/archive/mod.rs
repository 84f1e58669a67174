//! Archives: full blocks in compressed, checksummed files of bounded size with a manifest, so that bodies may be pruned
//! from a store and the chain can still be restored and verified from the archive's bytes alone (`FORMAT.md`,
//! "Archive").
//!
//! Invariants:
//! - an archive is of one chain, begins at genesis and has no gaps;
//! - a file is durable, under its final name, before the manifest names it; the manifest is replaced as a whole. So a
//!   crash leaves the archive as it was, plus at most one file that nothing names and that the next attempt replaces;
//! - nothing in an archive is trusted: sizes are limits, a file is hashed before it is decompressed, and the blocks are
//!   compared with what the manifest says of them. Whether they are *valid* is for the validator to say.

mod error;
mod manifest;
mod reader;
mod writer;

use std::path::{Path, PathBuf};

pub use self::error::ArchiveError;
pub use self::manifest::{ArchivedFile, Manifest};
pub use self::reader::{Archive, ArchivedBlocks};
pub use self::writer::ArchiveWriter;

const MANIFEST: &str = "manifest.json";
const PREFIX: &str = "blocks-";
const SUFFIX: &str = ".hlb.zst";
const PARTIAL: &str = ".partial";

/// The file whose first block is at `first`.
fn file_path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{PREFIX}{first:012}{SUFFIX}"))
}

/// Where a file is before it is whole.
fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(PARTIAL);
    name.into()
}
