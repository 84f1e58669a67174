//! Proofs for whoever knows the hash of the last block and nothing else.
//!
//! | proof | of what | where |
//! |---|---|---|
//! | [`of_registration`] | the transaction by which a node was registered is in the chain | in every chain |
//! | [`of_row`] | how the name stands, its stake and its keys, after the last block; or that nobody registered it | where the chain keeps registrations and commits to its state |
//!
//! That a transaction is in a chain doesn't say that nothing came after it; the row does. What the chain doesn't keep of a node, its profile, is proved by the
//! transactions that said it.

use hubledger::digest::BlockHash;
use hubledger::ledger::{ChainReader, LedgerError};
use hubledger::model::Transaction;
use hubledger::proof::{InvalidProof, ProvenTransaction, StateProof, TransactionProof};
use hubledger::state::tables::{Registration, Registrations, Table};

use super::heard::{self, keeps_registrations};
use super::{Node, Place};
use crate::view::Result;

/// The transaction by which a node was registered, with a proof for whoever trusts `head` (the last block if `None`). O(log blocks) hashes, after a first proof
/// of O(blocks).
///
/// # Errors
/// The block's body is pruned, the chain has changed since, a failed store.
pub fn of_registration(
    node: &Node,
    chain: &ChainReader,
    head: Option<&BlockHash>,
) -> Result<(Transaction, TransactionProof)> {
    let Place {
        height, index, id, ..
    } = node.registered;
    let proof = chain.prove(height, index, head)?;
    let block = chain.block(height)?;
    let transaction = block.and_then(|block| block.transactions().get(index as usize).cloned());
    match transaction.filter(|transaction| transaction.id() == id && proof.id() == id) {
        Some(transaction) => Ok((transaction, proof)),
        // Another block stands there now.
        None => Err(LedgerError::UnknownTransaction(id.to_string()).into()),
    }
}

/// Proves how a name stands after the last block, or that nobody registered it; `None` where the chain keeps no registrations, or the last
/// block doesn't commit to the state. O(log blocks + log rows) hashes, after a first proof of O(blocks).
///
/// # Errors
/// A failed store; the chain changed meanwhile.
pub fn of_row(name: &str, chain: &ChainReader) -> Result<Option<StateProof>> {
    let state = chain.state()?;
    if !keeps_registrations(chain.spec().at(state.height())) {
        return Ok(None);
    }
    let head = state.head();
    match chain.prove_row(&state, Registrations::NUMBER, name.as_bytes(), Some(&head)) {
        Ok(proof) => Ok(Some(proof)),
        Err(LedgerError::NoStateRoot(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Why a proof doesn't say what it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotShown {
    /// The proof itself doesn't hold.
    #[error(transparent)]
    Invalid(#[from] InvalidProof),
    /// It holds, and is about something else.
    #[error("the proof holds, but it is no proof {0}")]
    Other(String),
}

/// Checks that a transaction registers a name, and by its proof that it is in a chain whose last block is trusted. Where the chain keeps no
/// registrations, that says nothing of whether the name is its sender's.
///
/// # Errors
/// The proof doesn't hold, or is of something else.
pub fn check_registration(
    transaction: &Transaction,
    proof: &TransactionProof,
    name: &str,
    trusted_head: &BlockHash,
) -> std::result::Result<ProvenTransaction, NotShown> {
    let proven = proof.verify(trusted_head)?;
    let is_it = proven.id == transaction.id() && transaction.sender() == name;
    match is_it && heard::registers(transaction) {
        true => Ok(proven),
        false => Err(NotShown::Other(format!("that {name:?} was registered"))),
    }
}

/// Checks that a proof says how a name stands, in a chain whose last block is trusted; `None` if it proves that nobody registered it.
///
/// # Errors
/// The proof doesn't hold, or is of something else.
pub fn check_row(
    proof: &StateProof,
    name: &str,
    trusted_head: &BlockHash,
) -> std::result::Result<Option<Registration>, NotShown> {
    let other = || NotShown::Other(format!("of how {name:?} stands"));
    let row = proof.verify(trusted_head)?;
    if (row.table, &row.key[..]) != (Registrations::NUMBER, name.as_bytes()) {
        return Err(other());
    }
    let value = row.value.map(|value| Registrations::decode(&value));
    value.transpose().map_err(|_| other())
}
