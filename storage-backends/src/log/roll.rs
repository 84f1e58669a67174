//! Going over from a full segment to the next.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use super::disk::Disk;
use super::segment::{HeightTable, MappedFile, Segment, UNKNOWN, table_start};
use super::shared::Shared;
use super::state::{Frozen, State};
use super::table::Table;
use crate::{Error, Result};

/// Seals the open segment and begins the next.
pub(super) fn roll(shared: &Shared, disk: &mut Disk) -> Result<()> {
    let footer = disk.heads.end;
    let content = disk.content;
    let (sealed, segment) = {
        let state = shared.read();
        let open = state.open();
        let HeightTable::Listed(offsets) = &open.table else {
            return Err(open
                .heads
                .corrupt(0, "the open segment's table is in its file"));
        };
        disk.seal(open.low, offsets, state.floor, open.entries)?;
        begin(disk, &state)?
    };
    let mut state = shared.write();
    state.open_mut().content = content;
    exchange(&mut state, sealed, segment, footer);
    Ok(())
}

/// Goes over to a new segment after one that a crash left sealed and last.
pub(super) fn begin_after_sealed(state: &mut State, disk: &mut Disk, footer: u64) -> Result<()> {
    let (sealed, segment) = begin(disk, state)?;
    exchange(state, sealed, segment, footer);
    Ok(())
}

/// Makes the next segment; gives the sealed one's heads in a map of their length, and the new one.
fn begin(disk: &mut Disk, state: &State) -> Result<(MappedFile, Segment)> {
    let (files, capacity) = (Arc::clone(&disk.site.files), disk.site.options.map_bytes());
    let map = |path: &Path, capacity| -> Result<MappedFile> {
        let map = files
            .map(path, capacity)
            .map_err(|source| Error::system("append", path, source))?;
        Ok(MappedFile {
            path: Arc::new(path.to_owned()),
            map: Arc::new(map),
        })
    };
    let sealed = map(&disk.heads.path, 0)?;
    disk.begin_segment(state.end, state.floor)?;
    let segment = Segment {
        number: disk.segment,
        heads: map(&disk.heads.path, capacity)?,
        bodies: Some(map(&disk.bodies.path, capacity)?),
        low: state.end,
        live: state.end..state.end,
        table: HeightTable::Listed(Vec::new()),
        content: disk.content,
        entries: 0,
        owned: AtomicU64::new(UNKNOWN),
        bodies_bytes: disk.bodies.end,
    };
    Ok((sealed, segment))
}

fn exchange(state: &mut State, sealed: MappedFile, segment: Segment, footer: u64) {
    let end = state.end;
    let counted = state
        .counted
        .get_mut()
        .unwrap_or_else(PoisonError::into_inner);
    let owned = if counted.0 == end { counted.1 } else { UNKNOWN };
    *counted = (end, 0);
    let open = state.open_mut();
    open.heads = sealed;
    open.table = HeightTable::Mapped(table_start(footer));
    open.owned.store(owned, Ordering::Release);
    let number = open.number;
    let room = state.table.len();
    let table = std::mem::replace(&mut state.table, Table::with_room(room));
    state.frozen.push(Frozen {
        segment: number,
        table: Arc::new(table),
    });
    state.segments.push(segment);
}
