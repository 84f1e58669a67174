//! The receipt for a message that has arrived: its transaction and those of all hops, each with the proof that it is in the chain. Whoever trusts a
//! head hash checks it with nothing else.

use bytes::Bytes;
use hubledger::codec::{self, DecodeError, DecodeProblem, Reader};
use hubledger::digest::{BlockHash, TransactionId};
use hubledger::ledger::{ChainReader, LedgerError};
use hubledger::model::Transaction;
use hubledger::proof::{Proof, TransactionProof};
use serde::Serialize;

use super::payload::{HOPS_MAX, RoutePayload};
use super::reader::Routes;
use super::receipt_error::{InvalidReceipt, ReceiptError};
use super::rows::{Place, Progress};
use super::view::{is_end, next_node};

/// The longest receipt that is made or read, in bytes.
pub const RECEIPT_BYTES_MAX: usize = 16 << 20;

const MAGIC: &[u8; 8] = b"HLRECEPT";
pub(super) const VERSION: u8 = 1;
/// The message and its hops.
pub(super) const PARTS_MAX: usize = 1 + HOPS_MAX;

/// A transaction, and the proof that it is in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) transaction: Transaction,
    pub(super) proof: TransactionProof,
}

/// Proves that a message has arrived, and by which way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The message, and then the hops in their order; at least one.
    pub(super) parts: Vec<Part>,
}

/// What a checked receipt establishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// The transaction that carries the message.
    pub message: TransactionId,
    /// Who sent it.
    pub sender: String,
    /// Whom it is for.
    pub receiver: String,
    /// Where it is in the chain.
    #[serde(flatten)]
    pub place: Place,
    /// When it was sent, as its transaction says: microseconds since 1970.
    pub timestamp: u64,
    /// What it paid.
    pub fee: u64,
    /// The hops, in their order. The last node is where it arrived.
    pub hops: Vec<ProvenHop>,
}

/// A hop that a receipt establishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProvenHop {
    /// The node, which signed for it.
    pub node: String,
    /// Its transaction.
    pub id: TransactionId,
    /// Where that is in the chain.
    #[serde(flatten)]
    pub place: Place,
    /// The timestamp of the block, in microseconds since 1970.
    pub block_timestamp: u64,
    /// When the node had the message, as it says.
    pub timestamp: u64,
    /// How long that took from the hop before; `None` where timestamps go back.
    pub latency: Option<u64>,
}

impl Routes {
    /// The receipt for a message that has arrived, against a head (the last block's if `None`). O(hops · (transactions of a block + log blocks)).
    ///
    /// # Errors
    /// [`ReceiptError::NotDelivered`]; [`ReceiptError::Chain`] where bodies were pruned or the head doesn't follow the hops.
    pub fn receipt(
        &self,
        chain: &ChainReader,
        id: &TransactionId,
        head: Option<&BlockHash>,
    ) -> Result<Receipt, ReceiptError> {
        let path = self.path(id)?.ok_or(ReceiptError::Unknown(*id))?;
        if !path.is_delivered() {
            let hops = path.hops.len();
            return Err(ReceiptError::NotDelivered { message: *id, hops });
        }
        // All proofs have to lead to one head, while the chain goes on.
        let head = head.copied().map_or_else(|| Ok(chain.head()?.hash()), Ok);
        let head = head.map_err(|error: LedgerError| ReceiptError::Chain(error))?;
        let hops = path.hops.iter().map(|hop| (hop.id, hop.place));
        let parts: Result<Vec<_>, _> = std::iter::once((*id, path.message.place))
            .chain(hops)
            .map(|(id, place)| prove(chain, &id, place, &head))
            .collect();
        let receipt = Receipt { parts: parts? };
        match receipt.encode().len() {
            ..=RECEIPT_BYTES_MAX => Ok(receipt),
            length => Err(ReceiptError::TooLong(length)),
        }
    }
}

fn prove(
    chain: &ChainReader,
    id: &TransactionId,
    place: Place,
    head: &BlockHash,
) -> Result<Part, ReceiptError> {
    let proof = chain.prove(place.height, place.index, Some(head))?;
    let block = chain.block(place.height)?;
    let found = block.and_then(|block| block.transactions().get(place.index as usize).cloned());
    let transaction = found.filter(|found| found.id() == *id && proof.id() == *id);
    Ok(Part {
        transaction: transaction.ok_or(ReceiptError::Changed(*id))?,
        proof,
    })
}

