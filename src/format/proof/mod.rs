//! Proofs for people who trust nobody: self-contained values with one encoding (`FORMAT.md`, "Proofs") and a JSON form,
//! checked with nothing but a head hash.
//!
//! Everything in a proof is bound by the check: headers by their hashes, sizes and indexes by the headers and the exact
//! lengths of the paths, the witness by the Merkle leaf. So a proof that differs in one bit is refused.

mod extension;
mod json;
mod state;
mod transaction;

use bytes::Bytes;

pub use self::extension::ExtensionProof;
pub use self::state::{ProvenRow, StateProof};
pub use self::transaction::{ProvenTransaction, TransactionProof};
use crate::format::codec::{self, DecodeError, DecodeProblem, Reader};
use crate::format::digest::{BlockHash, Digest};
use crate::format::merkle::ProofError;
use crate::format::model::{HEADER_BYTES_MAX, Header};
use crate::format::sparse::PathError;

/// The longest proof that is read, in bytes.
pub const PROOF_BYTES_MAX: usize = 2 * HEADER_BYTES_MAX + (2 << 20);

/// More nodes than the longest path in a tree of 2^64 leaves has.
const PATH_NODES_MAX: usize = 128;

const VERSION: u8 = 1;

/// A proof of any kind, as it lies in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// That a transaction is in a chain.
    Transaction(TransactionProof),
    /// That a chain extends another.
    Extension(ExtensionProof),
    /// That a row of the state has a value, or that there is none.
    State(StateProof),
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidProof {
    /// It leads to another head than the one that is trusted.
    #[error("the proof is for head {found}, not {trusted}")]
    Head {
        /// The head that the proof ends in.
        found: BlockHash,
        /// The head that the verifier trusts.
        trusted: BlockHash,
    },
    /// The heads are in the wrong order.
    #[error("{0}")]
    Order(&'static str),
    /// A path doesn't lead to the root that the header names.
    #[error("{step}: {source}")]
    Path {
        /// Which path.
        step: &'static str,
        /// What is wrong with it.
        source: ProofError,
    },
    /// The header that it ends in names no state root: of its state nothing can be proved.
    #[error("block {height} has no state root")]
    NoStateRoot {
        /// The block's height.
        height: u64,
    },
    /// The path in the state doesn't lead to the root that the header names.
    #[error("row in state: {0}")]
    State(PathError),
}

impl Proof {
    /// The canonical encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Transaction(proof) => proof.encode(),
            Self::Extension(proof) => proof.encode(),
            Self::State(proof) => proof.encode(),
        }
    }

    /// Reads exactly one canonical proof.
    ///
    /// # Errors
    /// Anything but a canonical encoding.
    pub fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let proof = match reader.array::<8>("magic")? {
            transaction::MAGIC => {
                Self::Transaction(TransactionProof::decode_fields(bytes, &mut reader)?)
            }
            extension::MAGIC => Self::Extension(ExtensionProof::decode_fields(bytes, &mut reader)?),
            state::MAGIC => Self::State(StateProof::decode_fields(bytes, &mut reader)?),
            _ => {
                let problem = DecodeProblem::Value("not a proof");
                return Err(Reader::new(bytes).error("magic", problem));
            }
        };
        reader.finish("proof")?;
        Ok(proof)
    }

    /// The JSON form, with hexadecimal for bytes.
    #[must_use]
    pub fn to_json(&self) -> String {
        json::to_json(self)
    }

    /// Reads the JSON form.
    ///
    /// # Errors
    /// A message that says where and why, for anything but what [`Proof::to_json`] can write.
    pub fn from_json(text: &str) -> Result<Self, String> {
        json::from_json(text)
    }
}

fn put_path(out: &mut Vec<u8>, path: &[Digest]) {
    codec::put_count(out, path.len());
    for node in path {
        out.extend_from_slice(&node.0);
    }
}

fn read_path(reader: &mut Reader<'_>, field: &'static str) -> Result<Vec<Digest>, DecodeError> {
    // No path is longer in any tree, so a proof's count can't ask for more.
    let count = reader.count(field, PATH_NODES_MAX, 32)?;
    let mut path = Vec::with_capacity(count);
    for _ in 0..count {
        path.push(Digest(reader.array(field)?));
    }
    Ok(path)
}

fn read_header(
    bytes: &Bytes,
    reader: &mut Reader<'_>,
    field: &'static str,
) -> Result<Header, DecodeError> {
    let length = reader.bytes(field, HEADER_BYTES_MAX)?.len();
    let start = reader.position() - length;
    Header::decode(bytes.slice(start..reader.position())).map_err(|error| error.at_base(start))
}

fn read_version(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let start = reader.clone();
    match reader.u8("version")? {
        VERSION => Ok(()),
        version => Err(start.error("version", DecodeProblem::Version(version.into()))),
    }
}

fn check_head(found: &Header, trusted: &BlockHash) -> Result<(), InvalidProof> {
    if found.hash() != *trusted {
        return Err(InvalidProof::Head {
            found: found.hash(),
            trusted: *trusted,
        });
    }
    Ok(())
}
