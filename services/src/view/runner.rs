//! Runs views over a chain: reads each block once, applies it to all, commits rows with heights, and goes back where the chain did.

use std::ops::ControlFlow;
use std::sync::Arc;

use hubledger::consensus;
use hubledger::ledger::{BlockProgress, BlockStep, ChainReader, LedgerError, Position};
use hubledger::model::Block;
use hubledger::spec::Finality;
use hubledger_storage::{BlockReader, BlockWriter, Durability, Store, TableReader, TableWriter};

use super::kept::Kept;
use super::{CommittedBlock, Result, View, ViewError, ViewReader};

/// So many blocks can be taken back where a chain doesn't say how deep it is final: as many as an engine knows the way back over.
const UNDO_BLOCKS_MAX: u64 = 65_536;

/// How views are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// So many blocks are applied before rows are committed, while there are so many; 64 unless said otherwise.
    pub batch_blocks: usize,
    /// So many bytes of blocks or rows are; 8 MiB unless said otherwise.
    pub batch_bytes: usize,
    /// Of a commit. What a crash takes is worked out again, so [`Durability::Memory`] unless said otherwise; before an engine is told that it may prune,
    /// and when the store is closed, rows are made as durable as the store can.
    pub durability: Durability,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch_blocks: 64,
            batch_bytes: 8 << 20,
            durability: Durability::Memory,
        }
    }
}

/// Views over one chain, with the store that has their rows.
pub struct Views {
    chain: ChainReader,
    tables: Arc<dyn TableReader>,
    writer: Box<dyn TableWriter>,
    /// Held, not used: a store that is closed may be opened by another writer.
    _store: (Arc<dyn BlockReader>, Box<dyn BlockWriter>),
    kept: Vec<Kept>,
    settings: Settings,
    pending_blocks: usize,
    pending_bytes: usize,
}

impl Views {
    /// Opens views over `chain`, with their rows in `store`, which nothing else may use: it isn't the chain's. Nothing is applied yet.
    ///
    /// # Errors
    /// A failed or damaged store; rows of another chain; two views of one name.
    pub fn open(
        store: Store,
        chain: ChainReader,
        views: Vec<Box<dyn View>>,
        settings: Settings,
    ) -> Result<Self> {
        let Store {
            reader,
            writer: blocks,
            tables: mut writer,
        } = store;
        for (at, view) in views.iter().enumerate() {
            if views[..at].iter().any(|other| other.name() == view.name()) {
                return Err(ViewError::Twice(view.name()));
            }
        }
        let tables = reader.tables();
        let (id, floor) = (chain.spec().id(), chain.extent()?.body_floor);
        let kept = views
            .into_iter()
            .map(|view| Kept::open(view, id, floor, &*tables, &mut *writer))
            .collect::<Result<Vec<_>>>()?;
        let mut views = Self {
            chain,
            tables,
            writer,
            _store: (reader, blocks),
            kept,
            settings,
            pending_blocks: 0,
            pending_bytes: 0,
        };
        views.reconcile(None)?;
        Ok(views)
    }

    /// Reads a view from now on, from any thread.
    ///
    /// # Errors
    /// [`ViewError::Unknown`].
    pub fn reader(&self, name: &str) -> Result<ViewReader> {
        let kept = self.kept.iter().find(|kept| kept.name() == name);
        let kept = kept.ok_or_else(|| ViewError::Unknown(name.to_owned()))?;
        Ok(ViewReader::new(Arc::clone(&self.tables), kept.name()))
    }

    /// The tables that the views are in, for readers of several.
    #[must_use]
    pub fn tables(&self) -> Arc<dyn TableReader> {
        Arc::clone(&self.tables)
    }

    /// The height of the block that comes next for the view that is furthest behind.
    #[must_use]
    pub fn next_height(&self) -> u64 {
        self.kept.iter().map(Kept::next).min().unwrap_or(0)
    }

    /// The last block of the view that is furthest behind; `None` if there is one that has none.
    pub(super) fn last(&self) -> Option<Position> {
        let furthest = self.kept.iter().min_by_key(|kept| kept.next())?;
        furthest.applied
    }

    /// Applies all blocks that the chain has, and commits. O(their bytes).
    ///
    /// # Errors
    /// [`ViewError::Gap`]; the store of the views or of the chain failed or is damaged.
    pub fn catch_up(&mut self) -> Result<()> {
        self.catch_up_with(&mut |_| ControlFlow::Continue(()))
    }

