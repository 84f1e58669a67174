//! The writing half.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::boundaries::{Boundaries, Boundary};
use super::install::{Target, install, remove, restate};
use super::load::list;
use super::memory_run::{MemoryRun, due};
use super::merger::Merger;
use super::names::Named;
use super::set_file::sync_names;
use super::shared::{SetState, Slot, TableShared};
use super::view::Snapshot;
use crate::tables::arguments;
use crate::toolbox::guarded::Latch;
use crate::{Durability, Position, Result, TableChange, TableCommit, TableReceipt, TableWriter};

/// A commit of a memory's share of so much becomes a run at once.
const LARGE_SHARE: u64 = 8;

/// What the latch guards.
pub(super) struct Inner {
    shared: Arc<TableShared>,
    /// Begun with the first change, so that a store without tables has no thread for them.
    merger: Option<Merger>,
}

/// See the [module](self). `H` is what keeps other writers out as long as this one lives.
pub(in super::super) struct LogTableWriter<H> {
    latch: Latch,
    inner: Inner,
    _hold: H,
}

impl<H> LogTableWriter<H> {
    pub(in super::super) fn new(shared: &Arc<TableShared>, hold: H) -> Self {
        Self {
            latch: Latch::new(shared.context.directory.clone()),
            inner: Inner {
                shared: Arc::clone(shared),
                merger: None,
            },
            _hold: hold,
        }
    }
}

impl<H> fmt::Debug for LogTableWriter<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogTableWriter").finish_non_exhaustive()
    }
}

impl<H: Send> TableWriter for LogTableWriter<H> {
    fn commit(
        &mut self,
        set: &str,
        commit: &TableCommit,
        durability: Durability,
    ) -> Result<TableReceipt> {
        let inner = &mut self.inner;
        self.latch
            .guard("commit", || inner.commit(set, commit, durability))
    }

    fn undo(&mut self, set: &str, height: u64) -> Result<Option<Position>> {
        let inner = &mut self.inner;
        self.latch.guard("undo", || inner.undo(set, height))
    }

    fn remove(&mut self, set: &str) -> Result<()> {
        let inner = &mut self.inner;
        self.latch.guard("remove", || {
            inner.prepare()?;
            remove(&inner.shared, set)
        })
    }

    fn sync(&mut self) -> Result<()> {
        let inner = &mut self.inner;
        self.latch.guard("sync", || inner.sync())
    }
}

impl<H> Drop for LogTableWriter<H> {
    fn drop(&mut self) {
        let inner = &mut self.inner;
        // What is in memory alone would be lost with it.
        let closed = self.latch.guard("close", || inner.sync());
        // The failure that poisoned the writer was returned to its caller already.
        if let Err(error) = closed
            && !error.is_poisoned()
        {
            tracing::warn!(%error, "closing tables without a sync");
        }
        // Before the hold goes, which lets another writer in.
        inner.merger = None;
    }
}

impl Inner {
    fn commit(
        &mut self,
        set: &str,
        commit: &TableCommit,
        durability: Durability,
    ) -> Result<TableReceipt> {
        let held = self.shared.set(set)?;
        let mut boundaries = held.boundaries.clone();
        let others = self.shared.count_others(set)?;
        if let Some(others) = others {
            arguments::new_set(set, others)?;
        }
        boundaries.progress().after(commit)?;
        self.prepare()?;
        let bytes = bytes_of(&commit.changes);
        let made = Boundary {
            commit: boundaries.newest().commit + 1,
            position: commit.position,
        };
        boundaries.push(made, commit.undo_floor);
        let room = self.shared.context.options.table_memory_bytes;
        let reached = if durability == Durability::Disk || bytes >= room / LARGE_SHARE {
            let target = Target {
                boundaries,
                changes: &commit.changes,
            };
            self.install(set, target)?;
            Durability::Disk
        } else {
            self.keep_in_memory(set, &held, commit, boundaries)?;
            self.make_room(set, room)?
        };
        Ok(TableReceipt {
            position: commit.position,
            durability: reached,
        })
    }

    /// Shows readers a commit that is in memory alone.
    fn keep_in_memory(
        &self,
        name: &str,
        held: &SetState,
        commit: &TableCommit,
        boundaries: Boundaries,
    ) -> Result<()> {
        let context = &self.shared.context;
        let number = boundaries.newest().commit;
        let mut memory = held.snapshot.memory.clone();
        if !commit.changes.is_empty() {
            let run = MemoryRun::of_commit(context, &commit.changes, number, &boundaries)?;
            memory.insert(0, Arc::new(run));
            let count = due(&memory);
            if count > 1 {
                let merged = MemoryRun::of_runs(context, &memory[..count], &boundaries)?;
                memory.splice(..count, [Arc::new(merged)]);
            }
        }
        let mut state = self.shared.write();
        let slot = state
            .sets
            .entry(name.to_owned())
            .or_insert_with(|| Slot::Sound(SetState::new(context)));
        if let Slot::Sound(set) = slot {
            // Runs in files may have been merged meanwhile.
            let snapshot = Snapshot {
                position: commit.position,
                memory,
                ..(*set.snapshot).clone()
            };
            set.snapshot = Arc::new(snapshot);
            set.boundaries = boundaries;
        }
        Ok(())
    }

