//! What is kept: blocks of transactions with unique random ids, in runs that are committed as one.

use std::ops::Range;

use bytes::Bytes;
use hubledger_storage::{Block, Id, IndexEntry};

/// A chain to append. All of it follows from these numbers, so contestants get the same bytes.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    /// Transactions in all; the last block may have fewer than the others.
    pub(crate) transactions: u64,
    /// Transactions in a block.
    pub(crate) per_block: u32,
    /// Blocks in a run: one commit, durable as a whole.
    pub(crate) per_run: u32,
    /// Bytes of a transaction.
    payload: u32,
    noise: Bytes,
}

/// Bytes of a block's header.
const HEADER_BYTES: usize = 300;
/// How many different beginnings a body may have.
const SHIFTS: u64 = 1 << 20;

/// Kinds of ids, so that none meets another.
const BLOCK: u64 = 1;
const TRANSACTION: u64 = 2;
const ABSENT: u64 = 3;

impl Workload {
    /// Blocks of 1,000 transactions of 300 bytes, ten at a time.
    pub(crate) fn standard(transactions: u64) -> Self {
        Self::new(transactions, 300, 1000, 10)
    }

    pub(crate) fn new(transactions: u64, payload: u32, per_block: u32, per_run: u32) -> Self {
        assert!(per_block > 0 && per_run > 0, "a run holds something");
        let body = payload as usize * per_block as usize;
        Self {
            transactions,
            per_block,
            per_run,
            payload,
            noise: noise(SHIFTS as usize + body.max(HEADER_BYTES)),
        }
    }

    /// Blocks in all.
    pub(crate) fn blocks(&self) -> u64 {
        self.transactions.div_ceil(self.per_block.into())
    }

    /// All runs, in order.
    pub(crate) fn runs(&self) -> impl Iterator<Item = Vec<Block>> + '_ {
        self.runs_of(0..self.blocks())
    }

    /// The runs of some blocks, also of those that would come after the last.
    pub(crate) fn runs_of(&self, blocks: Range<u64>) -> impl Iterator<Item = Vec<Block>> + '_ {
        blocks
            .clone()
            .step_by(self.per_run as usize)
            .map(move |first| {
                let end = (first + u64::from(self.per_run)).min(blocks.end);
                (first..end).map(|height| self.block(height)).collect()
            })
    }

    fn block(&self, height: u64) -> Block {
        let first = height * u64::from(self.per_block);
        let count = match self.transactions.checked_sub(first) {
            Some(left @ 1..) => left.min(self.per_block.into()) as u32,
            _ => self.per_block,
        };
        // Other bytes for each block, without copying: a window into noise.
        let shift = (mix(height) % SHIFTS) as usize;
        let body = shift..shift + self.payload as usize * count as usize;
        Block {
            height,
            id: id(BLOCK, height),
            header: self.noise.slice(shift..shift + HEADER_BYTES),
            body: self.noise.slice(body),
            index: (0..count)
                .map(|position| IndexEntry {
                    key: id(TRANSACTION, first + u64::from(position)),
                    position,
                })
                .collect(),
        }
    }

    /// A transaction's id, and where it is.
    pub(crate) fn present(&self, number: u64) -> (Id, Place) {
        let per_block = u64::from(self.per_block);
        let place = Place {
            height: number / per_block,
            position: (number % per_block) as u32,
        };
        (id(TRANSACTION, number), place)
    }
}

/// An id that no workload has.
pub(crate) fn absent(number: u64) -> Id {
    id(ABSENT, number)
}

/// Where a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) height: u64,
    pub(crate) position: u32,
}

/// Bytes that don't compress.
fn noise(length: usize) -> Bytes {
    let words = (0..length.div_ceil(8) as u64).flat_map(|word| mix(word).to_le_bytes());
    words.collect::<Vec<u8>>().into()
}

fn id(kind: u64, number: u64) -> Id {
    let mut id = Id::default();
    for (chunk, part) in id.chunks_exact_mut(8).zip(0u64..) {
        let state = (kind << 56 | part << 48) ^ number;
        chunk.copy_from_slice(&mix(mix(state)).to_le_bytes());
    }
    id
}

/// The step of the generator SplitMix64: a permutation of the words without visible order.
pub(crate) fn mix(state: u64) -> u64 {
    let state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (state ^ state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn runs_hold_every_transaction_once_at_its_place() {
        let workload = Workload::new(1050, 30, 100, 4);
        let blocks: Vec<Block> = workload.runs().flatten().collect();
        assert_eq!(blocks.len() as u64, workload.blocks());
        assert_eq!(workload.runs().next().map(|run| run.len()), Some(4));
        let mut keys = HashSet::new();
        let mut number = 0;
        for block in &blocks {
            assert_eq!(block.body.len(), 30 * block.index.len());
            assert!(keys.insert(block.id));
            for entry in &block.index {
                let (key, place) = workload.present(number);
                assert_eq!((key, place.height), (entry.key, block.height));
                assert_eq!(place.position, entry.position);
                assert!(keys.insert(key) && keys.insert(absent(number)));
                number += 1;
            }
        }
        assert_eq!(number, workload.transactions);
        assert_ne!(blocks[0].body, blocks[1].body);
    }

    #[test]
    fn a_workload_goes_on_after_its_last_block() {
        let workload = Workload::new(1000, 10, 100, 10);
        let more: Vec<Block> = workload.runs_of(10..12).flatten().collect();
        assert_eq!(more.len(), 2);
        assert_eq!(more[1].index.len(), 100);
        assert_eq!(more[1].index[3].key, workload.present(1103).0);
    }
}
