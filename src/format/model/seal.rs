//! Seals: the evidence that a block's producer was entitled to produce it. A seal stands behind the header and is
//! outside the block's hash; it is *about* that hash.

use super::quorum_seal::QuorumSeal;
use crate::format::codec::{self, DecodeError, DecodeProblem, NAME_BYTES_MAX, Reader};
use crate::format::digest::BlockHash;
use crate::format::signature::{KeyPair, PublicKey, Signature};

/// The longest seal that the format allows, in bytes.
pub const SEAL_BYTES_MAX: usize = 64 * 1024;

const MESSAGE_TAG: &[u8; 9] = b"hl/seal/1";
const TAG_NONE: u8 = 0;
const TAG_AUTHORITY: u8 = 1;
const TAG_ORIGINAL: u8 = 2;
const TAG_QUORUM: u8 = 3;
const TAG_WORK: u8 = 4;

/// The evidence behind a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seal {
    /// None: genesis.
    None,
    /// An authority's signature over `"hl/seal/1" ‖ block hash`.
    Authority {
        /// The authority's key.
        key: PublicKey,
        /// Its signature over [`Seal::message`].
        signature: Signature,
    },
    /// What is needed to rebuild the hash of the MPREG block that this block was imported from.
    Original(OriginalHeader),
    /// The signatures of a quorum of the members.
    Quorum(QuorumSeal),
    /// Work, for which the header's own nonce and hash are the evidence.
    Work,
}

/// The fields of an MPREG block that its hash covers beside its link and Merkle root, and its id.
/// Texts of at most [`OriginalHeader::TEXT_BYTES_MAX`] bytes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct OriginalHeader {
    /// MPREG's id of the block, which no hash covers.
    pub block_id: String,
    /// The timestamp as Python prints it.
    pub timestamp: String,
    /// The nonce as Python prints it.
    pub nonce: String,
}

impl OriginalHeader {
    /// The longest text of an original header, in bytes.
    pub const TEXT_BYTES_MAX: usize = 8 * NAME_BYTES_MAX;
}

impl Seal {
    /// What an authority signs: `"hl/seal/1" ‖ hash`.
    #[must_use]
    pub fn message(hash: &BlockHash) -> [u8; 41] {
        let mut message = [0; 41];
        message[..9].copy_from_slice(MESSAGE_TAG);
        message[9..].copy_from_slice(&hash.0);
        message
    }

    /// The seal of the authority that holds `key`, for the block `hash`.
    #[must_use]
    pub fn by_authority(key: &KeyPair, hash: &BlockHash) -> Self {
        let signature = key.sign(&Self::message(hash));
        Self::Authority {
            key: key.public_key(),
            signature,
        }
    }

    /// The canonical encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::None => out.push(TAG_NONE),
            Self::Authority { key, signature } => {
                out.push(TAG_AUTHORITY);
                out.extend_from_slice(key.as_bytes());
                out.extend_from_slice(signature.as_bytes());
            }
            Self::Original(original) => {
                out.push(TAG_ORIGINAL);
                for text in [&original.block_id, &original.timestamp, &original.nonce] {
                    codec::put_bytes(&mut out, text.as_bytes());
                }
            }
            Self::Quorum(quorum) => {
                out.push(TAG_QUORUM);
                quorum.encode(&mut out);
            }
            Self::Work => out.push(TAG_WORK),
        }
        out
    }

    /// Reads a canonical seal.
    ///
    /// # Errors
    /// Unknown tags, truncation, trailing bytes; signers that are none, too many, or not written in the one way.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let start = reader.clone();
        let seal = match reader.u8("seal")? {
            TAG_NONE => Self::None,
            TAG_AUTHORITY => Self::Authority {
                key: PublicKey::from_bytes(reader.array("seal key")?),
                signature: Signature::from_bytes(reader.array("seal signature")?),
            },
            TAG_ORIGINAL => {
                // Bounded: a seal is outside the block's hash, and anybody who hands a block on may write one.
                let mut text = |field| {
                    reader
                        .text(field, OriginalHeader::TEXT_BYTES_MAX)
                        .map(str::to_owned)
                };
                Self::Original(OriginalHeader {
                    block_id: text("seal block_id")?,
                    timestamp: text("seal timestamp")?,
                    nonce: text("seal nonce")?,
                })
            }
            TAG_QUORUM => Self::Quorum(QuorumSeal::decode(&mut reader)?),
            TAG_WORK => Self::Work,
            tag => return Err(start.error("seal", DecodeProblem::Tag(tag))),
        };
        reader.finish("seal")?;
        Ok(seal)
    }
}
