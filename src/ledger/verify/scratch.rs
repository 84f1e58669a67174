//! Where the state goes that the blocks of a checked store give, once it takes up more memory than it may: a store that is thrown away
//! afterwards. The checked store itself is only read, and what it holds of a state is what is checked.

use std::sync::Arc;

use hubledger_storage::{self as storage, Durability, Store};

use crate::ledger::{EncodedState, LedgerError};
use crate::state::PageSource;

/// See the [module](self).
pub(crate) struct Scratch {
    /// Made when it is needed first, and gone before what made it, which may have the folder that it is in.
    store: Option<Store>,
    /// Makes an empty store.
    make: Box<dyn FnMut() -> storage::Result<Store> + Send>,
    is_expected: bool,
    written: Option<Arc<dyn PageSource>>,
}

impl Scratch {
    pub(crate) fn new(make: Box<dyn FnMut() -> storage::Result<Store> + Send>) -> Self {
        Self {
            store: None,
            make,
            is_expected: false,
            written: None,
        }
    }

    /// Whether a state is on its way here.
    pub(crate) const fn expects_state(&self) -> bool {
        self.is_expected
    }

    /// Notes that one is.
    pub(crate) const fn expect_state(&mut self) {
        self.is_expected = true;
    }

    /// Writes down what changed in a state since the last one.
    pub(crate) fn put(&mut self, state: &EncodedState) -> Result<(), LedgerError> {
        self.is_expected = false;
        let EncodedState::Rows(rows) = state else {
            return Ok(());
        };
        let is_known = self.store.is_some();
        let store = match &mut self.store {
            Some(store) => store,
            none => none.insert((self.make)()?),
        };
        let (reader, tables) = (store.reader.tables(), &mut *store.tables);
        // Whatever a crash leaves of it, nobody opens it again.
        let written = rows.write(reader, tables, is_known, Durability::Memory)?;
        self.written = written.or(self.written.take());
        Ok(())
    }

    /// Where pages can be read from, if that changed since this was asked last.
    pub(crate) fn take_written(&mut self) -> Option<Arc<dyn PageSource>> {
        self.written.take()
    }
}
