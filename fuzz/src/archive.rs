//! An archive of the small chain, in one file.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use hubledger::ledger::archive::{ArchiveWriter, ArchivedFile, Manifest};

use crate::Chain;

/// What the manifest of the genuine archive says of its file.
pub static ARCHIVED: LazyLock<ArchivedFile> = LazyLock::new(|| {
    let bytes = GenuineArchive::of(Chain::get()).manifest;
    let manifest = Manifest::decode(Path::new("manifest.json"), &bytes);
    let manifest = manifest.expect("it was written a moment ago");
    manifest.files[0].clone()
});

/// The bytes of an archive.
#[derive(Debug)]
pub struct GenuineArchive {
    /// The manifest.
    pub manifest: Vec<u8>,
    /// The one file.
    pub file: Vec<u8>,
}

impl GenuineArchive {
    /// Archives all blocks of the chain.
    ///
    /// # Panics
    /// If the temporary directory can't be written.
    #[must_use]
    pub fn of(chain: &Chain) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let mut writer =
            ArchiveWriter::open(folder.path(), &chain.spec).expect("an empty directory");
        for block in &chain.blocks {
            writer.push(block).expect("there is room");
        }
        writer.flush().expect("there is room");
        let read = |name: &str| fs::read(folder.path().join(name)).expect("it was just written");
        Self {
            manifest: read("manifest.json"),
            file: read("blocks-000000000000.hlb.zst"),
        }
    }

    /// The manifest with zeros instead of its checksum.
    #[must_use]
    pub fn unsummed(&self) -> Vec<u8> {
        let mut text = self.manifest.clone();
        let end = text.len() - b"\"\n}\n".len();
        text[end - 64..end].fill(b'0');
        text
    }

    /// What the file decompresses to.
    ///
    /// # Panics
    /// Never: it was compressed a moment ago.
    #[must_use]
    pub fn contents(&self) -> Vec<u8> {
        zstd::decode_all(&self.file[..]).expect("it was just compressed")
    }
}
