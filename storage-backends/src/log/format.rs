//! The bytes of the files: what is where. `on_disk` has it as types, `FORMAT.md` in words.
//!
//! All integers are little-endian. Every checksum is CRC32C that starts from the store's salt, which is the
//! CRC32C of its id; so the bytes of another store never check out, and nobody who doesn't know the id can
//! make up bytes that do.
//!
//! ```text
//! DIR/store               superblock "HLSTORE", a and b: the seed of the index's hash
//! DIR/mark                superblock "HLMARK", then two slots of 64 bytes
//! DIR/meta-G              superblock "HLMETA", then frames; G: generation
//! DIR/heads-N             superblock "HLHEADS", a: the end when the segment began; b, c, d: the floors of bodies, index
//!                         and headers, e: as many bytes were on the disk, when the file was made; then frames
//! DIR/bodies-N            superblock "HLBODIES", a to d as when the segment began, then bodies
//! DIR/index-F-L           superblock "HLINDEX", a: F, b: L, the first and last segment; see `index_file`
//! DIR/*.new               not yet renamed to its name; nobody reads it
//!
//! superblock   0 magic [8]   8 version u32   12 checksum u32   16 store id [16]   32 number u64
//! (80 bytes)  40 a u64      48 b u64         56 c u64          64 d u64         72 e u64
//!             checksum over all but itself; version: 2, and 3 for heads from the first on that may have frames of kind 9
//!
//! frame        0 magic "HLFR"      4 kind u32          8 length u64: of the payload
//! (8-aligned) 16 height u64       24 synced u64: as many bytes of this file, and everything in the
//!             other files they speak of, were known to be on disk when this frame was written
//!             32 previous u32: head checksum of the frame before; in the first, the superblock's
//!             36 payload checksum u32             40 zero u32        44 head checksum u32, over 0..44
//!             48 payload, zeros to a multiple of 8
//!
//! kind 1 run       height: of the first block; payload: records, one a block
//! kind 2 truncate  height: the end after it; no payload
//! kind 3 floor     height: the floor of bodies after it; no payload
//! kind 4 footer    height: the end; payload: the height table of heights low.., 16 bytes each
//!                  (offset of the record u64, checksum u32 over height and offset, zero u32), then the trailer:
//!                  0 magic "HLFT"   4 checksum u32 over 8..72   8 footer's offset u64   16 low u64
//!                  24 end u64      32 length of bodies-N u64   40 entries u64: of the blocks low..end, ids not counted
//!                  48, 56: heights u64 below which keys, headers were taken away   64 content u32   68 zero u32
//! kind 5 value     height: the value's length; payload: key length u32, value checksum u32, key, value
//! kind 6, 7        index floor, header floor: as kind 3
//! kind 8 rest      height: low; payload: length of bodies-N u64, heights u64 below which keys, headers were taken away,
//!                  content u32 of the frames it stands for, sealed u32 (0: the segment was open, and this frame's own
//!                  checksum counts for the content), then the records of all heights low..end; the first frame
//! kind 9 replace   height: of the first block, below the end; payload: records, one a block, at least one; only where the
//!                  superblock has version 3
//!
//! record       0 checksum u32 over 4..80      4 header length u32    8 entries u32
//!             12 flags u32 (1: listed, 2: keys taken away, 4: header taken away)
//! (8-aligned) 16 height u64       24 offset in bodies-N u64         32 body length u32    36 body checksum u32
//!             40 header checksum u32          44 keys checksum u32   48 id [32]
//!             80 header, then entries: key [32] each, whose position is its number; or, listed,
//!                checksum u32 over the rest, position u32, key [32]; then zeros to a multiple of 8
//!
//! body         0 magic "HLBD"      4 length u32        8 height u64
//! (8-aligned) 16 body checksum u32                    20 head checksum u32 over 0..20   24 body, zeros
//!
//! mark slot    0 checksum u32 over 4..64   4 zero u32   8 number u64   16 segment u64   24 synced bytes of heads u64
//!             32 meta generation u64      40 synced bytes of meta u64   48 zero [16]
//! ```

