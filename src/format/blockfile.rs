//! Block files: a specification and blocks, one after the other, for carrying a chain between hubs
//! (`FORMAT.md`, "Block file"). Read and written as a stream; memory is bounded by the largest block.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use hubledger_storage::opening::{create_regular, sync_name};

use crate::format::model::Block;
use crate::format::spec::{ChainSpec, SPEC_BYTES_MAX};

const MAGIC: &[u8; 8] = b"HLBLOCKS";
const VERSION: u32 = 1;
const BUFFER_BYTES: usize = 1024 * 1024;
/// Small, so that blocks are read to where they stay.
const READ_BUFFER_BYTES: usize = 32 * 1024;

/// Why a block file can't be read or written. Every message names the file, and the offset where there is one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlockFileError {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file doesn't begin as a block file does.
    #[error("{}: not a block file: {reason}", path.display())]
    NotABlockFile {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// A block file of another version.
    #[error("{}: block file version {found}, this build reads version {VERSION}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: u32,
    },
    /// The bytes where a block should be are no block's.
    #[error("{}: byte {offset}: {reason}", path.display())]
    Frame {
        /// The file.
        path: PathBuf,
        /// Offset of the frame in the file.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
}

/// Reads a block file from its start to its end.
#[derive(Debug)]
pub struct BlockFileReader<R = File> {
    path: PathBuf,
    file: BufReader<R>,
    spec: ChainSpec,
    offset: u64,
    length: u64,
}

impl BlockFileReader<File> {
    /// Opens `path` and reads the specification.
    ///
    /// # Errors
    /// A missing or unreadable file, a directory, something that isn't a block file, another version, a
    /// specification that is damaged.
    pub fn open(path: &Path) -> Result<Self, BlockFileError> {
        Self::open_through(path, |file| file)
    }
}

impl<R: Read> BlockFileReader<R> {
    /// As [`BlockFileReader::open`], reading what `through` makes of the file. That may be a stream, such as a pipe, whose
    /// length is taken for 0.
    ///
    /// # Errors
    /// As [`BlockFileReader::open`].
    pub fn open_through(
        path: &Path,
        through: impl FnOnce(File) -> R,
    ) -> Result<Self, BlockFileError> {
        let io = |source| BlockFileError::Io {
            path: path.into(),
            source,
        };
        let not = |reason: String| BlockFileError::NotABlockFile {
            path: path.into(),
            reason,
        };
        let file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if metadata.is_dir() {
            return Err(not("it is a directory".to_owned()));
        }
        Self::read_from(path, through(file), metadata.len())
    }

    /// Reads the specification of the block file that `input` holds, which is `length` bytes long; `path` is for errors.
    ///
    /// # Errors
    /// As [`BlockFileReader::open`], but for the file.
    pub fn read_from(path: &Path, input: R, length: u64) -> Result<Self, BlockFileError> {
        let io = |source| BlockFileError::Io {
            path: path.into(),
            source,
        };
        let not = |reason: String| BlockFileError::NotABlockFile {
            path: path.into(),
            reason,
        };
        let mut file = BufReader::with_capacity(READ_BUFFER_BYTES, input);
        let mut head = [0u8; 16];
        let got = read_up_to(&mut file, &mut head).map_err(io)?;
        if got < 8 || head[..8] != MAGIC[..] {
            return Err(not("it doesn't begin with HLBLOCKS".to_owned()));
        }
        if got < head.len() {
            return Err(not(format!("it ends after {got} bytes")));
        }
        let word =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        if word(8) != VERSION {
            return Err(BlockFileError::Version {
                path: path.into(),
                found: word(8),
            });
        }
        let spec_length = word(12) as usize;
        // The length is the file's word; it is bounded before anything is read.
        if spec_length > SPEC_BYTES_MAX {
            return Err(not(format!("a specification of {spec_length} bytes")));
        }
        let spec = read_exactly(&mut file, spec_length).map_err(io)?;
        if spec.len() < spec_length {
            return Err(not("it ends within the specification".to_owned()));
        }
        let spec = ChainSpec::decode(&spec).map_err(|error| {
            not(format!(
                "the specification is damaged: {}",
                error.at_base(16)
            ))
        })?;
        let offset = 16 + spec_length as u64;
        Ok(Self {
            path: path.into(),
            file,
            spec,
            offset,
            length,
        })
    }

    /// What it is read from, perhaps read further than blocks were given out.
    pub(crate) fn input_mut(&mut self) -> &mut R {
        self.file.get_mut()
    }

    /// The chain's specification.
    #[must_use]
    pub const fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How far the file has been read, in bytes.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Length of the file in bytes when it was opened.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// The next block's bytes and their offset in the file, or `None` at its end. Never allocates more than the
    /// file has left.
    ///
    /// # Errors
    /// A frame that is longer than a block of this chain can be, or that the file ends within.
    pub fn next_block(&mut self) -> Result<Option<(u64, Bytes)>, BlockFileError> {
        let start = self.offset;
        let io = |source| BlockFileError::Io {
            path: self.path.clone(),
            source,
        };
        let frame = |reason| BlockFileError::Frame {
            path: self.path.clone(),
            offset: start,
            reason,
        };
        let mut prefix = [0u8; 4];
        let got = read_up_to(&mut self.file, &mut prefix).map_err(io)?;
        if got == 0 {
            return Ok(None);
        }
        if got < prefix.len() {
            return Err(frame(
                "truncated: the file ends within the length of a block".to_owned(),
            ));
        }
        let length = u32::from_le_bytes(prefix) as usize;
        let limit = self.spec.block_bytes_max();
        // As for the specification: four bytes of a foreign file must not ask for 4 GiB.
        if length > limit {
            let reason = format!("a block of {length} bytes, this chain allows at most {limit}");
            return Err(frame(reason));
        }
        let bytes = read_exactly(&mut self.file, length).map_err(io)?;
        if bytes.len() < length {
            let found = bytes.len();
            return Err(frame(format!(
                "truncated: a block of {length} bytes ends after {found}"
            )));
        }
        self.offset = start + 4 + length as u64;
        Ok(Some((start + 4, bytes.into())))
    }
}

