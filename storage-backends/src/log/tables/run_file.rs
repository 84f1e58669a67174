//! A run that is open to read.
//!
//! ```text
//! DIR/tables/run-N   superblock "HLTABRUN", number: N
//!                    blocks: versions, 4 KiB or little less, or one that is longer
//!                    fences: of each block, bytes u32, checksum u32, key bytes u16, 1 if the block before ends with the same key u16,
//!                    key of the first version
//!                    filter: blocks of 64 bytes
//!                    commits that can be gone back to: number u64, height u64, id [32], 1 if it has a position u32, zero u32
//!                    trailer (96 bytes): 0 magic "HLTR"   4 checksum u32 over 8..96   8 versions u64   16 offset of the fences u64
//!                    24 blocks u64   32 offset of the filter u64   40 offset of the commits u64   48 base u64
//!                    56, 64 first and last commit u64   72, 76, 80 checksums of fences, filter, commits u32   84 zero u32
//! ```
//!
//! All but blocks are checked when they come into memory, a block whenever it is read. The set's file has the trailer's checksum, the
//! trailer those of fences, filter and commits, and the fences those of the blocks; so what is read is what was written under
//! this name, and never what an earlier file of the name had.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, transmute};

use super::super::format::{FileKind, SUPERBLOCK_BYTES, Superblock};
use super::super::read_file::{Pieces, ReadFile};
use super::super::shared::open_to_read;
use super::boundaries::Boundary;
use super::context::TableContext;
use super::fences::{BlockAt, Fences, block_checksum};
use super::filter::{FILTER_BLOCK_BYTES, Filter};
use super::names::Named;
use super::on_disk::{self, CommitRow};
use super::part::{Found, Part};
use super::version::Version;
use super::versions::Versions;
use crate::{Error, Position, Result};

pub(super) const TRAILER_BYTES: usize = size_of::<on_disk::RunTrailer>();
const COMMIT_BYTES: usize = size_of::<CommitRow>();
const TRAILER_MAGIC: &[u8; 4] = b"HLTR";

/// What the end of a run says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trailer {
    /// Versions in it.
    pub(super) versions: u64,
    pub(super) fences_at: u64,
    pub(super) blocks: u64,
    pub(super) filter_at: u64,
    pub(super) commits_at: u64,
    /// Commits up to this one count as this one.
    pub(super) base: u64,
    /// The commits whose changes are in it, all of them.
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) fences_checksum: u32,
    pub(super) filter_checksum: u32,
    pub(super) commits_checksum: u32,
}

impl Trailer {
    /// Its bytes and their checksum.
    pub(super) fn encode(&self, context: &TableContext) -> ([u8; TRAILER_BYTES], u32) {
        let mut trailer = on_disk::RunTrailer {
            magic: *TRAILER_MAGIC,
            checksum: U32::ZERO,
            versions: U64::new(self.versions),
            fences_at: U64::new(self.fences_at),
            blocks: U64::new(self.blocks),
            filter_at: U64::new(self.filter_at),
            commits_at: U64::new(self.commits_at),
            base: U64::new(self.base),
            first: U64::new(self.first),
            last: U64::new(self.last),
            fences_checksum: U32::new(self.fences_checksum),
            filter_checksum: U32::new(self.filter_checksum),
            commits_checksum: U32::new(self.commits_checksum),
            zero: U32::ZERO,
        };
        let checksum = trailer.compute_checksum(context.salt);
        trailer.checksum.set(checksum);
        (transmute!(trailer), checksum)
    }

    /// Reads the trailer that begins at an offset, if it is one whose numbers fit together.
    fn decode(bytes: &[u8], start: u64, context: &TableContext) -> Option<(Self, u32)> {
        let found = on_disk::RunTrailer::ref_from_bytes(bytes).ok()?;
        let checksum = found.checksum.get();
        if found.magic != *TRAILER_MAGIC || checksum != found.compute_checksum(context.salt) {
            return None;
        }
        let trailer = Self {
            versions: found.versions.get(),
            fences_at: found.fences_at.get(),
            blocks: found.blocks.get(),
            filter_at: found.filter_at.get(),
            commits_at: found.commits_at.get(),
            base: found.base.get(),
            first: found.first.get(),
            last: found.last.get(),
            fences_checksum: found.fences_checksum.get(),
            filter_checksum: found.filter_checksum.get(),
            commits_checksum: found.commits_checksum.get(),
        };
        let ascend = [
            SUPERBLOCK_BYTES as u64,
            trailer.fences_at,
            trailer.filter_at,
            trailer.commits_at,
            start,
        ];
        let are_whole = (trailer.commits_at.wrapping_sub(trailer.filter_at))
            .is_multiple_of(FILTER_BLOCK_BYTES as u64)
            && start
                .wrapping_sub(trailer.commits_at)
                .is_multiple_of(COMMIT_BYTES as u64);
        (ascend.is_sorted() && are_whole).then_some((trailer, checksum))
    }
}