use std::mem::offset_of;
use std::path::Path;

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, IntoBytes, transmute};

pub(super) use super::names::Named;
use super::on_disk::{self, FIELDS};
pub(super) use crate::toolbox::salt::{Salt, StoreId};
use crate::{DamageAt, Error, Extent, Part, Result};

/// The version of files until blocks of their store are replaced, and of all but heads after that too.
pub(super) const VERSION: u32 = 2;
/// The version of a file of heads that may have frames of kind [`FrameKind::Replace`]. Programs that don't know the kind
/// would take such a frame for a torn one, and cut it; they refuse the version instead.
pub(super) const VERSION_REPLACED: u32 = 3;
pub(super) const SUPERBLOCK_BYTES: usize = size_of::<on_disk::Superblock>();
pub(super) const FRAME_BYTES: usize = size_of::<on_disk::FrameHead>();
pub(super) const TRAILER_BYTES: usize = size_of::<on_disk::Trailer>();
pub(super) const TABLE_ENTRY_BYTES: usize = size_of::<on_disk::TableEntry>();
pub(super) const REST_HEAD_BYTES: usize = size_of::<on_disk::RestHead>();
pub(super) const BODY_HEAD_BYTES: usize = size_of::<on_disk::BodyHead>();

const FRAME_MAGIC: &[u8; 4] = b"HLFR";
const TRAILER_MAGIC: &[u8; 4] = b"HLFT";
const BODY_MAGIC: &[u8; 4] = b"HLBD";

/// The next multiple of 8.
pub(super) const fn padded(len: usize) -> usize {
    len.next_multiple_of(8)
}

/// The kinds of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    Store,
    Mark,
    Values,
    Heads,
    Bodies,
    Index,
    TableSet,
    TableRun,
}

impl FileKind {
    const fn magic(self) -> &'static [u8; 8] {
        match self {
            Self::Store => b"HLSTORE\0",
            Self::Mark => b"HLMARK\0\0",
            Self::Values => b"HLMETA\0\0",
            Self::Heads => b"HLHEADS\0",
            Self::Bodies => b"HLBODIES",
            Self::Index => b"HLINDEX\0",
            Self::TableSet => b"HLTABSET",
            Self::TableRun => b"HLTABRUN",
        }
    }

    /// The newest version that a file of this kind can have.
    const fn newest(self) -> u32 {
        match self {
            Self::Heads => VERSION_REPLACED,
            Self::Store
            | Self::Mark
            | Self::Values
            | Self::Bodies
            | Self::Index
            | Self::TableSet
            | Self::TableRun => VERSION,
        }
    }
}

/// A file's first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Superblock {
    pub(super) kind: FileKind,
    pub(super) version: u32,
    pub(super) store: StoreId,
    pub(super) number: u64,
    /// What else it says, which depends on the kind.
    pub(super) fields: [u64; FIELDS],
}

impl Superblock {
    /// The extent that a segment began with, of its file of heads.
    pub(super) const fn extent(&self) -> Extent {
        let [end, floor, index_floor, header_floor, _] = self.fields;
        Extent {
            body_floor: floor,
            index_floor,
            header_floor,
            end,
        }
    }

    /// How much of a file of heads was on the disk when it got its name.
    pub(super) const fn synced(&self) -> u64 {
        let synced = self.fields[FIELDS - 1];
        // A segment that was begun, and not rewritten, has 0 here: its superblock alone was synced.
        if synced < SUPERBLOCK_BYTES as u64 {
            return SUPERBLOCK_BYTES as u64;
        }
        synced
    }

    /// The fields of a segment that begins with an extent.
    pub(super) const fn fields_of(extent: Extent) -> [u64; FIELDS] {
        [
            extent.end,
            extent.body_floor,
            extent.index_floor,
            extent.header_floor,
            0,
        ]
    }

    pub(super) fn encode(&self) -> [u8; SUPERBLOCK_BYTES] {
        transmute!(self.on_disk())
    }

    /// The checksum that the first frame continues from.
    pub(super) fn checksum(&self) -> u32 {
        self.on_disk().checksum.get()
    }

