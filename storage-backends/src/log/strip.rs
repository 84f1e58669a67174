//! Stripping: rewriting a segment's heads without the keys and headers below their floors.
//!
//! The new file takes the old one's name only when it is whole and on the disk, so a crash leaves one or the other;
//! readers that hold bytes of the old one keep it until they let go. Records stay, since ids stay, and with them the
//! footer; of truncated blocks nothing else does. What stays is copied as it is, damaged or not, with its checksums. The
//! heads of the open segment go on growing in the new file, whose superblock has the floors and says how much of it is
//! on the disk, since the frames that said so are gone.

use std::io;
use std::path::Path;

use super::disk::GrowingFile;
use super::files::FileHandle;
use super::format::{
    FRAME_BYTES, FileKind, FrameHead, FrameKind, Named, RestHead, SUPERBLOCK_BYTES, Salt, Stripped,
    Superblock, Trailer, finish_frame, table_entry,
};
use super::index_file::is_worth_it;
use super::read_file::Pieces;
use super::record::Keep;
use super::segment::{HeightTable, Segment, table_start};
use super::shared::LogContext;
use crate::{Error, Extent, Result};

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 1 << 20;
const OPERATION: &str = "prune";

/// Whether so much of a segment is below the floors that its heads should be rewritten.
pub(super) fn is_due(segment: &Segment, extent: Extent) -> bool {
    if segment.live.is_empty() {
        let below = segment.live.end < extent.index_floor;
        return below && segment.stripped.keys <= segment.live.end && segment.blocks() > 0;
    }
    let blocks = segment.live.end - segment.low;
    let below = |floor: u64| floor.clamp(segment.low, segment.live.end) - segment.low;
    let due = |floor, stripped| {
        let gone = below(stripped);
        is_worth_it(below(floor).saturating_sub(gone), blocks - gone)
    };
    due(extent.index_floor, segment.stripped.keys)
        || due(extent.header_floor, segment.stripped.headers)
}

/// A segment's heads after stripping.
#[derive(Debug)]
pub(super) struct Rest {
    /// The file, which hasn't got its name yet.
    pub(super) file: GrowingFile,
    /// Checksum of its last frame, but for a footer.
    pub(super) checksum: u32,
    pub(super) table: HeightTable,
    pub(super) stripped: Stripped,
}

/// Writes what stays of a segment's heads to a file that is on the disk when this returns.
pub(super) fn strip(
    context: &LogContext,
    segment: &Segment,
    extent: Extent,
    is_open: bool,
) -> Result<Rest> {
    let path = Named::Heads(segment.number).path(&context.directory);
    let path = path.with_extension("new");
    let fault = |source| Error::system(OPERATION, &path, source);
    let file = context.files.create(&path).map_err(fault)?;
    let head = RestHead {
        bodies_bytes: segment.bodies_bytes,
        stripped: Stripped {
            keys: extent.index_floor.max(segment.stripped.keys),
            headers: extent.header_floor.max(segment.stripped.headers),
        },
        content: (!is_open).then_some(segment.content),
    };
    let start = SUPERBLOCK_BYTES as u64;
    let mut payload = Payload::new(&*file, context.salt, start + FRAME_BYTES as u64);
    payload.buffer.extend_from_slice(&head.encode());
    // The records go to the file as they come, so that no segment is in memory as a whole; the frame's head, which needs their
    // checksum, is written last.
    let (offsets, entries) = push_records(&mut payload, &path, segment, head.stripped)?;
    let (end, payload_checksum) = (payload.at, payload.checksum);
    let superblock = superblock(context, segment, extent, is_open.then_some(end))?;
    let frame = FrameHead {
        kind: FrameKind::Rest,
        length: end - start - FRAME_BYTES as u64,
        height: segment.low,
        synced: start,
        previous: superblock.checksum(),
        payload_checksum,
        checksum: 0,
    };
    let (frame, checksum) = frame.encode(context.salt);
    file.write_at(&[&superblock.encode()[..], &frame].concat(), 0)
        .map_err(fault)?;
    let mut file = GrowingFile {
        path: path.clone(),
        file,
        end,
        synced: end,
    };
    let table = if is_open {
        HeightTable::Listed(offsets)
    } else {
        let trailer = Trailer {
            footer: end,
            low: segment.low,
            end: segment.low + offsets.len() as u64,
            bodies_bytes: segment.bodies_bytes,
            entries,
            stripped: head.stripped,
            content: segment.content,
        };
        let footer = footer(context.salt, &trailer, &offsets, checksum);
        file.push(OPERATION, &footer)?;
        HeightTable::InFile(table_start(end))
    };
    // The caller renames it over the only copy of these records.
    file.file.sync().map_err(fault)?;
    Ok(Rest {
        file,
        checksum,
        table,
        stripped: head.stripped,
    })
}

