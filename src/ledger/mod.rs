//! The ledger: one chain in one store. Blocks go in through the validator, runs of valid blocks are committed
//! atomically, and a [`ChainReader`] answers from what is committed.
//!
//! Invariants:
//! - only [`ValidBlock`]s reach the store, in order;
//! - the state in memory is ahead of the store by exactly the staged run; when a commit fails the ledger is
//!   poisoned and has to be opened again, from what the store really holds;
//! - the store's meta records `spec` (before genesis) and `state` (a snapshot now and then, in version 2 a table set) are conveniences
//!   that are checked against the headers: opening replays the blocks after the snapshot, and without one all of them;
//! - a snapshot is of the state after a final block, so that no better chain can make it useless.

pub(crate) mod alarm;
pub mod archive;
mod branches;
mod commit;
mod copy;
mod error;
mod forks;
mod judge_branch;
pub mod keep;
mod missing;
mod prove;
mod reader;
mod record;
mod repair;
pub mod snapshot;
mod state_set;
pub(crate) mod step;
mod upgrade;
mod values;
mod verify;

use std::sync::Arc;

use bytes::Bytes;
use hubledger_storage::{
    BlockReader, BlockWriter, Durability, Extent, Receipt, Store, TableWriter,
};

pub use self::alarm::{Alarm, AlarmCause};
pub(crate) use self::alarm::{Held, Lookout};
pub(crate) use self::commit::{Committer, EncodedState, StateAt};
pub use self::copy::{ChainFork, Compared, CopyReport, Cut, ForkError, copy_chain, salvage_chain};
pub use self::error::LedgerError;
pub use self::forks::{ChainChange, Offer, Placement, Resolved};
pub(crate) use self::forks::{Forks, place_final};
pub(crate) use self::judge_branch::judge_branch;
pub use self::keep::{
    FOLLOWER_NAME_BYTES_MAX, FOLLOWERS_MAX, FollowerRefused, Followers, HeldBack, Position,
};
pub use self::keep::{PruneReport, Pruned, policy};
pub use self::missing::{Losses, LostPart, Missing};
pub(crate) use self::reader::StoredParts;
pub use self::reader::{ChainReader, Located, Lookup};
pub use self::repair::{StateRepair, repair_state};
pub use self::step::{BlockProgress, BlockStep, Phase, Step, StepProgress};
pub use self::upgrade::UpgradeError;
use self::values::{VALUE_SPEC, VALUE_STATE, refuse_incomplete};
pub use self::verify::StoreReport;
pub(crate) use self::verify::{Checker, Findings, Scratch, Stretch, Walk};
use crate::clock::Clock;
use crate::consensus;
use crate::format::codec::{DecodeError, DecodeProblem};
use crate::format::digest::{BlockHash, Digest};
use crate::format::model::Block;
use crate::format::rejection::{Reason, Rejected};
use crate::format::signature::Verifier;
use crate::format::spec::ChainSpec;
use crate::rules::{Depth, ValidBlock, Validator};
use crate::state::State;
use crate::tree::ForkBounds;

/// A staged run is committed by [`Ledger::stage`] itself when it reaches this many bytes of bodies …
const RUN_BYTES_MAX: usize = 32 * 1024 * 1024;
/// … or this many blocks.
const RUN_BLOCKS_MAX: usize = 1024;

/// How many bytes of a state's pages stay in memory by themselves.
pub(crate) const STATE_BYTES_MAX: u64 = 512 << 20;
/// One part in so many of those may have changed since they were last written down, so that memory stays bounded and opening doesn't take
/// long.
pub(crate) const UNSAVED_SHARE: u64 = 4;

/// What became of a block that was handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Staging {
    /// It is valid and will be part of the next commit.
    Staged,
    /// This very block, transactions and witnesses included, is held already (committed or staged).
    Held,
    /// It is not valid here.
    Rejected(Rejected),
}

/// One chain in one store, open for writing.
pub struct Ledger {
    validator: Validator,
    store: Arc<dyn BlockReader>,
    committer: Committer,
    clock: Arc<dyn Clock>,
    staged: Vec<ValidBlock>,
    staged_bytes: usize,
    /// Height of the block that was handed in last.
    last_height: Option<u64>,
    /// Of the state's pages that changed since they were last written down, how many bytes were left the last time: what blocks changed
    /// that could still be replaced.
    unsaved_before: u64,
    /// The branches beside the chain, once somebody asks for them.
    forks: Option<Forks>,
    fork_bounds: ForkBounds,
    lookout: Lookout,
}

