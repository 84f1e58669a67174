//! Snapshots: the state after one block as files, with the ids and headers of all blocks up to it, so that a hub starts from them without
//! the blocks that led there, and goes on (`FORMAT.md`, "Snapshot").
//!
//! Invariants:
//! - whoever imports trusts the hash of one block and nothing else. That block's header names the chain, and so the specification, the
//!   root over the ids of all blocks before, and the root over the rows of the state after it; seals are checked by the keys that specification and state tell;
//! - row files adjoin without a gap, and each has the proof that its rows are all rows of its range; so a row that is missing, too many or
//!   different shows in its own file;
//! - sizes in the manifest are limits, and a file is hashed before it is decompressed;
//! - until an import is complete the target says so, and no [`ChainReader`](super::ChainReader) opens it.

mod error;
mod export;
mod file;
mod folder;
mod headers;
mod ids;
mod import;
mod manifest;
mod rows;
mod seals;
mod source;

use std::path::{Path, PathBuf};

pub use self::error::SnapshotError;
pub use self::export::{ExportReport, SnapshotExport, export};
pub use self::file::SnapshotFile;
pub use self::headers::{HeaderChunk, HeaderEntry};
pub use self::import::{ImportReport, import};
pub use self::manifest::{HeaderFile, RowFile, SnapshotManifest};
pub use self::rows::{Row, RowChunk};
pub use self::source::Snapshot;
use crate::format::digest::Digest;

const MANIFEST: &str = "manifest.json";
const PARTIAL: &str = ".partial";
const SUFFIX: &str = ".zst";
const HEAD: &str = "head.hlb.zst";
const HEADERS: &str = "headers-";
const ROWS: &str = "rows-";

/// A file of headers or rows is full once its contents reach this …
const FILE_BYTES: usize = 4 << 20;
/// … and never more than this, so that memory stays bounded whoever wrote the file.
const CONTENT_BYTES_MAX: u64 = 16 << 20;

/// The file with the specification and the last block.
fn head_path(folder: &Path) -> PathBuf {
    folder.join(HEAD)
}

/// The file of headers that begins at this height.
fn headers_path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{HEADERS}{first:012}{SUFFIX}"))
}

/// The file of rows that begins at this place.
fn rows_path(folder: &Path, first: &Digest) -> PathBuf {
    folder.join(format!("{ROWS}{first}{SUFFIX}"))
}

/// Where a file is before it is whole.
fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(PARTIAL);
    name.into()
}

/// The place behind `place`; `None` behind the highest.
fn next_place(place: &Digest) -> Option<Digest> {
    let mut next = *place;
    for byte in next.0.iter_mut().rev() {
        let (sum, is_over) = byte.overflowing_add(1);
        *byte = sum;
        if !is_over {
            return Some(next);
        }
    }
    None
}
