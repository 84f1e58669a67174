//! What a payload says that the chain itself understands (`FORMAT.md`, "Payloads with a meaning").
//!
//! Such a payload begins with [`MARK`] and the tag of its kind, and is in canonical bytes from there to its end; or it is the JSON
//! form of the same, where the chain's specification lets that count. It has to be in a transaction of one of the operations
//! that go with the tag. Everything else is opaque: the chain keeps it and makes nothing of it, and that is never an error.
//!
//! [`Payload`] is a closed list. A kind is a file beside this one, with a struct that knows its fields' limits, its canonical
//! form and its JSON form, and a line in `payloads!`.

mod certify;
mod faults;
mod governance;
mod identity;
mod json;
mod key_set;
mod profile;
mod seed;
mod stake;

pub use self::certify::Certify;
pub use self::faults::Convict;
pub use self::governance::{Approve, ParameterValue, Propose, VALUE_BYTES_MAX, VALUE_MEMBERS_MAX};
pub use self::identity::{
    Attest, Leave, PURPOSE_BYTES_MAX, Recover, Register, Retract, Revoke, Rotate,
};
pub use self::key_set::{KEY_SET_KEYS_MAX, KeySet};
pub use self::profile::{CAPABILITIES_MAX, PROFILE_TEXT_BYTES_MAX, Profile};
pub use self::seed::{Commit, Reveal};
pub use self::stake::{Delegate, Release, Stake, Withdraw};

use super::FormatVersion;
use super::codec::{DecodeError, DecodeProblem, Reader};
use super::model::{Operation, Transaction};
use super::signature::{PublicKey, Signature};
use super::spec::{Identity, SpecFields};

/// How a payload in canonical bytes begins. No text begins so.
pub const MARK: &[u8; 3] = b"\0hl";

/// A longer payload has no meaning, in bytes: what would hold as much as a transaction can isn't worth reading.
pub const MEANING_BYTES_MAX: usize = 64 * 1024;

/// A kind of payload.
trait Form: Sized {
    /// Appends the canonical bytes behind the tag.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads what [`Form::encode`] appended.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// The JSON form.
    fn to_json(&self) -> serde_json::Value;

    /// Reads an object that says by its operation, or its field `action`, that it is one of this kind. `None` of anything
    /// else than the kind's fields with values within their limits.
    fn from_json(object: &json::Object) -> Option<Self>;
}

macro_rules! payloads {
    ($($(#[doc = $doc:literal])+ $kind:ident = $tag:literal, $word:literal, [$($operation:ident),+];)+) => {
        /// A payload that the chain itself understands.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Payload {
            $($(#[doc = $doc])+ $kind($kind),)+
        }

        impl Payload {
            /// The word that stands for the kind in JSON and in outputs.
            #[must_use]
            pub const fn word(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => $word,)+
                }
            }

            /// The operations in whose transactions a payload of this kind has its meaning.
            #[must_use]
            pub const fn operations(&self) -> &'static [Operation] {
                match self {
                    $(Self::$kind(_) => &[$(Operation::$operation),+],)+
                }
            }

            /// The canonical bytes.
            #[must_use]
            pub fn encode(&self) -> Vec<u8> {
                let mut out = MARK.to_vec();
                match self {
                    $(Self::$kind(one) => {
                        out.push($tag);
                        one.encode(&mut out);
                    })+
                }
                out
            }

            /// Reads exactly one payload in canonical bytes.
            ///
            /// # Errors
            /// Anything else.
            pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                let mut reader = Reader::new(bytes);
                if bytes.len() > MEANING_BYTES_MAX || reader.take("mark", MARK.len())? != MARK {
                    return Err(Reader::new(bytes).error("mark", DecodeProblem::Value("no payload with a meaning")));
                }
                let start = reader.clone();
                let payload = match reader.u8("tag")? {
                    $($tag => Self::$kind($kind::decode(&mut reader)?),)+
                    tag => return Err(start.error("tag", DecodeProblem::Tag(tag))),
                };
                reader.finish("payload")?;
                Ok(payload)
            }

            /// The JSON form, as a text.
            #[must_use]
            pub fn to_json(&self) -> String {
                match self {
                    $(Self::$kind(one) => json::named($word, one.to_json()),)+
                }
            }

            /// Reads the JSON form of a payload in a transaction of an operation; `None` of anything else.
            #[must_use]
            pub fn from_json(operation: Operation, bytes: &[u8]) -> Option<Self> {
                let object = json::Object::read(bytes)?;
                let word = object.action(operation)?;
                $(
                    if word == $word && [$(Operation::$operation),+].contains(&operation) {
                        return $kind::from_json(&object).map(Self::$kind);
                    }
                )+
                None
            }
        }
    };
}

