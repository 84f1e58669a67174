//! The tables of a store at one moment, and commits to them.

use std::io;
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params,
};

use super::fault::DatabaseFile;
use super::files;
use super::keyed::Keyed;
use super::moment::SqliteMoment;
use super::options::SqliteOptions;
use super::pool::{Pool, Taken};
use super::presence::Lock;
use super::schema;
use crate::opening::sync_name;
use crate::rows::{Batch, Database, KeySpan, Rows, Table, View, VisitKeyed};
use crate::{DamageAt, Durability, Error, Result};

/// Pages in the log after which a commit also moves them into the file: 16 MiB.
const CHECKPOINT_PAGES: i32 = 4096;
/// Bytes that the log keeps when it is empty.
const LOG_BYTES_KEPT: i32 = 64 << 20;
/// Pages given back per step of pruning: 16 MiB, so that the log stays small on a disk that is full.
const VACUUM_PAGES: u32 = 4096;

/// What reads rows on a connection.
pub(super) struct SqliteView<'a, C: Deref<Target = Connection>> {
    connection: C,
    file: &'a DatabaseFile,
    operation: &'static str,
    /// Whether dropping this ends a transaction.
    ends: bool,
}

impl<C: Deref<Target = Connection>> Drop for SqliteView<'_, C> {
    fn drop(&mut self) {
        if self.ends
            && let Err(error) = self.connection.execute_batch("COMMIT")
        {
            tracing::warn!(%error, "a read transaction did not end");
        }
    }
}

const fn select(table: Table) -> &'static str {
    match table {
        Table::State => "SELECT row FROM state WHERE number = ?1",
        Table::Ids => "SELECT row FROM ids WHERE number = ?1",
        Table::Headers => "SELECT row FROM headers WHERE number = ?1",
        Table::Bodies => "SELECT row FROM bodies WHERE number = ?1",
        Table::Keys => "SELECT row FROM keys WHERE number = ?1",
        Table::Runs => "SELECT row FROM runs WHERE number = ?1",
        Table::Values => "SELECT row FROM named_values WHERE number = ?1",
    }
}

const fn insert(table: Table) -> &'static str {
    match table {
        // Only `state` and `named_values` have rows that are put again. In any other table, a row that is there already is
        // damage, which SQLite's constraint reports.
        Table::State => "INSERT OR REPLACE INTO state (number, row) VALUES (?1, ?2)",
        Table::Ids => "INSERT INTO ids (number, row) VALUES (?1, ?2)",
        Table::Headers => "INSERT INTO headers (number, row) VALUES (?1, ?2)",
        Table::Bodies => "INSERT INTO bodies (number, row) VALUES (?1, ?2)",
        Table::Keys => "INSERT INTO keys (number, row) VALUES (?1, ?2)",
        Table::Runs => "INSERT INTO runs (number, row) VALUES (?1, ?2)",
        Table::Values => "INSERT OR REPLACE INTO named_values (number, row) VALUES (?1, ?2)",
    }
}

impl<C: Deref<Target = Connection>> View for SqliteView<'_, C> {
    fn get(&self, table: Table, number: u64) -> Result<Option<Bytes>> {
        let Ok(key) = i64::try_from(number) else {
            return Ok(None);
        };
        let row = || -> rusqlite::Result<Option<Vec<u8>>> {
            let mut statement = self.connection.prepare_cached(select(table))?;
            statement.query_row([key], |row| row.get(0)).optional()
        };
        let found = row().map_err(self.file.fault(self.operation, table.damage_at(number)))?;
        Ok(found.map(Bytes::from))
    }

    fn numbers(&self, table: Table, visit: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
        let fault = self.file.fault(self.operation, DamageAt::Structure);
        let sql = format!("SELECT number FROM {} ORDER BY number", table.name());
        let mut statement = self.connection.prepare(&sql).map_err(&fault)?;
        let mut rows = statement.query([]).map_err(&fault)?;
        while let Some(row) = rows.next().map_err(&fault)? {
            let number: i64 = row.get(0).map_err(&fault)?;
            visit(number.cast_unsigned())?;
        }
        Ok(())
    }

    fn keyed(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.by_key().get(key)
    }

    fn scan(&self, keys: KeySpan<'_>, visit: &mut VisitKeyed<'_>) -> Result<()> {
        self.by_key().scan(keys, visit)
    }
}

