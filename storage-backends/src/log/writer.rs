//! The writing half.

use std::sync::Arc;

use super::disk::{Disk, Heads};
use super::format::{FrameKind, Named};
use super::home::Hold;
use super::indexer::Indexer;
use super::load::clip_all;
use super::read_file::ReadFile;
use super::record::{bodies_bytes, entries_of, heads_bytes};
use super::roll::roll;
use super::segment::HeightTable;
use super::shared::{LogContext, Shared};
use super::state::entries_from;
use crate::entry_table::HEIGHT_MAX;
use crate::toolbox::guarded::{Guarded, Unguarded};
use crate::{
    Block, BlockWriter, Durability, Error, Part, PruneReceipt, Receipt, Result, arguments,
};

/// What is given out: as long as nothing failed, mutations are those of [`Inner`].
pub(super) type LogWriter = Guarded<Inner>;

/// What the latch guards. The indexing ends before the hold does, which lets another writer in.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) disk: Disk,
    pub(super) indexer: Indexer,
    pub(super) shared: Arc<Shared>,
    _hold: Arc<Hold>,
}

impl LogWriter {
    pub(super) fn new(hold: Arc<Hold>, disk: Disk) -> Result<Self> {
        let shared = Arc::clone(&hold.home().shared);
        let indexer = Indexer::start(&shared, &disk.context.options)?;
        let path = disk.context.directory.clone();
        let inner = Inner {
            disk,
            indexer,
            shared,
            _hold: hold,
        };
        Ok(Self::over(path, inner))
    }
}

impl Unguarded for Inner {
    fn keep(&mut self) {
        self.disk.keep();
    }

    /// What a failed mutation wrote is cut off again.
    fn take_back(&mut self) {
        self.disk.cut_back();
    }

    /// What was committed is with the operating system already. Once it is on the disk too, the next opening is short, and can
    /// tell damage from a crash.
    fn close(&mut self) -> Result<()> {
        self.disk.sync("close")
    }
}

impl BlockWriter for Inner {
    fn append(&mut self, run: &[Block], durability: Durability) -> Result<Receipt> {
        let extent = self.shared.read().extent;
        arguments::run("append", extent, run)?;
        self.check_ids("append", extent.end, run)?;
        self.append_checked(run, durability)
    }

    fn truncate(&mut self, above: u64) -> Result<()> {
        let end = above.saturating_add(1);
        {
            let extent = self.shared.read().extent;
            arguments::truncation("truncate", extent, above)?;
            if end >= extent.end {
                return Ok(());
            }
        }
        // On the disk before readers see it and before files are unlinked: after a loss of power the blocks would be back,
        // without their bodies.
        self.disk.write_note("truncate", FrameKind::Truncate, end)?;
        self.disk.sync("truncate")?;
        // First, since it reads and may fail: readers then go on with the chain as it was. And without the lock, for which they
        // would wait.
        let open = self.shared.read().open().snapshot();
        let LogContext { hash, salt, .. } = &self.disk.context;
        let gone = entries_from(&open, hash, *salt, end)?;
        let dead = {
            let mut state = self.shared.write();
            gone.into_iter().for_each(|entry| state.table.remove(entry));
            state.extent.end = end;
            state.open_mut().cut(end);
            let sealed = state.segments.len() - 1;
            clip_all(&mut state.segments[..sealed], end);
            state.take_emptied()
        };
        dead.iter()
            .try_for_each(|file| self.unlink("truncate", file))
    }

    fn replace(&mut self, above: u64, run: &[Block], durability: Durability) -> Result<Receipt> {
        self.replace_top(above, run, durability)
    }

    fn prune(&mut self, part: Part, below: u64, limit: u64) -> Result<PruneReceipt> {
        self.prune_part(part, below, limit)
    }

    fn put_named_value(&mut self, key: &str, value: &[u8], durability: Durability) -> Result<()> {
        arguments::named_value(key, value)?;
        if self.disk.values.is_mostly_old() {
            self.rewrite_values()?;
        }
        let path = Named::Values(self.disk.values.generation).path(&self.disk.context.directory);
        let place = self
            .disk
            .values
            .append(self.disk.context.salt, key, value)
            .map_err(|source| Error::system("put_named_value", &path, source))?;
        if durability == Durability::Disk {
            self.disk.sync("put_named_value")?;
        }
        // Published last, so that no reader is given a value that a failed write or sync takes back.
        let mut state = self.shared.write();
        state.values.file.show(self.disk.values.end);
        state.values.by_name.insert(key.to_owned(), place);
        self.disk.values.count(&state.values.by_name);
        Ok(())
    }

    fn sync(&mut self) -> Result<Receipt> {
        self.disk.sync("sync")?;
        Ok(self.receipt(Durability::Disk))
    }
}

