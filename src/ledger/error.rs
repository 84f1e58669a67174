//! Faults of this ledger, its store or its callers; never of somebody's block, which is a
//! [`Rejected`](crate::rejection::Rejected).

use crate::codec::DecodeError;
use crate::digest::{BlockHash, ChainId};

/// Why the ledger couldn't do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The store failed; the message names the file.
    #[error(transparent)]
    Storage(#[from] hubledger_storage::Error),
    /// The store holds no chain yet.
    #[error("the store holds no chain; create one from a specification")]
    Uninitialised,
    /// The store holds another chain.
    #[error("the store holds chain {held}, not {asked}: the specifications differ")]
    OtherChain {
        /// The chain in the store.
        held: ChainId,
        /// The chain asked for.
        asked: ChainId,
    },
    /// A stored record can't be decoded or contradicts another, though its checksum is right.
    #[error("damaged store: {record} at height {height}: {problem}")]
    Damaged {
        /// What kind of record.
        record: &'static str,
        /// The height it belongs to.
        height: u64,
        /// What is wrong.
        problem: String,
    },
    /// A stored record that belongs to no height can't be decoded.
    #[error("damaged store: {record}: {problem}")]
    DamagedMeta {
        /// The meta key.
        record: &'static str,
        /// What is wrong.
        problem: DecodeError,
    },
    /// The block asked about isn't in the chain.
    #[error("no block {0} in this chain")]
    UnknownBlock(BlockHash),
    /// The transaction asked about isn't in the chain.
    #[error("no transaction {0} in this chain")]
    UnknownTransaction(String),
    /// The transaction is above the head that the proof was asked for.
    #[error("the transaction is in block {height}, above the head asked for (height {head})")]
    AboveHead {
        /// The transaction's block.
        height: u64,
        /// The head asked for.
        head: u64,
    },
    /// The body that the answer needs was pruned.
    #[error("the body of block {0} was pruned")]
    Pruned(u64),
    /// The header that the answer needs was pruned.
    #[error("the header of block {0} was pruned")]
    HeaderPruned(u64),
    /// The transaction asked about may be in a block whose index entries were pruned.
    #[error("the index was pruned below block {0}; it can't tell")]
    Forgotten(u64),
    /// The index isn't complete yet.
    #[error("the index reaches height {0} only; ask again later")]
    NotIndexed(u64),
}

impl LedgerError {
    /// Whether the store itself is damaged, so that an operator has to repair or restore it.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        match self {
            Self::Storage(error) => error.is_corrupt(),
            Self::Damaged { .. } | Self::DamagedMeta { .. } => true,
            _ => false,
        }
    }
}
