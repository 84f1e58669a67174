//! The reading half.

use std::sync::Arc;

use bytes::Bytes;

use super::format::Salt;
use super::home::Home;
use super::record::Record;
use super::segment::{MappedFile, Segment};
use super::values::read_value;
use crate::{
    BlockReader, Error, Extent, Held, Id, IndexEntry, Location, Part, Place, Result, StoredBlock,
    StoredHeader, Usage,
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

    /// What is needed to read a part of the block of a height; `None` from the end on.
    fn find(&self, height: u64, part: Part) -> Result<Option<Found>> {
        let state = self.home.shared.read();
        let found = state.record(height)?;
        // Holding the file would keep the space of what is pruned in it.
        let holds_body = part == Part::Body && height >= state.extent.floor;
        Ok(found.map(|(segment, record)| Found {
            salt: state.salt,
            extent: state.extent,
            heads: segment.heads.clone(),
            bodies: segment.bodies.clone().filter(|_| holds_body),
            record,
        }))
    }
}

/// A block's record and files, of one moment.
struct Found {
    salt: Salt,
    extent: Extent,
    heads: MappedFile,
    bodies: Option<MappedFile>,
    record: Record,
}

impl Found {
    /// A part of the block, which `read` reads and checks.
    fn held<T>(
        &self,
        part: Part,
        read: impl FnOnce(&MappedFile, &Record, Salt) -> Result<T>,
    ) -> Result<Held<T>> {
        if self.record.height < self.extent.floor_of(part) {
            return Ok(Held::Pruned);
        }
        read(&self.heads, &self.record, self.salt).map(Held::Present)
    }
}

// Each answer is found under one lock; checksums of headers and bodies are checked after it is let go, while
// the bytes keep their map.
impl BlockReader for LogReader {
    fn extent(&self) -> Result<Extent> {
        Ok(self.home.shared.read().extent)
    }

    fn header(&self, height: u64) -> Result<Option<StoredHeader>> {
        let Some(found) = self.find(height, Part::Header)? else {
            return Ok(None);
        };
        Ok(Some(StoredHeader {
            id: found.record.id,
            bytes: found.held(Part::Header, Segment::header)?,
        }))
    }

    fn block(&self, height: u64) -> Result<Option<StoredBlock>> {
        let Some(found) = self.find(height, Part::Body)? else {
            return Ok(None);
        };
        let body = |heads: &MappedFile, record: &Record, salt| {
            let missing = || {
                let place = Place::Height(height);
                Error::corrupt(&heads.path, place, "the file of its body is missing")
            };
            let bodies = found.bodies.as_ref().ok_or_else(missing)?;
            Segment::body(bodies, record, salt)
        };
        Ok(Some(StoredBlock {
            id: found.record.id,
            header: found.held(Part::Header, Segment::header)?,
            body: found.held(Part::Body, body)?,
        }))
    }

    fn index(&self, height: u64) -> Result<Option<Held<Vec<IndexEntry>>>> {
        let found = self.find(height, Part::Index)?;
        found
            .map(|found| found.held(Part::Index, Segment::index))
            .transpose()
    }

    fn height_of(&self, id: &Id) -> Result<Option<u64>> {
        self.home.shared.read().height_of(id)
    }

    fn locate(&self, key: &Id) -> Result<Location> {
        let location = self.home.shared.read().locate(key)?;
        if matches!(location, Location::NotIndexed { .. }) {
            // Perhaps because of damage that was found just now.
            self.home.shared.tell(|work| work.due = true);
        }
        Ok(location)
    }

    fn meta(&self, key: &str) -> Result<Option<Bytes>> {
        let (salt, file, place) = {
            let state = self.home.shared.read();
            let Some(place) = state.values.places.get(key).copied() else {
                return Ok(None);
            };
            (state.salt, state.values.file.clone(), place)
        };
        read_value(&file, &place, salt)?;
        Ok(file.map.share(place.offset, place.length))
    }

    fn usage(&self) -> Result<Usage> {
        let (blocks, index_entries) = {
            let state = self.home.shared.read();
            let Extent { floor, end, .. } = state.extent;
            (end - floor, state.index_entries()?)
        };
        Ok(Usage {
            bytes_on_disk: self.home.bytes_on_disk()?,
            blocks,
            index_entries,
        })
    }
}