impl Ledger {
    /// Starts the chain of `spec` in an empty store: writes the specification, then genesis.
    ///
    /// # Errors
    /// The store failed, or holds another chain. A store that holds this chain is opened.
    pub fn create(
        store: Store,
        spec: &ChainSpec,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LedgerError> {
        let Store {
            reader,
            mut writer,
            tables,
        } = store;
        // An interrupted copy has empty parts that are not marked as pruned yet; a reader would take them for contents.
        refuse_incomplete(&*reader)?;
        match ChainReader::held_spec(&*reader)? {
            Some(held) => {
                if held != *spec {
                    return Err(LedgerError::OtherChain {
                        held: held.id(),
                        asked: spec.id(),
                    });
                }
            }
            // On the disk before genesis: a crash in between leaves a specification, and creating goes on from it.
            None => writer.put_named_value(VALUE_SPEC, spec.bytes(), Durability::Disk)?,
        }
        if reader.extent()?.is_empty() {
            let genesis = record::encode(&spec.genesis());
            writer.append(&[genesis], Durability::Disk)?;
        }
        let store = Store {
            reader,
            writer,
            tables,
        };
        Self::open(store, clock)
    }

    /// Opens the chain in `store` and rebuilds the state after its last block: from the last snapshot if there is one,
    /// else from genesis. O(blocks since then).
    ///
    /// # Errors
    /// The store failed, holds no chain, or is damaged.
    pub fn open(store: Store, clock: Arc<dyn Clock>) -> Result<Self, LedgerError> {
        Self::open_within(store, clock, STATE_BYTES_MAX)
    }

    /// The same with about `state_bytes` of memory for a state that is kept in tables: what changes in it while blocks are replayed is
    /// written there now and then.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub fn open_within(
        store: Store,
        clock: Arc<dyn Clock>,
        state_bytes: u64,
    ) -> Result<Self, LedgerError> {
        let chain = ChainReader::open(Arc::clone(&store.reader))?;
        Self::open_chain(chain, store, clock, state_bytes)
    }

    /// The same of a chain that `chain` reads from the store.
    fn open_chain(
        chain: ChainReader,
        store: Store,
        clock: Arc<dyn Clock>,
        state_bytes: u64,
    ) -> Result<Self, LedgerError> {
        let Store {
            reader,
            mut writer,
            mut tables,
        } = store;
        let written = WrittenDown {
            writer: &mut *writer,
            tables: &mut *tables,
            state_bytes,
        };
        let (validator, snapshot) = restore(&chain, Some(written))?;
        Ok(Self {
            validator,
            store: reader,
            committer: Committer::new(writer, tables, chain, snapshot),
            clock,
            staged: Vec::new(),
            staged_bytes: 0,
            last_height: None,
            unsaved_before: 0,
            forks: None,
            fork_bounds: ForkBounds::default(),
            lookout: Lookout::default(),
        })
    }

    /// The ledger's parts, for whoever puts them to work on several threads: what judges, what commits, what reads.
    pub(crate) fn into_parts(self) -> (Validator, Committer, ChainReader) {
        let reader = self.reader();
        (self.validator, self.committer, reader)
    }

    /// Sets what a commit waits for; [`Durability::Disk`] at first.
    pub fn set_durability(&mut self, durability: Durability) {
        self.committer.set_durability(durability);
    }

    /// Sets what checks signatures from now on; a [`Verifier::default`] of its own at first.
    pub fn set_verifier(&mut self, verifier: Arc<Verifier>) {
        self.validator.set_verifier(verifier);
    }

    /// The chain's specification.
    #[must_use]
    pub const fn spec(&self) -> &ChainSpec {
        self.validator.spec()
    }

    /// The state after the last staged block.
    #[must_use]
    pub const fn state(&self) -> &State {
        self.validator.state()
    }

    /// The state after an earlier block: see [`Validator::state_at`].
    #[must_use]
    pub fn state_at(&self, height: u64) -> Option<State> {
        self.validator.state_at(height)
    }

    /// The state after the last block that names a state root, from which can be proved what the chain knows; that after the last block if there
    /// is no such one near. O(what changed since).
    #[must_use]
    pub fn named_state(&self) -> State {
        self.validator.named().into_state()
    }