/// A commit's bytes.
pub(super) fn encode_commit(boundary: &Boundary) -> [u8; COMMIT_BYTES] {
    let position = boundary.position;
    transmute!(CommitRow {
        commit: U64::new(boundary.commit),
        height: U64::new(position.map_or(0, |at| at.height)),
        id: position.map_or([0; 32], |at| at.id),
        has_position: U32::new(u32::from(position.is_some())),
        zero: U32::ZERO,
    })
}

fn decode_commit(bytes: &[u8]) -> Option<Boundary> {
    let found = CommitRow::ref_from_bytes(bytes).ok()?;
    let position = Position {
        height: found.height.get(),
        id: found.id,
    };
    Some(Boundary {
        commit: found.commit.get(),
        position: (found.has_position.get() == 1).then_some(position),
    })
}

/// What look-ups need of a run in memory.
#[derive(Debug)]
pub(super) struct RunIndex {
    pub(super) fences: Fences,
    pub(super) filter: Filter,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct RunFile {
    context: Arc<TableContext>,
    pub(super) file: ReadFile,
    pub(super) number: u64,
    pub(super) trailer: Trailer,
    /// That of the trailer.
    pub(super) checksum: u32,
    /// The commits that could be gone back to when it was written.
    pub(super) commits: Vec<Boundary>,
    /// Read when it is first asked for.
    index: OnceLock<RunIndex>,
    /// Whether the file goes with this.
    is_doomed: AtomicBool,
}

impl RunFile {
    /// Opens the run of a number. What it was said to be, if anything, is its length and its trailer's checksum.
    pub(super) fn open(
        context: &Arc<TableContext>,
        number: u64,
        expected: Option<(u64, u32)>,
    ) -> Result<Self> {
        let path = Named::Run(number).path(&context.directory);
        let file = open_to_read(&*context.files, &path)?;
        let superblock = Superblock::decode(
            &path,
            &file.head()?,
            FileKind::TableRun,
            Some(&context.store),
        )?;
        if superblock.number != number {
            return Err(file.corrupt(32, "the file has another one's name"));
        }
        let length = file.length();
        let start = length.saturating_sub(TRAILER_BYTES as u64);
        let bytes = file.read(start, (length - start) as usize)?;
        let (trailer, checksum) = Trailer::decode(&bytes, start, context)
            .ok_or_else(|| file.corrupt(start, "the run doesn't end with its trailer"))?;
        if expected.is_some_and(|expected| expected != (length, checksum)) {
            return Err(file.corrupt(start, "the run is another than the set's file names"));
        }
        let rows = file.read(trailer.commits_at, (start - trailer.commits_at) as usize)?;
        if context.salt.checksum(&rows) != trailer.commits_checksum {
            return Err(file.corrupt(trailer.commits_at, "the commits' checksum doesn't match"));
        }
        let commits = rows
            .chunks_exact(COMMIT_BYTES)
            .filter_map(decode_commit)
            .collect();
        Ok(Self {
            context: Arc::clone(context),
            file,
            number,
            trailer,
            checksum,
            commits,
            index: OnceLock::new(),
            is_doomed: AtomicBool::new(false),
        })
    }

    /// The same with what is known of a file that was just written.
    pub(super) fn with_index(mut self, index: RunIndex) -> Self {
        self.index = OnceLock::from(index);
        self
    }

    pub(super) fn bytes(&self) -> u64 {
        self.file.length()
    }

    /// Has the file go once nobody reads it.
    pub(super) fn doom(&self) {
        self.is_doomed.store(true, Ordering::Release);
    }

    pub(super) fn index(&self) -> Result<&RunIndex> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        // Two threads that ask at once both read it; one of the two is kept.
        let read = self.read_index()?;
        Ok(self.index.get_or_init(|| read))
    }

    fn read_index(&self) -> Result<RunIndex> {
        let Trailer {
            fences_at,
            filter_at,
            commits_at,
            ..
        } = self.trailer;
        let salt = self.context.salt;
        let fences = self
            .file
            .read(fences_at, (filter_at - fences_at) as usize)?;
        if salt.checksum(&fences) != self.trailer.fences_checksum {
            return Err(self
                .file
                .corrupt(fences_at, "the fences' checksum doesn't match"));
        }
        let start = SUPERBLOCK_BYTES as u64;
        let fences = Fences::decode(&fences, self.trailer.blocks, start)
            .filter(|fences| fences.end() == fences_at)
            .ok_or_else(|| {
                self.file
                    .corrupt(fences_at, "these are no fences of its blocks")
            })?;
        let filter = self
            .file
            .read(filter_at, (commits_at - filter_at) as usize)?;
        if salt.checksum(&filter) != self.trailer.filter_checksum {
            return Err(self
                .file
                .corrupt(filter_at, "the filter's checksum doesn't match"));
        }
        let filter = Filter::from_bytes(filter);
        Ok(RunIndex { fences, filter })
    }

