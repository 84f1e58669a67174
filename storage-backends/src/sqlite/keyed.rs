//! Rows by keys, each linked to the next.
//!
//! SQLite's pages have no checksums: where one is damaged, a search may go astray and find nothing, and nothing looks like a key that was
//! never put. So each row has the checksum of its own key and the next one's. That there is no row between two keys is believed if they
//! are linked; else rows are missing, which is damage. The first row, of the empty key, is nobody's; it begins the chain.
//!
//! The table is made with the first row by key, so a store of a version without them has none.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

use super::fault::DatabaseFile;
use crate::rows::{KeySpan, VisitKeyed};
use crate::{DamageAt, Error, Result};

const CREATE: &str = "CREATE TABLE table_rows \
    (key BLOB PRIMARY KEY, link INTEGER NOT NULL, row BLOB NOT NULL) STRICT, WITHOUT ROWID";
const GET: &str = "SELECT row FROM table_rows WHERE key = ?1";
const BEFORE: &str = "SELECT key, link FROM table_rows WHERE key < ?1 ORDER BY key DESC LIMIT 1";
const FIRST_FROM: &str = "SELECT key FROM table_rows WHERE key >= ?1 ORDER BY key LIMIT 1";
const FIRST_AFTER: &str = "SELECT key FROM table_rows WHERE key > ?1 ORDER BY key LIMIT 1";
const UP: &str = "SELECT key, link, row FROM table_rows WHERE key >= ?1 ORDER BY key";
const DOWN: &str = "SELECT key, link, row FROM table_rows WHERE key < ?1 ORDER BY key DESC";
const INSERT: &str = "INSERT INTO table_rows (key, link, row) VALUES (?1, ?2, ?3)";
const SET_ROW: &str = "UPDATE table_rows SET row = ?2 WHERE key = ?1";
const SET_LINK: &str = "UPDATE table_rows SET link = ?2 WHERE key = ?1";
const DELETE: &str = "DELETE FROM table_rows WHERE key >= ?1 AND key < ?2";
const DELETE_ONE: &str = "DELETE FROM table_rows WHERE key = ?1";

/// The row before some place: its key and link.
struct Before {
    key: Vec<u8>,
    link: i64,
}

/// The rows by keys that a connection sees.
#[derive(Clone, Copy)]
pub(super) struct Keyed<'a> {
    pub(super) connection: &'a Connection,
    pub(super) file: &'a DatabaseFile,
    pub(super) operation: &'static str,
}

