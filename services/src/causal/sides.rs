//! The three sides of an event, as ranges of rows.

use bytes::Bytes;
use hubledger_storage::{KeyRange, RangeLimit};

use super::reader::{Causal, Event, decoded};
use super::rows::{EventRow, TABLE_COUNT, TABLE_EVENTS, TABLE_KNOWN_BY, event_key, known_by_key};
use super::view::{damaged, read_count};
use crate::view::Result;

/// The number of an event's node, and its counter.
type Key = (u32, u64);

/// Rows that are read at a time.
const CHUNK: RangeLimit = RangeLimit {
    rows: 1024,
    bytes: 1 << 20,
};

/// The next key behind this one.
fn behind(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// Each gives what comes behind the event `after`, which an answer before ended with, so many at most.
impl Causal {
    /// What the event knows, node by node, from the last that it knows of each down.
    pub(super) fn before(&self, own: Key, after: Option<Key>, limit: usize) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        for (node, counter) in self.row(own.0, own.1)?.knows {
            if events.len() >= limit {
                break;
            }
            let mut from = event_key(node, counter).to_vec();
            match after {
                Some((last, _)) if last > node => continue,
                Some((last, counter)) if last == node => from = behind(&event_key(node, counter)),
                _ => {}
            }
            let range = KeyRange {
                from: from.into(),
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

    /// What knows the event, or one of its node that comes behind it.
    pub(super) fn after(&self, own: Key, after: Option<Key>, limit: usize) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        let from = match after {
            None => known_by_key(own, 0, 0).to_vec(),
            Some((node, counter)) => {
                let last = self.row(node, counter)?;
                let known = (own.0, last.known(own.0));
                behind(&known_by_key(known, last.height, last.index))
            }
        };
        let range = KeyRange {
            from: from.into(),
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
    pub(super) fn concurrent(
        &self,
        own: Key,
        after: Option<Key>,
        limit: usize,
    ) -> Result<Vec<Event>> {
        let (event, mut events) = (self.row(own.0, own.1)?, Vec::new());
        let count = self.snapshot.get(TABLE_COUNT, &[])?;
        let nodes = count.map_or(Ok(0), |row| read_count(&row))?;
        for node in (0..nodes).filter(|node| *node != own.0) {
            if events.len() >= limit {
                break;
            }
            // Keys of events go from the largest counter down.
            let below = match after {
                Some((last, _)) if last > node => continue,
                Some((last, counter)) if last == node => event_key(node, counter),
                _ => event_key(node, event.known(node)),
            };
            let range = KeyRange {
                from: Bytes::copy_from_slice(&node.to_be_bytes()),
                below: Some(Bytes::copy_from_slice(&below)),
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
    pub(super) fn walk(
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
}