    fn on_disk(&self) -> on_disk::Superblock {
        let mut found = on_disk::Superblock {
            magic: *self.kind.magic(),
            version: U32::new(self.version),
            checksum: U32::ZERO,
            store: self.store,
            number: U64::new(self.number),
            fields: self.fields.map(U64::new),
        };
        found.checksum.set(found.compute_checksum());
        found
    }

    /// Reads the superblock of the file at `path`, which must be of `kind`, and of `store` if that is given.
    pub(super) fn decode(
        path: &Path,
        bytes: &[u8],
        kind: FileKind,
        store: Option<&StoreId>,
    ) -> Result<Self> {
        let corrupt = |at: usize, reason: &str| {
            Err(Error::corrupt(path, DamageAt::Offset(at as u64), reason))
        };
        let found = match on_disk::Superblock::ref_from_prefix(bytes) {
            Ok((found, _)) if found.magic == *kind.magic() => found,
            _ => return corrupt(0, "the file doesn't begin as it must"),
        };
        // Before the version is looked at, so that a damaged one isn't reported as another: every version has its checksum here.
        if found.checksum.get() != found.compute_checksum() {
            let at = offset_of!(on_disk::Superblock, checksum);
            return corrupt(at, "the superblock's checksum doesn't match");
        }
        let version = found.version.get();
        if !(VERSION..=kind.newest()).contains(&version) {
            return Err(Error::Version {
                path: path.to_owned(),
                found: version,
                supported: kind.newest(),
            });
        }
        if store.is_some_and(|store| *store != found.store) {
            let at = offset_of!(on_disk::Superblock, store);
            return corrupt(at, "the file belongs to another store");
        }
        Ok(Self {
            kind,
            version,
            store: found.store,
            number: found.number.get(),
            fields: found.fields.map(U64::get),
        })
    }
}

/// What a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum FrameKind {
    Run = 1,
    Truncate = 2,
    Floor = 3,
    Footer = 4,
    Value = 5,
    IndexFloor = 6,
    HeaderFloor = 7,
    Rest = 8,
    Replace = 9,
}

impl FrameKind {
    /// Whether the payload has records, all of it or behind a [`RestHead`].
    pub(super) const fn has_records(self) -> bool {
        matches!(self, Self::Run | Self::Rest | Self::Replace)
    }

    /// The frame that raises the floor of a part.
    pub(super) const fn of_floor(part: Part) -> Self {
        match part {
            Part::Body => Self::Floor,
            Part::Index => Self::IndexFloor,
            Part::Header => Self::HeaderFloor,
        }
    }
}

/// A frame's first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub(super) kind: FrameKind,
    pub(super) length: u64,
    pub(super) height: u64,
    pub(super) synced: u64,
    pub(super) previous: u32,
    pub(super) payload_checksum: u32,
    /// Of the head itself; what the next frame has as `previous`. It follows from the rest, so writing doesn't ask for it.
    pub(super) checksum: u32,
}

impl FrameHead {
    /// Reads a frame's head, if there is one.
    pub(super) fn decode(bytes: &[u8], salt: Salt) -> Option<Self> {
        let (found, _) = on_disk::FrameHead::ref_from_prefix(bytes).ok()?;
        let checksum = found.checksum.get();
        if found.magic != *FRAME_MAGIC || found.compute_checksum(salt) != checksum {
            return None;
        }
        let kind = match found.kind.get() {
            1 => FrameKind::Run,
            2 => FrameKind::Truncate,
            3 => FrameKind::Floor,
            4 => FrameKind::Footer,
            5 => FrameKind::Value,
            6 => FrameKind::IndexFloor,
            7 => FrameKind::HeaderFloor,
            8 => FrameKind::Rest,
            9 => FrameKind::Replace,
            _ => return None,
        };
        Some(Self {
            kind,
            length: found.length.get(),
            height: found.height.get(),
            synced: found.synced.get(),
            previous: found.previous.get(),
            payload_checksum: found.payload_checksum.get(),
            checksum,
        })
    }

