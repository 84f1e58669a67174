//! Blocks: a header, the seal on it, and the transactions it commits to.

use std::sync::Arc;

use bytes::Bytes;

use super::header::{HEADER_BYTES_MAX, Header};
use super::seal::{SEAL_BYTES_MAX, Seal};
use super::transaction::Transaction;
use crate::format::codec::{self, DecodeError, DecodeProblem, Reader};
use crate::format::digest::{BlockHash, Digest};
use crate::format::merkle;

/// The longest body that the format allows, in bytes; a chain may set less.
pub const BODY_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The shortest transaction possible, in bytes. So a body can't hold more than its length by this.
pub const TRANSACTION_BYTES_MIN: usize = 4 + 1 + 32 + 5 + 5 + 1 + 4 + 32 + 1;

/// Where the header begins in an encoded block: behind its length.
const HEADER_START: usize = 4;

/// An immutable block. Decoded, and its hashes known; whether it is *valid* is for the
/// [validator](crate::rules) to say. Clones are cheap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    header: Header,
    seal: Seal,
    seal_bytes: Bytes,
    body: Bytes,
    transactions: Arc<Vec<Transaction>>,
}

impl Block {
    /// Reads exactly one block and hashes header and transaction bodies as received. O(length); allocates about
    /// 100 bytes a transaction, of which the input must hold at least [`TRANSACTION_BYTES_MIN`].
    ///
    /// # Errors
    /// Anything but a canonical encoding; a body that isn't `body_size` bytes of `transaction_count` transactions.
    pub fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let (header, seal) = {
            let header = slice(bytes, &mut reader, "header", HEADER_BYTES_MAX)?;
            let seal = slice(bytes, &mut reader, "seal", SEAL_BYTES_MAX)?;
            (header, seal)
        };
        let body_start = reader.position();
        let seal_start = HEADER_START + header.len() + 4;
        let header = Header::decode(header).map_err(|error| error.at_base(HEADER_START))?;
        Self::from_parts(header, seal, bytes.slice(body_start..)).map_err(|error| {
            match error.field {
                "seal" => error.at_base(seal_start),
                _ => error.at_base(body_start),
            }
        })
    }

    /// Reads the header alone, of what may be no block behind it.
    ///
    /// # Errors
    /// A header that is truncated or not canonical.
    pub fn decode_header(bytes: &Bytes) -> Result<Header, DecodeError> {
        let header = slice(bytes, &mut Reader::new(bytes), "header", HEADER_BYTES_MAX)?;
        Header::decode(header).map_err(|error| error.at_base(HEADER_START))
    }

    /// Puts a block together from a header, an encoded seal and a body, as stores keep them apart.
    ///
    /// # Errors
    /// As [`Block::decode`]; offsets are within the seal or the body.
    pub fn from_parts(header: Header, seal_bytes: Bytes, body: Bytes) -> Result<Self, DecodeError> {
        let seal = Seal::decode(&seal_bytes).map_err(|error| DecodeError {
            field: "seal",
            ..error
        })?;
        let transactions = decode_body(&header, &body)?;
        Ok(Self {
            header,
            seal,
            seal_bytes,
            body,
            transactions,
        })
    }

    /// Puts `seal` on a header over `transactions`.
    ///
    /// # Errors
    /// The header's count or body size are not those of the transactions.
    pub fn assemble(
        header: Header,
        seal: Seal,
        transactions: &[Transaction],
    ) -> Result<Self, DecodeError> {
        let body = Bytes::from(concatenate(transactions));
        let wrong = |field, problem| DecodeError {
            field,
            offset: 0,
            problem: DecodeProblem::Value(problem),
        };
        if body.len() != header.body_size as usize {
            return Err(wrong("body_size", WRONG_SIZE));
        }
        if transactions.len() != header.transaction_count as usize {
            return Err(wrong("transaction_count", WRONG_COUNT));
        }
        let mut offset = 0;
        let moved = transactions.iter().map(|transaction| {
            let start = offset;
            offset += transaction.bytes().len();
            transaction.moved_to(body.slice(start..offset))
        });
        Ok(Self {
            transactions: Arc::new(moved.collect()),
            header,
            seal_bytes: seal.encode().into(),
            seal,
            body,
        })
    }

    /// The same block with another seal, which its hash doesn't cover. O(1).
    #[must_use]
    pub fn sealed(self, seal: Seal) -> Self {
        Self {
            seal_bytes: seal.encode().into(),
            seal,
            ..self
        }
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The block's hash, which is its header's.
    #[must_use]
    pub const fn hash(&self) -> BlockHash {
        self.header.hash()
    }

    /// Number of blocks before this one.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.header.height
    }

    /// The evidence that the producer was entitled to this block.
    #[must_use]
    pub const fn seal(&self) -> &Seal {
        &self.seal
    }

    /// The encoded seal, as received.
    #[must_use]
    pub const fn seal_bytes(&self) -> &Bytes {
        &self.seal_bytes
    }

    /// The concatenated transactions, as received.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The transactions in their order.
    #[must_use]
    pub fn transactions(&self) -> &[Transaction] {
        &self.transactions
    }

    /// The Merkle leaf hashes of the transactions. O(n).
    #[must_use]
    pub fn leaf_hashes(&self) -> Vec<Digest> {
        Transaction::leaf_hashes(&self.transactions)
    }

    /// The RFC 9162 root that the header has to name. O(n).
    #[must_use]
    pub fn computed_merkle_root(&self) -> Digest {
        merkle::root(&self.leaf_hashes())
    }

    /// The canonical encoding. Copies.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.encode_before(&self.body)
    }

    /// The canonical encoding up to the body, which follows it.
    #[must_use]
    pub(crate) fn encode_head(&self) -> Vec<u8> {
        self.encode_before(&[])
    }

    fn encode_before(&self, rest: &[u8]) -> Vec<u8> {
        let parts = [self.header.bytes(), &self.seal_bytes, rest];
        let mut out = Vec::with_capacity(8 + parts.iter().map(|part| part.len()).sum::<usize>());
        codec::put_bytes(&mut out, self.header.bytes());
        codec::put_bytes(&mut out, &self.seal_bytes);
        out.extend_from_slice(rest);
        out
    }

    /// The longest encoding of a block with a body of at most `body_bytes`.
    #[must_use]
    pub const fn encoded_bytes_max(body_bytes: usize) -> usize {
        8 + HEADER_BYTES_MAX + SEAL_BYTES_MAX + body_bytes
    }
}

