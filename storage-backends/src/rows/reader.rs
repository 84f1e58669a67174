//! The reading half, on any engine.

use std::sync::Arc;

use bytes::Bytes;

use super::index::{find_id, find_key};
use super::record::{IdRow, names};
use super::state::{Identity, RowState};
use super::tables::RowTableReader;
use super::{RowContext, Rows, SharedIndex, Table, View};
use crate::{
    BlockReader, DamageAt, Extent, Held, Id, IndexEntry, Location, Result, StoredBlock,
    StoredHeader, TableReader, Usage,
};

/// Reads the rows of one store.
pub(crate) struct RowReader<R> {
    rows: Arc<R>,
    identity: Identity,
    index: Arc<SharedIndex>,
}

impl<R: Rows> RowReader<R> {
    pub(crate) fn new(rows: R, index: Arc<SharedIndex>) -> Result<Self> {
        let reader = Self::of_damaged(rows, index)?;
        check_ends(&reader.rows.view()?, reader.context())?;
        Ok(reader)
    }

    /// A reader of a store in which rows may be missing, also at the ends.
    pub(crate) fn of_damaged(rows: R, index: Arc<SharedIndex>) -> Result<Self> {
        let identity = Identity::read(&rows.view()?, rows.path())?;
        Ok(Self {
            rows: Arc::new(rows),
            identity,
            index,
        })
    }

    fn context(&self) -> RowContext<'_> {
        self.identity.at(self.rows.path())
    }

    /// What is read at one moment, with the state of that moment.
    ///
    /// An engine may remove what was pruned while an older view is still open (RocksDB unlinks files whatever snapshots there
    /// are). So what is missing there is read again, at a later moment, if anything was pruned meanwhile.
    fn read<T>(&self, read: impl Fn(&R::View<'_>, &RowState) -> Result<T>) -> Result<T> {
        loop {
            let view = self.rows.view()?;
            let state = RowState::read(&view, self.context())?;
            match read(&view, &state) {
                Err(error) if error.is_corrupt() => {
                    // Given back before another is taken: an engine has a bounded number of them, and threads that each held
                    // one and waited for a second would wait for ever.
                    drop(view);
                    let now = RowState::read(&self.rows.view()?, self.context())?;
                    // Each further round needs a pruning in between, so this ends.
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
        read: impl Fn(&R::View<'_>, &RowState) -> Result<T>,
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
        find: impl Fn(&R::View<'_>, &RowState, &[crate::entry_table::IndexAddress]) -> Result<T>,
    ) -> Result<T> {
        loop {
            let found = self.read(|view, state| {
                let addresses = self.index.addresses(view, self.context(), state, hash)?;
                addresses
                    .map(|addresses| find(view, state, &addresses))
                    .transpose()
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
        let damage_at = DamageAt::Height(height);
        self.context()
            .fetch(view, (table, height), damage_at)
            .map(Held::Present)
    }
}

/// Checks, on opening, that the rows at the ends of what there should be are there. O(log n).
pub(super) fn check_ends(view: &impl View, context: RowContext<'_>) -> Result<RowState> {
    let state = RowState::read(view, context)?;
    let Extent {
        body_floor: floor,
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
                    return Err(context.corrupt(DamageAt::Structure, reason));
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
                id: IdRow::read(view, self.context(), height)?.id,
                bytes: self.part(view, (Table::Headers, height), state.extent.header_floor)?,
            })
        })
    }

    fn block(&self, height: u64) -> Result<Option<StoredBlock>> {
        self.read_at(height, |view, state| {
            Ok(StoredBlock {
                id: IdRow::read(view, self.context(), height)?.id,
                header: self.part(view, (Table::Headers, height), state.extent.header_floor)?,
                body: self.part(view, (Table::Bodies, height), state.extent.body_floor)?,
            })
        })
    }

    fn index(&self, height: u64) -> Result<Option<Held<Vec<IndexEntry>>>> {
        self.read_at(height, |view, state| {
            if height < state.extent.index_floor {
                return Ok(Held::Pruned);
            }
            let row = IdRow::read(view, self.context(), height)?;
            row.index(view, self.context()).map(Held::Present)
        })
    }

    fn height_of(&self, id: &Id) -> Result<Option<u64>> {
        self.search(self.context().hash.of_id(id), |view, state, addresses| {
            find_id(view, self.context(), state, addresses, id)
        })
    }

    fn locate(&self, key: &Id) -> Result<Location> {
        self.search(self.context().hash.of_key(key), |view, state, addresses| {
            let found = find_key(view, self.context(), state, addresses, key)?;
            Ok(match found {
                Some((height, position)) => state.extent.location(height, position),
                None => state.extent.missing(),
            })
        })
    }

    fn named_value(&self, key: &str) -> Result<Option<Bytes>> {
        self.read(|view, _| {
            let number = names(view, self.context())?.get(key).copied();
            let value = number.map(|number| {
                self.context()
                    .fetch(view, (Table::Values, number), DamageAt::NamedValues)
            });
            value.transpose()
        })
    }

    fn usage(&self) -> Result<Usage> {
        let state = self.read(|_, state| Ok(*state))?;
        Ok(Usage {
            bytes_on_disk: self.rows.bytes_on_disk()?,
            blocks: state.extent.end - state.extent.body_floor,
            index_entries: state.entries,
        })
    }

    fn tables(&self) -> Arc<dyn TableReader> {
        Arc::new(RowTableReader::new(Arc::clone(&self.rows), self.identity))
    }
}
