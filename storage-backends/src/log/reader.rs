//! The reading half.

use std::path::Path;
use std::sync::{Arc, RwLockReadGuard};

use bytes::Bytes;

use super::format::Salt;
use super::home::Home;
use super::read_file::ReadFile;
use super::record::Record;
use super::segment::Segment;
use super::state::{LogState, StoredValue};
use super::values::read_value;
use crate::{
    BlockReader, DamageAt, Error, Extent, Held, Id, IndexEntry, Location, Part, Result,
    StoredBlock, StoredHeader, TableReader, Usage,
};

/// Reads one open store; keeps it open in this process.
#[derive(Debug, Clone)]
pub(super) struct LogReader {
    home: Arc<Home>,
}

impl LogReader {
    pub(super) fn new(home: Arc<Home>) -> Self {
        Self { home }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.home.shared.context.directory
    }

    /// What readers see, as long as the lock keeps other processes from changing it.
    fn state(&self) -> Result<RwLockReadGuard<'_, LogState>> {
        self.home.check_lock()?;
        Ok(self.home.shared.read())
    }

    /// Reads a part of the block of a height with `read`; `None` from the end on.
    ///
    /// The reading itself goes on after the lock is let go, so that a slow disk holds up nobody who writes. Meanwhile the
    /// part may be pruned, or the file rewritten and the old one closed; a reading that failed is tried again if the
    /// block is in another file by now, or no longer there.
    fn reading<T>(&self, height: u64, read: impl Fn(&Found) -> Result<T>) -> Result<Option<T>> {
        loop {
            let Some(found) = self.find(height)? else {
                return Ok(None);
            };
            // What was read and checked is the answer of the moment of `find`, whatever changed since; only a failure may be
            // due to a change.
            let outcome = read(&found);
            if outcome.is_ok() || !self.has_changed(&found)? {
                return outcome.map(Some);
            }
        }
    }

    /// Where a named value is now.
    fn value(&self, key: &str) -> Result<Option<(Salt, ReadFile, StoredValue)>> {
        let state = self.state()?;
        let value_at = state.values.by_name.get(key).copied();
        Ok(value_at.map(|value_at| (state.salt, state.values.file.clone(), value_at)))
    }

    /// A block's record and files; `None` from the end on.
    fn find(&self, height: u64) -> Result<Option<Found>> {
        let state = self.state()?;
        let found = state.record(height)?;
        Ok(found.map(|(segment, record)| Found {
            salt: state.salt,
            extent: state.extent,
            heads: segment.heads.clone(),
            bodies: segment.bodies.clone(),
            record,
        }))
    }

    /// Whether something else would be found now.
    fn has_changed(&self, found: &Found) -> Result<bool> {
        let Some(now) = self.find(found.record.height)? else {
            return Ok(true);
        };
        let floors = Part::ALL.map(|part| {
            let is_pruned = |extent: Extent| found.record.height < extent.floor_of(part);
            is_pruned(found.extent) == is_pruned(now.extent)
        });
        let same = floors == [true; 3]
            && found.heads.is_same(&now.heads)
            && found.record.offset == now.record.offset
            && match (&found.bodies, &now.bodies) {
                (Some(before), Some(after)) => before.is_same(after),
                (before, after) => before.is_none() && after.is_none(),
            };
        Ok(!same)
    }
}

/// A block's record and files, of one moment.
struct Found {
    salt: Salt,
    extent: Extent,
    heads: ReadFile,
    bodies: Option<ReadFile>,
    record: Record,
}

impl Found {
    /// A part of the block, which `read` reads and checks.
    fn held<T>(
        &self,
        part: Part,
        read: impl FnOnce(&ReadFile, &Record, Salt) -> Result<T>,
    ) -> Result<Held<T>> {
        if self.record.height < self.extent.floor_of(part) {
            return Ok(Held::Pruned);
        }
        read(&self.heads, &self.record, self.salt).map(Held::Present)
    }
}

// Each answer is found under one lock; headers and bodies are read and checked after it is let go.
impl BlockReader for LogReader {
    fn extent(&self) -> Result<Extent> {
        Ok(self.state()?.extent)
    }

    fn header(&self, height: u64) -> Result<Option<StoredHeader>> {
        self.reading(height, |found| {
            Ok(StoredHeader {
                id: found.record.id,
                bytes: found.held(Part::Header, Segment::header)?,
            })
        })
    }

    fn block(&self, height: u64) -> Result<Option<StoredBlock>> {
        self.reading(height, |found| {
            let body = |heads: &ReadFile, record: &Record, salt| {
                let missing = || {
                    let damage_at = DamageAt::Height(height);
                    Error::corrupt(heads.path(), damage_at, "the file of its body is missing")
                };
                let bodies = found.bodies.as_ref().ok_or_else(missing)?;
                Segment::body(bodies, record, salt)
            };
            Ok(StoredBlock {
                id: found.record.id,
                header: found.held(Part::Header, Segment::header)?,
                body: found.held(Part::Body, body)?,
            })
        })
    }

    fn index(&self, height: u64) -> Result<Option<Held<Vec<IndexEntry>>>> {
        self.reading(height, |found| found.held(Part::Index, Segment::index))
    }

    fn height_of(&self, id: &Id) -> Result<Option<u64>> {
        self.home.check_lock()?;
        self.home.shared.height_of(id)
    }

    fn locate(&self, key: &Id) -> Result<Location> {
        let location = self.state()?.locate(key)?;
        if matches!(location, Location::NotIndexed { .. }) {
            // Damage to an index file may have been found just now; the indexing makes that file again.
            self.home.shared.tell(|work| work.due = true);
        }
        Ok(location)
    }

    fn named_value(&self, key: &str) -> Result<Option<Bytes>> {
        loop {
            let Some((salt, file, value_at)) = self.value(key)? else {
                return Ok(None);
            };
            let outcome = read_value(&file, &value_at, salt);
            // The file may have been rewritten meanwhile and the old one removed, as with that of a block.
            let is_same = |(_, now, _): &(Salt, ReadFile, StoredValue)| now.is_same(&file);
            if outcome.is_ok() || self.value(key)?.as_ref().is_some_and(is_same) {
                return outcome.map(Some);
            }
        }
    }

    fn usage(&self) -> Result<Usage> {
        self.home.shared.count_keys()?;
        // The lock is let go before the directory is read, which takes as long as the disk likes.
        let (blocks, index_entries) = {
            let state = self.state()?;
            let Extent {
                body_floor: floor,
                end,
                ..
            } = state.extent;
            (end - floor, state.index_entries()?)
        };
        Ok(Usage {
            bytes_on_disk: self.home.bytes_on_disk()?,
            blocks,
            index_entries,
        })
    }

    fn tables(&self) -> Arc<dyn TableReader> {
        self.home.table_reader()
    }
}
