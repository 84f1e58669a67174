//! The state of a chain in the tables of its store: pages of the tree, and one row with all else. It is worked out from blocks, so it is
//! written now and then, not with each; the blocks behind its position lead from there to the tip.

use std::sync::Arc;

use bytes::Bytes;
use hubledger_storage::{
    BlockReader, Durability, Position, TableChange, TableCommit, TableView, TableWriter,
};

use super::{ChainReader, LedgerError};
use crate::state::{PageSource, Put, State, StateTree};

/// The table set.
const SET: &str = "state";
/// The table of pages, by their keys.
const PAGES: u8 = 0;
/// The table with one row, that of the empty key: everything about the state that is not in the pages.
const TIP: u8 = 1;

/// Pages at one moment.
struct Pages(Arc<dyn TableView>);

impl PageSource for Pages {
    fn page(&self, key: &[u8]) -> Result<Option<Bytes>, String> {
        self.0.get(PAGES, key).map_err(|error| error.to_string())
    }
}

/// A state as it is written down: what changed in it since it was last written.
#[derive(Clone)]
pub(crate) struct WrittenState {
    state: State,
    changes: Arc<Vec<TableChange>>,
    pub(super) bytes: u64,
}

impl WrittenState {
    /// Takes the pages that changed; `None` of a state of version 1, which has no pages. O(what changed).
    pub(super) fn of(state: &State) -> Option<Self> {
        let mut state = state.clone();
        // Of the hashes that pages hold none may be of before.
        state.root()?;
        let pages = state.tree()?.unsaved();
        let put = |table, key, value| TableChange {
            table,
            key,
            value: Some(value),
        };
        let pages = pages.into_iter().map(|(key, page)| put(PAGES, key, page));
        let mut changes: Vec<TableChange> = pages.collect();
        changes.push(put(TIP, Bytes::new(), state.encode_tip()?.into()));
        let bytes = changes.iter().map(|change| {
            let value = change.value.as_ref().map_or(0, Bytes::len);
            (change.key.len() + value) as u64
        });
        Some(Self {
            bytes: bytes.sum(),
            state,
            changes: Arc::new(changes),
        })
    }

    pub(super) fn height(&self) -> u64 {
        self.state.height()
    }

    /// Writes it, and gives where its pages can be read from now on.
    pub(super) fn write(
        &self,
        chain: &ChainReader,
        tables: &mut dyn TableWriter,
        durability: Durability,
    ) -> Result<Option<Arc<dyn PageSource>>, LedgerError> {
        let reader = chain.store().tables();
        let position = Position {
            height: self.state.height(),
            id: self.state.head().0,
        };
        match reader.view(SET)?.position() {
            // The same state again, with nothing new in it.
            Some(held) if held == position => return Ok(None),
            // What a crash, or a chain that was cut, left of blocks that aren't held: this state was worked out without it.
            Some(held) if !is_held(chain, held)? || held.height > position.height => {
                tables.remove(SET)?;
            }
            _ => {}
        }
        let commit = TableCommit {
            position: Some(position),
            // Committed blocks are never taken back.
            undo_floor: position.height,
            changes: self.changes.to_vec(),
        };
        tables.commit(SET, &commit, durability)?;
        if let Some(tree) = self.state.tree() {
            tree.saved();
        }
        Ok(Some(Arc::new(Pages(reader.view(SET)?))))
    }
}

/// Writes a state of version 2 into the tables, where it is the first or above the one before.
pub(super) fn write(
    state: &State,
    chain: &ChainReader,
    tables: &mut dyn TableWriter,
    durability: Durability,
) -> Result<(), LedgerError> {
    if let Some(written) = WrittenState::of(state) {
        written.write(chain, tables, durability)?;
    }
    Ok(())
}

/// Pages that changed are written once they take up so many bytes of memory, and as many stay in memory.
const LOAD_BYTES_MAX: u64 = 64 << 20;

/// Rows that are put into an empty set, whose pages are written as they fill up. The set has no position until its state is
/// [written](write): whatever a crash leaves, nobody goes on from it.
pub(super) struct Loading<'a> {
    store: &'a dyn BlockReader,
    tables: &'a mut dyn TableWriter,
    position: Position,
    tree: StateTree,
}

impl<'a> Loading<'a> {
    /// Begins a set for the state at this position, in place of what an earlier loading has left.
    pub(super) fn begin(
        store: &'a dyn BlockReader,
        tables: &'a mut dyn TableWriter,
        position: Position,
    ) -> Result<Self, LedgerError> {
        tables.remove(SET)?;
        Ok(Self {
            store,
            tables,
            position,
            tree: StateTree::default(),
        })
    }

    /// Puts rows.
    pub(super) fn put(&mut self, rows: &[Put<'_>]) -> Result<(), LedgerError> {
        self.tree.change(rows);
        if self.tree.unsaved_bytes() > LOAD_BYTES_MAX {
            // Pages hold hashes, of which none may be of before.
            self.tree.root();
            let pages = self.tree.unsaved().into_iter();
            let changes = pages.map(|(key, page)| TableChange {
                table: PAGES,
                key,
                value: Some(page),
            });
            let commit = TableCommit {
                position: None,
                undo_floor: self.position.height,
                changes: changes.collect(),
            };
            self.tables.commit(SET, &commit, Durability::Os)?;
            self.tree.saved();
            let view = self.store.tables().view(SET)?;
            self.tree.adopt(Arc::new(Pages(view)), LOAD_BYTES_MAX);
        }
        Ok(())
    }

    /// The rows, of which the last pages are not written yet.
    pub(super) fn finish(self) -> Result<StateTree, LedgerError> {
        match self.tree.failure() {
            Some(failure) => Err(failure.clone().into()),
            None => Ok(self.tree),
        }
    }
}

/// Whether the block that a set was worked out for is in the chain. A loss of power may have taken it, or a truncation.
fn is_held(chain: &ChainReader, position: Position) -> Result<bool, LedgerError> {
    let held = chain.hash_at(position.height)?;
    Ok(held.is_some_and(|hash| hash.0 == position.id))
}

/// The state that the tables hold, if it is of a block that is really held and sound as far as it was looked at. O(log rows).
pub(super) fn read(
    chain: &ChainReader,
    store: &dyn BlockReader,
) -> Result<Option<State>, LedgerError> {
    let view = store.tables().view(SET)?;
    let Some(position) = view.position() else {
        return Ok(None);
    };
    if !is_held(chain, position)? {
        let height = position.height;
        tracing::warn!(height, "ignoring a state in tables of a block not held");
        return Ok(None);
    }
    let Some(tip) = view.get(TIP, b"")? else {
        tracing::warn!("ignoring a state in tables without a tip");
        return Ok(None);
    };
    let state = match State::decode_tip(&tip, Arc::new(Pages(Arc::clone(&view)))) {
        Ok(state) => state,
        Err(error) => {
            tracing::warn!(%error, "ignoring a damaged state in tables");
            return Ok(None);
        }
    };
    if state.height() != position.height || state.head().0 != position.id {
        tracing::warn!("ignoring a state in tables that is of another block than it says");
        return Ok(None);
    }
    Ok(Some(state))
}
