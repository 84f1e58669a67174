//! Imports into chains that go on: one whose senders are few, and one whose every transaction is by another of many that were there before.

use std::path::Path;

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use hubledger::blockfile::BlockFileWriter;
use hubledger::engine::{Engine, Outcome};
use hubledger::generate::{Generator, Recipe};
use hubledger::spec::Identity;
use hubledger_storage::Durability;
use tempfile::TempDir;

use crate::clock::{Clock, Times};
use crate::storage::{Contender, fresh_directory};
use crate::turns::Contestant;

/// Blocks that are made and imported at a time while a chain is filled.
const FILL_BLOCKS: usize = 200;
/// More than any chain has here.
const ENDLESS: u64 = u64::MAX / 2;

/// An engine over a store of its own, and what makes further blocks for it.
pub(super) struct Chain {
    engine: Engine,
    generator: Generator,
    _directory: TempDir,
}

fn recipe(keys: u32, transactions: u64) -> Recipe {
    Recipe {
        transactions,
        keys,
        ..Recipe::default()
    }
}

/// Who speaks for the senders of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speakers {
    /// The one key that each began with.
    Pinned,
    /// One key that each registered.
    Registered,
    /// So many of so many keys that each registered.
    Several(u8, u8),
}

impl Speakers {
    fn recipe(self, keys: u32, transactions: u64) -> Recipe {
        let (identity, (threshold, keys_each)) = match self {
            Self::Pinned => (Identity::Pinned, (1, 1)),
            Self::Registered => (Identity::Registered, (1, 1)),
            Self::Several(threshold, keys) => (Identity::Registered, (threshold, keys)),
        };
        Recipe {
            identity,
            keys_each,
            threshold,
            ..recipe(keys, transactions)
        }
    }
}

impl Chain {
    /// A chain to which each of so many senders has sent once.
    pub(super) fn of(
        senders: u32,
        speakers: Speakers,
        contender: &Contender,
        under: &Path,
    ) -> Result<Self> {
        let directory = fresh_directory(under)?;
        let generator = Generator::new(speakers.recipe(senders, ENDLESS))?;
        let store = contender.store_url(directory.path())?.create()?;
        let engine = Engine::builder()
            .durability(Durability::Disk)
            .create(store, generator.spec())?;
        let mut chain = Self {
            engine,
            generator,
            _directory: directory,
        };
        let mut left = u64::from(senders).div_ceil(recipe(1, 1).per_block.into()) as usize;
        while left > 0 {
            let blocks = chain.make(left.min(FILL_BLOCKS))?;
            left -= blocks.len();
            chain.import(blocks)?;
        }
        let known = chain.engine.state().account_count();
        ensure!(
            known >= senders as usize,
            "{known} of {senders} senders are known"
        );
        Ok(chain)
    }

    fn make(&mut self, blocks: usize) -> Result<Vec<Bytes>> {
        let mut made = Vec::with_capacity(blocks);
        while made.len() < blocks {
            match self.generator.next_block()? {
                Some(block) => made.push(block.encode().into()),
                None => bail!("the recipe ended"),
            }
        }
        Ok(made)
    }

    fn import(&self, blocks: Vec<Bytes>) -> Result<()> {
        for outcome in self.engine.import(blocks) {
            match outcome? {
                Outcome::Committed(_) => {}
                other => bail!("a block was not accepted: {other:?}"),
            }
        }
        Ok(())
    }

    /// A contestant whose pass imports so many further blocks, a transaction as an item.
    pub(super) fn going_on<'c>(&'c mut self, name: &str, blocks: usize) -> Contestant<'c> {
        let items = blocks * recipe(1, 1).per_block as usize;
        Contestant::new(name, Clock::Wall, items, move || {
            let made = self.make(blocks)?;
            let (imported, times) = Times::of(|| self.import(made));
            imported.map(|()| times)
        })
    }
}

/// Writes a block file in which so many senders send once, one after the other, and then again until there are `more` further transactions.
pub(super) fn write_file(senders: u32, more: u64, path: &Path) -> Result<()> {
    let mut generator = Generator::new(recipe(senders, u64::from(senders) + more))?;
    let mut file = BlockFileWriter::create(path, generator.spec())?;
    while let Some(block) = generator.next_block()? {
        file.append(&block)?;
    }
    file.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn further_blocks_are_by_senders_that_are_known_and_all_different() {
        let directory = tempfile::tempdir().expect("a directory");
        let log = Contender::ours("log");
        let mut chain =
            Chain::of(2_500, Speakers::Pinned, &log, directory.path()).expect("it can be filled");
        let made = chain.make(2).expect("there are more");
        let mut senders = BTreeSet::new();
        for bytes in &made {
            let block = hubledger::model::Block::decode(bytes).expect("a block");
            let names = block.transactions().iter();
            senders.extend(names.map(|transaction| transaction.sender().to_owned()));
        }
        assert_eq!(senders.len(), 2_000);
        let known = chain.engine.state().account_count();
        chain.import(made).expect("it is valid");
        assert_eq!(chain.engine.state().account_count(), known);
        assert_eq!(chain.engine.head().expect("a head").height, 5);
    }
}
