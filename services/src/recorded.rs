//! Where something is on the chain, as rows of views keep it.

use hubledger::codec::{self, DecodeError, Reader};
use hubledger::digest::{BlockHash, TransactionId};
use hubledger::ledger::{ChainReader, LedgerError, Lookup};
use hubledger::model::Transaction;
use hubledger::proof::TransactionProof;
use serde_json::{Map, Value};

use crate::view::{CommittedBlock, Entry};

/// The place of a transaction on the chain, and which one it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Recorded {
    /// Height of its block.
    pub height: u64,
    /// Its index in the block.
    pub index: u32,
    /// Its id.
    pub id: TransactionId,
}

impl Recorded {
    /// The place of an entry of a block.
    #[must_use]
    pub fn of(block: &CommittedBlock<'_>, entry: &Entry<'_>) -> Self {
        Self {
            height: block.height(),
            index: entry.index,
            id: entry.id(),
        }
    }

    /// Proves to whoever trusts `head` (the last block if `None`) that the transaction is there.
    ///
    /// # Errors
    /// As [`ChainReader::prove`]: a pruned body, a head below it, a failed store.
    pub fn prove(
        &self,
        chain: &ChainReader,
        head: Option<&BlockHash>,
    ) -> Result<TransactionProof, LedgerError> {
        chain.prove(self.height, self.index, head)
    }

    /// The transaction; `None` where its block was pruned or replaced.
    ///
    /// # Errors
    /// The store failed.
    pub fn transaction(&self, chain: &ChainReader) -> Result<Option<Transaction>, LedgerError> {
        Ok(match chain.transaction(&self.id)? {
            Lookup::Found(found) => Some(found.transaction().clone()),
            _ => None,
        })
    }

    /// Height and index, big-endian: keys of such lie in the order of the chain.
    #[must_use]
    pub fn order(height: u64, index: u32) -> [u8; 12] {
        let mut key = [0; 12];
        key[..8].copy_from_slice(&height.to_be_bytes());
        key[8..].copy_from_slice(&index.to_be_bytes());
        key
    }

    /// What [`Recorded::order`] gave.
    #[must_use]
    pub fn place(order: &[u8; 12]) -> Option<(u64, u32)> {
        let (height, index) = order.split_first_chunk::<8>()?;
        let index = index.first_chunk::<4>()?;
        Some((u64::from_be_bytes(*height), u32::from_be_bytes(*index)))
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        codec::put_u64(out, self.height);
        codec::put_u32(out, self.index);
        out.extend_from_slice(&self.id.0);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            height: reader.u64("height")?,
            index: reader.u32("index")?,
            id: TransactionId(reader.array("id")?),
        })
    }

    pub(crate) fn put_json(&self, object: &mut Map<String, Value>) {
        object.insert("height".to_owned(), self.height.into());
        object.insert("index".to_owned(), self.index.into());
        object.insert("id".to_owned(), self.id.to_string().into());
    }
}
