//! Getting commits from memory into a run, and commits out of a set again: one change of the set's file.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::boundaries::Boundaries;
use super::names::Named;
use super::run_writer::{RunPlan, Written, write_run};
use super::set_file::{SetRecord, sync_names};
use super::shared::{SetState, Slot, TableShared};
use super::versions::{CommitVersions, Limited, Merge, Versions};
use super::view::{FileLayer, Snapshot};
use crate::{Error, Result, TableChange};

const OPERATION: &str = "write a table set";

/// How a set is to be.
pub(super) struct Target<'a> {
    /// The commits that are left, with the one that is made, if any.
    pub(super) boundaries: Boundaries,
    /// What that one changes.
    pub(super) changes: &'a [TableChange],
}

/// Runs a change of sets' files, during which nobody else changes any.
fn alone(shared: &TableShared, change: impl FnOnce() -> Result<()>) -> Result<()> {
    let _installing = shared.installing();
    let outcome = change();
    if outcome.is_err() {
        shared.is_uncertain.store(true, Ordering::Release);
    }
    outcome
}

/// Makes a set what it is to be, on the disk and for readers.
pub(super) fn install(shared: &TableShared, name: &str, target: Target<'_>) -> Result<()> {
    let held = shared.set(name)?;
    alone(shared, || {
        let Target {
            boundaries,
            changes,
        } = target;
        make_directory(shared)?;
        let newest = boundaries.newest();
        // Read again: runs may have been merged since.
        let (mut files, gone) = cut(&shared.snapshot(name)?.files, newest.commit);
        let mut handle = None;
        if newest.commit > held.durable.newest().commit {
            let is_oldest = files.is_empty();
            let written = write(shared, &held, &boundaries, changes, is_oldest)?;
            let (run, limit) = (Arc::new(written.run), u64::MAX);
            files.insert(0, FileLayer { run, limit });
            handle = Some(written.handle);
        }
        let record = SetRecord::new(newest, boundaries.undo_floor, &files);
        record.install(&shared.context, name, handle.as_deref())?;
        let snapshot = Snapshot {
            position: newest.position,
            files,
            ..Snapshot::empty(&shared.context)
        };
        let set = SetState {
            snapshot: Arc::new(snapshot),
            durable: boundaries.clone(),
            boundaries,
            is_damaged: held.is_damaged,
        };
        // The old state goes after the lock: runs that nobody reads any more are removed with it.
        let old = shared
            .write()
            .sets
            .insert(name.to_owned(), Slot::Sound(set));
        gone.iter().for_each(|layer| layer.run.doom());
        drop(old);
        Ok(())
    })
}

/// Writes what is in memory, up to the newest commit, as a run.
fn write(
    shared: &TableShared,
    held: &SetState,
    boundaries: &Boundaries,
    changes: &[TableChange],
    is_oldest: bool,
) -> Result<Written> {
    let last = boundaries.newest().commit;
    let first = held.durable.newest().commit + 1;
    let own: Box<dyn Versions> = Box::new(CommitVersions::new(changes, last));
    let memory = held.snapshot.memory.iter();
    let versions_max = changes.len() + memory.clone().map(|run| run.len()).sum::<usize>();
    let limited = |versions| Limited {
        versions,
        limit: last,
    };
    let sources = std::iter::once(own).chain(memory.map(|run| run.versions()));
    let plan = RunPlan {
        number: shared.next_run(),
        merge: Merge {
            sources: sources.map(limited).collect(),
            boundaries,
            is_oldest,
        },
        versions_max: versions_max as u64,
        first,
        last,
        commits: boundaries.within(first..=last),
        stop: None,
    };
    let stopped = || {
        let reason = std::io::Error::other("the writing was stopped");
        Error::system(OPERATION, &shared.context.directory, reason)
    };
    write_run(&shared.context, plan)?.ok_or_else(stopped)
}

/// Runs without what came after a commit, and those that have nothing else.
fn cut(files: &[FileLayer], commit: u64) -> (Vec<FileLayer>, Vec<FileLayer>) {
    let (left, gone): (Vec<_>, Vec<_>) = files
        .iter()
        .cloned()
        .partition(|layer| layer.run.trailer.first <= commit);
    let cut = |layer: FileLayer| match layer.last() > commit {
        true => FileLayer {
            limit: commit,
            ..layer
        },
        false => layer,
    };
    (left.into_iter().map(cut).collect(), gone)
}

fn make_directory(shared: &TableShared) -> Result<()> {
    let context = &shared.context;
    let fault = |source| Error::system(OPERATION, &context.directory, source);
    // An earlier attempt may have made it and failed, so its name is synced whether or not it is new.
    if !shared.is_directory_synced.load(Ordering::Acquire) {
        context
            .files
            .create_directory(&context.directory)
            .map_err(fault)?;
        sync_names(context, &context.store_directory)?;
        shared.is_directory_synced.store(true, Ordering::Release);
    }
    Ok(())
}

/// Removes a set. Runs of a damaged one stay until a writer opens the store again.
pub(super) fn remove(shared: &TableShared, name: &str) -> Result<()> {
    if !shared.read()?.sets.contains_key(name) {
        return Ok(());
    }
    alone(shared, || {
        remove_file(shared, name)?;
        let slot = shared.write().sets.remove(name);
        if let Some(Slot::Sound(set)) = slot {
            set.snapshot.files.iter().for_each(|layer| layer.run.doom());
        }
        Ok(())
    })
}

fn remove_file(shared: &TableShared, name: &str) -> Result<()> {
    let context = &shared.context;
    let path = Named::Set(name.to_owned()).path(&context.directory);
    match context.files.remove(&path) {
        // It was only in memory.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => {
            removed.map_err(|source| Error::system("remove a table set", &path, source))?;
            sync_names(context, &context.directory)
        }
    }
}

/// Has the sets' files say what readers were shown, after a change that failed half-way: else a crash might bring back a commit
/// that nobody was told of, under others that were made since.
pub(super) fn restate(shared: &TableShared, on_disk: &[Named]) -> Result<()> {
    alone(shared, || {
        let sets = shared.read()?.sets.clone();
        for named in on_disk {
            if let Named::Set(name) = named
                && !sets.contains_key(name)
            {
                remove_file(shared, name)?;
            }
        }
        for (name, slot) in &sets {
            if let Slot::Sound(set) = slot {
                make_directory(shared)?;
                let SetState {
                    snapshot, durable, ..
                } = set;
                let record = SetRecord::new(durable.newest(), durable.undo_floor, &snapshot.files);
                record.install(&shared.context, name, None)?;
            }
        }
        Ok(())
    })?;
    shared.is_uncertain.store(false, Ordering::Release);
    Ok(())
}