    /// Reads the committed chain, from any thread, also while this ledger goes on.
    #[must_use]
    pub fn reader(&self) -> ChainReader {
        let missing = Arc::clone(self.committer.chain.lost());
        ChainReader::from_parts(self.spec().clone(), Arc::clone(&self.store), missing)
    }

    /// Decodes a block and stages it. What isn't a block is rejected at the height that its header claims; without a
    /// readable one, after the block that was handed in last, or after the tip.
    ///
    /// # Errors
    /// As [`Ledger::stage`].
    pub fn stage_bytes(&mut self, bytes: &Bytes) -> Result<Staging, LedgerError> {
        match Unreadable::decode(bytes) {
            Ok(block) => self.stage(&block),
            Err(unreadable) => {
                let before = self.last_height.unwrap_or_else(|| self.state().height());
                let expected = before.saturating_add(1);
                Ok(Staging::Rejected(unreadable.rejected(expected)))
            }
        }
    }

    /// Judges the next block and, if it is valid, makes it part of the next commit. A block at a height that the
    /// chain has passed is [`Staging::Held`] or, if another is there, rejected as a fork. Commits by itself when the
    /// staged run has grown to its bound.
    ///
    /// # Errors
    /// The store failed. What is wrong with the *block* is an [`Staging`].
    pub fn stage(&mut self, block: &Block) -> Result<Staging, LedgerError> {
        self.refuse_halted()?;
        self.last_height = Some(block.height());
        if block.height() <= self.state().height() {
            return self.compare_with_held(block);
        }
        let depth = Depth::Full {
            now_us: self.clock.now_us(),
        };
        let verdict = self.validator.check(block, depth);
        self.validator.state().refuse_failed()?;
        let valid = match verdict {
            Ok(valid) => valid,
            Err(rejected) => return Ok(Staging::Rejected(rejected)),
        };
        if self.staged_bytes + block.body().len() > RUN_BYTES_MAX
            || self.staged.len() == RUN_BLOCKS_MAX
        {
            self.commit()?;
        }
        // Only after the commit above: if that fails, the state isn't ahead by a block that is staged nowhere.
        self.validator.apply(&valid);
        self.staged_bytes += block.body().len();
        self.staged.push(valid);
        Ok(Staging::Staged)
    }

    /// Commits everything staged, all or nothing, and returns what the store reached. Then prunes, if a policy says so
    /// ([`Ledger::keep_to`]).
    ///
    /// # Errors
    /// The store failed; then this ledger is of no further use and the store has to be opened again.
    pub fn commit(&mut self) -> Result<Receipt, LedgerError> {
        let receipt = self.commit_staged()?;
        self.prune_if_due()?;
        Ok(receipt)
    }

    fn commit_staged(&mut self) -> Result<Receipt, LedgerError> {
        let receipt = self.committer.commit(&self.staged)?;
        if let Some(Forks { tree, .. }) = &mut self.forks
            && !self.staged.is_empty()
        {
            let staged = self.staged.iter().map(|valid| valid.block());
            staged.for_each(|block| tree.push(block.header()));
            tree.settle(consensus::final_height(
                self.validator.spec(),
                self.validator.state(),
            ));
        }
        self.staged.clear();
        self.staged_bytes = 0;
        self.write_state_if_due()?;
        Ok(receipt)
    }

    fn write_state_if_due(&mut self) -> Result<(), LedgerError> {
        let unsaved = self.state().unsaved_bytes();
        let changed = unsaved.saturating_sub(self.unsaved_before);
        let has_much_unsaved = changed > STATE_BYTES_MAX / UNSAVED_SHARE;
        if self.committer.wants_snapshot() || has_much_unsaved {
            let written = has_much_unsaved.then(|| self.committer.written_height());
            self.put_state(written)?;
            self.unsaved_before = self.state().unsaved_bytes();
        }
        Ok(())
    }

    /// Writes the state down that is to be, above `written`.
    fn put_state(&mut self, written: Option<u64>) -> Result<(), LedgerError> {
        self.committer.put_state(self.validator.base(written))?;
        if let Some(pages) = self.committer.take_written() {
            self.validator.adopt(pages, STATE_BYTES_MAX);
        }
        Ok(())
    }

    /// Writes the state down again in the form that the last block's specification has.
    fn put_state_anew(&mut self) -> Result<(), LedgerError> {
        self.committer.forget_snapshot();
        self.put_state(None)
    }

