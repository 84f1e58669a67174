//! What can be asked of the cache.

use std::ops::Range;

use bytes::Bytes;
use hubledger::codec::Reader;
use hubledger::digest::Digest;
use hubledger_storage::{KeyRange, RangeLimit};
use serde_json::{Map, Value};

use super::payload::clock_json;
use super::proof::CacheTree;
use super::rows::{
    CacheEntry, Namespace, TABLE_CHANGES, TABLE_CHECKPOINTS, TABLE_ENTRIES, TABLE_NAMESPACES, text,
    within,
};
use super::view::damaged;
use crate::recorded::Recorded;
use crate::view::{AsOf, Result, Snapshot};

/// Rows are read so many bytes at a time where all of a table are.
const READ_BYTES: usize = 4 << 20;

/// What a hub lacks, within a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// Keys with what stands there, in the order in which that was written.
    pub entries: Vec<(String, CacheEntry)>,
    /// Where to go on; `None` if that was all.
    pub next: Option<(u64, u32)>,
}

/// What a hub says of the root over the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The hub.
    pub sender: String,
    /// The height of the block after which it is that root.
    pub height: u64,
    /// The root.
    pub root: Digest,
    /// Where it says so.
    pub recorded: Recorded,
}

/// The cache as of one block.
#[derive(Debug, Clone)]
pub struct Cache {
    snapshot: Snapshot,
}

impl Cache {
    /// Over a snapshot of the [view](super::CacheView).
    #[must_use]
    pub const fn new(snapshot: Snapshot) -> Self {
        Self { snapshot }
    }

    /// After which block the answers are right.
    #[must_use]
    pub const fn as_of(&self) -> Option<AsOf> {
        self.snapshot.as_of()
    }

    /// What stands at a key; `None` if nothing was ever written there. O(log rows).
    ///
    /// # Errors
    /// The store failed; a damaged row.
    pub fn entry(&self, namespace: &str, key: &str) -> Result<Option<CacheEntry>> {
        let place = within(namespace, key.as_bytes());
        let row = self.snapshot.get(TABLE_ENTRIES, &place)?;
        let entry = row.map(|row| CacheEntry::decode(&row)).transpose();
        entry.map_err(|error| damaged(TABLE_ENTRIES, error))
    }

    /// What is known of a namespace. O(log rows).
    ///
    /// # Errors
    /// The store failed; a damaged row.
    pub fn namespace(&self, name: &str) -> Result<Option<Namespace>> {
        let row = self.snapshot.get(TABLE_NAMESPACES, name.as_bytes())?;
        let namespace = row.map(|row| Namespace::decode(&row)).transpose();
        namespace.map_err(|error| damaged(TABLE_NAMESPACES, error))
    }

    /// Namespaces by name, from one on, within a limit. O(log rows + namespaces).
    ///
    /// # Errors
    /// The store failed; a damaged row.
    pub fn namespaces(&self, from: &str, limit: RangeLimit) -> Result<Vec<(String, Namespace)>> {
        let range = KeyRange {
            from: Bytes::copy_from_slice(from.as_bytes()),
            ..KeyRange::default()
        };
        let rows = self.snapshot.range(TABLE_NAMESPACES, &range, limit)?;
        let read = rows.into_iter().map(|(name, row)| {
            let namespace = Namespace::decode(&row);
            Ok((text(&name)?, namespace?))
        });
        let all: std::result::Result<Vec<_>, hubledger::codec::DecodeError> = read.collect();
        all.map_err(|error| damaged(TABLE_NAMESPACES, error))
    }

