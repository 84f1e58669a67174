//! Pruning: the floor first, then the space.
//!
//! Keys and headers go when files of heads (`strip`) and index files (`indexer`) are rewritten without them. Files of
//! bodies that are all below the floor are unlinked; in the one that the floor is in, a hole is punched. What readers were
//! given are copies; a reading that is under way meanwhile finds something else than it should, and then that the block was
//! pruned.

use std::ops::Range;

use super::disk::name_heads;
use super::format::{FrameKind, SUPERBLOCK_BYTES};
use super::read_file::ReadFile;
use super::segment::Segment;
use super::state::LogState;
use super::strip::{is_due, strip};
use super::writer::Inner;
use crate::{Error, Extent, INDEX_ENTRY_BYTES, Part, PruneReceipt, Result, arguments};

/// The open segment's heads are rewritten only if an eighth of them are so many bytes.
const OPEN_BYTES_MIN: u64 = 64 << 10;

/// A file of bodies, and where the first one above the floor begins.
struct Partial {
    file: ReadFile,
    kept_from: u64,
}

impl Inner {
    pub(super) fn prune_part(
        &mut self,
        part: Part,
        below: u64,
        limit: u64,
    ) -> Result<PruneReceipt> {
        let extent = self.shared.read().extent;
        arguments::pruning(extent, part, below)?;
        let before = extent.floor_of(part);
        let floor = before + below.saturating_sub(before).min(limit);
        let bytes = self.part_bytes(part, before..floor)?;
        if floor > before {
            // The floor is on the disk before anything below it goes: after a crash without it, what was removed would be
            // missed as damage.
            let frame = FrameKind::of_floor(part);
            self.disk.write_note("prune", frame, floor)?;
            self.disk.sync("prune")?;
            raise_floor(&mut self.shared.write(), part, floor);
        }
        // Also where the floor was there already: a crash or an error may have come before the space was given back.
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

    /// Bytes of a part of the blocks at some heights, which are held.
    fn part_bytes(&self, part: Part, heights: Range<u64>) -> Result<u64> {
        // Their records are read without the lock, since there may be millions, and only this writer changes segments.
        let segments = self.shared.read().snapshots(&heights);
        let mut sum = 0;
        for segment in segments {
            let held = segment.live.start.max(heights.start)..segment.live.end.min(heights.end);
            for height in held {
                let record = segment.record(height, self.disk.context.salt)?;
                sum += match part {
                    Part::Body => record.body_bytes as u64,
                    Part::Index => record.entries as u64 * INDEX_ENTRY_BYTES,
                    Part::Header => record.header_bytes as u64,
                };
            }
        }
        Ok(sum)
    }

    fn free_bodies(&self) -> Result<u64> {
        // Out of the state before they are unlinked, so that no reader that begins now is led to them.
        let removed = take_bodies(&mut self.shared.write());
        let mut freed_bytes = 0;
        for file in removed {
            freed_bytes += self.give_back(file)?;
        }
        Ok(freed_bytes + self.punch()?)
    }

    /// Rewrites the heads of segments that have enough below the floors.
    fn strip(&mut self) -> Result<u64> {
        let mut freed_bytes = 0;
        for number in 0..=self.disk.segment as usize {
            let due = {
                let state = self.shared.read();
                let segment = &state.segments[number];
                is_due(segment, state.extent).then(|| (segment.snapshot(), state.extent))
            };
            // Readers go on meanwhile: the lock is not held, since only this writer changes segments.
            if let Some((segment, extent)) = due {
                freed_bytes += self.strip_segment(segment, extent)?;
            }
        }
        Ok(freed_bytes)
    }

    fn strip_segment(&mut self, segment: Segment, extent: Extent) -> Result<u64> {
        let context = self.disk.context.clone();
        let is_open = segment.number == self.disk.segment;
        if is_open {
            let spared_min = OPEN_BYTES_MIN.min(context.options.segment_bytes / 256);
            if segment.heads.length() / 8 < spared_min {
                return Ok(0);
            }
            // The new file's superblock will say that all in it was synced, and opening believes that of its bodies too.
            self.disk.sync("prune")?;
        }
        let number = segment.number;
        let before = self.allocated(&segment.heads)?;
        let rest = strip(&context, &segment, extent, is_open)?;
        // Until the new file takes its place below, readers read the old one: if that were closed to save descriptors, its name
        // would lead to the new one.
        segment.heads.pin()?;
        drop(segment);
        let path = if is_open {
            self.disk.exchange_heads(rest.file, rest.checksum)?;
            self.disk.heads.path.clone()
        } else {
            name_heads(&context, number)?
        };
        let heads = context.open_to_read(&path)?;
        let after = self.allocated(&heads)?;
        // Table and file change under one lock: the old table leads to wrong offsets in the new file.
        let mut state = self.shared.write();
        let segment = &mut state.segments[number as usize];
        segment.table = rest.table;
        segment.stripped = rest.stripped;
        if is_open {
            segment.content = rest.checksum;
        }
        segment.heads = heads;
        Ok(before.saturating_sub(after))
    }

    /// Removes a file of which all is pruned; gives the bytes that the file system has back.
    fn give_back(&self, file: ReadFile) -> Result<u64> {
        // Asked while the file still has its name.
        let allocated = self.allocated(&file)?;
        self.unlink("prune", &file)?;
        Ok(allocated)
    }

    /// Punches the pruned part out of the file that the floor is in.
    fn punch(&self) -> Result<u64> {
        let Some(partial) = partial(&self.shared.read())? else {
            return Ok(0);
        };
        let fault = |source| Error::system("prune", partial.file.path(), source);
        let before = self.allocated(&partial.file)?;
        let start = SUPERBLOCK_BYTES as u64;
        let handle = self
            .disk
            .context
            .files
            .open(partial.file.path())
            .map_err(fault)?;
        // Whole blocks go back, and the rest of the range is set to zeros (fallocate(2)); so the range ends where a body begins
        // that is kept.
        let punched = handle
            .punch(start, partial.kept_from - start)
            .map_err(fault)?;
        if !punched {
            tracing::debug!(
                file = %partial.file.path().display(),
                "this file system can't punch holes; the space comes back with the whole file"
            );
        }
        Ok(before.saturating_sub(self.allocated(&partial.file)?))
    }

    fn allocated(&self, file: &ReadFile) -> Result<u64> {
        let allocated = self.disk.context.files.allocated(file.path());
        allocated.map_err(|source| Error::system("measure", file.path(), source))
    }
}

/// Publishes a floor.
fn raise_floor(state: &mut LogState, part: Part, floor: u64) {
    let before = std::mem::replace(state.extent.floor_of_mut(part), floor);
    if part == Part::Index {
        let touched = state.segments.iter_mut();
        let touched = touched.filter(|held| held.live.end > before && held.live.start < floor);
        touched.for_each(Segment::forget_keys);
    }
}

/// Takes out the files of bodies below the floor.
fn take_bodies(state: &mut LogState) -> Vec<ReadFile> {
    let floor = state.extent.body_floor;
    let sealed = state.segments.len() - 1;
    state.segments[..sealed]
        .iter_mut()
        .filter(|segment| segment.live.end <= floor)
        .filter_map(|segment| segment.bodies.take())
        .collect()
}

/// The file that the floor is in, if there is something to punch. Readers come by it only under the state's lock, and from
/// now on only for what is above the floor.
fn partial(state: &LogState) -> Result<Option<Partial>> {
    let (floor, salt) = (state.extent.body_floor, state.salt);
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
    if kept_from <= SUPERBLOCK_BYTES as u64 {
        return Ok(None);
    }
    Ok(Some(Partial {
        file: file.clone(),
        kept_from,
    }))
}
