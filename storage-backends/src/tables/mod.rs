//! The contract of tables: ordered bytes beside the blocks, for what follows from them, such as the state of a chain or a view of it.
//!
//! A store has *table sets*, each with a name and a [`Position`]: the block up to which it was worked out. A set has up to 256
//! tables, each an ordered map from bytes to bytes. A commit changes any tables of one set and moves its position, whole or not at all.
//!
//! Tables are not where anything happens first. Whoever keeps a set can work it out again from the blocks behind its position; so a
//! commit may be lost in a crash, as far as its [`Durability`] allows, if only those before it are whole. Nothing ties the position of a
//! set to the blocks that the store holds: a crash may leave it above their end, and whoever opens the set compares.
//!
//! Invariants of every set, at every moment that a reader can observe:
//!
//! 1. Its contents and its position are those of one commit, after all before it.
//! 2. A [`TableView`] never changes, whatever is committed, undone or dropped meanwhile.
//! 3. Bytes come back as they were put, or as [`Error::Corrupt`](crate::Error::Corrupt); never otherwise.

pub(crate) mod arguments;
pub(crate) mod guarded;

use std::sync::Arc;

use bytes::Bytes;

use crate::{Durability, Id, Result};

/// Longest name of a table set, in bytes: 1 to 64 of `a`–`z`, `0`–`9`, `-`, `_`, `/` and `.`.
pub const TABLE_SET_NAME_BYTES_MAX: usize = 64;
/// Most table sets of a store.
pub const TABLE_SETS_MAX: usize = 256;
/// Longest key of a table, in bytes. Keys may be empty.
pub const TABLE_KEY_BYTES_MAX: usize = 2048;
/// Longest value of a table, in bytes. Values may be empty.
pub const TABLE_VALUE_BYTES_MAX: usize = 4 << 20;
/// Most bytes of keys and values in one commit.
pub const TABLE_COMMIT_BYTES_MAX: usize = 1 << 30;

/// The block up to which a table set was worked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Its height.
    pub height: u64,
    /// Its id. The store never interprets it.
    pub id: Id,
}

/// What becomes of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableChange {
    /// The table, by its number within the set.
    pub table: u8,
    /// The key; at most [`TABLE_KEY_BYTES_MAX`] bytes.
    pub key: Bytes,
    /// What it is set to, at most [`TABLE_VALUE_BYTES_MAX`] bytes; `None` removes it, whether it was there or not.
    pub value: Option<Bytes>,
}

/// A commit to one table set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableCommit {
    /// The position afterwards, above the one before; `None` while a set is being loaded by several commits, from which
    /// nobody can go on until one gives it a position. Nothing is kept to undo a load, nor what was before it.
    pub position: Option<Position>,
    /// [`TableWriter::undo`] has to be able to go back to any height from this one on, as far as there were commits with
    /// it in force; it never goes down. The position's height if nothing need ever be undone: then nothing is kept for it. So it has to
    /// be with the commit that ends a load.
    pub undo_floor: u64,
    /// Strictly ascending by table and key; [`TABLE_COMMIT_BYTES_MAX`] bytes at most.
    pub changes: Vec<TableChange>,
}

/// What a commit to a table set did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableReceipt {
    /// The set's position after it.
    pub position: Option<Position>,
    /// The durability reached by this commit and all before it in its set. If [`Durability::Disk`] was asked for, it is the most that the
    /// backend can; else it may be less than was asked for, since what is lost can be worked out again.
    pub durability: Durability,
}

/// Which keys of a table, in their order as bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyRange {
    /// The lowest.
    pub from: Bytes,
    /// Those below this one; all from `from` on without it.
    pub below: Option<Bytes>,
    /// From the highest down instead of from the lowest up.
    pub is_descending: bool,
}

/// How much a call of [`TableView::range`] gives at most; it gives one row in any case, if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeLimit {
    /// Rows.
    pub rows: usize,
    /// Bytes of keys and values.
    pub bytes: usize,
}

/// A key and its value.
pub type Row = (Bytes, Bytes);

