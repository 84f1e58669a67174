//! The proof that a transaction, with exactly this witness, is in the chain that ends in a given head.

use bytes::Bytes;

use super::{InvalidProof, VERSION, check_head, put_path, read_header, read_path, read_version};
use crate::format::codec::{self, DecodeError, Reader};
use crate::format::digest::{BlockHash, Digest, TransactionId};
use crate::format::merkle;
use crate::format::merkle::history_leaf;
use crate::format::model::{Header, Transaction, WITNESSES_MAX};

pub(super) const MAGIC: [u8; 8] = *b"HLPROOFT";
const WITNESS_BYTES_MAX: usize = 1 + 97 * WITNESSES_MAX;

/// Proves a transaction against a head hash: O(log blocks + log transactions) hashes, and two headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionProof {
    pub(super) head: Header,
    pub(super) later: Option<(Header, Vec<Digest>)>,
    pub(super) index: u32,
    pub(super) id: TransactionId,
    pub(super) witness: Bytes,
    pub(super) path: Vec<Digest>,
}

/// What a checked proof establishes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ProvenTransaction {
    /// The transaction.
    pub id: TransactionId,
    /// Height of its block.
    pub height: u64,
    /// Its index in the block.
    pub index: u32,
    /// The block's hash.
    pub block: BlockHash,
    /// The block's timestamp in microseconds since the Unix epoch.
    pub timestamp: u64,
}

impl TransactionProof {
    /// A proof of `transaction` at `index`, with its path in the block; `later` is the block's header and the path of its
    /// hash in the history of `head`, unless the block *is* the head.
    #[must_use]
    pub(crate) fn new(
        head: Header,
        later: Option<(Header, Vec<Digest>)>,
        index: u32,
        transaction: &Transaction,
        path: Vec<Digest>,
    ) -> Self {
        let witness = Bytes::copy_from_slice(transaction.witness_bytes());
        Self {
            head,
            later,
            index,
            id: transaction.id(),
            witness,
            path,
        }
    }

    /// The header of the transaction's block.
    #[must_use]
    pub(crate) fn block(&self) -> &Header {
        self.later.as_ref().map_or(&self.head, |(header, _)| header)
    }

    /// The same proof for another head: `history` is the path of the transaction's block in its history, and nothing
    /// if the head is that block itself.
    #[must_use]
    pub(crate) fn carried(&self, head: Header, history: Option<Vec<Digest>>) -> Self {
        Self {
            later: history.map(|history| (self.block().clone(), history)),
            head,
            ..self.clone()
        }
    }

    /// The transaction that the proof is about.
    #[must_use]
    pub const fn id(&self) -> TransactionId {
        self.id
    }

    /// The transaction's witness, as in its encoding.
    #[must_use]
    pub const fn witness(&self) -> &Bytes {
        &self.witness
    }

    /// The head that the proof ends in; whether to trust it is the verifier's to say.
    #[must_use]
    pub fn head(&self) -> BlockHash {
        self.head.hash()
    }

    /// Checks the proof against the one thing that the verifier trusts. Allocates nothing.
    ///
    /// # Errors
    /// Another head, or a path that doesn't lead where it should.
    pub fn verify(&self, trusted_head: &BlockHash) -> Result<ProvenTransaction, InvalidProof> {
        check_head(&self.head, trusted_head)?;
        let block = match &self.later {
            None => &self.head,
            Some((block, history)) => {
                let leaf = history_leaf(&block.hash());
                merkle::verify_inclusion(
                    &leaf,
                    block.height,
                    self.head.height,
                    history,
                    &self.head.history_root,
                )
                .map_err(|source| InvalidProof::Path {
                    step: "block in history",
                    source,
                })?;
                block
            }
        };
        let leaf = merkle::leaf_hash(&[&self.id.0, &self.witness]);
        // The tree's size is the header's, which the head binds: with a size of the proof's own, other indexes would pass.
        let count = block.transaction_count.into();
        merkle::verify_inclusion(
            &leaf,
            self.index.into(),
            count,
            &self.path,
            &block.merkle_root,
        )
        .map_err(|source| InvalidProof::Path {
            step: "transaction in block",
            source,
        })?;
        Ok(ProvenTransaction {
            id: self.id,
            height: block.height,
            index: self.index,
            block: block.hash(),
            timestamp: block.timestamp,
        })
    }

    /// The canonical encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.push(VERSION);
        codec::put_bytes(&mut out, self.head.bytes());
        out.push(self.later.is_some().into());
        if let Some((header, history)) = &self.later {
            codec::put_bytes(&mut out, header.bytes());
            put_path(&mut out, history);
        }
        codec::put_u32(&mut out, self.index);
        out.extend_from_slice(&self.id.0);
        codec::put_bytes(&mut out, &self.witness);
        put_path(&mut out, &self.path);
        out
    }

    pub(super) fn decode_fields(
        bytes: &Bytes,
        reader: &mut Reader<'_>,
    ) -> Result<Self, DecodeError> {
        read_version(reader)?;
        let head = read_header(bytes, reader, "head")?;
        let later = match reader.flag("later")? {
            true => Some((
                read_header(bytes, reader, "header")?,
                read_path(reader, "history")?,
            )),
            false => None,
        };
        let index = reader.u32("index")?;
        let id = TransactionId(reader.array("id")?);
        let witness = Bytes::copy_from_slice(reader.bytes("witness", WITNESS_BYTES_MAX)?);
        let path = read_path(reader, "path")?;
        Ok(Self {
            head,
            later,
            index,
            id,
            witness,
            path,
        })
    }
}
