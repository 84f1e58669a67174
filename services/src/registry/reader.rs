//! What can be asked of the registry.

use bytes::Bytes;
use hubledger::state::tables::Standing;
use hubledger_storage::{KeyRange, RangeLimit, Row};

use super::event::Event;
use super::node::{Life, Node};
use super::rows::{
    TABLE_COUNT, TABLE_EVENTS, TABLE_FACETS, TABLE_LIVES, TABLE_NAMES, TABLE_NODES, damaged,
    event_key, facet_key, facet_prefix, node_in, number_in,
};
use crate::view::{AsOf, Result, Snapshot};

/// So many rows are read at a time where some of them may be left out.
const CHUNK_ROWS: usize = 256;

/// Something that active nodes have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Facet<'a> {
    /// That they are active.
    Active,
    /// That they joined the federation.
    Member,
    /// What part they play, such as `hub`.
    Role(&'a str),
    /// Where they are, such as `us_east`.
    Region(&'a str),
    /// What they are, such as `full_node`.
    NodeType(&'a str),
    /// Something that they can do, such as `routing`.
    Capability(&'a str),
}

/// Which active nodes are asked for: those that have all of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Criteria<'a> {
    /// What they have in common. The first is what they are looked up by, and the others are checked for each of those found: name the rarest first.
    pub facets: &'a [Facet<'a>],
    /// That their last sign of life counts at this time, in microseconds since 1970.
    pub alive_at: Option<u64>,
}

/// An answer about the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AtHeight<T> {
    /// What was so after the block of that height.
    Seen(T),
    /// The view hasn't seen so far back, or not so far yet.
    Unseen {
        /// The lowest height that it can tell about.
        from: u64,
        /// One more than the highest; 0 before the first block.
        end: u64,
    },
}

/// The registry as of one block.
#[derive(Debug, Clone)]
pub struct Registry {
    snapshot: Snapshot,
}

impl Registry {
    /// Over a snapshot of the [view](super::RegistryView).
    #[must_use]
    pub const fn new(snapshot: Snapshot) -> Self {
        Self { snapshot }
    }

    /// After which block the answers are right. Of nodes that registered below `seen_from`, nothing is known.
    #[must_use]
    pub const fn as_of(&self) -> Option<AsOf> {
        self.snapshot.as_of()
    }

    /// How many nodes were ever entered. O(1).
    ///
    /// # Errors
    /// The store failed.
    pub fn count(&self) -> Result<u32> {
        match self.snapshot.get(TABLE_COUNT, &[])? {
            Some(row) => row[..]
                .try_into()
                .map(u32::from_le_bytes)
                .map_err(|_| damaged(TABLE_COUNT, "not a number")),
            None => Ok(0),
        }
    }

    /// A node, active or not; `None` if there never was one of this name. O(log nodes).
    ///
    /// # Errors
    /// The store failed.
    pub fn node(&self, name: &str) -> Result<Option<Node>> {
        let row = self.snapshot.get(TABLE_NODES, name.as_bytes())?;
        row.map(|row| node_in(&row)).transpose()
    }

    /// The last sign of life of an active node; `None` of every other. O(log nodes).
    ///
    /// # Errors
    /// The store failed.
    pub fn life(&self, node: &Node) -> Result<Option<Life>> {
        self.life_of(node.number)
    }

    /// The name of the node of a number. O(log nodes).
    ///
    /// # Errors
    /// The store failed.
    pub fn name(&self, number: u32) -> Result<Option<String>> {
        let row = self.snapshot.get(TABLE_NAMES, &number.to_be_bytes())?;
        Ok(row.map(|name| String::from_utf8_lossy(&name).into_owned()))
    }

    /// The numbers of active nodes that meet the criteria, in the order in which they were first entered, from a number on. O(log nodes + answers) by
    /// one criterion; with more, O((log nodes) · those that meet the first).
    ///
    /// # Errors
    /// The store failed.
    pub fn find(&self, criteria: Criteria<'_>, from: u32, limit: usize) -> Result<Vec<u32>> {
        let (first, others) = match criteria.facets.split_first() {
            Some((first, others)) => (*first, others),
            None => (Facet::Active, &[][..]),
        };
        let takes_all = others.is_empty() && criteria.alive_at.is_none();
        let chunk = if takes_all {
            CHUNK_ROWS.min(limit)
        } else {
            CHUNK_ROWS
        };
        let mut found = Vec::new();
        let mut next = Some(from);
        while let Some(from) = next.filter(|_| found.len() < limit) {
            let numbers = self.numbers_with(first, from, chunk)?;
            next = numbers.last().and_then(|last| last.checked_add(1));
            for number in numbers {
                if found.len() < limit && self.meets(number, others, criteria.alive_at)? {
                    found.push(number);
                }
            }
        }
        Ok(found)
    }

    fn numbers_with(&self, facet: Facet<'_>, from: u32, limit: usize) -> Result<Vec<u32>> {
        // The numbers of one facet end with the highest there is.
        let last = facet_key(facet, u32::MAX);
        let range = KeyRange {
            from: facet_key(facet, from).into(),
            below: Some([&last[..], &[0]].concat().into()),
            is_descending: false,
        };
        let rows = self.rows(TABLE_FACETS, &range, limit)?;
        let length = facet_prefix(facet).len() + 4;
        let rows = rows.iter().filter(|(key, _)| key.len() == length);
        rows.map(|(key, _)| number_in(TABLE_FACETS, key)).collect()
    }

