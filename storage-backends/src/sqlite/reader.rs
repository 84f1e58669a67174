//! Reading: a bounded pool of connections, and queries that can't lie.
//!
//! Each answer comes from one statement, thus from one snapshot; rows are joined to `state`, so that a
//! missing row can be told from a height beyond the end without a transaction.
//!
//! Absence is checked. SQLite finds a key by bisection; if a row's key was damaged where it stands, the
//! search for the original key, whichever way the comparison with the damaged one went, ends at that very
//! row: it is the neighbour below or above. So after a miss both neighbours must prove sound by their
//! checksums. Cost: two more descents of the B-tree, on misses only.

use std::ops::Deref;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rusqlite::{Connection, OpenFlags, Row};

use super::fault::Site;
use super::place;
use super::schema::{
    self, State, header_checksum, height_checksum, meta_checksum, place_checksum, state_columns,
    unsigned,
};
use crate::{
    BlockReader, Body, Extent, Id, Location, Place, Result, StoredBlock, StoredHeader, Usage,
};

/// Most connections of one reader; further threads wait for one.
const CONNECTIONS_MAX: usize = 16;
/// Page cache of a connection, in KiB; SQLite takes it as a negative number.
const CACHE_KIB: i32 = 4096;

/// Whose reader it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Opened without a writer: can't write to the file at all.
    Alone,
    /// Opened with the writer: the connections could write (but are told not to), so that whichever
    /// closes last moves the log into the file.
    BesideWriter,
}

pub(super) struct SqliteReader {
    site: Site,
    pool: Pool,
}

impl SqliteReader {
    /// Opens the first connection, and checks the ends of the tables.
    pub(super) fn open(site: Site, mode: Mode) -> Result<Self> {
        let pool = Pool {
            site: site.clone(),
            mode,
            shared: Mutex::default(),
            freed: Condvar::new(),
        };
        schema::check_ends(&site, &*pool.take()?)?;
        Ok(Self { site, pool })
    }

    /// Runs a query that yields at most one row.
    fn row<T>(
        &self,
        place: Place,
        sql: &str,
        parameters: impl rusqlite::Params,
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let connection = self.pool.take()?;
        let fault = self.site.fault("read", place);
        let mut statement = connection.prepare_cached(sql).map_err(&fault)?;
        let mut rows = statement.query(parameters).map_err(&fault)?;
        rows.next().map_err(&fault)?.map(read).transpose()
    }

