//! The rows of the table `state`: what the store is, and how far it reaches.

use std::path::Path;

use super::index_run::RUN_MAX;
use super::record::NAMES;
use super::{Batch, RowContext, Table, View};
use crate::toolbox::key_hash::KeyHash;
use crate::toolbox::little_endian::{u32_at, u64_at};
use crate::toolbox::random::{self, Drawn};
use crate::toolbox::salt::{Salt, StoreId};
use crate::{DamageAt, Error, Extent, Result};

/// Row of [`RowState`].
const STATE: u64 = 0;
/// Row of the catalogue of the index's runs.
pub(super) const CATALOGUE: u64 = 1;
/// Row of [`Identity`]; the only one that isn't salted.
const IDENTITY: u64 = 2;
/// Row of the list of table sets; there is none before the first commit to one.
pub(super) const TABLE_SETS: u64 = 3;

/// The version of rows and tables.
const VERSION: u32 = 1;
const IDENTITY_BYTES: usize = 4 + 16 + 16;
const STATE_FIELDS: usize = 11;

/// What is fixed when a store is founded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity {
    salt: Salt,
    hash: KeyHash,
}

const NOBODY: Identity = Identity {
    salt: Salt::NONE,
    hash: KeyHash { seed: [0; 2] },
};

impl Identity {
    pub(crate) const fn at(self, path: &Path) -> RowContext<'_> {
        RowContext {
            path,
            salt: self.salt,
            hash: self.hash,
        }
    }

    /// Reads whose rows these are.
    pub(crate) fn read(view: &impl View, path: &Path) -> Result<Self> {
        let row = (Table::State, IDENTITY);
        let context = NOBODY.at(path);
        let bytes = context.fetch(view, row, DamageAt::Structure)?;
        if bytes.len() != IDENTITY_BYTES {
            let reason = "the row of the store's id has a wrong length";
            return Err(context.corrupt(DamageAt::Structure, reason));
        }
        // Before anything else of the row is believed: another version may mean other things by it.
        let version = u32_at(&bytes, 0);
        if version != VERSION {
            return Err(Error::Version {
                path: path.to_owned(),
                found: version,
                supported: VERSION,
            });
        }
        let mut store = StoreId::default();
        store.copy_from_slice(&bytes[4..20]);
        Ok(Self {
            salt: Salt::of(&store),
            hash: KeyHash {
                seed: [u64_at(&bytes, 20), u64_at(&bytes, 28)],
            },
        })
    }
}

/// How far the store reaches, and what has to be known to write on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct RowState {
    pub(super) extent: Extent,
    /// Index entries of the blocks from the index floor up.
    pub(super) entries: u64,
    /// Counts every commit.
    pub(super) commits: u64,
    /// Counts what changes the index in any other way than by adding blocks: truncations, replacements, new runs.
    pub(super) epoch: u64,
    /// The first height whose keys are in no run.
    pub(super) tail: u64,
    /// The number that the next run gets.
    pub(super) next_run: u64,
    /// The run that is being made, or 0.
    pub(super) making: u64,
    /// The number that the next named value gets.
    pub(super) next_value: u64,
}

impl RowState {
    /// What changes whenever rows are removed that a reader may still want.
    pub(super) const fn shrunk(&self) -> [u64; 4] {
        let extent = &self.extent;
        [
            extent.body_floor,
            extent.index_floor,
            extent.header_floor,
            self.epoch,
        ]
    }

    pub(super) fn read(view: &impl View, context: RowContext<'_>) -> Result<Self> {
        let bytes = context.fetch(view, (Table::State, STATE), DamageAt::Extent)?;
        let damaged = |reason: &str| context.corrupt(DamageAt::Extent, reason);
        if bytes.len() != STATE_FIELDS * 8 {
            return Err(damaged("the row has a wrong length"));
        }
        let field = |number: usize| u64_at(&bytes, number * 8);
        let state = Self {
            extent: Extent {
                body_floor: field(0),
                index_floor: field(1),
                header_floor: field(2),
                end: field(3),
            },
            entries: field(4),
            commits: field(5),
            epoch: field(6),
            tail: field(7),
            next_run: field(8),
            making: field(9),
            next_value: field(10),
        };
        // All loops over heights go by these numbers.
        if !state.extent.is_sound() || state.tail > state.extent.end {
            return Err(damaged("floors and end contradict each other"));
        }
        // Row numbers follow from these.
        if state.next_run > RUN_MAX || state.making > state.next_run {
            return Err(damaged("it tells of a run that can't be"));
        }
        Ok(state)
    }

    pub(super) fn write(&self, batch: &mut impl Batch, context: RowContext<'_>) -> Result<()> {
        let extent = &self.extent;
        let fields: [u64; STATE_FIELDS] = [
            extent.body_floor,
            extent.index_floor,
            extent.header_floor,
            extent.end,
            self.entries,
            self.commits,
            self.epoch,
            self.tail,
            self.next_run,
            self.making,
            self.next_value,
        ];
        let bytes = fields.map(u64::to_le_bytes).concat();
        context.put(batch, (Table::State, STATE), &[&bytes])
    }
}

/// Puts the first rows of a store.
pub(crate) fn initialise(batch: &mut impl Batch, path: &Path) -> Result<()> {
    let drawn = random::draw().map_err(|source| Error::system("create", path, source))?;
    let Drawn { store, seed } = drawn;
    let parts: [&[u8]; 3] = [
        &VERSION.to_le_bytes(),
        &store,
        &seed.map(u64::to_le_bytes).concat(),
    ];
    NOBODY
        .at(path)
        .put(batch, (Table::State, IDENTITY), &parts)?;
    let context = RowContext {
        path,
        salt: Salt::of(&store),
        hash: KeyHash { seed },
    };
    let state = RowState {
        next_run: 1,
        next_value: 1,
        ..RowState::default()
    };
    state.write(batch, context)?;
    context.put(batch, (Table::State, CATALOGUE), &[])?;
    context.put(batch, (Table::Values, NAMES), &[])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::in_memory::InMemory;
    use super::*;

    #[test]
    fn a_state_that_tells_of_a_run_that_cannot_be_is_damage() {
        let (mut rows, context) = InMemory::initialised();
        let mut read = |next_run, making| {
            let state = RowState {
                next_run,
                making,
                ..RowState::default()
            };
            state.write(&mut rows, context).unwrap();
            RowState::read(&rows, context)
        };
        assert_eq!(read(RUN_MAX, 7).unwrap().next_run, RUN_MAX);
        for (next_run, making) in [(RUN_MAX + 1, 0), (u64::MAX, 0), (7, 8), (7, u64::MAX)] {
            assert!(read(next_run, making).unwrap_err().is_corrupt());
        }
    }
}
