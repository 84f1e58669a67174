//! Reading an archive: a file is hashed first, then decompressed as a stream within the sizes that the manifest gives,
//! and its blocks are compared with what the manifest says of them.

use std::fmt::{self, Display};
use std::fs::File;
use std::io::{self, BufRead, Read, Seek, Take};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use hubledger_storage::opening::open_regular;
use sha2::{Digest as _, Sha256};
use zstd::stream::read::Decoder;

use super::{ArchiveError, ArchivedFile, MANIFEST, Manifest, file_path};
use crate::format::blockfile::BlockFileReader;
use crate::format::codec::DecodeError;
use crate::format::digest::{BlockHash, Digest};
use crate::format::merkle::Frontier;
use crate::format::merkle::history_leaf;
use crate::format::model::{Block, Header};
use crate::format::spec::ChainSpec;

/// No more than zstd's levels below 20 ask for: what a decompressor may take up, as a power of two.
const WINDOW_LOG_MAX: u32 = 23;

/// An archive to read.
#[derive(Debug, Clone)]
pub struct Archive {
    folder: PathBuf,
    manifest: Manifest,
    /// The specification, once it was read: its file needn't be hashed again for that.
    spec: OnceLock<ChainSpec>,
    /// The first file, as it was hashed and opened for the specification, for whoever reads its blocks first.
    first: Arc<Mutex<Option<ArchivedBlocks>>>,
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
            spec: OnceLock::new(),
            first: Arc::default(),
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

    /// The chain's specification. Its id is the manifest's. It is in the first file, which stays open for the first call of
    /// [`Self::blocks`]; or in the last one, if the chain went on under another specification since the archive was begun.
    ///
    /// # Errors
    /// An archive without files, or a first or last file that is damaged or missing.
    pub fn spec(&self) -> Result<ChainSpec, ArchiveError> {
        if let Some(spec) = self.spec.get() {
            return Ok(spec.clone());
        }
        let files = &self.manifest.files;
        let (Some(first), Some(last)) = (files.first(), files.last()) else {
            return Err(ArchiveError::NotAnArchive {
                path: self.folder.clone(),
                reason: "it has no files yet".to_owned(),
            });
        };
        let blocks = self.open_file(first)?;
        let mut spec = blocks.blocks.spec().clone();
        if spec.id() != self.manifest.chain {
            let last = self.open_file(last)?;
            spec = last.blocks.spec().clone();
            if spec.id() != self.manifest.chain {
                return Err(of_another_chain(&last));
            }
        }
        if !spec.includes(blocks.blocks.spec()) {
            return Err(of_another_chain(&blocks));
        }
        *self.first() = Some(blocks);
        Ok(self.spec.get_or_init(|| spec).clone())
    }

    /// Compares size and SHA-256 of a file with the manifest. O(bytes of the file).
    ///
    /// # Errors
    /// A missing file, or any other bytes.
    pub fn check(&self, file: &ArchivedFile) -> Result<(), ArchiveError> {
        check_file(&self.folder, file)
    }

    /// The same, unless the file is open since the specification was read from it, which closes it.
    pub(crate) fn check_once(&self, file: &ArchivedFile) -> Result<(), ArchiveError> {
        match self.take_first(file) {
            Some(_) => Ok(()),
            None => self.check(file),
        }
    }

    /// Takes the first file, if that is asked for and was left open.
    fn take_first(&self, file: &ArchivedFile) -> Option<ArchivedBlocks> {
        self.first().take_if(|first| first.file == *file)
    }

    fn first(&self) -> MutexGuard<'_, Option<ArchivedBlocks>> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks a file and begins to read its blocks. The first file was checked already if the specification was read from it.
    ///
    /// # Errors
    /// As [`Self::check`]; contents that are not a block file of this chain.
    pub fn blocks(&self, file: &ArchivedFile) -> Result<ArchivedBlocks, ArchiveError> {
        let spec = self.spec()?;
        if let Some(first) = self.take_first(file) {
            return Ok(first);
        }
        let blocks = self.open_file(file)?;
        // A file has the specification that the chain had when it was written.
        match spec.includes(blocks.blocks.spec()) {
            true => Ok(blocks),
            false => Err(of_another_chain(&blocks)),
        }
    }

    /// Checks a file and begins to read it, whatever chain it is of.
    fn open_file(&self, file: &ArchivedFile) -> Result<ArchivedBlocks, ArchiveError> {
        self.check(file)?;
        ArchivedBlocks::open(&file_path(&self.folder, file.first), file)
    }

