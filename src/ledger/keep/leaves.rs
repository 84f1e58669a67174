//! The leaf hashes of pruned blocks, 32 bytes a transaction, as named values of the store (`FORMAT.md`, "Leaf hashes"):
//! chunks of about a megabyte, each under the height of its first block, and a directory of them.
//!
//! Invariants: a chunk is durable before the directory names it, and both before the bodies go. A crash between leaves
//! a chunk that nothing names, which the next attempt replaces. Nothing here is trusted: a chunk carries a checksum, and
//! whoever uses leaves compares their root with the header.

use std::ops::Range;

use hubledger_storage::{BlockReader, BlockWriter, Durability};

use crate::format::codec::{self, DecodeError, DecodeProblem, Reader};
use crate::format::digest::{ChainId, Digest, sha256};
use crate::format::spec::ChainSpec;
use crate::ledger::values::VALUE_LEAVES;
use crate::ledger::{ChainReader, LedgerError};

/// The directory's name.
const DIRECTORY_MAGIC: &[u8; 8] = b"HLLEAFDR";
const CHUNK_MAGIC: &[u8; 8] = b"HLLEAVES";
/// A chunk is full when it holds so many leaves; a larger block has one of its own. 1 MiB, so that adding to the last
/// chunk stays cheap.
const CHUNK_LEAVES: usize = 1 << 15;
/// … or so many blocks.
const CHUNK_BLOCKS: usize = 1 << 15;
/// More than any value that a store takes can hold.
const COUNT_MAX: usize = u32::MAX as usize;

/// The name of the chunk whose first block is at `first`.
fn chunk_name(first: u64) -> String {
    format!("{VALUE_LEAVES}/{first}")
}

/// Which heights have chunks: first and end of each, ascending, none reaching into the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Directory {
    chunks: Vec<(u64, u64)>,
}

impl Directory {
    pub(crate) fn read(store: &dyn BlockReader) -> Result<Self, LedgerError> {
        match store.named_value(VALUE_LEAVES)? {
            Some(bytes) => Self::decode(&bytes).map_err(damaged),
            None => Ok(Self::default()),
        }
    }

    fn covering(&self, height: u64) -> Option<(u64, u64)> {
        let after = self.chunks.partition_point(|(first, _)| *first <= height);
        let chunk = *self.chunks.get(after.checked_sub(1)?)?;
        (height < chunk.1).then_some(chunk)
    }

    /// Whether the leaf hashes of the block at `height` are kept.
    pub(crate) fn has(&self, height: u64) -> bool {
        self.covering(height).is_some()
    }

    /// The first height from `height` on that has no leaves.
    fn gap_from(&self, mut height: u64) -> u64 {
        while let Some((_, end)) = self.covering(height) {
            height = end;
        }
        height
    }

    /// Names a chunk; one with the same first height is replaced. Chunks come in ascending order.
    fn put(&mut self, first: u64, end: u64) {
        if self.chunks.last().is_some_and(|last| last.0 == first) {
            self.chunks.pop();
        }
        self.chunks.push((first, end));
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = DIRECTORY_MAGIC.to_vec();
        codec::put_count(&mut out, self.chunks.len());
        for (first, end) in &self.chunks {
            codec::put_u64(&mut out, *first);
            codec::put_u64(&mut out, *end);
        }
        sealed(out)
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = opened(bytes, DIRECTORY_MAGIC)?;
        let count = reader.count("chunks", COUNT_MAX, 16)?;
        let mut chunks = Vec::with_capacity(count);
        let mut last = 0;
        for _ in 0..count {
            let start = reader.clone();
            let (first, end) = (reader.u64("first")?, reader.u64("end")?);
            if first < last || end <= first {
                return Err(start.error("chunks", DecodeProblem::Order));
            }
            last = end;
            chunks.push((first, end));
        }
        reader.finish("directory")?;
        Ok(Self { chunks })
    }
}

/// The leaf hashes of consecutive blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Chunk {
    chain: ChainId,
    first: u64,
    blocks: Vec<Vec<Digest>>,
    leaves: usize,
}

impl Chunk {
    const fn new(chain: ChainId, first: u64) -> Self {
        Self {
            chain,
            first,
            blocks: Vec::new(),
            leaves: 0,
        }
    }

    fn end(&self) -> u64 {
        self.first + self.blocks.len() as u64
    }

    fn is_full(&self) -> bool {
        self.leaves >= CHUNK_LEAVES || self.blocks.len() >= CHUNK_BLOCKS
    }

