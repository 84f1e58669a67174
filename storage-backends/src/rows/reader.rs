//! The reading half, on any engine.

use std::sync::Arc;

use bytes::Bytes;

use super::index::{find_id, find_key};
use super::record::{IdRow, names};
use super::state::{Identity, State};
use super::{Rows, SharedIndex, Site, Table, View};
use crate::{
    BlockReader, Extent, Held, Id, IndexEntry, Location, Place, Result, StoredBlock, StoredHeader,
    Usage,
};

/// Reads the rows of one store.
pub(crate) struct RowReader<R> {
    rows: R,
    identity: Identity,
    index: Arc<SharedIndex>,
}

impl<R: Rows> RowReader<R> {
    pub(crate) fn new(rows: R, index: Arc<SharedIndex>) -> Result<Self> {
        let reader = Self::of_damaged(rows, index)?;
        check_ends(&reader.rows.view()?, reader.site())?;
        Ok(reader)
    }

    /// Of a store in which rows may be missing, also at the ends.
    pub(crate) fn of_damaged(rows: R, index: Arc<SharedIndex>) -> Result<Self> {
        let identity = Identity::read(&rows.view()?, rows.path())?;
        Ok(Self {
            rows,
            identity,
            index,
        })
    }

    fn site(&self) -> Site<'_> {
        self.identity.at(self.rows.path())
    }

    /// What is read at one moment, with the state of that moment.
    ///
    /// An engine may take away what was pruned while a view of before is still open. So what is missing there is read
    /// again, at a later moment, if anything was pruned meanwhile.
    fn read<T>(&self, read: impl Fn(&R::View<'_>, &State) -> Result<T>) -> Result<T> {
        loop {
            let view = self.rows.view()?;
            let state = State::read(&view, self.site())?;
            match read(&view, &state) {
                Err(error) if error.is_corrupt() => {
                    drop(view);
                    let now = State::read(&self.rows.view()?, self.site())?;
                    if now.shrunk() == state.shrunk() {
                        return Err(error);
                    }
                }
                outcome => return outcome,
            }
        }
    }

    /// What is read of a block; `None` from the end on.
    fn read_at<T>(
        &self,
        height: u64,
        read: impl Fn(&R::View<'_>, &State) -> Result<T>,
    ) -> Result<Option<T>> {
        self.read(|view, state| {
            let held = height < state.extent.end;
            held.then(|| read(view, state)).transpose()
        })
    }

    /// What is found at one moment under a hash.
    fn search<T>(
        &self,
        hash: u64,
        find: impl Fn(&R::View<'_>, &State, &[crate::table::IndexPlace]) -> Result<T>,
    ) -> Result<T> {
        loop {
            let found = self.read(|view, state| {
                let places = self.index.places(view, self.site(), state, hash)?;
                places.map(|places| find(view, state, &places)).transpose()
            })?;
            if let Some(found) = found {
                return Ok(found);
            }
        }
    }

    fn part(&self, view: &R::View<'_>, (table, height): (Table, u64), floor: u64) -> Result<Held> {
        if height < floor {
            return Ok(Held::Pruned);
        }
        let place = Place::Height(height);
        self.site()
            .fetch(view, (table, height), place)
            .map(Held::Present)
    }
}

/// Checks, on opening, that the rows at the ends of what there should be are there. O(log n).
pub(super) fn check_ends(view: &impl View, site: Site<'_>) -> Result<State> {
    let state = State::read(view, site)?;
    let Extent {
        floor,
        header_floor,
        end,
        ..
    } = state.extent;
    for (table, first) in [
        (Table::Ids, 0),
        (Table::Headers, header_floor),
        (Table::Bodies, floor),
    ] {
        if first < end {
            for height in [first, end - 1] {
                if view.get(table, height)?.is_none() {
                    let reason = format!(
                        "row {height} of {} is missing, there should be {first} to {}",
                        table.name(),
                        end - 1
                    );
                    return Err(site.corrupt(Place::Structure, reason));
                }
            }
        }
    }
    Ok(state)
}

impl<R: Rows> BlockReader for RowReader<R> {
    fn extent(&self) -> Result<Extent> {
        self.read(|_, state| Ok(state.extent))
    }

    fn header(&self, height: u64) -> Result<Option<StoredHeader>> {
        self.read_at(height, |view, state| {
            Ok(StoredHeader {
                id: IdRow::read(view, self.site(), height)?.id,
                bytes: self.part(view, (Table::Headers, height), state.extent.header_floor)?,
            })
        })
    }

    fn block(&self, height: u64) -> Result<Option<StoredBlock>> {
        self.read_at(height, |view, state| {
            Ok(StoredBlock {
                id: IdRow::read(view, self.site(), height)?.id,
                header: self.part(view, (Table::Headers, height), state.extent.header_floor)?,
                body: self.part(view, (Table::Bodies, height), state.extent.floor)?,
            })
        })
    }

    fn index(&self, height: u64) -> Result<Option<Held<Vec<IndexEntry>>>> {
        self.read_at(height, |view, state| {
            if height < state.extent.index_floor {
                return Ok(Held::Pruned);
            }
            let row = IdRow::read(view, self.site(), height)?;
            row.index(view, self.site()).map(Held::Present)
        })
    }

    fn height_of(&self, id: &Id) -> Result<Option<u64>> {
        self.search(self.site().hash.of_id(id), |view, state, places| {
            find_id(view, self.site(), state, places, id)
        })
    }

    fn locate(&self, key: &Id) -> Result<Location> {
        self.search(self.site().hash.of_key(key), |view, state, places| {
            let found = find_key(view, self.site(), state, places, key)?;
            Ok(match found {
                Some((height, position)) => state.extent.location(height, position),
                None => state.extent.missing(),
            })
        })
    }

    fn meta(&self, key: &str) -> Result<Option<Bytes>> {
        self.read(|view, _| {
            let number = names(view, self.site())?.get(key).copied();
            let value = number.map(|number| {
                self.site()
                    .fetch(view, (Table::Values, number), Place::Meta)
            });
            value.transpose()
        })
    }

    fn usage(&self) -> Result<Usage> {
        let state = self.read(|_, state| Ok(*state))?;
        Ok(Usage {
            bytes_on_disk: self.rows.bytes_on_disk()?,
            blocks: state.extent.end - state.extent.floor,
            index_entries: state.entries,
        })
    }
}
