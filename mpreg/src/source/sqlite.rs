//! MPREG's SQLite store, opened so that nothing is written to it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row};

use super::{BLOCK_JSON_MAX_BYTES, ChainInfo, RawRow, RowVisitor, SourceError};
use crate::config::ChainConfig;

/// The longest configuration that is read.
const CONFIG_MAX_BYTES: usize = 1 << 20;

/// A length that SQL compares without converting the value; nothing longer is copied out of the database.
const ROWS: &str = "SELECT height, block_hash, timestamp, \
     CASE WHEN octet_length(block_json) <= ?2 THEN block_json END, octet_length(block_json) \
     FROM blocks WHERE chain_id = ?1 ORDER BY height ASC";

const CHAINS: &str = "SELECT chain_id, \
     CASE WHEN octet_length(consensus_config) <= ?1 THEN consensus_config END, \
     CASE WHEN octet_length(crypto_config) <= ?1 THEN crypto_config END \
     FROM chains NOT INDEXED WHERE typeof(chain_id) = 'text' ORDER BY chain_id";

/// Goes over the table itself. [`ROWS`] goes by the index, in which a damaged page can hide rows.
const OWNERS: &str = "SELECT chain_id FROM blocks NOT INDEXED";

#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
}

impl Store {
    /// Opens the database whose first bytes are `start`, and lists its chains.
    pub(super) fn open(path: &Path, start: &[u8]) -> Result<(Self, Vec<ChainInfo>), SourceError> {
        refuse_strange_journals(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(uri(path, start), flags)
            .map_err(|error| convert(path, error))?;
        let store = Self { connection };
        let chains = store
            .begin()
            .and_then(|()| store.list_chains())
            .map_err(|error| convert(path, error))?;
        Ok((store, chains))
    }

    /// Begins the one transaction in which everything is read, so that a chain that MPREG appends to meanwhile is the same in
    /// every pass, and asks for the columns of the blocks, which no row would be read for in a store without chains.
    fn begin(&self) -> rusqlite::Result<()> {
        // A schema is as foreign as the rows: none of its functions may have side effects.
        self.connection
            .pragma_update(None, "trusted_schema", false)?;
        // Through a map, what the disk can't read would end the process.
        self.connection.pragma(None, "mmap_size", 0, |_| Ok(()))?;
        self.connection.execute_batch("BEGIN")?;
        self.connection.prepare(ROWS).map(drop)
    }

    fn list_chains(&self) -> rusqlite::Result<Vec<ChainInfo>> {
        let mut statement = self.connection.prepare(CHAINS)?;
        let mut counts = self.count_blocks()?;
        // Longer configurations come back as NULL: their length is compared within SQLite, before they are copied out.
        let mut rows = statement.query([CONFIG_MAX_BYTES as i64])?;
        let mut chains = Vec::new();
        while let Some(row) = rows.next()? {
            let id = match row.get_ref(0)? {
                ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                _ => continue,
            };
            let blocks = counts.remove(&id).unwrap_or_default();
            chains.push(ChainInfo {
                id,
                config: config(row)?,
                blocks,
            });
        }
        Ok(chains)
    }

    fn count_blocks(&self) -> rusqlite::Result<HashMap<String, u64>> {
        let mut statement = self.connection.prepare(OWNERS)?;
        let mut rows = statement.query(())?;
        let mut counts = HashMap::<String, u64>::new();
        while let Some(row) = rows.next()? {
            if let ValueRef::Text(id) = row.get_ref(0)? {
                let id = String::from_utf8_lossy(id);
                match counts.get_mut(&*id) {
                    Some(count) => *count += 1,
                    None => drop(counts.insert(id.into_owned(), 1)),
                }
            }
        }
        Ok(counts)
    }

    /// Hands out the rows by height: at least `expected`, unless `visit` breaks off.
    pub(super) fn for_each_row(
        &self,
        path: &Path,
        chain: &str,
        expected: u64,
        visit: &mut RowVisitor<'_>,
    ) -> Result<(), SourceError> {
        let visited = self
            .visit_rows(chain, visit)
            .map_err(|error| convert(path, error))?;
        match visited {
            Some(found) if found < expected => Err(SourceError::MissingRows {
                path: path.to_owned(),
                found,
                expected,
            }),
            _ => Ok(()),
        }
    }

    /// How many rows there were, or `None` if `visit` broke off.
    fn visit_rows(&self, chain: &str, visit: &mut RowVisitor<'_>) -> rusqlite::Result<Option<u64>> {
        let mut statement = self.connection.prepare(ROWS)?;
        let mut rows = statement.query((chain, BLOCK_JSON_MAX_BYTES as i64))?;
        let mut found = 0;
        while let Some(row) = rows.next()? {
            if visit(raw_row(row)?).is_break() {
                return Ok(None);
            }
            found += 1;
        }
        Ok(Some(found))
    }
}

fn raw_row<'a>(row: &'a Row<'_>) -> rusqlite::Result<RawRow<'a>> {
    // Any column may hold a value of any type, whatever the schema says (SQLite's "Datatypes In SQLite").
    let height = match row.get_ref(0)? {
        ValueRef::Integer(height) => u64::try_from(height).ok(),
        _ => None,
    };
    let hash = match row.get_ref(1)? {
        ValueRef::Text(text) => std::str::from_utf8(text).ok(),
        _ => None,
    };
    let timestamp = match row.get_ref(2)? {
        ValueRef::Real(seconds) => Some(seconds),
        ValueRef::Integer(seconds) => Some(seconds as f64),
        _ => None,
    };
    let json = match (row.get_ref(3)?, row.get_ref(4)?) {
        (ValueRef::Text(json) | ValueRef::Blob(json), _) => Ok(json),
        (ValueRef::Null, ValueRef::Integer(length)) => Err(format!(
            "block_json has {length} bytes, the limit is {BLOCK_JSON_MAX_BYTES}"
        )),
        (ValueRef::Null, _) => Err("block_json is NULL".into()),
        _ => Err("block_json is a number".into()),
    };
    Ok(RawRow {
        height,
        hash,
        timestamp,
        json,
    })
}

fn config(row: &Row<'_>) -> rusqlite::Result<Result<ChainConfig, String>> {
    let text = |column| -> rusqlite::Result<Option<&[u8]>> {
        Ok(match row.get_ref(column)? {
            ValueRef::Text(text) | ValueRef::Blob(text) => Some(text),
            _ => None,
        })
    };
    Ok(match (text(1)?, text(2)?) {
        (Some(consensus), Some(crypto)) => ChainConfig::from_json(consensus, Some(crypto)),
        (None, _) => Err("consensus_config is no text or too long".into()),
        (_, None) => Err("crypto_config is no text or too long".into()),
    })
}

/// SQLite itself opens whatever is beside the database, and waits for ever for the other end of a pipe.
fn refuse_strange_journals(path: &Path) -> Result<(), SourceError> {
    for suffix in ["-wal", "-shm", "-journal"] {
        let mut journal = OsString::from(path);
        journal.push(suffix);
        let journal = PathBuf::from(journal);
        if journal.metadata().is_ok_and(|found| !found.is_file()) {
            return Err(SourceError::NotAFile { path: journal });
        }
    }
    Ok(())
}

/// The database's address for SQLite.
///
/// A database in WAL mode needs its `-shm` file even to be read, and SQLite would make one. Where no `-wal` lies
/// beside it, all content is in the main file and nobody is writing, so it is opened as immutable. With a
/// `-wal`, or in the other modes (where readers make no file), SQLite's own locks are kept.
fn uri(path: &Path, start: &[u8]) -> String {
    let mut wal = OsString::from(path);
    wal.push("-wal");
    let is_wal_mode = start
        .get(18..20)
        .is_some_and(|versions| versions.contains(&2));
    let immutable = if is_wal_mode && !Path::new(&wal).exists() {
        "&immutable=1"
    } else {
        ""
    };
    // An absolute path gets an empty authority: without it, one that starts with `//` would be taken for an authority.
    let mut uri = String::from(if path.is_absolute() {
        "file://"
    } else {
        "file:"
    });
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    format!("{uri}?mode=ro{immutable}")
}

fn convert(path: &Path, source: rusqlite::Error) -> SourceError {
    let path = path.to_owned();
    let (code, message) = match &source {
        rusqlite::Error::SqliteFailure(failure, message) => {
            (Some(failure.code), message.as_deref().unwrap_or_default())
        }
        rusqlite::Error::SqlInputError { error, msg, .. } => (Some(error.code), msg.as_str()),
        _ => (None, ""),
    };
    match code {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            SourceError::Corrupt { path, source }
        }
        _ if message.contains("no such table") || message.contains("no such column") => {
            SourceError::NotAStore {
                path,
                reason: message.to_owned(),
            }
        }
        _ => SourceError::Database { path, source },
    }
}
