//! The end of a run: what is where in it, and the commits that could be gone back to when it was written.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, transmute};

use super::super::format::SUPERBLOCK_BYTES;
use super::boundaries::Boundary;
use super::context::TableContext;
use super::filter::FILTER_BLOCK_BYTES;
use super::on_disk::{self, CommitRow};
use crate::Position;

pub(super) const TRAILER_BYTES: usize = size_of::<on_disk::RunTrailer>();
pub(super) const COMMIT_BYTES: usize = size_of::<CommitRow>();
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
    pub(super) fn decode(bytes: &[u8], start: u64, context: &TableContext) -> Option<(Self, u32)> {
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
        flags: U32::new(boundary.flags()),
        zero: U32::ZERO,
    })
}

/// Reads a commit.
pub(super) fn decode_commit(bytes: &[u8]) -> Option<Boundary> {
    let found = CommitRow::ref_from_bytes(bytes).ok()?;
    let position = Position {
        height: found.height.get(),
        id: found.id,
    };
    Boundary::from_disk(found.commit.get(), position, found.flags.get())
}
