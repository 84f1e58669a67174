//! Replacing the top of the chain: one frame that takes blocks off and has those that come in their place.
//!
//! 1. Frames of this kind are in files of heads of version 3 alone. The first time, the open segment is sealed and the next
//!    one begun in that version; it has its name on the disk before the frame is written into it.
//! 2. All that is replaced is on the disk before the frame is written, and the frame is before anybody sees it. So a crash
//!    leaves the old blocks whole, as they were acknowledged, or the new ones; and files that only the old ones needed go
//!    when neither a crash nor a reader can bring those back.
//! 3. What readers are to see, the segment and its index, is put together aside, where it may fail. Then it takes the place
//!    of the old under one lock, and nothing fails.

use super::disk::Heads;
use super::format::{FrameKind, VERSION_REPLACED};
use super::load::clip_all;
use super::record::entries_of;
use super::segment::{HeightTable, Segment};
use super::state::{LogState, entries_from, hashed_entries, same_key};
use super::writer::Inner;
use crate::entry_table::EntryTable;
use crate::{Block, BlockWriter, Durability, Receipt, Result, arguments};

impl Inner {
    pub(super) fn replace_top(
        &mut self,
        above: u64,
        run: &[Block],
        durability: Durability,
    ) -> Result<Receipt> {
        let extent = self.shared.read().extent;
        let end = arguments::replacement(extent, above, run)?;
        self.check_ids("replace", end, run)?;
        if end == extent.end {
            return self.append_checked(run, durability);
        }
        if run.is_empty() {
            self.truncate(above)?;
            return Ok(self.receipt(Durability::Disk));
        }
        if self.disk.version < VERSION_REPLACED || self.is_full_for(run) {
            // A program that knows only version 2 would take the frame for torn and cut it, so it must meet the version first.
            self.roll(VERSION_REPLACED)?;
        }
        // What is replaced is on the disk before the frame is written: if a crash tears the frame, the old blocks are all there
        // is.
        self.disk.sync("replace")?;
        let shared = &self.shared;
        let next = self
            .disk
            .write_run(FrameKind::Replace, run, true, |heads| {
                Next::of(&shared.read(), heads, run)
            })?;
        // Durable whatever was asked for: the system may write back any part of the frame first, and the old blocks were
        // acknowledged.
        self.show_bodies();
        self.disk.sync("replace")?;
        let emptied = {
            let mut state = self.shared.write();
            next.publish(&mut state);
            state.take_emptied()
        };
        // Unlinked only now: until the frame was on the disk, a crash could bring the old blocks back.
        emptied
            .iter()
            .try_for_each(|file| self.unlink("replace", file))?;
        Ok(self.receipt(Durability::Disk))
    }
}

/// The open segment and its index as they are once a run took the place of the blocks from its first height on.
struct Next {
    segment: Segment,
    table: EntryTable,
    /// The run's first height.
    first: u64,
}

impl Next {
    /// The heads of the run were written. Takes as much memory as the open segment's table and index do, until it is published.
    fn of(state: &LogState, written: Heads<'_>, run: &[Block]) -> Result<Self> {
        let first = run.first().map_or(state.extent.end, |block| block.height);
        let mut segment = state.open().snapshot();
        // No reader comes by it before it is published.
        segment.heads.show(written.end);
        segment.cut(first);
        if let HeightTable::Listed(offsets) = &mut segment.table {
            offsets.extend(written.offsets());
        }
        segment.live.end = first + run.len() as u64;
        segment.entries += entries_of(run) as u64;
        segment.content = written.content;
        let mut table = state.table.clone();
        for gone in entries_from(state.open(), &state.hash, state.salt, first)? {
            table.remove(gone);
        }
        for at in written.records {
            index_record(state, &segment, &mut table, written, *at)?;
        }
        Ok(Self {
            segment,
            table,
            first,
        })
    }

    /// Shows it to readers in place of what is there. What comes later can't fail.
    fn publish(self, state: &mut LogState) {
        let Self {
            mut segment,
            table,
            first,
        } = self;
        // All of it under one lock: between two, a reader would see the chain without its top.
        let sealed = state.segments.len() - 1;
        clip_all(&mut state.segments[..sealed], first);
        state.extent.end = segment.live.end;
        let open = state.open_mut();
        segment.bodies = open.bodies.take();
        segment.bodies_bytes = open.bodies_bytes;
        *open = segment;
        state.table = table;
    }
}

/// Puts the entries of a record, which begins at an offset of the frame, into the table of a segment.
fn index_record(
    state: &LogState,
    segment: &Segment,
    table: &mut EntryTable,
    written: Heads<'_>,
    at: usize,
) -> Result<()> {
    let (salt, index_floor) = (state.salt, state.extent.index_floor);
    let record = written.record(at, salt, &segment.heads)?;
    let keys = record.keys_of(&written.frame[at..]);
    let entries = hashed_entries(&state.hash, salt, &record, keys, index_floor);
    table.insert_all(&entries, |old, new| {
        same_key(segment, salt, index_floor, old, new)
    })
}
