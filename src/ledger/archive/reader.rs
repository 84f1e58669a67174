//! Reading an archive: a file is hashed first, then decompressed as a stream within the sizes that the manifest gives,
//! and its blocks are compared with what the manifest says of them.

use std::fs::File;
use std::io::{self, BufRead, Read, Seek, Take};
use std::path::{Path, PathBuf};

use hubledger_storage::opening::open_regular;
use sha2::{Digest as _, Sha256};
use zstd::stream::read::Decoder;

use super::{ArchiveError, ArchivedFile, MANIFEST, Manifest, file_path};
use crate::format::blockfile::BlockFileReader;
use crate::format::digest::{BlockHash, Digest};
use crate::format::merkle::Frontier;
use crate::format::merkle::history_leaf;
use crate::format::model::Block;
use crate::format::spec::ChainSpec;

/// No more than zstd's levels below 20 ask for: what a decompressor may take up, as a power of two.
const WINDOW_LOG_MAX: u32 = 23;

/// An archive to read.
#[derive(Debug, Clone)]
pub struct Archive {
    folder: PathBuf,
    manifest: Manifest,
}

impl Archive {
    /// Opens the archive in `folder`. Reads the manifest alone.
    ///
    /// # Errors
    /// No manifest, or one that is damaged or of another version.
    pub fn open(folder: &Path) -> Result<Self, ArchiveError> {
        let manifest = Manifest::read(folder)?.ok_or_else(|| ArchiveError::NotAnArchive {
            path: folder.to_owned(),
            reason: format!("it has no {MANIFEST}"),
        })?;
        Ok(Self {
            folder: folder.to_owned(),
            manifest,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it consists of.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The chain's specification, from the first file. Its id is the manifest's.
    ///
    /// # Errors
    /// An archive without files, or a first file that is damaged or missing.
    pub fn spec(&self) -> Result<ChainSpec, ArchiveError> {
        let first = self
            .manifest
            .files
            .first()
            .ok_or_else(|| ArchiveError::NotAnArchive {
                path: self.folder.clone(),
                reason: "it has no files yet".to_owned(),
            })?;
        Ok(self.blocks(first)?.blocks.spec().clone())
    }

    /// Compares size and SHA-256 of a file with the manifest. O(bytes of the file).
    ///
    /// # Errors
    /// A missing file, or any other bytes.
    pub fn check(&self, file: &ArchivedFile) -> Result<(), ArchiveError> {
        check_file(&self.folder, file)
    }

    /// Checks a file and begins to read its blocks.
    ///
    /// # Errors
    /// As [`Self::check`]; contents that are not a block file of this chain.
    pub fn blocks(&self, file: &ArchivedFile) -> Result<ArchivedBlocks, ArchiveError> {
        self.check(file)?;
        let blocks = ArchivedBlocks::open(&file_path(&self.folder, file.first), file)?;
        if blocks.blocks.spec().id() != self.manifest.chain {
            let reason = "its contents are of another chain than the manifest's";
            return Err(ArchiveError::damaged(&blocks.path, reason));
        }
        Ok(blocks)
    }
}

/// Compares size and SHA-256 of a file with the manifest.
pub(super) fn check_file(folder: &Path, file: &ArchivedFile) -> Result<(), ArchiveError> {
    let path = file_path(folder, file.first);
    let io = ArchiveError::io(&path);
    let damaged = |reason: String| Err(ArchiveError::damaged(&path, reason));
    let mut input = match open_regular(&path) {
        Ok(input) => input,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return damaged("it is missing".to_owned());
        }
        Err(error) => return Err(io(error)),
    };
    let length = input.metadata().map_err(&io)?.len();
    if length != file.file_bytes {
        return damaged(format!(
            "{length} bytes, the manifest says {}",
            file.file_bytes
        ));
    }
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => hash.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(io(error)),
        }
    }
    let found = Digest(hash.finalize().into());
    if found != file.sha256 {
        return damaged(format!(
            "its SHA-256 is {found}, the manifest says {}",
            file.sha256
        ));
    }
    Ok(())
}

