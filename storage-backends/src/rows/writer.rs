//! The writing half, on any engine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::index::{find_id, hashed_blocks};
use super::index_run::{IndexRunMaker, IndexRunShape, run_rows};
use super::reader::check_ends;
use super::record::{names, put_block, put_names};
use super::state::{Identity, RowState};
use super::upkeep::{Upkeep, Work};
use super::{Batch, Database, IndexOptions, RowContext, SharedIndex, Table, catalogue};
use crate::entry_table::{EntryTable, HEIGHT_MAX};
use crate::toolbox::guarded::{Guarded, Unguarded};
use crate::{
    Block, BlockWriter, Durability, Error, Part, PruneReceipt, Receipt, Result, arguments,
};

/// Writes the rows of one store: as long as nothing failed, mutations are those of [`Inner`].
pub(crate) type RowWriter<D> = Guarded<Inner<D>>;

/// What the latch guards.
pub(crate) struct Inner<D> {
    pub(super) database: D,
    pub(super) identity: Identity,
    pub(super) path: PathBuf,
    pub(super) index: Arc<SharedIndex>,
    /// As of the last commit.
    pub(super) state: RowState,
    /// The catalogue as of the last commit.
    pub(super) shapes: Vec<IndexRunShape>,
    pub(super) names: BTreeMap<String, u64>,
    pub(super) upkeep: Upkeep,
    pub(super) options: IndexOptions,
}

impl<D: Database> RowWriter<D> {
    pub(crate) fn new(database: D, index: Arc<SharedIndex>, options: IndexOptions) -> Result<Self> {
        let inner = Inner::open(database, index, options)?;
        Ok(Self::over(inner.path.clone(), inner))
    }
}

impl<D: Database> Unguarded for Inner<D> {}

impl<D: Database> Inner<D> {
    pub(super) fn open(
        database: D,
        index: Arc<SharedIndex>,
        options: IndexOptions,
    ) -> Result<Self> {
        let path = database.path().to_owned();
        let view = database.view()?;
        let identity = Identity::read(&view, &path)?;
        let context = identity.at(&path);
        let state = check_ends(&view, context)?;
        let shapes = catalogue::read(&view, context)?;
        let names = names(&view, context)?;
        index.catch_up(&view, context, &state)?;
        drop(view);
        let mut inner = Self {
            database,
            identity,
            path,
            index,
            state,
            shapes,
            names,
            upkeep: Upkeep::default(),
            options,
        };
        inner.abandon("open")?;
        Ok(inner)
    }

    pub(super) fn context(&self) -> RowContext<'_> {
        self.identity.at(&self.path)
    }

    /// Commits a change, with the state that it makes of the present one.
    pub(super) fn commit<T>(
        &mut self,
        operation: &'static str,
        durability: Durability,
        change: impl FnOnce(&mut D::Batch<'_>, RowContext<'_>, &mut RowState) -> Result<T>,
    ) -> Result<(T, Receipt)> {
        let mut next = self.state;
        next.commits += 1;
        let context = self.identity.at(&self.path);
        let (outcome, durability) = self.database.commit(operation, durability, |batch| {
            let outcome = change(batch, context, &mut next)?;
            next.write(batch, context)?;
            Ok(outcome)
        })?;
        self.state = next;
        let end = next.extent.end;
        Ok((outcome, Receipt { end, durability }))
    }

    pub(super) fn append_checked(
        &mut self,
        run: &[Block],
        durability: Durability,
    ) -> Result<Receipt> {
        let before = self.state;
        let entries = hashed_blocks(self.context(), run);
        // Before the flush, which takes these entries along; until the blocks are committed, they lead nowhere.
        self.index.add(&entries, run)?;
        let end = before.extent.end + run.len() as u64;
        let flush = self.flush(end)?;
        let fanout = self.options.fanout.max(2);
        let work = {
            let view = self.database.view()?;
            let context = self.identity.at(&self.path);
            self.upkeep.work(
                &view,
                context,
                (&self.shapes, &before),
                fanout,
                entries.len(),
            )?
        };
        let changed = flush.is_some() || work.finished.is_some();
        // If the commit fails these are lost; the latch is closed then, and the next writer reads the catalogue.
        let mut shapes = std::mem::take(&mut self.shapes);
        let shapes_ref = &mut shapes;
        let (tail, receipt) = self.commit("append", durability, |batch, context, state| {
            for block in run {
                put_block(batch, context, block)?;
                state.entries += block.index.len() as u64;
            }
            state.extent.end = end;
            put_work(batch, state, shapes_ref, &work)?;
            let mut tail = None;
            if let Some(flush) = flush {
                tail = Some(put_flush(batch, context, state, shapes_ref, flush)?);
            }
            if changed {
                state.epoch += 1;
                catalogue::write(batch, context, shapes_ref)?;
            }
            Ok(tail)
        })?;
        self.shapes = shapes;
        if changed {
            self.publish(tail)?;
        } else {
            self.index.move_on(&before, &self.state);
        }
        Ok(receipt)
    }

    /// Refuses ids of blocks below `end`.
    pub(super) fn check_ids(&self, operation: &'static str, end: u64, run: &[Block]) -> Result<()> {
        if run.is_empty() {
            return Ok(());
        }
        let (view, context) = (self.database.view()?, self.context());
        for block in run {
            // An address in the index has no bits for more; it would wrap into another height's.
            if block.height >= HEIGHT_MAX {
                let reason = format!("heights end at {HEIGHT_MAX}");
                return Err(Error::argument(operation, reason));
            }
            let hash = context.hash.of_id(&block.id);
            let addresses = self.index.addresses(&view, context, &self.state, hash)?;
            // It can't be later than this writer's state: nobody else commits.
            let addresses = addresses.unwrap_or_default();
            let held = find_id(&view, context, &self.state, &addresses, &block.id)?;
            if held.is_some_and(|held| held < end) {
                return Err(arguments::duplicate_id(operation, block.height));
            }
        }
        Ok(())
    }

    /// Makes a run of all entries in memory, if they are many; blocks up to `end` are among them.
    fn flush(&self, end: u64) -> Result<Option<Flush>> {
        let index = self.index.read();
        if index.table.len() < self.options.entries_in_memory.max(1) || self.state.tail == end {
            return Ok(None);
        }
        let shape = IndexRunShape {
            id: 0,
            level: 0,
            heights: self.state.tail..end,
            entries: index.table.len() as u64,
        };
        let mut flush = Flush {
            shape,
            entries: Vec::with_capacity(index.table.len()),
        };
        flush.entries.extend(index.table.sorted());
        Ok(Some(flush))
    }

    /// Shows the catalogue's change to readers; a flush leaves no entries in memory.
    fn publish(&self, flushed: Option<EntryTable>) -> Result<()> {
        match flushed {
            Some(table) => self.index.replace(&self.state, self.shapes.clone(), table),
            None => {
                let view = self.database.view()?;
                self.index.catch_up(&view, self.context(), &self.state)?;
            }
        }
        Ok(())
    }

    /// Removes the rows of a run that is or was being made.
    pub(super) fn abandon(&mut self, operation: &'static str) -> Result<()> {
        self.upkeep = Upkeep::default();
        let making = self.state.making;
        if making != 0 {
            let before = self.state;
            self.commit(operation, Durability::Os, |batch, _, state| {
                // Rows and note in one commit: with the note gone first, rows that nobody names would stay for ever.
                state.making = 0;
                batch.remove(Table::Runs, run_rows(making))
            })?;
            self.index.move_on(&before, &self.state);
        }
        Ok(())
    }
}

