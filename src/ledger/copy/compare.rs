//! Comparing two stores of the same chain: every id, and of a sample of blocks every part, every index look-up, and a few
//! proofs.

use std::collections::BTreeSet;

use hubledger_storage::{BlockReader, Extent, Held, Location};

use super::sets::SourceSet;

use crate::ledger::missing::LostPart;
use crate::ledger::{ChainReader, LedgerError};

/// All blocks of a chain that is no longer than this; else so many of its beginning, its end, and from between.
const SAMPLE_BLOCKS: u64 = 256;
/// Ids that are compared between two steps.
const STEP_IDS: u64 = 4096;
/// A proof costs a hash for every block of the chain.
const PROOFS_MAX: usize = 4;

/// What was compared, and found equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compared {
    /// Ids.
    pub ids: u64,
    /// Blocks of which every held part was compared.
    pub blocks: u64,
    /// Look-ups of index entries.
    pub look_ups: u64,
    /// Proofs.
    pub proofs: u64,
    /// Rows of table sets: all.
    pub rows: u64,
}

/// Compares what `copy` holds with what `source` holds of it: the extent `expected`, all of it in `source` but for what
/// was pruned there since, but for what the copy says is lost and, with `skip_damage`, what can't be read; and of table sets
/// exactly `sets`. `step` is told how far it is, and its error ends it.
///
/// # Errors
/// [`LedgerError::CopyDiffers`] with the first difference; a store that failed or is damaged.
pub(crate) fn compare(
    source: &ChainReader,
    copy: &ChainReader,
    (expected, sets): (Extent, &[SourceSet]),
    skip_damage: bool,
    step: &mut dyn FnMut(u64) -> Result<(), LedgerError>,
) -> Result<Compared, LedgerError> {
    let mut compared = Compared::default();
    let extent = copy.extent()?;
    // Floors and end have to be exact: a copy that is one block short would pass every comparison below.
    if extent != expected {
        return differs(format!("it holds {extent:?}, not {expected:?}"));
    }
    let lost = copy.lost();
    let is_skipped = |error: &LedgerError| skip_damage && error.is_corrupt();
    for height in 0..extent.end {
        match source.hash_at(height) {
            // Where the header was lost the id may be a made-up one, in either store.
            _ if lost.has(LostPart::Header, height) => {}
            Err(error) if is_skipped(&error) => {}
            id => {
                if id? != copy.hash_at(height)? {
                    return differs(format!("block {height} is another"));
                }
                compared.ids += 1;
            }
        }
        if (height + 1) % STEP_IDS == 0 {
            step(height)?;
        }
    }
    let sample = sample(extent);
    for &height in sample.iter().filter(|height| !lost.touches(**height)) {
        let (source, copy) = (source.store(), copy.store());
        let same =
            compare_block(source, copy, height).and_then(|()| compare_index(source, copy, height));
        match same {
            Err(error) if is_skipped(&error) => {}
            look_ups => {
                compared.look_ups += look_ups?;
                compared.blocks += 1;
            }
        }
        step(height)?;
    }
    let head = copy.hash_at(extent.end - 1)?;
    let bodies = sample
        .iter()
        .rev()
        .filter(|height| **height >= extent.body_floor);
    for &height in bodies.take(PROOFS_MAX) {
        let proofs = [source, copy].map(|chain| chain.prove(height, 0, head.as_ref()));
        match proofs {
            [Ok(before), Ok(after)] if before == after => compared.proofs += 1,
            // A block without transactions, or one that the source has pruned since.
            [
                Err(LedgerError::UnknownTransaction(_) | LedgerError::Pruned(_)),
                _,
            ] => {}
            // A lost hash anywhere below makes all proofs impossible.
            [Err(LedgerError::Lost { .. }), _] => {}
            [Err(ref error), _] if is_skipped(error) => {}
            [Err(error), _] | [_, Err(error)] => return Err(error),
            _ => return differs(format!("a transaction of block {height} has another proof")),
        }
    }
    compared.rows = compare_sets(copy, sets, step)?;
    Ok(compared)
}

/// That the copy has these table sets, all of them and no other, row by row.
fn compare_sets(
    copy: &ChainReader,
    sets: &[SourceSet],
    step: &mut dyn FnMut(u64) -> Result<(), LedgerError>,
) -> Result<u64, LedgerError> {
    let tables = copy.store().tables();
    let mut expected: Vec<&str> = sets.iter().map(|set| set.name.as_str()).collect();
    expected.sort_unstable();
    let held = tables.sets()?;
    if held != expected {
        return differs(format!("it has the table sets {held:?}, not {expected:?}"));
    }
    let mut rows = 0;
    for set in sets {
        let height = set.position.map_or(0, |at| at.height);
        rows += set.compare_with(&*tables.view(&set.name)?, &mut || step(height))?;
    }
    Ok(rows)
}

fn differs<T>(what: String) -> Result<T, LedgerError> {
    Err(LedgerError::CopyDiffers(what))
}

/// Heights to compare: evenly spread, with both ends and both sides of every floor.
fn sample(extent: Extent) -> BTreeSet<u64> {
    let end = extent.end;
    if end <= SAMPLE_BLOCKS {
        return (0..end).collect();
    }
    let spread = (0..SAMPLE_BLOCKS)
        .map(|part| u128::from(part) * u128::from(end - 1) / u128::from(SAMPLE_BLOCKS - 1));
    let edges = [extent.body_floor, extent.index_floor, extent.header_floor]
        .into_iter()
        .flat_map(|floor| [floor.saturating_sub(1), floor]);
    let spread = spread.map(|height| u64::try_from(height).unwrap_or(0));
    spread.chain(edges).filter(|height| *height < end).collect()
}

fn compare_block(
    source: &dyn BlockReader,
    copy: &dyn BlockReader,
    height: u64,
) -> Result<(), LedgerError> {
    let (Some(before), Some(after)) = (source.block(height)?, copy.block(height)?) else {
        return differs(format!("block {height} is missing"));
    };
    for (part, before, after) in [
        ("header", before.header, after.header),
        ("body", before.body, after.body),
    ] {
        if before != Held::Pruned && before != after {
            return differs(format!("the {part} of block {height} is another"));
        }
    }
    if copy.height_of(&after.id)? != Some(height) {
        return differs(format!("the hash of block {height} does not find it"));
    }
    Ok(())
}

fn compare_index(
    source: &dyn BlockReader,
    copy: &dyn BlockReader,
    height: u64,
) -> Result<u64, LedgerError> {
    let parts = (source.index(height)?, copy.index(height)?);
    let (Some(Held::Present(before)), Some(Held::Present(after))) = parts else {
        return Ok(0);
    };
    if before != after {
        return differs(format!("the index entries of block {height} are others"));
    }
    for entry in &before {
        // Where the beginning of the index is pruned, a key that was given twice may be found at either position.
        let position = |store: &dyn BlockReader| -> Result<Option<(u64, u32)>, LedgerError> {
            Ok(match store.locate(&entry.key)? {
                Location::Found { height, position } | Location::Pruned { height, position } => {
                    Some((height, position))
                }
                _ => None,
            })
        };
        let found = position(copy)?;
        let is_right = found.is_some_and(|position| position <= (height, entry.position));
        let pruned = copy.extent()?.index_floor > 0;
        let in_source = position(source)?;
        let is_same = pruned || in_source.is_none() || in_source == found;
        if !is_right || !is_same {
            return differs(format!(
                "the index finds entry {} of block {height} elsewhere",
                entry.position
            ));
        }
    }
    Ok(before.len() as u64)
}
