//! Blocks that went from the chain when another branch took their place, each with the block that it follows: so whoever has seen one finds the way
//! back to what is still there, and whoever waits for one of their transactions learns of it. Of the last ones only; how many those are bounds its
//! memory.

use std::collections::{HashMap, VecDeque};

use crate::format::digest::{BlockHash, TransactionId};
use crate::format::model::{Block, Transaction};
use crate::ledger::Position;

/// Some 100 bytes each.
const BLOCKS_MAX: usize = 1 << 16;
/// The same.
const TRANSACTIONS_MAX: usize = 1 << 17;

#[derive(Debug, Default)]
pub(super) struct ReplacedBlocks {
    parents: HashMap<BlockHash, Position>,
    /// The oldest first; also those that came back since.
    order: VecDeque<BlockHash>,
    /// The heights of the blocks that had them.
    transactions: HashMap<TransactionId, u64>,
    /// The oldest first; also those that came back since.
    transaction_order: VecDeque<TransactionId>,
}

impl ReplacedBlocks {
    /// Notes blocks that go, or may have gone before.
    pub(super) fn note<'a>(
        &mut self,
        blocks: impl IntoIterator<Item = &'a Block, IntoIter: Clone>,
    ) {
        let blocks = blocks.into_iter();
        let count: usize = blocks.clone().map(|block| block.transactions().len()).sum();
        self.transactions.reserve(count.min(TRANSACTIONS_MAX));
        for block in blocks {
            let parent = Position {
                height: block.height().saturating_sub(1),
                hash: block.header().previous_hash,
            };
            self.parents.insert(block.hash(), parent);
            self.order.push_back(block.hash());
            for id in block.transactions().iter().map(Transaction::id) {
                self.transactions.insert(id, block.height());
                self.transaction_order.push_back(id);
            }
            while self.transaction_order.len() > TRANSACTIONS_MAX {
                if let Some(oldest) = self.transaction_order.pop_front() {
                    self.transactions.remove(&oldest);
                }
            }
        }
        while self.order.len() > BLOCKS_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.parents.remove(&oldest);
            }
        }
    }

    /// Forgets blocks that are in the chain now.
    pub(super) fn forget<'a>(&mut self, blocks: impl IntoIterator<Item = &'a Block>) {
        for block in blocks {
            self.parents.remove(&block.hash());
            for transaction in block.transactions() {
                self.transactions.remove(&transaction.id());
            }
        }
    }

    /// The height of the last block that went with this transaction in it.
    pub(super) fn height_of(&self, id: &TransactionId) -> Option<u64> {
        self.transactions.get(id).copied()
    }

    /// The block that a block follows which went.
    pub(super) fn parent(&self, hash: &BlockHash) -> Option<Position> {
        self.parents.get(hash).copied()
    }
}
