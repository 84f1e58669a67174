//! The reading half of tables, on any engine.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::super::state::Identity;
use super::super::{KeySpan, RowContext, Rows, View};
use super::head::Head;
use super::list::SetList;
use super::{ROWS, SetKeys, split};
use crate::{
    KeyRange, Position, RangeLimit, Result, Row, TABLE_KEY_BYTES_MAX, TableReader, TableView,
};

/// Reads the tables of one store.
pub(crate) struct RowTableReader<R> {
    rows: Arc<R>,
    identity: Identity,
}

impl<R: Rows> RowTableReader<R> {
    pub(crate) fn new(rows: Arc<R>, identity: Identity) -> Self {
        Self { rows, identity }
    }
}

impl<R: Rows> TableReader for RowTableReader<R> {
    fn sets(&self) -> Result<Vec<String>> {
        let list = SetList::read(&self.rows.view()?, self.identity.at(self.rows.path()))?;
        Ok(list.names().cloned().collect())
    }

    fn view(&self, set: &str) -> Result<Arc<dyn TableView>> {
        let moment = self.rows.moment()?;
        let context = self.identity.at(self.rows.path());
        let Some(keys) = SetList::read(&moment, context)?.find(set) else {
            return Ok(Arc::new(EmptyView));
        };
        let head = Head::read(&moment, context, keys)?;
        Ok(Arc::new(RowTableView {
            moment,
            identity: self.identity,
            path: self.rows.path().to_owned(),
            keys,
            position: head.progress.shown(),
        }))
    }
}

/// One moment of a set.
struct RowTableView<M> {
    moment: M,
    identity: Identity,
    path: PathBuf,
    keys: SetKeys,
    position: Option<Position>,
}

impl<M> RowTableView<M> {
    fn context(&self) -> RowContext<'_> {
        self.identity.at(&self.path)
    }
}

impl<M: View + Send + Sync> TableView for RowTableView<M> {
    fn position(&self) -> Option<Position> {
        self.position
    }

    fn get(&self, table: u8, key: &[u8]) -> Result<Option<Bytes>> {
        // Nothing can be there, and an engine need not be troubled with a key of any length.
        if key.len() > TABLE_KEY_BYTES_MAX {
            return Ok(None);
        }
        self.context()
            .fetch_keyed(&self.moment, &self.keys.row(table, key))
    }

    fn range(&self, table: u8, range: &KeyRange, limit: RangeLimit) -> Result<Vec<Row>> {
        let from = self.keys.row(table, &range.from);
        let below = match &range.below {
            Some(below) => self.keys.row(table, below),
            None => self.keys.after_table(table),
        };
        let (mut taken, mut bytes) = (Vec::new(), 0);
        if from >= below {
            return Ok(taken);
        }
        let span = KeySpan {
            from: &from,
            below: &below,
            is_descending: range.is_descending,
        };
        self.moment.scan(span, &mut |found| {
            let (key, row) = found?;
            let Some((_, ROWS, [_, of_table @ ..])) = split(key) else {
                let reason = "a row is among those of a table, and is none of it";
                return Err(self.context().damaged_tables(reason));
            };
            // Opened also where it is beyond the limit: what is not whole must not decide that nothing follows.
            let value = self.context().opened(key, &row)?;
            if !limit.has_room(taken.len(), bytes, (of_table, &value)) {
                return Ok(false);
            }
            bytes += of_table.len() + value.len();
            taken.push((Bytes::copy_from_slice(of_table), value));
            Ok(taken.len() < limit.rows.max(1))
        })?;
        Ok(taken)
    }
}

/// A set that was never committed to.
struct EmptyView;

impl TableView for EmptyView {
    fn position(&self) -> Option<Position> {
        None
    }

    fn get(&self, _: u8, _: &[u8]) -> Result<Option<Bytes>> {
        Ok(None)
    }

    fn range(&self, _: u8, _: &KeyRange, _: RangeLimit) -> Result<Vec<Row>> {
        Ok(Vec::new())
    }
}
