//! Pruning: the floor first, then the space.
//!
//! Files of bodies that are all below the floor are unlinked; readers that hold bytes of one keep it until they let
//! go. In the file that the floor is in, a hole is punched, which readers would see; so that is done only while no
//! reader holds any bytes of it, and made up for by the next call otherwise.

use std::sync::Arc;

use super::format::{FrameKind, SUPERBLOCK_BYTES};
use super::segment::MappedFile;
use super::state::State;
use super::writer::Inner;
use crate::{Error, PruneReceipt, Result, check};

/// A file of bodies, and where the first one above the floor begins.
struct Partial {
    file: MappedFile,
    kept_from: u64,
}

impl Inner {
    pub(super) fn prune(&mut self, below: u64, limit: u64) -> Result<PruneReceipt> {
        let (extent, body_bytes, floor) = {
            let state = self.shared.read();
            let extent = state.extent();
            check::pruning(extent, below)?;
            let floor = extent.floor + below.saturating_sub(extent.floor).min(limit);
            (extent, body_bytes(&state, extent.floor, floor)?, floor)
        };
        let mut freed_bytes = 0;
        if floor > extent.floor {
            self.disk.write_note("prune", FrameKind::Floor, floor)?;
            self.disk.sync("prune", &mut || {})?;
            let removed = raise_floor(&mut self.shared.write(), floor);
            for file in removed {
                freed_bytes += self.give_back(file)?;
            }
            freed_bytes += self.punch()?;
        }
        Ok(PruneReceipt {
            floor,
            bodies: floor - extent.floor,
            body_bytes,
            freed_bytes,
            done: floor >= below,
        })
    }

    /// Removes a file of which all is pruned; gives the bytes that the file system has back.
    fn give_back(&self, file: MappedFile) -> Result<u64> {
        let allocated = self.allocated(&file)?;
        self.unlink("prune", &file)?;
        match Arc::try_unwrap(file.map) {
            Ok(_) => Ok(allocated),
            Err(_) => {
                tracing::debug!(file = %file.path.display(), "a reader still holds pruned bytes");
                Ok(0)
            }
        }
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

fn body_bytes(state: &State, from: u64, to: u64) -> Result<u64> {
    let mut sum = 0;
    for height in from..to {
        if let Some((_, record)) = state.record(height)? {
            sum += record.body_bytes as u64;
        }
    }
    Ok(sum)
}

/// Publishes the floor and takes out the files below it.
fn raise_floor(state: &mut State, floor: u64) -> Vec<MappedFile> {
    state.floor = floor;
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
    let (floor, salt) = (state.floor, state.salt);
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
