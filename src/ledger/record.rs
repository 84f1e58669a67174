//! How a block lies in a store: header and seal in one record, the body in another, and the keys that find its
//! transactions.

use bytes::Bytes;
use hubledger_storage as storage;
use hubledger_storage::IndexEntry;

use super::LedgerError;
use crate::format::codec::{self, DecodeError, Reader};
use crate::format::digest::BlockHash;
use crate::format::model::{Block, HEADER_BYTES_MAX, Header, Kind, SEAL_BYTES_MAX, Transaction};
use crate::format::original::Original;

/// The record of a valid block.
pub(super) fn encode(block: &Block) -> storage::Block {
    let (header, seal) = (block.header().bytes(), block.seal_bytes());
    let mut record = Vec::with_capacity(8 + header.len() + seal.len());
    codec::put_bytes(&mut record, header);
    codec::put_bytes(&mut record, seal);
    storage::Block {
        height: block.height(),
        id: block.hash().0,
        header: record.into(),
        body: block.body().clone(),
        index: index(block),
    }
}

/// Every transaction under its id, and an imported one under its original id too.
pub(super) fn index(block: &Block) -> Vec<IndexEntry> {
    let mut entries = Vec::with_capacity(block.transactions().len());
    for (position, transaction) in (0u32..).zip(block.transactions()) {
        entries.push(IndexEntry {
            key: transaction.id().0,
            position,
        });
        if transaction.kind() == Kind::Mpreg
            && let Ok(original) = Original::decode(transaction.payload())
        {
            let key = Original::index_key(original.transaction_id);
            entries.push(IndexEntry { key, position });
        }
    }
    entries
}

/// Reads a header record: the header and the encoded seal.
pub(super) fn decode_header(
    height: u64,
    id: &storage::Id,
    bytes: &Bytes,
) -> Result<(Header, Bytes), LedgerError> {
    let damaged = |problem: String| LedgerError::Damaged {
        record: "header",
        height,
        problem,
    };
    let (header, seal) = split(bytes).map_err(|error| damaged(error.to_string()))?;
    // A checksum that is right says only that these bytes were written, not that they belong under this id.
    if header.hash() != BlockHash(*id) {
        return Err(damaged(format!(
            "hashes to {}, filed as {}",
            header.hash(),
            BlockHash(*id)
        )));
    }
    if header.height != height {
        return Err(damaged(format!("says height {}", header.height)));
    }
    Ok((header, seal))
}

fn split(bytes: &Bytes) -> Result<(Header, Bytes), DecodeError> {
    let mut reader = Reader::new(bytes);
    let length = reader.bytes("header", HEADER_BYTES_MAX)?.len();
    let header = bytes.slice(reader.position() - length..reader.position());
    let length = reader.bytes("seal", SEAL_BYTES_MAX)?.len();
    let seal = bytes.slice(reader.position() - length..reader.position());
    reader.finish("header record")?;
    Ok((Header::decode(header)?, seal))
}

/// Reads one transaction of a stored body; `None` if the block has not so many.
pub(super) fn decode_transaction(
    height: u64,
    body: &Bytes,
    index: u32,
) -> Result<Option<Transaction>, LedgerError> {
    Transaction::decode_nth(body, index).map_err(|error| LedgerError::Damaged {
        record: "block",
        height,
        problem: error.to_string(),
    })
}

/// Puts a stored block together.
pub(super) fn decode_block(
    height: u64,
    id: &storage::Id,
    header: &Bytes,
    body: Bytes,
) -> Result<Block, LedgerError> {
    let (header, seal) = decode_header(height, id, header)?;
    Block::from_parts(header, seal, body).map_err(|error| LedgerError::Damaged {
        record: "block",
        height,
        problem: error.to_string(),
    })
}