impl<'a> SqliteView<'a, &'a Connection> {
    /// What a connection sees that is in a read transaction of somebody else's.
    pub(super) fn within(connection: &'a Connection, file: &'a DatabaseFile) -> Self {
        Self {
            connection,
            file,
            operation: "read",
            ends: false,
        }
    }
}

impl<C: Deref<Target = Connection>> SqliteView<'_, C> {
    fn by_key(&self) -> Keyed<'_> {
        Keyed {
            connection: &self.connection,
            file: self.file,
            operation: self.operation,
        }
    }
}

/// The reading half.
pub(super) struct SqliteRows {
    pool: Arc<Pool>,
}

impl SqliteRows {
    pub(super) fn new(pool: Pool) -> Self {
        Self {
            pool: Arc::new(pool),
        }
    }

    /// What SQLite itself finds wrong with the file.
    pub(super) fn integrity(&self, visit: &mut dyn FnMut(String)) -> Result<()> {
        let fault = self.pool.file().fault("check", DamageAt::Structure);
        let connection = self.pool.take()?;
        let mut statement = connection
            .prepare("PRAGMA integrity_check(1000)")
            .map_err(&fault)?;
        let mut rows = statement.query([]).map_err(&fault)?;
        while let Some(row) = rows.next().map_err(&fault)? {
            let text: String = row.get(0).map_err(&fault)?;
            if text != "ok" {
                visit(text);
            }
        }
        Ok(())
    }
}

impl Rows for SqliteRows {
    type View<'a> = SqliteView<'a, Taken<'a>>;
    type Moment = SqliteMoment;

    fn view(&self) -> Result<Self::View<'_>> {
        let connection = self.pool.take()?;
        let file = self.pool.file();
        let begin = connection
            .prepare_cached("BEGIN")
            .and_then(|mut begin| begin.execute([]));
        begin.map_err(file.fault("read", DamageAt::Structure))?;
        Ok(SqliteView {
            connection,
            file,
            operation: "read",
            ends: true,
        })
    }

    fn moment(&self) -> Result<Self::Moment> {
        SqliteMoment::begin(&self.pool)
    }

    fn path(&self) -> &Path {
        &self.pool.file().path
    }

    fn bytes_on_disk(&self) -> Result<u64> {
        files::store_bytes(self.path())
    }
}

/// A commit that is being put together.
pub(super) struct SqliteBatch<'a> {
    view: SqliteView<'a, &'a Connection>,
}

impl<'a> SqliteBatch<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        file: &'a DatabaseFile,
        operation: &'static str,
    ) -> Self {
        Self {
            view: SqliteView {
                connection,
                file,
                operation,
                ends: false,
            },
        }
    }
}

impl View for SqliteBatch<'_> {
    fn get(&self, table: Table, number: u64) -> Result<Option<Bytes>> {
        self.view.get(table, number)
    }

    fn numbers(&self, table: Table, visit: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
        self.view.numbers(table, visit)
    }

    fn keyed(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.view.keyed(key)
    }

    fn scan(&self, keys: KeySpan<'_>, visit: &mut VisitKeyed<'_>) -> Result<()> {
        self.view.scan(keys, visit)
    }
}

impl Batch for SqliteBatch<'_> {
    fn put(&mut self, table: Table, number: u64, row: &[u8]) -> Result<()> {
        let SqliteView {
            connection,
            file,
            operation,
            ..
        } = &self.view;
        let execute = || -> rusqlite::Result<usize> {
            let mut statement = connection.prepare_cached(insert(table))?;
            statement.execute(params![signed(number), row])
        };
        execute()
            .map(drop)
            .map_err(file.fault(operation, table.damage_at(number)))
    }

    fn remove(&mut self, table: Table, numbers: Range<u64>) -> Result<()> {
        let SqliteView {
            connection,
            file,
            operation,
            ..
        } = &self.view;
        let sql = format!(
            "DELETE FROM {} WHERE number >= ?1 AND number < ?2",
            table.name()
        );
        connection
            .execute(&sql, [signed(numbers.start), signed(numbers.end)])
            .map(drop)
            .map_err(file.fault(operation, table.damage_at(numbers.start)))
    }

    fn begin_keyed(&mut self) -> Result<()> {
        self.view.by_key().begin()
    }

    fn put_keyed(&mut self, key: &[u8], row: &[u8]) -> Result<()> {
        self.view.by_key().put(key, row)
    }

    fn remove_keyed(&mut self, key: &[u8]) -> Result<()> {
        self.view.by_key().remove(key)
    }

    fn remove_span(&mut self, from: &[u8], below: &[u8]) -> Result<()> {
        self.view.by_key().remove_span(from, below)
    }
}