payloads! {
    /// Binds the sender's name to keys.
    Register = 1, "register", [NodeRegister, FederationJoin];
    /// Exchanges the keys that speak for the sender.
    Rotate = 2, "rotate", [NodeUpdate];
    /// Says that the sender's keys speak for it no more.
    Revoke = 3, "revoke", [NodeUpdate];
    /// Gives the sender new keys, in the word of its recovery keys.
    Recover = 4, "recover", [NodeUpdate];
    /// Ends the sender's identity.
    Leave = 5, "leave", [FederationLeave];
    /// Vouches for another name's keys.
    Attest = 6, "attest", [NodeUpdate];
    /// Takes back what the sender vouched for.
    Retract = 7, "retract", [NodeUpdate];
    /// Proposes to change a parameter of the chain.
    Propose = 8, "propose", [ConsensusVote];
    /// Approves of such a proposal.
    Approve = 9, "approve", [ConsensusVote];
    /// Puts value up behind the sender itself, and names its key.
    Stake = 10, "stake", [ConsensusVote];
    /// Puts value up behind another name.
    Delegate = 11, "delegate", [ConsensusVote];
    /// Takes back what the sender put up.
    Release = 12, "release", [ConsensusVote];
    /// Pays out what was taken back.
    Withdraw = 13, "withdraw", [ConsensusVote];
    /// Has a member punished for a fault.
    Convict = 14, "convict", [ConsensusVote];
    /// Hands in the signatures by which members make a block final.
    Certify = 15, "certify", [ConsensusVote];
    /// Commits to what the sender reveals for the seeds of the chain.
    Commit = 16, "commit", [ConsensusVote];
    /// Adds to the seed of a later epoch.
    Reveal = 17, "reveal", [ConsensusVote];
}

impl Payload {
    /// What a transaction's payload says to the chain itself; `None` if that is nothing. O(length), and O(1) for operations that no kind
    /// goes with.
    #[must_use]
    pub fn of(transaction: &Transaction, json_counts: bool) -> Option<Self> {
        let operation = transaction.operation();
        if !Self::has_meaning_in(operation) {
            return None;
        }
        let bytes = transaction.payload();
        match bytes.first()? {
            0 => {
                let payload = Self::decode(bytes).ok()?;
                payload.operations().contains(&operation).then_some(payload)
            }
            _ if json_counts => Self::from_json(operation, bytes),
            _ => None,
        }
    }

    /// What a native transaction's payload says in a chain of this specification, the one in force where it is. Nothing in version
    /// 1, nor where names belong to nobody: there it can say nothing about them.
    #[must_use]
    pub fn said_in(spec: &SpecFields, transaction: &Transaction) -> Option<Self> {
        let is_deaf = spec.version == FormatVersion::V1 || spec.rules.identity == Identity::Open;
        match is_deaf {
            true => None,
            false => Self::of(transaction, spec.terms.payload_json),
        }
    }

    /// Tells `claim` every signature within the payload that has to hold for it to say anything: key, message, signature, in the
    /// order of the bytes. Most payloads have none.
    pub fn claims(&self, claim: impl FnMut(PublicKey, &[u8], Signature)) {
        match self {
            Self::Convict(convict) => convict.claims(claim),
            Self::Certify(certify) => certify.claims(claim),
            _ => {}
        }
    }

    /// Whether any payload has [claims](Self::claims) in transactions of this operation.
    #[must_use]
    pub const fn may_claim_in(operation: Operation) -> bool {
        matches!(operation, Operation::ConsensusVote)
    }

    /// Whether any payload has a meaning in transactions of this operation.
    #[must_use]
    pub const fn has_meaning_in(operation: Operation) -> bool {
        match operation {
            Operation::FederationJoin
            | Operation::FederationLeave
            | Operation::NodeRegister
            | Operation::NodeUpdate
            | Operation::ConsensusVote => true,
            Operation::Transfer | Operation::Message | Operation::SmartContract => false,
        }
    }
}

#[cfg(test)]
mod tests;
