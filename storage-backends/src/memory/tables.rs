//! Tables in memory: persistent maps, so that a view, and what a set was before a commit, is a copy that costs nothing and never changes.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use rpds::RedBlackTreeMapSync;

use super::{Hold, Shared};
use crate::tables::arguments::{self, Progress};
use crate::tables::guarded::UnguardedTables;
use crate::{
    Durability, KeyRange, Position, RangeLimit, Result, Row, TableChange, TableCommit, TableReader,
    TableReceipt, TableView, TableWriter,
};

type Rows = RedBlackTreeMapSync<Bytes, Bytes>;
/// By their numbers.
type Contents = BTreeMap<u8, Rows>;

/// All table sets of a store, by their names.
#[derive(Debug, Default)]
pub(super) struct Sets(BTreeMap<String, Set>);

#[derive(Debug, Default)]
struct Set {
    progress: Progress,
    contents: Contents,
    /// The moments before the commits that may be undone, oldest first.
    earlier: Vec<Earlier>,
}

/// What a set was before a commit.
#[derive(Debug)]
struct Earlier {
    /// The height of that commit's position.
    height: u64,
    position: Option<Position>,
    contents: Contents,
}

impl Sets {
    fn commit(&mut self, name: &str, commit: &TableCommit) -> Result<TableReceipt> {
        let before = match self.0.get(name) {
            Some(set) => set.progress,
            None => {
                arguments::new_set(name, self.0.len())?;
                Progress::default()
            }
        };
        let progress = before.after(commit)?;
        // From here on nothing fails, so that a commit is atomic.
        let set = self.0.entry(name.to_owned()).or_default();
        if let Some(Position { height, .. }) = progress.shown()
            && progress.keeps()
        {
            set.earlier.push(Earlier {
                height,
                position: before.position,
                contents: set.contents.clone(),
            });
        }
        match progress.is_loading {
            true => set.earlier.clear(),
            false => set
                .earlier
                .retain(|earlier| earlier.height > progress.undo_floor),
        }
        commit.changes.iter().for_each(|change| set.apply(change));
        set.progress = progress;
        Ok(TableReceipt {
            position: progress.shown(),
            durability: Durability::Memory,
        })
    }

    fn undo(&mut self, name: &str, height: u64) -> Result<Option<Position>> {
        let Some(set) = self.0.get_mut(name) else {
            return Ok(None);
        };
        set.progress.check_undo(height)?;
        while let Some(earlier) = set.earlier.pop_if(|earlier| earlier.height > height) {
            set.progress.position = earlier.position;
            set.contents = earlier.contents;
        }
        Ok(set.progress.position)
    }
}

impl Set {
    fn apply(&mut self, change: &TableChange) {
        let rows = self.contents.entry(change.table).or_default();
        match &change.value {
            Some(value) => rows.insert_mut(change.key.clone(), value.clone()),
            None => {
                rows.remove_mut(&change.key);
            }
        }
    }
}

struct MemoryTableView {
    position: Option<Position>,
    contents: Contents,
}

impl TableView for MemoryTableView {
    fn position(&self) -> Option<Position> {
        self.position
    }

    fn get(&self, table: u8, key: &[u8]) -> Result<Option<Bytes>> {
        let rows = self.contents.get(&table);
        Ok(rows.and_then(|rows| rows.get(key)).cloned())
    }

    fn range(&self, table: u8, range: &KeyRange, limit: RangeLimit) -> Result<Vec<Row>> {
        let Some(rows) = self.contents.get(&table) else {
            return Ok(Vec::new());
        };
        if range
            .below
            .as_ref()
            .is_some_and(|below| *below <= range.from)
        {
            return Ok(Vec::new());
        }
        let below = range.below.as_deref();
        let bounds = (
            Bound::Included(&range.from[..]),
            below.map_or(Bound::Unbounded, Bound::Excluded),
        );
        let rows = rows.range::<[u8], _>(bounds);
        let row = |(key, value): (&Bytes, &Bytes)| (key.clone(), value.clone());
        Ok(match range.is_descending {
            true => limit.take(rows.rev().map(row)),
            false => limit.take(rows.map(row)),
        })
    }
}

/// The reading half.
pub(super) struct MemoryTableReader(pub(super) Arc<Shared>);

impl TableReader for MemoryTableReader {
    fn sets(&self) -> Result<Vec<String>> {
        let sets = self.0.sets.read().unwrap_or_else(PoisonError::into_inner);
        Ok(sets.0.keys().cloned().collect())
    }

    fn view(&self, set: &str) -> Result<Arc<dyn TableView>> {
        let sets = self.0.sets.read().unwrap_or_else(PoisonError::into_inner);
        let set = sets.0.get(set);
        Ok(Arc::new(MemoryTableView {
            position: set.and_then(|set| set.progress.shown()),
            contents: set.map(|set| set.contents.clone()).unwrap_or_default(),
        }))
    }
}

/// The writing half.
pub(super) struct MemoryTableWriter(pub(super) Arc<Hold>);

impl MemoryTableWriter {
    /// Runs a mutation under the lock, so that a reader sees all of it or nothing.
    fn mutate<T>(&mut self, mutation: impl FnOnce(&mut Sets) -> T) -> T {
        let sets = &self.0.0.sets;
        mutation(&mut sets.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl UnguardedTables for MemoryTableWriter {}

impl TableWriter for MemoryTableWriter {
    fn commit(&mut self, set: &str, commit: &TableCommit, _: Durability) -> Result<TableReceipt> {
        self.mutate(|sets| sets.commit(set, commit))
    }

    fn undo(&mut self, set: &str, height: u64) -> Result<Option<Position>> {
        self.mutate(|sets| sets.undo(set, height))
    }

    fn remove(&mut self, set: &str) -> Result<()> {
        // Dropped without the lock: a large set takes a while, for which readers would wait.
        let removed = self.mutate(|sets| sets.0.remove(set));
        drop(removed);
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        Ok(())
    }
}