    /// Whether it may have versions of a key.
    pub(super) fn may_have(&self, key: &[u8]) -> Result<bool> {
        let hash = self.context.hash.of_table_key(key);
        Ok(self.index()?.filter.may_have(hash))
    }

    /// What the commits up to `limit` made of a key with this hash, as far as this run tells.
    pub(super) fn find(&self, key: &[u8], hash: u64, limit: u64) -> Result<Option<Found>> {
        let RunIndex { fences, filter } = self.index()?;
        if !filter.may_have(hash) {
            return Ok(None);
        }
        let mut block = fences.block_of(key);
        loop {
            let found = match block < fences.len() {
                true => self.part(block)?.find(key, limit),
                false => None,
            };
            block += 1;
            // Versions of one key may go on in the next block, which then begins with it.
            if found.is_some() || block >= fences.len() || fences.key(block) != key {
                return Ok(found);
            }
        }
    }

    /// A block's versions, from memory if they are there.
    pub(super) fn part(&self, number: usize) -> Result<Arc<Part>> {
        let key = (self.file.number(), number as u32);
        if let Some(part) = self.context.cache.get(&key) {
            return Ok(part);
        }
        let part = Arc::new(self.read_part(number)?);
        self.context.cache.insert(key, Arc::clone(&part));
        Ok(part)
    }

    /// A block's versions from the file, which nothing has a copy of.
    pub(super) fn read_part(&self, number: usize) -> Result<Part> {
        let at = self.block_at(number)?;
        let bytes = self.file.bytes(at.offset, at.bytes as usize)?;
        if block_checksum(self.context.salt, &bytes) != at.checksum {
            return Err(self.damaged_block(at));
        }
        Part::parse(bytes, self.trailer.base).ok_or_else(|| self.damaged_block(at))
    }

    fn block_at(&self, number: usize) -> Result<BlockAt> {
        let missing = || {
            self.file
                .corrupt(self.trailer.fences_at, "a fence is missing")
        };
        self.index()?.fences.block(number).ok_or_else(missing)
    }

    fn damaged_block(&self, at: BlockAt) -> Error {
        let reason = format!("the block of {} bytes doesn't match its checksum", at.bytes);
        self.file.corrupt(at.offset, reason)
    }

    /// All of its versions, read past the cache from front to back.
    pub(super) fn versions(&self) -> Result<RunVersions<'_>> {
        let mut versions = RunVersions {
            run: self,
            pieces: Pieces::new(&self.file),
            block: Vec::new(),
            next_block: 0,
            at: 0,
            length: 0,
        };
        versions.advance()?;
        Ok(versions)
    }
}

impl Drop for RunFile {
    fn drop(&mut self) {
        if !self.is_doomed.load(Ordering::Acquire) {
            return;
        }
        if let Err(error) = self.context.files.remove(self.file.path()) {
            // The next writer that opens the store removes it.
            tracing::warn!(%error, run = %self.file.path().display(), "a run that was merged can't be removed");
        }
    }
}

/// See [`RunFile::versions`].
pub(super) struct RunVersions<'a> {
    run: &'a RunFile,
    pieces: Pieces<'a>,
    block: Vec<u8>,
    next_block: usize,
    /// Where the current version begins and how long it is; 0 at the end.
    at: usize,
    length: usize,
}

impl RunVersions<'_> {
    fn read_block(&mut self) -> Result<bool> {
        let Some(at) = self.run.index()?.fences.block(self.next_block) else {
            return Ok(false);
        };
        self.next_block += 1;
        let bytes = self.pieces.get(at.offset, at.bytes as usize)?;
        let bytes = bytes.ok_or_else(|| self.run.damaged_block(at))?;
        if block_checksum(self.run.context.salt, bytes) != at.checksum {
            return Err(self.run.damaged_block(at));
        }
        self.block.clear();
        self.block.extend_from_slice(bytes);
        self.at = 0;
        Ok(true)
    }
}

impl Versions for RunVersions<'_> {
    fn current(&self) -> Option<Version<'_>> {
        let bytes = &self.block[self.at..self.at + self.length];
        Version::decode(bytes, self.run.trailer.base).map(|(version, _)| version)
    }

    fn advance(&mut self) -> Result<()> {
        self.at += self.length;
        self.length = 0;
        if self.at == self.block.len() && !self.read_block()? {
            return Ok(());
        }
        let found = Version::decode(&self.block[self.at..], self.run.trailer.base);
        let damaged = || {
            let reason = "what the block holds are no versions";
            self.run.file.corrupt(self.run.trailer.fences_at, reason)
        };
        self.length = found.map(|(_, length)| length).ok_or_else(damaged)?;
        Ok(())
    }
}
