//! One view with its rows in a table set, and the block that they go up to.

use std::collections::VecDeque;

use bytes::Bytes;
use hubledger::codec::{self, DecodeError, Reader};
use hubledger::digest::{BlockHash, ChainId};
use hubledger::ledger::Position;
use hubledger_storage::{
    self as storage, Durability, TableCommit, TableReader, TableView, TableWriter,
};

use super::{CommittedBlock, Result, Rows, View, ViewError};

/// The table with one row, that of the empty key: what the rows were made from and by.
pub(super) const TABLE_ORIGIN: u8 = 255;

/// The table set of a view.
pub(super) fn set_of(name: &str) -> String {
    format!("view/{name}")
}

/// What the rows of a view were made from and by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    /// Of the view.
    pub(super) version: u32,
    pub(super) chain: ChainId,
    /// The first block that the view was told of.
    pub(super) seen_from: u64,
    /// The height of the commit below which nothing is ever undone, plus one; 0 if there is none yet.
    settled_end: u64,
}

impl Origin {
    pub(super) fn read(name: &'static str, view: &dyn TableView) -> Result<Option<Self>> {
        let Some(row) = view.get(TABLE_ORIGIN, &[])? else {
            return Ok(None);
        };
        let origin = Self::decode(&row).map_err(|error| ViewError::Damaged {
            view: name,
            table: TABLE_ORIGIN,
            problem: error.to_string(),
        })?;
        Ok(Some(origin))
    }

    fn decode(row: &[u8]) -> std::result::Result<Self, DecodeError> {
        let mut reader = Reader::new(row);
        let origin = Self {
            version: reader.u32("version")?,
            chain: ChainId(reader.array("chain")?),
            seen_from: reader.u64("seen_from")?,
            settled_end: reader.u64("settled_end")?,
        };
        reader.finish("origin")?;
        Ok(origin)
    }

    fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(52);
        codec::put_u32(&mut row, self.version);
        row.extend_from_slice(&self.chain.0);
        codec::put_u64(&mut row, self.seen_from);
        codec::put_u64(&mut row, self.settled_end);
        row
    }
}

/// A view, what it has made of the blocks so far, and how far that is.
pub(super) struct Kept {
    view: Box<dyn View>,
    set: String,
    rows: Rows,
    origin: Origin,
    /// The last block that was applied, committed or not.
    pub(super) applied: Option<Position>,
    committed: Option<Position>,
    /// Heights of commits above the settled one, ascending, as far as this process knows them.
    commits: VecDeque<u64>,
}

impl Kept {
    /// Reads how far the view has got; rows of another version are removed, and begun anew at `floor`.
    pub(super) fn open(
        view: Box<dyn View>,
        chain: ChainId,
        floor: u64,
        reader: &dyn TableReader,
        writer: &mut dyn TableWriter,
    ) -> Result<Self> {
        let (name, set) = (view.name(), set_of(view.name()));
        let mut held = reader.view(&set)?;
        let mut origin = Origin::read(name, &*held)?;
        if let Some(found) = origin {
            if found.chain != chain {
                return Err(ViewError::OtherChain {
                    view: name,
                    held: found.chain,
                    asked: chain,
                });
            }
            if found.version != view.version() {
                tracing::info!(
                    view = name,
                    from = found.version,
                    to = view.version(),
                    "a view has a new version and begins anew"
                );
                writer.remove(&set)?;
                held = reader.view(&set)?;
                origin = None;
            }
        }
        let applied = held.position().map(position);
        Ok(Self {
            origin: origin.unwrap_or(Origin {
                version: view.version(),
                chain,
                seen_from: floor,
                settled_end: 0,
            }),
            view,
            set,
            rows: Rows::over(held),
            applied,
            committed: applied,
            commits: applied.iter().map(|last| last.height).collect(),
        })
    }