    fn meets(&self, number: u32, facets: &[Facet<'_>], alive_at: Option<u64>) -> Result<bool> {
        for facet in facets {
            let key = facet_key(*facet, number);
            if self.snapshot.get(TABLE_FACETS, &key)?.is_none() {
                return Ok(false);
            }
        }
        let Some(now_us) = alive_at else {
            return Ok(true);
        };
        let life = self.life_of(number)?;
        Ok(life.is_some_and(|life| life.counts_at(now_us)))
    }

    /// A node as it was after the block of a height; `None` if there was none of this name yet. O(log rows + the node's events up to there).
    ///
    /// # Errors
    /// The store failed.
    pub fn at(&self, name: &str, height: u64) -> Result<AtHeight<Option<Node>>> {
        if let Some(unseen) = self.unseen(height) {
            return Ok(unseen);
        }
        let Some(now) = self.node(name)? else {
            return Ok(AtHeight::Seen(None));
        };
        let mut node: Option<Node> = None;
        let mut from = Some((0, 0));
        while let Some((start, index)) = from {
            let events = self.events_between(&now, (start, index), height, CHUNK_ROWS)?;
            from = events
                .last()
                .map(|event| (event.place.height, event.place.index.saturating_add(1)));
            for Event {
                place,
                said,
                is_member,
                stake,
                ..
            } in &events
            {
                let before = node.get_or_insert_with(|| Node::before_all(now.number, place));
                before.hear(said, place, *is_member, *stake);
            }
        }
        Ok(AtHeight::Seen(node))
    }

    /// The numbers of the nodes that were active after the block of a height, from a number on, within a limit. O(log rows · nodes entered up to there),
    /// of which numbers are given in order.
    ///
    /// # Errors
    /// The store failed.
    pub fn active_at(&self, height: u64, from: u32, limit: usize) -> Result<AtHeight<Vec<u32>>> {
        if let Some(unseen) = self.unseen(height) {
            return Ok(unseen);
        }
        let mut active = Vec::new();
        for number in from..self.count()? {
            if active.len() == limit {
                break;
            }
            let first = self.events_in(number, (0, 0), u64::MAX, 1, false)?;
            // Numbers are given in the order of first events.
            match first.first() {
                Some((key, _)) if key[4..12] <= height.to_be_bytes()[..] => {}
                _ => break,
            }
            let last = self.events_in(number, (0, 0), height, 1, true)?;
            let standing = match last.first() {
                Some((_, row)) => {
                    Event::standing_in(row).map_err(|error| damaged(TABLE_EVENTS, error))?
                }
                None => continue,
            };
            if standing == Standing::Active {
                active.push(number);
            }
        }
        Ok(AtHeight::Seen(active))
    }

    /// What happened to a node, from the block of a height on, within a limit. O(log rows + events).
    ///
    /// # Errors
    /// The store failed.
    pub fn history(&self, node: &Node, from: u64, limit: usize) -> Result<Vec<Event>> {
        self.events_between(node, (from, 0), u64::MAX, limit)
    }

    fn events_between(
        &self,
        node: &Node,
        from: (u64, u32),
        height: u64,
        limit: usize,
    ) -> Result<Vec<Event>> {
        let rows = self.events_in(node.number, from, height, limit, false)?;
        let events = rows.iter().map(|(_, row)| Event::decode(row));
        let events: std::result::Result<_, _> = events.collect();
        events.map_err(|error| damaged(TABLE_EVENTS, error))
    }

    /// The rows of a node's events from a place on up to a height, that one included.
    fn events_in(
        &self,
        number: u32,
        (from, index): (u64, u32),
        height: u64,
        limit: usize,
        is_descending: bool,
    ) -> Result<Vec<Row>> {
        let last = event_key(number, height, u32::MAX);
        let range = KeyRange {
            from: Bytes::copy_from_slice(&event_key(number, from, index)),
            below: Some([&last[..], &[0]].concat().into()),
            is_descending,
        };
        self.rows(TABLE_EVENTS, &range, limit)
    }

    fn life_of(&self, number: u32) -> Result<Option<Life>> {
        let row = self.snapshot.get(TABLE_LIVES, &number.to_be_bytes())?;
        let life = row.map(|row| Life::decode(&row)).transpose();
        life.map_err(|error| damaged(TABLE_LIVES, error))
    }

    fn unseen<T>(&self, height: u64) -> Option<AtHeight<T>> {
        let (from, end) = match self.as_of() {
            Some(as_of) => (as_of.seen_from, as_of.height.saturating_add(1)),
            None => (0, 0),
        };
        let is_seen = from <= height && height < end;
        (!is_seen).then_some(AtHeight::Unseen { from, end })
    }

    fn rows(&self, table: u8, range: &KeyRange, rows: usize) -> Result<Vec<Row>> {
        let limit = RangeLimit {
            rows,
            bytes: usize::MAX,
        };
        match rows {
            // A range gives one row in any case.
            0 => Ok(Vec::new()),
            _ => self.snapshot.range(table, range, limit),
        }
    }
}