    /// Its bytes, and the checksum that the next frame continues from.
    pub(super) fn encode(&self, salt: Salt) -> ([u8; FRAME_BYTES], u32) {
        let mut head = on_disk::FrameHead {
            magic: *FRAME_MAGIC,
            kind: U32::new(self.kind as u32),
            length: U64::new(self.length),
            height: U64::new(self.height),
            synced: U64::new(self.synced),
            previous: U32::new(self.previous),
            payload_checksum: U32::new(self.payload_checksum),
            zero: U32::ZERO,
            checksum: U32::ZERO,
        };
        let checksum = head.compute_checksum(salt);
        head.checksum.set(checksum);
        (transmute!(head), checksum)
    }

    /// Where a frame's records begin, from its first byte on.
    pub(super) const fn records_at(&self) -> usize {
        match self.kind {
            FrameKind::Rest => FRAME_BYTES + REST_HEAD_BYTES,
            _ => FRAME_BYTES,
        }
    }

    /// The frame's bytes in the file, if they are a number.
    pub(super) fn frame_bytes(&self) -> Option<usize> {
        usize::try_from(self.length)
            .ok()?
            .checked_add(FRAME_BYTES)?
            .checked_next_multiple_of(8)
    }
}

/// What a frame of kind rest says before its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RestHead {
    pub(super) bodies_bytes: u64,
    pub(super) stripped: Stripped,
    /// The content of the frames that it stands for, if the segment was sealed.
    pub(super) content: Option<u32>,
}

impl RestHead {
    pub(super) fn encode(&self) -> [u8; REST_HEAD_BYTES] {
        transmute!(on_disk::RestHead {
            bodies_bytes: U64::new(self.bodies_bytes),
            keys: U64::new(self.stripped.keys),
            headers: U64::new(self.stripped.headers),
            content: U32::new(self.content.unwrap_or(0)),
            sealed: U32::new(u32::from(self.content.is_some())),
        })
    }

    pub(super) fn decode(payload: &[u8]) -> Option<Self> {
        let (found, _) = on_disk::RestHead::ref_from_prefix(payload).ok()?;
        Some(Self {
            bodies_bytes: found.bodies_bytes.get(),
            stripped: Stripped {
                keys: found.keys.get(),
                headers: found.headers.get(),
            },
            content: (found.sealed.get() == 1).then(|| found.content.get()),
        })
    }
}

/// Puts a head before the payload, for which `frame` left [`FRAME_BYTES`] bytes; gives the head's checksum.
pub(super) fn finish_frame(
    frame: &mut Vec<u8>,
    salt: Salt,
    kind: FrameKind,
    height: u64,
    synced: u64,
    previous: u32,
) -> u32 {
    let head = FrameHead {
        kind,
        length: (frame.len() - FRAME_BYTES) as u64,
        height,
        synced,
        previous,
        payload_checksum: salt.checksum(&frame[FRAME_BYTES..]),
        checksum: 0,
    };
    frame.resize(padded(frame.len()), 0);
    let (head, checksum) = head.encode(salt);
    frame[..FRAME_BYTES].copy_from_slice(&head);
    checksum
}

/// The last bytes of a sealed segment's heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trailer {
    pub(super) footer: u64,
    pub(super) low: u64,
    pub(super) end: u64,
    pub(super) bodies_bytes: u64,
    /// Index entries of the blocks `low..end`, as far as they are in the file.
    pub(super) entries: u64,
    pub(super) stripped: Stripped,
    /// Checksum of the last frame that was written before the footer: it stands for all that the segment was given.
    pub(super) content: u32,
}

/// The heights below which a segment's file of heads has no keys, and no headers, any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Stripped {
    pub(super) keys: u64,
    pub(super) headers: u64,
}

impl Trailer {
    pub(super) fn encode(&self, salt: Salt) -> [u8; TRAILER_BYTES] {
        let mut trailer = on_disk::Trailer {
            magic: *TRAILER_MAGIC,
            checksum: U32::ZERO,
            footer: U64::new(self.footer),
            low: U64::new(self.low),
            end: U64::new(self.end),
            bodies_bytes: U64::new(self.bodies_bytes),
            entries: U64::new(self.entries),
            keys: U64::new(self.stripped.keys),
            headers: U64::new(self.stripped.headers),
            content: U32::new(self.content),
            zero: U32::ZERO,
        };
        trailer.checksum.set(trailer.compute_checksum(salt));
        transmute!(trailer)
    }

