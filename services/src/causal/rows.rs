//! The rows of the causal order.

use hubledger::codec::{self, DecodeError, Reader};
use hubledger::digest::TransactionId;

use super::payload::MESSAGE_CLOCK_ENTRIES_MAX;

/// Nodes by name: their number and the counter of their last event.
pub(super) const TABLE_NODES: u8 = 0;
/// Names of nodes by their number.
pub(super) const TABLE_NAMES: u8 = 1;
/// Events by the number of their node and their counter, the largest counter first.
pub(super) const TABLE_EVENTS: u8 = 2;
/// Events that know an event as the last one of its node, by that one's node and counter, and by their own place.
pub(super) const TABLE_KNOWN_BY: u8 = 3;
/// What became of clocks, by transaction id.
pub(super) const TABLE_STANDINGS: u8 = 4;
/// Blocks that have transactions, by height.
pub(super) const TABLE_BLOCKS: u8 = 5;
/// The heights behind runs of more than one block with equal clocks, by the height of their first.
pub(super) const TABLE_RUNS: u8 = 6;
/// One row, that of the empty key: the run that the last block is in.
pub(super) const TABLE_LAST: u8 = 7;
/// One row, that of the empty key: how many nodes there are.
pub(super) const TABLE_COUNT: u8 = 8;

/// A node that has events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) number: u32,
    /// The counter of its last event.
    pub(super) last: u64,
}

impl Node {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut row = Vec::with_capacity(12);
        codec::put_u32(&mut row, self.number);
        codec::put_u64(&mut row, self.last);
        row
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(row);
        let node = Self {
            number: reader.u32("number")?,
            last: reader.u64("last")?,
        };
        reader.finish("node")?;
        Ok(node)
    }
}

/// An event; its node and counter are in its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EventRow {
    pub(super) height: u64,
    pub(super) index: u32,
    pub(super) id: TransactionId,
    /// The last event that it knows of each node, by the node's number; of its own node, the one before it.
    pub(super) knows: Vec<(u32, u64)>,
}

impl EventRow {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(48 + 12 * self.knows.len());
        codec::put_u64(&mut row, self.height);
        codec::put_u32(&mut row, self.index);
        row.extend_from_slice(&self.id.0);
        codec::put_count(&mut row, self.knows.len());
        for (node, counter) in &self.knows {
            codec::put_u32(&mut row, *node);
            codec::put_u64(&mut row, *counter);
        }
        row
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(row);
        let mut event = Self {
            height: reader.u64("height")?,
            index: reader.u32("index")?,
            id: TransactionId(reader.array("id")?),
            knows: Vec::new(),
        };
        let count = reader.count("knows", MESSAGE_CLOCK_ENTRIES_MAX, 12)?;
        for _ in 0..count {
            event
                .knows
                .push((reader.u32("node")?, reader.u64("counter")?));
        }
        reader.finish("event")?;
        Ok(event)
    }

    /// The counter of the last event that it knows of a node; 0 if it knows none.
    pub(super) fn known(&self, node: u32) -> u64 {
        let found = self.knows.binary_search_by_key(&node, |(node, _)| *node);
        found.map_or(0, |at| self.knows[at].1)
    }
}

/// Why a clock doesn't count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// The sender's own entry isn't above that of its event before, or there is none.
    Repeated,
    /// It lacks something that an event knew which it says it knows.
    Inconsistent,
}

impl Refusal {
    /// The word that stands for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Repeated => "repeated",
            Self::Inconsistent => "inconsistent",
        }
    }
}

/// What became of the clock of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The transaction is an event.
    Event {
        /// The number of its node.
        node: u32,
        /// Its counter.
        counter: u64,
    },
    /// Its clock doesn't count.
    Refused(Refusal),
}

impl Standing {
    pub(super) fn encode(self) -> Vec<u8> {
        match self {
            Self::Event { node, counter } => number_key(node, counter).to_vec(),
            Self::Refused(Refusal::Repeated) => vec![0],
            Self::Refused(Refusal::Inconsistent) => vec![1],
        }
    }

    pub(super) fn decode(row: &[u8]) -> Option<Self> {
        match row {
            [0] => Some(Self::Refused(Refusal::Repeated)),
            [1] => Some(Self::Refused(Refusal::Inconsistent)),
            key => {
                let (node, counter) = read_number_key(key)?;
                Some(Self::Event { node, counter })
            }
        }
    }
}

/// A block that has transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockRow {
    pub(super) transactions: u32,
    /// The first height whose clock is the block's.
    pub(super) run: u64,
}

impl BlockRow {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut row = Vec::with_capacity(12);
        codec::put_u32(&mut row, self.transactions);
        codec::put_u64(&mut row, self.run);
        row
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(row);
        let block = Self {
            transactions: reader.u32("transactions")?,
            run: reader.u64("run")?,
        };
        reader.finish("block")?;
        Ok(block)
    }
}

/// The run of blocks with equal clocks that the last block is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LastRow {
    pub(super) run: u64,
    /// The sum of the counters of its clock.
    pub(super) sum: u128,
}

impl LastRow {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut row = Vec::with_capacity(24);
        codec::put_u64(&mut row, self.run);
        codec::put_u128(&mut row, self.sum);
        row
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(row);
        let last = Self {
            run: reader.u64("run")?,
            sum: reader.u128("sum")?,
        };
        reader.finish("last")?;
        Ok(last)
    }
}

/// The key of an event: the one of a node with the largest counter up to some is the first from there on.
pub(super) fn event_key(node: u32, counter: u64) -> [u8; 12] {
    number_key(node, u64::MAX - counter)
}

pub(super) fn read_event_key(key: &[u8]) -> Option<(u32, u64)> {
    let (node, counter) = read_number_key(key)?;
    Some((node, u64::MAX - counter))
}

fn number_key(node: u32, number: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&node.to_be_bytes());
    key[4..].copy_from_slice(&number.to_be_bytes());
    key
}

fn read_number_key(key: &[u8]) -> Option<(u32, u64)> {
    let (node, number) = key.split_first_chunk()?;
    let number = number.try_into().ok().map(u64::from_be_bytes)?;
    Some((u32::from_be_bytes(*node), number))
}

/// Where it is said that an event is the last of its node that the one at a place knows.
pub(super) fn known_by_key(known: (u32, u64), height: u64, index: u32) -> [u8; 24] {
    let mut key = [0; 24];
    key[..12].copy_from_slice(&number_key(known.0, known.1));
    key[12..20].copy_from_slice(&height.to_be_bytes());
    key[20..].copy_from_slice(&index.to_be_bytes());
    key
}
