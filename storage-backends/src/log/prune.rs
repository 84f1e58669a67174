//! Pruning: the floor first, then the space.
//!
//! Keys and headers go when files of heads (`strip`) and index files (`indexer`) are written anew without them. Files of
//! bodies that are all below the floor are unlinked. Readers that hold bytes of a file keep it until they let go. In the
//! file that the floor of bodies is in, a hole is punched, which readers would see; so that is done only while no reader
//! holds any bytes of it, and made up for by the next call otherwise.

use std::ops::Range;
use std::sync::Arc;

use super::format::{FrameKind, SUPERBLOCK_BYTES};
use super::roll::roll;
use super::segment::{MappedFile, Segment};
use super::state::State;
use super::strip::{is_due, strip};
use super::writer::Inner;
use crate::{Error, INDEX_ENTRY_BYTES, Part, PruneReceipt, Result, arguments};

/// The open segment is sealed for the sake of keys and headers only if it has so many bytes of them.
const OPEN_BYTES_MIN: u64 = 64 << 10;

/// A file of bodies, and where the first one above the floor begins.
struct Partial {
    file: MappedFile,
    kept_from: u64,
}

impl Inner {
    pub(super) fn prune(&mut self, part: Part, below: u64, limit: u64) -> Result<PruneReceipt> {
        let (before, bytes, floor) = {
            let state = self.shared.read();
            arguments::pruning(state.extent, part, below)?;
            let before = state.extent.floor_of(part);
            let floor = before + below.saturating_sub(before).min(limit);
            (before, part_bytes(&state, part, before..floor)?, floor)
        };
        if floor > before {
            let frame = FrameKind::of_floor(part);
            self.disk.write_note("prune", frame, floor)?;
            self.disk.sync("prune", &mut || {})?;
            raise_floor(&mut self.shared.write(), part, floor);
        }
        // Also if the floor was there already: a crash or a reader may have been in the way of the space.
        let freed_bytes = match part {
            Part::Body => self.free_bodies()?,
            Part::Index => self.strip()? + self.indexer.floor_raised()?,
            Part::Header => self.strip()?,
        };
        Ok(PruneReceipt {
            floor,
            blocks: floor - before,
            bytes,
            freed_bytes,
            done: floor >= below,
        })
    }

    fn free_bodies(&self) -> Result<u64> {
        let removed = take_bodies(&mut self.shared.write());
        let mut freed_bytes = 0;
        for file in removed {
            freed_bytes += self.give_back(file)?;
        }
        Ok(freed_bytes + self.punch()?)
    }

    /// Writes the heads of segments that are below the floors anew; of the open one too, after sealing it.
    fn strip(&mut self) -> Result<u64> {
        if self.is_open_due() {
            roll(&self.shared, &mut self.disk)?;
            self.indexer.segment_sealed()?;
        }
        let sealed = self.disk.segment as usize;
        let mut freed_bytes = 0;
        for number in 0..sealed {
            freed_bytes += self.strip_segment(number)?;
        }
        Ok(freed_bytes)
    }

    /// Whether the open segment has enough below the floors for one more segment.
    fn is_open_due(&self) -> bool {
        let state = self.shared.read();
        let open = state.open();
        let (blocks, extent) = (open.live.end - open.low, state.extent);
        let floor = extent.index_floor.max(extent.header_floor);
        let below = floor.clamp(open.low, open.live.end) - open.low;
        let bytes_min = OPEN_BYTES_MIN.min(self.disk.site.options.segment_bytes / 8);
        below * 4 >= blocks && blocks > 0 && self.disk.heads.end / blocks * below >= bytes_min
    }

    fn strip_segment(&self, number: usize) -> Result<u64> {
        // Readers go on meanwhile; only this writer changes segments.
        let (segment, extent) = {
            let state = self.shared.read();
            let segment = &state.segments[number];
            if !is_due(segment, state.extent) {
                return Ok(0);
            }
            (segment.snapshot(), state.extent)
        };
        let before = self.allocated(&segment.heads)?;
        let rest = strip(&self.disk.site, &segment, extent)?;
        drop(segment);
        let after = self.allocated(&rest.heads)?;
        let old = {
            let mut state = self.shared.write();
            let segment = &mut state.segments[number];
            segment.table = rest.table;
            segment.stripped = rest.stripped;
            std::mem::replace(&mut segment.heads, rest.heads)
        };
        Ok(match is_let_go(old) {
            true => before.saturating_sub(after),
            false => 0,
        })
    }