    /// That a block of a file can't be decoded.
    pub(crate) fn unreadable(
        &self,
        file: &ArchivedFile,
        offset: u64,
        error: &DecodeError,
    ) -> ArchiveError {
        damaged_at(&file_path(&self.folder, file.first), offset, error)
    }
}

fn of_another_chain(blocks: &ArchivedBlocks) -> ArchiveError {
    let reason = "its contents are of another chain than the manifest's";
    ArchiveError::damaged(&blocks.path, reason)
}

/// What is wrong at a place in a file's contents.
fn damaged_at(path: &Path, offset: u64, reason: &dyn Display) -> ArchiveError {
    ArchiveError::damaged(path, format!("byte {offset} of its contents: {reason}"))
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
    // The length first: hashing an endless or huge file would take as long as somebody likes.
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

/// A block as it lies in a file, of which nobody has decoded more than the header.
pub(crate) struct Encoded {
    /// Where in the file's contents it is.
    pub(crate) offset: u64,
    pub(crate) header: Header,
    pub(crate) bytes: Bytes,
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

impl fmt::Debug for ArchivedBlocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArchivedBlocks")
            .field("path", &self.path)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl ArchivedBlocks {
    /// Begins to read a file whose bytes nobody has compared with `file` yet; what it holds still is.
    ///
    /// # Errors
    /// Contents that are not a block file, or longer or shorter than `file` says.
    pub fn open(path: &Path, file: &ArchivedFile) -> Result<Self, ArchiveError> {
        let io = ArchiveError::io(path);
        let mut decoder = Decoder::new(open_regular(path).map_err(&io)?).map_err(&io)?;
        // A frame names its own window, for which zstd would make room up to 128 MiB (`ZSTD_WINDOWLOG_LIMIT_DEFAULT`).
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
        let Some(next) = self.next_encoded()? else {
            return Ok(None);
        };
        let block = Block::decode(&next.bytes);
        block
            .map(Some)
            .map_err(|error| self.damaged(next.offset, &error))
    }

    /// The same as [`next_block`](Self::next_block), but what is behind the header is for somebody else to decode:
    /// [`Archive::unreadable`] says why it can't be.
    ///
    /// # Errors
    /// As [`next_block`](Self::next_block); of several faults of one block that which it names.
    pub(crate) fn next_encoded(&mut self) -> Result<Option<Encoded>, ArchiveError> {
        let next = self.blocks.next_block();
        let next = next.map_err(|error| ArchiveError::contents(&self.path, error))?;
        let Some((offset, bytes)) = next else {
            self.finish()?;
            self.check_end()?;
            return Ok(None);
        };
        let header = Block::decode_header(&bytes);
        let header = header.map_err(|error| self.damaged(offset, &error))?;
        let hash = header.hash();
        if let Some(misplaced) = self.misplaced(&header, hash) {
            // A block that can't be decoded at all is reported as that, not as misplaced.
            let decoded = Block::decode(&bytes);
            decoded.map_err(|error| self.damaged(offset, &error))?;
            return Err(self.damaged(offset, &misplaced));
        }
        self.next += 1;
        self.last_hash = Some(hash);
        self.history_root = header.history_root;
        self.hashes.push(history_leaf(&hash));
        Ok(Some(Encoded {
            offset,
            header,
            bytes,
        }))
    }

    /// Why a block is not the next one.
    fn misplaced(&self, header: &Header, hash: BlockHash) -> Option<String> {
        let (height, next, last) = (header.height, self.next, self.file.last);
        if next > last {
            return Some(format!(
                "block {height} after block {last}, the manifest's last"
            ));
        }
        if height != next {
            return Some(format!("block {height} where {next} should be"));
        }
        // The manifest's first hash holds the file's beginning, the link each further block.
        let expected = match self.last_hash {
            None if hash != self.file.first_hash => self.file.first_hash,
            Some(last) if header.previous_hash != last => last,
            _ => return None,
        };
        Some(format!("block {height} doesn't fit the hash {expected}"))
    }

    fn damaged(&self, offset: u64, reason: &dyn Display) -> ArchiveError {
        damaged_at(&self.path, offset, reason)
    }

    /// That the file ends with its frame, after whose end the decompressor asks for nothing more.
    fn check_end(&mut self) -> Result<(), ArchiveError> {
        let io = ArchiveError::io(&self.path);
        // Bytes behind the frame are hashed with the file, but nobody would ever read them.
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
