//! The state of a chain in the tables of its store: pages of the tree, and one row with all else. It is worked out from blocks, so it is
//! written now and then, not with each; the blocks behind its position lead from there to the tip.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use hubledger_storage::{
    self as storage, BlockReader, Durability, KeyRange, Position, RangeLimit, TableChange,
    TableCommit, TableReader, TableView, TableWriter,
};

use super::{ChainReader, LedgerError};
use crate::state::{PageSource, Put, State, StateFailure, StateTree};

/// The table set.
pub(super) const SET: &str = "state";
/// The table of pages, by their keys.
const PAGES: u8 = 0;
/// The table with one row, that of the empty key: everything about the state that is not in the pages.
const TIP: u8 = 1;

/// A state that is written anew is loaded in pieces of no more than so many bytes, or a page: a commit is bounded, a state isn't.
const PIECE_BYTES: u64 = 64 << 20;

/// Pages of the set. A view is kept from one page to the next, but not for ever: SQLite keeps on its disk all that came after it.
struct Pages {
    reader: Arc<dyn TableReader>,
    view: Mutex<Option<Arc<dyn TableView>>>,
}

impl Pages {
    /// Pages that are read from `view` at first, if there is one.
    fn new(reader: Arc<dyn TableReader>, view: Option<Arc<dyn TableView>>) -> Arc<Self> {
        Arc::new(Self {
            reader,
            view: Mutex::new(view),
        })
    }

    fn view(&self) -> storage::Result<Arc<dyn TableView>> {
        let mut held = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = &*held {
            return Ok(Arc::clone(view));
        }
        let view = self.reader.view(SET)?;
        *held = Some(Arc::clone(&view));
        Ok(view)
    }
}

impl PageSource for Pages {
    fn page(&self, key: &[u8]) -> Result<Option<Bytes>, String> {
        let page = self.view().and_then(|view| view.get(PAGES, key));
        page.map_err(|error| error.to_string())
    }