    /// Writes the commits of the sets with the most in memory until all fit. Gives what that makes of those of `set`.
    fn make_room(&mut self, set: &str, room: u64) -> Result<Durability> {
        let mut reached = Durability::Memory;
        loop {
            let largest = {
                let state = self.shared.read()?;
                let sizes = state.sets.iter().filter_map(|(name, slot)| {
                    let bytes = slot.sound().map_or(0, SetState::memory_bytes);
                    (bytes > 0).then_some((bytes, name))
                });
                let sizes: Vec<_> = sizes.collect();
                let sum: usize = sizes.iter().map(|(bytes, _)| bytes).sum();
                let largest = sizes.into_iter().max();
                largest
                    .filter(|_| sum as u64 > room)
                    .map(|(_, name)| name.clone())
            };
            let Some(name) = largest else {
                return Ok(reached);
            };
            self.write_out(&name)?;
            if name == set {
                reached = Durability::Disk;
            }
        }
    }

    /// Gets the commits of a set to the disk.
    fn write_out(&self, name: &str) -> Result<()> {
        let target = Target {
            boundaries: self.shared.set(name)?.boundaries,
            changes: &[],
        };
        self.install(name, target)
    }

    fn install(&self, name: &str, target: Target<'_>) -> Result<()> {
        install(&self.shared, name, target)?;
        match &self.merger {
            Some(merger) => merger.run_added(name),
            None => Ok(()),
        }
    }

    fn undo(&mut self, name: &str, height: u64) -> Result<Option<Position>> {
        let mut boundaries = self.shared.set(name)?.boundaries;
        if self.shared.count_others(name)?.is_some() {
            return Ok(None);
        }
        boundaries.progress().check_undo(height)?;
        let Some(left) = boundaries.below(height) else {
            return Ok(boundaries.newest().position);
        };
        self.prepare()?;
        boundaries.cut(left.commit);
        let target = Target {
            boundaries,
            changes: &[],
        };
        self.install(name, target)?;
        Ok(left.position)
    }

    fn sync(&mut self) -> Result<()> {
        let names: Vec<String> = {
            let state = self.shared.read()?;
            if state.sets.is_empty() {
                return Ok(());
            }
            let is_ahead = |slot: &Slot| slot.sound().is_ok_and(SetState::is_ahead);
            let ahead = state.sets.iter().filter(|(_, slot)| is_ahead(slot));
            ahead.map(|(name, _)| name.clone()).collect()
        };
        self.prepare()?;
        names.iter().try_for_each(|name| self.write_out(name))
    }

    /// Before the first change: mends what an earlier writer may have left, and begins to merge.
    fn prepare(&mut self) -> Result<()> {
        if self.merger.is_some() {
            return self.shared.check_merging();
        }
        let context = &self.shared.context;
        let on_disk = list(context)?;
        if !on_disk.is_empty() {
            // What was read of the sets may be in the system's memory alone, if an earlier process failed to sync it; and what they said
            // before may name the files that are about to be removed.
            sync_names(context, &context.directory)?;
            sync_names(context, &context.store_directory)?;
        }
        if self.shared.is_uncertain.load(Ordering::Acquire) {
            restate(&self.shared, &on_disk)?;
        }
        // Once in a process, and then before anything is merged: readers may still be at runs that no set's file names.
        if !self.shared.is_clean.load(Ordering::Acquire) {
            self.remove_nameless(&on_disk)?;
            self.shared.is_clean.store(true, Ordering::Release);
        }
        self.merger = Some(Merger::start(&self.shared)?);
        Ok(())
    }

    /// Removes files that a crash left, and that no set's file names.
    fn remove_nameless(&self, on_disk: &[Named]) -> Result<()> {
        let context = &self.shared.context;
        let mut named = std::collections::BTreeSet::new();
        for slot in self.shared.read()?.sets.values() {
            match slot {
                Slot::Sound(set) => {
                    named.extend(set.snapshot.files.iter().map(|layer| layer.run.number));
                }
                // Which runs are its own can't be told, and its file may be readable again tomorrow.
                Slot::Damaged { .. } => return Ok(()),
            }
        }
        let is_nameless = |file: &&Named| match file {
            Named::Run(number) => !named.contains(number),
            Named::Unfinished => true,
            Named::Set(_) | Named::Other => false,
        };
        for file in on_disk.iter().filter(is_nameless) {
            let path = file.path(&context.directory);
            let removed = context.files.remove(&path);
            removed.map_err(|source| crate::Error::system("remove", &path, source))?;
        }
        Ok(())
    }
}

/// Bytes of the keys and values of some changes.
fn bytes_of(changes: &[TableChange]) -> u64 {
    let bytes = |change: &TableChange| {
        let value = change.value.as_ref().map_or(0, |value| value.len());
        (change.key.len() + value) as u64
    };
    changes.iter().map(bytes).sum()
}