    /// Judges, stages and commits one block.
    ///
    /// # Errors
    /// As [`Ledger::stage`] and [`Ledger::commit`].
    pub fn submit(&mut self, block: &Block) -> Result<Staging, LedgerError> {
        let outcome = self.stage(block)?;
        self.commit()?;
        Ok(outcome)
    }

    /// Commits what is staged, takes a snapshot of the state after the last final block that names a state root, and makes all of it
    /// durable.
    ///
    /// # Errors
    /// The store failed.
    pub fn close(mut self) -> Result<Receipt, LedgerError> {
        self.commit()?;
        self.committer.close(self.validator.base(None))
    }

    fn compare_with_held(&self, block: &Block) -> Result<Staging, LedgerError> {
        let height = block.height();
        let staged = self
            .staged
            .iter()
            .find(|valid| valid.block().height() == height);
        let held = match staged {
            Some(valid) => Some(valid.block().hash()),
            None => self.committer.chain.hash_at(height)?,
        };
        let held = held.ok_or_else(|| LedgerError::Damaged {
            record: "header",
            height,
            problem: "missing below the tip".to_owned(),
        })?;
        // The hash covers the header alone: somebody may send the held header with another body.
        let root = block.computed_merkle_root();
        Ok(compare_with_held(self.spec(), block, root, held))
    }
}

/// What to say of a block at a height that the chain has passed, where `held` is. A hash that is held says nothing about
/// the body that came with it this time, but for its Merkle root.
pub(crate) fn compare_with_held(
    spec: &ChainSpec,
    block: &Block,
    merkle_root: Digest,
    held: BlockHash,
) -> Staging {
    let (header, hash) = (block.header(), block.hash());
    let spec = spec.at(header.height);
    let (reason, detail) = if header.version != spec.version {
        let expected = spec.version;
        (
            Reason::Version,
            format!(
                "version {}, this chain's is {expected} at this height",
                header.version
            ),
        )
    } else if header.chain != spec.id() {
        (Reason::Chain, format!("for chain {}", header.chain))
    } else if hash != held {
        let reason = match header.height {
            0 => Reason::Genesis,
            _ => Reason::Fork,
        };
        (reason, format!("{held} is held, {hash} was offered"))
    } else if header.merkle_root != merkle_root {
        let named = header.merkle_root;
        let detail = format!("header names {named}, the body gives {merkle_root}");
        (Reason::MerkleRoot, detail)
    } else {
        return Staging::Held;
    };
    Staging::Rejected(Rejected::block(header.height, reason, detail))
}

/// Bytes that are not a block: why, and which one their header says they are, if there is one that can be read.
#[derive(Debug, Clone)]
pub struct Unreadable {
    height: Option<u64>,
    error: DecodeError,
}

impl Unreadable {
    /// Reads exactly one block.
    ///
    /// # Errors
    /// As [`Block::decode`], with the height that the header claims.
    pub fn decode(bytes: &Bytes) -> Result<Block, Self> {
        Block::decode(bytes).map_err(|error| {
            let header = Block::decode_header(bytes).ok();
            let height = header.map(|header| header.height);
            Self { height, error }
        })
    }

    /// Puts a block together as it lies in a store.
    pub(crate) fn assemble(parts: StoredParts) -> Result<Block, Self> {
        let height = Some(parts.header.height);
        let block = Block::from_parts(parts.header, parts.seal, parts.body);
        block.map_err(|error| Self { height, error })
    }

    /// The verdict: at the height that the header claims, as for every block that can be read; else at `expected`.
    #[must_use]
    pub fn rejected(&self, expected: u64) -> Rejected {
        let error = &self.error;
        let reason = match (&error.problem, error.field) {
            (problem, _) if problem.is_version() => Reason::Version,
            // Before the fields are looked at: where bytes are missing, no count or size is to blame.
            (DecodeProblem::Truncated { .. }, _) => Reason::Malformed,
            (_, "transaction_count") => Reason::TransactionCount,
            (_, "body_size") => Reason::BodySize,
            _ => Reason::Malformed,
        };
        Rejected::block(self.height.unwrap_or(expected), reason, error.to_string())
    }
}