    /// Removes a file of which all is pruned; gives the bytes that the file system has back.
    fn give_back(&self, file: MappedFile) -> Result<u64> {
        let allocated = self.allocated(&file)?;
        self.unlink("prune", &file)?;
        Ok(if is_let_go(file) { allocated } else { 0 })
    }

    /// Punches the pruned part out of the file that the floor is in.
    fn punch(&self) -> Result<u64> {
        let Some(partial) = partial(&mut self.shared.write())? else {
            return Ok(0);
        };
        let fault = |source| Error::system("prune", &partial.file.path, source);
        let before = self.allocated(&partial.file)?;
        let start = SUPERBLOCK_BYTES as u64;
        let handle = self
            .disk
            .site
            .files
            .open(&partial.file.path)
            .map_err(fault)?;
        let punched = handle
            .punch(start, partial.kept_from - start)
            .map_err(fault)?;
        if !punched {
            tracing::debug!(
                file = %partial.file.path.display(),
                "this file system can't punch holes; the space comes back with the whole file"
            );
        }
        Ok(before.saturating_sub(self.allocated(&partial.file)?))
    }

    fn allocated(&self, file: &MappedFile) -> Result<u64> {
        let allocated = self.disk.site.files.allocated(&file.path);
        allocated.map_err(|source| Error::system("measure", &file.path, source))
    }
}

/// Whether nobody else holds a file that lost its name.
fn is_let_go(file: MappedFile) -> bool {
    let last = Arc::try_unwrap(file.map).is_ok();
    if !last {
        tracing::debug!(file = %file.path.display(), "a reader still holds pruned bytes");
    }
    last
}

fn part_bytes(state: &State, part: Part, heights: Range<u64>) -> Result<u64> {
    let mut sum = 0;
    for height in heights {
        if let Some((_, record)) = state.record(height)? {
            sum += match part {
                Part::Body => record.body_bytes as u64,
                Part::Index => record.entries as u64 * INDEX_ENTRY_BYTES,
                Part::Header => record.header_bytes as u64,
            };
        }
    }
    Ok(sum)
}

/// Publishes a floor.
fn raise_floor(state: &mut State, part: Part, floor: u64) {
    let before = std::mem::replace(state.extent.floor_of_mut(part), floor);
    if part == Part::Index {
        let touched = state.segments.iter_mut();
        let touched = touched.filter(|held| held.live.end > before && held.live.start < floor);
        touched.for_each(Segment::forget_keys);
    }
}

/// Takes out the files of bodies below the floor.
fn take_bodies(state: &mut State) -> Vec<MappedFile> {
    let floor = state.extent.floor;
    let sealed = state.segments.len() - 1;
    state.segments[..sealed]
        .iter_mut()
        .filter(|segment| segment.live.end <= floor)
        .filter_map(|segment| segment.bodies.take())
        .collect()
}

/// The file that the floor is in, if there is something to punch and nobody else has it. Readers come by it only
/// under the state's lock, and from now on only for what is above the floor.
fn partial(state: &mut State) -> Result<Option<Partial>> {
    let (floor, salt) = (state.extent.floor, state.salt);
    let segment = match state.segment_of(floor) {
        Some(segment) => segment,
        None => state.open(),
    };
    let kept_from = if segment.live.contains(&floor) {
        segment.record(floor, salt)?.body_offset
    } else {
        segment.bodies_bytes
    };
    let Some(file) = &segment.bodies else {
        return Ok(None);
    };
    if Arc::strong_count(&file.map) > 1 || kept_from <= SUPERBLOCK_BYTES as u64 {
        return Ok(None);
    }
    Ok(Some(Partial {
        file: file.clone(),
        kept_from,
    }))
}
