//! Tables, connections, checksums, and the one row of `state`.
//!
//! - `state`: floor, end, the number of index entries, the number of commits.
//! - `headers`: height → id and header. `bodies`: height → body.
//! - `keys`: height → the block's index keys, 32 bytes each, for truncation, which would otherwise have to
//!   scan the index. It ends with the body, because truncation never goes below the floor. The alternative,
//!   a second index by height, takes as much space and a B-tree insertion per key.
//! - `places`: index key → height and position. `meta`: named values.
//!
//! Integers are SQLite's, signed 64 bits; heights count blocks and stay far below.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Row, params};

use super::fault::Site;
use crate::{Error, Extent, Id, Place, Result};

/// "HLG1", in the header of every store.
const APPLICATION_ID: u32 = 0x484C_4731;
/// The version of tables and checksums.
const SCHEMA_VERSION: u32 = 1;
/// How long a connection waits for another one's short lock, for instance while a log is recovered.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const TABLES: &str = "
    CREATE TABLE state (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        floor INTEGER NOT NULL,
        extent_end INTEGER NOT NULL,
        entries INTEGER NOT NULL,
        commits INTEGER NOT NULL,
        checksum INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE headers (
        height INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        checksum INTEGER NOT NULL,
        bytes BLOB NOT NULL
    ) STRICT;
    CREATE TABLE bodies (
        height INTEGER PRIMARY KEY,
        checksum INTEGER NOT NULL,
        bytes BLOB NOT NULL
    ) STRICT;
    CREATE TABLE keys (
        height INTEGER PRIMARY KEY,
        checksum INTEGER NOT NULL,
        bytes BLOB NOT NULL
    ) STRICT;
    CREATE TABLE places (
        key BLOB PRIMARY KEY,
        height INTEGER NOT NULL,
        position INTEGER NOT NULL,
        checksum INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE meta (
        key BLOB PRIMARY KEY,
        key_checksum INTEGER NOT NULL,
        value_checksum INTEGER NOT NULL,
        value BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// The columns of `state`, called `s` in the query, as [`State::of_row`] expects them.
macro_rules! state_columns {
    () => {
        "s.floor, s.extent_end, s.entries, s.commits, s.checksum"
    };
}
pub(super) use state_columns;

/// The one row of `state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct State {
    pub(super) extent: Extent,
    /// Keys in `places`.
    pub(super) entries: u64,
    /// Counts up, so that every commit writes, and the durable ones carry those before them to the disk.
    pub(super) commits: u64,
}

impl State {
    /// Reads the columns of `state_columns!`, which are the row's first.
    pub(super) fn of_row(site: &Site, row: &Row<'_>) -> Result<Self> {
        let column = |index| unsigned(row, index).map_err(site.fault("read", Place::Extent));
        let state = Self {
            extent: Extent {
                floor: column(0)?,
                end: column(1)?,
            },
            entries: column(2)?,
            commits: column(3)?,
        };
        if column(4)? != u64::from(state.checksum()) {
            return Err(site.corrupt(Place::Extent, "the checksum doesn't match"));
        }
        Ok(state)
    }

    pub(super) fn read(site: &Site, connection: &Connection) -> Result<Self> {
        let fault = site.fault("read", Place::Extent);
        let sql = concat!("SELECT ", state_columns!(), " FROM state s WHERE s.one = 1");
        let mut statement = connection.prepare_cached(sql).map_err(&fault)?;
        let mut rows = statement.query([]).map_err(&fault)?;
        match rows.next().map_err(&fault)? {
            Some(row) => Self::of_row(site, row),
            None => Err(site.corrupt(Place::Extent, "the row is missing")),
        }
    }

    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let Extent { floor, end } = self.extent;
        connection
            .prepare_cached(
                "INSERT INTO state (one, floor, extent_end, entries, commits, checksum)
                 VALUES (1, ?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (one) DO UPDATE SET floor = ?1, extent_end = ?2, entries = ?3, commits = ?4,
                     checksum = ?5",
            )?
            .execute(params![
                signed(floor),
                signed(end),
                signed(self.entries),
                signed(self.commits),
                self.checksum()
            ])?;
        Ok(())
    }

    fn checksum(&self) -> u32 {
        let Extent { floor, end } = self.extent;
        checksum(
            &[floor, end, self.entries, self.commits]
                .map(u64::to_le_bytes)
                .concat(),
            &[],
        )
    }
}

/// A row's checksum: CRC-32 over its key, then its value. The key's length must follow from the table.
pub(super) fn checksum(key: &[u8], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(value);
    hasher.finalize()
}

/// The checksum of a row of `headers`.
pub(super) fn header_checksum(height: u64, id: &[u8], bytes: &[u8]) -> u32 {
    checksum(&[&height.to_le_bytes(), id].concat(), bytes)
}

/// The checksum of a row of `bodies` or `keys`.
pub(super) fn height_checksum(height: u64, bytes: &[u8]) -> u32 {
    checksum(&height.to_le_bytes(), bytes)
}

/// The checksum of a row of `places`.
pub(super) fn place_checksum(key: &Id, height: u64, position: u32) -> u32 {
    checksum(
        key,
        &[&height.to_le_bytes()[..], &position.to_le_bytes()].concat(),
    )
}

/// The checksum of a row of `meta` over key and value.
pub(super) fn meta_checksum(key: &str, value: &[u8]) -> u32 {
    checksum(
        &[&(key.len() as u64).to_le_bytes(), key.as_bytes()].concat(),
        value,
    )
}

/// A column that counts.
pub(super) fn unsigned(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(index)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(index, value))
}

/// A count as SQLite stores it.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).expect("counts of blocks and entries stay below 2^63")
}