/// The state after the last block: the snapshot if it fits the headers, then the blocks after it. Whoever may write has the state
/// written into the store's tables once it takes up a share of so many bytes of memory; all of it stays there otherwise.
fn restore(
    chain: &ChainReader,
    mut written: Option<WrittenDown<'_>>,
) -> Result<(Validator, commit::SinceSnapshot), LedgerError> {
    // The specification is a named value of its own: one of another chain would give all later blocks other rules.
    if chain.hash_at(0)? != Some(chain.spec().genesis().hash()) {
        let problem = "not the genesis of the specification".to_owned();
        return Err(LedgerError::Damaged {
            record: "block",
            height: 0,
            problem,
        });
    }
    let mut snapshot = commit::SinceSnapshot::default();
    let mut validator = None;
    // Never trusted more than the blocks: a snapshot that doesn't fit the headers is ignored, and blocks are replayed.
    if let Some(state) = state_set::read(chain)? {
        validator = Validator::resume(chain.spec().clone(), state).ok();
        snapshot.is_in_set = validator.is_some();
    }
    if validator.is_none()
        && let Some(bytes) = chain.store().named_value(VALUE_STATE)?
    {
        validator = resume(chain, &bytes)?;
        snapshot.size = bytes.len() as u64;
    }
    let mut validator = validator.unwrap_or_else(|| Validator::new(chain.spec().clone()));
    snapshot.height = validator.state().height();
    let Extent {
        body_floor: floor,
        end,
        ..
    } = chain.extent()?;
    // The blocks between snapshot and floor were pruned, so that nothing leads to the state before the first body.
    if snapshot.height + 1 < floor {
        return Err(LedgerError::NoState { floor });
    }
    for height in validator.state().height() + 1..end {
        let damaged = |problem: String| LedgerError::Damaged {
            record: "block",
            height,
            problem,
        };
        let block = chain
            .block(height)?
            .ok_or_else(|| damaged("missing below the tip".into()))?;
        let body_bytes = block.body().len() as u64;
        let verdict = validator.replay(block);
        validator.state().refuse_failed()?;
        verdict.map_err(|rejected| damaged(format!("{}: {}", rejected.reason, rejected.detail)))?;
        snapshot.blocks_since += 1;
        snapshot.bytes_since += body_bytes;
        if let Some(written) = &mut written {
            written.put_if_due(chain, &mut validator, &mut snapshot)?;
        }
    }
    Ok((validator, snapshot))
}

/// Where a state that blocks are replayed to is written now and then, so that it takes up about `state_bytes` of memory.
struct WrittenDown<'a> {
    writer: &'a mut dyn BlockWriter,
    tables: &'a mut dyn TableWriter,
    state_bytes: u64,
}

impl WrittenDown<'_> {
    /// Writes the state down if enough of it changed, as the snapshot from which it is read from now on.
    fn put_if_due(
        &mut self,
        chain: &ChainReader,
        validator: &mut Validator,
        snapshot: &mut commit::SinceSnapshot,
    ) -> Result<(), LedgerError> {
        if validator.state().unsaved_bytes() <= self.state_bytes / UNSAVED_SHARE {
            return Ok(());
        }
        let state = validator.base(Some(snapshot.height));
        if state.height() <= snapshot.height {
            return Ok(());
        }
        let EncodedState::Rows(state) = EncodedState::of(state)? else {
            return Ok(());
        };
        // A loss of power may take the blocks that were replayed. Where others were pruned, nothing would lead to the state then
        // that is replaced here.
        self.writer.sync()?;
        let reader = chain.store().tables();
        let pages = state.write(reader, self.tables, snapshot.is_in_set, Durability::Os)?;
        *snapshot = commit::SinceSnapshot::in_set(state.height(), state.bytes);
        // Pages that a copy shares can't be given up.
        drop(state);
        if let Some(pages) = pages {
            validator.adopt(pages, self.state_bytes);
        }
        Ok(())
    }
}

/// A validator that continues from a snapshot, if the snapshot is sound and of a block that is really held.
fn resume(chain: &ChainReader, bytes: &[u8]) -> Result<Option<Validator>, LedgerError> {
    let state = match State::decode(bytes) {
        Ok(state) => state,
        Err(error) => {
            tracing::warn!(%error, "ignoring a damaged state snapshot");
            return Ok(None);
        }
    };
    // A loss of power may have taken blocks that the snapshot already counts, or a truncation replaced them.
    if chain.hash_at(state.height())? != Some(state.head()) {
        tracing::warn!(
            height = state.height(),
            "ignoring a state snapshot of a block not held"
        );
        return Ok(None);
    }
    match Validator::resume(chain.spec().clone(), state) {
        Ok(validator) => Ok(Some(validator)),
        Err(_) => {
            tracing::warn!("ignoring a state snapshot of another chain");
            Ok(None)
        }
    }
}
