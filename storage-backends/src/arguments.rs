//! The argument checks that all backends share, so that all refuse the same and before they write anything.

use std::collections::HashSet;

use crate::{Block, Error, Extent, Part, Result};

/// Largest header, in bytes.
pub const HEADER_BYTES_MAX: usize = 16 << 20;
/// Largest body, in bytes.
pub const BODY_BYTES_MAX: usize = 512 << 20;
/// Most index entries of one block.
pub const INDEX_ENTRIES_MAX: usize = 1 << 24;
/// Longest key of a named value, in bytes.
pub const VALUE_NAME_BYTES_MAX: usize = 64;
/// Longest named value, in bytes.
pub const NAMED_VALUE_BYTES_MAX: usize = 256 << 20;

/// Checks a run but for ids that the store already holds. O(blocks of the run).
pub(crate) fn run(operation: &'static str, extent: Extent, run: &[Block]) -> Result<()> {
    let mut ids = HashSet::with_capacity(run.len());
    // All of it before anything is written: an argument error leaves the writer usable only because nothing has changed.
    for (block, expected) in run.iter().zip(extent.end..) {
        let height = block.height;
        if height != expected {
            let reason = format!("the block at height {height} should be at {expected}");
            return Err(Error::argument(operation, reason));
        }
        // Formats have 32 bits for these, and reading bounds them too: what is longer could be written and never be read.
        let bounds = [
            ("header", block.header.len(), HEADER_BYTES_MAX),
            ("body", block.body.len(), BODY_BYTES_MAX),
            ("index", block.index.len(), INDEX_ENTRIES_MAX),
        ];
        for (what, len, max) in bounds {
            bound(operation, what, height, len, max)?;
        }
        if !ids.insert(&block.id) {
            return Err(duplicate_id(operation, height));
        }
    }
    Ok(())
}

/// The refusal of a block whose id is already held.
pub(crate) fn duplicate_id(operation: &'static str, height: u64) -> Error {
    Error::argument(
        operation,
        format!("the id of the block at height {height} is already held"),
    )
}

/// Checks what [`replace`](crate::BlockWriter::replace) is asked for, but for ids that the store already holds. Gives the height
/// from which on blocks are taken off, which is the run's first: the end, if none are. O(blocks of the run).
pub(crate) fn replacement(extent: Extent, above: u64, blocks: &[Block]) -> Result<u64> {
    truncation("replace", extent, above)?;
    let end = above.saturating_add(1).min(extent.end);
    run("replace", Extent { end, ..extent }, blocks)?;
    Ok(end)
}

/// Checks that no pruned block is taken off the top.
pub(crate) fn truncation(operation: &'static str, extent: Extent, above: u64) -> Result<()> {
    let end = above.saturating_add(1);
    if end < extent.body_floor {
        return Err(Error::argument(
            operation,
            format!(
                "blocks above {above} reach below the floor {}",
                extent.body_floor
            ),
        ));
    }
    Ok(())
}

/// Checks the floor that pruning is to reach.
pub(crate) fn pruning(extent: Extent, part: Part, below: u64) -> Result<()> {
    let ceiling = extent.ceiling_of(part);
    if below <= ceiling {
        return Ok(());
    }
    let bound = match part {
        Part::Body => "the end",
        Part::Index | Part::Header => "the floor of bodies",
    };
    Err(Error::argument(
        "prune",
        format!("a floor of {below} for the {part} is beyond {bound}, {ceiling}"),
    ))
}

/// Checks a named value.
pub(crate) fn named_value(key: &str, value: &[u8]) -> Result<()> {
    let refuse = |what: &str, len: usize, max: usize| {
        Err(Error::argument(
            "put_named_value",
            format!("a {what} of {len} bytes is over the limit of {max}"),
        ))
    };
    if key.len() > VALUE_NAME_BYTES_MAX {
        return refuse("key", key.len(), VALUE_NAME_BYTES_MAX);
    }
    if value.len() > NAMED_VALUE_BYTES_MAX {
        return refuse("value", value.len(), NAMED_VALUE_BYTES_MAX);
    }
    Ok(())
}

fn bound(operation: &'static str, what: &str, height: u64, len: usize, max: usize) -> Result<()> {
    if len > max {
        let reason = format!("the {what} at height {height} has {len}, over the limit of {max}");
        return Err(Error::argument(operation, reason));
    }
    Ok(())
}
