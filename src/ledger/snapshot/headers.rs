//! The contents of a file of headers: of each block its header and its seal, or its hash where the header was pruned.

use bytes::Bytes;

use super::rows::read_start;
use crate::format::codec::{self, DecodeError, DecodeProblem, Reader};
use crate::format::digest::{BlockHash, ChainId};
use crate::format::model::{HEADER_BYTES_MAX, Header, SEAL_BYTES_MAX, Seal};

const MAGIC: &[u8; 8] = b"HLSNHEAD";
const VERSION: u8 = 1;

const TAG_HASH: u8 = 0;
const TAG_HEADER: u8 = 1;
/// The shortest entry: a tag and two lengths. A header is longer, which its own reader finds.
const ENTRY_BYTES_MIN: usize = 9;

/// What a snapshot has of a block below its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderEntry {
    /// Its hash alone: its header was pruned.
    Pruned(BlockHash),
    /// Its header and its encoded seal. The hash follows from the header.
    Held(Header, Bytes),
}

impl HeaderEntry {
    /// The block's hash.
    #[must_use]
    pub fn hash(&self) -> BlockHash {
        match self {
            Self::Pruned(hash) => *hash,
            Self::Held(header, _) => header.hash(),
        }
    }
}

/// The headers of consecutive blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderChunk {
    /// The chain id in the header of the snapshot's head.
    pub chain: ChainId,
    /// Height of the first block.
    pub first: u64,
    /// The blocks; those whose headers were pruned are below all others.
    pub entries: Vec<HeaderEntry>,
}

impl HeaderChunk {
    /// The canonical encoding (`FORMAT.md`, "Snapshot").
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut packed = Vec::new();
        for entry in &self.entries {
            put_entry(&mut packed, entry);
        }
        encode_packed(self.chain, self.first, self.entries.len(), &packed)
    }

    /// Reads one chunk. Whether its blocks are those of the chain is for the importer to say. O(length).
    ///
    /// # Errors
    /// Anything but the canonical encoding; a hash behind a header; a seal that is none.
    pub fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        const FIELD: &str = "entries";
        let mut reader = Reader::new(bytes);
        read_start(&mut reader, MAGIC, VERSION)?;
        let chain = ChainId(reader.array("chain")?);
        let first = reader.u64("first")?;
        let count = reader.count(FIELD, u32::MAX as usize, ENTRY_BYTES_MIN)?;
        let mut entries = Vec::new();
        let mut is_held = false;
        for _ in 0..count {
            let start = reader.clone();
            let entry = match reader.u8(FIELD)? {
                TAG_HASH if is_held => return Err(start.error(FIELD, DecodeProblem::Order)),
                TAG_HASH => HeaderEntry::Pruned(BlockHash(reader.array("hash")?)),
                TAG_HEADER => decode_held(bytes, &mut reader)?,
                tag => return Err(start.error(FIELD, DecodeProblem::Tag(tag))),
            };
            is_held = matches!(entry, HeaderEntry::Held(..));
            entries.push(entry);
        }
        reader.finish(FIELD)?;
        Ok(Self {
            chain,
            first,
            entries,
        })
    }
}

fn decode_held(bytes: &Bytes, reader: &mut Reader<'_>) -> Result<HeaderEntry, DecodeError> {
    let length = reader.bytes("header", HEADER_BYTES_MAX)?.len();
    let base = reader.position() - length;
    // Copied: a slice would keep the whole file in memory for as long as any header of it lives.
    let header = Bytes::copy_from_slice(&bytes[base..base + length]);
    let header = Header::decode(header).map_err(|error| error.at_base(base))?;
    let seal = reader.bytes("seal", SEAL_BYTES_MAX)?;
    let base = reader.position() - seal.len();
    Seal::decode(seal).map_err(|error| error.at_base(base))?;
    Ok(HeaderEntry::Held(header, Bytes::copy_from_slice(seal)))
}

/// Appends an entry as it lies in a chunk.
pub(super) fn put_entry(out: &mut Vec<u8>, entry: &HeaderEntry) {
    match entry {
        HeaderEntry::Pruned(hash) => {
            out.push(TAG_HASH);
            out.extend_from_slice(&hash.0);
        }
        HeaderEntry::Held(header, seal) => {
            out.push(TAG_HEADER);
            codec::put_bytes(out, header.bytes());
            codec::put_bytes(out, seal);
        }
    }
}

/// The encoding of a chunk whose entries, `count` of them, are encoded already.
pub(super) fn encode_packed(chain: ChainId, first: u64, count: usize, packed: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(packed.len() + 64);
    out.extend_from_slice(MAGIC);
    out.push(VERSION);
    out.extend_from_slice(&chain.0);
    codec::put_u64(&mut out, first);
    codec::put_count(&mut out, count);
    out.extend_from_slice(packed);
    out
}
