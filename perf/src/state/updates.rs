//! Updates that are written to a disk, with a root behind each batch: ours into the tables of a store, and those of peers.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use hubledger::state::{PageSource, StateTree};
use hubledger_storage::{Durability, Position, Store, TableChange, TableCommit, TableView};

use super::rows::{BATCH, Key, Rows, Value};
use super::tree;
use crate::clock::{Clock, Times};
use crate::storage::Contender;
use crate::turns::Contestant;

/// Keeps rows on a disk, and a root over them.
pub(super) trait Updates {
    /// Puts rows, which come by ascending keys, keeps them, and gives the root over all.
    fn put(&mut self, rows: &[(Key, Value)]) -> Result<[u8; 32]>;

    /// The value of a key.
    fn value(&self, key: &Key) -> Result<Option<Vec<u8>>>;
}

/// A contestant whose pass is so many batches of updates of rows that are all there, an update as an item.
pub(super) fn contestant(
    name: &str,
    mut kept: Box<dyn Updates>,
    mut rows: Rows,
    batches: usize,
) -> Result<Contestant<'static>> {
    for batch in rows.all() {
        kept.put(&batch)?;
    }
    let (mut before, items) = ([0; 32], batches * BATCH);
    Ok(Contestant::new(name, Clock::Processor, items, move || {
        let mut all = Times::default();
        for _ in 0..batches {
            let batch = rows.batch();
            let (root, times) = Times::of(|| kept.put(&batch));
            let root = root?;
            ensure!(root != before, "the root is the same after a change");
            before = root;
            all = [all, times].into_iter().sum();
            let (key, value) = batch.last().context("a batch has rows")?;
            let found = kept.value(key)?;
            ensure!(
                found.as_deref() == Some(value),
                "a row is not as it was put"
            );
        }
        Ok(all)
    }))
}

/// The table set and the table that pages are in.
const SET: &str = "state";
const PAGES: u8 = 0;
/// Bytes of pages that stay in memory, as in an engine.
const RESIDENT_MAX: u64 = 512 << 20;

/// When pages that changed are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writing {
    /// With each batch.
    Always,
    /// When there are as many as an engine lets come together: blocks lead from the last written state to the tip.
    AsEngine,
}

/// A tree of ours, with its pages in the tables of a store.
pub(super) struct Ours {
    store: Store,
    tree: StateTree,
    writing: Writing,
    durability: Durability,
    height: u64,
}

/// Pages at one moment.
struct Pages(Arc<dyn TableView>);

impl PageSource for Pages {
    fn page(&self, key: &[u8]) -> Result<Option<Bytes>, String> {
        self.0.get(PAGES, key).map_err(|error| error.to_string())
    }
}

impl Ours {
    pub(super) fn create(
        contender: &Contender,
        directory: &Path,
        durability: Durability,
        writing: Writing,
    ) -> Result<Self> {
        Ok(Self {
            store: contender.store_url(directory)?.create()?,
            tree: StateTree::default(),
            writing,
            durability,
            height: 0,
        })
    }

    fn write(&mut self) -> Result<()> {
        let put = |(key, page)| TableChange {
            table: PAGES,
            key,
            value: Some(page),
        };
        self.height += 1;
        let commit = TableCommit {
            position: Some(Position {
                height: self.height,
                id: [0; 32],
            }),
            undo_floor: self.height,
            changes: self.tree.unsaved().into_iter().map(put).collect(),
        };
        self.store.tables.commit(SET, &commit, self.durability)?;
        self.tree.saved();
        let view = self.store.reader.tables().view(SET)?;
        self.tree.adopt(Arc::new(Pages(view)), RESIDENT_MAX);
        Ok(())
    }
}

impl Updates for Ours {
    fn put(&mut self, rows: &[(Key, Value)]) -> Result<[u8; 32]> {
        tree::put(&mut self.tree, rows);
        let root = self.tree.root().0;
        let unsaved_max = match self.writing {
            Writing::Always => 0,
            Writing::AsEngine => RESIDENT_MAX / 4,
        };
        if self.tree.unsaved_bytes() > unsaved_max {
            self.write()?;
        }
        match self.tree.failure() {
            Some(failure) => Err(failure.clone().into()),
            None => Ok(root),
        }
    }

    fn value(&self, key: &Key) -> Result<Option<Vec<u8>>> {
        Ok(tree::get(&self.tree, key).map(<[u8]>::to_vec))
    }
}

#[cfg(test)]
mod tests {
    use hubledger::state::StateTree;

    use super::*;

    #[test]
    fn what_was_written_is_the_tree() {
        let directory = tempfile::tempdir().expect("a directory");
        let (log, rows) = (Contender::ours("log"), Rows::new(2_000, 1));
        let mut ours = Ours::create(&log, directory.path(), Durability::Os, Writing::Always)
            .expect("a new store");
        let mut root = [0; 32];
        for batch in rows.all() {
            root = ours.put(&batch).expect("it can be written");
        }
        let view = ours.store.reader.tables().view(SET).expect("a view");
        let mut stored = StateTree::stored(
            Arc::new(Pages(view)),
            2_000,
            hubledger::format::digest::Digest(root),
        );
        assert_eq!((stored.root().0, stored.rows().count()), (root, 2_000));
        assert_eq!(stored.failure(), None);
    }
}
