//! Random histories of a chain, through which every view goes (feature `testing`): blocks, branches that take their place, restarts, a store
//! that fails at any of its writes, pruned bodies. At every rest the view is compared with what is worked out anew, by the view itself
//! from the blocks that are there, and by a naive model that only the service knows.
//!
//! For tests: everything panics where a program would return an error.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

mod failing;
mod history;

use hubledger::model::{Block, Draft};
use hubledger::testing::{Chain, Numbers};
use hubledger_storage::{KeyRange, MemoryStore, RangeLimit, Row, Store};

pub use self::failing::{Countdown, failing};
pub use self::history::{History, Trial};
use crate::view::{Settings, Snapshot, View, Views};

/// A transaction that a service's test thinks up: who sends it and what it says. Its nonce and time are set by the history; blocks so far are in
/// the chain.
pub type Speaker<'a> = &'a dyn Fn(&mut Numbers, &Chain) -> Draft;

/// Compares a view with a naive model of it. The blocks are all that the view can have seen, the lowest first.
pub type Naive<'a> = &'a dyn Fn(&[Block], &Snapshot);

/// All rows that a view has made, each with its table.
#[must_use]
pub fn rows_of(snapshot: &Snapshot) -> Vec<(u8, Row)> {
    let limit = RangeLimit {
        rows: usize::MAX,
        bytes: usize::MAX,
    };
    let rows = |table| {
        let rows = snapshot.range(table, &KeyRange::default(), limit).unwrap();
        rows.into_iter().map(move |row| (table, row))
    };
    (0..u8::MAX).flat_map(rows).collect()
}

/// A store for views, in memory, that can be opened again.
pub fn memory() -> impl Fn() -> Store {
    let store = MemoryStore::new();
    move || store.open().unwrap()
}

/// The view of a chain's blocks from `from` on, by itself and without any hurry: each block committed by itself.
#[must_use]
pub fn made_anew(chain: &Chain, view: Box<dyn View>, from: u64) -> Snapshot {
    let name = view.name();
    let settings = Settings {
        batch_blocks: 1,
        ..Settings::default()
    };
    let ledger = chain.ledger();
    let mut views = Views::open(memory()(), ledger.reader(), vec![view], settings).unwrap();
    views.rebuild(name, from).unwrap();
    views.catch_up().unwrap();
    views.reader(name).unwrap().snapshot().unwrap()
}
