//! The manifest: which files an archive consists of and what is in them, as JSON with exactly one form.

use std::io::Read;
use std::path::Path;

use hubledger_storage::opening::open_regular;
use serde::{Deserialize, Serialize};

use super::{ArchiveError, MANIFEST};
use crate::format::digest::{BlockHash, ChainId, Digest, sha256};

const FORMAT: &str = "hubledger archive";
const VERSION: u64 = 1;

/// The longest manifest that is read, in bytes: more than 200,000 files.
const MANIFEST_BYTES_MAX: u64 = 128 << 20;

/// The most bytes that a file may decompress to. A file is finished once it has passed a fraction of this, and no
/// block is larger than the rest.
pub(super) const CONTENT_BYTES_MAX: u64 = 512 << 20;

/// One file of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchivedFile {
    /// Height of its first block.
    pub first: u64,
    /// Height of its last block.
    pub last: u64,
    /// Hash of its first block.
    pub first_hash: BlockHash,
    /// Hash of its last block.
    pub last_hash: BlockHash,
    /// RFC 9162 root over the hashes of its blocks.
    pub merkle_root: Digest,
    /// The history root in its last block's header.
    pub history_root: Digest,
    /// Bytes of its contents.
    pub content_bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// SHA-256 of the file.
    pub sha256: Digest,
}

/// What an archive consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: String,
    version: u64,
    /// The chain.
    pub chain: ChainId,
    /// The files, ascending, without gaps from genesis on.
    pub files: Vec<ArchivedFile>,
    checksum: Digest,
}

/// What is read before anything else.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u64,
}

impl Manifest {
    /// The manifest of an archive without files.
    pub(super) fn new(chain: ChainId) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            chain,
            files: Vec::new(),
            checksum: Digest::ZERO,
        }
    }

    /// The height after the last block; 0 without files.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.files.last().map_or(0, |file| file.last + 1)
    }

    /// The one form: JSON whose checksum is SHA-256 over the form with a checksum of zeros.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut manifest = Self {
            checksum: Digest::ZERO,
            ..self.clone()
        };
        manifest.checksum = Digest(sha256(&[&manifest.json()]));
        manifest.json()
    }

    fn json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("numbers and texts have a JSON form");
        json.push(b'\n');
        json
    }

    /// Reads the manifest in `folder`; `None` if there is none.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, ArchiveError> {
        let path = folder.join(MANIFEST);
        let io = ArchiveError::io(&path);
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
    /// [`ArchiveError::NotAnArchive`], [`ArchiveError::Version`], or [`ArchiveError::Damaged`] for anything else but
    /// what this program writes.
    pub fn decode(path: &Path, bytes: &[u8]) -> Result<Self, ArchiveError> {
        let damaged = |reason: String| ArchiveError::damaged(path, reason);
        if bytes.len() as u64 > MANIFEST_BYTES_MAX {
            return Err(damaged(format!("longer than {MANIFEST_BYTES_MAX} bytes")));
        }
        // Format and version first: another version may have fields that this one would call damage.
        let head: Head =
            serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        if head.format != FORMAT {
            return Err(ArchiveError::NotAnArchive {
                path: path.to_owned(),
                reason: format!("its format is {:?}", head.format),
            });
        }
        if head.version != VERSION {
            return Err(ArchiveError::Version {
                path: path.to_owned(),
                found: head.version,
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

    fn check_files(&self) -> Result<(), String> {
        let mut next = 0;
        for file in &self.files {
            // The last height is excluded so that the one after it can be named.
            if file.first != next || file.last < file.first || file.last == u64::MAX {
                return Err(format!(
                    "blocks {} to {} can't follow block {next}",
                    file.first, file.last
                ));
            }
            // A manifest may be anybody's: this bounds what a small file can be made to decompress to.
            if file.content_bytes > CONTENT_BYTES_MAX {
                return Err(format!(
                    "contents of {} bytes are over the limit of {CONTENT_BYTES_MAX}",
                    file.content_bytes
                ));
            }
            next = file.last + 1;
        }
        Ok(())
    }
}
