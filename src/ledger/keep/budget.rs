//! How small a store can be pruned, told before anything is removed: from what must stay, by the sizes in headers, and what
//! every backend takes beside it. A budget below what must stay, without anything beside, can't be met and is refused;
//! the refusal names one that can, on the large side. Whether one in between can be met shows only when the store is pruned.

use std::ops::Range;

use hubledger_storage::{Held, INDEX_ENTRY_BYTES, Usage};

use super::leaves::Directory;
use super::policy::{Keep, PolicyError, PrunePolicy};
use crate::ledger::state_set::{self, StateBytes};
use crate::ledger::{ChainReader, LedgerError};

/// Of more blocks than this, so many evenly spread ones stand for all.
const SAMPLE_BLOCKS: u64 = 256;

// Measured with stores of `log:` and `sqlite:`, of many small blocks and of few large ones, pruned step by step.
/// What a store grows by while it is asked.
const MARGIN_BYTES: u64 = 64 << 10;
/// A store of no block at all, with pages that are half empty.
const STORE_BYTES: u64 = 128 << 10;
/// An id.
const ID_BYTES: u64 = 32;
/// An id, its place in the index, and what a row or record takes beside its content.
const BLOCK_BYTES: u64 = 128;
/// Half a page that a body leaves empty.
const BODY_BYTES: u64 = 2 << 10;
/// An index entry where it was appended, and where it is looked up. An imported transaction has two.
const INDEX_BYTES: u64 = 2 * (INDEX_ENTRY_BYTES + 48);
/// Index entries that may lie in a file though they are gone, until the file is worth rewriting.
const INDEX_LEFT_BYTES: u64 = 512 << 10;
/// A leaf hash, and its share of chunk and directory.
const LEAF_BYTES: u64 = 36;
/// Old values, such as leaf hashes that were put again with more of them, and other waste that may stay …
const WASTE_BYTES: u64 = 1 << 20;
/// … of which each step leaves some.
const STEPS: u64 = 64;

/// Refuses a policy whose budget can't be met by pruning a store of this size; `snapshot_bytes` is the size of its snapshot, if that
/// is a named value. O(1) headers and pages of the state.
pub(crate) fn check(
    policy: &PrunePolicy,
    chain: &ChainReader,
    usage: Usage,
    snapshot_bytes: u64,
) -> Result<(), LedgerError> {
    let Some(budget) = policy.budget_bytes else {
        return Ok(());
    };
    if usage.bytes_on_disk <= budget {
        return Ok(());
    }
    // As it is, the store surely can be.
    let on_disk = usage.bytes_on_disk;
    let state = state_set::bytes(chain)?.unwrap_or(StateBytes {
        least: snapshot_bytes,
        about: snapshot_bytes,
    });
    let Least { surely, amply } = least_bytes(policy, chain, on_disk, state)?;
    if budget >= surely.min(on_disk) {
        return Ok(());
    }
    // Asking again finds a few pages more.
    let least = amply.min(on_disk).saturating_add(MARGIN_BYTES);
    Err(PolicyError::BudgetTooSmall { budget, least }.into())
}

/// What a store takes that was pruned as far as a policy lets it.
struct Least {
    /// No less than this, in any backend.
    surely: u64,
    /// No more than this, in all of them.
    amply: u64,
}

