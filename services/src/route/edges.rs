//! What the hops of all messages come to: edges between nodes with their latencies and fees, and what messages pay by the length of their way.
//!
//! An edge is kept for a hop that is believed and so for a transaction that somebody paid for. So that nobody can bury the edges of a busy node under
//! others, [`EDGES_PER_NODE_MAX`] lead away from each, and those that were used last stay.

use hubledger::codec::{self, DecodeError, Reader};

use super::rows::{
    Place, TABLE_COUNT, TABLE_DEGREES, TABLE_EDGES, TABLE_FEES, TABLE_LAST_USED, TABLE_NAMES,
    TABLE_NODES,
};
use super::view::damaged;
use crate::view::{Result, Rows};

/// The most edges that are kept from one node.
pub const EDGES_PER_NODE_MAX: u32 = 256;

/// What messages came to between two nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Edge {
    /// Hops.
    pub hops: u64,
    /// Those whose timestamps don't go back, which alone have a latency.
    pub timed: u64,
    /// The sum of their latencies, in microseconds.
    pub latency_sum: u128,
    /// The sum of the fees of all hops.
    pub fee_sum: u128,
    last_used: LastUsed,
}

/// When an edge was last used: at the transaction with which the hop was believed, and by which of the hops that were believed with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct LastUsed([u8; 16]);

impl LastUsed {
    fn at(place: Place, number: u32) -> Self {
        let mut key = [0; 16];
        key[..12].copy_from_slice(&place.key());
        key[12..].copy_from_slice(&number.to_be_bytes());
        Self(key)
    }

    fn key(&self, from: u32) -> Vec<u8> {
        [&from.to_be_bytes()[..], &self.0].concat()
    }
}

impl Edge {
    /// The mean latency in microseconds; `None` if no hop had one.
    #[must_use]
    pub fn mean_latency(&self) -> Option<u64> {
        let mean = self.latency_sum.checked_div(self.timed.into())?;
        u64::try_from(mean).ok()
    }

    /// The mean fee, rounded down.
    #[must_use]
    pub fn mean_fee(&self) -> u64 {
        let mean = self.fee_sum.checked_div(self.hops.into());
        mean.and_then(|mean| mean.try_into().ok()).unwrap_or(0)
    }

    fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(64);
        codec::put_u64(&mut row, self.hops);
        codec::put_u64(&mut row, self.timed);
        codec::put_u128(&mut row, self.latency_sum);
        codec::put_u128(&mut row, self.fee_sum);
        row.extend_from_slice(&self.last_used.0);
        row
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self> {
        let read = || {
            let mut reader = Reader::new(row);
            let edge = Self {
                hops: reader.u64("hops")?,
                timed: reader.u64("timed")?,
                latency_sum: reader.u128("latency")?,
                fee_sum: reader.u128("fee")?,
                last_used: LastUsed(reader.array("last used")?),
            };
            reader.finish("edge")?;
            Ok(edge)
        };
        read().map_err(|error: DecodeError| damaged(TABLE_EDGES, error))
    }
}

/// What messages paid that arrived after so many hops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Paid {
    /// Messages.
    pub messages: u64,
    /// The sum of their fees.
    pub fee_sum: u128,
    /// The least of their fees.
    pub least: u64,
    /// The largest.
    pub most: u64,
}

impl Paid {
    fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(40);
        codec::put_u64(&mut row, self.messages);
        codec::put_u128(&mut row, self.fee_sum);
        codec::put_u64(&mut row, self.least);
        codec::put_u64(&mut row, self.most);
        row
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self> {
        let read = || {
            let mut reader = Reader::new(row);
            let paid = Self {
                messages: reader.u64("messages")?,
                fee_sum: reader.u128("fee")?,
                least: reader.u64("least")?,
                most: reader.u64("most")?,
            };
            reader.finish("fees")?;
            Ok(paid)
        };
        read().map_err(|error: DecodeError| damaged(TABLE_FEES, error))
    }
}

/// A hop that is believed from now on.
pub(super) struct Passage<'a> {
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    /// In microseconds; `None` where timestamps go back.
    pub(super) latency: Option<u64>,
    pub(super) fee: u64,
    /// The transaction with which it is believed.
    pub(super) now: Place,
    pub(super) number: u32,
}

