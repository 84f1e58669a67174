//! The parts of table files that have one length, field by field as they are on the disk. `FORMAT.md` has the same in words.

use std::mem::offset_of;

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Id;
use crate::toolbox::salt::Salt;

/// A commit that a run holds, and that can be gone back to.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct CommitRow {
    pub(super) commit: U64,
    pub(super) height: U64,
    pub(super) id: Id,
    pub(super) flags: U32,
    pub(super) zero: U32,
}

/// At the end of a run.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct RunTrailer {
    pub(super) magic: [u8; 4],
    /// Over all behind it.
    pub(super) checksum: U32,
    pub(super) versions: U64,
    pub(super) fences_at: U64,
    pub(super) blocks: U64,
    pub(super) filter_at: U64,
    pub(super) commits_at: U64,
    pub(super) base: U64,
    pub(super) first: U64,
    pub(super) last: U64,
    pub(super) fences_checksum: U32,
    pub(super) filter_checksum: U32,
    pub(super) commits_checksum: U32,
    pub(super) zero: U32,
}

impl RunTrailer {
    pub(super) fn compute_checksum(&self, salt: Salt) -> u32 {
        salt.checksum(&self.as_bytes()[offset_of!(Self, versions)..])
    }
}

/// Before the key of a block's first version, among the fences.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct FenceHead {
    /// Of the block.
    pub(super) bytes: U32,
    pub(super) checksum: U32,
    pub(super) key_bytes: zerocopy::little_endian::U16,
    /// 1 if the block before ends with the same key.
    pub(super) is_continued: zerocopy::little_endian::U16,
}

/// Behind the superblock of a set's file; a [`RunRow`] for each run and the set's name follow.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct SetHead {
    /// Over all behind it in the file.
    pub(super) checksum: U32,
    pub(super) name_bytes: U32,
    pub(super) commit: U64,
    pub(super) undo_floor: U64,
    pub(super) height: U64,
    pub(super) id: Id,
    pub(super) flags: U32,
    pub(super) runs: U32,
}

/// What a set's file says of a run.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct RunRow {
    pub(super) run: U64,
    /// What later commits made of a key counts no more.
    pub(super) limit: U64,
    /// The file's length.
    pub(super) bytes: U64,
    /// The trailer's checksum.
    pub(super) checksum: U32,
    pub(super) zero: U32,
}
