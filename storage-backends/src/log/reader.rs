//! The reading half.

use std::sync::Arc;

use bytes::Bytes;

use super::home::Home;
use super::segment::Segment;
use super::values::read_value;
use crate::{
    BlockReader, Body, Error, Extent, Id, Location, Place, Result, StoredBlock, StoredHeader, Usage,
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
}

// Each answer is found under one lock; checksums of headers and bodies are checked after it is let go, while
// the bytes keep their map.
impl BlockReader for LogReader {
    fn extent(&self) -> Result<Extent> {
        Ok(self.home.shared.read().extent())
    }

    fn header(&self, height: u64) -> Result<Option<StoredHeader>> {
        let (salt, heads, record) = {
            let state = self.home.shared.read();
            let Some((segment, record)) = state.record(height)? else {
                return Ok(None);
            };
            (state.salt, segment.heads.clone(), record)
        };
        Ok(Some(StoredHeader {
            id: record.id,
            bytes: Segment::header(&heads, &record, salt)?,
        }))
    }

    fn block(&self, height: u64) -> Result<Option<StoredBlock>> {
        let (salt, heads, bodies, record) = {
            let state = self.home.shared.read();
            let Some((segment, record)) = state.record(height)? else {
                return Ok(None);
            };
            let bodies = if height < state.floor {
                None
            } else {
                let missing = || {
                    let place = Place::Height(height);
                    Error::corrupt(
                        &segment.heads.path,
                        place,
                        "the file of its body is missing",
                    )
                };
                Some(segment.bodies.clone().ok_or_else(missing)?)
            };
            (state.salt, segment.heads.clone(), bodies, record)
        };
        let header = Segment::header(&heads, &record, salt)?;
        let body = match bodies {
            None => Body::Pruned,
            Some(bodies) => Body::Present(Segment::body(&bodies, &record, salt)?),
        };
        Ok(Some(StoredBlock {
            id: record.id,
            header,
            body,
        }))
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
            (state.end - state.floor, state.index_entries()?)
        };
        Ok(Usage {
            bytes_on_disk: self.home.bytes_on_disk()?,
            blocks,
            index_entries,
        })
    }
}