impl<D: Database> BlockWriter for Inner<D> {
    fn append(&mut self, run: &[Block], durability: Durability) -> Result<Receipt> {
        let extent = self.state.extent;
        arguments::run("append", extent, run)?;
        self.check_ids("append", extent.end, run)?;
        self.append_checked(run, durability)
    }

    fn truncate(&mut self, above: u64) -> Result<()> {
        self.truncate_above(above)
    }

    fn replace(&mut self, above: u64, run: &[Block], durability: Durability) -> Result<Receipt> {
        self.replace_top(above, run, durability)
    }

    fn prune(&mut self, part: Part, below: u64, limit: u64) -> Result<PruneReceipt> {
        self.prune_part(part, below, limit)
    }

    fn put_named_value(&mut self, key: &str, value: &[u8], durability: Durability) -> Result<()> {
        arguments::named_value(key, value)?;
        let before = self.state;
        let held = self.names.get(key).copied();
        let number = held.unwrap_or(before.next_value);
        let mut names = std::mem::take(&mut self.names);
        names.insert(key.to_owned(), number);
        self.commit("put_named_value", durability, |batch, context, state| {
            if held.is_none() {
                state.next_value += 1;
                put_names(batch, context, &names)?;
            }
            context.put(batch, (Table::Values, number), &[value])
        })?;
        self.names = names;
        self.index.move_on(&before, &self.state);
        Ok(())
    }

    fn sync(&mut self) -> Result<Receipt> {
        // Engines sync with a commit, and with it all earlier ones: so a commit of nothing is a sync.
        self.append(&[], Durability::Disk)
    }
}

/// The entries of the next run.
struct Flush {
    shape: IndexRunShape,
    entries: Vec<crate::entry_table::Entry>,
}

fn put_flush(
    batch: &mut impl Batch,
    context: RowContext<'_>,
    state: &mut RowState,
    shapes: &mut Vec<IndexRunShape>,
    flush: Flush,
) -> Result<EntryTable> {
    let shape = IndexRunShape {
        id: state.next_run,
        ..flush.shape
    };
    state.next_run += 1;
    state.tail = shape.heights.end;
    let mut put =
        |number: u64, content: &[u8]| context.put(batch, (Table::Runs, number), &[content]);
    let mut maker = IndexRunMaker::new(shape);
    for entry in flush.entries {
        maker.push(entry, &mut put)?;
    }
    shapes.push(maker.finish(&mut put)?);
    Ok(EntryTable::with_room(0))
}

fn put_work(
    batch: &mut impl Batch,
    state: &mut RowState,
    shapes: &mut Vec<IndexRunShape>,
    work: &Work,
) -> Result<()> {
    for (number, row) in &work.rows {
        batch.put(Table::Runs, *number, row)?;
    }
    if let Some(id) = work.begun {
        // Noted in the commit that has the run's first rows: whatever a crash leaves of the run, the next writer finds and
        // removes it.
        state.making = id;
        state.next_run = id + 1;
    }
    if let Some(shape) = &work.finished {
        state.making = 0;
        replace_inputs(batch, shapes, shape)?;
    }
    Ok(())
}

/// Puts a run in the place of those whose heights it covers, and removes their rows.
pub(super) fn replace_inputs(
    batch: &mut impl Batch,
    shapes: &mut Vec<IndexRunShape>,
    shape: &IndexRunShape,
) -> Result<()> {
    let covered = |input: &IndexRunShape| {
        input.heights.start >= shape.heights.start && input.heights.end <= shape.heights.end
    };
    for input in shapes.iter().filter(|input| covered(input)) {
        batch.remove(Table::Runs, run_rows(input.id))?;
    }
    let at = shapes.partition_point(|input| input.heights.start < shape.heights.start);
    shapes.retain(|input| !covered(input));
    shapes.insert(at.min(shapes.len()), shape.clone());
    Ok(())
}
