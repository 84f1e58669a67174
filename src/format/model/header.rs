//! Block headers: what a block's hash is over.

use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

use super::block::BODY_BYTES_MAX;
use super::vector_clock::{CLOCK_ENTRIES_MAX, VectorClock};
use crate::format::codec::{self, DecodeError, DecodeProblem, FieldError, NAME_BYTES_MAX, Reader};
use crate::format::digest::{BlockHash, ChainId, Digest, sha256};

/// The format version of headers that this build reads and writes.
const HEADER_VERSION: u8 = 1;

/// The longest header that the format allows, in bytes.
pub const HEADER_BYTES_MAX: usize =
    512 + NAME_BYTES_MAX + CLOCK_ENTRIES_MAX * (NAME_BYTES_MAX + 12);

const HASH_TAG: &[u8] = b"hubledger/block/v1";

/// The fields of a header, as plain data: what a [`Header`] is built from and derefs to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct HeaderFields {
    /// The chain that the block belongs to.
    pub chain: ChainId,
    /// Number of blocks before this one.
    pub height: u64,
    /// Hash of the block before; zero in genesis.
    pub previous_hash: BlockHash,
    /// RFC 9162 root over the transactions' ids and witnesses.
    pub merkle_root: Digest,
    /// RFC 9162 root over the hashes of all earlier blocks.
    pub history_root: Digest,
    /// Commitment to the state; zero where the chain has none.
    pub state_root: Digest,
    /// Number of transactions in the body.
    pub transaction_count: u32,
    /// Length of the body in bytes, at most [`BODY_BYTES_MAX`].
    pub body_size: u32,
    /// What the producer had seen when it made this block.
    pub vector_clock: VectorClock,
    /// Microseconds since the Unix epoch.
    pub timestamp: u64,
    /// Name of the node that produced the block; empty in genesis.
    pub producer: String,
    /// Work that the block claims.
    pub difficulty: u64,
    /// Proof-of-work nonce.
    pub nonce: u64,
}

/// An immutable header with the bytes it was received in and their hash. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Header {
    bytes: Bytes,
    hash: BlockHash,
    fields: Arc<HeaderFields>,
}

impl Header {
    /// Builds, encodes and hashes a header.
    ///
    /// # Errors
    /// A producer name over 1,024 bytes or a body size over [`BODY_BYTES_MAX`].
    pub fn new(fields: HeaderFields) -> Result<Self, FieldError> {
        FieldError::check_length("producer", fields.producer.len(), NAME_BYTES_MAX)?;
        FieldError::check_length("body_size", fields.body_size as usize, BODY_BYTES_MAX)?;
        let bytes = Bytes::from(encode(&fields));
        Ok(Self {
            hash: hash(&bytes),
            bytes,
            fields: Arc::new(fields),
        })
    }

    /// Reads a canonical header and hashes the bytes as received. O(length).
    ///
    /// # Errors
    /// Anything but the canonical encoding of a valid header.
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(&bytes);
        let fields = decode(&mut reader)?;
        reader.finish("header")?;
        Ok(Self {
            hash: hash(&bytes),
            fields: Arc::new(fields),
            bytes,
        })
    }

    /// The canonical encoding, as received.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The block's hash: `SHA-256("hubledger/block/v1" ‖ header)`.
    #[must_use]
    pub const fn hash(&self) -> BlockHash {
        self.hash
    }
}

impl Deref for Header {
    type Target = HeaderFields;

    fn deref(&self) -> &HeaderFields {
        &self.fields
    }
}

impl PartialEq for Header {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Header {}

fn hash(bytes: &[u8]) -> BlockHash {
    BlockHash(sha256(&[HASH_TAG, bytes]))
}

fn encode(fields: &HeaderFields) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + fields.producer.len() + 24 * fields.vector_clock.len());
    out.push(HEADER_VERSION);
    out.extend_from_slice(&fields.chain.0);
    codec::put_u64(&mut out, fields.height);
    out.extend_from_slice(&fields.previous_hash.0);
    out.extend_from_slice(&fields.merkle_root.0);
    out.extend_from_slice(&fields.history_root.0);
    out.extend_from_slice(&fields.state_root.0);
    codec::put_u32(&mut out, fields.transaction_count);
    codec::put_u32(&mut out, fields.body_size);
    fields.vector_clock.encode(&mut out);
    codec::put_u64(&mut out, fields.timestamp);
    codec::put_bytes(&mut out, fields.producer.as_bytes());
    codec::put_u64(&mut out, fields.difficulty);
    codec::put_u64(&mut out, fields.nonce);
    out
}

fn decode(reader: &mut Reader<'_>) -> Result<HeaderFields, DecodeError> {
    let start = reader.clone();
    let version = reader.u8("version")?;
    if version != HEADER_VERSION {
        return Err(start.error("version", DecodeProblem::Version(version.into())));
    }
    Ok(HeaderFields {
        chain: ChainId(reader.array("chain")?),
        height: reader.u64("height")?,
        previous_hash: BlockHash(reader.array("previous_hash")?),
        merkle_root: Digest(reader.array("merkle_root")?),
        history_root: Digest(reader.array("history_root")?),
        state_root: Digest(reader.array("state_root")?),
        transaction_count: reader.u32("transaction_count")?,
        body_size: reader.length("body_size", BODY_BYTES_MAX)? as u32,
        vector_clock: VectorClock::decode(reader)?,
        timestamp: reader.u64("timestamp")?,
        producer: reader.text("producer", NAME_BYTES_MAX)?.to_owned(),
        difficulty: reader.u64("difficulty")?,
        nonce: reader.u64("nonce")?,
    })
}