impl Keyed<'_> {
    pub(super) fn get(self, key: &[u8]) -> Result<Option<Bytes>> {
        let row = self.asked(|connection| {
            let mut statement = connection.prepare_cached(GET)?;
            statement
                .query_row([key], |row| row.get::<_, Vec<u8>>(0))
                .optional()
        })?;
        let Some(row) = row.flatten() else {
            self.check_gap(key, FIRST_AFTER)?;
            return Ok(None);
        };
        Ok(Some(Bytes::from(row)))
    }

    pub(super) fn scan(self, keys: KeySpan<'_>, visit: &mut VisitKeyed<'_>) -> Result<()> {
        match keys.is_descending {
            false => self.scan_up(keys, visit),
            true => self.scan_down(keys, visit),
        }
    }

    fn scan_up(self, keys: KeySpan<'_>, visit: &mut VisitKeyed<'_>) -> Result<()> {
        let Some(mut before) = self.before(keys.from)? else {
            return Ok(());
        };
        let fault = self.fault();
        let mut statement = self.connection.prepare_cached(UP).map_err(&fault)?;
        let mut rows = statement.query([keys.from]).map_err(&fault)?;
        loop {
            let row = rows.next().map_err(&fault)?;
            let Some(row) = row else {
                return self.told(&before, None, visit).map(drop);
            };
            let key = row.get_ref(0).and_then(|key| Ok(key.as_blob()?));
            let key = key.map_err(&fault)?;
            if !self.told(&before, Some(key), visit)? || key >= keys.below {
                return Ok(());
            }
            let found = row.get_ref(2).and_then(|row| Ok(row.as_blob()?));
            let found = Bytes::copy_from_slice(found.map_err(&fault)?);
            if !visit(Ok((key, found)))? {
                return Ok(());
            }
            // A damaged tree may lead in a circle.
            if key <= &before.key[..] {
                return Err(self.corrupt("rows are out of order"));
            }
            before.key.clear();
            before.key.extend_from_slice(key);
            before.link = row.get(1).map_err(&fault)?;
        }
    }

    fn scan_down(self, keys: KeySpan<'_>, visit: &mut VisitKeyed<'_>) -> Result<()> {
        let Some(mut after) = self.asked(|connection| first(connection, FIRST_FROM, keys.below))?
        else {
            return Ok(());
        };
        let fault = self.fault();
        let mut statement = self.connection.prepare_cached(DOWN).map_err(&fault)?;
        let mut rows = statement.query([keys.below]).map_err(&fault)?;
        loop {
            let row = rows.next().map_err(&fault)?;
            let row = row.ok_or_else(|| self.corrupt("the first row is missing"))?;
            let key = row.get_ref(0).and_then(|key| Ok(key.as_blob()?));
            let before = Before {
                key: key.map_err(&fault)?.to_vec(),
                link: row.get(1).map_err(&fault)?,
            };
            let goes_on = self.told(&before, after.as_deref(), visit)?;
            if !goes_on || &before.key[..] < keys.from {
                return Ok(());
            }
            let found = row.get_ref(2).and_then(|row| Ok(row.as_blob()?));
            let found = Bytes::copy_from_slice(found.map_err(&fault)?);
            if !visit(Ok((&before.key, found)))? {
                return Ok(());
            }
            if after.is_some_and(|after| before.key >= after) {
                return Err(self.corrupt("rows are out of order"));
            }
            after = Some(before.key);
        }
    }

    /// Makes the table, and the first row.
    pub(super) fn begin(self) -> Result<()> {
        let fault = self.fault();
        self.connection.execute_batch(CREATE).map_err(&fault)?;
        self.execute(INSERT, params![[0_u8; 0], link(&[], None), [0_u8; 0]])
            .map(drop)
    }

    pub(super) fn put(self, key: &[u8], row: &[u8]) -> Result<()> {
        if self.execute(SET_ROW, params![key, row])? > 0 {
            return Ok(());
        }
        let (before, after) = self.gap(key, FIRST_AFTER)?;
        self.execute(INSERT, params![key, link(key, after.as_deref()), row])?;
        self.execute(SET_LINK, params![before.key, link(&before.key, Some(key))])
            .map(drop)
    }

    pub(super) fn remove(self, key: &[u8]) -> Result<()> {
        if self.execute(DELETE_ONE, params![key])? == 0 {
            return self.check_gap(key, FIRST_AFTER);
        }
        self.close(key, FIRST_AFTER)
    }

    /// Removes rows, and doesn't look whether they were linked: damaged ones are to be got rid of too.
    pub(super) fn remove_span(self, from: &[u8], below: &[u8]) -> Result<()> {
        self.execute(DELETE, params![from, below])?;
        self.close(from, FIRST_FROM)
    }

    /// Links the rows on both sides of a place where some were removed.
    fn close(self, place: &[u8], sql: &'static str) -> Result<()> {
        let (before, after) = self.sides(place, sql)?;
        let joined = link(&before.key, after.as_deref());
        self.execute(SET_LINK, params![before.key, joined])
            .map(drop)
    }

    /// The rows on both sides of a place where there is none.
    fn sides(self, place: &[u8], sql: &'static str) -> Result<(Before, Option<Vec<u8>>)> {
        let before = self.before(place)?;
        let before = before.ok_or_else(|| self.corrupt("their table is missing"))?;
        let after = self.asked(|connection| first(connection, sql, place))?;
        Ok((before, after.flatten()))
    }

    /// The same, if they are linked.
    fn gap(self, place: &[u8], sql: &'static str) -> Result<(Before, Option<Vec<u8>>)> {
        let (before, after) = self.sides(place, sql)?;
        self.check_link(&before, after.as_deref())?;
        // Searching a damaged tree may give what wasn't searched for.
        if &before.key[..] >= place || after.as_deref().is_some_and(|after| after <= place) {
            return Err(self.corrupt("rows are out of order"));
        }
        Ok((before, after))
    }

    /// Fails unless it is certain that a key has no row.
    fn check_gap(self, key: &[u8], sql: &'static str) -> Result<()> {
        // Without the table there are no rows.
        match self.before(key)? {
            Some(_) => self.gap(key, sql).map(drop),
            None => Ok(()),
        }
    }

    /// The last row before a place; nothing if the table was not made yet.
    fn before(self, place: &[u8]) -> Result<Option<Before>> {
        let found = self.asked(|connection| {
            let mut statement = connection.prepare_cached(BEFORE)?;
            let before = |row: &rusqlite::Row<'_>| {
                Ok(Before {
                    key: row.get(0)?,
                    link: row.get(1)?,
                })
            };
            statement.query_row([place], before).optional()
        })?;
        match found {
            Some(None) => Err(self.corrupt("the first row is missing")),
            found => Ok(found.flatten()),
        }
    }

    /// Tells `visit` if rows are missing between two; gives whether to go on.
    fn told(
        self,
        before: &Before,
        after: Option<&[u8]>,
        visit: &mut VisitKeyed<'_>,
    ) -> Result<bool> {
        match self.check_link(before, after) {
            Ok(()) => Ok(true),
            Err(error) => visit(Err(error)),
        }
    }

    fn check_link(self, before: &Before, after: Option<&[u8]>) -> Result<()> {
        if before.link == link(&before.key, after) {
            return Ok(());
        }
        let cut = &before.key[..before.key.len().min(40)];
        let key: String = cut.iter().map(|byte| format!("{byte:02x}")).collect();
        Err(self.corrupt(&format!("rows are missing behind that of key {key:?}")))
    }

    fn corrupt(self, what: &str) -> Error {
        let reason = format!("of the rows by key, {what}");
        Error::corrupt(&self.file.path, DamageAt::Tables, reason)
    }

    fn execute(self, sql: &'static str, values: impl rusqlite::Params) -> Result<usize> {
        let execute = || self.connection.prepare_cached(sql)?.execute(values);
        execute().map_err(self.fault())
    }

    fn fault(self) -> impl Fn(rusqlite::Error) -> Error {
        self.file.fault(self.operation, DamageAt::Tables)
    }

    /// What is asked of the table; nothing if it was not made yet.
    fn asked<T>(self, ask: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<Option<T>> {
        match ask(self.connection) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.to_string().contains("no such table: table_rows") => Ok(None),
            Err(error) => Err(self.fault()(error)),
        }
    }
}

fn first(
    connection: &Connection,
    sql: &'static str,
    place: &[u8],
) -> rusqlite::Result<Option<Vec<u8>>> {
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_row([place], |row| row.get(0)).optional()
}

/// What links a key to the next, or to the end.
fn link(key: &[u8], next: Option<&[u8]>) -> i64 {
    let mut sum = crc32c::crc32c(&(key.len() as u32).to_le_bytes());
    for part in [key, &[u8::from(next.is_some())], next.unwrap_or_default()] {
        sum = crc32c::crc32c_append(sum, part);
    }
    sum.into()
}
