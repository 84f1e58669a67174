//! The tables of a store at one moment, and commits to them.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use rocksdb::{
    BottommostLevelCompaction, CompactOptions, DB, FlushOptions, IteratorMode, ReadOptions,
    Snapshot, WaitForCompactOptions, WriteBatch, WriteOptions,
};
use self_cell::self_cell;

use super::directory;
use super::fault::fault;
use super::home::{Home, family, keyed_family};
use crate::rows::{Batch, Database, KeySpan, Rows, Table, View, VisitKeyed, initialise};
use crate::{DamageAt, Durability, Error, Result};

/// What reads rows: as of a snapshot, or as they are now.
pub(super) struct RocksView<'a> {
    database: &'a DB,
    path: &'a Path,
    snapshot: Option<Snapshot<'a>>,
}

impl<'a> RocksView<'a> {
    /// This moment.
    fn of_now(home: &'a Home) -> Self {
        Self {
            database: &home.database,
            path: &home.directory,
            snapshot: Some(home.database.snapshot()),
        }
    }
}

impl View for RocksView<'_> {
    fn get(&self, table: Table, number: u64) -> Result<Option<Bytes>> {
        let family = family(self.database, self.path, table)?;
        let key = number.to_be_bytes();
        let row = match &self.snapshot {
            Some(snapshot) => snapshot.get_pinned_cf(family, key),
            None => self.database.get_pinned_cf(family, key),
        };
        let row = row.map_err(fault(self.path, "read", table.damage_at(number)))?;
        Ok(row.map(|row| Bytes::copy_from_slice(&row)))
    }

    fn numbers(&self, table: Table, visit: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
        let family = family(self.database, self.path, table)?;
        let mut reading = ReadOptions::default();
        if let Some(snapshot) = &self.snapshot {
            reading.set_snapshot(snapshot);
        }
        let rows = self
            .database
            .iterator_cf_opt(family, reading, IteratorMode::Start);
        for row in rows {
            let (key, _) = row.map_err(fault(self.path, "read", DamageAt::Structure))?;
            let number = <[u8; 8]>::try_from(&key[..]).map_err(|_| {
                let reason = format!("a key of {} is not a number", table.name());
                Error::corrupt(self.path, DamageAt::Structure, reason)
            })?;
            visit(u64::from_be_bytes(number))?;
        }
        Ok(())
    }

    fn keyed(&self, key: &[u8]) -> Result<Option<Bytes>> {
        let family = keyed_family(self.database, self.path)?;
        let row = match &self.snapshot {
            Some(snapshot) => snapshot.get_pinned_cf(family, key),
            None => self.database.get_pinned_cf(family, key),
        };
        let row = row.map_err(fault(self.path, "read", DamageAt::Tables))?;
        Ok(row.map(|row| Bytes::copy_from_slice(&row)))
    }

    fn scan(&self, keys: KeySpan<'_>, visit: &mut VisitKeyed<'_>) -> Result<()> {
        let family = keyed_family(self.database, self.path)?;
        let mut reading = ReadOptions::default();
        if let Some(snapshot) = &self.snapshot {
            reading.set_snapshot(snapshot);
        }
        // Without bounds, an iterator goes on to the next row that there is, over whatever was removed in between.
        reading.set_iterate_lower_bound(keys.from);
        reading.set_iterate_upper_bound(keys.below);
        let mut rows = self.database.raw_iterator_cf_opt(family, reading);
        match keys.is_descending {
            false => rows.seek_to_first(),
            true => rows.seek_to_last(),
        }
        while let Some((key, row)) = rows.item() {
            if !visit(Ok((key, Bytes::copy_from_slice(row))))? {
                return Ok(());
            }
            match keys.is_descending {
                false => rows.next(),
                true => rows.prev(),
            }
        }
        // It ends where there are no more rows, and also where one can't be read.
        rows.status()
            .map_err(fault(self.path, "read", DamageAt::Tables))
    }
}

self_cell! {
    /// A snapshot that keeps its store open.
    pub(super) struct RocksMoment {
        owner: Arc<Home>,
        #[covariant]
        dependent: RocksView,
    }
}