    /// The same; `progress` is called after each block, and can stop it. What was applied until then is committed.
    ///
    /// # Errors
    /// As [`Views::catch_up`]; [`LedgerError::Stopped`].
    pub fn catch_up_with(&mut self, progress: &mut BlockProgress<'_>) -> Result<()> {
        'again: loop {
            self.reconcile(None)?;
            let (next, extent) = (self.next_height(), self.chain.extent()?);
            self.refuse_gap(extent.body_floor)?;
            for height in next..extent.end {
                let block = match self.chain.block(height) {
                    Ok(Some(block)) => block,
                    // Taken off this moment, or pruned.
                    Ok(None) | Err(LedgerError::Pruned(_)) => continue 'again,
                    Err(error) => return Err(error.into()),
                };
                match self.accept(&block) {
                    Err(ViewError::Apart { .. }) => continue 'again,
                    outcome => outcome?,
                }
                let step = BlockStep {
                    height,
                    transactions: block.header().transaction_count.into(),
                };
                if progress(step).is_break() {
                    self.flush()?;
                    return Err(LedgerError::Stopped.into());
                }
            }
            return self.flush();
        }
    }

    pub(super) fn refuse_gap(&self, floor: u64) -> Result<()> {
        match self.kept.iter().find(|kept| kept.next() < floor) {
            Some(kept) => Err(ViewError::Gap {
                view: kept.name(),
                next: kept.next(),
                floor,
            }),
            None => Ok(()),
        }
    }

    /// Applies a block to all views that haven't seen it, and commits if enough was applied.
    pub(super) fn accept(&mut self, block: &Block) -> Result<()> {
        let seen = CommittedBlock::new(block);
        for kept in &mut self.kept {
            kept.apply(&seen)?;
        }
        self.pending_blocks += 1;
        self.pending_bytes += block.body().len();
        let rows: usize = self.kept.iter().map(Kept::changed_bytes).sum();
        if self.pending_blocks >= self.settings.batch_blocks
            || self.pending_bytes.max(rows) >= self.settings.batch_bytes
        {
            self.flush()?;
        }
        Ok(())
    }

    /// Commits what was applied.
    pub(super) fn flush(&mut self) -> Result<()> {
        let undo_blocks = self.undo_blocks();
        for kept in &mut self.kept {
            kept.commit(
                &*self.tables,
                &mut *self.writer,
                undo_blocks,
                self.settings.durability,
            )?;
        }
        (self.pending_blocks, self.pending_bytes) = (0, 0);
        Ok(())
    }

    /// Makes all that was committed as durable as the store can, and gives the height of the highest commit that nothing will undo: whatever
    /// becomes of the chain, blocks at or below it aren't needed again.
    pub(super) fn settle(&mut self) -> Result<Option<u64>> {
        self.writer.sync()?;
        Ok(self.kept.iter().map(Kept::settled).min().flatten())
    }

    /// So many of the last blocks may be replaced.
    fn undo_blocks(&self) -> u64 {
        let (spec, last) = (self.chain.spec(), self.last());
        let height = last.map_or(0, |last| last.height);
        if !consensus::can_be_replaced(spec, height) {
            return 0;
        }
        match spec.at(height).terms.finality {
            Finality::Immediate => UNDO_BLOCKS_MAX,
            Finality::Depth(blocks) => u64::from(blocks).min(UNDO_BLOCKS_MAX),
        }
    }

    /// Takes back what the chain no longer has. Blocks above `common` have gone, if that is known.
    pub(super) fn reconcile(&mut self, common: Option<u64>) -> Result<()> {
        for kept in &mut self.kept {
            let mut down_to = common;
            while let Some(last) = kept.applied {
                if self.chain.hash_at(last.height)? == Some(last.hash) {
                    break;
                }
                let below = last.height.saturating_sub(1);
                let target = down_to.take().map_or(below, |common| common.min(below));
                if last.height == 0 || !kept.undo(target, &*self.tables, &mut *self.writer)? {
                    let floor = self.chain.extent()?.body_floor;
                    tracing::warn!(
                        view = kept.name(),
                        height = last.height,
                        from = floor,
                        "a view can't be taken back so far and begins anew"
                    );
                    kept.begin_anew(floor, &*self.tables, &mut *self.writer)?;
                }
            }
        }
        Ok(())
    }

    /// Forgets all that a view knows, and has it begin with the block at `from`. What happened below, it won't know
    /// ([`AsOf::seen_from`](super::AsOf::seen_from)).
    ///
    /// # Errors
    /// [`ViewError::Unknown`]; [`ViewError::Start`]; the store failed.
    pub fn rebuild(&mut self, name: &str, from: u64) -> Result<()> {
        let extent = self.chain.extent()?;
        let kept = self.kept.iter_mut().find(|kept| kept.name() == name);
        let kept = kept.ok_or_else(|| ViewError::Unknown(name.to_owned()))?;
        if from < extent.body_floor || from > extent.end {
            return Err(ViewError::Start {
                view: kept.name(),
                from,
                floor: extent.body_floor,
                end: extent.end,
            });
        }
        kept.begin_anew(from, &*self.tables, &mut *self.writer)
    }
}

impl std::fmt::Debug for Views {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.kept.iter().map(Kept::name).collect();
        f.debug_struct("Views")
            .field("views", &names)
            .field("next_height", &self.next_height())
            .finish_non_exhaustive()
    }
}