/// A writing half: one connection, one transaction per commit. That of blocks and that of tables take turns, so that neither finds the
/// database locked.
///
/// Durability is SQLite's `synchronous`. FULL flushes the log when a transaction commits, and with it all
/// earlier ones. NORMAL leaves that to the operating system, yet still flushes around a checkpoint, so
/// that loss of power can take the latest transactions but never damages the file; OFF could, so the
/// contract's `Memory` is served as `Os`.
pub(super) struct SqliteDatabase {
    file: DatabaseFile,
    connection: Connection,
    synchronous: Durability,
    // Last, so that the connection is closed before another writer gets in.
    lock: Arc<Lock>,
}

impl SqliteDatabase {
    pub(super) fn open(
        file: DatabaseFile,
        lock: Arc<Lock>,
        options: SqliteOptions,
    ) -> Result<Self> {
        let connection = schema::connect(&file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let configure = || -> rusqlite::Result<bool> {
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "cache_size", -i32::from(options.cache_kib))?;
            connection.pragma_update_and_check(
                None,
                "wal_autocheckpoint",
                CHECKPOINT_PAGES,
                |_| Ok(()),
            )?;
            connection.pragma_update_and_check(
                None,
                "journal_size_limit",
                LOG_BYTES_KEPT,
                |_| Ok(()),
            )?;
            // SQLite falls back to reading where it may not write, without an error.
            connection.is_readonly("main")
        };
        if configure().map_err(file.fault("open", DamageAt::Structure))? {
            return Err(Error::ReadOnly {
                operation: "write",
                path: file.path,
            });
        }
        sync_log(&file.path)?;
        Ok(Self {
            file,
            connection,
            synchronous: Durability::Disk,
            lock,
        })
    }

    fn set_synchronous(&mut self, durability: Durability) -> rusqlite::Result<()> {
        let (reached, word) = match durability {
            Durability::Disk => (Durability::Disk, "FULL"),
            Durability::Memory | Durability::Os => (Durability::Os, "NORMAL"),
        };
        if self.synchronous != reached {
            self.connection.pragma_update(None, "synchronous", word)?;
            self.synchronous = reached;
        }
        Ok(())
    }

    /// Gives the free pages of the file back to the file system, also those that an interrupted call left.
    /// Stops early while a reader's snapshot needs the log; the next pruning continues.
    fn give_back_pages(&self) -> Result<()> {
        let fault = self.file.fault("prune", DamageAt::Structure);
        let free_pages = || -> Result<i64> {
            self.connection
                .pragma_query_value(None, "freelist_count", |row| row.get(0))
                .map_err(&fault)
        };
        let mut free = free_pages()?;
        loop {
            // Each step's pages go through the log, which is emptied between steps: pruning must not need the room that it is
            // to free.
            if !self.checkpoint()? || free == 0 {
                return Ok(());
            }
            self.vacuum().map_err(&fault)?;
            let left = free_pages()?;
            // No progress, whatever the reason: without this the loop might never end.
            if left >= free {
                return Ok(());
            }
            free = left;
        }
    }

    fn vacuum(&self) -> rusqlite::Result<()> {
        let sql = format!("PRAGMA incremental_vacuum({VACUUM_PAGES})");
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        // Each row is a page.
        while rows.next()?.is_some() {}
        Ok(())
    }

    /// Moves the log into the file and cuts it to nothing. False if a reader was in the way.
    fn checkpoint(&self) -> Result<bool> {
        let fault = self.file.fault("prune", DamageAt::Structure);
        // Reads of blocks end soon, and are waited for; nobody knows when the view of a table does, and both writers would wait.
        let wait = match self.lock.are_moments_held() {
            true => Duration::ZERO,
            false => schema::BUSY_TIMEOUT,
        };
        self.connection.busy_timeout(wait).map_err(&fault)?;
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        let busy = self
            .connection
            .query_row(checkpoint, [], |row| row.get::<_, i64>(0));
        self.connection
            .busy_timeout(schema::BUSY_TIMEOUT)
            .map_err(&fault)?;
        Ok(busy.map_err(&fault)? == 0)
    }
}

