//! Going over from a full segment to the next.

use std::sync::Arc;

use super::disk::Disk;
use super::read_file::ReadFile;
use super::segment::{HeightTable, Segment, table_start};
use super::shared::Shared;
use super::state::{Frozen, LogState};
use crate::entry_table::EntryTable;
use crate::{Extent, Result};

/// Seals the open segment and begins the next, whose heads are of a version.
pub(super) fn roll(shared: &Shared, disk: &mut Disk, version: u32) -> Result<()> {
    let footer = disk.heads.end;
    let content = disk.content;
    // Not under the lock, for all the syncs that follow: only this writer changes segments and extent.
    let (open, extent) = {
        let state = shared.read();
        (state.open().snapshot(), state.extent)
    };
    let HeightTable::Listed(offsets) = &open.table else {
        return Err(open
            .heads
            .corrupt(0, "the open segment's table is in its file"));
    };
    // Also of what is below the index floor: those keys are in the file.
    let keys = open.low..open.live.end;
    let keys = keys.map(|height| open.record(height, disk.context.salt));
    let keys = keys.map(|record| Ok(record?.entries as u64));
    let entries = keys.sum::<Result<u64>>()?;
    // Sealed on the disk before the next segment exists: opening reads of a segment that another follows only the trailer.
    disk.seal(open.low, offsets, entries, open.stripped)?;
    let (sealed, segment) = begin(disk, extent, version)?;
    // Only after all that can fail: until then readers have the old segment open, which is as good.
    let mut state = shared.write();
    state.open_mut().content = content;
    exchange(&mut state, sealed, segment, footer);
    Ok(())
}

/// Goes over to a new segment after one that a crash left sealed and last.
pub(super) fn begin_after_sealed(state: &mut LogState, disk: &mut Disk, footer: u64) -> Result<()> {
    let version = disk.version;
    let (sealed, segment) = begin(disk, state.extent, version)?;
    exchange(state, sealed, segment, footer);
    Ok(())
}

/// Makes the next segment; gives the sealed one's heads in all their length, and the new one.
fn begin(disk: &mut Disk, extent: Extent, version: u32) -> Result<(ReadFile, Segment)> {
    let sealed = disk.context.open_to_read(&disk.heads.path)?;
    disk.begin_segment(extent, version)?;
    let heads = disk.context.open_to_read(&disk.heads.path)?;
    let segment = Segment {
        bodies: Some(disk.context.open_to_read(&disk.bodies.path)?),
        content: disk.content,
        bodies_bytes: disk.bodies.end,
        ..Segment::new(disk.segment, heads, extent.end)
    };
    Ok((sealed, segment))
}

fn exchange(state: &mut LogState, sealed: ReadFile, segment: Segment, footer: u64) {
    let open = state.open_mut();
    open.heads = sealed;
    open.table = HeightTable::InFile(table_start(footer));
    let number = open.number;
    let room = state.table.len();
    let table = std::mem::replace(&mut state.table, EntryTable::with_room(room));
    // Under the same lock as the segment's change: a look-up in between would find its keys nowhere, and call them absent.
    state.frozen.push(Frozen {
        segment: number,
        table: Arc::new(table),
    });
    state.segments.push(segment);
}