impl View for RocksMoment {
    fn get(&self, table: Table, number: u64) -> Result<Option<Bytes>> {
        self.borrow_dependent().get(table, number)
    }

    fn numbers(&self, table: Table, visit: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
        self.borrow_dependent().numbers(table, visit)
    }

    fn keyed(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.borrow_dependent().keyed(key)
    }

    fn scan(&self, keys: KeySpan<'_>, visit: &mut VisitKeyed<'_>) -> Result<()> {
        self.borrow_dependent().scan(keys, visit)
    }
}

/// The reading half.
pub(super) struct RocksRows {
    pub(super) home: Arc<Home>,
}

impl Rows for RocksRows {
    type View<'a> = RocksView<'a>;
    type Moment = RocksMoment;

    fn view(&self) -> Result<Self::View<'_>> {
        Ok(RocksView::of_now(&self.home))
    }

    fn moment(&self) -> Result<Self::Moment> {
        let home = Arc::clone(&self.home);
        Ok(RocksMoment::new(home, |home| RocksView::of_now(home)))
    }

    fn path(&self) -> &Path {
        &self.home.directory
    }

    fn bytes_on_disk(&self) -> Result<u64> {
        directory::bytes(&self.home.directory)
    }
}

/// A commit that is being put together.
pub(super) struct RocksBatch<'a> {
    view: RocksView<'a>,
    batch: WriteBatch,
}

impl View for RocksBatch<'_> {
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

impl Batch for RocksBatch<'_> {
    fn put(&mut self, table: Table, number: u64, row: &[u8]) -> Result<()> {
        let family = family(self.view.database, self.view.path, table)?;
        self.batch.put_cf(family, number.to_be_bytes(), row);
        Ok(())
    }

    fn remove(&mut self, table: Table, numbers: Range<u64>) -> Result<()> {
        let family = family(self.view.database, self.view.path, table)?;
        let (start, end) = (numbers.start.to_be_bytes(), numbers.end.to_be_bytes());
        self.batch.delete_range_cf(family, start, end);
        Ok(())
    }

    fn begin_keyed(&mut self) -> Result<()> {
        Ok(())
    }

    fn put_keyed(&mut self, key: &[u8], row: &[u8]) -> Result<()> {
        let family = keyed_family(self.view.database, self.view.path)?;
        self.batch.put_cf(family, key, row);
        Ok(())
    }

    fn remove_keyed(&mut self, key: &[u8]) -> Result<()> {
        let family = keyed_family(self.view.database, self.view.path)?;
        self.batch.delete_cf(family, key);
        Ok(())
    }

    fn remove_span(&mut self, from: &[u8], below: &[u8]) -> Result<()> {
        let family = keyed_family(self.view.database, self.view.path)?;
        self.batch.delete_range_cf(family, from, below);
        Ok(())
    }
}

/// Puts the first rows of a store, and everything to the disk.
pub(super) fn initialise_rows(database: &DB, path: &Path) -> Result<()> {
    let mut batch = RocksBatch {
        view: RocksView {
            database,
            path,
            snapshot: None,
        },
        batch: WriteBatch::default(),
    };
    initialise(&mut batch, path)?;
    let fault = fault(path, "create", DamageAt::Structure);
    database.write_opt(batch.batch, &synced()).map_err(&fault)?;
    flush(database, path, "create")
}

fn synced() -> WriteOptions {
    let mut writing = WriteOptions::default();
    writing.set_sync(true);
    writing
}

/// Moves all that is in memory and in the write-ahead log to files of its own.
fn flush(database: &DB, path: &Path, operation: &'static str) -> Result<()> {
    let mut flushing = FlushOptions::default();
    flushing.set_wait(true);
    let families = Table::ALL.map(|table| family(database, path, table));
    for family in families.into_iter().chain([keyed_family(database, path)]) {
        let family = family?;
        database.flush_cf_opt(family, &flushing).map_err(fault(
            path,
            operation,
            DamageAt::Structure,
        ))?;
    }
    Ok(())
}

/// What both writers share: it keeps others out until both are gone.
struct Hold {
    home: Arc<Home>,
}

