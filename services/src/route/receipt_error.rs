//! Why there is no receipt, and why one proves nothing.

use hubledger::digest::TransactionId;
use hubledger::ledger::LedgerError;
use hubledger::proof::InvalidProof;

use super::receipt::RECEIPT_BYTES_MAX;
use crate::view::ViewError;

/// Why there is no receipt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// The view or the chain can't be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The chain can't prove it.
    #[error(transparent)]
    Chain(#[from] LedgerError),
    /// No such message is known.
    #[error("no message {0} that was sent by way of nodes is known")]
    Unknown(TransactionId),
    /// It hasn't arrived.
    #[error("message {message} hasn't arrived: {hops} of its hops are verified")]
    NotDelivered {
        /// The message.
        message: TransactionId,
        /// How many hops are verified.
        hops: usize,
    },
    /// The chain was changed since the view saw it.
    #[error("transaction {0} is no longer where it was: the chain is changing at this moment")]
    Changed(TransactionId),
    /// It would be longer than anybody reads.
    #[error("the receipt would have {0} bytes, at most {RECEIPT_BYTES_MAX} are read")]
    TooLong(usize),
}

/// Why a receipt proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidReceipt {
    /// A transaction isn't proved to be in the chain.
    #[error("transaction {part}: {problem}")]
    Proof {
        /// 0 is the message, 1 the first hop, and so on.
        part: usize,
        /// What is wrong.
        problem: InvalidProof,
    },
    /// A proof is about another transaction than the one beside it.
    #[error("transaction {part}: its proof is about another one")]
    OtherTransaction {
        /// As above.
        part: usize,
    },
    /// The first transaction sends no message by way of nodes.
    #[error("transaction 0 sends no message by way of nodes")]
    NoMessage,
    /// A transaction isn't the hop that comes next.
    #[error("transaction {part}: {problem}")]
    Hop {
        /// As above.
        part: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// The message isn't at its end after the last hop.
    #[error("the way goes on after {hops} hops")]
    Incomplete {
        /// How many there are.
        hops: usize,
    },
}
