//! The writing half.

use std::sync::Arc;

use super::disk::{Disk, Heads};
use super::format::{FrameKind, Named};
use super::home::Hold;
use super::indexer::Indexer;
use super::load::clip_all;
use super::read_file::ReadFile;
use super::record::{Record, bodies_bytes, entries_of, heads_bytes};
use super::roll::roll;
use super::segment::HeightTable;
use super::shared::Shared;
use super::state::State;
use crate::table::HEIGHT_MAX;
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
    _hold: Hold,
}

impl LogWriter {
    pub(super) fn new(hold: Hold, disk: Disk) -> Result<Self> {
        let shared = Arc::clone(&hold.home().shared);
        let indexer = Indexer::start(&shared, &disk.site.options)?;
        let path = disk.site.directory.clone();
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

    /// What was committed is the operating system's already; that it is on the disk too makes the next opening
    /// short, and damage told from a crash.
    fn close(&mut self) -> Result<()> {
        self.disk.sync("close")
    }
}

impl BlockWriter for Inner {
    fn append(&mut self, run: &[Block], durability: Durability) -> Result<Receipt> {
        self.check(run)?;
        let disk = durability == Durability::Disk;
        if run.is_empty() {
            if disk {
                self.disk.sync("append")?;
            }
        } else {
            if self.is_full_for(run) {
                roll(&self.shared, &mut self.disk)?;
                self.indexer.segment_sealed()?;
            }
            let (shared, entries) = (&self.shared, entries_of(run));
            // The index of a run that isn't published leads nowhere, so it needs not wait for the disk.
            self.disk.write_run(run, disk, |heads| {
                show_heads(shared, heads, entries);
                index_records(shared, heads)
            })?;
            self.show_bodies();
            if disk {
                self.disk.sync("append")?;
            }
            self.publish(run);
        }
        let reached = if disk {
            Durability::Disk
        } else {
            Durability::Os
        };
        Ok(self.receipt(reached))
    }

    fn truncate(&mut self, above: u64) -> Result<()> {
        let end = above.saturating_add(1);
        {
            let extent = self.shared.read().extent;
            arguments::truncation(extent, above)?;
            if end >= extent.end {
                return Ok(());
            }
        }
        self.disk.write_note("truncate", FrameKind::Truncate, end)?;
        self.disk.sync("truncate")?;
        let dead = {
            let mut state = self.shared.write();
            state.unindex(end)?;
            cut_open(&mut state, end);
            let sealed = state.segments.len() - 1;
            clip_all(&mut state.segments[..sealed], end);
            let emptied = state.segments[..sealed]
                .iter_mut()
                .filter(|segment| segment.live.is_empty());
            emptied
                .filter_map(|segment| segment.bodies.take())
                .collect::<Vec<_>>()
        };
        dead.iter()
            .try_for_each(|file| self.unlink("truncate", file))
    }

    fn prune(&mut self, part: Part, below: u64, limit: u64) -> Result<PruneReceipt> {
        self.prune_part(part, below, limit)
    }

    fn put_meta(&mut self, key: &str, value: &[u8], durability: Durability) -> Result<()> {
        arguments::meta(key, value)?;
        if self.disk.values.is_mostly_old() {
            self.rewrite_values()?;
        }
        let path = Named::Meta(self.disk.values.generation).path(&self.disk.site.directory);
        let place = self
            .disk
            .values
            .append(self.disk.site.salt, key, value)
            .map_err(|source| Error::system("put_meta", &path, source))?;
        if durability == Durability::Disk {
            self.disk.sync("put_meta")?;
        }
        let mut state = self.shared.write();
        state.values.file.show(self.disk.values.end);
        state.values.places.insert(key.to_owned(), place);
        self.disk.values.count(&state.values.places);
        Ok(())
    }

    fn sync(&mut self) -> Result<Receipt> {
        self.disk.sync("sync")?;
        Ok(self.receipt(Durability::Disk))
    }
}

impl Inner {
    fn receipt(&self, durability: Durability) -> Receipt {
        Receipt {
            end: self.shared.read().extent.end,
            durability,
        }
    }

    fn check(&self, run: &[Block]) -> Result<()> {
        let state = self.shared.read();
        arguments::run(state.extent, run)?;
        for block in run {
            if block.height >= HEIGHT_MAX {
                let reason = format!("heights end at {HEIGHT_MAX}");
                return Err(Error::argument("append", reason));
            }
            if state.height_of(&block.id)?.is_some() {
                return Err(arguments::duplicate_id(block.height));
            }
        }
        Ok(())
    }

    /// Whether the open segment ends before a run.
    fn is_full_for(&self, run: &[Block]) -> bool {
        let options = &self.disk.site.options;
        let heads = self.disk.heads.end + heads_bytes(run) as u64;
        let bodies = self.disk.bodies.end + bodies_bytes(run);
        let entries = self.shared.read().open().entries + entries_of(run) as u64;
        !self.disk.is_fresh()
            && (heads.max(bodies) > options.segment_bytes
                || entries > options.segment_entries as u64)
    }

    /// Lets bodies that were written be looked at, which no reader does before they are published.
    fn show_bodies(&self) {
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
        let removed = self.disk.site.files.remove(file.path());
        removed.map_err(|source| Error::system(operation, file.path(), source))
    }

    fn rewrite_values(&mut self) -> Result<()> {
        let held = self.shared.read().values.clone();
        let (file, values) = self.disk.values.rewrite(&self.disk.site, &held)?;
        self.disk.values = file;
        self.disk.keep();
        self.shared.write().values = values;
        self.disk.write_mark("put_meta")?;
        self.unlink("put_meta", &held.file)
    }
}

/// Takes heights from `end` on out of the open segment.
fn cut_open(state: &mut State, end: u64) {
    state.extent.end = end;
    let open = state.open_mut();
    open.forget_keys();
    open.low = open.low.min(end);
    open.live = open.live.start.min(end)..end;
    let kept = (end - open.low) as usize;
    if let HeightTable::Listed(offsets) = &mut open.table {
        offsets.truncate(kept);
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
        let bytes = &written.frame[*at..];
        let (offset, room) = (written.start + *at as u64, bytes.len() as u64);
        let mut state = shared.write();
        let record = Record::decode(bytes, offset, room, state.salt).ok_or_else(|| {
            let reason = "the record is not what was to be written";
            state.open().heads.corrupt(offset, reason)
        })?;
        state.index(&record, record.keys_of(bytes))?;
    }
    Ok(())
}