/// Writes a block file. Nothing is at its final name until [`BlockFileWriter::finish`].
pub struct BlockFileWriter {
    path: PathBuf,
    partial: PathBuf,
    file: BufWriter<File>,
    finished: bool,
}

impl BlockFileWriter {
    /// Begins a file beside `path`, named `<path>.partial`, and writes the specification.
    ///
    /// # Errors
    /// `path` exists already, or the operating system refused.
    pub fn create(path: &Path, spec: &ChainSpec) -> Result<Self, BlockFileError> {
        let io = |source| BlockFileError::Io {
            path: path.into(),
            source,
        };
        // Asked early, so that hours of writing don't end in a refusal; `finish` asks again, without a gap.
        if path.exists() {
            return Err(io(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "exists already",
            )));
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = create_regular(&partial).map_err(|source| BlockFileError::Io {
            path: partial.clone(),
            source,
        })?;
        let mut writer = Self {
            path: path.into(),
            partial,
            file: BufWriter::with_capacity(BUFFER_BYTES, file),
            finished: false,
        };
        put_head(&mut writer.file, spec).map_err(io)?;
        Ok(writer)
    }

    /// Appends a block.
    ///
    /// # Errors
    /// The operating system refused.
    pub fn append(&mut self, block: &Block) -> Result<(), BlockFileError> {
        put_block(&mut self.file, block).map_err(|source| BlockFileError::Io {
            path: self.path.clone(),
            source,
        })?;
        Ok(())
    }

    /// Makes the file durable and gives it its name.
    ///
    /// # Errors
    /// The operating system refused, or another file took the name meanwhile (it is left alone).
    pub fn finish(mut self) -> Result<(), BlockFileError> {
        let result = self
            .file
            .flush()
            // Before it gets its name: a loss of power must not leave a short file under it.
            .and_then(|()| self.file.get_ref().sync_all());
        // A hard link refuses to replace a file that appeared meanwhile; where links don't exist, rename.
        let result = result.and_then(|()| match std::fs::hard_link(&self.partial, &self.path) {
            Ok(()) => std::fs::remove_file(&self.partial),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            Err(_) => std::fs::rename(&self.partial, &self.path),
        });
        let result = result.and_then(|()| sync_name(&self.path));
        result.map_err(|source| BlockFileError::Io {
            path: self.path.clone(),
            source,
        })?;
        self.finished = true;
        Ok(())
    }
}

/// Writes a block file to wherever bytes go one after the other, such as a pipe.
pub struct BlockStream<W: Write>(W);

impl<W: Write> BlockStream<W> {
    /// Begins with the specification.
    ///
    /// # Errors
    /// `out` takes no more.
    pub fn new(mut out: W, spec: &ChainSpec) -> io::Result<Self> {
        put_head(&mut out, spec)?;
        Ok(Self(out))
    }

    /// Appends a block.
    ///
    /// # Errors
    /// `out` takes no more.
    pub fn append(&mut self, block: &Block) -> io::Result<()> {
        put_block(&mut self.0, block)?;
        Ok(())
    }

    /// Flushes what is left and gives the writer back. Without it the file may lack its end.
    ///
    /// # Errors
    /// `out` takes no more.
    pub fn finish(mut self) -> io::Result<W> {
        self.0.flush()?;
        Ok(self.0)
    }
}

/// Writes what a block file begins with; returns the number of bytes.
pub(crate) fn put_head(out: &mut impl Write, spec: &ChainSpec) -> io::Result<u64> {
    out.write_all(MAGIC)?;
    out.write_all(&VERSION.to_le_bytes())?;
    Ok(12 + put_bytes(out, spec.bytes())?)
}

/// Writes a block as it lies in a block file; returns the number of bytes.
pub(crate) fn put_block(out: &mut impl Write, block: &Block) -> io::Result<u64> {
    put_bytes(out, &block.encode())
}

fn put_bytes(out: &mut impl Write, bytes: &[u8]) -> io::Result<u64> {
    let length = u32::try_from(bytes.len()).expect("blocks are bounded far below 4 GiB");
    out.write_all(&length.to_le_bytes())?;
    out.write_all(bytes)?;
    Ok(4 + u64::from(length))
}

impl Drop for BlockFileWriter {
    fn drop(&mut self) {
        if !self.finished
            && let Err(error) = std::fs::remove_file(&self.partial)
        {
            tracing::warn!(path = %self.partial.display(), %error, "an unfinished file is left");
        }
    }
}

/// Fills `buffer` as far as the input goes.
fn read_up_to(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Reads `length` bytes, or as many as there are; space grows with what really arrives.
fn read_exactly(input: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length.min(BUFFER_BYTES));
    input.take(length as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