    /// Reads the trailer whose bytes are at an offset of its file, if it is one.
    pub(super) fn decode(bytes: &[u8], start: u64, salt: Salt) -> Option<Self> {
        let found = on_disk::Trailer::ref_from_bytes(bytes).ok()?;
        if found.magic != *TRAILER_MAGIC || found.checksum.get() != found.compute_checksum(salt) {
            return None;
        }
        let trailer = Self {
            footer: found.footer.get(),
            low: found.low.get(),
            end: found.end.get(),
            bodies_bytes: found.bodies_bytes.get(),
            entries: found.entries.get(),
            stripped: Stripped {
                keys: found.keys.get(),
                headers: found.headers.get(),
            },
            content: found.content.get(),
        };
        // Numbers from the file: they are put together without overflow, and the table has to end where the trailer begins.
        let heights = trailer.end.checked_sub(trailer.low)?;
        let table = heights.checked_mul(TABLE_ENTRY_BYTES as u64)?;
        let before = trailer.footer.checked_add(FRAME_BYTES as u64)?;
        let fits = before.checked_add(table)? == start;
        (fits && trailer.footer >= SUPERBLOCK_BYTES as u64).then_some(trailer)
    }
}

/// An entry of the height table.
pub(super) fn table_entry(salt: Salt, height: u64, offset: u64) -> [u8; TABLE_ENTRY_BYTES] {
    let offset = U64::new(offset);
    let checksum = salt.checksum_of(&[&height.to_le_bytes(), offset.as_bytes()]);
    transmute!(on_disk::TableEntry {
        offset,
        checksum: U32::new(checksum),
        zero: U32::ZERO,
    })
}

/// The record's offset, if the entry is that of this height.
pub(super) fn table_offset(salt: Salt, height: u64, bytes: &[u8]) -> Option<u64> {
    let found = on_disk::TableEntry::ref_from_bytes(bytes).ok()?;
    let offset = found.offset.get();
    (table_entry(salt, height, offset) == bytes).then_some(offset)
}

/// The bytes before a body.
pub(super) fn body_head(
    salt: Salt,
    length: u32,
    height: u64,
    checksum: u32,
) -> [u8; BODY_HEAD_BYTES] {
    let mut head = on_disk::BodyHead {
        magic: *BODY_MAGIC,
        length: U32::new(length),
        height: U64::new(height),
        body_checksum: U32::new(checksum),
        checksum: U32::ZERO,
    };
    head.checksum.set(head.compute_checksum(salt));
    transmute!(head)
}

