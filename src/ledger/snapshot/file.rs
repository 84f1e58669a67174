//! One file of a snapshot: its contents as one zstd frame, written whole or not at all, and read only as what the manifest says of it.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use hubledger_storage::opening::{create_regular, open_regular, sync_name};
use serde::{Deserialize, Serialize};
use zstd::stream::read::Decoder;
use zstd::stream::write::Encoder;

use super::{SnapshotError, partial};
use crate::format::digest::{Digest, sha256};

/// zstd's own default: most of the gain for little time.
const LEVEL: i32 = 3;
/// No more than zstd's levels below 20 ask for: what a decompressor may take up, as a power of two.
const WINDOW_LOG_MAX: u32 = 23;

/// What a manifest says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotFile {
    /// Bytes of its contents.
    pub content_bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// SHA-256 of the file.
    pub sha256: Digest,
}

impl SnapshotFile {
    /// Whether contents and file are within what is read into memory. What doesn't shrink grows a little.
    pub(super) const fn is_within(&self, content_bytes_max: u64) -> bool {
        self.content_bytes <= content_bytes_max
            && self.file_bytes <= content_bytes_max + content_bytes_max / 128 + 1024
    }

    /// Writes a file: under another name first, then on the disk, then renamed.
    pub(super) fn write(path: &Path, contents: &[u8]) -> Result<Self, SnapshotError> {
        let new = partial(path);
        let io = SnapshotError::io(&new);
        let compressed = compress(contents).map_err(&io)?;
        let mut file = create_regular(&new).map_err(&io)?;
        // Synced before it is renamed: else a loss of power could leave the final name with missing bytes.
        file.write_all(&compressed)
            .and_then(|()| file.sync_all())
            .map_err(&io)?;
        fs::rename(&new, path)
            .and_then(|()| sync_name(path))
            .map_err(SnapshotError::io(path))?;
        Ok(Self {
            content_bytes: contents.len() as u64,
            file_bytes: compressed.len() as u64,
            sha256: Digest(sha256(&[&compressed])),
        })
    }

    /// That the file has this length and hash. O(bytes of the file).
    pub(super) fn check(&self, path: &Path) -> Result<(), SnapshotError> {
        self.compressed(path).map(|_| ())
    }

    /// The contents of the file, once length and hash are as they should be.
    pub(super) fn read(&self, path: &Path) -> Result<Vec<u8>, SnapshotError> {
        let compressed = self.compressed(path)?;
        let damaged = |reason: String| SnapshotError::damaged(path, reason);
        let broken = |error| damaged(format!("it can't be decompressed: {error}"));
        let mut decoder = Decoder::with_buffer(&compressed[..])
            .map_err(broken)?
            .single_frame();
        // A frame names its own window, for which zstd would make room up to 128 MiB (`ZSTD_WINDOWLOG_LIMIT_DEFAULT`).
        decoder.window_log_max(WINDOW_LOG_MAX).map_err(broken)?;
        let mut contents = Vec::new();
        // One byte more than there should be, so that contents that go on are noticed.
        let most = self.content_bytes.saturating_add(1);
        decoder
            .by_ref()
            .take(most)
            .read_to_end(&mut contents)
            .map_err(broken)?;
        if contents.len() as u64 != self.content_bytes {
            return Err(damaged(format!(
                "its contents don't have {} bytes, as the manifest says",
                self.content_bytes
            )));
        }
        if !decoder.finish().is_empty() {
            return Err(damaged("there is more behind its frame".to_owned()));
        }
        Ok(contents)
    }

    /// The bytes of the file, if they are those of the manifest.
    fn compressed(&self, path: &Path) -> Result<Vec<u8>, SnapshotError> {
        let io = SnapshotError::io(path);
        let damaged = |reason: String| Err(SnapshotError::damaged(path, reason));
        let file = match open_regular(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return damaged("it is missing".to_owned());
            }
            Err(error) => return Err(io(error)),
        };
        let mut bytes = Vec::new();
        file.take(self.file_bytes.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(io)?;
        if bytes.len() as u64 != self.file_bytes {
            return damaged(format!(
                "it doesn't have {} bytes, as the manifest says",
                self.file_bytes
            ));
        }
        let found = Digest(sha256(&[&bytes]));
        if found != self.sha256 {
            return damaged(format!(
                "its SHA-256 is {found}, the manifest says {}",
                self.sha256
            ));
        }
        Ok(bytes)
    }
}

fn compress(contents: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = Encoder::new(Vec::new(), LEVEL)?;
    encoder.include_checksum(true)?;
    encoder.write_all(contents)?;
    encoder.finish()
}
