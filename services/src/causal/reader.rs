//! What can be asked of the causal order.

use std::ops::Range;

use bytes::Bytes;
use hubledger::codec::DecodeError;
use hubledger::digest::TransactionId;
use hubledger_storage::{KeyRange, RangeLimit};

use super::rows::{
    BlockRow, EventRow, Node, Standing, TABLE_BLOCKS, TABLE_COUNT, TABLE_EVENTS, TABLE_KNOWN_BY,
    TABLE_NAMES, TABLE_NODES, TABLE_RUNS, TABLE_STANDINGS, event_key, known_by_key, read_event_key,
};
use super::view::{damaged, read_count};
use crate::view::{AsOf, Result, Snapshot};

/// Rows that are read at a time.
const CHUNK: RangeLimit = RangeLimit {
    rows: 1024,
    bytes: 1 << 20,
};

/// A transaction whose clock counts.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Event {
    /// Whose it is.
    pub node: String,
    /// The node's own entry in its clock.
    pub counter: u64,
    /// Height of its block.
    pub height: u64,
    /// Its index in the block.
    pub index: u32,
    /// The transaction.
    pub id: TransactionId,
}

/// Which side of a transaction is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// What happened before it.
    Before,
    /// What happened after it.
    After,
    /// What happened neither before nor after it.
    Concurrent,
}

/// Blocks by how their clocks relate to that of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockRange {
    /// Their heights.
    pub heights: Range<u64>,
    /// Those that have transactions, with how many; not all of them if there are more than the limit.
    pub blocks: Vec<(u64, u32)>,
}

/// The causal order as of one block.
#[derive(Debug, Clone)]
pub struct Causal {
    snapshot: Snapshot,
}

impl Causal {
    /// Over a snapshot of the [view](super::CausalView).
    #[must_use]
    pub const fn new(snapshot: Snapshot) -> Self {
        Self { snapshot }
    }

    /// After which block the answers are right.
    #[must_use]
    pub const fn as_of(&self) -> Option<AsOf> {
        self.snapshot.as_of()
    }

    /// What became of the clock of a transaction; `None` if it carries none. O(log rows).
    ///
    /// # Errors
    /// The store failed.
    pub fn standing(&self, id: &TransactionId) -> Result<Option<Standing>> {
        let Some(row) = self.snapshot.get(TABLE_STANDINGS, &id.0)? else {
            return Ok(None);
        };
        let standing = Standing::decode(&row);
        let standing = standing.ok_or_else(|| damaged(TABLE_STANDINGS, "not a standing"))?;
        Ok(Some(standing))
    }

    /// The event that a transaction is. O(log rows).
    ///
    /// # Errors
    /// The store failed.
    pub fn event(&self, id: &TransactionId) -> Result<Option<Event>> {
        let Some(Standing::Event { node, counter }) = self.standing(id)? else {
            return Ok(None);
        };
        let row = self.row(node, counter)?;
        Ok(Some(self.described((node, counter), &row)?))
    }

    /// How two events relate: what the second is to the first. `None` if either is no event, or both are one. O(log rows).
    ///
    /// # Errors
    /// The store failed.
    pub fn relation(
        &self,
        first: &TransactionId,
        second: &TransactionId,
    ) -> Result<Option<Relation>> {
        let (first, second) = (self.standing(first)?, self.standing(second)?);
        let (Some(first), Some(second)) = (key_of(first), key_of(second)) else {
            return Ok(None);
        };
        if first == second {
            return Ok(None);
        }
        let knows = |(node, counter), of: (u32, u64)| -> Result<bool> {
            let row = self.row(node, counter)?;
            Ok(row.known(of.0) >= of.1)
        };
        Ok(Some(match (knows(second, first)?, knows(first, second)?) {
            (true, _) => Relation::After,
            (false, true) => Relation::Before,
            (false, false) => Relation::Concurrent,
        }))
    }

