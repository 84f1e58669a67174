//! The rows of routes.

use hubledger::codec::{self, DecodeError, Reader};
use hubledger::digest::TransactionId;

use super::payload::HOPS_MAX;

/// Messages by their id.
pub(super) const TABLE_MESSAGES: u8 = 0;
/// How far a message has come, by its id; nothing until a first hop is believed.
pub(super) const TABLE_PROGRESS: u8 = 1;
/// Hops that are believed, by the message's id and their number.
pub(super) const TABLE_HOPS: u8 = 2;
/// All that was said about hops, by the message's id, the number, the sender and the place.
pub(super) const TABLE_CLAIMS: u8 = 3;
/// Numbers of nodes by their name.
pub(super) const TABLE_NODES: u8 = 4;
/// Names of nodes by their number.
pub(super) const TABLE_NAMES: u8 = 5;
/// Edges by the numbers of the nodes from and to.
pub(super) const TABLE_EDGES: u8 = 6;
/// Edges by the node from, and when they were last used.
pub(super) const TABLE_LAST_USED: u8 = 7;
/// How many edges lead away from a node, by its number.
pub(super) const TABLE_DEGREES: u8 = 8;
/// What messages paid that have arrived, by their number of hops.
pub(super) const TABLE_FEES: u8 = 9;
/// One row, that of the empty key: how many nodes there are.
pub(super) const TABLE_COUNT: u8 = 10;

/// The place of a transaction in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Place {
    /// Height of its block.
    pub height: u64,
    /// Its index in the block.
    pub index: u32,
}

impl Place {
    pub(super) fn key(self) -> [u8; 12] {
        let mut key = [0; 12];
        key[..8].copy_from_slice(&self.height.to_be_bytes());
        key[8..].copy_from_slice(&self.index.to_be_bytes());
        key
    }

    pub(super) fn from_key(key: &[u8]) -> Option<Self> {
        let (height, index) = key.split_first_chunk()?;
        Some(Self {
            height: u64::from_be_bytes(*height),
            index: u32::from_be_bytes(index.try_into().ok()?),
        })
    }

    fn put(self, row: &mut Vec<u8>) {
        codec::put_u64(row, self.height);
        codec::put_u32(row, self.index);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            height: reader.u64("height")?,
            index: reader.u32("index")?,
        })
    }
}

/// A message that is sent by way of nodes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Message {
    /// Where its transaction is.
    #[serde(flatten)]
    pub place: Place,
    /// Who sent it.
    pub sender: String,
    /// Whom it is for.
    pub receiver: String,
    /// When it was sent, as its transaction says: microseconds since 1970.
    pub timestamp: u64,
    /// What its transaction paid.
    pub fee: u64,
    /// The nodes that it names.
    pub path: Vec<String>,
}

impl Message {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(128);
        self.place.put(&mut row);
        codec::put_bytes(&mut row, self.sender.as_bytes());
        codec::put_bytes(&mut row, self.receiver.as_bytes());
        codec::put_u64(&mut row, self.timestamp);
        codec::put_u64(&mut row, self.fee);
        codec::put_count(&mut row, self.path.len());
        for name in &self.path {
            codec::put_bytes(&mut row, name.as_bytes());
        }
        row
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(row);
        let mut message = Self {
            place: Place::read(&mut reader)?,
            sender: reader.name("sender")?.to_owned(),
            receiver: reader.name("receiver")?.to_owned(),
            timestamp: reader.u64("timestamp")?,
            fee: reader.u64("fee")?,
            path: Vec::new(),
        };
        let count = reader.count("path", HOPS_MAX, 5)?;
        for _ in 0..count {
            message.path.push(reader.name("path")?.to_owned());
        }
        reader.finish("message")?;
        Ok(message)
    }
}

/// How far a message has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Progress {
    /// So many hops are believed.
    pub(super) reached: u32,
    /// Whether it has arrived.
    pub(super) is_delivered: bool,
    /// When the last of them was, in microseconds since 1970.
    pub(super) timestamp: u64,
    /// Which node has it.
    pub(super) holder: String,
    /// Whom that node hands it to.
    pub(super) next: Option<String>,
}

impl Progress {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(64);
        codec::put_u32(&mut row, self.reached);
        row.push(self.is_delivered.into());
        codec::put_u64(&mut row, self.timestamp);
        codec::put_bytes(&mut row, self.holder.as_bytes());
        codec::put_bytes(&mut row, self.next.as_deref().unwrap_or("").as_bytes());
        row
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(row);
        let mut progress = Self {
            reached: reader.u32("reached")?,
            is_delivered: reader.flag("delivered")?,
            timestamp: reader.u64("timestamp")?,
            holder: reader.name("holder")?.to_owned(),
            next: None,
        };
        let next = reader.text("next", codec::NAME_BYTES_MAX)?;
        progress.next = (!next.is_empty()).then(|| next.to_owned());
        reader.finish("progress")?;
        Ok(progress)
    }
}

/// What a node said about a hop; the rest is in its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClaimRow {
    pub(super) id: TransactionId,
    pub(super) timestamp: u64,
    pub(super) fee: u64,
    pub(super) next: Option<String>,
}

impl ClaimRow {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut row = self.id.0.to_vec();
        codec::put_u64(&mut row, self.timestamp);
        codec::put_u64(&mut row, self.fee);
        codec::put_bytes(&mut row, self.next.as_deref().unwrap_or("").as_bytes());
        row
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(row);
        let mut claim = Self {
            id: TransactionId(reader.array("id")?),
            timestamp: reader.u64("timestamp")?,
            fee: reader.u64("fee")?,
            next: None,
        };
        let next = reader.text("next", codec::NAME_BYTES_MAX)?;
        claim.next = (!next.is_empty()).then(|| next.to_owned());
        reader.finish("claim")?;
        Ok(claim)
    }
}

/// The key of a believed hop.
pub(super) fn hop_key(message: &TransactionId, number: u32) -> Vec<u8> {
    let mut key = message.0.to_vec();
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// What the keys begin with of all that one node said about one hop.
pub(super) fn claims_of(message: &TransactionId, number: u32, sender: &str) -> Vec<u8> {
    let mut key = hop_key(message, number);
    // A name has at most 1,024 bytes, so its length has two.
    key.extend_from_slice(&(sender.len() as u16).to_be_bytes());
    key.extend_from_slice(sender.as_bytes());
    key
}

/// Number, sender and place of a claim, from its key.
pub(super) fn read_claim_key(key: &[u8]) -> Option<(u32, &str, Place)> {
    let (number, key) = key.get(32..)?.split_first_chunk()?;
    let (length, key) = key.split_first_chunk()?;
    let (sender, place) = key.split_at_checked(u16::from_be_bytes(*length).into())?;
    let sender = std::str::from_utf8(sender).ok()?;
    Some((u32::from_be_bytes(*number), sender, Place::from_key(place)?))
}

/// The least key above all that begin so.
pub(super) fn behind(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut key = prefix.to_vec();
    while let Some(last) = key.pop() {
        if last < u8::MAX {
            key.push(last + 1);
            return Some(key);
        }
    }
    None
}
