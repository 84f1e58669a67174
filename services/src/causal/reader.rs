//! What can be asked of the causal order.

use std::ops::Range;

use bytes::Bytes;
use hubledger::codec::DecodeError;
use hubledger::digest::TransactionId;
use hubledger_storage::KeyRange;

use super::rows::{
    BlockRow, EventRow, Node, Standing, TABLE_BLOCKS, TABLE_EVENTS, TABLE_NAMES, TABLE_NODES,
    TABLE_RUNS, TABLE_STANDINGS, event_key, read_event_key,
};
use super::view::{CausalView, damaged};
use crate::view::{AsOf, Result, Snapshot, ViewError};

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

/// Events on one side of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Events {
    /// As many as were asked for, at most.
    pub events: Vec<Event>,
    /// The last of them, behind which to go on; `None` if that was all.
    pub next: Option<TransactionId>,
}

/// Blocks by how their clocks relate to that of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockRange {
    /// Their heights.
    pub heights: Range<u64>,
    /// Those that have transactions, with how many, as many as were asked for at most.
    pub blocks: Vec<(u64, u32)>,
    /// The height from which to go on; `None` if that was all.
    pub next: Option<u64>,
}

/// The causal order as of one block.
#[derive(Debug, Clone)]
pub struct Causal {
    pub(super) snapshot: Snapshot,
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

    /// Events on one side of an event, by messages, behind an event of an answer before, so many at most; none of what is no event. What is before it
    /// comes by node, the nearest first; what is after it, by what it knows of the node and then by its place. O(log rows + events); before it and
    /// concurrent to it takes O(nodes · log rows) besides.
    ///
    /// # Errors
    /// [`ViewError::Cursor`]: `after` is no event. The store failed.
    pub fn events(
        &self,
        id: &TransactionId,
        relation: Relation,
        after: Option<&TransactionId>,
        limit: usize,
    ) -> Result<Events> {
        let mut page = Events {
            events: Vec::new(),
            next: None,
        };
        let after = after.map(|after| self.cursor(after)).transpose()?;
        let Some(own) = key_of(self.standing(id)?).filter(|_| limit > 0) else {
            return Ok(page);
        };
        // One more than asked for says whether there are more.
        let wanted = limit.saturating_add(1);
        page.events = match relation {
            Relation::Before => self.before(own, after, wanted),
            Relation::After => self.after(own, after, wanted),
            Relation::Concurrent => self.concurrent(own, after, wanted),
        }?;
        if page.events.len() > limit {
            page.events.truncate(limit);
            page.next = page.events.last().map(|event| event.id);
        }
        Ok(page)
    }

    fn cursor(&self, after: &TransactionId) -> Result<(u32, u64)> {
        let unknown = || ViewError::Cursor {
            view: CausalView::NAME,
            what: format!("event {after}"),
        };
        key_of(self.standing(after)?).ok_or_else(unknown)
    }

    /// Heights on one side of a block, by the clocks of blocks, with those from a height on that have transactions, so many at most. Its own height is among the
    /// concurrent ones. O(log rows + blocks).
    ///
    /// # Errors
    /// The store failed.
    pub fn blocks(
        &self,
        height: u64,
        relation: Relation,
        from: u64,
        limit: usize,
    ) -> Result<BlockRange> {
        let mut found = BlockRange {
            heights: height..height,
            blocks: Vec::new(),
            next: None,
        };
        let (Some(as_of), Some(block)) = (self.as_of(), self.block(height)?) else {
            return Ok(found);
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
        let start = from.clamp(heights.start, heights.end.max(heights.start));
        let range = KeyRange {
            from: Bytes::copy_from_slice(&start.to_be_bytes()),
            below: Some(Bytes::copy_from_slice(&heights.end.to_be_bytes())),
            is_descending: false,
        };
        let wanted = limit.saturating_add(1);
        self.walk(TABLE_BLOCKS, range, wanted, |key, row| {
            let height = key.try_into().map(u64::from_be_bytes);
            let height = height.map_err(|_| damaged(TABLE_BLOCKS, "not a height"))?;
            let row = decoded(TABLE_BLOCKS, BlockRow::decode(row))?;
            match found.blocks.len() < limit {
                true => found.blocks.push((height, row.transactions)),
                false => found.next = Some(height),
            }
            Ok(found.next.is_none())
        })?;
        found.heights = heights;
        Ok(found)
    }

    fn block(&self, height: u64) -> Result<Option<BlockRow>> {
        let row = self.snapshot.get(TABLE_BLOCKS, &height.to_be_bytes())?;
        row.map(|row| decoded(TABLE_BLOCKS, BlockRow::decode(&row)))
            .transpose()
    }

    pub(super) fn row(&self, node: u32, counter: u64) -> Result<EventRow> {
        let row = self.snapshot.get(TABLE_EVENTS, &event_key(node, counter))?;
        let row = row.ok_or_else(|| damaged(TABLE_EVENTS, "an event is missing"))?;
        decoded(TABLE_EVENTS, EventRow::decode(&row))
    }

    pub(super) fn read_event(&self, key: &[u8], row: &[u8]) -> Result<Event> {
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

pub(super) fn decoded<T>(table: u8, row: std::result::Result<T, DecodeError>) -> Result<T> {
    row.map_err(|error| damaged(table, error))
}