/// That of an open segment is followed by more frames, from an extent on that the file itself no longer tells.
fn superblock(
    context: &LogContext,
    segment: &Segment,
    extent: Extent,
    synced: Option<u64>,
) -> Result<Superblock> {
    let heads = &segment.heads;
    let held = Superblock::decode(
        heads.path(),
        &heads.head()?,
        FileKind::Heads,
        Some(&context.store),
    )?;
    let Some(synced) = synced else {
        return Ok(held);
    };
    let begun = Extent {
        end: held.extent().end,
        ..extent
    };
    let mut fields = Superblock::fields_of(begun);
    // Without this, damage to the new file would pass for a torn tail until the next frame says what was synced.
    fields[fields.len() - 1] = synced;
    Ok(Superblock { fields, ..held })
}

/// Writes the records; gives their offsets, and how many index entries they have.
fn push_records(
    payload: &mut Payload<'_>,
    path: &Path,
    segment: &Segment,
    stripped: Stripped,
) -> Result<(Vec<u64>, u64)> {
    let fault = |source| Error::system(OPERATION, path, source);
    let salt = payload.salt;
    let mut pieces = Pieces::new(&segment.heads);
    let (mut offsets, mut entries) = (Vec::new(), 0);
    for height in segment.low..segment.low + segment.blocks() {
        let record = segment.record(height, salt)?;
        let is_live = segment.live.contains(&height);
        let keys = Keep::when(is_live && height >= stripped.keys);
        let header = Keep::when(is_live && height >= stripped.headers);
        offsets.push(payload.end());
        entries += match keys {
            Keep::Yes => record.entries as u64,
            Keep::Not => 0,
        };
        let damaged = || {
            segment
                .heads
                .corrupt(record.offset, "the record is damaged")
        };
        // Copied with its checksums, not with fresh ones: what is damaged has to stay recognisable as damaged.
        let whole = pieces.get(record.offset, record.bytes())?;
        let whole = whole.ok_or_else(damaged)?;
        record.push_rest(whole, keys, header, salt, &mut payload.buffer);
        payload.flush(BUFFER_BYTES).map_err(fault)?;
    }
    payload.flush(0).map_err(fault)?;
    Ok((offsets, entries))
}

/// The footer frame of a segment whose last frame has the checksum `previous`.
pub(super) fn footer(salt: Salt, trailer: &Trailer, offsets: &[u64], previous: u32) -> Vec<u8> {
    let mut frame = vec![0; FRAME_BYTES];
    for (height, offset) in (trailer.low..).zip(offsets) {
        frame.extend_from_slice(&table_entry(salt, height, *offset));
    }
    frame.extend_from_slice(&trailer.encode(salt));
    let (kind, synced) = (FrameKind::Footer, SUPERBLOCK_BYTES as u64);
    finish_frame(&mut frame, salt, kind, trailer.end, synced, previous);
    frame
}

/// A frame's payload on its way to the file, and its checksum.
struct Payload<'a> {
    file: &'a dyn FileHandle,
    salt: Salt,
    at: u64,
    checksum: u32,
    buffer: Vec<u8>,
}

impl<'a> Payload<'a> {
    fn new(file: &'a dyn FileHandle, salt: Salt, at: u64) -> Self {
        Self {
            file,
            salt,
            at,
            checksum: salt.checksum(&[]),
            buffer: Vec::new(),
        }
    }

    /// Where the next byte goes.
    fn end(&self) -> u64 {
        self.at + self.buffer.len() as u64
    }

    /// Writes what was gathered if it is more than `above`.
    fn flush(&mut self, above: usize) -> io::Result<()> {
        if self.buffer.len() <= above {
            return Ok(());
        }
        self.file.write_at(&self.buffer, self.at)?;
        self.checksum = self.salt.continued(self.checksum, &self.buffer);
        self.at = self.end();
        self.buffer.clear();
        Ok(())
    }
}
