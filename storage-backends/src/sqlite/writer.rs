//! Writing: one connection, one transaction per mutation.
//!
//! Durability is SQLite's `synchronous`. FULL flushes the log when a transaction commits, and with it all
//! earlier ones. NORMAL leaves that to the operating system, yet still flushes around a checkpoint, so
//! that loss of power can take the latest transactions but never damages the file; OFF could, so the
//! contract's `Memory` is served as `Os`.

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, params};

use super::fault::Site;
use super::place::{self, Lock};
use super::schema::{
    self, State, header_checksum, height_checksum, meta_checksum, place_checksum, signed,
};
use crate::latch::Latch;
use crate::{
    Block, BlockWriter, Durability, Error, Id, IndexEntry, Place, PruneReceipt, Receipt, Result,
    check,
};

/// Page cache of the writer, in KiB: what keeps insertions into the index from reading the disk.
const CACHE_KIB: i32 = 64 << 10;
/// Pages in the log after which a commit also moves them into the file: 16 MiB.
const CHECKPOINT_PAGES: i32 = 4096;
/// Bytes that the log keeps when it is empty.
const LOG_BYTES_KEPT: i32 = 64 << 20;
/// Pages given back per step of pruning: 16 MiB, so that the log stays small on a disk that is full.
const VACUUM_PAGES: u32 = 4096;

pub(super) struct SqliteWriter {
    latch: Latch,
    inner: Inner,
    // Last, so that the connection is closed before another writer gets in.
    _lock: Lock,
}

struct Inner {
    site: Site,
    connection: Connection,
    synchronous: Durability,
}

impl SqliteWriter {
    pub(super) fn open(site: Site, lock: Lock) -> Result<Self> {
        let connection = schema::connect(&site, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let configure = || -> rusqlite::Result<()> {
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
            connection.pragma_update_and_check(
                None,
                "wal_autocheckpoint",
                CHECKPOINT_PAGES,
                |_| Ok(()),
            )?;
            connection
                .pragma_update_and_check(None, "journal_size_limit", LOG_BYTES_KEPT, |_| Ok(()))
        };
        configure().map_err(site.fault("open", Place::Structure))?;
        if connection
            .is_readonly("main")
            .map_err(site.fault("open", Place::Structure))?
        {
            return Err(Error::ReadOnly {
                operation: "write",
                path: site.path,
            });
        }
        schema::check_ends(&site, &connection)?;
        let latch = Latch::new(site.path.clone());
        let inner = Inner {
            site,
            connection,
            synchronous: Durability::Disk,
        };
        Ok(Self {
            latch,
            inner,
            _lock: lock,
        })
    }
}

impl BlockWriter for SqliteWriter {
    fn append(&mut self, run: &[Block], durability: Durability) -> Result<Receipt> {
        let append = |step: &Step<'_>, state: &mut State| {
            check::run(state.extent, run)?;
            for block in run {
                step.insert_block(block)?;
            }
            state.extent.end += run.len() as u64;
            state.entries += step.insert_places(run)?;
            Ok(())
        };
        let ((), receipt) = self
            .latch
            .guard("append", || self.inner.commit("append", durability, append))?;
        Ok(receipt)
    }

    fn truncate(&mut self, above: u64) -> Result<()> {
        let truncate = |step: &Step<'_>, state: &mut State| {
            check::truncation(state.extent, above)?;
            let end = above.saturating_add(1).min(state.extent.end);
            for height in end..state.extent.end {
                let deleted = step.delete_places(height)?;
                state.entries = state.entries.checked_sub(deleted).ok_or_else(|| {
                    step.site
                        .corrupt(Place::Index, "it holds more entries than were counted")
                })?;
            }
            step.delete_blocks_from(end)?;
            state.extent.end = end;
            Ok(())
        };
        self.latch.guard("truncate", || {
            self.inner.commit("truncate", Durability::Disk, truncate)
        })?;
        Ok(())
    }

    fn prune(&mut self, below: u64, limit: u64) -> Result<PruneReceipt> {
        self.latch.guard("prune", || self.inner.prune(below, limit))
    }

    fn put_meta(&mut self, key: &str, value: &[u8], durability: Durability) -> Result<()> {
        self.latch.guard("put_meta", || {
            check::meta(key, value)?;
            self.inner.commit("put_meta", durability, |step, _| {
                step.upsert_meta(key, value)
            })
        })?;
        Ok(())
    }

    fn sync(&mut self) -> Result<Receipt> {
        let ((), receipt) = self.latch.guard("sync", || {
            self.inner.commit("sync", Durability::Disk, |_, _| Ok(()))
        })?;
        Ok(receipt)
    }
}