/// Bytes that a body takes in its file.
pub(super) const fn body_frame_bytes(body: usize) -> usize {
    padded(BODY_HEAD_BYTES + body)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ID: StoreId = [7; 16];

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The format of versions 2 and 3: these bytes never change.
    #[test]
    fn golden_bytes() {
        let salt = Salt::of(&ID);
        let superblock = Superblock {
            kind: FileKind::Bodies,
            version: VERSION,
            store: ID,
            number: 1,
            fields: [2, 3, 4, 5, 0],
        };
        let mut frame = vec![0; FRAME_BYTES];
        frame.extend_from_slice(b"payload");
        finish_frame(&mut frame, salt, FrameKind::Run, 4, 64, 5);
        let trailer = Trailer {
            footer: 6,
            low: 7,
            end: 8,
            bodies_bytes: 9,
            entries: 10,
            stripped: Stripped {
                keys: 11,
                headers: 12,
            },
            content: 13,
        };
        let rest = RestHead {
            bodies_bytes: 1,
            stripped: Stripped {
                keys: 2,
                headers: 3,
            },
            content: Some(4),
        };
        let replaced = Superblock {
            kind: FileKind::Heads,
            version: VERSION_REPLACED,
            ..superblock
        };
        let mut replace = vec![0; FRAME_BYTES];
        replace.extend_from_slice(b"payload");
        finish_frame(&mut replace, salt, FrameKind::Replace, 4, 64, 5);
        let golden = [
            (
                hex(&rest.encode()),
                "0100000000000000020000000000000003000000000000000400000001000000",
            ),
            (
                hex(&replaced.encode()),
                "484c484541445300030000003bc4120807070707070707070707070707070707010000000000000002000000000000000300000000000000040000000000000005000000000000000000000000000000",
            ),
            (
                hex(&replace),
                "484c46520900000007000000000000000400000000000000400000000000000005000000424ca10200000000f53704a77061796c6f616400",
            ),
            (
                hex(&superblock.encode()),
                "484c424f4449455302000000721f8ee507070707070707070707070707070707010000000000000002000000000000000300000000000000040000000000000005000000000000000000000000000000",
            ),
            (
                hex(&frame),
                "484c46520100000007000000000000000400000000000000400000000000000005000000424ca102000000008ba86d557061796c6f616400",
            ),
            (
                hex(&trailer.encode(salt)),
                "484c4654814cdc2806000000000000000700000000000000080000000000000009000000000000000a000000000000000b000000000000000c000000000000000d00000000000000",
            ),
            (
                hex(&table_entry(salt, 13, 14)),
                "0e00000000000000229f538d00000000",
            ),
            (
                hex(&body_head(salt, 15, 16, 17)),
                "484c42440f000000100000000000000011000000e14f7bfb",
            ),
        ];
        for (bytes, expected) in golden {
            assert_eq!(bytes, expected);
        }
    }

    #[test]
    fn a_frame_that_differs_in_one_bit_is_none() {
        let salt = Salt::of(&ID);
        let mut frame = vec![0; FRAME_BYTES];
        frame.extend_from_slice(b"payload");
        let checksum = finish_frame(&mut frame, salt, FrameKind::Value, 9, 64, 5);
        let head = FrameHead::decode(&frame, salt).unwrap();
        assert_eq!((head.checksum, head.height, head.length), (checksum, 9, 7));
        assert_eq!(head.frame_bytes(), Some(frame.len()));
        for bit in 0..FRAME_BYTES * 8 {
            let mut damaged = frame.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(FrameHead::decode(&damaged, salt), None, "bit {bit}");
        }
        assert_eq!(FrameHead::decode(&frame, Salt::of(&[8; 16])), None);
    }

    #[test]
    fn superblocks_say_what_is_wrong() {
        let superblock = Superblock {
            kind: FileKind::Heads,
            version: VERSION,
            store: ID,
            number: 4,
            fields: [10, 2, 0, 0, 0],
        };
        let bytes = superblock.encode();
        let path = Path::new("heads-00000004");
        let decode = |bytes: &[u8], id| Superblock::decode(path, bytes, FileKind::Heads, Some(id));
        assert_eq!(decode(&bytes, &ID).unwrap(), superblock);
        let text = decode(&bytes, &[1; 16]).unwrap_err().to_string();
        assert!(
            text.contains("another store") && text.contains("heads-00000004"),
            "{text}"
        );
        for (kind, newest) in [
            (FileKind::Store, 2),
            (FileKind::Mark, 2),
            (FileKind::Values, 2),
            (FileKind::Heads, 3),
            (FileKind::Bodies, 2),
            (FileKind::Index, 2),
        ] {
            for version in 0..6 {
                let mut other = superblock;
                (other.kind, other.version) = (kind, version);
                let found = Superblock::decode(path, &other.encode(), kind, None);
                assert_eq!(found.is_ok(), (2..=newest).contains(&version));
            }
        }
        for at in 0..SUPERBLOCK_BYTES {
            let mut damaged = bytes;
            damaged[at] ^= 0x10;
            assert!(decode(&damaged, &ID).is_err(), "{at}");
        }
        assert!(
            decode(&bytes[..SUPERBLOCK_BYTES - 1], &ID)
                .unwrap_err()
                .is_corrupt()
        );
    }
}
