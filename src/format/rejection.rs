//! Why a block or a transaction is not valid: data about somebody else's input.
//!
//! [`Rejected`] says *where* (height, transaction) and *why* ([`Reason`], one fixed word; and a detail for
//! people). It is never used for faults of this process or its disk.

use std::fmt;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $word:literal,)+) => {
        /// Why a block or transaction was rejected. The words are part of the public interface.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Reason {
            /// Every reason, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The fixed snake_case word that stands for this reason in every output.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    };
}

reasons! {
    /// The bytes or the text can't be read: truncated, over-long, unsorted, unknown tag, trailing bytes.
    Malformed = "malformed",
    /// A format version that this build doesn't know, or that the chain doesn't have at this height.
    Version = "version",
    /// The block or transaction belongs to another chain.
    Chain = "chain",
    /// Block 0 is not the one that the chain specification determines.
    Genesis = "genesis",
    /// The height is not one more than the previous block's.
    Height = "height",
    /// The previous hash is not the hash of the block before.
    PreviousHash = "previous_hash",
    /// The Merkle root doesn't match the transactions and their witnesses.
    MerkleRoot = "merkle_root",
    /// The history root doesn't match the hashes of all earlier blocks.
    HistoryRoot = "history_root",
    /// The state root is not what this chain demands at this height.
    StateRoot = "state_root",
    /// The members root doesn't match the members that the consensus has at the next height.
    MembersRoot = "members_root",
    /// The weight is not that of the chain up to and with this block.
    Weight = "weight",
    /// A number of transactions is not that of the body, or of the whole chain.
    TransactionCount = "transaction_count",
    /// The header's body size is not the length of the body.
    BodySize = "body_size",
    /// A limit of the chain specification is exceeded (transactions, bytes, payload, names, witnesses).
    Limit = "limit",
    /// The vector clock didn't advance as it must.
    VectorClock = "vector_clock",
    /// A timestamp is out of order, or too far ahead.
    Timestamp = "timestamp",
    /// The producer may not produce this block.
    Producer = "producer",
    /// It is another authority's turn.
    Turn = "turn",
    /// The seal is missing, of the wrong kind, or its signature doesn't verify.
    Seal = "seal",
    /// Members of too little weight are behind a certificate.
    Quorum = "quorum",
    /// Difficulty or proof-of-work nonce are not what the consensus demands.
    Difficulty = "difficulty",
    /// The transaction's expiry is not after the block's timestamp.
    Expired = "expired",
    /// The fee is below the chain's minimum.
    Fee = "fee",
    /// The nonce is not larger than the sender's last one (a replay or a reordering), or leaves a gap where none may be.
    Nonce = "nonce",
    /// The transaction is in this block twice.
    Duplicate = "duplicate",
    /// The witness is not by a key that speaks for this sender.
    Identity = "identity",
    /// Too few of the keys have signed that speak for the sender together.
    Threshold = "threshold",
    /// The sender's keys were revoked, or it left.
    Revoked = "revoked",
    /// The sender's keys are older than the chain allows.
    KeyAge = "key_age",
    /// A name is registered already, or isn't.
    Registration = "registration",
    /// An exchange of keys breaks its rules: too early, too much grace, another one pending, no change.
    Rotation = "rotation",
    /// Less is put up than the chain asks for, more is taken back than is there or than the chain can go on without, or too early.
    Stake = "stake",
    /// An attestation is missing, has ended, or is of other keys.
    Attestation = "attestation",
    /// Somebody is no member who has to be one.
    Member = "member",
    /// A parameter can't be changed, or not into that.
    Parameter = "parameter",
    /// A proposal isn't there, comes too late, or was approved by the sender already.
    Proposal = "proposal",
    /// Evidence of a fault shows none, comes too late, or was punished already; or a certificate is of no block that waits for one.
    Evidence = "evidence",
    /// A commitment or a reveal for the seeds of the chain isn't the sender's to make there, or isn't the one that comes next.
    Reveal = "reveal",
    /// The sender spends more than it has.
    Balance = "balance",
    /// The operation or kind of transaction is not allowed here.
    Operation = "operation",
    /// A signature doesn't verify.
    Signature = "signature",
    /// A signature is required and absent.
    SignatureMissing = "signature_missing",
    /// A public key is missing or of the wrong length or form.
    PublicKey = "public_key",
    /// Another block is already held at this height, and stays.
    Fork = "fork",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl serde::Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

/// A verdict against a block: where it is wrong and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("block {height}{}: {reason}: {detail}", TransactionSuffix(*transaction))]
pub struct Rejected {
    /// Height of the rejected block.
    pub height: u64,
    /// Index of the transaction within the block, if it is one transaction's fault.
    pub transaction: Option<u32>,
    /// The fixed word.
    pub reason: Reason,
    /// For people: what was found and what was expected.
    pub detail: String,
}

impl Rejected {
    /// A verdict against the block as a whole.
    #[must_use]
    pub fn block(height: u64, reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            height,
            transaction: None,
            reason,
            detail: detail.into(),
        }
    }

    /// A verdict against the transaction at `index`.
    #[must_use]
    pub fn transaction(height: u64, index: u32, reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            height,
            transaction: Some(index),
            reason,
            detail: detail.into(),
        }
    }
}

struct TransactionSuffix(Option<u32>);

impl fmt::Display for TransactionSuffix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(index) => write!(f, ", transaction {index}"),
            None => Ok(()),
        }
    }
}

/// Why a rule refused: a reason and a detail, without a place. A verdict is a fault at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The fixed word.
    pub reason: Reason,
    /// What was found and what was expected.
    pub detail: String,
}

impl Fault {
    /// A fault for `reason`.
    #[must_use]
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }
}
