//! The proof that a row of the state has a value, or that there is no such row, after a block of the chain that ends in a given head.

use bytes::Bytes;

use super::{InvalidProof, VERSION, check_head, put_path, read_header, read_path, read_version};
use crate::format::codec::{self, DecodeError, DecodeProblem, Reader};
use crate::format::digest::{BlockHash, Digest};
use crate::format::merkle::{self, history_leaf};
use crate::format::model::Header;
use crate::format::sparse::{self, DEPTH_MAX, Path, PathEnd};

pub(super) const MAGIC: [u8; 8] = *b"HLPROOFS";

/// The longest key of a row that can be proved, in bytes.
const KEY_BYTES_MAX: usize = 2048;
/// The longest value, in bytes.
const VALUE_BYTES_MAX: usize = 1 << 20;

const END_PRESENT: u8 = 0;
const END_EMPTY: u8 = 1;
const END_OTHER: u8 = 2;

/// Proves a row of the state, or its absence, against a head hash: O(log blocks + log rows) hashes, and at most two headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateProof {
    pub(super) head: Header,
    /// The header whose state root it is, and the path of its hash in the history of `head`, unless it *is* the head.
    pub(super) later: Option<(Header, Vec<Digest>)>,
    pub(super) table: u8,
    pub(super) key: Bytes,
    pub(super) value: Option<Bytes>,
    pub(super) path: Path,
}

/// What a checked proof establishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenRow {
    /// The table that the row is in.
    pub table: u8,
    /// Its key.
    pub key: Bytes,
    /// Its value after that block; `None` if there is no such row.
    pub value: Option<Bytes>,
    /// Height of the block after which that is so.
    pub height: u64,
    /// The block's hash.
    pub block: BlockHash,
    /// The block's timestamp in microseconds since the Unix epoch.
    pub timestamp: u64,
}

impl StateProof {
    pub(crate) fn new(
        head: Header,
        later: Option<(Header, Vec<Digest>)>,
        (table, key): (u8, &[u8]),
        value: Option<&[u8]>,
        path: Path,
    ) -> Self {
        Self {
            head,
            later,
            table,
            key: Bytes::copy_from_slice(key),
            value: value.map(Bytes::copy_from_slice),
            path,
        }
    }

    /// The table and the key that the proof is about.
    #[must_use]
    pub fn row(&self) -> (u8, &[u8]) {
        (self.table, &self.key)
    }

    /// The value that the row has by the proof, which nobody has checked yet; `None` if there is to be no such row.
    #[must_use]
    pub fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }

    /// The head that the proof ends in; whether to trust it is the verifier's to say.
    #[must_use]
    pub fn head(&self) -> BlockHash {
        self.head.hash()
    }

    /// Checks the proof against the one thing that the verifier trusts.
    ///
    /// # Errors
    /// Another head; a header without a state root; a path that doesn't lead where it should.
    pub fn verify(&self, trusted_head: &BlockHash) -> Result<ProvenRow, InvalidProof> {
        check_head(&self.head, trusted_head)?;
        let block = match &self.later {
            None => &self.head,
            Some((block, history)) => {
                let leaf = history_leaf(&block.hash());
                let (size, root) = (self.head.height, &self.head.history_root);
                merkle::verify_inclusion(&leaf, block.height, size, history, root).map_err(
                    |source| InvalidProof::Path {
                        step: "block in history",
                        source,
                    },
                )?;
                block
            }
        };
        // Zero means that the header says nothing of the state; the root over no rows is another.
        if block.state_root.is_zero() {
            return Err(InvalidProof::NoStateRoot {
                height: block.height,
            });
        }
        let place = sparse::place(self.table, &self.key);
        self.path
            .verify(&place, self.value.as_deref(), &block.state_root)
            .map_err(InvalidProof::State)?;
        Ok(ProvenRow {
            table: self.table,
            key: self.key.clone(),
            value: self.value.clone(),
            height: block.height,
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
        out.push(self.table);
        codec::put_bytes(&mut out, &self.key);
        put_path(&mut out, &self.path.siblings);
        // A path that proves the absence of one key proves that of many. The place binds it to this one: of a proof that was damaged on its
        // way nobody is told that it is about something else.
        let place = sparse::place(self.table, &self.key);
        match (&self.path.end, &self.value) {
            (PathEnd::Empty, _) => {
                out.push(END_EMPTY);
                out.extend_from_slice(&place.0);
            }
            (
                PathEnd::Other {
                    place: other,
                    value,
                },
                _,
            ) => {
                out.push(END_OTHER);
                out.extend_from_slice(&place.0);
                out.extend_from_slice(&other.0);
                out.extend_from_slice(&value.0);
            }
            (PathEnd::Present, value) => {
                out.push(END_PRESENT);
                codec::put_bytes(&mut out, value.as_deref().unwrap_or_default());
            }
        }
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
        let table = reader.u8("table")?;
        let key = Bytes::copy_from_slice(reader.bytes("key", KEY_BYTES_MAX)?);
        let count = reader.count("path", DEPTH_MAX, 32)?;
        let mut siblings = Vec::with_capacity(count);
        for _ in 0..count {
            siblings.push(Digest(reader.array("path")?));
        }
        let start = reader.clone();
        let (end, value) = match reader.u8("end")? {
            END_PRESENT => {
                let value = Bytes::copy_from_slice(reader.bytes("value", VALUE_BYTES_MAX)?);
                (PathEnd::Present, Some(value))
            }
            END_EMPTY => {
                read_place(reader, table, &key)?;
                (PathEnd::Empty, None)
            }
            END_OTHER => {
                read_place(reader, table, &key)?;
                let place = Digest(reader.array("other place")?);
                let value = Digest(reader.array("value hash")?);
                (PathEnd::Other { place, value }, None)
            }
            tag => return Err(start.error("end", DecodeProblem::Tag(tag))),
        };
        Ok(Self {
            head,
            later,
            table,
            key,
            value,
            path: Path { siblings, end },
        })
    }
}

/// Reads the place of the key that a proof of absence is about.
fn read_place(reader: &mut Reader<'_>, table: u8, key: &[u8]) -> Result<(), DecodeError> {
    let start = reader.clone();
    if reader.array::<32>("place")? == sparse::place(table, key).0 {
        return Ok(());
    }
    Err(start.error("place", DecodeProblem::Value("is not that of the key")))
}
