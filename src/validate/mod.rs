//! What makes a block valid: the plain sequential validator, to which every faster one must be equal.
//!
//! [`Validator::check`] judges one block against the [`State`] that the blocks before it left, and changes nothing;
//! its [`ValidBlock`] is the only thing that can be applied to the state or committed to a store. Rules are pure
//! functions (`block_rules`, `transaction_rules`, `imported`, [`consensus`]) that return a
//! [`Fault`]; this module fixes their order, so that every input has one verdict:
//!
//! 1. the header: chain, height, previous hash, limits, Merkle, history and state root, timestamp, vector clock;
//! 2. the seal;
//! 3. the transactions in their order, each with its rules first and its signatures last. The first faulty
//!    transaction is reported, by the first rule that it breaks.

mod block_rules;
#[cfg(feature = "mpreg")]
mod imported;
mod state;
mod transaction_rules;

use std::sync::Arc;

use crate::consensus;
use crate::digest::{BlockHash, Digest};
use crate::merkle;
use crate::model::Block;
use crate::rejection::{Reason, Rejected};
use crate::signature::Verifier;
use crate::spec::ChainSpec;

pub use self::state::{Account, State};
use self::transaction_rules::{Accounts, Claims};

/// Why a rule refused: a reason and a detail, without a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The fixed word.
    pub reason: Reason,
    /// What was found and what was expected.
    pub detail: String,
}

impl Fault {
    /// A fault for `reason`.
    #[must_use]
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }
}

/// How much of a block is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Everything, with this machine's time in microseconds since the Unix epoch: for blocks from anybody.
    Full {
        /// The time against which the chain's clock drift is measured.
        now_us: u64,
    },
    /// Everything but signatures, seals and the machine's time: for blocks that this store committed before.
    Replay,
}

/// A block that obeys every rule in the state it was checked against, and what it changes there.
#[derive(Debug, Clone)]
pub struct ValidBlock {
    block: Block,
    accounts: Vec<(Box<str>, Account)>,
    source: Option<String>,
}

impl ValidBlock {
    /// The block.
    #[must_use]
    pub const fn block(&self) -> &Block {
        &self.block
    }
}

/// The specification of a chain, the state after its last block, and what checks signatures.
#[derive(Debug, Clone)]
pub struct Validator {
    spec: ChainSpec,
    state: State,
    verifier: Arc<Verifier>,
}

impl Validator {
    /// A validator that stands after genesis.
    #[must_use]
    pub fn new(spec: ChainSpec) -> Self {
        let state = State::genesis(&spec);
        Self {
            spec,
            state,
            verifier: Arc::default(),
        }
    }

    /// A validator that continues from `state`.
    ///
    /// # Errors
    /// Gives the state back if it is another chain's.
    pub fn resume(spec: ChainSpec, state: State) -> Result<Self, Box<State>> {
        if state.chain != spec.id() {
            return Err(Box::new(state));
        }
        Ok(Self {
            spec,
            state,
            verifier: Arc::default(),
        })
    }

    /// Sets what checks signatures from now on; a [`Verifier::default`] of its own at first.
    pub fn set_verifier(&mut self, verifier: Arc<Verifier>) {
        self.verifier = verifier;
    }

    /// The chain's specification.
    #[must_use]
    pub const fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    /// The state after the last applied block.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Judges the next block. Changes nothing. O(transactions + bytes), dominated by one signature check each.
    ///
    /// # Errors
    /// The first rule that the block breaks, in the order given in the [module's](self) description.
    pub fn check(&self, block: &Block, depth: Depth) -> Result<ValidBlock, Rejected> {
        let height = block.height();
        let whole = |fault: Fault| Rejected::block(height, fault.reason, fault.detail);
        block_rules::check(&self.spec, &self.state, block, depth).map_err(whole)?;
        let imported = self.spec.is_imported(height);
        let source = match imported {
            true => Some(self.check_imported(block).map_err(whole)?),
            false => None,
        };
        if !imported && depth != Depth::Replay {
            consensus::check_seal(&self.spec, block, &self.verifier).map_err(whole)?;
        }
        let accounts = self.check_transactions(block, depth)?;
        Ok(ValidBlock {
            block: block.clone(),
            accounts,
            source,
        })
    }

    /// Moves on to `valid`.
    ///
    /// # Panics
    /// If `valid` was checked against another state than this: blocks are applied in the order they were checked.
    pub fn apply(&mut self, valid: &ValidBlock) {
        let header = valid.block.header();
        let state = &mut self.state;
        assert_eq!(
            header.previous_hash, state.hash,
            "blocks are applied in the order of checking"
        );
        state.height = header.height;
        state.hash = header.hash();
        state.timestamp = header.timestamp;
        state.transactions += u64::from(header.transaction_count);
        state.clock = header.vector_clock.clone();
        state.history.push(history_leaf(&header.hash()));
        for (name, account) in &valid.accounts {
            match state.accounts.get_mut(name) {
                Some(held) => *held = *account,
                None => {
                    state.accounts.insert(name.clone(), *account);
                }
            }
        }
        if let Some(source) = &valid.source {
            state.source.clone_from(source);
        }
    }

    fn check_transactions(
        &self,
        block: &Block,
        depth: Depth,
    ) -> Result<Vec<(Box<str>, Account)>, Rejected> {
        let mut accounts = Accounts::new(&self.spec, &self.state, block.header());
        let mut claims = Claims::default();
        let mut broken = None;
        for (index, transaction) in (0u32..).zip(block.transactions()) {
            if let Err(fault) = accounts.check(transaction, index, &mut claims) {
                broken = Some((index, fault));
                break;
            }
        }
        // Signatures of the transactions before a broken one decide whether that one is the first fault.
        if depth != Depth::Replay
            && let Some((index, fault)) = claims.first_bad(&self.verifier)
        {
            broken = Some((index, fault));
        }
        match broken {
            None => Ok(accounts.into_changes()),
            Some((index, fault)) => Err(Rejected::transaction(
                block.height(),
                index,
                fault.reason,
                fault.detail,
            )),
        }
    }

    #[cfg(feature = "mpreg")]
    fn check_imported(&self, block: &Block) -> Result<String, Fault> {
        imported::check(&self.spec, &self.state, block)
    }

    #[cfg(not(feature = "mpreg"))]
    fn check_imported(&self, _block: &Block) -> Result<String, Fault> {
        Err(Fault::new(
            Reason::Operation,
            "this build can't check imported blocks",
        ))
    }
}

/// The leaf of the history tree that stands for the block `hash`.
#[must_use]
pub fn history_leaf(hash: &BlockHash) -> Digest {
    merkle::leaf_hash(&[&hash.0])
}
