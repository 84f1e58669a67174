//! Copying table sets: of one moment, in pieces. A set is of the chain if its position is a block of it, or if it has the branches beside the
//! chain, which need no position: each block is judged when it is read. Others, such as one that is being loaded, are left, as opening leaves them.
//!
//! A copy that was interrupted begins its sets anew: a set that is being loaded says nothing of how far it has come.

use std::sync::Arc;

use bytes::Bytes;
use hubledger_storage::{
    Durability, KeyRange, Position, RangeLimit, TableChange, TableCommit, TableReader, TableView,
    TableWriter,
};

use crate::ledger::{ChainReader, LedgerError, branches, state_set};

/// How much is read, compared and committed at once.
const PIECE: RangeLimit = RangeLimit {
    rows: 4096,
    bytes: 4 << 20,
};

/// A table set at one moment.
pub(super) struct SourceSet {
    pub(super) name: String,
    /// None of the branches beside the chain.
    pub(super) position: Option<Position>,
    pub(super) view: Arc<dyn TableView>,
}

/// All sets that are of the chain up to and with block `last`, but for the state, of which only its reader can say whether it is sound.
pub(super) fn others_of(chain: &ChainReader, last: u64) -> Result<Vec<SourceSet>, LedgerError> {
    let tables = chain.store().tables();
    let mut sets = Vec::new();
    for name in tables.sets()? {
        if name == state_set::SET {
            continue;
        }
        let view = tables.view(&name)?;
        let position = view.position();
        match position {
            None if name == branches::SET => sets.push(SourceSet {
                name,
                position,
                view,
            }),
            // Whoever keeps it works it out again from the blocks.
            Some(position) if position.height > last => {}
            Some(at) if state_set::is_held(chain, at)? => sets.push(SourceSet {
                name,
                position,
                view,
            }),
            _ => tracing::warn!(
                set = name,
                "a table set that is not of the chain is not copied"
            ),
        }
    }
    Ok(sets)
}

/// Removes all sets: those of a copy that was interrupted.
pub(super) fn remove_all(
    reader: &dyn TableReader,
    writer: &mut dyn TableWriter,
) -> Result<(), LedgerError> {
    for name in reader.sets()? {
        writer.remove(&name)?;
    }
    Ok(())
}

impl SourceSet {
    /// Writes it into a store that has none of its name; gives the number of rows. Until it is whole it has no position, so that nobody
    /// goes on from it. `step` is called after each piece, and its error ends it.
    pub(super) fn load_into(
        &self,
        writer: &mut dyn TableWriter,
        step: &mut dyn FnMut() -> Result<(), LedgerError>,
    ) -> Result<u64, LedgerError> {
        let commit = |position, changes| TableCommit {
            position,
            undo_floor: self.position.map_or(0, |at| at.height),
            changes,
        };
        let mut rows = 0;
        let mut pieces = Pieces::new(&*self.view);
        while let Some((table, piece)) = pieces.next()? {
            rows += piece.len() as u64;
            let changes = piece.into_iter().map(|(key, value)| TableChange {
                table,
                key,
                value: Some(value),
            });
            writer.commit(&self.name, &commit(None, changes.collect()), Durability::Os)?;
            step()?;
        }
        if self.position.is_some() {
            let end = commit(self.position, Vec::new());
            writer.commit(&self.name, &end, Durability::Os)?;
        }
        Ok(rows)
    }

    /// Compares it with the same set elsewhere, row by row; gives the number of rows.
    ///
    /// # Errors
    /// The first difference; a store that failed or is damaged; what `step` says after each piece.
    pub(super) fn compare_with(
        &self,
        copy: &dyn TableView,
        step: &mut dyn FnMut() -> Result<(), LedgerError>,
    ) -> Result<u64, LedgerError> {
        let name = &self.name;
        if copy.position() != self.position {
            let found = copy.position();
            return differs(format!("table set {name} is at {found:?}"));
        }
        let (mut source, mut copy) = (Pieces::new(&*self.view), Pieces::new(copy));
        let mut rows = 0;
        loop {
            match (source.next()?, copy.next()?) {
                (None, None) => return Ok(rows),
                (Some(before), Some(after)) if before == after => {
                    rows += before.1.len() as u64;
                    step()?;
                }
                (Some((table, before)), Some((same, after))) if table == same => {
                    let mut after = after.iter();
                    let differing = before.iter().find(|row| after.next() != Some(row));
                    let key = differing
                        .map(|(key, _)| hex::encode(key))
                        .unwrap_or_default();
                    return differs(format!(
                        "table set {name} differs in table {table} at key {key}"
                    ));
                }
                _ => return differs(format!("table set {name} has other tables")),
            }
        }
    }
}

fn differs<T>(what: String) -> Result<T, LedgerError> {
    Err(LedgerError::CopyDiffers(what))
}

/// All rows of a set, in the order of tables and keys.
struct Pieces<'a> {
    view: &'a dyn TableView,
    /// The table to be read, and the key from which; none behind the last.
    next: Option<(u8, Bytes)>,
}

/// Rows of one table.
type Piece = (u8, Vec<hubledger_storage::Row>);

impl<'a> Pieces<'a> {
    fn new(view: &'a dyn TableView) -> Self {
        Self {
            view,
            next: Some((0, Bytes::new())),
        }
    }

    fn next(&mut self) -> Result<Option<Piece>, LedgerError> {
        while let Some((table, from)) = self.next.take() {
            let range = KeyRange {
                from,
                ..KeyRange::default()
            };
            let rows = self.view.range(table, &range, PIECE)?;
            if let Some((last, _)) = rows.last() {
                // The least key behind it.
                let behind = [&last[..], &[0]].concat();
                self.next = Some((table, behind.into()));
                return Ok(Some((table, rows)));
            }
            self.next = table.checked_add(1).map(|table| (table, Bytes::new()));
        }
        Ok(None)
    }
}