impl RangeLimit {
    /// Whether a row follows what was taken already: so many rows with so many bytes.
    pub(crate) fn has_room(self, rows: usize, bytes: usize, row: (&[u8], &[u8])) -> bool {
        let more = bytes.saturating_add(row.0.len() + row.1.len());
        rows == 0 || (rows < self.rows && more <= self.bytes)
    }

    /// The first of some rows, as many as are allowed.
    pub(crate) fn take(self, rows: impl Iterator<Item = Row>) -> Vec<Row> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        for (key, value) in rows {
            if !self.has_room(taken.len(), bytes, (&key, &value)) {
                break;
            }
            bytes += key.len() + value.len();
            taken.push((key, value));
        }
        taken
    }
}

/// One moment of a table set. It never changes; while it lives, a store may keep on its disk what it needs.
pub trait TableView: Send + Sync {
    /// The position; `None` if the set was never committed with one, or is being loaded.
    fn position(&self) -> Option<Position>;

    /// The value of a key. O(log n) or better.
    ///
    /// To be correct, `None` means that no commit up to this moment left a value there, and damage is
    /// [`Error::Corrupt`](crate::Error::Corrupt).
    fn get(&self, table: u8, key: &[u8]) -> Result<Option<Bytes>>;

    /// Rows of a table, in the order that was asked for; fewer than are there only if `limit` is reached. O(log n + rows), and rows that were
    /// removed since they were last merged.
    ///
    /// To be correct, each key of the range that has a value is given once, and none twice or out of order.
    fn range(&self, table: u8, range: &KeyRange, limit: RangeLimit) -> Result<Vec<Row>>;
}

/// The reading half of a store's tables. Shared by any number of threads; readers don't wait for the writer but for moments.
pub trait TableReader: Send + Sync {
    /// The names of all sets, ascending.
    fn sets(&self) -> Result<Vec<String>>;

    /// A set as it is now; an empty one without a position if there is none of this name. O(1) or nearly so.
    ///
    /// To be correct, it shows every commit whose receipt was given before the call.
    fn view(&self, set: &str) -> Result<Arc<dyn TableView>>;
}

/// The writing half of a store's tables. There is one at a time, across all processes, beside the writer of its blocks;
/// both may be used at the same time from two threads.
///
/// As with a [`BlockWriter`](crate::BlockWriter), a wrong argument is [`Error::Argument`](crate::Error::Argument), after which nothing has
/// changed; after any other failure the writer is poisoned.
pub trait TableWriter: Send {
    /// Changes one set and moves its position. The set begins with its first commit.
    ///
    /// To be correct, after a crash at any moment the set is as after this commit or as after an earlier one, and never
    /// earlier than the last whose receipt states [`Durability::Disk`] (or [`Durability::Os`], if only this process ended). A position
    /// that isn't above the last one before, an undo floor below the one before or above the position's height (or, at the end of a load, below
    /// it), a name that can't be, one set too many, or changes out of order, twice or too large are argument errors.
    fn commit(
        &mut self,
        set: &str,
        commit: &TableCommit,
        durability: Durability,
    ) -> Result<TableReceipt>;

    /// Takes back the commits of a set whose position is above `height`, and gives the position that is left: that of the last commit at
    /// or below it, or `None` if there was none; then the set is empty, and still there with its undo floor. Durable at once, as far as
    /// the backend can. Without such commits it does nothing.
    ///
    /// To be correct, contents and position are exactly those after that commit; after a crash at any moment those from before or those from
    /// after the call. A height below the undo floor is an argument error, and so is a set that is being loaded: that is removed instead.
    fn undo(&mut self, set: &str, height: u64) -> Result<Option<Position>>;

    /// Removes a set with all that it holds, if there is one. Durable at once, as far as the backend can. Its space comes back as far as
    /// no view is in the way.
    fn remove(&mut self, set: &str) -> Result<()>;

    /// Makes all commits as durable as the backend can.
    fn sync(&mut self) -> Result<()>;
}
