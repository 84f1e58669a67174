//! Stripping: writing a sealed segment's heads anew without the keys and headers below their floors.
//!
//! The new file takes the old one's name only when it is whole and on the disk, so a crash leaves one or the other;
//! readers that hold bytes of the old one keep it until they let go. Records stay, since ids stay, and with them the
//! footer; of truncated blocks nothing else does. What stays is copied as it is, damaged or not, with its checksums.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::files::FileHandle;
use super::format::{
    FRAME_BYTES, FrameKind, Named, SUPERBLOCK_BYTES, Salt, Stripped, TRAILER_BYTES, Trailer,
    encode_frame_head, finish_frame, padded, table_entry, u32_at,
};
use super::record::Keep;
use super::run::is_worth_it;
use super::segment::{HeightTable, MappedFile, Segment, table_start};
use super::shared::Site;
use super::values::sync_directory;
use crate::{Error, Extent, Result};

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 1 << 20;
const OPERATION: &str = "prune";

/// Whether so much of a segment is below the floors that its heads should be written anew.
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
    pub(super) heads: MappedFile,
    pub(super) table: HeightTable,
    pub(super) stripped: Stripped,
}

/// Writes what stays of a sealed segment's heads in their place.
pub(super) fn strip(site: &Site, segment: &Segment, extent: Extent) -> Result<Rest> {
    let path = Named::Heads(segment.number).path(&site.directory);
    let fresh = path.with_extension("new");
    let fault = |source| Error::system(OPERATION, &fresh, source);
    let file = site.files.create(&fresh).map_err(fault)?;
    let stripped = Stripped {
        keys: extent.index_floor.max(segment.stripped.keys),
        headers: extent.header_floor.max(segment.stripped.headers),
    };
    let footer = write_rest(&*file, &fresh, site.salt, segment, stripped)?;
    file.sync().map_err(fault)?;
    drop(file);
    site.files.rename(&fresh, &path).map_err(fault)?;
    sync_directory(site)?;
    let map = site
        .files
        .map(&path, 0)
        .map_err(|source| Error::system("map", &path, source))?;
    Ok(Rest {
        heads: MappedFile {
            path: Arc::new(path),
            map: Arc::new(map),
        },
        table: HeightTable::Mapped(table_start(footer)),
        stripped,
    })
}

/// Gives the footer's offset.
fn write_rest(
    file: &dyn FileHandle,
    path: &Path,
    salt: Salt,
    segment: &Segment,
    stripped: Stripped,
) -> Result<u64> {
    let fault = |source| Error::system(OPERATION, path, source);
    let heads = segment.heads.map.all();
    let start = SUPERBLOCK_BYTES as u64;
    let mut payload = Payload::new(file, salt, start + FRAME_BYTES as u64);
    let (mut offsets, mut entries) = (Vec::new(), 0);
    let end = segment.low + segment.blocks();
    for height in segment.low..end {
        let record = segment.record(height, salt)?;
        let is_live = segment.live.contains(&height);
        let keys = Keep::when(is_live && height >= stripped.keys);
        let header = Keep::when(is_live && height >= stripped.headers);
        offsets.push(payload.end());
        entries += match keys {
            Keep::Yes => record.entries as u64,
            Keep::Not => 0,
        };
        record.push_rest(heads, keys, header, salt, &mut payload.buffer);
        payload.flush(BUFFER_BYTES).map_err(fault)?;
    }
    payload.flush(0).map_err(fault)?;
    let superblock = &heads[..SUPERBLOCK_BYTES];
    let (head, checksum) = encode_frame_head(
        salt,
        FrameKind::Rest,
        payload.at - start - FRAME_BYTES as u64,
        segment.low,
        start,
        u32_at(superblock, 12),
        payload.checksum,
    );
    file.write_at(&[superblock, &head].concat(), 0)
        .map_err(fault)?;
    let mut footer = Vec::with_capacity(FRAME_BYTES + offsets.len() * 16 + TRAILER_BYTES);
    footer.resize(FRAME_BYTES, 0);
    for (height, offset) in (segment.low..).zip(offsets) {
        footer.extend_from_slice(&table_entry(salt, height, offset));
    }
    let trailer = Trailer {
        footer: payload.at,
        low: segment.low,
        end,
        bodies_bytes: segment.bodies_bytes,
        entries,
        stripped,
        content: segment.content,
    };
    footer.extend_from_slice(&trailer.encode(salt));
    finish_frame(&mut footer, salt, FrameKind::Footer, end, start, checksum);
    debug_assert_eq!(footer.len(), padded(footer.len()));
    file.write_at(&footer, payload.at).map_err(fault)?;
    Ok(payload.at)
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
