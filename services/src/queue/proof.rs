//! Proofs for whoever has a head hash alone: that a message is in the chain, and that it was delivered, as far as an acknowledgement says so.

use bytes::Bytes;
use hubledger::codec::DecodeError;
use hubledger::digest::BlockHash;
use hubledger::ledger::{ChainReader, LedgerError};
use hubledger::model::{Block, Transaction};
use hubledger::proof::{InvalidProof, Proof, ProvenTransaction, TransactionProof};
use serde_json::{Value, json};

use super::payload::{Enqueue, QueuePayload};
use super::rows::{Done, Message};

/// A transaction with the proof that it is in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// The transaction.
    pub transaction: Transaction,
    /// That it is in the chain.
    pub proof: TransactionProof,
}

/// That a message and its acknowledgement are in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryProof {
    /// The message.
    pub message: Carried,
    /// Its acknowledgement.
    pub acknowledgement: Carried,
}

/// What a proof of delivery establishes: that `consumer` said so, of this message, for this group. Whether the consumer is one of the group is what its
/// subscription says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The message.
    pub message: Enqueue,
    /// Its place in the chain.
    pub sent: ProvenTransaction,
    /// Who acknowledged it.
    pub consumer: String,
    /// For which group.
    pub group: String,
    /// As which offset.
    pub offset: u64,
    /// The acknowledgement's place in the chain.
    pub acknowledged: ProvenTransaction,
}

/// Why a proof proves nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProofProblem {
    /// A transaction isn't in the chain of this head.
    #[error(transparent)]
    Path(#[from] InvalidProof),
    /// The proof is about another transaction.
    #[error("the proof is of another transaction")]
    OtherTransaction,
    /// A transaction isn't a message, or no acknowledgement of it.
    #[error("the transaction is no {0}")]
    Meaning(&'static str),
    /// The text isn't the JSON form of such a proof.
    #[error("{0}")]
    Form(String),
    /// The bytes are no transaction.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
}

impl Carried {
    /// Takes a transaction out of the chain, with its proof for `head` (the last block if `None`).
    ///
    /// # Errors
    /// As [`ChainReader::prove`].
    pub fn of(
        chain: &ChainReader,
        (height, index): (u64, u32),
        head: Option<&BlockHash>,
    ) -> Result<Self, LedgerError> {
        let unknown = || LedgerError::UnknownTransaction(format!("{index} of block {height}"));
        let block: Block = chain.block(height)?.ok_or_else(unknown)?;
        let transaction = block
            .transactions()
            .get(index as usize)
            .ok_or_else(unknown)?;
        Ok(Self {
            transaction: transaction.clone(),
            proof: chain.prove(height, index, head)?,
        })
    }

    /// The same from bytes.
    ///
    /// # Errors
    /// Bytes that are no transaction.
    pub fn new(transaction: Bytes, proof: TransactionProof) -> Result<Self, ProofProblem> {
        Ok(Self {
            transaction: Transaction::decode(transaction)?,
            proof,
        })
    }

    /// The JSON form: the transaction in hexadecimal, and the proof as it is written by itself.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let proof = Proof::Transaction(self.proof.clone()).to_json();
        json!({
            "transaction": hex::encode(self.transaction.bytes()),
            "proof": serde_json::from_str::<Value>(&proof).unwrap_or_default(),
        })
    }

    /// Reads the JSON form.
    ///
    /// # Errors
    /// [`ProofProblem::Form`] of anything else; bytes that are no transaction.
    pub fn from_json(value: &Value) -> Result<Self, ProofProblem> {
        let form = |problem: &str| ProofProblem::Form(problem.to_owned());
        let bytes = value.get("transaction").and_then(Value::as_str);
        let bytes = bytes.and_then(|text| hex::decode(text).ok());
        let bytes = bytes.ok_or_else(|| form("transaction: hexadecimal digits are missing"))?;
        let proof = value.get("proof").ok_or_else(|| form("proof: missing"))?;
        match Proof::from_json(&proof.to_string()).map_err(ProofProblem::Form)? {
            Proof::Transaction(proof) => Self::new(bytes.into(), proof),
            _ => Err(form("proof: not of a transaction")),
        }
    }

    /// Checks that this very transaction is in the chain of a head.
    ///
    /// # Errors
    /// It isn't, or the proof doesn't say so.
    pub fn verify(&self, head: &BlockHash) -> Result<ProvenTransaction, ProofProblem> {
        let proven = self.proof.verify(head)?;
        match proven.id == self.transaction.id() {
            true => Ok(proven),
            false => Err(ProofProblem::OtherTransaction),
        }
    }

    /// The message that it carries.
    ///
    /// # Errors
    /// As [`Carried::verify`]; it carries none.
    pub fn verify_message(
        &self,
        head: &BlockHash,
    ) -> Result<(Enqueue, ProvenTransaction), ProofProblem> {
        let proven = self.verify(head)?;
        match QueuePayload::of_transaction(&self.transaction) {
            Some(QueuePayload::Enqueue(message)) => Ok((message, proven)),
            _ => Err(ProofProblem::Meaning("message")),
        }
    }
}

impl DeliveryProof {
    /// Proves a delivery for `head` (the last block if `None`).
    ///
    /// # Errors
    /// As [`ChainReader::prove`].
    pub fn of(
        chain: &ChainReader,
        message: &Message,
        done: &Done,
        head: Option<&BlockHash>,
    ) -> Result<Self, LedgerError> {
        Ok(Self {
            message: Carried::of(chain, (message.height, message.index), head)?,
            acknowledgement: Carried::of(chain, (done.height, done.index), head)?,
        })
    }

    /// The JSON form: both parts in theirs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "message": self.message.to_json(),
            "acknowledgement": self.acknowledgement.to_json(),
        })
    }

    /// Reads the JSON form.
    ///
    /// # Errors
    /// As [`Carried::from_json`].
    pub fn from_json(value: &Value) -> Result<Self, ProofProblem> {
        let part = |name: &str| {
            let missing = || ProofProblem::Form(format!("{name}: missing"));
            Carried::from_json(value.get(name).ok_or_else(missing)?)
        };
        Ok(Self {
            message: part("message")?,
            acknowledgement: part("acknowledgement")?,
        })
    }

    /// Checks it against the one thing that the verifier trusts.
    ///
    /// # Errors
    /// One of the two isn't in the chain, or the second is no acknowledgement of the first.
    pub fn verify(&self, head: &BlockHash) -> Result<Delivered, ProofProblem> {
        let (message, sent) = self.message.verify_message(head)?;
        let acknowledged = self.acknowledgement.verify(head)?;
        let transaction = &self.acknowledgement.transaction;
        let Some(QueuePayload::Acknowledge(acknowledgement)) =
            QueuePayload::of_transaction(transaction)
        else {
            return Err(ProofProblem::Meaning("acknowledgement"));
        };
        let named = acknowledgement
            .messages
            .iter()
            .find(|named| named.id == sent.id);
        match named {
            Some(named) if acknowledgement.topic == message.topic => Ok(Delivered {
                offset: named.offset,
                message,
                sent,
                consumer: transaction.sender().to_owned(),
                group: acknowledgement.group,
                acknowledged,
            }),
            _ => Err(ProofProblem::Meaning("acknowledgement of this message")),
        }
    }
}