    fn push(&mut self, leaves: Vec<Digest>) {
        self.leaves += leaves.len();
        self.blocks.push(leaves);
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128 + 4 * self.blocks.len() + 32 * self.leaves);
        out.extend_from_slice(CHUNK_MAGIC);
        out.extend_from_slice(&self.chain.0);
        codec::put_u64(&mut out, self.first);
        codec::put_count(&mut out, self.blocks.len());
        for block in &self.blocks {
            codec::put_count(&mut out, block.len());
            for leaf in block {
                out.extend_from_slice(&leaf.0);
            }
        }
        sealed(out)
    }

    /// Reads the chunk that begins at `first`, of the chain of `spec` or one that it goes on from.
    fn decode(bytes: &[u8], spec: &ChainSpec, first: u64) -> Result<Self, DecodeError> {
        let mut reader = opened(bytes, CHUNK_MAGIC)?;
        let start = reader.clone();
        let wrong = |field| start.error(field, DecodeProblem::Value("is not this chunk's"));
        let chain = ChainId(reader.array("chain")?);
        if spec.shared_up_to(chain).is_none_or(|last| first > last) {
            return Err(wrong("chain"));
        }
        if reader.u64("first")? != first {
            return Err(wrong("first"));
        }
        let count = reader.count("blocks", COUNT_MAX, 4)?;
        // The chunk's end has to be a height.
        if first.checked_add(count as u64).is_none() {
            return Err(wrong("blocks"));
        }
        let mut chunk = Self::new(chain, first);
        chunk.blocks.reserve(count);
        for _ in 0..count {
            // Bounded by the bytes that are left, before anything is reserved.
            let count = reader.count("leaves", COUNT_MAX, 32)?;
            let leaves = (0..count).map(|_| Ok(Digest(reader.array("leaves")?)));
            chunk.push(leaves.collect::<Result<_, DecodeError>>()?);
        }
        reader.finish("chunk")?;
        Ok(chunk)
    }
}

/// Keeps the leaf hashes of the blocks `from..to`, whose bodies are held; those that are kept already stay. `step` is
/// called after every chunk with the height reached, and stops by returning false. Durable when it returns. Returns the
/// number of transactions.
pub(crate) fn keep(
    chain: &ChainReader,
    writer: &mut dyn BlockWriter,
    (from, to): (u64, u64),
    step: &mut dyn FnMut(u64) -> bool,
) -> Result<u64, LedgerError> {
    let mut directory = Directory::read(chain.store())?;
    let start = directory.gap_from(from);
    if start >= to {
        return Ok(0);
    }
    let mut chunk = unfinished(chain, &directory, start);
    let mut kept = 0;
    for height in start..to {
        if chunk.is_full() {
            put(writer, &mut directory, &chunk)?;
            if !step(height) {
                return Ok(kept);
            }
            chunk = Chunk::new(chain.spec().id(), height);
        }
        let block = chain.block(height)?.ok_or(LedgerError::Pruned(height))?;
        let leaves = block.leaf_hashes();
        kept += leaves.len() as u64;
        chunk.push(leaves);
    }
    put(writer, &mut directory, &chunk)?;
    step(to);
    Ok(kept)
}

/// Copies directory and chunks as they are; returns the number of values. Chunks come first.
pub(crate) fn copy(
    source: &dyn BlockReader,
    writer: &mut dyn BlockWriter,
) -> Result<u64, LedgerError> {
    let directory = Directory::read(source)?;
    for (first, _) in &directory.chunks {
        let name = chunk_name(*first);
        let chunk = source.named_value(&name)?.unwrap_or_default();
        writer.put_named_value(&name, &chunk, Durability::Os)?;
    }
    put_directory(writer, &directory)
}

/// Whose leaf hashes can't be read, and why.
pub(crate) type LostLeaves = (Range<u64>, String);

/// Copies the chunks that can be read, and a directory of them. If the directory can't be, any block below `floor` may have had
/// leaves.
pub(crate) fn salvage(
    chain: &ChainReader,
    writer: &mut dyn BlockWriter,
    floor: u64,
) -> Result<(u64, Vec<LostLeaves>), LedgerError> {
    let directory = match Directory::read(chain.store()) {
        Ok(directory) => directory,
        Err(error) if error.is_corrupt() => return Ok((0, vec![(0..floor, error.to_string())])),
        Err(error) => return Err(error),
    };
    let mut lost = Vec::new();
    let mut sound = Directory::default();
    for &(first, end) in &directory.chunks {
        match chunk_at(chain, first) {
            Ok(chunk) => {
                writer.put_named_value(&chunk_name(first), &chunk.encode(), Durability::Os)?;
                sound.put(first, end);
            }
            Err(error) if error.is_corrupt() => lost.push((first..end, error.to_string())),
            Err(error) => return Err(error),
        }
    }
    Ok((put_directory(writer, &sound)?, lost))
}

