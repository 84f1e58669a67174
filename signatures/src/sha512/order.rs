//! Sorting by the number of blocks.

use super::Preimage;
use super::lane::blocks;

/// Numbers of blocks are told apart by their highest bit and so many bits below it.
const PRECISION: u32 = 4;

/// More than the highest class: a preimage has fewer than `2^58` blocks.
const CLASSES: usize = (58 - PRECISION as usize + 1) << PRECISION;

/// The class of a number of blocks: exact below `2^(PRECISION + 1)`, within one part in `2^PRECISION` from there on.
fn class(blocks: usize) -> usize {
    let low = blocks
        .checked_ilog2()
        .unwrap_or(0)
        .saturating_sub(PRECISION);
    ((low as usize) << PRECISION) + (blocks >> low)
}

/// Sets `order` to the preimages' indices, by number of blocks, the highest class first.
pub(super) fn by_blocks(preimages: &[Preimage<'_>], order: &mut Vec<u32>) {
    let mut next = [0u32; CLASSES];
    for preimage in preimages {
        next[class(blocks(preimage))] += 1;
    }
    let mut sum = 0;
    for count in next.iter_mut().rev() {
        sum += core::mem::replace(count, sum);
    }
    order.clear();
    order.resize(preimages.len(), 0);
    for (i, preimage) in (0..).zip(preimages) {
        let next = &mut next[class(blocks(preimage))];
        order[*next as usize] = i;
        *next += 1;
    }
}
