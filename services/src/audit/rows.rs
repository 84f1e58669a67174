//! The rows of the audit.

use hubledger::codec::{self, DecodeError, NAME_BYTES_MAX, Reader};
use hubledger::digest::TransactionId;

use crate::recorded::Recorded;

/// What was done, by height and index.
pub(super) const TABLE_ACTS: u8 = 0;
/// The places of what somebody did: nothing by the length of the name (u16, big-endian), name, height, index.
pub(super) const TABLE_BY_ACTOR: u8 = 1;
/// The places of what was done of one kind: nothing by act, height, index.
pub(super) const TABLE_BY_ACT: u8 = 2;

/// The longest subject, in bytes.
const SUBJECT_BYTES_MAX: usize = NAME_BYTES_MAX;

macro_rules! acts {
    ($($(#[doc = $doc:literal])+ $act:ident = $number:literal, $word:literal;)+) => {
        /// What somebody did.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Act {
            $($(#[doc = $doc])+ $act,)+
        }

        impl Act {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$act),+];

            /// The word that stands for it.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$act => $word,)+
                }
            }

            /// What a word stands for.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|act| act.word() == word)
            }

            pub(super) const fn number(self) -> u8 {
                match self {
                    $(Self::$act => $number,)+
                }
            }

            fn from_number(number: u8) -> Option<Self> {
                Self::ALL.iter().copied().find(|act| act.number() == number)
            }
        }
    };
}

acts! {
    /// Joined the federation.
    Join = 0, "join";
    /// Left it.
    Leave = 1, "leave";
    /// Registered a node, or its keys.
    Register = 2, "register";
    /// Changed what a node registered, or said anything else of a node than that it is alive or had a message.
    Update = 3, "update";
    /// Exchanged keys.
    Rotate = 4, "rotate";
    /// Said that its keys speak for it no more.
    Revoke = 5, "revoke";
    /// Got new keys by recovery keys.
    Recover = 6, "recover";
    /// Vouched for the subject's keys.
    Attest = 7, "attest";
    /// Took that back.
    Retract = 8, "retract";
    /// Proposed to change the parameter that is the subject.
    Propose = 9, "propose";
    /// Approved of the subject's proposal.
    Approve = 10, "approve";
    /// Voted otherwise.
    Vote = 11, "vote";
    /// Put value up behind itself.
    Stake = 12, "stake";
    /// Put value up behind the subject.
    Delegate = 13, "delegate";
    /// Asked to get it back from behind the subject.
    Release = 14, "release";
    /// Took back what was released from behind the subject.
    Withdraw = 15, "withdraw";
    /// Proved a fault of the key that is the subject.
    Convict = 16, "convict";
    /// Handed in that members made the block at the height that is the subject final.
    Certify = 17, "certify";
}

/// What was done, as a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) act: Act,
    pub(super) id: TransactionId,
    pub(super) time: u64,
    pub(super) actor: String,
    pub(super) subject: String,
}

impl Done {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(49 + self.actor.len() + self.subject.len());
        row.push(self.act.number());
        row.extend_from_slice(&self.id.0);
        codec::put_u64(&mut row, self.time);
        codec::put_bytes(&mut row, self.actor.as_bytes());
        codec::put_bytes(&mut row, self.subject.as_bytes());
        row
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(row);
        let start = reader.clone();
        let number = reader.u8("act")?;
        let act = Act::from_number(number)
            .ok_or_else(|| start.error("act", codec::DecodeProblem::Tag(number)))?;
        let done = Self {
            act,
            id: TransactionId(reader.array("id")?),
            time: reader.u64("time")?,
            actor: reader.text("actor", NAME_BYTES_MAX)?.to_owned(),
            subject: reader.text("subject", SUBJECT_BYTES_MAX)?.to_owned(),
        };
        reader.finish("act")?;
        Ok(done)
    }
}

/// What the keys of an actor's rows begin with; `None` of what can be no name.
pub(super) fn actor_prefix(actor: &str) -> Option<Vec<u8>> {
    let length = u16::try_from(actor.len()).ok()?;
    Some([&length.to_be_bytes(), actor.as_bytes()].concat())
}

pub(super) fn with_order(mut prefix: Vec<u8>, height: u64, index: u32) -> Vec<u8> {
    prefix.extend_from_slice(&Recorded::order(height, index));
    prefix
}
