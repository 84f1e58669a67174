//! What index files, and heads that were rewritten, tell of the log.
//!
//! They leave out what is below a floor or was truncated or replaced, and are made only once the frame that says so is on the
//! disk. So a log that doesn't say it has lost that frame and all behind it, however whole the rest is; and what was left
//! out of them must not be taken for absent.

use std::path::Path;

use super::state::LogState;
use crate::{Error, Part, Result};

/// Refuses a log that was cut after others were made from it.
pub(super) fn check_witnesses(state: &LogState) -> Result<()> {
    for segment in &state.segments {
        let path = segment.heads.path();
        check_floor(state, path, Part::Index, segment.stripped.keys)?;
        check_floor(state, path, Part::Header, segment.stripped.headers)?;
    }
    for run in &state.index_files {
        check_floor(state, run.path(), Part::Index, run.keys_from)?;
        let covered = run.covers.iter().zip(&state.segments[run.first as usize..]);
        for (cover, segment) in covered {
            // Fewer blocks in the index file than in the segment: it was made after a truncation whose frame is gone, and the
            // blocks that are back would not be found.
            if !segment.live.is_empty() && cover.end < segment.live.end {
                let what = format!("truncated from height {} on", cover.end);
                return Err(lost(state, run.path(), &what));
            }
        }
    }
    Ok(())
}

/// `witness` lacks a part of the blocks below a height.
fn check_floor(state: &LogState, witness: &Path, part: Part, below: u64) -> Result<()> {
    if below <= state.extent.floor_of(part) {
        return Ok(());
    }
    let part = match part {
        Part::Body => "bodies",
        Part::Index => "keys",
        Part::Header => "headers",
    };
    let what = format!("pruned of {part} below height {below}");
    Err(lost(state, witness, &what))
}

fn lost(state: &LogState, witness: &Path, what: &str) -> Error {
    let heads = &state.open().heads;
    let witness = witness.file_name().unwrap_or_default().display();
    let reason = format!(
        "frames that were on the disk are missing from here on: {witness} was made when the chain had been {what}"
    );
    heads.corrupt(heads.length(), reason)
}
