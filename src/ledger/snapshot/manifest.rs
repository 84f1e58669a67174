//! The manifest: which files a snapshot consists of and what is in them, as JSON with exactly one form.

use std::io::Read;
use std::path::Path;

use hubledger_storage::opening::open_regular;
use serde::{Deserialize, Serialize};

use super::{CONTENT_BYTES_MAX, MANIFEST, SnapshotError, SnapshotFile, next_place};
use crate::format::digest::{BlockHash, ChainId, Digest, sha256};
use crate::format::model::{BODY_BYTES_MAX, Block};
use crate::format::sparse::ENDS;
use crate::format::spec::SPEC_BYTES_MAX;

const FORMAT: &str = "hubledger snapshot";
const VERSION: u64 = 1;

/// The longest manifest that is read, in bytes: more than 200,000 files.
const MANIFEST_BYTES_MAX: u64 = 128 << 20;
/// The most bytes that the file of the last block decompresses to.
const HEAD_BYTES_MAX: u64 = (64 + Block::encoded_bytes_max(BODY_BYTES_MAX) + SPEC_BYTES_MAX) as u64;

/// A file of headers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderFile {
    /// Height of its first block.
    pub first: u64,
    /// Height of its last block.
    pub last: u64,
    /// The file itself.
    pub file: SnapshotFile,
}

/// A file of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowFile {
    /// The lowest place of its range.
    pub first: Digest,
    /// The highest place of its range.
    pub last: Digest,
    /// Number of rows.
    pub rows: u64,
    /// The file itself.
    pub file: SnapshotFile,
}

/// What a snapshot consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotManifest {
    pub(super) format: String,
    pub(super) version: u64,
    /// The chain id in the head's header.
    pub chain: ChainId,
    /// Height of the head, the block after which the state is.
    pub height: u64,
    /// Its hash.
    pub head: BlockHash,
    /// The root over the rows.
    pub state_root: Digest,
    /// Number of rows.
    pub rows: u64,
    /// Number of blocks, genesis and head included.
    pub blocks: u64,
    /// The file with the specification and the head.
    pub head_file: SnapshotFile,
    /// The files of headers: all heights below the head, ascending, without gaps.
    pub header_files: Vec<HeaderFile>,
    /// The files of rows: all places, ascending, without gaps.
    pub row_files: Vec<RowFile>,
    pub(super) checksum: Digest,
}

/// What is read before anything else.
#[derive(Deserialize)]
struct Start {
    format: String,
    version: u64,
}

impl SnapshotManifest {
    /// A manifest without files of headers and rows.
    pub(super) fn new(
        chain: ChainId,
        (height, head): (u64, BlockHash),
        state_root: Digest,
        head_file: SnapshotFile,
    ) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            chain,
            height,
            head,
            state_root,
            rows: 0,
            blocks: height.saturating_add(1),
            head_file,
            header_files: Vec::new(),
            row_files: Vec::new(),
            checksum: Digest::ZERO,
        }
    }

    /// The height after the last block that is in a file of headers.
    pub(super) fn headers_end(&self) -> u64 {
        self.header_files.last().map_or(0, |file| file.last + 1)
    }

    /// The place behind the last file of rows; `None` behind all.
    pub(super) fn rows_end(&self) -> Option<Digest> {
        match self.row_files.last() {
            Some(file) => next_place(&file.last),
            None => Some(ENDS.0),
        }
    }

    /// The one form: JSON whose checksum is SHA-256 over the form with a checksum of zeros.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.clone().with_checksum().json()
    }

    /// The same with the checksum of what it says.
    pub(super) fn with_checksum(mut self) -> Self {
        self.checksum = Digest::ZERO;
        self.checksum = Digest(sha256(&[&self.json()]));
        self
    }

    fn json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("numbers and texts have a JSON form");
        json.push(b'\n');
        json
    }

    /// Reads the manifest in `folder`; `None` if there is none.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, SnapshotError> {
        let path = folder.join(MANIFEST);
        let io = SnapshotError::io(&path);
        let file = match open_regular(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        };
        let mut bytes = Vec::new();
        file.take(MANIFEST_BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(io)?;
        Self::decode(&path, &bytes).map(Some)
    }

    /// Reads the one form. `path` is for errors.
    ///
    /// # Errors
    /// [`SnapshotError::NotASnapshot`], [`SnapshotError::Version`], or [`SnapshotError::Damaged`] for anything else but what this
    /// program writes.
    pub fn decode(path: &Path, bytes: &[u8]) -> Result<Self, SnapshotError> {
        let damaged = |reason: String| SnapshotError::damaged(path, reason);
        if bytes.len() as u64 > MANIFEST_BYTES_MAX {
            return Err(damaged(format!("longer than {MANIFEST_BYTES_MAX} bytes")));
        }
        // Format and version first: another version may have fields that this one would call damage.
        let start: Start =
            serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        if start.format != FORMAT {
            return Err(SnapshotError::NotASnapshot {
                path: path.to_owned(),
                reason: format!("its format is {:?}", start.format),
            });
        }
        if start.version != VERSION {
            return Err(SnapshotError::Version {
                path: path.to_owned(),
                found: start.version,
                supported: VERSION,
            });
        }
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        // One form only: compared as bytes, so that no spelling escapes the checksum.
        let whole = manifest.encode();
        if whole != bytes {
            let offset = whole.iter().zip(bytes).take_while(|(a, b)| a == b).count();
            return Err(damaged(format!(
                "byte {offset}: not what was written, or the checksum doesn't match"
            )));
        }
        manifest.check_files().map_err(damaged)?;
        Ok(manifest)
    }

    /// That all heights and places are covered once, within the sizes that are read.
    fn check_files(&self) -> Result<(), String> {
        let too_large = |what: &dyn std::fmt::Display| format!("{what} is over the size limit");
        if self.blocks.checked_sub(1) != Some(self.height) || self.height == 0 {
            return Err(format!(
                "{} blocks up to height {}",
                self.blocks, self.height
            ));
        }
        if !self.head_file.is_within(HEAD_BYTES_MAX) {
            return Err(too_large(&"the head's file"));
        }
        let mut next = 0;
        for file in &self.header_files {
            let HeaderFile { first, last, .. } = file;
            if *first != next || last < first || *last >= self.height {
                return Err(format!(
                    "headers {first} to {last} can't follow block {next}"
                ));
            }
            if !file.file.is_within(CONTENT_BYTES_MAX) {
                return Err(too_large(&format_args!("the file of headers {first}")));
            }
            next = last + 1;
        }
        if next != self.height {
            return Err(format!("headers from {next} to the head are missing"));
        }
        self.check_row_files()
    }

    fn check_row_files(&self) -> Result<(), String> {
        let (mut next, mut rows) = (Some(ENDS.0), Some(0_u64));
        for file in &self.row_files {
            let RowFile { first, last, .. } = file;
            if next != Some(*first) || last < first {
                return Err(format!("rows {first} to {last} don't follow those before"));
            }
            if !file.file.is_within(CONTENT_BYTES_MAX) {
                return Err(format!("the file of rows {first} is over the size limit"));
            }
            next = next_place(last);
            rows = rows.and_then(|rows| rows.checked_add(file.rows));
        }
        match next {
            None if rows == Some(self.rows) => Ok(()),
            None => Err(format!("there are not {} rows in the files", self.rows)),
            Some(next) => Err(format!("rows from {next} on are missing")),
        }
    }
}