impl Inner {
    pub(super) fn receipt(&self, durability: Durability) -> Receipt {
        Receipt {
            end: self.shared.read().extent.end,
            durability,
        }
    }

    pub(super) fn append_checked(
        &mut self,
        run: &[Block],
        durability: Durability,
    ) -> Result<Receipt> {
        let disk = durability == Durability::Disk;
        if run.is_empty() {
            if disk {
                self.disk.sync("append")?;
            }
        } else {
            if self.is_full_for(run) {
                self.roll(self.disk.version)?;
            }
            let (shared, entries) = (&self.shared, entries_of(run));
            // Index entries of a run that isn't published lead nowhere, so they need not wait for the disk.
            self.disk.write_run(FrameKind::Run, run, disk, |heads| {
                // Shown first: where two keys have one hash, the index compares them as the file has them.
                show_heads(shared, heads, entries);
                index_records(shared, heads)
            })?;
            self.show_bodies();
            if disk {
                self.disk.sync("append")?;
            }
            // Readers see the run when it is as durable as was asked for; what they saw before a failed sync could vanish.
            self.publish(run);
        }
        let reached = if disk {
            Durability::Disk
        } else {
            Durability::Os
        };
        Ok(self.receipt(reached))
    }

    /// Refuses ids of blocks below `end`.
    pub(super) fn check_ids(&self, operation: &'static str, end: u64, run: &[Block]) -> Result<()> {
        for block in run {
            // An address in the index has no bits for more; it would wrap into another height's.
            if block.height >= HEIGHT_MAX {
                let reason = format!("heights end at {HEIGHT_MAX}");
                return Err(Error::argument(operation, reason));
            }
            let held = self.shared.height_of(&block.id)?;
            if held.is_some_and(|held| held < end) {
                return Err(arguments::duplicate_id(operation, block.height));
            }
        }
        Ok(())
    }

    /// Goes over to the next segment, whose heads are of a version.
    pub(super) fn roll(&mut self, version: u32) -> Result<()> {
        roll(&self.shared, &mut self.disk, version)?;
        self.indexer.segment_sealed()
    }

    /// Whether the open segment ends before a run.
    pub(super) fn is_full_for(&self, run: &[Block]) -> bool {
        let options = &self.disk.context.options;
        let heads = self.disk.heads.end + heads_bytes(run) as u64;
        let bodies = self.disk.bodies.end + bodies_bytes(run);
        let entries = self.shared.read().open().entries + entries_of(run) as u64;
        // An empty segment takes a run of any size: sealing it would leave a segment without blocks and the run as large as
        // before.
        !self.disk.is_fresh()
            && (heads.max(bodies) > options.segment_bytes
                || entries > options.segment_entries as u64)
    }

    /// Lets bodies that were written be looked at, which no reader does before they are published.
    pub(super) fn show_bodies(&self) {
        let mut state = self.shared.write();
        let open = state.open_mut();
        if let Some(bodies) = &open.bodies {
            bodies.show(self.disk.bodies.end);
        }
        open.bodies_bytes = self.disk.bodies.end;
    }

    fn publish(&self, run: &[Block]) {
        let mut state = self.shared.write();
        state.extent.end += run.len() as u64;
        let end = state.extent.end;
        let open = state.open_mut();
        open.live.end = end;
        open.add_keys((entries_of(run) - run.len()) as u64);
    }

    pub(super) fn unlink(&self, operation: &'static str, file: &ReadFile) -> Result<()> {
        let removed = self.disk.context.files.remove(file.path());
        removed.map_err(|source| Error::system(operation, file.path(), source))
    }

    fn rewrite_values(&mut self) -> Result<()> {
        let held = self.shared.read().values.clone();
        let (file, values) = self.disk.values.rewrite(&self.disk.context, &held)?;
        // Every opening finds the new file now, whose name is on the disk; the old one is unlinked last, when no reader is led
        // to it.
        self.disk.values = file;
        self.disk.keep();
        self.shared.write().values = values;
        self.disk.write_mark("put_named_value")?;
        self.unlink("put_named_value", &held.file)
    }
}

/// Lets heads that were written be looked at, which no reader does before they are published.
fn show_heads(shared: &Shared, written: Heads<'_>, entries: usize) {
    let mut state = shared.write();
    let open = state.open_mut();
    open.heads.show(written.end);
    open.entries += entries as u64;
    open.content = written.content;
    if let HeightTable::Listed(offsets) = &mut open.table {
        offsets.extend(written.offsets());
    }
}

/// Indexes the records of a frame that was written, from memory.
fn index_records(shared: &Shared, written: Heads<'_>) -> Result<()> {
    for at in written.records {
        // Locked for one record at a time: readers would wait for the whole of a large run.
        let mut state = shared.write();
        let record = written.record(*at, state.salt, &state.open().heads)?;
        state.index(&record, record.keys_of(&written.frame[*at..]))?;
    }
    Ok(())
}
