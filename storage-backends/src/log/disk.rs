//! The open segment's files, as the writer has them: frames and bodies go to their end, in the order that makes
//! a run whole or nothing.
//!
//! 1. Bodies, and a frame with all heads of the run: the run exists once the frame is whole and its bodies are, whichever
//!    comes first. Opening checks both for what was not on the disk before.
//! 2. A frame says how much had been synced when it was written, and a mark says it after each sync; so a
//!    frame that is damaged although it had been on the disk is told from a torn one.
//! 3. A segment is sealed and on the disk before the next one gets its name, and that name is before anything is written
//!    into it that only its version allows.
//! 4. Nothing is ever written below an end, but by opening, and there the same bytes.
//! 5. What a failed mutation wrote behind what counts is cut off again. On a disk that is full it would be in the way of
//!    the next writer, with holes where the disk had no room.

use std::path::PathBuf;

use super::bodies::{Buffers, Way};
use super::files::FileHandle;
use super::format::{
    FRAME_BYTES, FileKind, FrameKind, Named, SUPERBLOCK_BYTES, Salt, Stripped, Superblock, Trailer,
    VERSION, finish_frame, table_entry,
};
use super::mark::{Mark, MarkFile};
use super::read_file::ReadFile;
use super::record::{Record, RunDraft, bodies_bytes};
use super::shared::LogContext;
use super::values::{ValueFile, sync_directory};
use crate::{Block, Error, Extent, Result};

/// The largest frame whose memory is kept for the next.
const SPARE_BYTES_MAX: usize = 4 << 20;

/// A file that grows at its end.
#[derive(Debug)]
pub(super) struct GrowingFile {
    pub(super) path: PathBuf,
    pub(super) file: Box<dyn FileHandle>,
    pub(super) end: u64,
    pub(super) synced: u64,
}

impl GrowingFile {
    pub(super) fn fault(&self, operation: &'static str) -> impl Fn(std::io::Error) -> Error {
        move |source| Error::system(operation, &self.path, source)
    }

    pub(super) fn push(&mut self, operation: &'static str, bytes: &[u8]) -> Result<()> {
        self.file
            .write_at(bytes, self.end)
            .map_err(self.fault(operation))?;
        // Moved only now: what a failed write left is behind the end, where `cut_back` takes it away.
        self.end += bytes.len() as u64;
        Ok(())
    }
}

/// The heads of a run that were written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heads<'a> {
    /// The frame.
    pub(super) frame: &'a [u8],
    /// Where in it the records begin.
    pub(super) records: &'a [usize],
    /// The frame's offset in the file of heads.
    pub(super) start: u64,
    /// The end of the file of heads.
    pub(super) end: u64,
    /// Checksum of the frame.
    pub(super) content: u32,
}

impl<'a> Heads<'a> {
    /// The record at an offset of the frame; `heads` is the file that it was written to.
    pub(super) fn record(self, at: usize, salt: Salt, heads: &ReadFile) -> Result<Record> {
        let bytes = &self.frame[at..];
        let (offset, room) = (self.start + at as u64, bytes.len() as u64);
        Record::decode(bytes, offset, room, salt).ok_or_else(|| {
            let reason = "the record is not what was to be written";
            heads.corrupt(offset, reason)
        })
    }

    /// The records' offsets in the file of heads.
    pub(super) fn offsets(self) -> impl Iterator<Item = u64> + 'a {
        self.records.iter().map(move |at| self.start + *at as u64)
    }
}

/// Where the files end.
#[derive(Debug, Clone, Copy, Default)]
struct Ends {
    heads: u64,
    bodies: u64,
    values: u64,
}

/// The segment that is written to, as it was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Continued {
    pub(super) number: u64,
    /// Of its file of heads.
    pub(super) version: u32,
    /// Checksum of the last frame.
    pub(super) content: u32,
}

#[derive(Debug)]
pub(super) struct Disk {
    pub(super) context: LogContext,
    pub(super) segment: u64,
    /// Of the file of heads, and of those of later segments at least.
    pub(super) version: u32,
    pub(super) heads: GrowingFile,
    pub(super) bodies: GrowingFile,
    /// Checksum of the last frame.
    pub(super) content: u32,
    pub(super) values: ValueFile,
    pub(super) mark: MarkFile,
    kept: Ends,
    buffers: Buffers,
    /// The memory of the last frame, used again: fresh memory for each frame costs more than the copying.
    spare: Vec<u8>,
}

impl Disk {
    pub(super) fn new(
        context: LogContext,
        segment: Continued,
        heads: GrowingFile,
        bodies: GrowingFile,
        values: ValueFile,
        mark: MarkFile,
    ) -> Self {
        let mut disk = Self {
            context,
            segment: segment.number,
            version: segment.version,
            heads,
            bodies,
            content: segment.content,
            values,
            mark,
            kept: Ends::default(),
            buffers: Buffers::default(),
            spare: Vec::new(),
        };
        disk.keep();
        disk
    }

    /// Notes that everything written so far counts: it is published, or on the disk.
    pub(super) fn keep(&mut self) {
        self.kept = Ends {
            heads: self.heads.end,
            bodies: self.bodies.end,
            values: self.values.end,
        };
    }

