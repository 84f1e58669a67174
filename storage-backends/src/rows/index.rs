//! The index as it is searched: the runs of the catalogue, and a table of the blocks after them.
//!
//! It is of one moment, that of a number of commits. The writer brings it forward with each commit; a reader in
//! another process, or one that is faster, does it itself from the rows.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::index_run::{FilterBudget, IndexRun, IndexRunShape};
use super::record::IdRow;
use super::state::RowState;
use super::{RowContext, View, catalogue};
use crate::entry_table::{Entry, EntryTable, IndexAddress, Same};
use crate::{Block, Id, IndexEntry, Result};

/// Bytes of filters that are kept in memory: those of some forty million entries. The others are read when asked.
const FILTER_BYTES_MAX: u64 = 64 << 20;

/// The index, shared by the halves of a store.
#[derive(Debug)]
pub(crate) struct SharedIndex {
    index: RwLock<Index>,
    budget: FilterBudget,
}

/// The index at one moment.
#[derive(Debug)]
pub(super) struct Index {
    /// The moment; `None` before anything was read.
    moment: Option<Moment>,
    /// By ascending heights.
    pub(super) runs: Vec<Arc<IndexRun>>,
    /// The entries from [`RowState::tail`] on.
    pub(super) table: EntryTable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moment {
    commits: u64,
    epoch: u64,
    end: u64,
}

impl Moment {
    fn of(state: &RowState) -> Self {
        Self {
            commits: state.commits,
            epoch: state.epoch,
            end: state.extent.end,
        }
    }
}

impl Default for SharedIndex {
    fn default() -> Self {
        Self {
            index: RwLock::new(Index {
                moment: None,
                runs: Vec::new(),
                table: EntryTable::with_room(0),
            }),
            budget: FilterBudget {
                used: AtomicU64::new(0),
                limit: FILTER_BYTES_MAX,
            },
        }
    }
}

impl SharedIndex {
    // A panic under the lock closes the writer's latch. Readers may go on, since entries prove nothing.
    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the index to the moment of a view, unless it is later already.
    pub(super) fn catch_up(
        &self,
        view: &impl View,
        context: RowContext<'_>,
        state: &RowState,
    ) -> Result<()> {
        self.write().catch_up(view, context, state, &self.budget)
    }

    /// All addresses under a hash at the moment of a view; `None` if the index is later than that already.
    pub(super) fn addresses(
        &self,
        view: &impl View,
        context: RowContext<'_>,
        state: &RowState,
        hash: u64,
    ) -> Result<Option<Vec<IndexAddress>>> {
        let wanted = Moment::of(state);
        loop {
            let index = self.read();
            match index.moment {
                Some(moment) if moment == wanted => {
                    return index.addresses(view, context, &self.budget, hash).map(Some);
                }
                // The runs of the view's moment may be gone: the caller takes a later view.
                Some(moment) if moment.commits > wanted.commits => return Ok(None),
                _ => {}
            }
            // Let go first: catching up takes the same lock to write.
            drop(index);
            self.catch_up(view, context, state)?;
        }
    }

    /// Adds entries of blocks that are about to be committed; they count once they are.
    pub(super) fn add(&self, entries: &[Entry]) -> Result<()> {
        self.write().add(entries)
    }

    /// After a commit that added blocks, whose entries were added: moves from `before` to `after`.
    pub(super) fn move_on(&self, before: &RowState, after: &RowState) {
        let mut index = self.write();
        // A reader may have brought the index here already, from rows. And an index of no moment lacks entries: it must be read
        // anew, not moved on.
        if index.moment == Some(Moment::of(before)) {
            index.moment = Some(Moment::of(after));
        }
    }

    /// Takes the place of the runs and the table, after a commit that changed the catalogue.
    pub(super) fn replace(&self, state: &RowState, shapes: Vec<IndexRunShape>, table: EntryTable) {
        let mut index = self.write();
        // A reader may have seen the commit and done this before the writer came to it.
        let is_later = |moment: Moment| moment.commits >= state.commits;
        if !index.moment.is_some_and(is_later) {
            index.set_runs(shapes, &self.budget);
            index.table = table;
            index.moment = Some(Moment::of(state));
        }
    }
}

impl Index {
    fn addresses(
        &self,
        view: &impl View,
        context: RowContext<'_>,
        budget: &FilterBudget,
        hash: u64,
    ) -> Result<Vec<IndexAddress>> {
        let mut addresses: Vec<IndexAddress> = self.table.addresses(hash).collect();
        for run in &self.runs {
            run.addresses(view, context, budget, hash, &mut |address| {
                addresses.push(address)
            })?;
        }
        addresses.sort_unstable();
        addresses.dedup();
        Ok(addresses)
    }