    /// Like [`row`](Self::row), for queries from `state`, which always has its row.
    fn row_with_state<T>(
        &self,
        place: Place,
        sql: &str,
        parameters: impl rusqlite::Params,
        read: impl FnOnce(State, &Row<'_>) -> Result<T>,
    ) -> Result<T> {
        self.row(place, sql, parameters, |row| {
            read(State::of_row(&self.site, row)?, row)
        })?
        .ok_or_else(|| self.site.corrupt(Place::Extent, "the row is missing"))
    }

    fn state(&self) -> Result<State> {
        State::read(&self.site, &*self.pool.take()?)
    }

    fn header_of_row(&self, height: u64, row: &Row<'_>, first: usize) -> Result<StoredHeader> {
        let place = Place::Height(height);
        let fault = self.site.fault("read", place);
        let Some(id) = row.get::<_, Option<Id>>(first).map_err(&fault)? else {
            return Err(self.site.corrupt(place, "the header is missing"));
        };
        let expected: u32 = row.get(first + 1).map_err(&fault)?;
        let bytes: Vec<u8> = row.get(first + 2).map_err(&fault)?;
        if header_checksum(height, &id, &bytes) != expected {
            return Err(self
                .site
                .corrupt(place, "the header's checksum doesn't match"));
        }
        Ok(StoredHeader {
            id,
            bytes: bytes.into(),
        })
    }

    fn body_of_row(&self, height: u64, row: &Row<'_>, first: usize) -> Result<Bytes> {
        let place = Place::Height(height);
        let fault = self.site.fault("read", place);
        let Some(expected) = row.get::<_, Option<u32>>(first).map_err(&fault)? else {
            return Err(self.site.corrupt(place, "the body is missing"));
        };
        let bytes: Vec<u8> = row.get(first + 1).map_err(&fault)?;
        if height_checksum(height, &bytes) != expected {
            return Err(self
                .site
                .corrupt(place, "the body's checksum doesn't match"));
        }
        Ok(bytes.into())
    }

    /// Checks that the neighbours of a key that was not found are sound; `held` is how many rows there are.
    fn check_absence(
        &self,
        place: Place,
        held: u64,
        key: &[u8],
        sql: [&str; 2],
        sound: impl Fn(&Row<'_>) -> rusqlite::Result<bool>,
    ) -> Result<()> {
        let mut neighbours = 0;
        for side in sql {
            let verdict = self.row(place, side, [key], |row| {
                sound(row).map_err(self.site.fault("read", place))
            })?;
            if verdict == Some(false) {
                return Err(self.site.corrupt(place, "a row's checksum doesn't match"));
            }
            neighbours += u64::from(verdict.is_some());
        }
        if held > 0 && neighbours == 0 {
            return Err(self.site.corrupt(place, format!("{held} rows are missing")));
        }
        Ok(())
    }
}

impl BlockReader for SqliteReader {
    fn extent(&self) -> Result<Extent> {
        Ok(self.state()?.extent)
    }

    fn header(&self, height: u64) -> Result<Option<StoredHeader>> {
        let Ok(key) = i64::try_from(height) else {
            return Ok(None);
        };
        let sql = concat!(
            "SELECT ",
            state_columns!(),
            ", h.id, h.checksum, h.bytes
             FROM state s LEFT JOIN headers h ON h.height = ?1 WHERE s.one = 1"
        );
        self.row_with_state(Place::Height(height), sql, [key], |state, row| {
            if height >= state.extent.end {
                return Ok(None);
            }
            self.header_of_row(height, row, 5).map(Some)
        })
    }

    fn block(&self, height: u64) -> Result<Option<StoredBlock>> {
        let Ok(key) = i64::try_from(height) else {
            return Ok(None);
        };
        let sql = concat!(
            "SELECT ",
            state_columns!(),
            ", h.id, h.checksum, h.bytes, b.checksum, b.bytes
             FROM state s LEFT JOIN headers h ON h.height = ?1 LEFT JOIN bodies b ON b.height = ?1
             WHERE s.one = 1"
        );
        self.row_with_state(Place::Height(height), sql, [key], |state, row| {
            if height >= state.extent.end {
                return Ok(None);
            }
            let StoredHeader { id, bytes: header } = self.header_of_row(height, row, 5)?;
            let body = if height < state.extent.floor {
                Body::Pruned
            } else {
                Body::Present(self.body_of_row(height, row, 8)?)
            };
            Ok(Some(StoredBlock { id, header, body }))
        })
    }

    fn height_of(&self, id: &Id) -> Result<Option<u64>> {
        let sql = "SELECT height, checksum, bytes FROM headers WHERE id = ?1";
        // The row that the index led to must be the one with this id: the checksum covers the id.
        let sound = |row: &Row<'_>, id: &[u8]| -> rusqlite::Result<bool> {
            let bytes = row.get_ref(2)?.as_blob()?;
            Ok(row.get::<_, u32>(1)? == header_checksum(unsigned(row, 0)?, id, bytes))
        };
        let found = self.row(Place::Structure, sql, [&id[..]], |row| {
            let fault = self.site.fault("read", Place::Structure);
            let height = unsigned(row, 0).map_err(&fault)?;
            if !sound(row, id).map_err(&fault)? {
                let place = Place::Height(height);
                return Err(self
                    .site
                    .corrupt(place, "the header's checksum doesn't match"));
            }
            Ok(height)
        })?;
        if found.is_some() {
            return Ok(found);
        }
        // The inner SELECT reads index alone, the outer one the row it names.
        let neighbours = [
            "SELECT n.height, h.checksum, h.bytes, n.id FROM
                 (SELECT height, id FROM headers WHERE id < ?1 ORDER BY id DESC LIMIT 1) n
                 LEFT JOIN headers h ON h.height = n.height",
            "SELECT n.height, h.checksum, h.bytes, n.id FROM
                 (SELECT height, id FROM headers WHERE id > ?1 ORDER BY id LIMIT 1) n
                 LEFT JOIN headers h ON h.height = n.height",
        ];
        let held = self.state()?.extent.end.min(1);
        self.check_absence(Place::Structure, held, id, neighbours, |row| {
            sound(row, row.get_ref(3)?.as_blob()?)
        })?;
        Ok(None)
    }

    fn locate(&self, key: &Id) -> Result<Location> {
        let sql = concat!(
            "SELECT ",
            state_columns!(),
            ", p.height, p.position, p.checksum
             FROM state s LEFT JOIN places p ON p.key = ?1 WHERE s.one = 1"
        );
        let (entries, found) =
            self.row_with_state(Place::Index, sql, [&key[..]], |state, row| {
                let fault = self.site.fault("read", Place::Index);
                if row.get::<_, Option<i64>>(5).map_err(&fault)?.is_none() {
                    return Ok((state.entries, None));
                }
                let (height, position) = (unsigned(row, 5), row.get::<_, u32>(6));
                let (height, position) = (height.map_err(&fault)?, position.map_err(&fault)?);
                let expected: u32 = row.get(7).map_err(&fault)?;
                if place_checksum(key, height, position) != expected {
                    return Err(self
                        .site
                        .corrupt(Place::Index, "a row's checksum doesn't match"));
                }
                Ok((state.entries, Some(state.extent.location(height, position))))
            })?;
        if let Some(location) = found {
            return Ok(location);
        }
        let neighbours = [
            "SELECT key, height, position, checksum FROM places WHERE key < ?1 ORDER BY key DESC LIMIT 1",
            "SELECT key, height, position, checksum FROM places WHERE key > ?1 ORDER BY key LIMIT 1",
        ];
        self.check_absence(Place::Index, entries, key, neighbours, |row| {
            let key: Id = row.get(0)?;
            Ok(row.get::<_, u32>(3)? == place_checksum(&key, unsigned(row, 1)?, row.get(2)?))
        })?;
        Ok(Location::Absent)
    }

    fn meta(&self, key: &str) -> Result<Option<Bytes>> {
        let sql = "SELECT value_checksum, value FROM meta WHERE key = ?1";
        let found = self.row(Place::Meta, sql, [key.as_bytes()], |row| {
            let fault = self.site.fault("read", Place::Meta);
            let expected: u32 = row.get(0).map_err(&fault)?;
            let value: Vec<u8> = row.get(1).map_err(&fault)?;
            if meta_checksum(key, &value) != expected {
                let reason = format!("the checksum of {key:?} doesn't match");
                return Err(self.site.corrupt(Place::Meta, reason));
            }
            Ok(Bytes::from(value))
        })?;
        if found.is_none() {
            let neighbours = [
                "SELECT key, key_checksum FROM meta WHERE key < ?1 ORDER BY key DESC LIMIT 1",
                "SELECT key, key_checksum FROM meta WHERE key > ?1 ORDER BY key LIMIT 1",
            ];
            self.check_absence(Place::Meta, 0, key.as_bytes(), neighbours, |row| {
                Ok(row.get::<_, u32>(1)? == schema::checksum(row.get_ref(0)?.as_blob()?, &[]))
            })?;
        }
        Ok(found)
    }

    fn usage(&self) -> Result<Usage> {
        let State {
            extent, entries, ..
        } = self.state()?;
        Ok(Usage {
            bytes_on_disk: place::store_bytes(&self.site.path)?,
            blocks: extent.end - extent.floor,
            index_entries: entries,
        })
    }
}

/// Connections that rest between calls. At most [`CONNECTIONS_MAX`] exist; a call that finds none waits.
struct Pool {
    site: Site,
    mode: Mode,
    shared: Mutex<Connections>,
    freed: Condvar,
}

#[derive(Default)]
struct Connections {
    idle: Vec<Connection>,
    taken: usize,
}

impl Pool {
    fn take(&self) -> Result<Taken<'_>> {
        let mut shared = self.lock();
        while shared.taken >= CONNECTIONS_MAX {
            shared = self
                .freed
                .wait(shared)
                .unwrap_or_else(PoisonError::into_inner);
        }
        shared.taken += 1;
        let idle = shared.idle.pop();
        drop(shared);
        // From here on, dropping gives the place back, also if connecting fails.
        let mut taken = Taken {
            pool: self,
            connection: idle,
        };
        if taken.connection.is_none() {
            taken.connection = Some(self.connect()?);
        }
        Ok(taken)
    }

    fn connect(&self) -> Result<Connection> {
        let flags = match self.mode {
            Mode::Alone => OpenFlags::SQLITE_OPEN_READ_ONLY,
            Mode::BesideWriter => OpenFlags::SQLITE_OPEN_READ_WRITE,
        };
        let connection = schema::connect(&self.site, flags)?;
        let fault = self.site.fault("open", Place::Structure);
        connection
            .pragma_update(None, "query_only", "ON")
            .map_err(&fault)?;
        connection
            .pragma_update(None, "cache_size", -CACHE_KIB)
            .map_err(&fault)?;
        Ok(connection)
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that goes back to its pool when dropped.
struct Taken<'a> {
    pool: &'a Pool,
    connection: Option<Connection>,
}

impl Deref for Taken<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
            .as_ref()
            .expect("set before the guard is handed out")
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut shared = self.pool.lock();
        shared.taken -= 1;
        shared.idle.extend(self.connection.take());
        drop(shared);
        self.pool.freed.notify_one();
    }
}
