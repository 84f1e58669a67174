//! Truncating, replacing and pruning: runs of the index that would be left with too much of what is gone are rebuilt first,
//! beside the old ones; then one commit changes all.

use std::ops::Range;

use super::index_run::{IndexRunShape, run_rows};
use super::merge::{Keep, Merge};
use super::record::{IdRow, key_rows, put_block};
use super::writer::{Inner, replace_inputs};
use super::{Batch, Database, Table, catalogue};
use crate::{Block, Durability, INDEX_ENTRY_BYTES, Part, PruneReceipt, Receipt, Result, arguments};

/// Entries that are merged between two commits.
const STEP_ENTRIES: usize = 1 << 20;
/// A run is rebuilt when at least one in this many of its entries is gone.
const GONE_SHARE: u64 = 8;

impl<D: Database> Inner<D> {
    pub(super) fn truncate_above(&mut self, above: u64) -> Result<()> {
        arguments::truncation("truncate", self.state.extent, above)?;
        let end = above.saturating_add(1);
        if end < self.state.extent.end {
            self.exchange_top("truncate", end, &[])?;
        }
        Ok(())
    }

    pub(super) fn replace_top(
        &mut self,
        above: u64,
        run: &[Block],
        durability: Durability,
    ) -> Result<Receipt> {
        let end = arguments::replacement(self.state.extent, above, run)?;
        self.check_ids("replace", end, run)?;
        if end == self.state.extent.end {
            return self.append_checked(run, durability);
        }
        self.exchange_top("replace", end, run)
    }

    /// Removes the blocks from `end` on (there is at least one) and puts those of a run in their place, in one commit. The
    /// run's entries are in memory until blocks are appended.
    fn exchange_top(
        &mut self,
        operation: &'static str,
        end: u64,
        run: &[Block],
    ) -> Result<Receipt> {
        let extent = self.state.extent;
        // A merge that is under way reads runs that this is about to remove, and keeps entries of blocks that go.
        self.abandon(operation)?;
        let keep = Keep {
            index_floor: extent.index_floor,
            end,
        };
        let first = self
            .shapes
            .partition_point(|shape| shape.heights.end <= end);
        let cut: Vec<IndexRunShape> = self.shapes[first..].to_vec();
        // Beside the old runs, which stay until the one commit below: a crash before leaves the chain and its index as they
        // were.
        let remade = match cut.first() {
            Some(shape) if shape.heights.start < end => Some(self.remake(operation, &cut, keep)?),
            _ => None,
        };
        let gone = self.entries_of(end.max(extent.index_floor)..extent.end)?;
        let mut shapes = self.shapes[..first].to_vec();
        shapes.extend(remade);
        let ((), receipt) = self.commit(operation, Durability::Disk, |batch, context, state| {
            for table in [Table::Ids, Table::Headers, Table::Bodies] {
                batch.remove(table, end..extent.end)?;
            }
            batch.remove(Table::Keys, key_rows(&(end..extent.end)))?;
            for shape in &cut {
                batch.remove(Table::Runs, run_rows(shape.id))?;
            }
            state.extent.end = end + run.len() as u64;
            state.tail = state.tail.min(end);
            state.entries = state.entries.saturating_sub(gone);
            for block in run {
                put_block(batch, context, block)?;
                state.entries += block.index.len() as u64;
            }
            state.making = 0;
            state.epoch += 1;
            catalogue::write(batch, context, &shapes)
        })?;
        self.shapes = shapes;
        self.show()?;
        Ok(receipt)
    }

    pub(super) fn prune_part(
        &mut self,
        part: Part,
        below: u64,
        limit: u64,
    ) -> Result<PruneReceipt> {
        let extent = self.state.extent;
        arguments::pruning(extent, part, below)?;
        let before = extent.floor_of(part);
        let blocks = below.saturating_sub(before).min(limit);
        let floor = before + blocks;
        let mut receipt = PruneReceipt {
            floor,
            blocks,
            bytes: 0,
            freed_bytes: 0,
            done: floor >= below,
        };
        // Measured before anything is removed, so that only what this call frees is counted.
        let settled = self.database.settle()?;
        if blocks > 0 {
            receipt.bytes = self.bytes_of(part, before..floor)?;
        }
        let removed = match part {
            Part::Body => (Table::Bodies, before..floor),
            Part::Header => (Table::Headers, before..floor),
            Part::Index => (Table::Keys, key_rows(&(before..floor))),
        };
        let mut ranges = vec![removed.clone()];
        if blocks > 0 {
            if part == Part::Index {
                ranges.extend(self.prune_index(removed.1, floor)?);
            } else {
                let before = self.state;
                self.commit("prune", Durability::Disk, |batch, _, state| {
                    *state.extent.floor_of_mut(part) = floor;
                    batch.remove(removed.0, removed.1)
                })?;
                self.index.move_on(&before, &self.state);
            }
        }
        // After the commit: files are unlinked at once, and without the floor on the disk their rows would be missed as damage.
        let left = self.database.give_back(&ranges)?;
        receipt.freed_bytes = settled.saturating_sub(left);
        Ok(receipt)
    }