/// The blocks of one file, in ascending order.
pub struct ArchivedBlocks {
    path: PathBuf,
    file: ArchivedFile,
    blocks: BlockFileReader<Take<Decoder<'static, io::BufReader<File>>>>,
    next: u64,
    last_hash: Option<BlockHash>,
    history_root: Digest,
    hashes: Frontier,
}

impl ArchivedBlocks {
    /// Begins to read a file whose bytes nobody has compared with `file` yet; what it holds still is.
    ///
    /// # Errors
    /// Contents that are not a block file, or longer or shorter than `file` says.
    pub fn open(path: &Path, file: &ArchivedFile) -> Result<Self, ArchiveError> {
        let io = ArchiveError::io(path);
        let mut decoder = Decoder::new(open_regular(path).map_err(&io)?).map_err(&io)?;
        decoder.window_log_max(WINDOW_LOG_MAX).map_err(&io)?;
        // One byte more than there should be, so that contents that go on are noticed.
        let contents = decoder
            .single_frame()
            .take(file.content_bytes.saturating_add(1));
        let blocks = BlockFileReader::read_from(path, contents, file.content_bytes)
            .map_err(|error| ArchiveError::contents(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            file: file.clone(),
            blocks,
            next: file.first,
            last_hash: None,
            history_root: Digest::ZERO,
            hashes: Frontier::new(),
        })
    }

    /// The next block, or `None` after the last, when everything was as the manifest says. Memory: the block.
    ///
    /// # Errors
    /// Anything else than the manifest says: a block that doesn't decode or link, missing or further blocks, other
    /// hashes, roots or sizes.
    pub fn next_block(&mut self) -> Result<Option<Block>, ArchiveError> {
        let next = self.blocks.next_block();
        let next = next.map_err(|error| ArchiveError::contents(&self.path, error))?;
        let Some((offset, bytes)) = next else {
            self.finish()?;
            self.check_end()?;
            return Ok(None);
        };
        let damaged = |reason: String| {
            let reason = format!("byte {offset} of its contents: {reason}");
            ArchiveError::damaged(&self.path, reason)
        };
        let block = Block::decode(&bytes).map_err(|error| damaged(error.to_string()))?;
        let (height, next, last) = (block.height(), self.next, self.file.last);
        if next > last {
            let reason = format!("block {height} after block {last}, the manifest's last");
            return Err(damaged(reason));
        }
        if height != next {
            return Err(damaged(format!("block {height} where {next} should be")));
        }
        let expected = match self.last_hash {
            None if block.hash() != self.file.first_hash => Some(self.file.first_hash),
            Some(last) if block.header().previous_hash != last => Some(last),
            _ => None,
        };
        if let Some(expected) = expected {
            return Err(damaged(format!(
                "block {} doesn't fit the hash {expected}",
                block.height()
            )));
        }
        self.next += 1;
        self.last_hash = Some(block.hash());
        self.history_root = block.header().history_root;
        self.hashes.push(history_leaf(&block.hash()));
        Ok(Some(block))
    }

    /// That the file ends with its frame, after whose end the decompressor asks for nothing more.
    fn check_end(&mut self) -> Result<(), ArchiveError> {
        let io = ArchiveError::io(&self.path);
        let behind = self.blocks.input_mut().get_mut().get_mut();
        if behind.fill_buf().map_err(&io)?.is_empty() {
            return Ok(());
        }
        let end = behind.stream_position().map_err(&io)?;
        let reason = format!("byte {end}: there is more behind its frame");
        Err(ArchiveError::damaged(&self.path, reason))
    }

    fn finish(&self) -> Result<(), ArchiveError> {
        let file = &self.file;
        let checks = [
            ("number of blocks", self.next == file.last + 1),
            ("last hash", self.last_hash == Some(file.last_hash)),
            ("Merkle root", self.hashes.root() == file.merkle_root),
            ("history root", self.history_root == file.history_root),
            (
                "length of contents",
                self.blocks.offset() == file.content_bytes,
            ),
        ];
        match checks.iter().find(|(_, same)| !same) {
            Some((what, _)) => {
                let reason = format!("its {what} is not the manifest's");
                Err(ArchiveError::damaged(&self.path, reason))
            }
            None => Ok(()),
        }
    }
}
