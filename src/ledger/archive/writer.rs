//! Writing an archive, block after block, onto the end of what is there.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use hubledger_storage::opening::{create_regular, open_directory};
use sha2::{Digest as _, Sha256};
use zstd::stream::write::Encoder;

use super::manifest::CONTENT_BYTES_MAX;
use super::reader::check_file;
use super::{ArchiveError, ArchivedFile, MANIFEST, Manifest, PARTIAL, PREFIX, file_path, partial};
use crate::format::blockfile;
use crate::format::digest::{BlockHash, Digest};
use crate::format::merkle::Frontier;
use crate::format::merkle::history_leaf;
use crate::format::model::{BODY_BYTES_MAX, Block};
use crate::format::spec::{ChainSpec, SPEC_BYTES_MAX};

/// zstd's own default: most of the gain for little time.
const LEVEL: i32 = 3;
/// A file is finished once its contents reach this.
const FILE_BYTES: u64 = 64 << 20;

// Whatever block comes last, a file stays within what readers take.
const _: () = assert!(
    FILE_BYTES + (Block::encoded_bytes_max(BODY_BYTES_MAX) + SPEC_BYTES_MAX) as u64
        <= CONTENT_BYTES_MAX
);

/// An archive that is written to, by nobody else meanwhile.
pub struct ArchiveWriter {
    folder: PathBuf,
    spec: ChainSpec,
    manifest: Manifest,
    open: Option<Open>,
    file_bytes: u64,
    /// Holds the lock.
    _directory: File,
}

/// A file that is being written.
struct Open {
    path: PathBuf,
    encoder: Encoder<'static, Sink>,
    first: u64,
    first_hash: BlockHash,
    last: u64,
    last_hash: BlockHash,
    history_root: Digest,
    hashes: Frontier,
    content_bytes: u64,
}

impl ArchiveWriter {
    /// Opens the archive of a chain in `folder` to continue it, or begins one: `folder` is created, or empty. An archive of a chain that
    /// this one goes on from becomes this chain's with the next file.
    ///
    /// # Errors
    /// Another chain's archive, something else in the directory, damage to the manifest, a writer that is there already;
    /// nothing is changed.
    pub fn open(folder: &Path, spec: &ChainSpec) -> Result<Self, ArchiveError> {
        let io = ArchiveError::io(folder);
        match fs::create_dir(folder) {
            // The new directory's own name has to survive a loss of power, or everything in it is gone.
            Ok(()) => sync_directory(folder.parent().unwrap_or(folder))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io(error)),
        }
        let directory = open_directory(folder).map_err(&io)?;
        // The directory is locked, not a file in it: files are replaced, and a lock would stay with the old one.
        directory.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => ArchiveError::InUse {
                path: folder.to_owned(),
            },
            TryLockError::Error(error) => io(error),
        })?;
        let manifest = match Manifest::read(folder)? {
            // What such an archive has was taken from blocks that this chain holds, which is asked when blocks are added.
            Some(mut manifest) if spec.shared_up_to(manifest.chain).is_some() => {
                manifest.chain = spec.id();
                manifest
            }
            Some(manifest) => {
                return Err(ArchiveError::OtherChain {
                    path: folder.to_owned(),
                    held: manifest.chain,
                    asked: spec.id(),
                });
            }
            None => {
                refuse_strangers(folder)?;
                Manifest::new(spec.id())
            }
        };
        Ok(Self {
            folder: folder.to_owned(),
            spec: spec.clone(),
            manifest,
            open: None,
            file_bytes: FILE_BYTES,
            _directory: directory,
        })
    }

    /// Finishes files once their contents reach `bytes` instead of 64 MiB; a larger number counts as that.
    pub fn set_file_bytes(&mut self, bytes: u64) {
        self.file_bytes = bytes.min(FILE_BYTES);
    }

    /// Where the archive is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The specification that goes into its files.
    pub(crate) const fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    /// What is durable of it.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The height that the next block must have.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.open
            .as_ref()
            .map_or_else(|| self.manifest.end(), |open| open.last + 1)
    }

    /// Compares the files that hold blocks from `height` on with the manifest: before anything is deleted that an
    /// earlier run has archived. O(bytes of the files).
    ///
    /// # Errors
    /// A file that is missing or damaged.
    pub fn check_from(&self, height: u64) -> Result<(), ArchiveError> {
        let files = self.manifest.files.iter();
        let mut later = files.filter(|file| file.last >= height);
        later.try_for_each(|file| check_file(&self.folder, file))
    }

    /// Appends the next block, which is durable after the next [`Self::flush`] or when its file is full.
    ///
    /// # Errors
    /// The operating system refused. The archive stays as it was at the last flush.
    ///
    /// # Panics
    /// If the block doesn't follow the last one: callers pass the blocks of a chain in their order.
    pub fn push(&mut self, block: &Block) -> Result<(), ArchiveError> {
        let before = self
            .open
            .as_ref()
            .map(|open| open.last_hash)
            .or_else(|| self.manifest.files.last().map(|file| file.last_hash));
        assert!(
            block.height() == self.end()
                && block.header().previous_hash == before.unwrap_or(BlockHash::ZERO),
            "blocks are archived in the order of their chain"
        );
        // Taken out: if writing fails half-way, the file is not gone on with, and the archive is as it was at the last flush.
        let mut open = match self.open.take() {
            Some(open) => open,
            None => Open::begin(&self.folder, &self.spec, block)?,
        };
        open.push(block)?;
        let is_full = open.content_bytes >= self.file_bytes;
        self.open = Some(open);
        if is_full { self.flush() } else { Ok(()) }
    }

    /// Makes everything durable: the open file, its name, then the manifest.
    ///
    /// # Errors
    /// The operating system refused. The archive stays as it was at the last flush.
    pub fn flush(&mut self) -> Result<(), ArchiveError> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        // The order holds after a crash: the file's bytes, its name, the directory, and only then the manifest that names it.
        let file = open.finish()?;
        sync_directory(&self.folder)?;
        self.manifest.files.push(file);
        let result = replace(&self.folder.join(MANIFEST), &self.manifest.encode());
        let result = result.and_then(|()| sync_directory(&self.folder));
        // The archive ends where it did, and the same blocks are pushed again.
        if result.is_err() {
            self.manifest.files.pop();
        }
        result
    }
}