    fn catch_up(
        &mut self,
        view: &impl View,
        context: RowContext<'_>,
        state: &RowState,
        budget: &FilterBudget,
    ) -> Result<()> {
        let from = match self.moment {
            Some(moment) if moment.commits >= state.commits => return Ok(()),
            Some(moment) if moment.epoch == state.epoch => moment.end,
            _ => {
                // Of no moment until all is read: if that fails half-way, nobody takes what is there for whole.
                self.moment = None;
                self.set_runs(catalogue::read(view, context)?, budget);
                self.table = EntryTable::with_room(0);
                state.tail
            }
        };
        for height in from..state.extent.end {
            let row = IdRow::read(view, context, height)?;
            let index = if height < state.extent.index_floor {
                Vec::new()
            } else {
                row.index(view, context)?
            };
            self.add(&hashed(context, height, &row.id, &index))?;
        }
        self.moment = Some(Moment::of(state));
        Ok(())
    }

    fn add(&mut self, entries: &[Entry]) -> Result<()> {
        // Entries may be added twice: by the writer, and by a reader that caught up.
        let same = |old, new| Ok(if old == new { Same::Old } else { Same::No });
        self.table.insert_all(entries, same)
    }

    /// Makes the runs those of a catalogue; runs that stay keep their filters.
    fn set_runs(&mut self, shapes: Vec<IndexRunShape>, budget: &FilterBudget) {
        let runs = std::mem::take(&mut self.runs);
        self.runs = shapes
            .into_iter()
            .map(|shape| match runs.iter().find(|run| run.shape == shape) {
                Some(run) => Arc::clone(run),
                None => Arc::new(IndexRun::new(shape)),
            })
            .collect();
        // What their filters took goes back to the budget, or after enough merges no run would have room for its own.
        for gone in runs.iter().filter(|run| Arc::strong_count(run) == 1) {
            budget
                .used
                .fetch_sub(gone.filter_bytes_held(), Ordering::Relaxed);
        }
    }
}

/// The entries of a block.
pub(super) fn hashed(
    context: RowContext<'_>,
    height: u64,
    id: &Id,
    index: &[IndexEntry],
) -> Vec<Entry> {
    let id = Entry {
        hash: context.hash.of_id(id),
        address: IndexAddress::of_id(height),
    };
    let keys = index.iter().enumerate().map(|(number, entry)| Entry {
        hash: context.hash.of_key(&entry.key),
        address: IndexAddress::of_entry(height, number),
    });
    std::iter::once(id).chain(keys).collect()
}

/// The entries of blocks.
pub(super) fn hashed_blocks(context: RowContext<'_>, run: &[Block]) -> Vec<Entry> {
    run.iter()
        .flat_map(|block| hashed(context, block.height, &block.id, &block.index))
        .collect()
}

/// The first height of a block with an id.
pub(super) fn find_id(
    view: &impl View,
    context: RowContext<'_>,
    state: &RowState,
    addresses: &[IndexAddress],
    id: &Id,
) -> Result<Option<u64>> {
    for address in addresses {
        let height = address.height();
        if address.entry().is_some() || height >= state.extent.end {
            continue;
        }
        if IdRow::read(view, context, height)?.id == *id {
            return Ok(Some(height));
        }
    }
    Ok(None)
}

/// The first position of a key, as height and position.
pub(super) fn find_key(
    view: &impl View,
    context: RowContext<'_>,
    state: &RowState,
    addresses: &[IndexAddress],
    key: &Id,
) -> Result<Option<(u64, u32)>> {
    let mut first: Option<(u64, u32)> = None;
    for address in addresses {
        let height = address.height();
        let Some(number) = address.entry() else {
            continue;
        };
        if height < state.extent.index_floor || height >= state.extent.end {
            continue;
        }
        // Places ascend by height, but positions within a block may come in any order.
        if first.is_some_and(|(found, _)| found < height) {
            break;
        }
        let row = IdRow::read(view, context, height)?;
        if let Some(entry) = row.entry_of(view, context, number)?
            && entry.key == *key
        {
            let found = (height, entry.position);
            first = Some(first.map_or(found, |first| first.min(found)));
        }
    }
    Ok(first)
}
