//! What a store holds of a block beside the block: the entries that find it and its transactions.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hubledger_storage::{Durability, Id, Location, Receipt};

use super::{Scratch, missing};
use crate::format::model::Block;
use crate::ledger::missing::{Losses, LostPart};
use crate::ledger::{ChainReader, LedgerError, record};
use crate::rules::ValidBlock;

/// What was found of the index: what can't be read, and the first entry that is wrong, with the height of its block.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    losses: Losses,
    error: Option<(u64, LedgerError)>,
}

impl Findings {
    /// After these losses.
    pub(crate) fn after(losses: Losses) -> Arc<Mutex<Self>> {
        let error = None;
        Arc::new(Mutex::new(Self { losses, error }))
    }

    fn lock(shared: &Mutex<Self>) -> MutexGuard<'_, Self> {
        // Sound after a panic too: each note is one step.
        shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives away what is wrong with the index at a height, if it is the first position where something is.
    pub(crate) fn take_error(shared: &Mutex<Self>, height: u64) -> Option<LedgerError> {
        let mut found = Self::lock(shared);
        let error = found.error.take_if(|(at, _)| *at == height);
        error.map(|(_, error)| error)
    }

    pub(crate) fn take_losses(shared: &Mutex<Self>) -> Losses {
        std::mem::take(&mut Self::lock(shared).losses)
    }

    /// Notes what the index said of a block. An entry that can't be read is a loss; one that is wrong ends the checking.
    fn note(&mut self, height: u64, outcome: Result<(), LedgerError>) {
        if let Err(error) = note_loss(&mut self.losses, height, outcome) {
            self.error.get_or_insert((height, error));
        }
    }
}

/// Notes entries of a block that can't be read; gives any other error back.
pub(super) fn note_loss(
    losses: &mut Losses,
    height: u64,
    outcome: Result<(), LedgerError>,
) -> Result<(), LedgerError> {
    match outcome {
        Err(LedgerError::Storage(error)) if error.is_corrupt() => {
            losses.note(LostPart::Index, height..height + 1, &error.to_string());
            Ok(())
        }
        outcome => outcome,
    }
}

/// Checks what a store holds beside blocks that are valid, as they come.
pub(crate) struct Checker {
    index: IndexCheck,
    found: Arc<Mutex<Findings>>,
    end: u64,
    /// Where the state goes that doesn't fit into memory; nothing of it is asked for without.
    pub(crate) scratch: Option<Scratch>,
}

impl Checker {
    pub(crate) fn new(
        chain: ChainReader,
        found: Arc<Mutex<Findings>>,
        scratch: Option<Scratch>,
    ) -> Self {
        Self {
            index: IndexCheck::new(chain),
            found,
            end: 0,
            scratch,
        }
    }

    /// Checks a run, and says how far it goes. What it finds is noted: whoever waits for the blocks before it is told of those
    /// first.
    pub(crate) fn pass<'a>(&mut self, run: impl IntoIterator<Item = &'a ValidBlock>) -> Receipt {
        for valid in run {
            let block = valid.block();
            self.end = block.height() + 1;
            // The lock is let go of before the index is asked, which reads the disk; the caller takes findings meanwhile.
            if Findings::lock(&self.found).error.is_none() {
                let outcome = self.index.check(block);
                Findings::lock(&self.found).note(block.height(), outcome);
            }
        }
        self.receipt()
    }

    /// How far it came; nothing was written.
    pub(crate) const fn receipt(&self) -> Receipt {
        Receipt {
            end: self.end,
            durability: Durability::Memory,
        }
    }
}

/// Checks that the index finds what the blocks hold.
pub(super) struct IndexCheck {
    chain: ChainReader,
    /// The keys of the block that an entry pointed back to last.
    earlier: Option<(u64, HashSet<(Id, u32)>)>,
}

impl IndexCheck {
    pub(super) const fn new(chain: ChainReader) -> Self {
        Self {
            chain,
            earlier: None,
        }
    }

    pub(super) fn check(&mut self, block: &Block) -> Result<(), LedgerError> {
        let height = block.height();
        let damaged = |record, problem: String| LedgerError::Damaged {
            record,
            height,
            problem,
        };
        if self.chain.store().height_of(&block.hash().0)? != Some(height) {
            let problem = "does not find this block".to_owned();
            return Err(damaged("block hash index", problem));
        }
        for entry in record::index(block) {
            let first = (height, entry.position);
            let found = match self.chain.store().locate(&entry.key)? {
                Location::Found { height, position } if (height, position) == first => true,
                // A key that occurs twice finds its first position.
                Location::Found { height, position } if (height, position) < first => {
                    self.is_at(height, (entry.key, position))?
                }
                // … which may have been pruned.
                Location::Pruned { height, position } if (height, position) < first => true,
                Location::NotIndexed { .. } => true,
                Location::Found { .. }
                | Location::Pruned { .. }
                | Location::Forgotten { .. }
                | Location::Absent => false,
            };
            if !found {
                let problem = format!("does not find transaction {}", entry.position);
                return Err(damaged("transaction index", problem));
            }
        }
        Ok(())
    }

    /// Whether the block at `height` has this key at this position.
    fn is_at(&mut self, height: u64, entry: (Id, u32)) -> Result<bool, LedgerError> {
        if let Some((_, keys)) = self.earlier.as_ref().filter(|(at, _)| *at == height) {
            return Ok(keys.contains(&entry));
        }
        let block = match self.chain.block(height) {
            // The body was lost before this store was made; that an entry was found shows that its entries were kept.
            Err(LedgerError::Lost { .. }) => return Ok(true),
            block => block?.ok_or_else(|| missing(height))?,
        };
        let keys = record::index(&block).into_iter();
        let keys: HashSet<(Id, u32)> = keys.map(|entry| (entry.key, entry.position)).collect();
        let is_there = keys.contains(&entry);
        self.earlier = Some((height, keys));
        Ok(is_there)
    }
}