/// Makes an empty store at a path where nothing is, and closes it: one file, and all of it on the disk.
pub(super) fn create(site: &Site) -> Result<()> {
    let fault = site.fault("create", Place::Structure);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(&site.path, flags).map_err(&fault)?;
    let build = |connection: &mut Connection| -> rusqlite::Result<()> {
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let transaction = connection.transaction()?;
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        State::default().write(&transaction)?;
        transaction.commit()?;
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
    };
    build(&mut connection).map_err(&fault)?;
    connection.close().map_err(|(_, error)| fault(error))
}

/// Refuses a file that is certainly not a store of this version, and leaves it and its directory alone.
///
/// The file is read as immutable, that is without its log and without locks, while perhaps a writer is
/// at work on it. Both numbers stand in the first page since creation, so that is enough for them;
/// other faults seen here may be of the moment, and are left to the connection that opens the store.
pub(super) fn inspect(site: &Site) -> Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let verdict = Connection::open_with_flags(immutable_uri(&site.path), flags)
        .and_then(|connection| identity(&connection));
    match verdict {
        Ok(identity) => refuse_stranger(site, identity),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
            not_a_store(site, "no SQLite database".to_owned())
        }
        Err(_) => Ok(()),
    }
}

/// Opens a connection to an existing store.
pub(super) fn connect(site: &Site, flags: OpenFlags) -> Result<Connection> {
    let fault = site.fault("open", Place::Structure);
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&site.path, flags).map_err(&fault)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(&fault)?;
    refuse_stranger(site, identity(&connection).map_err(&fault)?)?;
    connection
        .pragma_update(None, "trusted_schema", "OFF")
        .map_err(&fault)?;
    connection
        .pragma_update(None, "cell_size_check", "ON")
        .map_err(&fault)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

fn identity(connection: &Connection) -> rusqlite::Result<(u32, u32)> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    Ok((
        number("application_id")?.cast_unsigned(),
        number("user_version")?.cast_unsigned(),
    ))
}

fn refuse_stranger(site: &Site, (application, version): (u32, u32)) -> Result<()> {
    if application != APPLICATION_ID {
        let found = format!(
            "an SQLite database of another application (application id {application:#010x})"
        );
        return not_a_store(site, found);
    }
    if version != SCHEMA_VERSION {
        let path = site.path.clone();
        return Err(Error::Version {
            path,
            found: version,
            supported: SCHEMA_VERSION,
        });
    }
    Ok(())
}

fn not_a_store<T>(site: &Site, found: String) -> Result<T> {
    Err(Error::NotAStore {
        path: site.path.clone(),
        found,
    })
}

fn immutable_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(byte));
            }
            _ => write!(uri, "%{byte:02X}").expect("writing to a string can't fail"),
        }
    }
    uri + "?immutable=1"
}

/// Checks, on opening, that what `state` says agrees with the ends of the tables. O(log n).
pub(super) fn check_ends(site: &Site, connection: &Connection) -> Result<Extent> {
    let Extent { floor, end } = State::read(site, connection)?.extent;
    if floor > end {
        return Err(site.corrupt(
            Place::Extent,
            format!("floor {floor} is beyond the end {end}"),
        ));
    }
    check_table(site, connection, "headers", 0, end)?;
    check_table(site, connection, "bodies", floor, end)?;
    Ok(Extent { floor, end })
}

fn check_table(
    site: &Site,
    connection: &Connection,
    table: &str,
    first: u64,
    end: u64,
) -> Result<()> {
    // One statement per end: SQLite turns a lone min() or max() into one step from that end.
    let edge = |function: &str| -> Result<Option<i64>> {
        let sql = format!("SELECT {function}(height) FROM {table}");
        connection
            .query_row(&sql, [], |row| row.get(0))
            .map_err(site.fault("open", Place::Structure))
    };
    let expected = (first < end).then(|| (signed(first), signed(end - 1)));
    let found = edge("min")?.zip(edge("max")?);
    if found != expected {
        let held = |range: Option<(i64, i64)>| {
            range.map_or("nothing".to_owned(), |(low, high)| {
                format!("heights {low} to {high}")
            })
        };
        return Err(site.corrupt(
            Place::Structure,
            format!(
                "{table} hold {}, and should hold {}",
                held(found),
                held(expected)
            ),
        ));
    }
    Ok(())
}
