//! Tables and connections.
//!
//! Each table of rows is a table of numbers and blobs; the bytes of a row are the business of `rows`.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::fault::DatabaseFile;
use super::files::was_made;
use crate::rows::Table;
use crate::{DamageAt, Error, Result};

/// "HLG1", in the header of every store.
const APPLICATION_ID: u32 = 0x484C_4731;
/// The version of tables and rows.
const SCHEMA_VERSION: u32 = 1;
/// What an SQLite database begins with, as far as it is looked at: <https://sqlite.org/fileformat2.html#the_database_header>.
pub(super) const HEAD_BYTES: usize = 72;
const MAGIC: &[u8] = b"SQLite format 3\0";
const USER_VERSION_AT: usize = 60;
const APPLICATION_ID_AT: usize = 68;
/// How long a connection waits for another one's short lock, for instance while a log is recovered.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a page of the database, chosen by measurement.
const PAGE_BYTES: u32 = 4096;

/// Makes an empty store at a path where nothing is, and closes it: one file, and all of it on the disk.
pub(super) fn create(
    file: &DatabaseFile,
    fill: impl FnOnce(&Connection) -> Result<()>,
) -> Result<()> {
    let fault = file.fault("create", DamageAt::Structure);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(&file.path, flags).map_err(&fault)?;
    let prepare = |connection: &Connection| -> rusqlite::Result<()> {
        // Both have to be set before the first table; later they would be ignored
        // (<https://sqlite.org/pragma.html#pragma_auto_vacuum>).
        connection.pragma_update(None, "page_size", PAGE_BYTES)?;
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        connection.pragma_update(None, "synchronous", "FULL")
    };
    prepare(&connection).map_err(&fault)?;
    let transaction = connection.transaction().map_err(&fault)?;
    let build = || -> rusqlite::Result<()> {
        for table in Table::ALL {
            let name = table.name();
            transaction.execute_batch(&format!(
                "CREATE TABLE {name} (number INTEGER PRIMARY KEY, row BLOB NOT NULL) STRICT"
            ))?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)
    };
    build().map_err(&fault)?;
    fill(&transaction)?;
    transaction.commit().map_err(&fault)?;
    connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
        .map_err(&fault)?;
    connection.close().map_err(|(_, error)| fault(error))
}

/// Refuses a file that is certainly not a store of this version, by its first [`HEAD_BYTES`]. Both numbers stand
/// there since creation, so it doesn't matter what is in the log, nor whether a writer is at work.
pub(super) fn refuse_stranger_file(path: &Path, head: &[u8]) -> Result<()> {
    let file = DatabaseFile::new(path);
    let number = |at: usize| {
        let bytes = head.get(at..at + 4)?;
        bytes.try_into().map(u32::from_be_bytes).ok()
    };
    match (number(APPLICATION_ID_AT), number(USER_VERSION_AT)) {
        (Some(application), Some(version)) if head.starts_with(MAGIC) => {
            refuse_stranger(&file, (application, version))
        }
        _ => not_a_store(&file, "no SQLite database".to_owned()),
    }
}

/// Opens a connection to an existing store.
pub(super) fn connect(file: &DatabaseFile, flags: OpenFlags) -> Result<Connection> {
    let connection =
        Connection::open_with_flags(&file.path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX);
    prepare(file, connection)
}

/// Opens a connection that takes the file as it is, for good: it reads no log, makes no file and takes no lock.
pub(super) fn connect_immutable(file: &DatabaseFile) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(immutable_uri(&file.path), flags);
    prepare(file, connection)
}

fn prepare(file: &DatabaseFile, connection: rusqlite::Result<Connection>) -> Result<Connection> {
    let fault = file.fault("open", DamageAt::Structure);
    let connection = connection.map_err(&fault)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(&fault)?;
    // Again, through SQLite: the file may have been exchanged since its first bytes were looked at.
    refuse_stranger(file, identity(&connection).map_err(&fault)?)?;
    connection
        // A file that somebody else made may have triggers or views that call functions, and pages made to confuse SQLite
        // (<https://sqlite.org/security.html>).
        .pragma_update(None, "trusted_schema", "OFF")
        .map_err(&fault)?;
    connection
        .pragma_update(None, "cell_size_check", "ON")
        .map_err(&fault)?;
    // Through a map, a page that the disk can't read would end the process (SIGBUS).
    connection
        .pragma(None, "mmap_size", 0, |_| Ok(()))
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

fn refuse_stranger(file: &DatabaseFile, (application, version): (u32, u32)) -> Result<()> {
    if application != APPLICATION_ID {
        let found = format!(
            "an SQLite database of another application (application id {application:#010x})"
        );
        return not_a_store(file, found);
    }
    if version != SCHEMA_VERSION {
        let path = file.path.clone();
        return Err(Error::Version {
            path,
            found: version,
            supported: SCHEMA_VERSION,
        });
    }
    Ok(())
}

fn not_a_store<T>(file: &DatabaseFile, found: String) -> Result<T> {
    if was_made(&file.path) {
        let reason = format!("a store was made here, and it is {found}");
        return Err(Error::corrupt(&file.path, DamageAt::Structure, reason));
    }
    Err(Error::NotAStore {
        path: file.path.clone(),
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