    /// Raises the index floor; gives the rows of runs that were removed.
    fn prune_index(&mut self, keys: Range<u64>, floor: u64) -> Result<Vec<(Table, Range<u64>)>> {
        // A merge that is under way still keeps keys below the new floor.
        self.abandon("prune")?;
        let extent = self.state.extent;
        let keep = Keep {
            index_floor: floor,
            end: extent.end,
        };
        let mut stale = Vec::new();
        for shape in &self.shapes {
            if shape.heights.start >= floor {
                break;
            }
            let kept = self.count_kept(&shape.heights, keep)?;
            if shape.entries.saturating_sub(kept) * GONE_SHARE >= shape.entries {
                stale.push(shape.clone());
            } else if !stale.is_empty() {
                break;
            }
        }
        let remade = match stale.is_empty() {
            true => None,
            false => Some(self.remake("prune", &stale, keep)?),
        };
        let gone = self.entries_of(extent.index_floor..floor)?;
        let mut shapes = self.shapes.clone();
        let shapes_ref = &mut shapes;
        self.commit("prune", Durability::Disk, |batch, context, state| {
            batch.remove(Table::Keys, keys)?;
            if let Some(shape) = &remade {
                replace_inputs(batch, shapes_ref, shape)?;
            }
            state.extent.index_floor = floor;
            state.entries = state.entries.saturating_sub(gone);
            state.making = 0;
            state.epoch += 1;
            catalogue::write(batch, context, shapes_ref)
        })?;
        self.shapes = shapes;
        self.show()?;
        Ok(stale
            .iter()
            .map(|shape| (Table::Runs, run_rows(shape.id)))
            .collect())
    }

    /// Makes one run of neighbours, without what is gone. Its rows are committed, but nobody's yet.
    fn remake(
        &mut self,
        operation: &'static str,
        inputs: &[IndexRunShape],
        keep: Keep,
    ) -> Result<IndexRunShape> {
        let ends = inputs.first().zip(inputs.last());
        let heights = ends.map_or(0..0, |(first, last)| {
            first.heights.start..last.heights.end.min(keep.end)
        });
        // Runs have one entry of a key that a block repeats, so they may have fewer than the blocks.
        let held = inputs.iter().map(|shape| shape.entries).sum();
        let shape = IndexRunShape {
            id: self.state.next_run,
            level: inputs.iter().map(|shape| shape.level).max().unwrap_or(0),
            entries: self.count_kept(&heights, keep)?.min(held),
            heights,
        };
        let id = shape.id;
        let mut merge = Some(Merge::new(inputs, shape, keep));
        let mut made = None;
        while let Some(mut merging) = merge.take() {
            let mut rows = Vec::new();
            {
                let (view, context) = (self.database.view()?, self.context());
                let mut put = |number: u64, content: &[u8]| {
                    rows.push((number, context.seal(Table::Runs, number, &[content])));
                    Ok(())
                };
                if merging.advance(&view, context, STEP_ENTRIES, &mut put)? {
                    made = Some(merging.finish(&mut put)?);
                } else {
                    merge = Some(merging);
                }
            }
            let before = self.state;
            // Not durable by itself: the commit that names the run is, and with it all before. If a crash comes first, `making`
            // tells the next writer what to remove.
            self.commit(operation, Durability::Os, |batch, _, state| {
                state.making = id;
                state.next_run = id + 1;
                rows.iter()
                    .try_for_each(|(number, row)| batch.put(Table::Runs, *number, row))
            })?;
            self.index.move_on(&before, &self.state);
        }
        made.ok_or_else(|| {
            let reason = "a run came to no end";
            self.context().corrupt(crate::DamageAt::Index, reason)
        })
    }

    /// Shows a changed catalogue to readers.
    fn show(&self) -> Result<()> {
        let view = self.database.view()?;
        self.index.catch_up(&view, self.context(), &self.state)
    }

    /// Entries, ids included, that are kept of the blocks at some heights.
    fn count_kept(&self, heights: &Range<u64>, keep: Keep) -> Result<u64> {
        let from = heights.start.max(keep.index_floor).min(keep.end);
        let to = heights.end.min(keep.end).max(from);
        let ids = heights.end.min(keep.end).saturating_sub(heights.start);
        Ok(ids + self.entries_of(from..to)?)
    }

    /// Index entries of the blocks at some heights.
    fn entries_of(&self, heights: Range<u64>) -> Result<u64> {
        self.sum(heights, |row| row.entries as u64)
    }

    fn bytes_of(&self, part: Part, heights: Range<u64>) -> Result<u64> {
        self.sum(heights, |row| match part {
            Part::Body => row.body_bytes.into(),
            Part::Header => row.header_bytes.into(),
            Part::Index => row.entries as u64 * INDEX_ENTRY_BYTES,
        })
    }

    fn sum(&self, heights: Range<u64>, of: impl Fn(&IdRow) -> u64) -> Result<u64> {
        let view = self.database.view()?;
        let mut sum = 0;
        for height in heights {
            sum += of(&IdRow::read(&view, self.context(), height)?);
        }
        Ok(sum)
    }
}
