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
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
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

    /// Adds the entries of blocks that are about to be committed; they count once they are.
    pub(super) fn add(&self, entries: &[Entry], run: &[Block]) -> Result<()> {
        let first = run.first().map_or(0, |block| block.height);
        let block = |height: u64| run.get(usize::try_from(height.checked_sub(first)?).ok()?);
        let index_of = |height| block(height).map_or(&[][..], |block| &block.index);
        insert(&mut self.write().table, entries, index_of)
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
            insert_block(&mut self.table, context, height, &row.id, &index)?;
        }
        self.moment = Some(Moment::of(state));
        Ok(())
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

/// Inserts the entries of blocks, whose index entries `index_of` gives by height. Of a key that a block gives several times, only
/// the first position is kept: all of them have one hash, so that each further one would be compared with all before.
fn insert<'a>(
    table: &mut EntryTable,
    entries: &[Entry],
    index_of: impl Fn(u64) -> &'a [IndexEntry],
) -> Result<()> {
    table.insert_all(entries, |old, new| Ok(same(&index_of, old, new)))
}

/// The same of one block.
pub(super) fn insert_block(
    table: &mut EntryTable,
    context: RowContext<'_>,
    height: u64,
    id: &Id,
    index: &[IndexEntry],
) -> Result<()> {
    insert(table, &hashed(context, height, id, index), |_| index)
}

/// Which of two addresses of one hash stays, the second being of a block whose index entries `index_of` gives.
fn same<'a>(
    index_of: impl Fn(u64) -> &'a [IndexEntry],
    old: IndexAddress,
    new: IndexAddress,
) -> Same {
    // Entries may be added twice: by the writer, and by a reader that caught up.
    if old == new {
        return Same::Old;
    }
    // A key keeps an address for each block that gives it, since those of later blocks count once this one is pruned.
    if old.height() != new.height() {
        return Same::No;
    }
    // The old one may be of a block whose commit failed; it leads to this block's entry now, and it is that one that is compared.
    let index = index_of(new.height());
    let entry = |address: IndexAddress| index.get(address.entry()?);
    match (entry(old), entry(new)) {
        (Some(held), Some(offered)) if held.key == offered.key => {
            if offered.position < held.position {
                Same::New
            } else {
                Same::Old
            }
        }
        _ => Same::No,
    }
}

/// The entries of a block.
fn hashed(context: RowContext<'_>, height: u64, id: &Id, index: &[IndexEntry]) -> Vec<Entry> {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::in_memory::InMemory;
    use super::*;

    const KEY: Id = [7; 32];

    /// A block of which every second entry is of one key, with its positions in descending order.
    fn block(height: u64, entries: u32) -> Block {
        let entry = |number: u32| {
            let mut other = [height as u8; 32];
            other[..4].copy_from_slice(&number.to_le_bytes());
            let is_other = number % 2 == 1;
            IndexEntry {
                key: if is_other { other } else { KEY },
                position: entries - number,
            }
        };
        Block {
            height,
            id: [height as u8; 32],
            header: Default::default(),
            body: Default::default(),
            index: (0..entries).map(entry).collect(),
        }
    }

    /// With a slot for each of a million times, inserting would compare 10^11 pairs.
    #[test]
    fn a_key_that_a_block_repeats_has_one_entry_and_takes_one_comparison_each() {
        const ENTRIES: u32 = 1 << 20;
        let (_, context) = InMemory::initialised();
        let block = block(3, ENTRIES);
        let entries = hashed_blocks(context, std::slice::from_ref(&block));
        let mut table = EntryTable::with_room(0);
        let mut compared = 0_u32;
        let same = |old, new| {
            compared += 1;
            Ok(same(|_| &block.index, old, new))
        };
        table.insert_all(&entries, same).unwrap();
        // The id, the other keys, and the repeated one.
        assert_eq!(table.len(), 2 + ENTRIES as usize / 2);
        assert_eq!(compared, ENTRIES / 2 - 1);
        let found: Vec<_> = table.addresses(context.hash.of_key(&KEY)).collect();
        assert_eq!(found, [IndexAddress::of_entry(3, ENTRIES as usize - 2)]);
    }

    #[test]
    fn added_twice_and_over_a_block_that_was_never_committed_entries_lead_to_the_first_position() {
        let (_, context) = InMemory::initialised();
        let shared = SharedIndex::default();
        let add = |run: &[Block]| shared.add(&hashed_blocks(context, run), run).unwrap();
        let mut never = block(4, 9);
        never.index.reverse();
        add(&[block(3, 5), never]);
        for _ in 0..2 {
            let run = [block(4, 7), block(5, 3)];
            add(&run);
            let index = shared.read();
            let found = index.table.addresses(context.hash.of_key(&KEY));
            let positions = found.filter_map(|address| {
                let height = address.height().checked_sub(4)?;
                let entry = run[height as usize].index.get(address.entry()?)?;
                (entry.key == KEY).then_some((address.height(), entry.position))
            });
            let positions: std::collections::BTreeSet<_> = positions.collect();
            assert_eq!(positions.first(), Some(&(4, 1)));
            assert_eq!(positions.last(), Some(&(5, 1)));
        }
    }
}
