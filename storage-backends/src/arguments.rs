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
pub const META_KEY_BYTES_MAX: usize = 64;
/// Longest named value, in bytes.
pub const META_VALUE_BYTES_MAX: usize = 256 << 20;

/// Checks a run but for ids that the store already holds. O(blocks of the run).
pub(crate) fn run(extent: Extent, run: &[Block]) -> Result<()> {
    let mut ids = HashSet::with_capacity(run.len());
    for (block, expected) in run.iter().zip(extent.end..) {
        let height = block.height;
        if height != expected {
            return refuse_append(format!(
                "the block at height {height} should be at {expected}"
            ));
        }
        bound(
            "append",
            "header",
            height,
            block.header.len(),
            HEADER_BYTES_MAX,
        )?;
        bound("append", "body", height, block.body.len(), BODY_BYTES_MAX)?;
        bound(
            "append",
            "index",
            height,
            block.index.len(),
            INDEX_ENTRIES_MAX,
        )?;
        if !ids.insert(&block.id) {
            return Err(duplicate_id(height));
        }
    }
    Ok(())
}

/// The refusal of a block whose id is already held.
pub(crate) fn duplicate_id(height: u64) -> Error {
    Error::argument(
        "append",
        format!("the id of the block at height {height} is already held"),
    )
}

/// Checks that truncation takes no pruned block.
pub(crate) fn truncation(extent: Extent, above: u64) -> Result<()> {
    let end = above.saturating_add(1);
    if end < extent.floor {
        return Err(Error::argument(
            "truncate",
            format!(
                "blocks above {above} reach below the floor {}",
                extent.floor
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
pub(crate) fn meta(key: &str, value: &[u8]) -> Result<()> {
    let refuse = |what: &str, len: usize, max: usize| {
        Err(Error::argument(
            "put_meta",
            format!("a {what} of {len} bytes is over the limit of {max}"),
        ))
    };
    if key.len() > META_KEY_BYTES_MAX {
        return refuse("key", key.len(), META_KEY_BYTES_MAX);
    }
    if value.len() > META_VALUE_BYTES_MAX {
        return refuse("value", value.len(), META_VALUE_BYTES_MAX);
    }
    Ok(())
}

fn refuse_append<T>(reason: String) -> Result<T> {
    Err(Error::argument("append", reason))
}

fn bound(operation: &'static str, what: &str, height: u64, len: usize, max: usize) -> Result<()> {
    if len > max {
        let reason = format!("the {what} at height {height} has {len}, over the limit of {max}");
        return Err(Error::argument(operation, reason));
    }
    Ok(())
}