    /// Events on one side of an event, by messages, so many at most; empty of what is no event. What is before it comes by node, the nearest first;
    /// what is after it, by what it knows of the node and then by its place. O(log rows + events); concurrent ones take O(nodes · log rows)
    /// besides.
    ///
    /// # Errors
    /// The store failed.
    pub fn events(
        &self,
        id: &TransactionId,
        relation: Relation,
        limit: usize,
    ) -> Result<Vec<Event>> {
        let Some(own) = key_of(self.standing(id)?).filter(|_| limit > 0) else {
            return Ok(Vec::new());
        };
        match relation {
            Relation::Before => self.before(own, limit),
            Relation::After => self.after(own, limit),
            Relation::Concurrent => self.concurrent(own, limit),
        }
    }

    /// Heights on one side of a block, by the clocks of blocks, with those that have transactions, so many at most. Its own height is among the
    /// concurrent ones. O(log rows + blocks).
    ///
    /// # Errors
    /// The store failed.
    pub fn blocks(&self, height: u64, relation: Relation, limit: usize) -> Result<BlockRange> {
        let (Some(as_of), Some(block)) = (self.as_of(), self.block(height)?) else {
            let heights = height..height;
            let blocks = Vec::new();
            return Ok(BlockRange { heights, blocks });
        };
        let end = match self.snapshot.get(TABLE_RUNS, &block.run.to_be_bytes())? {
            Some(row) => row[..]
                .try_into()
                .map(u64::from_le_bytes)
                .map_err(|_| damaged(TABLE_RUNS, "not a number"))?,
            None => block.run + 1,
        };
        let heights = match relation {
            Relation::Before => as_of.seen_from..block.run,
            Relation::Concurrent => block.run..end,
            Relation::After => end..as_of.height + 1,
        };
        let mut blocks = Vec::new();
        let range = KeyRange {
            from: Bytes::copy_from_slice(&heights.start.to_be_bytes()),
            below: Some(Bytes::copy_from_slice(&heights.end.to_be_bytes())),
            is_descending: false,
        };
        self.walk(TABLE_BLOCKS, range, limit, |key, row| {
            if limit == 0 {
                return Ok(false);
            }
            let height = key.try_into().map(u64::from_be_bytes);
            let height = height.map_err(|_| damaged(TABLE_BLOCKS, "not a height"))?;
            blocks.push((
                height,
                decoded(TABLE_BLOCKS, BlockRow::decode(row))?.transactions,
            ));
            Ok(blocks.len() < limit)
        })?;
        Ok(BlockRange { heights, blocks })
    }