/// Puts the directory after its chunks, unless it names none; returns the number of values.
fn put_directory(writer: &mut dyn BlockWriter, directory: &Directory) -> Result<u64, LedgerError> {
    if directory.chunks.is_empty() {
        return Ok(0);
    }
    writer.put_named_value(VALUE_LEAVES, &directory.encode(), Durability::Os)?;
    Ok(1 + directory.chunks.len() as u64)
}

/// The last chunk, if it ends at `start`, has room and is sound; else a new one.
fn unfinished(chain: &ChainReader, directory: &Directory, start: u64) -> Chunk {
    let fresh = Chunk::new(chain.spec().id(), start);
    let Some(&(first, _)) = directory.chunks.last().filter(|(_, end)| *end == start) else {
        return fresh;
    };
    match chunk_at(chain, first) {
        Ok(mut chunk) => {
            // A crash between chunk and directory leaves a chunk that reaches further than the directory says.
            let blocks = (start - first) as usize;
            if chunk.blocks.len() < blocks {
                return fresh;
            }
            chunk.blocks.truncate(blocks);
            chunk.leaves = chunk.blocks.iter().map(Vec::len).sum();
            if chunk.is_full() { fresh } else { chunk }
        }
        Err(error) => {
            tracing::warn!(%error, first, "a chunk of leaf hashes is damaged; going on in a new one");
            fresh
        }
    }
}

fn put(
    writer: &mut dyn BlockWriter,
    directory: &mut Directory,
    chunk: &Chunk,
) -> Result<(), LedgerError> {
    // The chunk before the directory that names it: a crash in between leaves a chunk that nothing refers to.
    writer.put_named_value(&chunk_name(chunk.first), &chunk.encode(), Durability::Disk)?;
    directory.put(chunk.first, chunk.end());
    Ok(writer.put_named_value(VALUE_LEAVES, &directory.encode(), Durability::Disk)?)
}

/// The kept leaf hashes of the block at `height`, as they lie in the store; `None` if none were kept. O(chunk).
pub(crate) fn of_block(
    chain: &ChainReader,
    height: u64,
) -> Result<Option<Vec<Digest>>, LedgerError> {
    let Some((first, _)) = Directory::read(chain.store())?.covering(height) else {
        return Ok(None);
    };
    let mut chunk = chunk_at(chain, first)?;
    let index = (height - first) as usize;
    Ok((index < chunk.blocks.len()).then(|| chunk.blocks.swap_remove(index)))
}

fn chunk_at(chain: &ChainReader, first: u64) -> Result<Chunk, LedgerError> {
    let bytes = chain
        .store()
        .named_value(&chunk_name(first))?
        .unwrap_or_default();
    Chunk::decode(&bytes, chain.spec(), first).map_err(damaged)
}

fn damaged(problem: DecodeError) -> LedgerError {
    LedgerError::DamagedValue {
        record: VALUE_LEAVES,
        problem,
    }
}

/// The bytes with their SHA-256 behind them.
fn sealed(mut out: Vec<u8>) -> Vec<u8> {
    let checksum = sha256(&[&out]);
    out.extend_from_slice(&checksum);
    out
}

/// A reader behind the magic, over all but the checksum, which matches.
fn opened<'a>(bytes: &'a [u8], magic: &[u8; 8]) -> Result<Reader<'a>, DecodeError> {
    let whole = Reader::new(bytes);
    let Some((content, checksum)) = bytes.split_last_chunk::<32>() else {
        let problem = DecodeProblem::Truncated {
            needed: 40,
            available: bytes.len(),
        };
        return Err(whole.error("checksum", problem));
    };
    let mut reader = Reader::new(content);
    if reader.take("magic", 8)? != magic {
        return Err(whole.error("magic", DecodeProblem::Value("not leaf hashes")));
    }
    if *checksum != sha256(&[content]) {
        return Err(whole.error("checksum", DecodeProblem::Value("does not match")));
    }
    Ok(reader)
}
