//! SQLite in WAL mode. `synchronous = FULL` syncs the WAL at each commit; everything else is as it comes.

use std::path::Path;

use anyhow::{Result, ensure};
use hubledger_storage::{Block, Durability, Id};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::storage::keeper::{Index, Keeper};
use crate::storage::workload::Place;

/// A table of blocks and, with an index, one of ids.
pub(crate) struct PlainSqlite {
    connection: Connection,
    index: Index,
}

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS blocks (height INTEGER PRIMARY KEY, header BLOB NOT NULL, body BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS ids (id BLOB PRIMARY KEY, height INTEGER NOT NULL, position INTEGER NOT NULL)
        WITHOUT ROWID;
";

impl PlainSqlite {
    pub(crate) fn open(directory: &Path, durability: Durability, index: Index) -> Result<Self> {
        let connection = Connection::open(directory.join("blocks.db"))?;
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
        ensure!(mode == "wal", "SQLite's journal is {mode:?}, not a WAL");
        let synchronous = match durability {
            Durability::Disk => "FULL",
            Durability::Os | Durability::Memory => "NORMAL",
        };
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self { connection, index })
    }
}

impl Keeper for PlainSqlite {
    fn append(&mut self, run: &[Block]) -> Result<()> {
        let transaction = self.connection.transaction()?;
        {
            let mut put_block =
                transaction.prepare_cached("INSERT INTO blocks VALUES (?, ?, ?)")?;
            let mut put_id = transaction.prepare_cached("INSERT INTO ids VALUES (?, ?, ?)")?;
            for block in run {
                let height = i64::try_from(block.height)?;
                put_block.execute(params![height, &block.header[..], &block.body[..]])?;
                if self.index.is_kept() {
                    for entry in &block.index {
                        put_id.execute(params![&entry.key[..], height, entry.position])?;
                    }
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }

    fn locate(&self, key: &Id) -> Result<Option<Place>> {
        let mut find = self
            .connection
            .prepare_cached("SELECT height, position FROM ids WHERE id = ?")?;
        let found = find.query_row([&key[..]], |row| {
            Ok(Place {
                height: row.get::<_, i64>(0)? as u64,
                position: row.get(1)?,
            })
        });
        Ok(found.optional()?)
    }

    /// Closing moves what is in the WAL to the database.
    fn finish(self: Box<Self>) -> Result<()> {
        let closed = self.connection.close();
        closed.map_err(|(_, error)| error.into())
    }
}
