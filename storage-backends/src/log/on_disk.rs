//! The parts of files that have one length, field by field as they are on the disk; the fields' meanings are in `format`,
//! `record`, `index_file` and `mark`, and `FORMAT.md` has the same.
//!
//! Numbers are little-endian and need no alignment, so any bytes of the right length can be seen as such a part without being
//! copied. Whether they were written as one, only checksums tell.

use std::mem::offset_of;

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Id;
use crate::toolbox::salt::{Salt, StoreId};

/// How many numbers a superblock has besides its own.
pub(super) const FIELDS: usize = 5;
/// How many entries a bucket has room for.
pub(super) const BUCKET_ENTRIES_MAX: usize = 31;

/// At the beginning of every file.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Superblock {
    pub(super) magic: [u8; 8],
    pub(super) version: U32,
    /// Over all the rest, from nothing: it is read before the store's id is known.
    pub(super) checksum: U32,
    pub(super) store: StoreId,
    pub(super) number: U64,
    pub(super) fields: [U64; FIELDS],
}

impl Superblock {
    pub(super) fn compute_checksum(&self) -> u32 {
        const AT: usize = offset_of!(Superblock, checksum);
        let (before, rest) = self.as_bytes().split_at(AT);
        crc32c::crc32c_append(crc32c::crc32c(before), &rest[size_of::<U32>()..])
    }
}

/// Before the payload of a frame.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct FrameHead {
    pub(super) magic: [u8; 4],
    pub(super) kind: U32,
    pub(super) length: U64,
    pub(super) height: U64,
    pub(super) synced: U64,
    pub(super) previous: U32,
    pub(super) payload_checksum: U32,
    pub(super) zero: U32,
    /// Over all before.
    pub(super) checksum: U32,
}

impl FrameHead {
    pub(super) fn compute_checksum(&self, salt: Salt) -> u32 {
        salt.checksum(&self.as_bytes()[..offset_of!(Self, checksum)])
    }
}

/// At the beginning of the payload of a frame of kind rest.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct RestHead {
    pub(super) bodies_bytes: U64,
    pub(super) keys: U64,
    pub(super) headers: U64,
    pub(super) content: U32,
    pub(super) sealed: U32,
}

/// An entry of a height table.
#[derive(
    Debug, Clone, Copy, PartialEq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub(super) struct TableEntry {
    pub(super) offset: U64,
    pub(super) checksum: U32,
    pub(super) zero: U32,
}

/// At the end of a sealed segment's heads.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Trailer {
    pub(super) magic: [u8; 4],
    /// Over all behind it.
    pub(super) checksum: U32,
    pub(super) footer: U64,
    pub(super) low: U64,
    pub(super) end: U64,
    pub(super) bodies_bytes: U64,
    pub(super) entries: U64,
    pub(super) keys: U64,
    pub(super) headers: U64,
    pub(super) content: U32,
    pub(super) zero: U32,
}

impl Trailer {
    pub(super) fn compute_checksum(&self, salt: Salt) -> u32 {
        salt.checksum(&self.as_bytes()[offset_of!(Self, footer)..])
    }
}

/// Before a body.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct BodyHead {
    pub(super) magic: [u8; 4],
    pub(super) length: U32,
    pub(super) height: U64,
    pub(super) body_checksum: U32,
    /// Over all before.
    pub(super) checksum: U32,
}

impl BodyHead {
    pub(super) fn compute_checksum(&self, salt: Salt) -> u32 {
        salt.checksum(&self.as_bytes()[..offset_of!(Self, checksum)])
    }
}

/// The fixed part of a record.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Record {
    /// Over all behind it.
    pub(super) checksum: U32,
    pub(super) header_bytes: U32,
    pub(super) entries: U32,
    pub(super) flags: U32,
    pub(super) height: U64,
    pub(super) body_offset: U64,
    pub(super) body_bytes: U32,
    pub(super) body_checksum: U32,
    pub(super) header_checksum: U32,
    pub(super) keys_checksum: U32,
    pub(super) id: Id,
}

impl Record {
    pub(super) fn compute_checksum(&self, salt: Salt) -> u32 {
        salt.checksum(&self.as_bytes()[offset_of!(Self, header_bytes)..])
    }
}

/// An entry of a record whose positions are listed.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct ListedEntry {
    /// Over all behind it.
    pub(super) checksum: U32,
    pub(super) position: U32,
    pub(super) key: Id,
}

impl ListedEntry {
    pub(super) fn compute_checksum(&self, salt: Salt) -> u32 {
        salt.checksum(&self.as_bytes()[offset_of!(Self, position)..])
    }
}

/// A slot of the mark.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct MarkSlot {
    /// Over all behind it.
    pub(super) checksum: U32,
    pub(super) zero: U32,
    pub(super) number: U64,
    pub(super) segment: U64,
    pub(super) heads: U64,
    pub(super) generation: U64,
    pub(super) values: U64,
    pub(super) zeros: [u8; 16],
}

impl MarkSlot {
    pub(super) fn compute_checksum(&self, salt: Salt) -> u32 {
        salt.checksum(&self.as_bytes()[offset_of!(Self, zero)..])
    }
}

/// Behind the superblock of an index file; a [`Cover`] for each segment follows.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct IndexHead {
    /// Over all behind it, and the covers.
    pub(super) checksum: U32,
    pub(super) segments: U32,
    pub(super) entries: U64,
    pub(super) filters: U64,
    pub(super) homes: U64,
    pub(super) buckets: U64,
}

impl IndexHead {
    pub(super) fn compute_checksum(&self, salt: Salt, covers: &[Cover]) -> u32 {
        let behind = &self.as_bytes()[offset_of!(Self, segments)..];
        salt.checksum_of(&[behind, covers.as_bytes()])
    }
}

/// What an index file says of a segment.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Cover {
    pub(super) low: U64,
    pub(super) end: U64,
    pub(super) content: U32,
    pub(super) zero: U32,
}

/// A filter block of an index file. Its checksum is over its number and the bits.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct FilterBlock {
    pub(super) checksum: U32,
    pub(super) bits: [u8; 60],
}

impl FilterBlock {
    pub(super) fn compute_checksum(&self, salt: Salt, number: u64) -> u32 {
        salt.checksum_of(&[&number.to_le_bytes(), &self.bits])
    }
}

/// A bucket of an index file. Its checksum is over its number and all behind the checksum.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Bucket {
    pub(super) checksum: U32,
    /// Entries in use.
    pub(super) count: U16,
    pub(super) spilled: u8,
    pub(super) zeros: [u8; 9],
    pub(super) entries: [IndexEntry; BUCKET_ENTRIES_MAX],
}

impl Bucket {
    pub(super) fn compute_checksum(&self, salt: Salt, number: u64) -> u32 {
        let behind = &self.as_bytes()[offset_of!(Self, count)..];
        salt.checksum_of(&[&number.to_le_bytes(), behind])
    }
}

/// An entry of a bucket.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct IndexEntry {
    pub(super) hash: U64,
    pub(super) address: U64,
}
