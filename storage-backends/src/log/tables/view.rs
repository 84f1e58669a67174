//! One moment of a set: memory runs over runs, the newest first.

use std::sync::Arc;

use bytes::Bytes;

use super::context::TableContext;
use super::cursor::{Bounds, Cursor, Run};
use super::memory_run::MemoryRun;
use super::part::Part;
use super::run_file::RunFile;
use super::version::{Version, joined};
use crate::{KeyRange, Position, RangeLimit, Result, Row, TableView};

/// A run of a set.
#[derive(Debug, Clone)]
pub(super) struct FileLayer {
    pub(super) run: Arc<RunFile>,
    /// What later commits made of keys was taken back.
    pub(super) limit: u64,
}

impl FileLayer {
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.run, &other.run) && self.limit == other.limit
    }

    /// The last commit of which it has anything that counts.
    pub(super) fn last(&self) -> u64 {
        self.run.trailer.last.min(self.limit)
    }
}

/// See the [module](self).
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) context: Arc<TableContext>,
    pub(super) position: Option<Position>,
    pub(super) memory: Vec<Arc<MemoryRun>>,
    pub(super) files: Vec<FileLayer>,
}

impl Snapshot {
    /// That of a set without commits.
    pub(super) fn empty(context: &Arc<TableContext>) -> Self {
        Self {
            context: Arc::clone(context),
            position: None,
            memory: Vec::new(),
            files: Vec::new(),
        }
    }

    fn runs(&self) -> impl Iterator<Item = Run<'_>> {
        let memory = self.memory.iter().map(|run| Run::Memory(run));
        let files = self.files.iter();
        memory.chain(files.map(|layer| Run::File(&layer.run, layer.limit)))
    }
}

impl TableView for Snapshot {
    fn position(&self) -> Option<Position> {
        self.position
    }

    fn get(&self, table: u8, key: &[u8]) -> Result<Option<Bytes>> {
        let key = joined(table, key);
        let hash = self.context.hash.of_table_key(&key);
        for run in self.runs() {
            let found = match run {
                Run::Memory(run) => run.find(&key, hash),
                Run::File(run, limit) => run.find(&key, hash, limit)?,
            };
            if let Some(found) = found {
                return Ok(found.value);
            }
        }
        Ok(None)
    }

    fn range(&self, table: u8, range: &KeyRange, limit: RangeLimit) -> Result<Vec<Row>> {
        let from = joined(table, &range.from);
        let below = match &range.below {
            Some(below) => Some(joined(table, below)),
            None => table.checked_add(1).map(|next| joined(next, &[])),
        };
        let bounds = Bounds {
            from: &from,
            below: below.as_deref(),
            is_descending: range.is_descending,
        };
        if bounds.below.is_some_and(|below| below <= bounds.from) {
            return Ok(Vec::new());
        }
        let cursors = self.runs().map(|run| Cursor::begin(run, bounds));
        let mut cursors: Vec<Cursor<'_>> = cursors.collect::<Result<_>>()?;
        collect(&mut cursors, range.is_descending, limit)
    }
}

/// The next rows of some cursors, the newest of which comes first.
fn collect(
    cursors: &mut Vec<Cursor<'_>>,
    is_descending: bool,
    limit: RangeLimit,
) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    let mut bytes = 0_usize;
    let mut key = Vec::new();
    loop {
        cursors.retain(|cursor| cursor.current().is_some());
        let Some((part, version)) = next_of(cursors, is_descending) else {
            return Ok(rows);
        };
        if let Some(value) = version.value {
            let own_key = &version.key[1..];
            if !limit.has_room(rows.len(), bytes, (own_key, value)) {
                return Ok(rows);
            }
            bytes += own_key.len() + value.len();
            let value = part.value(version).unwrap_or_default();
            rows.push((Bytes::copy_from_slice(own_key), value));
            if rows.len() >= limit.rows {
                return Ok(rows);
            }
        }
        key.clear();
        key.extend_from_slice(version.key);
        for cursor in cursors.iter_mut() {
            if cursor
                .current()
                .is_some_and(|(_, version)| version.key == key)
            {
                cursor.advance()?;
            }
        }
    }
}

/// The version that comes next: of several of one key, that of the first cursor.
fn next_of<'a>(cursors: &'a [Cursor<'_>], is_descending: bool) -> Option<(&'a Part, Version<'a>)> {
    let versions = cursors.iter().filter_map(Cursor::current);
    versions.reduce(|next, other| {
        let is_sooner = match is_descending {
            false => other.1.key < next.1.key,
            true => other.1.key > next.1.key,
        };
        if is_sooner { other } else { next }
    })
}