    /// Cuts off what was written since, as far as the system allows. The files then end where opening would end them.
    pub(super) fn cut_back(&self) {
        let Ends {
            heads,
            bodies,
            values,
        } = self.kept;
        let files = [
            (&self.heads.file, heads),
            (&self.bodies.file, bodies),
            (&self.values.file, values),
        ];
        for (file, end) in files {
            // What stays behind is a torn tail, which opening cuts.
            if let Err(error) = file.cut(end) {
                tracing::debug!(%error, "a tail that doesn't count stays");
            }
        }
    }

    /// Whether the segment holds no run yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.bodies.end == SUPERBLOCK_BYTES as u64
    }

    /// Encodes a run and writes it as a frame of a kind, and does something with its heads while bodies may still be on their
    /// way to the disk. If it is to be synced next, the disk begins with them at once.
    pub(super) fn write_run<T>(
        &mut self,
        kind: FrameKind,
        run: &[Block],
        is_to_sync: bool,
        then: impl FnOnce(Heads<'_>) -> Result<T>,
    ) -> Result<T> {
        let (salt, bodies_at) = (self.context.salt, self.bodies.end);
        let way = match is_to_sync {
            true if bodies_bytes(run) >= self.context.options.direct_bytes => Way::PastCache,
            true => Way::Begun,
            false => Way::Cached,
        };
        let height = run.first().map_or(0, |block| block.height);
        let (heads, content) = (&mut self.heads, &mut self.content);
        let spare = &mut self.spare;
        let write_heads = |checksums: &[u32]| {
            let mut draft = RunDraft::new(std::mem::take(spare), run, checksums, bodies_at, salt);
            let start = heads.end;
            let what = (kind, height);
            write_frame(heads, content, salt, "append", what, &mut draft.frame)?;
            let written = Heads {
                frame: &draft.frame,
                records: &draft.records,
                start,
                end: heads.end,
                content: *content,
            };
            let outcome = then(written)?;
            if draft.frame.capacity() <= SPARE_BYTES_MAX {
                *spare = draft.frame;
            }
            Ok(outcome)
        };
        // The frame may reach the disk before its bodies. Opening reads the bodies of every frame that isn't known to have been
        // synced, so either order leaves a whole run or none.
        self.buffers
            .write(&mut self.bodies, run, salt, way, write_heads)
    }

    /// Writes a frame, whose head is left free, to the end of the heads.
    pub(super) fn write_frame(
        &mut self,
        operation: &'static str,
        kind: FrameKind,
        height: u64,
        frame: &mut Vec<u8>,
    ) -> Result<()> {
        let (heads, content) = (&mut self.heads, &mut self.content);
        write_frame(
            heads,
            content,
            self.context.salt,
            operation,
            (kind, height),
            frame,
        )
    }

    /// Writes a frame without payload.
    pub(super) fn write_note(
        &mut self,
        operation: &'static str,
        kind: FrameKind,
        height: u64,
    ) -> Result<()> {
        self.write_frame(operation, kind, height, &mut vec![0; FRAME_BYTES])
    }

    /// Makes everything written so far survive loss of power.
    pub(super) fn sync(&mut self, operation: &'static str) -> Result<()> {
        let values_path = Named::Values(self.values.generation).path(&self.context.directory);
        let candidates = [
            (
                self.heads.end > self.heads.synced,
                &self.heads.file,
                &self.heads.path,
            ),
            (
                self.bodies.end > self.bodies.synced,
                &self.bodies.file,
                &self.bodies.path,
            ),
            (!self.values.is_synced(), &self.values.file, &values_path),
        ];
        let due: Vec<_> = candidates.into_iter().filter(|(due, ..)| *due).collect();
        if due.is_empty() {
            return Ok(());
        }
        // Each sync is a round trip to the disk; two at the same time take as long as one.
        let files: Vec<&dyn FileHandle> = due.iter().map(|(_, file, _)| &***file).collect();
        self.context
            .files
            .sync(&files)
            .map_err(|(number, source)| Error::system(operation, due[number].2, source))?;
        // Only when all of them are on the disk: the next frame says `synced` of its own file, and by that of the bodies too.
        self.heads.synced = self.heads.end;
        self.bodies.synced = self.bodies.end;
        self.values.synced = self.values.end;
        // What is durable is kept even if the rest of the mutation fails: bodies may be unlinked by then because of a floor or
        // a truncation that cutting would undo.
        self.keep();
        self.write_mark(operation)
    }

    pub(super) fn write_mark(&mut self, operation: &'static str) -> Result<()> {
        let mark = Mark {
            segment: self.segment,
            heads: self.heads.synced,
            generation: self.values.generation,
            values: self.values.synced,
            ..Mark::default()
        };
        self.mark.write(mark).map_err(|source| {
            let path = Named::Mark.path(&self.context.directory);
            Error::system(operation, &path, source)
        })
    }

    /// Goes over to heads that were rewritten and are on the disk, and gives them their name. Before, the mark must no
    /// longer claim what they haven't.
    pub(super) fn exchange_heads(&mut self, mut heads: GrowingFile, content: u32) -> Result<()> {
        // The new file is shorter. A crash after the renaming would leave a mark that claims bytes which it hasn't, and the
        // next opening would call that damage.
        self.heads.synced = SUPERBLOCK_BYTES as u64;
        self.write_mark("prune")?;
        self.sync_mark("prune")?;
        // The superblock of the new file says itself how much of it is on the disk, so a crash before the next mark hides no
        // damage.
        heads.path = name_heads(&self.context, self.segment)?;
        self.heads = heads;
        self.content = content;
        self.keep();
        self.write_mark("prune")
    }

    pub(super) fn sync_mark(&self, operation: &'static str) -> Result<()> {
        self.mark.sync().map_err(|source| {
            let path = Named::Mark.path(&self.context.directory);
            Error::system(operation, &path, source)
        })
    }

    /// Ends the segment: writes the table of the records' offsets, and makes all of it survive loss of power.
    pub(super) fn seal(
        &mut self,
        low: u64,
        offsets: &[u64],
        entries: u64,
        stripped: Stripped,
    ) -> Result<()> {
        let salt = self.context.salt;
        let mut frame = vec![0; FRAME_BYTES];
        for (height, offset) in (low..).zip(offsets) {
            frame.extend_from_slice(&table_entry(salt, height, *offset));
        }
        let end = low + offsets.len() as u64;
        let trailer = Trailer {
            footer: self.heads.end,
            low,
            end,
            bodies_bytes: self.bodies.end,
            entries,
            stripped,
            content: self.content,
        };
        frame.extend_from_slice(&trailer.encode(salt));
        // A segment that another follows is taken for synced as a whole, so this sync comes before the next segment has a name.
        self.write_frame("append", FrameKind::Footer, end, &mut frame)?;
        self.sync("append")
    }

    /// Makes the files of the next segment, with heads of a version, and goes over to them.
    pub(super) fn begin_segment(&mut self, extent: Extent, version: u32) -> Result<()> {
        let number = self.segment + 1;
        let (heads, bodies, content) = create_segment(&self.context, number, extent, version)?;
        self.segment = number;
        self.version = version;
        self.heads = heads;
        self.bodies = bodies;
        self.content = content;
        self.keep();
        // Synced: until the index file before it is made, the mark alone tells of the new segment, and one whose heads were
        // lost would pass for one that never was.
        self.write_mark("append")?;
        self.sync_mark("append")
    }
}

