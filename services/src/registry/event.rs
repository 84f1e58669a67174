//! What happened to a node: one transaction that counts, and what it came to.

use hubledger::codec::{self, DecodeError, Reader};
use hubledger::digest::TransactionId;
use hubledger::payload::Payload;
use hubledger::state::tables::Standing;

use super::node::{put_standing, read_standing};
use super::payload::RegistryPayload;
use crate::payload::{FIRST_TAG, MARK};

/// Where a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Height of its block.
    pub height: u64,
    /// Its index in the block.
    pub index: u32,
    /// Its id.
    pub id: TransactionId,
    /// The block's timestamp, in microseconds since 1970.
    pub timestamp: u64,
}

impl Place {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        codec::put_u64(out, self.height);
        codec::put_u32(out, self.index);
        out.extend_from_slice(&self.id.0);
        codec::put_u64(out, self.timestamp);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            height: reader.u64("height")?,
            index: reader.u32("index")?,
            id: TransactionId(reader.array("id")?),
            timestamp: reader.u64("timestamp")?,
        })
    }
}

/// What a transaction says about its sender's place in the federation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// In a payload that the chain itself understands.
    Chain(Payload),
    /// In one of the registry's own.
    Registry(RegistryPayload),
}

impl Said {
    /// The word that stands for the kind in outputs.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Chain(said) => said.word(),
            Self::Registry(said) => said.word(),
        }
    }

    /// Whether it enters its sender.
    #[must_use]
    pub const fn registers(&self) -> bool {
        matches!(
            self,
            Self::Chain(Payload::Register(_)) | Self::Registry(RegistryPayload::Announce(_))
        )
    }

    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Chain(said) => said.encode(),
            Self::Registry(said) => said.encode(),
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let tag = bytes.get(MARK.len());
        match tag.is_some_and(|tag| *tag >= FIRST_TAG) {
            true => RegistryPayload::decode(bytes).map(Self::Registry),
            false => Payload::decode(bytes).map(Self::Chain),
        }
    }
}

/// A transaction that counted, with what the node was after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Where it is.
    pub place: Place,
    /// What it said.
    pub said: Said,
    /// How the node stood after it.
    pub standing: Standing,
    /// Whether it was a member of the federation after it.
    pub is_member: bool,
    /// What it had put up after it.
    pub stake: u64,
}

impl Event {
    /// What is said stands at the end, so that how the node stood is read without it.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(64);
        put_standing(self.standing, &mut row);
        row.push(self.is_member.into());
        codec::put_u64(&mut row, self.stake);
        self.place.encode(&mut row);
        row.extend_from_slice(&self.said.encode());
        row
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(row);
        let standing = read_standing(&mut reader)?;
        let is_member = reader.flag("is_member")?;
        let stake = reader.u64("stake")?;
        let place = Place::decode(&mut reader)?;
        Ok(Self {
            place,
            said: Said::decode(&row[reader.position()..])?,
            standing,
            is_member,
            stake,
        })
    }

    /// How the node stood after the event of a row. O(1).
    pub(super) fn standing_in(row: &[u8]) -> Result<Standing, DecodeError> {
        read_standing(&mut Reader::new(row))
    }
}