/// The transactions' bytes one after the other.
#[must_use]
pub(crate) fn concatenate(transactions: &[Transaction]) -> Vec<u8> {
    let length = transactions
        .iter()
        .map(|transaction| transaction.bytes().len())
        .sum();
    let mut body = Vec::with_capacity(length);
    for transaction in transactions {
        body.extend_from_slice(transaction.bytes());
    }
    body
}

/// The next length-prefixed field as a shared slice of `bytes`.
fn slice(
    bytes: &Bytes,
    reader: &mut Reader<'_>,
    field: &'static str,
    limit: usize,
) -> Result<Bytes, DecodeError> {
    let length = reader.bytes(field, limit)?.len();
    Ok(bytes.slice(reader.position() - length..reader.position()))
}

const WRONG_SIZE: &str = "the body is not as long as the header says";
const WRONG_COUNT: &str = "the body doesn't hold as many transactions as the header says";

fn decode_body(header: &Header, body: &Bytes) -> Result<Arc<Vec<Transaction>>, DecodeError> {
    let wrong = |field, problem| {
        Err(DecodeError {
            field,
            offset: 0,
            problem,
        })
    };
    if body.len() != header.body_size as usize {
        return wrong("body_size", DecodeProblem::Value(WRONG_SIZE));
    }
    let count = header.transaction_count as usize;
    const COUNT: DecodeProblem = DecodeProblem::Value(WRONG_COUNT);
    // The count is a stranger's: room is made for no more transactions than the body can hold.
    if count > body.len() / TRANSACTION_BYTES_MIN {
        return wrong("transaction_count", COUNT);
    }
    let mut transactions = Vec::with_capacity(count);
    let mut offset = 0;
    while offset < body.len() {
        let (transaction, end) = Transaction::decode_at(body, offset)?;
        if transactions.len() == count {
            return Err(DecodeError {
                field: "transaction_count",
                offset,
                problem: COUNT,
            });
        }
        transactions.push(transaction);
        offset = end;
    }
    if transactions.len() < count {
        return Err(DecodeError {
            field: "transaction_count",
            offset,
            problem: COUNT,
        });
    }
    Transaction::identify(&mut transactions);
    Ok(Arc::new(transactions))
}
