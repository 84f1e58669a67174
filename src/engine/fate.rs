//! What became of a transaction, for whoever submitted it: asked for at any moment, or waited for.
//!
//! Nothing is kept for each transaction: the answer comes from the index, the pool, and the last blocks that went from the chain. So whoever asks names
//! the whole transaction, by whose sender and nonce the pool finds it.

use super::branches::Branches;
use super::shared::Shared;
use super::sync::lock;
use super::{Engine, EngineError};
use crate::consensus;
use crate::format::model::Transaction;
use crate::ledger::{LedgerError, Lookup};

/// What became of a transaction so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It neither waits nor is in the chain: it was never admitted, has left the pool, or another of its sender has used its nonce.
    Unknown,
    /// It waits for a block, or is in one that is about to be committed.
    Waits,
    /// It is in a block of the chain.
    Committed {
        /// Height of the block.
        height: u64,
        /// Its index in the block.
        index: u32,
        /// Whether no other branch can take the block's place any more.
        is_final: bool,
    },
    /// It was in a block that is beside the chain now, as another branch took its place, and doesn't wait for another block: there was no room, or
    /// it isn't valid any more. Of many blocks that went, only the last ones are known.
    Reverted {
        /// Height of the block.
        height: u64,
    },
}

impl Fate {
    /// Whether it is in the chain for good.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Committed { is_final: true, .. })
    }
}

/// How many events may wait for somebody who asks again after each: that one was lost is as good as one.
const EVENTS: usize = 1;

impl Engine {
    /// What became of a transaction that was admitted. While another branch takes the chain's place, this waits for the end of that. O(log n).
    ///
    /// # Errors
    /// The store failed or is damaged; [`LedgerError::Forgotten`], [`LedgerError::NotIndexed`] if it isn't known to be anywhere and may be in a block that
    /// the index doesn't have.
    pub fn fate(&self, transaction: &Transaction) -> Result<Fate, EngineError> {
        let shared = self.shared();
        // Held throughout: else a block that is about to go could be taken for a final one by what follows in its place.
        let branches = lock(&shared.branches);
        match fate_of(shared, branches.as_ref(), transaction)? {
            Ok(fate) => Ok(fate),
            Err(cant_tell) => Err(cant_tell.into()),
        }
    }

    /// Waits until a transaction's fate is one that `is_enough` takes, such as [`Fate::is_final`], and gives it. Asks at once, and again with each block that
    /// comes or goes; not when the transaction enters the pool, of which the ticket of [`Engine::submit`] tells. May wait for ever for what doesn't
    /// happen: `is_enough` sees each answer.
    ///
    /// # Errors
    /// As [`Engine::fate`]; the engine failed or was shut down before.
    pub fn wait_fate(
        &self,
        transaction: &Transaction,
        mut is_enough: impl FnMut(&Fate) -> bool,
    ) -> Result<Fate, EngineError> {
        // Before the first answer: what happens behind it is told.
        let events = self.subscribe(EVENTS);
        loop {
            let fate = self.fate(transaction)?;
            if is_enough(&fate) {
                return Ok(fate);
            }
            if events.next().is_none() {
                return Err(self.shared().latch.reason());
            }
        }
    }
}

/// Within it, why nothing can be told where it isn't found.
type Answer = Result<Fate, LedgerError>;

fn fate_of(
    shared: &Shared,
    branches: Option<&Branches>,
    transaction: &Transaction,
) -> Result<Answer, EngineError> {
    if let Ok(fate @ Fate::Committed { .. }) = look_up(shared, transaction)? {
        return Ok(Ok(fate));
    }
    // A block takes it out of the pool before it is in the index.
    let is_waiting = lock(&shared.pool).has(transaction);
    if is_waiting || is_on_its_way(shared, transaction) {
        return Ok(Ok(Fate::Waits));
    }
    let answer = look_up(shared, transaction)?;
    if !matches!(answer, Ok(Fate::Unknown)) || branches.is_none() {
        return Ok(answer);
    }
    let beside = lock(&shared.replaced).height_of(&transaction.id());
    Ok(Ok(
        beside.map_or(Fate::Unknown, |height| Fate::Reverted { height })
    ))
}

/// Its place in the committed chain.
fn look_up(shared: &Shared, transaction: &Transaction) -> Result<Answer, EngineError> {
    let (height, index) = match shared.reader.transaction(&transaction.id())? {
        Lookup::Found(found) => (found.height, found.index),
        Lookup::Pruned { height, index } => (height, index),
        Lookup::Absent => return Ok(Ok(Fate::Unknown)),
        Lookup::Forgotten { below } => return Ok(Err(LedgerError::Forgotten(below))),
        Lookup::NotIndexed { watermark } => return Ok(Err(LedgerError::NotIndexed(watermark))),
    };
    let is_final = height <= final_height(shared);
    Ok(Ok(Fate::Committed {
        height,
        index,
        is_final,
    }))
}

/// The height up to which the chain is final by blocks whose signatures are checked.
fn final_height(shared: &Shared) -> u64 {
    let chain = shared.lock_chain();
    let validator = chain.validator();
    match chain.ruled() {
        // Also where none was settled since the store was opened.
        0 => consensus::final_height(validator.spec(), validator.state()),
        _ => validator.settled_final(),
    }
}

/// Whether a block that isn't committed yet has used the transaction's nonce.
fn is_on_its_way(shared: &Shared, transaction: &Transaction) -> bool {
    let chain = shared.lock_chain();
    let state = chain.validator().state();
    state.height() >= shared.committed_end()
        && state.account(transaction.sender()).nonce >= transaction.nonce()
}