impl Inner {
    /// Runs a mutation as one transaction; it is rolled back if the mutation fails.
    fn commit<T>(
        &mut self,
        operation: &'static str,
        durability: Durability,
        mutation: impl FnOnce(&Step<'_>, &mut State) -> Result<T>,
    ) -> Result<(T, Receipt)> {
        self.set_synchronous(durability)
            .map_err(self.site.fault(operation, Place::Structure))?;
        let fault = self.site.fault(operation, Place::Structure);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(&fault)?;
        let mut state = State::read(&self.site, &transaction)?;
        let step = Step {
            site: &self.site,
            operation,
            transaction: &transaction,
        };
        let outcome = mutation(&step, &mut state)?;
        state.commits += 1;
        state.write(&transaction).map_err(&fault)?;
        transaction.commit().map_err(&fault)?;
        Ok((
            outcome,
            Receipt {
                end: state.extent.end,
                durability: self.synchronous,
            },
        ))
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

    fn prune(&mut self, below: u64, limit: u64) -> Result<PruneReceipt> {
        // Before measuring, so that bytes of the log that were to go anyway aren't counted as freed.
        self.checkpoint()?;
        let bytes_before = place::content_bytes(&self.site.path)?;
        let ((floor, bodies, body_bytes), _) =
            self.commit("prune", Durability::Disk, |step, state| {
                check::pruning(state.extent, below)?;
                let bodies = below.saturating_sub(state.extent.floor).min(limit);
                let floor = state.extent.floor + bodies;
                let body_bytes = step.delete_bodies(state.extent.floor, floor)?;
                state.extent.floor = floor;
                Ok((floor, bodies, body_bytes))
            })?;
        self.give_back_pages()?;
        let bytes_after = place::content_bytes(&self.site.path)?;
        Ok(PruneReceipt {
            floor,
            bodies,
            body_bytes,
            freed_bytes: bytes_before.saturating_sub(bytes_after),
            done: floor >= below,
        })
    }

    /// Gives the free pages of the file back to the file system, also those that an interrupted call left.
    /// Stops early while a reader's snapshot needs the log; the next pruning continues.
    fn give_back_pages(&self) -> Result<()> {
        let fault = self.site.fault("prune", Place::Structure);
        let free_pages = || -> Result<i64> {
            self.connection
                .pragma_query_value(None, "freelist_count", |row| row.get(0))
                .map_err(&fault)
        };
        let mut free = free_pages()?;
        loop {
            if !self.checkpoint()? || free == 0 {
                return Ok(());
            }
            self.vacuum().map_err(&fault)?;
            let left = free_pages()?;
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
        let busy: i64 = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map_err(self.site.fault("prune", Place::Structure))?;
        Ok(busy == 0)
    }
}

/// The statements of one transaction.
struct Step<'a> {
    site: &'a Site,
    operation: &'static str,
    transaction: &'a Transaction<'a>,
}

impl Step<'_> {
    fn execute(&self, place: Place, sql: &str, parameters: impl rusqlite::Params) -> Result<u64> {
        self.try_execute(sql, parameters)
            .map_err(self.site.fault(self.operation, place))
    }

    fn try_execute(&self, sql: &str, parameters: impl rusqlite::Params) -> rusqlite::Result<u64> {
        Ok(self.transaction.prepare_cached(sql)?.execute(parameters)? as u64)
    }

    fn insert_block(&self, block: &Block) -> Result<()> {
        let Block {
            height,
            id,
            header,
            body,
            index,
        } = block;
        let (key, place) = (signed(*height), Place::Height(*height));
        let inserted = self.try_execute(
            "INSERT INTO headers (height, id, checksum, bytes) VALUES (?1, ?2, ?3, ?4)",
            params![key, id, header_checksum(*height, id, header), &header[..]],
        );
        match inserted {
            Err(error) if is_held_already(&error) => return Err(check::duplicate_id(*height)),
            other => other.map_err(self.site.fault(self.operation, place))?,
        };
        self.execute(
            place,
            "INSERT INTO bodies (height, checksum, bytes) VALUES (?1, ?2, ?3)",
            params![key, height_checksum(*height, body), &body[..]],
        )?;
        let keys: Vec<u8> = index.iter().flat_map(|entry| entry.key).collect();
        self.execute(
            place,
            "INSERT INTO keys (height, checksum, bytes) VALUES (?1, ?2, ?3)",
            params![key, height_checksum(*height, &keys), keys],
        )?;
        Ok(())
    }

    /// Indexes a run; gives the number of new keys. Sorted, so that insertions walk the B-tree once and a
    /// key's first place comes first.
    fn insert_places(&self, run: &[Block]) -> Result<u64> {
        let mut places: Vec<(Id, u64, u32)> = run
            .iter()
            .flat_map(|block| block.index.iter().map(|entry| (block.height, entry)))
            .map(|(height, &IndexEntry { key, position })| (key, height, position))
            .collect();
        places.sort_unstable();
        places.dedup_by_key(|(key, ..)| *key);
        let mut inserted = 0;
        for (key, height, position) in places {
            inserted += self.execute(
                Place::Index,
                "INSERT INTO places (key, height, position, checksum) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (key) DO NOTHING",
                params![
                    key,
                    signed(height),
                    position,
                    place_checksum(&key, height, position)
                ],
            )?;
        }
        Ok(inserted)
    }

    /// Removes the index entries that a block owns; gives their number.
    fn delete_places(&self, height: u64) -> Result<u64> {
        let place = Place::Height(height);
        let (expected, keys): (u32, Vec<u8>) = self
            .transaction
            .prepare_cached("SELECT checksum, bytes FROM keys WHERE height = ?1")
            .and_then(|mut statement| {
                statement.query_row([signed(height)], |row| Ok((row.get(0)?, row.get(1)?)))
            })
            .map_err(self.site.fault(self.operation, place))?;
        if height_checksum(height, &keys) != expected {
            return Err(self
                .site
                .corrupt(place, "the checksum of its index keys doesn't match"));
        }
        let mut deleted = 0;
        for key in keys.chunks_exact(size_of::<Id>()) {
            // A key whose first place is in an earlier block stays.
            deleted += self.execute(
                Place::Index,
                "DELETE FROM places WHERE key = ?1 AND height = ?2",
                params![key, signed(height)],
            )?;
        }
        Ok(deleted)
    }

    fn delete_blocks_from(&self, end: u64) -> Result<()> {
        for sql in [
            "DELETE FROM headers WHERE height >= ?1",
            "DELETE FROM bodies WHERE height >= ?1",
            "DELETE FROM keys WHERE height >= ?1",
        ] {
            self.execute(Place::Structure, sql, [signed(end)])?;
        }
        Ok(())
    }

    /// Removes the bodies of `floor..end`; gives their bytes.
    fn delete_bodies(&self, floor: u64, end: u64) -> Result<u64> {
        // SQLite takes length() from the row's head and leaves the overflow pages unread.
        let (found, body_bytes): (i64, i64) = self
            .transaction
            .query_row(
                "SELECT count(*), coalesce(sum(length(bytes)), 0) FROM bodies
                 WHERE height >= ?1 AND height < ?2",
                [signed(floor), signed(end)],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .map_err(self.site.fault(self.operation, Place::Height(floor)))?;
        if found != signed(end - floor) {
            let reason = format!("{found} bodies where {} should be", end - floor);
            return Err(self.site.corrupt(Place::Height(floor), reason));
        }
        for sql in [
            "DELETE FROM bodies WHERE height < ?1",
            "DELETE FROM keys WHERE height < ?1",
        ] {
            self.execute(Place::Structure, sql, [signed(end)])?;
        }
        Ok(body_bytes.cast_unsigned())
    }

    fn upsert_meta(&self, key: &str, value: &[u8]) -> Result<()> {
        self.execute(
            Place::Meta,
            "INSERT INTO meta (key, key_checksum, value_checksum, value) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (key) DO UPDATE SET value_checksum = ?3, value = ?4",
            params![
                key.as_bytes(),
                schema::checksum(key.as_bytes(), &[]),
                meta_checksum(key, value),
                value
            ],
        )?;
        Ok(())
    }
}

/// Whether an insertion into `headers` failed on the id alone.
fn is_held_already(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
        && error
            .sqlite_error()
            .is_some_and(|failure| failure.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bytes::Bytes;

    use super::super::{create, open};
    use super::*;

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
        drop(create(&path).unwrap());
        let mut writer = SqliteWriter::open(Site::new(&path), place::lock(&path).unwrap()).unwrap();
        writer.append(&[block(0, 10)], Durability::Os).unwrap();
        // SQLite then reports what it does for ENOSPC.
        let limit = |_: &rusqlite::Row<'_>| Ok(());
        writer
            .inner
            .connection
            .pragma_update_and_check(None, "max_page_count", 40, limit)
            .unwrap();
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
        let mut store = open(&path).unwrap();
        assert_eq!(store.reader.extent().unwrap().end, 1);
        store
            .writer
            .append(&[block(1, 1 << 20)], Durability::Disk)
            .unwrap();
    }
}