    fn release(&self) {
        *self.view.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// The same, with the first error as the store gave it.
struct NotedPages {
    view: Arc<dyn TableView>,
    error: Mutex<Option<storage::Error>>,
}

impl PageSource for NotedPages {
    fn page(&self, key: &[u8]) -> Result<Option<Bytes>, String> {
        self.view.get(PAGES, key).map_err(|error| {
            let text = error.to_string();
            let mut first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(error);
            text
        })
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
        Some(Self {
            bytes: changes.iter().map(bytes_of).sum(),
            state,
            changes: Arc::new(changes),
        })
    }

    pub(super) fn height(&self) -> u64 {
        self.state.height()
    }

    pub(super) fn release_pages(&self) {
        self.state.release_pages();
    }

    /// Writes it into tables that `reader` reads, and gives where its pages can be read from now on. `is_known` says whether the set is what this state was read from,
    /// or was written by whoever has it; any other is replaced whole.
    pub(in crate::ledger) fn write(
        &self,
        reader: Arc<dyn TableReader>,
        tables: &mut dyn TableWriter,
        is_known: bool,
        durability: Durability,
    ) -> Result<Option<Arc<dyn PageSource>>, LedgerError> {
        let position = Position {
            height: self.state.height(),
            id: self.state.head().0,
        };
        let held = match is_known {
            true => reader.view(SET)?.position(),
            false => {
                // What a crash left of blocks that aren't held, or what is damaged, even if it says that it is of the same block: this
                // state was worked out without it, and nothing of it may show through.
                tables.remove(SET)?;
                None
            }
        };
        if held.is_some_and(|held| held.height >= position.height) {
            // The same state again, with nothing new in it, or a later one.
            return Ok(None);
        }
        let mut rest = &self.changes[..];
        let commit = |position, changes: &[TableChange]| TableCommit {
            position,
            // Committed blocks are never taken back.
            undo_floor: self.state.height(),
            changes: changes.to_vec(),
        };
        if held.is_none() {
            while let Some(piece) = first_piece(rest) {
                tables.commit(SET, &commit(None, &rest[..piece]), durability)?;
                rest = &rest[piece..];
            }
        }
        tables.commit(SET, &commit(Some(position), rest), durability)?;
        if let Some(tree) = self.state.tree() {
            tree.saved();
        }
        Ok(Some(Pages::new(reader, None)))
    }
}

fn bytes_of(change: &TableChange) -> u64 {
    let value = change.value.as_ref().map_or(0, Bytes::len);
    (change.key.len() + value) as u64
}

/// How many changes are the first piece of them; `None` if all fit into one commit.
fn first_piece(changes: &[TableChange]) -> Option<usize> {
    let mut bytes = 0;
    let is_beyond = |change: &TableChange| {
        bytes += bytes_of(change);
        bytes > PIECE_BYTES
    };
    changes.iter().position(is_beyond).map(|piece| piece.max(1))
}

/// Writes a state of version 2 into the tables, where it is the first or above the one before.
pub(super) fn write(
    state: &State,
    chain: &ChainReader,
    tables: &mut dyn TableWriter,
    durability: Durability,
) -> Result<(), LedgerError> {
    if let Some(written) = WrittenState::of(state) {
        written.write(chain.store().tables(), tables, true, durability)?;
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
            let pages = Pages::new(self.store.tables(), None);
            self.tree.adopt(pages, LOAD_BYTES_MAX);
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
pub(super) fn is_held(chain: &ChainReader, position: Position) -> Result<bool, LedgerError> {
    let held = chain.hash_at(position.height)?;
    Ok(held.is_some_and(|hash| hash.0 == position.id))
}

/// What the tables have in place of a state.
#[allow(clippy::large_enum_variant, reason = "nearly all are the large one")]
pub(super) enum Found {
    /// No state, or one of a block that isn't held: a crash or a truncation leaves such, which is no damage.
    Nothing,
    /// Rows that are no state, and why.
    Damaged(LedgerError),
    /// A state of a block that is held.
    State(Box<StoredState>),
}

/// A state in tables, sound as far as it was looked at.
pub(super) struct StoredState {
    pub(super) state: State,
    /// The moment that it is read from.
    pub(super) view: Arc<dyn TableView>,
    pages: Arc<NotedPages>,
}

impl StoredState {
    /// The state at a moment of the set that has a position.
    ///
    /// # Errors
    /// A damaged store, be it that the rows are no state; a failed one.
    pub(super) fn decode(
        view: Arc<dyn TableView>,
        position: Position,
    ) -> Result<Self, LedgerError> {
        let damaged = |problem: String| LedgerError::Damaged {
            record: "state in tables",
            height: position.height,
            problem,
        };
        let tip = view.get(TIP, b"")?;
        let tip = tip.ok_or_else(|| damaged("it has no tip".to_owned()))?;
        let pages = Arc::new(NotedPages {
            view: Arc::clone(&view),
            error: Mutex::default(),
        });
        let source: Arc<dyn PageSource> = pages.clone();
        let state = State::decode_tip(&tip, source).map_err(|error| damaged(error.to_string()))?;
        if state.height() != position.height || state.head().0 != position.id {
            return Err(damaged("it is of another block than it says".to_owned()));
        }
        Ok(Self { state, view, pages })
    }

    /// Checks all of its pages. O(rows).
    ///
    /// # Errors
    /// The store failed otherwise than by damage, which is in the answer.
    pub(super) fn check(&self) -> Result<Result<(), StateFailure>, LedgerError> {
        let checked = self.state.check_written();
        let mut error = self
            .pages
            .error
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match error.take() {
            // A disk that fails for now has to be tried again, and damage be repaired.
            Some(error) if !error.is_corrupt() => Err(error.into()),
            _ => Ok(checked),
        }
    }
}

/// Looks for a state in tables. O(1) reads.
pub(super) fn find(chain: &ChainReader) -> Result<Found, LedgerError> {
    let view = chain.store().tables().view(SET)?;
    let Some(position) = view.position() else {
        return Ok(Found::Nothing);
    };
    if !is_held(chain, position)? {
        let height = position.height;
        tracing::warn!(height, "ignoring a state in tables of a block not held");
        return Ok(Found::Nothing);
    }
    match StoredState::decode(view, position) {
        Ok(stored) => Ok(Found::State(Box::new(stored))),
        Err(error @ LedgerError::Damaged { .. }) => Ok(Found::Damaged(error)),
        Err(error) => Err(error),
    }
}

/// The state to open a chain with, if it is of a block that is really held and sound as far as it was looked at. O(1) reads.
pub(super) fn read(chain: &ChainReader) -> Result<Option<State>, LedgerError> {
    match find(chain)? {
        Found::Nothing => Ok(None),
        Found::Damaged(error) => {
            tracing::warn!(%error, "ignoring a damaged state in tables");
            Ok(None)
        }
        // Read without notes of errors, as long as the chain is open.
        Found::State(stored) => {
            let tip = stored.view.get(TIP, b"")?.unwrap_or_default();
            let pages = Pages::new(chain.store().tables(), Some(stored.view));
            Ok(State::decode_tip(&tip, pages).ok())
        }
    }
}

/// The state in tables, all of it checked.
///
/// # Errors
/// Damage to it, by name; a failed store.
pub(super) fn read_checked(chain: &ChainReader) -> Result<Option<StoredState>, LedgerError> {
    match find(chain)? {
        Found::Nothing => Ok(None),
        Found::Damaged(error) => Err(error),
        Found::State(stored) => {
            stored.check()??;
            Ok(Some(*stored))
        }
    }
}

/// What a state takes in tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StateBytes {
    /// No less than this: two hashes a row, which nothing makes shorter.
    pub(super) least: u64,
    /// About so many bytes of keys and values.
    pub(super) about: u64,
}

/// Pages are measured at so many places …
const SAMPLE_PLACES: u16 = 64;
/// … and so many at each.
const SAMPLE_PAGES: usize = 64;

/// What the state takes in tables; `None` if it isn't there. O(1) reads.
pub(super) fn bytes(chain: &ChainReader) -> Result<Option<StateBytes>, LedgerError> {
    let Found::State(stored) = find(chain)? else {
        return Ok(None);
    };
    let StoredState { state, view, .. } = &*stored;
    let rows = state.account_count() as u64;
    let (mut sampled_rows, mut sampled_bytes) = (0_u64, 0_u64);
    let mut from = Bytes::new();
    for place in 0..SAMPLE_PLACES {
        let start = (u32::from(place) << 16) / u32::from(SAMPLE_PLACES);
        let start = Bytes::copy_from_slice(&(start as u16).to_be_bytes());
        let range = KeyRange {
            // Not the same pages twice, of a small state.
            from: from.clone().max(start),
            ..KeyRange::default()
        };
        let limit = RangeLimit {
            rows: SAMPLE_PAGES,
            bytes: usize::MAX,
        };
        for (key, page) in view.range(PAGES, &range, limit)? {
            sampled_rows += State::rows_in_page(&page);
            sampled_bytes += (key.len() + page.len()) as u64;
            from = [&key[..], &[0]].concat().into();
        }
    }
    let about = u128::from(rows) * u128::from(sampled_bytes) / u128::from(sampled_rows.max(1));
    Ok(Some(StateBytes {
        least: 64 * rows,
        about: u64::try_from(about).unwrap_or(u64::MAX),
    }))
}