fn least_bytes(
    policy: &PrunePolicy,
    chain: &ChainReader,
    on_disk: u64,
    state: StateBytes,
) -> Result<Least, LedgerError> {
    let extent = chain.extent()?;
    let floor = policy.floor_max(extent).max(extent.body_floor);
    let header_floor = match policy.headers {
        Keep::All => extent.header_floor,
        Keep::Last(blocks) => extent.end.saturating_sub(blocks).min(floor),
        // Which they are only the blocks' times tell; they may all go.
        Keep::From(_) | Keep::For(_) => floor,
    };
    let header_floor = header_floor.max(extent.header_floor);
    let heads = estimate(header_floor..extent.end, |height| {
        header_bytes(chain, height)
    })?;
    let bodies = estimate(floor..extent.end, |height| {
        let (body_bytes, transactions) = contents(chain, height)?;
        Ok(BODY_BYTES + body_bytes + body_bytes / 16 + INDEX_BYTES * transactions)
    })?;
    let kept = estimate(floor..extent.end, |height| {
        let (body_bytes, transactions) = contents(chain, height)?;
        Ok(body_bytes + INDEX_ENTRY_BYTES * transactions)
    })?;
    let directory = Directory::read(chain.store())?;
    let leaves = |is_kept: &dyn Fn(u64) -> bool| {
        estimate(extent.header_floor..floor, |height| match is_kept(height) {
            true => Ok(LEAF_BYTES * contents(chain, height)?.1),
            false => Ok(0),
        })
    };
    let kept_leaves = leaves(&|height| directory.has(height))?;
    let new_leaves = match policy.leaves {
        true => leaves(&|height| height >= extent.body_floor)?,
        false => 0,
    };
    // What is there now, without any waste.
    let contents_now = estimate(extent.header_floor..extent.end, |height| {
        let (body_bytes, transactions) = contents(chain, height)?;
        let is_held = |floor, bytes| if height < floor { 0 } else { bytes };
        Ok(is_held(extent.body_floor, body_bytes)
            + is_held(extent.index_floor, INDEX_ENTRY_BYTES * transactions)
            + header_bytes(chain, height)?)
    })?;
    let waste = on_disk
        .saturating_sub(contents_now)
        .saturating_sub(kept_leaves)
        .saturating_sub(state.about)
        .min(WASTE_BYTES);
    let index_left = estimate(
        extent.index_floor.max(extent.header_floor)..floor,
        |height| Ok(INDEX_ENTRY_BYTES * contents(chain, height)?.1),
    )?;
    let parts = [
        STORE_BYTES,
        BLOCK_BYTES.saturating_mul(extent.end),
        heads,
        bodies,
        index_left.min(INDEX_LEFT_BYTES),
        kept_leaves,
        new_leaves,
        new_leaves.saturating_mul(STEPS).min(WASTE_BYTES),
        waste,
        // A snapshot is written before the one that it replaces goes, and so are tables that are merged.
        state.about.saturating_mul(2),
    ];
    let ids = ID_BYTES.saturating_mul(extent.end);
    let sum = |parts: &[u64]| parts.iter().copied().fold(0, u64::saturating_add);
    Ok(Least {
        surely: sum(&[ids, heads, kept, kept_leaves, state.least]),
        amply: sum(&parts),
    })
}

/// The sum of `of` over heights, or what evenly spread ones make of it.
fn estimate(
    heights: Range<u64>,
    mut of: impl FnMut(u64) -> Result<u64, LedgerError>,
) -> Result<u64, LedgerError> {
    let blocks = heights.end.saturating_sub(heights.start);
    let sampled = blocks.min(SAMPLE_BLOCKS);
    // Wide enough for any number of 64-bit sizes: headers are read from a store, and may say anything.
    let mut sum = 0u128;
    for part in 0..sampled {
        let offset = u128::from(part) * u128::from(blocks) / u128::from(sampled);
        sum += u128::from(of(heights.start + offset as u64)?);
    }
    let whole = sum * u128::from(blocks) / u128::from(sampled.max(1));
    Ok(u64::try_from(whole).unwrap_or(u64::MAX))
}

fn header_bytes(chain: &ChainReader, height: u64) -> Result<u64, LedgerError> {
    let stored = chain.store().header(height)?;
    Ok(match stored.map(|stored| stored.bytes) {
        Some(Held::Present(bytes)) => bytes.len() as u64,
        _ => 0,
    })
}

/// Bytes of a body, and transactions in it.
fn contents(chain: &ChainReader, height: u64) -> Result<(u64, u64), LedgerError> {
    let header = chain.header(height)?;
    Ok(header.map_or((0, 0), |header| {
        (header.body_size.into(), header.transaction_count.into())
    }))
}
