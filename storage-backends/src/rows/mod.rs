//! A store in rows: what the backends on database engines share. An engine brings tables of rows by number, one
//! moment to read them at, and atomic, durable commits; everything else is here once.
//!
//! Invariants:
//!
//! 1. Every row carries a checksum over its table, its number and its content, salted with the store's id. What doesn't
//!    match is reported, never returned. Which rows there must be follows from `state`, so a row that is missing is
//!    damage too, and "absent" is never concluded from a missing row.
//! 2. A run, a truncation, a replacement, a pruning, a named value: each is one commit of the engine, in which the row of
//!    `state` changes too.
//! 3. The index is a table in memory for the last blocks, and immutable sorted runs for those before (see `index_run`),
//!    which are made and merged beside the commits, a bounded share with each. An entry proves nothing: it counts if
//!    its height is held and the key there is the one asked for. So entries of blocks that were truncated, replaced or
//!    pruned, or are not committed yet, do no harm.
//! 4. Tables beside the blocks are rows by keys, for which the table of states has a list of sets: see `tables`.
//! 5. Rows of a run that is being made belong to nobody until the catalogue names it; the next writer removes
//!    what was left.

mod catalogue;
mod check;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod in_memory;
mod index;
mod index_run;
mod merge;
mod options;
mod reader;
mod record;
mod remember;
mod shrink;
mod state;
mod tables;
mod upkeep;
mod writer;

use std::ops::Range;
use std::path::Path;

use bytes::Bytes;

pub(crate) use check::{check, repair};
pub(crate) use index::SharedIndex;
pub use options::IndexOptions;
pub(crate) use reader::RowReader;
pub(crate) use remember::Remembering;
pub(crate) use state::initialise;
pub(crate) use tables::RowTableWriter;
pub(crate) use writer::RowWriter;

use crate::toolbox::key_hash::KeyHash;
use crate::toolbox::salt::Salt;
use crate::{DamageAt, Durability, Error, Result};

/// A table of rows by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Table {
    /// What the store is, how far it reaches, what its index is made of: see `state`.
    State,
    /// By height: id, number of index entries.
    Ids,
    /// By height.
    Headers,
    /// By height.
    Bodies,
    /// Index keys of a block, some to a row: see `record`.
    Keys,
    /// Pages and filters of the index's runs: see `index_run`.
    Runs,
    /// Named values; row 0 has the names.
    Values,
}

impl Table {
    pub(crate) const ALL: [Self; 7] = [
        Self::State,
        Self::Ids,
        Self::Headers,
        Self::Bodies,
        Self::Keys,
        Self::Runs,
        Self::Values,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Ids => "ids",
            Self::Headers => "headers",
            Self::Bodies => "bodies",
            Self::Keys => "keys",
            Self::Runs => "runs",
            Self::Values => "named_values",
        }
    }

    /// Where in the store a row is, for messages.
    pub(crate) const fn damage_at(self, number: u64) -> DamageAt {
        match self {
            Self::State => DamageAt::Extent,
            Self::Ids | Self::Headers | Self::Bodies => DamageAt::Height(number),
            Self::Keys | Self::Runs => DamageAt::Index,
            Self::Values => DamageAt::NamedValues,
        }
    }
}

/// The content of all tables at one moment.
pub(crate) trait View {
    /// The row of a number, as it was put.
    fn get(&self, table: Table, number: u64) -> Result<Option<Bytes>>;

    /// Calls `visit` with the number of each row of a table, in ascending order.
    fn numbers(&self, table: Table, visit: &mut dyn FnMut(u64) -> Result<()>) -> Result<()>;

    /// The row of a key, as it was put. `None` only where it is certain that there is none.
    fn keyed(&self, key: &[u8]) -> Result<Option<Bytes>>;

    /// Calls `visit` with the rows of some keys, in their order, until it answers false. Where rows are missing it is called with that as
    /// an error, and may answer true to go on behind.
    fn scan(&self, keys: KeySpan<'_>, visit: &mut VisitKeyed<'_>) -> Result<()>;
}

/// Is given a key and its row, or what is wrong before the next.
pub(crate) type VisitKeyed<'a> = dyn FnMut(Result<(&[u8], Bytes)>) -> Result<bool> + 'a;

/// Keys from one up to, and without, another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeySpan<'a> {
    pub(crate) from: &'a [u8],
    pub(crate) below: &'a [u8],
    pub(crate) is_descending: bool,
}

/// A commit that is being put together. What it is to change may or may not be seen through it before.
pub(crate) trait Batch: View {
    /// Puts a row in place of any earlier one.
    fn put(&mut self, table: Table, number: u64, row: &[u8]) -> Result<()>;

    /// Removes rows.
    fn remove(&mut self, table: Table, numbers: Range<u64>) -> Result<()>;

    /// Called before the first row by key that a store ever gets.
    fn begin_keyed(&mut self) -> Result<()>;

    /// Puts the row of a key in place of any earlier one.
    fn put_keyed(&mut self, key: &[u8], row: &[u8]) -> Result<()>;

    /// Removes the row of a key, if there is one.
    fn remove_keyed(&mut self, key: &[u8]) -> Result<()>;

    /// Removes the rows of keys, from one up to another, also where they are damaged.
    fn remove_span(&mut self, from: &[u8], below: &[u8]) -> Result<()>;
}

