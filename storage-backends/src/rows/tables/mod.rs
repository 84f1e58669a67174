//! Tables beside the blocks, in rows by keys.
//!
//! The list of sets is a row of the table of states (`list`). All else of a set is in rows whose keys begin with the set's number, which is
//! never given again: its head (`head`), the rows of its tables, and what commits need that may be undone (`history`). A commit to a set
//! is one commit of the engine, in which its head changes too.
//!
//! Invariants:
//!
//! 1. Each row has a checksum over its key and content. That a key has no row is only believed where the engine can tell that it has lost
//!    none: RocksDB by the checksums of its blocks and its list of files, SQLite by the links between rows (`src/sqlite/keyed.rs`).
//! 2. What undoes a commit is there exactly if the commit's position is above the undo floor.

mod check;
mod head;
mod history;
mod list;
mod reader;
mod writer;

pub(super) use check::check_tables;
pub(super) use reader::RowTableReader;
pub(crate) use writer::RowTableWriter;

use bytes::Bytes;

use super::{KeySpan, RowContext, View};
use crate::{DamageAt, Error, Result};

/// What the rows of a set are, by the byte behind its number.
const HEAD: u8 = 0;
const ROWS: u8 = 1;
const HISTORY: u8 = 2;
/// Behind all of them.
const END: u8 = 3;

/// The keys of one set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SetKeys {
    number: u32,
}

impl SetKeys {
    fn of(self, kind: u8, rest: &[&[u8]]) -> Vec<u8> {
        let number = self.number.to_be_bytes();
        let mut key = Vec::with_capacity(5 + rest.iter().map(|part| part.len()).sum::<usize>());
        key.extend_from_slice(&number);
        key.push(kind);
        rest.iter().for_each(|part| key.extend_from_slice(part));
        key
    }

    fn head(self) -> Vec<u8> {
        self.of(HEAD, &[])
    }

    fn row(self, table: u8, key: &[u8]) -> Vec<u8> {
        self.of(ROWS, &[&[table], key])
    }

    /// Behind the last key of a table.
    fn after_table(self, table: u8) -> Vec<u8> {
        match table.checked_add(1) {
            Some(next) => self.row(next, &[]),
            None => self.of(HISTORY, &[]),
        }
    }

    /// A part of what undoes the commit that brought the set to a height.
    fn history(self, height: u64, part: u32) -> Vec<u8> {
        self.of(HISTORY, &[&height.to_be_bytes(), &part.to_be_bytes()])
    }

    fn all(self) -> [Vec<u8>; 2] {
        [self.head(), self.of(END, &[])]
    }

    fn all_history(self) -> [Vec<u8>; 2] {
        [self.of(HISTORY, &[]), self.of(END, &[])]
    }
}

/// The number, kind and rest of a key; nothing if it is of no set.
fn split(key: &[u8]) -> Option<(u32, u8, &[u8])> {
    let (number, rest) = key.split_first_chunk::<4>()?;
    let (kind, rest) = rest.split_first()?;
    Some((u32::from_be_bytes(*number), *kind, rest))
}

impl<'a> KeySpan<'a> {
    fn up(from: &'a [u8], below: &'a [u8]) -> Self {
        Self {
            from,
            below,
            is_descending: false,
        }
    }
}

impl RowContext<'_> {
    fn damaged_tables(self, reason: impl Into<String>) -> Error {
        self.corrupt(DamageAt::Tables, reason)
    }

    /// The content of a row that was found under a key.
    fn opened(self, key: &[u8], row: &Bytes) -> Result<Bytes> {
        self.open_keyed(key, row).ok_or_else(|| {
            let what = describe(key);
            self.damaged_tables(format!("{what} has a checksum that doesn't match"))
        })
    }

    /// The content of the row of a key, if there is one.
    fn fetch_keyed(self, view: &impl View, key: &[u8]) -> Result<Option<Bytes>> {
        let row = view.keyed(key)?;
        row.map(|row| self.opened(key, &row)).transpose()
    }
}

/// A row, for messages.
fn describe(key: &[u8]) -> String {
    let hex = |bytes: &[u8]| -> String {
        let cut = &bytes[..bytes.len().min(40)];
        let digits: String = cut.iter().map(|byte| format!("{byte:02x}")).collect();
        let rest = bytes.len() - cut.len();
        match rest {
            0 => digits,
            more => format!("{digits} and {more} bytes more"),
        }
    };
    match split(key) {
        Some((number, HEAD, [])) => format!("the head of set {number}"),
        Some((number, ROWS, [table, key @ ..])) => {
            format!(
                "the row of key {:?} in table {table} of set {number}",
                hex(key)
            )
        }
        Some((number, HISTORY, rest)) => {
            format!("row {:?} of the history of set {number}", hex(rest))
        }
        _ => format!("the row of key {:?}", hex(key)),
    }
}