    fn before(&self, own: (u32, u64), limit: usize) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        for (node, counter) in self.row(own.0, own.1)?.knows {
            if events.len() >= limit {
                break;
            }
            let range = KeyRange {
                from: Bytes::copy_from_slice(&event_key(node, counter)),
                below: Some(Bytes::copy_from_slice(&(node + 1).to_be_bytes())),
                is_descending: false,
            };
            self.walk(TABLE_EVENTS, range, limit - events.len(), |key, row| {
                events.push(self.read_event(key, row)?);
                Ok(events.len() < limit)
            })?;
        }
        Ok(events)
    }

    fn after(&self, own: (u32, u64), limit: usize) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        let range = KeyRange {
            from: Bytes::copy_from_slice(&known_by_key(own, 0, 0)),
            below: Some(Bytes::copy_from_slice(&(own.0 + 1).to_be_bytes())),
            is_descending: false,
        };
        self.walk(TABLE_KNOWN_BY, range, limit, |_, key| {
            let row = self.snapshot.get(TABLE_EVENTS, key)?;
            let row = row.ok_or_else(|| damaged(TABLE_EVENTS, "an event is missing"))?;
            events.push(self.read_event(key, &row)?);
            Ok(events.len() < limit)
        })?;
        Ok(events)
    }

    /// Of each node, what comes behind all that the event knows and before the first that knows it. What comes later knows it too.
    fn concurrent(&self, own: (u32, u64), limit: usize) -> Result<Vec<Event>> {
        let (event, mut events) = (self.row(own.0, own.1)?, Vec::new());
        let count = self.snapshot.get(TABLE_COUNT, &[])?;
        let nodes = count.map_or(Ok(0), |row| read_count(&row))?;
        for node in (0..nodes).filter(|node| *node != own.0) {
            if events.len() >= limit {
                break;
            }
            // Keys of events go from the largest counter down.
            let range = KeyRange {
                from: Bytes::copy_from_slice(&node.to_be_bytes()),
                below: Some(Bytes::copy_from_slice(&event_key(node, event.known(node)))),
                is_descending: true,
            };
            self.walk(TABLE_EVENTS, range, limit - events.len(), |key, row| {
                let knows_it = decoded(TABLE_EVENTS, EventRow::decode(row))?.known(own.0) >= own.1;
                if !knows_it {
                    events.push(self.read_event(key, row)?);
                }
                Ok(!knows_it && events.len() < limit)
            })?;
        }
        Ok(events)
    }

    /// Goes over rows of a range, in pieces of as many as are wanted, until it is told not to go on.
    fn walk(
        &self,
        table: u8,
        mut range: KeyRange,
        wanted: usize,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<bool>,
    ) -> Result<()> {
        let limit = RangeLimit {
            rows: wanted.clamp(1, CHUNK.rows),
            ..CHUNK
        };
        loop {
            let rows = self.snapshot.range(table, &range, limit)?;
            let Some((last, _)) = rows.last() else {
                return Ok(());
            };
            for (key, row) in &rows {
                if !visit(key, row)? {
                    return Ok(());
                }
            }
            match range.is_descending {
                true => range.below = Some(last.clone()),
                false => range.from = [&last[..], &[0]].concat().into(),
            }
        }
    }

    fn block(&self, height: u64) -> Result<Option<BlockRow>> {
        let row = self.snapshot.get(TABLE_BLOCKS, &height.to_be_bytes())?;
        row.map(|row| decoded(TABLE_BLOCKS, BlockRow::decode(&row)))
            .transpose()
    }

    fn row(&self, node: u32, counter: u64) -> Result<EventRow> {
        let row = self.snapshot.get(TABLE_EVENTS, &event_key(node, counter))?;
        let row = row.ok_or_else(|| damaged(TABLE_EVENTS, "an event is missing"))?;
        decoded(TABLE_EVENTS, EventRow::decode(&row))
    }

    fn read_event(&self, key: &[u8], row: &[u8]) -> Result<Event> {
        let key = read_event_key(key);
        let key = key.ok_or_else(|| damaged(TABLE_EVENTS, "not a key of an event"))?;
        self.described(key, &decoded(TABLE_EVENTS, EventRow::decode(row))?)
    }

    fn described(&self, (node, counter): (u32, u64), row: &EventRow) -> Result<Event> {
        let name = self.snapshot.get(TABLE_NAMES, &node.to_be_bytes())?;
        let name = name.ok_or_else(|| damaged(TABLE_NAMES, "a name is missing"))?;
        Ok(Event {
            node: String::from_utf8_lossy(&name).into_owned(),
            counter,
            height: row.height,
            index: row.index,
            id: row.id,
        })
    }

    /// The counter of the last event of a node; `None` if it has none. O(log rows).
    ///
    /// # Errors
    /// The store failed.
    pub fn last_counter(&self, node: &str) -> Result<Option<u64>> {
        let row = self.snapshot.get(TABLE_NODES, node.as_bytes())?;
        let node = row.map(|row| decoded(TABLE_NODES, Node::decode(&row)));
        Ok(node.transpose()?.map(|node| node.last))
    }
}

fn key_of(standing: Option<Standing>) -> Option<(u32, u64)> {
    match standing? {
        Standing::Event { node, counter } => Some((node, counter)),
        Standing::Refused(_) => None,
    }
}

fn decoded<T>(table: u8, row: std::result::Result<T, DecodeError>) -> Result<T> {
    row.map_err(|error| damaged(table, error))
}