/// Counts a hop on its edge.
pub(super) fn pass(hop: &Passage<'_>, rows: &mut Rows) -> Result<()> {
    if hop.from == hop.to {
        // It leads nowhere.
        return Ok(());
    }
    let (from, to) = (number_of(hop.from, rows)?, number_of(hop.to, rows)?);
    let key = edge_key(from, to);
    let mut edge = match rows.get(TABLE_EDGES, &key)? {
        Some(row) => {
            let edge = Edge::decode(&row)?;
            rows.remove(TABLE_LAST_USED, edge.last_used.key(from));
            edge
        }
        None => {
            make_room(from, rows)?;
            Edge::default()
        }
    };
    edge.hops += 1;
    edge.fee_sum += u128::from(hop.fee);
    if let Some(latency) = hop.latency {
        edge.timed += 1;
        edge.latency_sum += u128::from(latency);
    }
    edge.last_used = LastUsed::at(hop.now, hop.number);
    let to = to.to_be_bytes().to_vec();
    rows.put(TABLE_LAST_USED, edge.last_used.key(from), to);
    rows.put(TABLE_EDGES, key.to_vec(), edge.encode());
    Ok(())
}

/// Makes room for one more edge from a node, in place of the one whose last use is longest ago if need be.
fn make_room(from: u32, rows: &mut Rows) -> Result<()> {
    let start = from.to_be_bytes();
    let degree = read_count(TABLE_DEGREES, &start, rows)?;
    if degree < EDGES_PER_NODE_MAX {
        let more = (degree + 1).to_le_bytes().to_vec();
        rows.put(TABLE_DEGREES, start.to_vec(), more);
        return Ok(());
    }
    let oldest = rows.first(
        TABLE_LAST_USED,
        &start,
        super::rows::behind(&start).as_deref(),
    )?;
    let (key, to) = oldest.ok_or_else(|| damaged(TABLE_LAST_USED, "fewer edges than counted"))?;
    let edge = [&start[..], &to].concat();
    rows.remove(TABLE_LAST_USED, key);
    rows.remove(TABLE_EDGES, edge);
    Ok(())
}

/// Counts what a message paid that has arrived.
pub(super) fn paid(hops: u32, fee: u64, rows: &mut Rows) -> Result<()> {
    let key = hops.to_be_bytes();
    let before = match rows.get(TABLE_FEES, &key)? {
        Some(row) => Paid::decode(&row)?,
        None => Paid {
            messages: 0,
            fee_sum: 0,
            least: u64::MAX,
            most: 0,
        },
    };
    let after = Paid {
        messages: before.messages + 1,
        fee_sum: before.fee_sum + u128::from(fee),
        least: before.least.min(fee),
        most: before.most.max(fee),
    };
    rows.put(TABLE_FEES, key.to_vec(), after.encode());
    Ok(())
}

pub(super) fn edge_key(from: u32, to: u32) -> [u8; 8] {
    let mut key = [0; 8];
    key[..4].copy_from_slice(&from.to_be_bytes());
    key[4..].copy_from_slice(&to.to_be_bytes());
    key
}

/// The number of a node, which it gets when it is first met.
fn number_of(name: &str, rows: &mut Rows) -> Result<u32> {
    if let Some(row) = rows.get(TABLE_NODES, name.as_bytes())? {
        return read_number(TABLE_NODES, &row);
    }
    let number = read_count(TABLE_COUNT, &[], rows)?;
    let next = number
        .checked_add(1)
        .ok_or_else(|| damaged(TABLE_COUNT, "more nodes than can be counted"))?;
    rows.put(TABLE_COUNT, Vec::new(), next.to_le_bytes().to_vec());
    let row = number.to_le_bytes().to_vec();
    rows.put(TABLE_NODES, name.as_bytes().to_vec(), row);
    let key = number.to_be_bytes().to_vec();
    rows.put(TABLE_NAMES, key, name.as_bytes().to_vec());
    Ok(number)
}

fn read_count(table: u8, key: &[u8], rows: &mut Rows) -> Result<u32> {
    let row = rows.get(table, key)?;
    row.map_or(Ok(0), |row| read_number(table, &row))
}

pub(super) fn read_number(table: u8, row: &[u8]) -> Result<u32> {
    let number = row.try_into().map(u32::from_le_bytes);
    number.map_err(|_| damaged(table, "not a number"))
}