impl Receipt {
    /// Checks a receipt against the one thing that the verifier trusts: that the message and every hop are in the chain, that each hop is of the
    /// node that was named for it, and that the last of them was the end of the way.
    ///
    /// Of two things that a node said about one hop, the first counts in the chain; which was first, a receipt doesn't tell. Both are signed by it.
    ///
    /// # Errors
    /// Anything else.
    pub fn verify(&self, trusted_head: &BlockHash) -> Result<Delivery, InvalidReceipt> {
        let (first, hops) = self.parts.split_first().ok_or(InvalidReceipt::NoMessage)?;
        let (place, _) = first.verify(0, trusted_head)?;
        let Some(RoutePayload::RoutedMessage(said)) =
            RoutePayload::of_transaction(&first.transaction)
        else {
            return Err(InvalidReceipt::NoMessage);
        };
        let message = &first.transaction;
        let mut delivery = Delivery {
            message: message.id(),
            sender: message.sender().to_owned(),
            receiver: message.receiver().to_owned(),
            place,
            timestamp: message.timestamp(),
            fee: message.fee(),
            hops: Vec::with_capacity(hops.len()),
        };
        let mut progress = Progress {
            timestamp: message.timestamp(),
            ..Progress::default()
        };
        for (part, hop) in (1..).zip(hops) {
            let (place, block_timestamp) = hop.verify(part, trusted_head)?;
            let node = next_node(&said.path, &progress);
            let next = hop.follow(part, &delivery.message, node.as_deref(), &progress)?;
            delivery.hops.push(ProvenHop {
                node: hop.transaction.sender().to_owned(),
                id: hop.transaction.id(),
                place,
                block_timestamp,
                timestamp: next.timestamp,
                latency: next.timestamp.checked_sub(progress.timestamp),
            });
            progress = Progress {
                is_delivered: is_end(&said.path, next.reached, next.next.as_deref()),
                ..next
            };
        }
        match progress.is_delivered {
            true => Ok(delivery),
            false => Err(InvalidReceipt::Incomplete { hops: hops.len() }),
        }
    }

    /// The canonical encoding (`FORMAT.md`, "Receipts").
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.push(VERSION);
        codec::put_count(&mut out, self.parts.len());
        for part in &self.parts {
            codec::put_bytes(&mut out, part.transaction.bytes());
            codec::put_bytes(&mut out, &part.proof.encode());
        }
        out
    }

    /// Reads exactly one receipt.
    ///
    /// # Errors
    /// Anything but a canonical encoding of at most [`RECEIPT_BYTES_MAX`] bytes.
    pub fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let start = reader.clone();
        let is_receipt = bytes.len() <= RECEIPT_BYTES_MAX
            && reader.array::<8>("magic")? == *MAGIC
            && reader.u8("version")? == VERSION;
        if !is_receipt {
            return Err(start.error("magic", DecodeProblem::Value("not a receipt, or too long")));
        }
        let count = reader.count("parts", PARTS_MAX, 8)?;
        let mut parts = Vec::with_capacity(count);
        for _ in 0..count {
            let start = reader.clone();
            let transaction = reader.bytes("transaction", RECEIPT_BYTES_MAX)?;
            let proof = reader.bytes("proof", RECEIPT_BYTES_MAX)?;
            let Proof::Transaction(proof) = Proof::decode(&bytes.slice_ref(proof))? else {
                let problem = DecodeProblem::Value("not the proof of a transaction");
                return Err(start.error("proof", problem));
            };
            parts.push(Part {
                transaction: Transaction::decode(bytes.slice_ref(transaction))?,
                proof,
            });
        }
        reader.finish("receipt")?;
        Ok(Self { parts })
    }
}

impl Part {
    /// Where the transaction is in the chain, and the timestamp of its block.
    fn verify(&self, part: usize, head: &BlockHash) -> Result<(Place, u64), InvalidReceipt> {
        let proven = self.proof.verify(head);
        let proven = proven.map_err(|problem| InvalidReceipt::Proof { part, problem })?;
        let is_other_witness = *self.proof.witness() != self.transaction.witness_bytes();
        if proven.id != self.transaction.id() || is_other_witness {
            return Err(InvalidReceipt::OtherTransaction { part });
        }
        let place = Place {
            height: proven.height,
            index: proven.index,
        };
        Ok((place, proven.timestamp))
    }

    /// How far the message has come by this hop, if it is the one that comes next.
    fn follow(
        &self,
        part: usize,
        message: &TransactionId,
        node: Option<&str>,
        before: &Progress,
    ) -> Result<Progress, InvalidReceipt> {
        let wrong = |problem| InvalidReceipt::Hop { part, problem };
        let Some(RoutePayload::MessageForward(said)) =
            RoutePayload::of_transaction(&self.transaction)
        else {
            return Err(wrong("it is no hop"));
        };
        if said.original_message_id != *message {
            return Err(wrong("it is a hop of another message"));
        }
        if said.hop_number != before.reached {
            return Err(wrong("its hop number isn't the next one"));
        }
        match node {
            None => return Err(wrong("the message had arrived before")),
            Some(node) if node != self.transaction.sender() => {
                return Err(wrong("another node was named for this hop"));
            }
            Some(_) => {}
        }
        Ok(Progress {
            reached: before.reached + 1,
            is_delivered: false,
            timestamp: match said.timestamp {
                0 => self.transaction.timestamp(),
                timestamp => timestamp,
            },
            holder: self.transaction.sender().to_owned(),
            next: said.next_hop,
        })
    }
}
