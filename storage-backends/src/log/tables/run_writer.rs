//! Writing a run: one pass over its versions, with buffers of fixed size; fences and filter stay in memory, where readers need them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::files::FileHandle;
use super::super::format::{FileKind, SUPERBLOCK_BYTES, Superblock, VERSION};
use super::super::index_writer::Stream;
use super::boundaries::Boundary;
use super::context::TableContext;
use super::fences::{BLOCK_BYTES, Fences, block_checksum};
use super::filter::Filter;
use super::names::Named;
use super::run_file::{RunFile, RunIndex};
use super::trailer::{Trailer, encode_commit};
use super::version::Version;
use super::versions::Merge;
use crate::{Error, Result};

/// Versions between two looks at whether to stop.
const STOP_STRIDE: u64 = 8192;
const OPERATION: &str = "write a run";

/// What a run is to be.
pub(super) struct RunPlan<'a> {
    pub(super) number: u64,
    pub(super) merge: Merge<'a>,
    /// Versions in all sources.
    pub(super) versions_max: u64,
    /// The commits whose changes it has.
    pub(super) first: u64,
    pub(super) last: u64,
    /// Those of them that can be gone back to.
    pub(super) commits: Vec<Boundary>,
    /// Ends the writing.
    pub(super) stop: Option<&'a AtomicBool>,
}

/// A run that was written, and isn't on the disk yet.
pub(super) struct Written {
    pub(super) handle: Box<dyn FileHandle>,
    pub(super) run: RunFile,
}

/// Writes a run; nothing if it was told to stop. What was written of a run that fails, or is stopped, is removed again.
pub(super) fn write_run(context: &Arc<TableContext>, plan: RunPlan<'_>) -> Result<Option<Written>> {
    let path = Named::Run(plan.number).path(&context.directory);
    let handle = context
        .files
        .create(&path)
        .map_err(|source| Error::system(OPERATION, &path, source))?;
    let outcome = fill(context, plan, &*handle).map(|run| run.map(|run| Written { handle, run }));
    if !matches!(outcome, Ok(Some(_))) {
        // No set's file names it. What can't be removed, the next writer that opens the store removes.
        let _ = context.files.remove(&path);
    }
    outcome
}

fn fill(
    context: &Arc<TableContext>,
    plan: RunPlan<'_>,
    handle: &dyn FileHandle,
) -> Result<Option<RunFile>> {
    let RunPlan {
        number,
        merge,
        versions_max,
        first,
        last,
        commits,
        stop,
    } = plan;
    let path = Named::Run(number).path(&context.directory);
    // What came before the lowest moment that can be gone back to is all the same.
    let base = merge.boundaries.lowest().min(last);
    let mut writer = RunWriter::new(context, handle, number, base, versions_max)?;
    let is_whole = merge.run(|version| {
        let is_due = writer.versions.is_multiple_of(STOP_STRIDE);
        // A merge can take minutes, for which closing the store must not wait.
        if is_due && stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            return Ok(false);
        }
        writer.add(version).map(|()| true)
    })?;
    if !is_whole {
        return Ok(None);
    }
    let (index, expected) = writer
        .finish(first, last, &commits)
        .map_err(|source| Error::system(OPERATION, &path, source))?;
    let run = RunFile::open(context, number, Some(expected))?;
    Ok(Some(run.with_index(index)))
}

struct RunWriter<'a> {
    context: &'a TableContext,
    stream: Stream<'a>,
    number: u64,
    base: u64,
    block: Vec<u8>,
    /// Keys of the block's first version and of the last version.
    first_key: Vec<u8>,
    last_key: Vec<u8>,
    is_continued: bool,
    fences: Fences,
    filter: Filter,
    versions: u64,
    keys: u64,
}

impl<'a> RunWriter<'a> {
    fn new(
        context: &'a TableContext,
        handle: &'a dyn FileHandle,
        number: u64,
        base: u64,
        versions_max: u64,
    ) -> Result<Self> {
        let superblock = Superblock {
            kind: FileKind::TableRun,
            version: VERSION,
            store: context.store,
            number,
            fields: [0; 5],
        };
        let mut stream = Stream::new(handle, 0);
        let fault = |source| {
            let path = Named::Run(number).path(&context.directory);
            Error::system(OPERATION, &path, source)
        };
        stream.push(&superblock.encode()).map_err(fault)?;
        Ok(Self {
            context,
            stream,
            number,
            base,
            block: Vec::with_capacity(BLOCK_BYTES),
            first_key: Vec::new(),
            last_key: Vec::new(),
            is_continued: false,
            fences: Fences::from_offset(SUPERBLOCK_BYTES as u64),
            filter: Filter::for_keys(versions_max),
            versions: 0,
            keys: 0,
        })
    }

    fn add(&mut self, version: Version<'_>) -> Result<()> {
        // No key is empty, since each begins with its table.
        let is_same_key = version.key == self.last_key;
        if !self.block.is_empty() && self.block.len() + version.bytes_max() > BLOCK_BYTES {
            self.finish_block().map_err(|source| {
                let path = Named::Run(self.number).path(&self.context.directory);
                Error::system(OPERATION, &path, source)
            })?;
        }
        if self.block.is_empty() {
            self.first_key.clear();
            self.first_key.extend_from_slice(version.key);
            self.is_continued = is_same_key;
        }
        version.encode(self.base, &mut self.block);
        self.versions += 1;
        if !is_same_key {
            self.keys += 1;
            self.filter.add(self.context.hash.of_table_key(version.key));
            self.last_key.clear();
            self.last_key.extend_from_slice(version.key);
        }
        Ok(())
    }

    fn finish_block(&mut self) -> std::io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let checksum = block_checksum(self.context.salt, &self.block);
        let bytes = self.block.len() as u32;
        self.fences
            .push(&self.first_key, self.is_continued, bytes, checksum);
        self.stream.push(&self.block)?;
        self.block.clear();
        Ok(())
    }

    /// Writes all that follows the blocks. Gives the index, and length and trailer's checksum of the file.
    fn finish(
        mut self,
        first: u64,
        last: u64,
        commits: &[Boundary],
    ) -> std::io::Result<(RunIndex, (u64, u32))> {
        self.finish_block()?;
        self.filter.shrink_to(self.keys);
        let fences = self.fences.encode();
        let commits: Vec<u8> = commits.iter().flat_map(encode_commit).collect();
        let fences_at = self.fences.end();
        let filter_at = fences_at + fences.len() as u64;
        let commits_at = filter_at + self.filter.bytes().len() as u64;
        let salt = self.context.salt;
        let trailer = Trailer {
            versions: self.versions,
            fences_at,
            blocks: self.fences.len() as u64,
            filter_at,
            commits_at,
            base: self.base,
            first,
            last,
            fences_checksum: salt.checksum(&fences),
            filter_checksum: salt.checksum(self.filter.bytes()),
            commits_checksum: salt.checksum(&commits),
        };
        let (bytes, checksum) = trailer.encode(self.context);
        self.stream.push(&fences)?;
        self.stream.push(self.filter.bytes())?;
        self.stream.push(&commits)?;
        self.stream.push(&bytes)?;
        self.stream.flush()?;
        let length = commits_at + (commits.len() + bytes.len()) as u64;
        let index = RunIndex {
            fences: self.fences,
            filter: self.filter,
        };
        Ok((index, (length, checksum)))
    }
}