/// Gets the log to the disk, which a process may have left that was killed: commits at less than [`Durability::Disk`] are not synced, and
/// whoever opens a store counts on all that it finds there. SQLite itself syncs a log only before it moves it into the file.
fn sync_log(path: &Path) -> Result<()> {
    let log = files::beside(path, "-wal");
    let synced = match std::fs::File::open(&log) {
        Ok(log) => log.sync_all(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    synced
        .and_then(|()| sync_name(&log))
        .map_err(|source| Error::system("open", &log, source))
}

impl Database for SqliteDatabase {
    type View<'a> = SqliteView<'a, &'a Connection>;
    type Batch<'a> = SqliteBatch<'a>;

    fn view(&self) -> Result<Self::View<'_>> {
        Ok(SqliteView {
            connection: &self.connection,
            file: &self.file,
            operation: "read",
            ends: false,
        })
    }

    fn commit<T>(
        &mut self,
        operation: &'static str,
        durability: Durability,
        fill: impl FnOnce(&mut Self::Batch<'_>) -> Result<T>,
    ) -> Result<(T, Durability)> {
        self.set_synchronous(durability)
            .map_err(self.file.fault(operation, DamageAt::Structure))?;
        let fault = self.file.fault(operation, DamageAt::Structure);
        let _turn = self.lock.turn();
        let transaction =
            Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)
                .map_err(&fault)?;
        let outcome = fill(&mut SqliteBatch::new(&transaction, &self.file, operation))?;
        transaction.commit().map_err(&fault)?;
        Ok((outcome, self.synchronous))
    }

    fn path(&self) -> &Path {
        &self.file.path
    }

    fn settle(&mut self) -> Result<u64> {
        // Emptied first: bytes of the log that were to go anyway must not count as freed.
        let _turn = self.lock.turn();
        self.checkpoint()?;
        files::content_bytes(&self.file.path)
    }

    fn give_back(&mut self, _: &[(Table, Range<u64>)]) -> Result<u64> {
        let _turn = self.lock.turn();
        self.give_back_pages()?;
        files::content_bytes(&self.file.path)
    }

    fn give_back_keyed(&mut self, _: &[u8], _: &[u8]) -> Result<()> {
        self.give_back(&[]).map(drop)
    }
}

/// A number as SQLite stores it.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use bytes::Bytes;

    use super::super::presence::Presence;
    use super::super::{create, open};
    use super::*;
    use crate::rows::{RowWriter, SharedIndex};
    use crate::{Block, BlockWriter, IndexOptions};

    fn block(height: u64, body_bytes: usize) -> Block {
        Block {
            height,
            id: [height as u8; 32],
            header: Bytes::new(),
            body: vec![1; body_bytes].into(),
            index: vec![],
        }
    }

    #[test]
    fn a_full_disk_poisons_the_writer_and_the_store_opens_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap().join("chain.db");
        let options = SqliteOptions::default();
        drop(create(&path, options).unwrap());
        let lock = Arc::new(Presence::enter(&path).unwrap().lock().unwrap());
        let engine = SqliteDatabase::open(DatabaseFile::new(&path), lock, options).unwrap();
        // SQLite then reports what it does for ENOSPC.
        let limit = |_: &rusqlite::Row<'_>| Ok(());
        engine
            .connection
            .pragma_update_and_check(None, "max_page_count", 40, limit)
            .unwrap();
        let index = Arc::new(SharedIndex::default());
        let mut writer = RowWriter::new(engine, index, IndexOptions::default()).unwrap();
        writer.append(&[block(0, 10)], Durability::Os).unwrap();
        let full = writer
            .append(&[block(1, 10), block(2, 1 << 20)], Durability::Disk)
            .unwrap_err();
        assert!(
            matches!(
                full,
                Error::Full {
                    operation: "append",
                    ..
                }
            ),
            "{full}"
        );
        assert!(writer.sync().unwrap_err().is_poisoned());
        drop(writer);
        let mut store = open(&path, options).unwrap();
        assert_eq!(store.reader.extent().unwrap().end, 1);
        store
            .writer
            .append(&[block(1, 1 << 20)], Durability::Disk)
            .unwrap();
    }
}