    /// What was written to a namespace at a place on the chain or later, and stands: what a hub lacks that has all before it. Of a key that was written
    /// several times, only the write that stands. O(log rows + entries).
    ///
    /// # Errors
    /// The store failed; a damaged row.
    pub fn since(
        &self,
        namespace: &str,
        (height, index): (u64, u32),
        limit: RangeLimit,
    ) -> Result<Missed> {
        let range = KeyRange {
            from: within(namespace, &Recorded::order(height, index)).into(),
            below: Some([namespace.as_bytes(), &[1]].concat().into()),
            is_descending: false,
        };
        // One more, to know whether that was all. Keys are small; bytes are counted with the values.
        let keys = RangeLimit {
            rows: limit.rows.saturating_add(1),
            bytes: limit.bytes,
        };
        let changes = self.snapshot.range(TABLE_CHANGES, &range, keys)?;
        let is_cut = changes.len() > limit.rows;
        let (mut entries, mut bytes) = (Vec::new(), 0usize);
        let mut last = None;
        for (_, key) in changes.into_iter().take(limit.rows) {
            if bytes >= limit.bytes && !entries.is_empty() {
                let next = last.map(|(height, index): (u64, u32)| (height, index + 1));
                return Ok(Missed { entries, next });
            }
            let key = text(&key).map_err(|error| damaged(TABLE_CHANGES, error))?;
            let entry = self.entry(namespace, &key)?;
            let entry = entry.ok_or_else(|| damaged(TABLE_CHANGES, "a key without an entry"))?;
            bytes += namespace.len() + key.len() + entry.value.as_ref().map_or(0, Bytes::len) + 64;
            last = Some((entry.recorded.height, entry.recorded.index));
            entries.push((key, entry));
        }
        // A store may also end a range by its bytes: then what was given is not known to be all.
        let may_go_on = is_cut || bytes >= limit.bytes;
        let next = last.filter(|_| may_go_on);
        Ok(Missed {
            entries,
            next: next.map(|(height, index)| (height, index + 1)),
        })
    }

    /// What hubs say of the roots after blocks of these heights, the latest first, within a limit. The root is the same from one write to the next, so that a
    /// word on an earlier block may hold for this one.
    ///
    /// # Errors
    /// The store failed; a damaged row.
    pub fn checkpoints(&self, heights: Range<u64>, limit: RangeLimit) -> Result<Vec<Checkpoint>> {
        if heights.is_empty() {
            return Ok(Vec::new());
        }
        let range = KeyRange {
            from: Bytes::copy_from_slice(&heights.start.to_be_bytes()),
            below: Some(Bytes::copy_from_slice(&heights.end.to_be_bytes())),
            is_descending: true,
        };
        let rows = self.snapshot.range(TABLE_CHECKPOINTS, &range, limit)?;
        let read = rows.into_iter().map(|(key, row)| {
            let mut reader = Reader::new(&row);
            let recorded = Recorded::decode(&mut reader)?;
            let mut height = Reader::new(&key);
            Ok(Checkpoint {
                height: u64::from_be_bytes(height.array("height")?),
                sender: text(key.get(8..).unwrap_or_default())?,
                root: Digest(reader.array("root")?),
                recorded,
            })
        });
        let all: std::result::Result<Vec<_>, hubledger::codec::DecodeError> = read.collect();
        all.map_err(|error| damaged(TABLE_CHECKPOINTS, error))
    }

    /// The tree over all keys, from which absences are proved. O(keys); whoever answers often keeps it.
    ///
    /// # Errors
    /// The store failed; a damaged row.
    pub fn tree(&self) -> Result<CacheTree> {
        let mut tree = CacheTree::new(self.as_of());
        let mut range = KeyRange::default();
        let limit = RangeLimit {
            rows: usize::MAX,
            bytes: READ_BYTES,
        };
        loop {
            let rows = self.snapshot.range(TABLE_ENTRIES, &range, limit)?;
            let Some((last, _)) = rows.last() else { break };
            range.from = [&last[..], &[0]].concat().into();
            for (place, row) in &rows {
                let entry =
                    CacheEntry::decode(row).map_err(|error| damaged(TABLE_ENTRIES, error))?;
                tree.put(place, &entry);
            }
        }
        tree.finish();
        Ok(tree)
    }
}

impl CacheEntry {
    /// For outputs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        let value = self.value.as_ref();
        let value = value.map(|value| String::from_utf8_lossy(value).into_owned());
        object.insert("value".to_owned(), value.into());
        object.insert("sender".to_owned(), self.sender.clone().into());
        object.insert("vector_clock".to_owned(), clock_json(&self.clock));
        self.recorded.put_json(&mut object);
        Value::Object(object)
    }
}
