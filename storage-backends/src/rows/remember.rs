//! Rows that can't be read, remembered while a store is checked.
//!
//! A check asks for a row of the index once for each key in it. An engine keeps in memory what it could read, but goes to the
//! disk again for what it could not.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::{KeySpan, Rows, Table, View, VisitKeyed};
use crate::{DamageAt, Error, Result};

/// Rows that are remembered; further ones are asked for again.
const REMEMBERED_MAX: usize = 1 << 16;

/// What was wrong with rows: file, where in it, and reason.
type Damaged = Mutex<HashMap<(Table, u64), (PathBuf, DamageAt, String)>>;

/// An engine that isn't asked a second time for a row that is damaged.
pub(crate) struct Remembering<R> {
    rows: R,
    damaged: Damaged,
}

impl<R: Rows> Remembering<R> {
    pub(crate) fn new(rows: R) -> Self {
        Self {
            rows,
            damaged: Mutex::default(),
        }
    }
}

impl<R: Rows> Rows for Remembering<R> {
    type View<'a> = RememberingView<'a, R::View<'a>>;
    type Moment = R::Moment;

    fn moment(&self) -> Result<Self::Moment> {
        self.rows.moment()
    }

    fn view(&self) -> Result<Self::View<'_>> {
        Ok(RememberingView {
            view: self.rows.view()?,
            damaged: &self.damaged,
        })
    }

    fn path(&self) -> &Path {
        self.rows.path()
    }

    fn bytes_on_disk(&self) -> Result<u64> {
        self.rows.bytes_on_disk()
    }
}

/// A moment of such an engine.
pub(crate) struct RememberingView<'a, V> {
    view: V,
    damaged: &'a Damaged,
}

impl<V: View> View for RememberingView<'_, V> {
    fn get(&self, table: Table, number: u64) -> Result<Option<Bytes>> {
        let known = || self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((path, damage_at, reason)) = known().get(&(table, number)) {
            return Err(Error::corrupt(path, *damage_at, reason));
        }
        let outcome = self.view.get(table, number);
        if let Err(Error::Corrupt {
            path,
            damage_at,
            reason,
        }) = &outcome
        {
            let mut known = known();
            // A store whose every page is damaged would fill the memory.
            if known.len() < REMEMBERED_MAX {
                let told = (path.clone(), *damage_at, reason.clone());
                known.insert((table, number), told);
            }
        }
        outcome
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::cell::Cell;

    use super::*;

    /// A moment at which every row of the index is damaged; it counts how often it is asked.
    struct Damage<'a>(&'a Cell<u64>);

    impl View for Damage<'_> {
        fn get(&self, table: Table, number: u64) -> Result<Option<Bytes>> {
            self.0.set(self.0.get() + 1);
            match table {
                Table::Runs => Err(Error::corrupt(
                    "store".as_ref(),
                    DamageAt::Index,
                    format!("page {number}"),
                )),
                _ => Ok(None),
            }
        }

        fn numbers(&self, _: Table, _: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
            Ok(())
        }

        fn keyed(&self, _: &[u8]) -> Result<Option<Bytes>> {
            Ok(None)
        }

        fn scan(&self, _: KeySpan<'_>, _: &mut VisitKeyed<'_>) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_damaged_row_is_asked_for_once() {
        let (asked, damaged) = (Cell::new(0), Damaged::default());
        for _ in 0..1000 {
            // Each look-up of a check has a moment of its own.
            let view = RememberingView {
                view: Damage(&asked),
                damaged: &damaged,
            };
            for page in [7, 8] {
                let error = view.get(Table::Runs, page).unwrap_err();
                assert_eq!(
                    error.to_string(),
                    format!("store is corrupt at the index: page {page}")
                );
            }
        }
        assert_eq!(asked.get(), 2);
        let view = RememberingView {
            view: Damage(&asked),
            damaged: &damaged,
        };
        // What is sound, or not there, may be otherwise next time.
        assert_eq!(view.get(Table::Ids, 7).unwrap(), None);
        assert_eq!(view.get(Table::Ids, 7).unwrap(), None);
        assert_eq!(asked.get(), 4);
    }
}
