//! The file of a set: which runs count, in which order and up to which commit, and what the last of them is.
//!
//! ```text
//! DIR/tables/set-NAME  superblock "HLTABSET" (80 bytes)
//!                      80 checksum u32 over all from 84 on   84 bytes of the name u32   88 last commit u64   96 undo floor u64
//!                      104 height u64   112 id [32]   144 1 if it has a position u32   148 runs u32
//!                      152 of each run, the newest first: number u64, limit u64, the file's bytes u64, trailer's checksum u32, zero u32
//!                      the set's name
//! ```
//!
//! It is written anew for each change, under another name, and takes the place of the one before when it and the runs that it
//! names are on the disk. So a crash leaves the one or the other.

use std::path::Path;

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, IntoBytes};

use super::super::files::FileHandle;
use super::super::format::{FileKind, SUPERBLOCK_BYTES, Superblock, VERSION};
use super::super::shared::open_to_read;
use super::boundaries::Boundary;
use super::context::TableContext;
use super::names::Named;
use super::on_disk::{RunRow, SetHead};
use super::view::FileLayer;
use crate::{DamageAt, Error, Position, Result, TABLE_SET_NAME_BYTES_MAX};

const OPERATION: &str = "write a table set";
const HEAD_BYTES: usize = size_of::<SetHead>();
/// Most runs that a set can have; far more than merging leaves.
const RUNS_MAX: usize = 1 << 16;
/// Longest file.
const SET_BYTES_MAX: usize =
    SUPERBLOCK_BYTES + HEAD_BYTES + RUNS_MAX * size_of::<RunRow>() + TABLE_SET_NAME_BYTES_MAX;

/// What the file of a set says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SetRecord {
    /// The last commit that the runs have.
    pub(super) newest: Boundary,
    pub(super) undo_floor: u64,
    /// The newest first.
    pub(super) runs: Vec<RunRecord>,
}

/// What it says of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunRecord {
    pub(super) number: u64,
    pub(super) limit: u64,
    pub(super) bytes: u64,
    pub(super) checksum: u32,
}

impl SetRecord {
    pub(super) fn new(newest: Boundary, undo_floor: u64, files: &[FileLayer]) -> Self {
        let record = |layer: &FileLayer| RunRecord {
            number: layer.run.number,
            limit: layer.limit,
            bytes: layer.run.bytes(),
            checksum: layer.run.checksum,
        };
        Self {
            newest,
            undo_floor,
            runs: files.iter().map(record).collect(),
        }
    }

    pub(super) fn encode(&self, name: &str, context: &TableContext) -> Vec<u8> {
        let superblock = Superblock {
            kind: FileKind::TableSet,
            version: VERSION,
            store: context.store,
            number: 0,
            fields: [0; 5],
        };
        let position = self.newest.position;
        let head = SetHead {
            checksum: U32::ZERO,
            name_bytes: U32::new(name.len() as u32),
            commit: U64::new(self.newest.commit),
            undo_floor: U64::new(self.undo_floor),
            height: U64::new(position.map_or(0, |at| at.height)),
            id: position.map_or([0; 32], |at| at.id),
            has_position: U32::new(u32::from(position.is_some())),
            runs: U32::new(self.runs.len() as u32),
        };
        let mut bytes = superblock.encode().to_vec();
        bytes.extend_from_slice(head.as_bytes());
        for run in &self.runs {
            let row = RunRow {
                run: U64::new(run.number),
                limit: U64::new(run.limit),
                bytes: U64::new(run.bytes),
                checksum: U32::new(run.checksum),
                zero: U32::ZERO,
            };
            bytes.extend_from_slice(row.as_bytes());
        }
        bytes.extend_from_slice(name.as_bytes());
        let checksum = context.salt.checksum(&bytes[SUPERBLOCK_BYTES + 4..]);
        bytes[SUPERBLOCK_BYTES..SUPERBLOCK_BYTES + 4].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads the file of a set.
    pub(super) fn read(context: &TableContext, name: &str) -> Result<Self> {
        let path = Named::Set(name.to_owned()).path(&context.directory);
        let file = open_to_read(&*context.files, &path)?;
        let superblock = file.head()?;
        Superblock::decode(&path, &superblock, FileKind::TableSet, Some(&context.store))?;
        if file.length() > SET_BYTES_MAX as u64 {
            return Err(file.corrupt(SET_BYTES_MAX as u64, "the file is longer than it can be"));
        }
        let bytes = file.read(0, file.length() as usize)?;
        Self::decode(&bytes[SUPERBLOCK_BYTES..], name, context).ok_or_else(|| {
            let damage_at = DamageAt::Offset(SUPERBLOCK_BYTES as u64);
            Error::corrupt(
                &path,
                damage_at,
                "what the file says doesn't match its checksum",
            )
        })
    }

    /// Reads what is behind the superblock.
    fn decode(bytes: &[u8], name: &str, context: &TableContext) -> Option<Self> {
        let (head, rest) = SetHead::ref_from_prefix(bytes).ok()?;
        if head.checksum.get() != context.salt.checksum(&bytes[4..]) {
            return None;
        }
        let runs = head.runs.get() as usize;
        let (rows, found_name) = <[RunRow]>::ref_from_prefix_with_elems(rest, runs).ok()?;
        let is_named =
            found_name == name.as_bytes() && head.name_bytes.get() as usize == name.len();
        if !is_named {
            return None;
        }
        let position = Position {
            height: head.height.get(),
            id: head.id,
        };
        let record = |row: &RunRow| RunRecord {
            number: row.run.get(),
            limit: row.limit.get(),
            bytes: row.bytes.get(),
            checksum: row.checksum.get(),
        };
        Some(Self {
            newest: Boundary {
                commit: head.commit.get(),
                position: (head.has_position.get() == 1).then_some(position),
            },
            undo_floor: head.undo_floor.get(),
            runs: rows.iter().map(record).collect(),
        })
    }

    /// Has the file of a set say this, once that and the file of a run are on the disk.
    pub(super) fn install(
        &self,
        context: &TableContext,
        name: &str,
        run: Option<&dyn FileHandle>,
    ) -> Result<()> {
        let fresh = Named::Unfinished.path(&context.directory);
        let path = Named::Set(name.to_owned()).path(&context.directory);
        let files = &*context.files;
        let fault = |source| Error::system(OPERATION, &fresh, source);
        let file = files.create(&fresh).map_err(fault)?;
        file.write_at(&self.encode(name, context), 0)
            .map_err(fault)?;
        let handles: Vec<&dyn FileHandle> = run.into_iter().chain([&*file]).collect();
        files.sync(&handles).map_err(|(_, source)| fault(source))?;
        // The run's name too, before the set's file names it; and this one's, which an earlier file may have had.
        sync_names(context, &context.directory)?;
        files.rename(&fresh, &path).map_err(fault)?;
        sync_names(context, &context.directory)
    }
}

/// Makes the names in a directory survive loss of power.
pub(super) fn sync_names(context: &TableContext, directory: &Path) -> Result<()> {
    let synced = context.files.sync_directory(directory);
    synced.map_err(|source| Error::system(OPERATION, directory, source))
}