impl Open {
    fn begin(folder: &Path, spec: &ChainSpec, block: &Block) -> Result<Self, ArchiveError> {
        let path = file_path(folder, block.height());
        let new = partial(&path);
        let (encoder, content_bytes) = encoder(&new, spec).map_err(ArchiveError::io(&new))?;
        Ok(Self {
            path,
            encoder,
            first: block.height(),
            first_hash: block.hash(),
            last: block.height(),
            last_hash: block.hash(),
            history_root: block.header().history_root,
            hashes: Frontier::new(),
            content_bytes,
        })
    }

    fn push(&mut self, block: &Block) -> Result<(), ArchiveError> {
        let put = blockfile::put_block(&mut self.encoder, block);
        self.content_bytes += put.map_err(ArchiveError::io(&self.path))?;
        self.last = block.height();
        self.last_hash = block.hash();
        self.history_root = block.header().history_root;
        self.hashes.push(history_leaf(&block.hash()));
        Ok(())
    }

    fn finish(self) -> Result<ArchivedFile, ArchiveError> {
        let io = ArchiveError::io(&self.path);
        let mut sink = self.encoder.finish().map_err(&io)?;
        sink.file.flush().map_err(&io)?;
        // Synced before it is renamed: else a loss of power could leave the final name with missing bytes.
        sink.file.get_ref().sync_all().map_err(&io)?;
        fs::rename(partial(&self.path), &self.path).map_err(&io)?;
        Ok(ArchivedFile {
            first: self.first,
            last: self.last,
            first_hash: self.first_hash,
            last_hash: self.last_hash,
            merkle_root: self.hashes.root(),
            history_root: self.history_root,
            content_bytes: self.content_bytes,
            file_bytes: sink.bytes,
            sha256: Digest(sink.hash.finalize().into()),
        })
    }
}

/// Begins a file, with so many bytes of contents.
fn encoder(path: &Path, spec: &ChainSpec) -> io::Result<(Encoder<'static, Sink>, u64)> {
    let sink = Sink {
        file: BufWriter::new(create_regular(path)?),
        hash: Sha256::new(),
        bytes: 0,
    };
    let mut encoder = Encoder::new(sink, LEVEL)?;
    encoder.include_checksum(true)?;
    let content_bytes = blockfile::put_head(&mut encoder, spec)?;
    Ok((encoder, content_bytes))
}

/// A file that is hashed and counted as it is written.
struct Sink {
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Refuses a directory without a manifest that holds anything but what a crash may have left of an archive's first file.
fn refuse_strangers(folder: &Path) -> Result<(), ArchiveError> {
    let io = ArchiveError::io(folder);
    for entry in fs::read_dir(folder).map_err(&io)? {
        let name = entry.map_err(&io)?.file_name();
        let name = name.to_string_lossy();
        let ours = name.starts_with(PREFIX) || name.strip_suffix(PARTIAL) == Some(MANIFEST);
        if !ours {
            return Err(ArchiveError::NotAnArchive {
                path: folder.to_owned(),
                reason: format!("it has no {MANIFEST}, but {name}"),
            });
        }
    }
    Ok(())
}

/// Puts `bytes` in place of a file: durable under another name first, then renamed.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), ArchiveError> {
    let new = partial(path);
    let io = ArchiveError::io(&new);
    let mut file = create_regular(&new).map_err(&io)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(&io)?;
    fs::rename(&new, path).map_err(ArchiveError::io(path))
}

fn sync_directory(folder: &Path) -> Result<(), ArchiveError> {
    let folder = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    open_directory(folder)
        .and_then(|directory| directory.sync_all())
        .map_err(ArchiveError::io(folder))
}
