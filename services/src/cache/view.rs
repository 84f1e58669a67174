//! What blocks come to in the cache.

use bytes::Bytes;
use hubledger::codec;
use hubledger::model::{Causality, VectorClock};

use super::payload::{CLOCK_NODES_MAX, CacheCheckpoint, CachePayload};
use super::rows::{
    CacheEntry, Namespace, TABLE_CHANGES, TABLE_CHECKPOINTS, TABLE_CLOCKS, TABLE_ENTRIES,
    TABLE_NAMESPACES, counter, within,
};
use crate::recorded::Recorded;
use crate::view::{CommittedBlock, Entry, Result, Rows, View, ViewError};

/// What stands at each key of each namespace.
#[derive(Debug, Clone, Copy, Default)]
pub struct CacheView;

impl CacheView {
    /// What the view is called.
    pub const NAME: &'static str = "cache";
}

impl View for CacheView {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn apply(&self, block: &CommittedBlock<'_>, rows: &mut Rows) -> Result<()> {
        for entry in block.sayings() {
            let recorded = Recorded::of(block, &entry);
            let write = match CachePayload::of(&entry) {
                Some(CachePayload::CachePut(said)) => Write {
                    namespace: said.namespace,
                    key: said.key,
                    value: Some(said.value.into()),
                    clock: said.clock,
                    sender: entry.sender(),
                    recorded,
                },
                Some(CachePayload::CacheInvalidate(said)) => Write {
                    namespace: said.namespace,
                    key: said.key,
                    value: None,
                    clock: said.clock,
                    sender: entry.sender(),
                    recorded,
                },
                Some(CachePayload::CacheCheckpoint(said)) => {
                    checkpoint(&entry, recorded, &said, rows);
                    continue;
                }
                None => continue,
            };
            write.apply(rows)?;
        }
        Ok(())
    }
}

pub(super) fn damaged(table: u8, problem: impl ToString) -> ViewError {
    ViewError::Damaged {
        view: CacheView::NAME,
        table,
        problem: problem.to_string(),
    }
}

/// Keeps the last word of a sender on a height below that of its transaction.
fn checkpoint(entry: &Entry<'_>, recorded: Recorded, said: &CacheCheckpoint, rows: &mut Rows) {
    if said.height >= recorded.height {
        return;
    }
    let key = [&said.height.to_be_bytes()[..], entry.sender().as_bytes()].concat();
    let mut row = Vec::with_capacity(76);
    recorded.encode(&mut row);
    row.extend_from_slice(&said.root.0);
    rows.put(TABLE_CHECKPOINTS, key, row);
}

/// A put or an invalidation.
struct Write<'a> {
    namespace: String,
    key: String,
    value: Option<Bytes>,
    clock: VectorClock,
    sender: &'a str,
    recorded: Recorded,
}

/// What becomes of a write.
enum Outcome {
    Stands { clock: VectorClock, conflicts: bool },
    Lost,
}

impl Write<'_> {
    fn apply(self, rows: &mut Rows) -> Result<()> {
        let name = self.namespace.as_bytes().to_vec();
        let mut namespace = match rows.get(TABLE_NAMESPACES, &name)? {
            Some(row) => {
                Namespace::decode(&row).map_err(|error| damaged(TABLE_NAMESPACES, error))?
            }
            None => Namespace::default(),
        };
        if self.may_be_said(rows, &mut namespace)? {
            let place = within(&self.namespace, self.key.as_bytes());
            let held = match rows.get(TABLE_ENTRIES, &place)? {
                Some(row) => {
                    Some(CacheEntry::decode(&row).map_err(|error| damaged(TABLE_ENTRIES, error))?)
                }
                None => None,
            };
            match self.judge(held.as_ref()) {
                Outcome::Lost => namespace.lost += 1,
                Outcome::Stands { clock, conflicts } => {
                    namespace.writes += 1;
                    namespace.conflicts += u64::from(conflicts);
                    self.stand(place, held.as_ref(), clock, &mut namespace, rows);
                }
            }
        }
        rows.put(TABLE_NAMESPACES, name, namespace.encode());
        Ok(())
    }

    /// Whether the clock counts its author further than any before, and nobody else further than the chain has seen.
    fn may_be_said(&self, rows: &mut Rows, namespace: &mut Namespace) -> Result<bool> {
        for (node, count) in self.clock.iter() {
            let row = rows.get(TABLE_CLOCKS, &within(&self.namespace, node.as_bytes()))?;
            let seen = row.map_or(Ok(0), |row| counter(&row));
            let seen = seen.map_err(|error| damaged(TABLE_CLOCKS, error))?;
            if node == self.sender {
                if count <= seen {
                    namespace.stale += 1;
                    return Ok(false);
                }
            } else if count > seen {
                namespace.unseen += 1;
                return Ok(false);
            }
        }
        if self.clock.is_empty() {
            return Ok(true);
        }
        let own = self.clock.get(self.sender);
        if own == 0 {
            namespace.stale += 1;
            return Ok(false);
        }
        let mut row = Vec::with_capacity(8);
        codec::put_u64(&mut row, own);
        let key = within(&self.namespace, self.sender.as_bytes());
        rows.put(TABLE_CLOCKS, key, row);
        Ok(true)
    }

    fn judge(&self, held: Option<&CacheEntry>) -> Outcome {
        let Some(held) = held else {
            return Outcome::Stands {
                clock: self.clock.clone(),
                conflicts: false,
            };
        };
        if self.clock.is_empty() {
            return Outcome::Stands {
                clock: held.clock.clone(),
                conflicts: false,
            };
        }
        // Its own count is higher than any before, so that it can't be before the one that stands, nor equal to it.
        if self.clock.compare(&held.clock) == Causality::After {
            return Outcome::Stands {
                clock: self.clock.clone(),
                conflicts: false,
            };
        }
        if held.value.is_none() && self.value.is_some() {
            return Outcome::Lost;
        }
        // Where both together count more hubs than a clock may, the later one alone counts.
        let merged = self.clock.merge(&held.clock).ok();
        let merged = merged.filter(|clock| clock.len() <= CLOCK_NODES_MAX);
        Outcome::Stands {
            clock: merged.unwrap_or_else(|| self.clock.clone()),
            conflicts: true,
        }
    }

    fn stand(
        self,
        place: Vec<u8>,
        held: Option<&CacheEntry>,
        clock: VectorClock,
        namespace: &mut Namespace,
        rows: &mut Rows,
    ) {
        if let Some(held) = held {
            let (height, index) = (held.recorded.height, held.recorded.index);
            let change = within(&self.namespace, &Recorded::order(height, index));
            rows.remove(TABLE_CHANGES, change);
            match held.value {
                Some(_) => namespace.values -= 1,
                None => namespace.invalidated -= 1,
            }
        }
        match self.value {
            Some(_) => namespace.values += 1,
            None => namespace.invalidated += 1,
        }
        let order = Recorded::order(self.recorded.height, self.recorded.index);
        let change = within(&self.namespace, &order);
        rows.put(TABLE_CHANGES, change, self.key.into_bytes());
        let entry = CacheEntry {
            value: self.value,
            recorded: self.recorded,
            sender: self.sender.to_owned(),
            clock,
        };
        rows.put(TABLE_ENTRIES, place, entry.encode());
    }
}