fn write_frame(
    heads: &mut GrowingFile,
    content: &mut u32,
    salt: Salt,
    operation: &'static str,
    (kind, height): (FrameKind, u64),
    frame: &mut Vec<u8>,
) -> Result<()> {
    let checksum = finish_frame(frame, salt, kind, height, heads.synced, *content);
    heads.push(operation, frame)?;
    *content = checksum;
    Ok(())
}

/// Gives a segment's heads, which are whole and on the disk, their name.
pub(super) fn name_heads(context: &LogContext, number: u64) -> Result<PathBuf> {
    let path = Named::Heads(number).path(&context.directory);
    let fresh = path.with_extension("new");
    context
        .files
        .rename(&fresh, &path)
        .map_err(|source| Error::system("name", &fresh, source))?;
    // A crash may undo a rename until its directory is synced (fsync(2)), and with it all that was written into the segment.
    sync_directory(context)?;
    Ok(path)
}

/// Makes a segment's files; the heads are of a version. The heads get their name last: then the segment exists.
pub(super) fn create_segment(
    context: &LogContext,
    number: u64,
    extent: Extent,
    version: u32,
) -> Result<(GrowingFile, GrowingFile, u32)> {
    let superblock = |kind| Superblock {
        kind,
        version: match kind {
            FileKind::Heads => version,
            _ => VERSION,
        },
        store: context.store,
        number,
        fields: Superblock::fields_of(extent),
    };
    let create = |path: PathBuf, kind| -> Result<GrowingFile> {
        let fault = |source| Error::system("create", &path, source);
        let file = context.files.create(&path).map_err(fault)?;
        // The superblock is synced before the file counts: a name may reach the disk before the bytes do, and leave zeros where
        // it should be.
        file.write_at(&superblock(kind).encode(), 0)
            .map_err(fault)?;
        file.sync().map_err(fault)?;
        let end = SUPERBLOCK_BYTES as u64;
        Ok(GrowingFile {
            path,
            file,
            end,
            synced: end,
        })
    };
    // Bodies first: once the heads have their name the segment exists, and without its bodies it would be damaged. Bodies
    // without heads are what a crash left here, and opening removes them.
    let bodies = create(
        Named::Bodies(number).path(&context.directory),
        FileKind::Bodies,
    )?;
    sync_directory(context)?;
    let path = Named::Heads(number).path(&context.directory);
    let mut heads = create(path.with_extension("new"), FileKind::Heads)?;
    heads.path = name_heads(context, number)?;
    let content = superblock(FileKind::Heads).checksum();
    Ok((heads, bodies, content))
}
