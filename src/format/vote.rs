//! Votes: what a member signs when it says of a block that it proposes it, prefers it, or decides on it.
//!
//! A vote names everything that could make it mean something else: chain, height, round, kind and block. The signature is over
//! 41 bytes, so that it costs one block of SHA-512 with the signature's own 64 bytes before it, as that over a seal's or
//! a transaction's message does; and the tag keeps any of them from being taken for another.
//!
//! A vote for no block at all ("nil", when a member saw no good proposal in time) has no form here: it proves nothing to anybody but
//! the members of the round, and so is never in a seal or in evidence.

use crate::format::codec::{self, DecodeError, DecodeProblem, Reader};
use crate::format::digest::{BlockHash, ChainId, sha256};
use crate::format::signature::{KeyPair, Signature};

const MESSAGE_TAG: &[u8; 9] = b"hl/vote/1";

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $variant:ident = $tag:literal, $word:literal;)+) => {
        /// What a vote says of its block.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum VoteKind {
            $($(#[doc = $doc])+ $variant = $tag,)+
        }

        impl VoteKind {
            /// Every kind.
            pub const ALL: [Self; [$($tag),+].len()] = [$(Self::$variant),+];

            /// The fixed word for it.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            const fn from_tag(tag: u8) -> Option<Self> {
                match tag {
                    $($tag => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    /// The proposer of the round puts the block forward.
    Propose = 1, "propose";
    /// The block may be decided in this round.
    Prevote = 2, "prevote";
    /// More than the quorum's share prevoted for the block: it is decided once as many precommit.
    Precommit = 3, "precommit";
    /// The block, sealed in another way, is final.
    Checkpoint = 4, "checkpoint";
}

/// What a member says of a block. Signed, it is the member's word: two different votes of one member that differ in nothing but the
/// block are a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Vote {
    /// The chain that the block belongs to.
    pub chain: ChainId,
    /// The block's height.
    pub height: u64,
    /// The round of that height.
    pub round: u32,
    /// What is said.
    pub kind: VoteKind,
    /// The block that it is said of; never zero.
    pub block: BlockHash,
}

impl Vote {
    /// Length of the canonical encoding, in bytes.
    pub const BYTES: usize = 32 + 8 + 4 + 1 + 32;

    /// What is signed: `"hl/vote/1" ‖ SHA-256(vote)`.
    #[must_use]
    pub fn message(&self) -> [u8; 41] {
        let mut fields = Vec::with_capacity(Self::BYTES);
        self.encode(&mut fields);
        let mut message = [0; 41];
        message[..9].copy_from_slice(MESSAGE_TAG);
        message[9..].copy_from_slice(&sha256(&[&fields]));
        message
    }

    /// The signature of whoever holds `key`.
    #[must_use]
    pub fn sign(&self, key: &KeyPair) -> Signature {
        key.sign(&self.message())
    }

    /// Whether both are about the same: they differ in nothing but the block.
    #[must_use]
    pub fn has_subject_of(&self, other: &Self) -> bool {
        let block = other.block;
        *other == Self { block, ..*self }
    }

    /// Appends the canonical encoding, [`Self::BYTES`] long.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.chain.0);
        codec::put_u64(out, self.height);
        codec::put_u32(out, self.round);
        out.push(self.kind as u8);
        out.extend_from_slice(&self.block.0);
    }

    /// Reads a canonical vote from the front of `reader`.
    ///
    /// # Errors
    /// Truncation, an unknown kind, a vote for no block.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let chain = ChainId(reader.array("vote chain")?);
        let height = reader.u64("vote height")?;
        let round = reader.u32("vote round")?;
        let start = reader.clone();
        let tag = reader.u8("vote kind")?;
        let kind = VoteKind::from_tag(tag);
        Ok(Self {
            chain,
            height,
            round,
            kind: kind.ok_or_else(|| start.error("vote kind", DecodeProblem::Tag(tag)))?,
            block: block(reader)?,
        })
    }

    /// The same for another block, which is read from the front of `reader`.
    pub(super) fn decode_other(&self, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let block = block(reader)?;
        Ok(Self { block, ..*self })
    }
}

fn block(reader: &mut Reader<'_>) -> Result<BlockHash, DecodeError> {
    let start = reader.clone();
    let block = BlockHash(reader.array("vote block")?);
    match block.is_zero() {
        true => Err(start.error("vote block", DecodeProblem::Value("a vote for no block"))),
        false => Ok(block),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::format::model::Seal;
    use crate::format::signature;

    fn vote() -> Vote {
        Vote {
            chain: ChainId([1; 32]),
            height: 2,
            round: 3,
            kind: VoteKind::Precommit,
            block: BlockHash([4; 32]),
        }
    }

    fn encoded(vote: &Vote) -> Vec<u8> {
        let mut bytes = Vec::new();
        vote.encode(&mut bytes);
        bytes
    }

    #[test]
    fn a_vote_reads_back_from_its_own_bytes_only() {
        let bytes = encoded(&vote());
        assert_eq!(bytes.len(), Vote::BYTES);
        assert_eq!(Vote::decode(&mut Reader::new(&bytes)).unwrap(), vote());
        for length in 0..bytes.len() {
            assert!(Vote::decode(&mut Reader::new(&bytes[..length])).is_err());
        }
        for kind in (0..=u8::MAX).filter(|kind| !(1..=4).contains(kind)) {
            let mut changed = bytes.clone();
            changed[Vote::BYTES - 33] = kind;
            let error = Vote::decode(&mut Reader::new(&changed)).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("vote kind at byte 44: unknown tag {kind}")
            );
        }
    }

    #[test]
    fn there_is_no_vote_for_no_block() {
        let nil = Vote {
            block: BlockHash::ZERO,
            ..vote()
        };
        let error = Vote::decode(&mut Reader::new(&encoded(&nil))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "vote block at byte 45: a vote for no block"
        );
    }

    #[test]
    fn a_signature_is_for_one_vote_alone() {
        let key = KeyPair::from_seed(&[9; 32]);
        let signed = vote().sign(&key);
        let holds = |message: &[u8]| signature::verify(&key.public_key(), message, &signed).is_ok();
        assert!(holds(&vote().message()));
        let others = [
            Vote {
                chain: ChainId([2; 32]),
                ..vote()
            },
            Vote {
                height: 3,
                ..vote()
            },
            Vote { round: 2, ..vote() },
            Vote {
                kind: VoteKind::Prevote,
                ..vote()
            },
            Vote {
                block: BlockHash([5; 32]),
                ..vote()
            },
        ];
        for other in others {
            assert!(!holds(&other.message()), "{other:?}");
            assert_eq!(other.has_subject_of(&vote()), other.block != vote().block);
        }
        assert!(!holds(&Seal::message(&vote().block)));
    }

    #[test]
    fn kinds_have_different_tags_and_words() {
        for (one, kind) in VoteKind::ALL.into_iter().enumerate() {
            assert_eq!(VoteKind::from_tag(kind as u8), Some(kind));
            assert!(
                VoteKind::ALL[..one]
                    .iter()
                    .all(|other| other.word() != kind.word())
            );
        }
    }
}
