//! Reading a snapshot: what it says of itself, checked against the one hash that is trusted.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::headers::HeaderChunk;
use super::manifest::{HeaderFile, RowFile, SnapshotManifest};
use super::rows::RowChunk;
use super::{MANIFEST, SnapshotError, head_path, headers_path, rows_path};
use crate::format::blockfile::BlockFileReader;
use crate::format::digest::BlockHash;
use crate::format::model::Block;
use crate::format::signature::Verifier;
use crate::format::spec::ChainSpec;
use crate::rules::headers::{check_seal, state_root_due};

/// A snapshot whose head is the trusted block, and whose files are those of its manifest.
#[derive(Debug, Clone)]
pub struct Snapshot {
    folder: PathBuf,
    manifest: SnapshotManifest,
    spec: ChainSpec,
    head: Block,
}

impl Snapshot {
    /// Opens the snapshot in `folder` for whoever trusts the block `head`: reads the manifest, the head and the specification, and hashes all other
    /// files. O(bytes of the files). What is in them is checked by the [import](super::import()).
    ///
    /// # Errors
    /// No manifest, or one that is damaged or of another version or head; a file that is missing or of other bytes; a head that isn't
    /// the trusted block, or names no state root.
    pub fn open(folder: &Path, head: &BlockHash) -> Result<Self, SnapshotError> {
        let manifest =
            SnapshotManifest::read(folder)?.ok_or_else(|| SnapshotError::NotASnapshot {
                path: folder.to_owned(),
                reason: format!("it has no {MANIFEST}"),
            })?;
        if manifest.head != *head {
            return Err(SnapshotError::OtherHead {
                path: folder.to_owned(),
                held: manifest.head,
                asked: *head,
            });
        }
        for file in &manifest.header_files {
            file.file.check(&headers_path(folder, file.first))?;
        }
        for file in &manifest.row_files {
            file.file.check(&rows_path(folder, &file.first))?;
        }
        let path = head_path(folder);
        let contents = manifest.head_file.read(&path)?;
        let (spec, head) = read_head(&path, &contents, &manifest)
            .map_err(|reason| SnapshotError::damaged(&path, reason))?;
        Ok(Self {
            folder: folder.to_owned(),
            manifest,
            spec,
            head,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it consists of.
    #[must_use]
    pub const fn manifest(&self) -> &SnapshotManifest {
        &self.manifest
    }

    /// The specification in force at the head.
    #[must_use]
    pub const fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    /// The head: the block after which the state is.
    #[must_use]
    pub const fn head(&self) -> &Block {
        &self.head
    }

    /// The headers of a file, as the manifest says of it. Whether they are the chain's isn't known yet.
    pub(super) fn headers(&self, file: &HeaderFile) -> Result<HeaderChunk, SnapshotError> {
        let path = self.headers_path(file);
        let damaged = |reason: String| SnapshotError::damaged(&path, reason);
        let contents = Bytes::from(file.file.read(&path)?);
        let chunk = HeaderChunk::decode(&contents).map_err(|error| damaged(error.to_string()))?;
        if chunk.chain != self.manifest.chain {
            return Err(damaged(format!("it is of chain {}", chunk.chain)));
        }
        let blocks = file.last - file.first + 1;
        if chunk.first != file.first || chunk.entries.len() as u64 != blocks {
            return Err(damaged(format!(
                "{} blocks from {} on, the manifest says {blocks} from {} on",
                chunk.entries.len(),
                chunk.first,
                file.first
            )));
        }
        Ok(chunk)
    }

    pub(super) fn headers_path(&self, file: &HeaderFile) -> PathBuf {
        headers_path(&self.folder, file.first)
    }

    /// The contents of a file of rows, for [`Snapshot::rows`].
    pub(super) fn row_bytes(&self, file: &RowFile) -> Result<Vec<u8>, SnapshotError> {
        file.file.read(&self.rows_path(file))
    }

    /// The rows in the contents of a file, which are all that the trusted block's state has in the range that the manifest says.
    pub(super) fn rows<'a>(
        &self,
        file: &RowFile,
        contents: &'a [u8],
    ) -> Result<RowChunk<'a>, SnapshotError> {
        let path = self.rows_path(file);
        let damaged = |reason: String| SnapshotError::damaged(&path, reason);
        let chunk = RowChunk::decode(contents).map_err(|error| damaged(error.to_string()))?;
        let (chain, height) = (self.manifest.chain, self.manifest.height);
        if (chunk.chain, chunk.height) != (chain, height) {
            let (chain, height) = (chunk.chain, chunk.height);
            return Err(damaged(format!(
                "it is of the state after block {height} of chain {chain}"
            )));
        }
        if (chunk.first, chunk.last) != (file.first, file.last) {
            let (first, last) = (chunk.first, chunk.last);
            return Err(damaged(format!("it has the places from {first} to {last}")));
        }
        chunk
            .verify(&self.head.header().state_root)
            .map_err(|error| damaged(error.to_string()))?;
        // Asked last, since the rows prove themselves: then it is the manifest that is wrong.
        if chunk.rows.len() as u64 != file.rows {
            let (found, said) = (chunk.rows.len(), file.rows);
            return Err(damaged(format!("{found} rows, the manifest says {said}")));
        }
        Ok(chunk)
    }

    fn rows_path(&self, file: &RowFile) -> PathBuf {
        rows_path(&self.folder, &file.first)
    }
}

/// The specification and the head, if they are what the hash of the head says. The seal is checked by the specification's keys, since the hash
/// doesn't cover it; where the chain changes these, once the state is known.
fn read_head(
    path: &Path,
    contents: &[u8],
    manifest: &SnapshotManifest,
) -> Result<(ChainSpec, Block), String> {
    let mut file = BlockFileReader::read_from(path, contents, contents.len() as u64)
        .map_err(|error| error.to_string())?;
    let first = file.next_block().map_err(|error| error.to_string())?;
    let (_, bytes) = first.ok_or("it has no block")?;
    let block = Block::decode(&bytes).map_err(|error| error.to_string())?;
    if file
        .next_block()
        .map_err(|error| error.to_string())?
        .is_some()
    {
        return Err("it has more than one block".to_owned());
    }
    let (spec, header) = (file.spec().clone(), block.header());
    if block.hash() != manifest.head {
        return Err(format!("its block is {}, not the head", block.hash()));
    }
    if header.chain != spec.id() {
        return Err(format!(
            "the specification is that of chain {}, the head is of chain {}",
            spec.id(),
            header.chain
        ));
    }
    let said = (manifest.chain, manifest.height, manifest.state_root);
    if said != (header.chain, header.height, header.state_root) {
        return Err("chain, height and state root are not those of the manifest".to_owned());
    }
    if header.chain_weight().is_none() || !state_root_due(&spec, header.height) {
        return Err("the head names no state root".to_owned());
    }
    if block.computed_merkle_root() != header.merkle_root {
        return Err("the head's body is not the one that its header names".to_owned());
    }
    check_seal(&spec, header, block.seal(), &Verifier::default())
        .map_err(|fault| format!("the head's seal: {}", fault.detail))?;
    Ok((spec, block))
}