/// The reading half of an engine.
pub(crate) trait Rows: Send + Sync + 'static {
    type View<'a>: View
    where
        Self: 'a;
    /// A view that belongs to nobody.
    type Moment: View + Send + Sync + 'static;

    /// This moment, for as long as the view lives.
    fn view(&self) -> Result<Self::View<'_>>;

    /// The same, for as long as anybody likes.
    fn moment(&self) -> Result<Self::Moment>;

    /// The file or directory, for messages.
    fn path(&self) -> &Path;

    /// Bytes of all files of the store.
    fn bytes_on_disk(&self) -> Result<u64>;
}

/// The writing half of an engine.
pub(crate) trait Database: Send {
    type View<'a>: View
    where
        Self: 'a;
    type Batch<'a>: Batch
    where
        Self: 'a;

    /// This moment.
    fn view(&self) -> Result<Self::View<'_>>;

    /// Commits what `fill` puts into a batch, all or nothing; nothing if it fails. Gives the durability that was
    /// reached, by this commit and all before.
    fn commit<T>(
        &mut self,
        operation: &'static str,
        durability: Durability,
        fill: impl FnOnce(&mut Self::Batch<'_>) -> Result<T>,
    ) -> Result<(T, Durability)>;

    /// The file or directory, for messages.
    fn path(&self) -> &Path;

    /// Bytes that giving back can make fewer, after getting everything out of the way that is not due to what is
    /// removed next.
    fn settle(&mut self) -> Result<u64>;

    /// Gives the space of rows that were removed back to the file system, also what an interrupted call left; gives the
    /// bytes as [`settle`](Self::settle) does.
    fn give_back(&mut self, removed: &[(Table, Range<u64>)]) -> Result<u64>;

    /// The same for rows by keys, as far as no view is in the way.
    fn give_back_keyed(&mut self, from: &[u8], below: &[u8]) -> Result<()>;
}

const SEAL_BYTES: usize = 4;

/// What stands for a table in the checksum of a row by key, and is no table's.
const KEYED: u8 = Table::ALL.len() as u8;

/// The checksum of a row by key, which it begins with.
fn keyed_checksum(salt: Salt, key: &[u8], content: &[u8]) -> [u8; SEAL_BYTES] {
    let mut head = [KEYED; 5];
    // Keys have many lengths: without it, bytes could go over from key to content.
    head[1..].copy_from_slice(&(key.len() as u32).to_le_bytes());
    salt.checksum_of(&[&head, key, content]).to_le_bytes()
}

/// The checksum of a row, which it begins with.
fn checksum(salt: Salt, table: Table, number: u64, content: &[u8]) -> [u8; SEAL_BYTES] {
    let mut key = [table as u8; 9];
    key[1..].copy_from_slice(&number.to_le_bytes());
    salt.checksum_of(&[&key, content]).to_le_bytes()
}

/// Which store it is, for checksums, hashes and messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowContext<'a> {
    path: &'a Path,
    salt: Salt,
    hash: KeyHash,
}

impl RowContext<'_> {
    fn corrupt(self, damage_at: DamageAt, reason: impl Into<String>) -> Error {
        Error::corrupt(self.path, damage_at, reason)
    }

    /// The content of a row that has to be there.
    fn fetch(
        self,
        view: &impl View,
        (table, number): (Table, u64),
        damage_at: DamageAt,
    ) -> Result<Bytes> {
        let damaged = |what: &str| {
            let reason = format!("row {number} of {} {what}", table.name());
            self.corrupt(damage_at, reason)
        };
        let row = view
            .get(table, number)?
            .ok_or_else(|| damaged("is missing"))?;
        self.open(table, number, &row)
            .ok_or_else(|| damaged("has a checksum that doesn't match"))
    }

    /// The content of a row, if its checksum matches.
    fn open(self, table: Table, number: u64, row: &Bytes) -> Option<Bytes> {
        let (seal, content) = row.split_at_checked(SEAL_BYTES)?;
        (checksum(self.salt, table, number, content) == seal).then(|| row.slice(SEAL_BYTES..))
    }

    /// A row with its checksum, of content in parts.
    fn seal(self, table: Table, number: u64, parts: &[&[u8]]) -> Vec<u8> {
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        let mut row = Vec::with_capacity(SEAL_BYTES + length);
        row.resize(SEAL_BYTES, 0);
        parts.iter().for_each(|part| row.extend_from_slice(part));
        let checksum = checksum(self.salt, table, number, &row[SEAL_BYTES..]);
        row[..SEAL_BYTES].copy_from_slice(&checksum);
        row
    }

    /// The content of the row of a key, if its checksum matches.
    fn open_keyed(self, key: &[u8], row: &Bytes) -> Option<Bytes> {
        let (seal, content) = row.split_at_checked(SEAL_BYTES)?;
        (keyed_checksum(self.salt, key, content) == seal).then(|| row.slice(SEAL_BYTES..))
    }

    /// Puts the row of a key.
    fn put_keyed(self, batch: &mut impl Batch, key: &[u8], content: &[u8]) -> Result<()> {
        let seal = keyed_checksum(self.salt, key, content);
        batch.put_keyed(key, &[&seal, content].concat())
    }

    /// Puts a row, of content in parts.
    fn put(
        self,
        batch: &mut impl Batch,
        (table, number): (Table, u64),
        parts: &[&[u8]],
    ) -> Result<()> {
        batch.put(table, number, &self.seal(table, number, parts))
    }
}
