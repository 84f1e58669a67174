//! Block headers: what a block's hash is over.

use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use serde::ser::SerializeMap as _;

use super::block::BODY_BYTES_MAX;
use super::vector_clock::{CLOCK_ENTRIES_MAX, VectorClock};
use crate::format::FormatVersion;
use crate::format::codec::{self, DecodeError, FieldError, NAME_BYTES_MAX, Reader};
use crate::format::digest::{BlockHash, ChainId, Digest, sha256};

/// The longest header that the format allows, in bytes.
pub const HEADER_BYTES_MAX: usize =
    512 + NAME_BYTES_MAX + CLOCK_ENTRIES_MAX * (NAME_BYTES_MAX + 12);

/// What stands before the header in the hash.
const fn hash_tag(version: FormatVersion) -> &'static [u8] {
    match version {
        FormatVersion::V1 => b"hubledger/block/v1",
        FormatVersion::V2 => b"hubledger/block/v2",
    }
}

/// The fields of a header, as plain data: what a [`Header`] is built from and derefs to. As JSON, a header of version 1 lacks
/// what only version 2 has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderFields {
    /// The version of the format. In version 1, `members_root`, `weight` and `transactions` are zero.
    pub version: FormatVersion,
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
    /// Root over the state after this block; zero where none is due.
    pub state_root: Digest,
    /// RFC 9162 root over the members of the next height, of whom the consensus says who may make its block: see
    /// [`ChainSpec::members_root`](crate::format::spec::ChainSpec::members_root).
    pub members_root: Digest,
    /// What all blocks of the chain weigh together, this one included; 0 in genesis.
    pub weight: u128,
    /// Number of transactions in all blocks of the chain, this one included.
    pub transactions: u64,
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

impl HeaderFields {
    /// What all blocks of the chain weigh together, if this header says so.
    #[must_use]
    pub fn chain_weight(&self) -> Option<u128> {
        (self.version >= FormatVersion::V2).then_some(self.weight)
    }

    /// Number of transactions in all blocks of the chain, if this header says so.
    #[must_use]
    pub fn chain_transactions(&self) -> Option<u64> {
        (self.version >= FormatVersion::V2).then_some(self.transactions)
    }

    /// That a header of version 1 has nothing in the fields that it doesn't write down.
    fn check_absent(&self) -> Result<(), FieldError> {
        if self.version >= FormatVersion::V2 {
            return Ok(());
        }
        let absent = [
            ("members_root", self.members_root.is_zero()),
            ("weight", self.weight == 0),
            ("transactions", self.transactions == 0),
        ];
        match absent.into_iter().find(|(_, is_absent)| !is_absent) {
            Some((field, _)) => Err(FieldError::new(
                field,
                "a header of version 1 has no such field, so it must be zero",
            )),
            None => Ok(()),
        }
    }
}

impl serde::Serialize for HeaderFields {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("version", &self.version)?;
        map.serialize_entry("chain", &self.chain)?;
        map.serialize_entry("height", &self.height)?;
        map.serialize_entry("previous_hash", &self.previous_hash)?;
        map.serialize_entry("merkle_root", &self.merkle_root)?;
        map.serialize_entry("history_root", &self.history_root)?;
        map.serialize_entry("state_root", &self.state_root)?;
        if self.version >= FormatVersion::V2 {
            map.serialize_entry("members_root", &self.members_root)?;
            map.serialize_entry("weight", &self.weight)?;
            map.serialize_entry("transactions_total", &self.transactions)?;
        }
        map.serialize_entry("transaction_count", &self.transaction_count)?;
        map.serialize_entry("body_size", &self.body_size)?;
        map.serialize_entry("vector_clock", &self.vector_clock)?;
        map.serialize_entry("timestamp", &self.timestamp)?;
        map.serialize_entry("producer", &self.producer)?;
        map.serialize_entry("difficulty", &self.difficulty)?;
        map.serialize_entry("nonce", &self.nonce)?;
        map.end()
    }
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
    /// A producer name over 1,024 bytes, a body size over [`BODY_BYTES_MAX`], or a field that the version doesn't have.
    pub fn new(fields: HeaderFields) -> Result<Self, FieldError> {
        FieldError::check_length("producer", fields.producer.len(), NAME_BYTES_MAX)?;
        FieldError::check_length("body_size", fields.body_size as usize, BODY_BYTES_MAX)?;
        fields.check_absent()?;
        let bytes = Bytes::from(encode(&fields));
        Ok(Self {
            hash: hash(fields.version, &bytes),
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
            hash: hash(fields.version, &bytes),
            fields: Arc::new(fields),
            bytes,
        })
    }

    /// The canonical encoding, as received.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What the hash is over, one part after the other. The last eight bytes are the nonce.
    pub(crate) fn hash_input(&self) -> [&[u8]; 2] {
        [hash_tag(self.version), &self.bytes]
    }

    /// The block's hash: `SHA-256("hubledger/block/v1" ‖ header)`, with the number of the header's version.
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

fn hash(version: FormatVersion, bytes: &[u8]) -> BlockHash {
    BlockHash(sha256(&[hash_tag(version), bytes]))
}

fn encode(fields: &HeaderFields) -> Vec<u8> {
    let mut out = Vec::with_capacity(384 + fields.producer.len() + 24 * fields.vector_clock.len());
    out.push(fields.version.number());
    out.extend_from_slice(&fields.chain.0);
    codec::put_u64(&mut out, fields.height);
    out.extend_from_slice(&fields.previous_hash.0);
    out.extend_from_slice(&fields.merkle_root.0);
    out.extend_from_slice(&fields.history_root.0);
    out.extend_from_slice(&fields.state_root.0);
    if fields.version >= FormatVersion::V2 {
        out.extend_from_slice(&fields.members_root.0);
        codec::put_u128(&mut out, fields.weight);
        codec::put_u64(&mut out, fields.transactions);
    }
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
    let version = reader.version()?;
    let has_sums = version >= FormatVersion::V2;
    Ok(HeaderFields {
        version,
        chain: ChainId(reader.array("chain")?),
        height: reader.u64("height")?,
        previous_hash: BlockHash(reader.array("previous_hash")?),
        merkle_root: Digest(reader.array("merkle_root")?),
        history_root: Digest(reader.array("history_root")?),
        state_root: Digest(reader.array("state_root")?),
        members_root: match has_sums {
            true => Digest(reader.array("members_root")?),
            false => Digest::ZERO,
        },
        weight: match has_sums {
            true => reader.u128("weight")?,
            false => 0,
        },
        transactions: match has_sums {
            true => reader.u64("transactions")?,
            false => 0,
        },
        transaction_count: reader.u32("transaction_count")?,
        body_size: reader.length("body_size", BODY_BYTES_MAX)? as u32,
        vector_clock: VectorClock::decode(reader)?,
        timestamp: reader.u64("timestamp")?,
        producer: reader.text("producer", NAME_BYTES_MAX)?.to_owned(),
        difficulty: reader.u64("difficulty")?,
        nonce: reader.u64("nonce")?,
    })
}