    pub(super) fn name(&self) -> &'static str {
        self.view.name()
    }

    /// The height that comes next.
    pub(super) fn next(&self) -> u64 {
        self.applied
            .map_or(self.origin.seen_from, |last| last.height + 1)
    }

    pub(super) fn changed_bytes(&self) -> usize {
        self.rows.changed_bytes()
    }

    /// Applies the block that comes next; one that was applied already is passed over.
    pub(super) fn apply(&mut self, block: &CommittedBlock<'_>) -> Result<()> {
        let (height, hash) = (block.height(), block.hash());
        if height < self.next() {
            return Ok(());
        }
        let follows = self
            .applied
            .is_none_or(|last| last.hash == block.block().header().previous_hash);
        if height != self.next() || !follows {
            return Err(ViewError::Apart {
                view: self.name(),
                height,
                hash,
            });
        }
        self.view.apply(block, &mut self.rows)?;
        self.applied = Some(Position { height, hash });
        Ok(())
    }

    /// Commits what was applied, with its height. `undo_blocks` are so many of the last ones that may still go.
    pub(super) fn commit(
        &mut self,
        reader: &dyn TableReader,
        writer: &mut dyn TableWriter,
        undo_blocks: u64,
        durability: Durability,
    ) -> Result<()> {
        let Some(last) = self.applied.filter(|_| self.applied != self.committed) else {
            return Ok(());
        };
        self.settle(last.height, undo_blocks);
        let undo_floor = self.origin.settled_end.saturating_sub(1);
        let row = Bytes::from(self.origin.encode());
        self.rows.put(TABLE_ORIGIN, Bytes::new(), row);
        let mut commit = TableCommit {
            position: Some(storage::Position {
                height: last.height,
                id: last.hash.0,
            }),
            undo_floor,
            changes: self.rows.take_changes(),
        };
        let mut outcome = writer.commit(&self.set, &commit, durability);
        // Behind a crash between going back and the next commit, the floor in force is above the one that the row says. It is that of
        // a commit, so never above the present one.
        if let (Err(error), Some(before)) = (&outcome, self.committed)
            && error.is_argument()
            && undo_floor < before.height
        {
            commit.undo_floor = before.height;
            outcome = writer.commit(&self.set, &commit, durability);
        }
        if let Err(error) = outcome {
            self.rows.put_back(commit.changes);
            return Err(error.into());
        }
        self.committed = Some(last);
        self.rows.committed(reader.view(&self.set)?);
        Ok(())
    }

    /// Notes a commit at `height`, of which `undo_blocks` may still go: the highest commit that can't is the floor. A commit's own height and no other,
    /// since going back ends at a commit, and the store refuses one below the floor.
    fn settle(&mut self, height: u64, undo_blocks: u64) {
        self.commits.push_back(height);
        let settled = height.saturating_sub(undo_blocks);
        while let Some(commit) = self.commits.front().filter(|commit| **commit <= settled) {
            self.origin.settled_end = self.origin.settled_end.max(commit + 1);
            self.commits.pop_front();
        }
    }

    /// The height of the highest commit that is never undone: whatever becomes of the chain, the view needs no block at or below it again.
    pub(super) fn settled(&self) -> Option<u64> {
        self.origin.settled_end.checked_sub(1)
    }

    /// Takes back all blocks above `height`, or more: blocks that were committed together go together. What isn't committed goes too. False if
    /// that can't be done any more.
    pub(super) fn undo(
        &mut self,
        height: u64,
        reader: &dyn TableReader,
        writer: &mut dyn TableWriter,
    ) -> Result<bool> {
        if self.committed.is_some_and(|last| last.height > height) {
            match writer.undo(&self.set, height) {
                Ok(left) => self.committed = left.map(position),
                Err(error) if error.is_argument() => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        self.applied = self.committed;
        let left = self.committed.map_or(0, |last| last.height + 1);
        self.commits.retain(|commit| *commit < left);
        self.rows = Rows::over(reader.view(&self.set)?);
        Ok(true)
    }

    /// Begins anew, with the block at `from`.
    pub(super) fn begin_anew(
        &mut self,
        from: u64,
        reader: &dyn TableReader,
        writer: &mut dyn TableWriter,
    ) -> Result<()> {
        writer.remove(&self.set)?;
        (self.origin.seen_from, self.origin.settled_end) = (from, 0);
        (self.applied, self.committed) = (None, None);
        self.commits.clear();
        self.rows = Rows::over(reader.view(&self.set)?);
        Ok(())
    }
}

fn position(stored: storage::Position) -> Position {
    Position {
        height: stored.height,
        hash: BlockHash(stored.id),
    }
}