/// A writing half.
pub(super) struct RocksDatabase {
    hold: Arc<Hold>,
}

impl RocksDatabase {
    pub(super) fn begin(home: &Arc<Home>) -> Result<Self> {
        // Pairs with the release when the last writer went.
        if home.written.swap(true, Ordering::Acquire) {
            return Err(Error::InUse {
                path: home.directory.clone(),
            });
        }
        let home = Arc::clone(home);
        Ok(Self {
            hold: Arc::new(Hold { home }),
        })
    }

    /// The other writing half.
    pub(super) fn other(&self) -> Self {
        Self {
            hold: Arc::clone(&self.hold),
        }
    }

    fn home(&self) -> &Home {
        &self.hold.home
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Err(error) = flush(&self.home.database, &self.home.directory, "close") {
            tracing::warn!(%error, "closing with rows in the write-ahead log");
        }
        self.home.written.store(false, Ordering::Release);
    }
}

impl Database for RocksDatabase {
    type View<'a> = RocksView<'a>;
    type Batch<'a> = RocksBatch<'a>;

    fn view(&self) -> Result<Self::View<'_>> {
        Ok(RocksView {
            database: &self.home().database,
            path: &self.home().directory,
            snapshot: None,
        })
    }

    fn commit<T>(
        &mut self,
        operation: &'static str,
        durability: Durability,
        fill: impl FnOnce(&mut Self::Batch<'_>) -> Result<T>,
    ) -> Result<(T, Durability)> {
        let mut batch = RocksBatch {
            view: self.view()?,
            batch: WriteBatch::default(),
        };
        let outcome = fill(&mut batch)?;
        let (writing, reached) = match durability {
            Durability::Disk => (synced(), Durability::Disk),
            Durability::Memory | Durability::Os => (WriteOptions::default(), Durability::Os),
        };
        self.home()
            .database
            .write_opt(batch.batch, &writing)
            .map_err(fault(
                &self.home().directory,
                operation,
                DamageAt::Structure,
            ))?;
        Ok((outcome, reached))
    }

    fn path(&self) -> &Path {
        &self.home().directory
    }

    fn settle(&mut self) -> Result<u64> {
        flush(&self.home().database, &self.home().directory, "prune")?;
        directory::bytes(&self.home().directory)
    }

    /// Whole files of what was removed are unlinked; of the rest, what was removed is compacted away.
    fn give_back(&mut self, removed: &[(Table, Range<u64>)]) -> Result<u64> {
        let Home {
            database,
            directory,
            ..
        } = self.home();
        let fault = fault(directory, "prune", DamageAt::Structure);
        let mut compacting = CompactOptions::default();
        compacting.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
        // Removals that are in memory would free nothing yet, and nothing would be in files to be unlinked.
        flush(database, directory, "prune")?;
        for (table, numbers) in removed {
            if numbers.is_empty() {
                continue;
            }
            let family = self.home().family(*table)?;
            let (first, last) = (numbers.start.to_be_bytes(), (numbers.end - 1).to_be_bytes());
            // Files that hold nothing else are unlinked without being read; compaction would rewrite them first. Snapshots of
            // before lose them too, so a reader that misses a row asks again.
            database
                .delete_file_in_range_cf(family, first, last)
                .map_err(&fault)?;
            database.compact_range_cf_opt(family, Some(first), Some(last), &compacting);
        }
        database
            // The contract promises that the space is back when this returns, and that it was measured.
            .wait_for_compact(&WaitForCompactOptions::default())
            .map_err(&fault)?;
        directory::bytes(directory)
    }

    fn give_back_keyed(&mut self, from: &[u8], below: &[u8]) -> Result<()> {
        let Home {
            database,
            directory,
            ..
        } = self.home();
        flush(database, directory, "remove")?;
        let mut compacting = CompactOptions::default();
        compacting.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
        let family = keyed_family(database, directory)?;
        // Not by unlinking files: views of before would lose their rows.
        database.compact_range_cf_opt(family, Some(from), Some(below), &compacting);
        database
            .wait_for_compact(&WaitForCompactOptions::default())
            .map_err(fault(directory, "remove", DamageAt::Structure))
    }
}
