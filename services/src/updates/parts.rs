//! The transactions of a block that a peer lacks, by id.

use std::collections::HashMap;

use hubledger::digest::{BlockHash, Digest, TransactionId};
use hubledger::ledger::{ChainReader, LedgerError};
use hubledger::merkle::{self, ProofError};
use hubledger::model::{Header, Transaction};

/// Ids that one question can name; what is above is passed over.
pub const WANTED_MAX: usize = 4096;

/// A transaction of a block, with its path to the root in the block's header.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its index in the block.
    pub index: u32,
    /// The transaction.
    pub transaction: Transaction,
    /// The hashes beside its way to the root, the lowest first.
    pub path: Vec<Digest>,
}

/// Some of a block's transactions.
#[derive(Debug, Clone)]
pub struct Parts {
    /// In the order of the question.
    pub found: Vec<Part>,
    /// Those that are not in the block.
    pub absent: Vec<TransactionId>,
    /// So many ids were answered, found or not: what comes behind is to be asked for again.
    pub answered: usize,
}

impl Part {
    /// Checks that the transaction is in the block of this header.
    ///
    /// # Errors
    /// The path doesn't lead to the header's root.
    pub fn verify(&self, header: &Header) -> Result<(), ProofError> {
        let place = (u64::from(self.index), u64::from(header.transaction_count));
        let leaf = self.transaction.leaf_hash();
        merkle::verify_inclusion(&leaf, place.0, place.1, &self.path, &header.merkle_root)
    }
}

/// The transactions of a block that a peer lacks, by their ids, each with its path. At most `bytes_max` bytes of transactions and paths, but always one.
/// O(transactions of the block + wanted · log).
///
/// # Errors
/// [`LedgerError::UnknownBlock`] of a block that isn't in the chain; [`LedgerError::Pruned`]; the store failed.
pub fn parts_of(
    chain: &ChainReader,
    block: &BlockHash,
    wanted: &[TransactionId],
    bytes_max: usize,
) -> Result<Parts, LedgerError> {
    let unknown = || LedgerError::UnknownBlock(*block);
    let height = chain.height_of(block)?.ok_or_else(unknown)?;
    let whole = chain.block(height)?.filter(|whole| whole.hash() == *block);
    let whole = whole.ok_or_else(unknown)?;
    let transactions = whole.transactions();
    let places: HashMap<TransactionId, u32> = (0..)
        .zip(transactions)
        .map(|(index, transaction)| (transaction.id(), index))
        .collect();
    let levels = levels(whole.leaf_hashes());
    let mut parts = Parts {
        found: Vec::new(),
        absent: Vec::new(),
        answered: 0,
    };
    let mut bytes = 0usize;
    for id in wanted.iter().take(WANTED_MAX) {
        let Some(index) = places.get(id) else {
            parts.absent.push(*id);
            parts.answered += 1;
            continue;
        };
        let transaction = &transactions[*index as usize];
        let path = path(&levels, *index as usize);
        bytes += transaction.bytes().len() + 32 * path.len();
        if bytes > bytes_max && !parts.found.is_empty() {
            break;
        }
        parts.answered += 1;
        parts.found.push(Part {
            index: *index,
            transaction: transaction.clone(),
            path,
        });
    }
    Ok(parts)
}

/// All nodes of the RFC 9162 tree, level by level from the leaves: one without a neighbour goes up as it is.
fn levels(leaves: Vec<Digest>) -> Vec<Vec<Digest>> {
    let mut levels = vec![leaves];
    while let Some(last) = levels.last().filter(|last| last.len() > 1) {
        let nodes = last.chunks(2).map(|pair| match pair {
            [left, right] => merkle::node_hash(left, right),
            alone => alone.first().copied().unwrap_or_default(),
        });
        levels.push(nodes.collect());
    }
    levels
}

fn path(levels: &[Vec<Digest>], mut index: usize) -> Vec<Digest> {
    let mut path = Vec::new();
    for level in levels {
        path.extend(level.get(index ^ 1).copied());
        index /= 2;
    }
    path
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn paths_of_a_whole_tree_are_those_that_are_made_one_by_one() {
        for count in 1..40u8 {
            let leaves: Vec<Digest> = (0..count).map(|leaf| Digest([leaf; 32])).collect();
            let levels = levels(leaves.clone());
            for index in 0..usize::from(count) {
                let expected = merkle::inclusion_path(&leaves, index as u64).unwrap();
                assert_eq!(path(&levels, index), expected);
            }
        }
    }
}
