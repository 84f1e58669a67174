//! What threads hand to each other: jobs for the workers, commands for the thread that commits, transactions on their way
//! through admission.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Weak;
use std::time::Instant;

use hubledger_storage::Receipt;

use super::EngineError;
use super::chain::Settled;
use super::feed::Start;
use super::parcel::{LateClaims, Parcel};
use super::permits::Permit;
use super::pool::Known;
use super::registry::Claim;
use super::sync::Arc;
use super::ticket::Promise;
use crate::format::digest::TransactionId;
use crate::format::model::{Block, Transaction};
use crate::format::rejection::Fault;
use crate::ledger::archive::ArchiveWriter;
use crate::ledger::policy::PrunePolicy;
use crate::ledger::{EncodedState, PruneReport};
use crate::pool::Source;
use crate::rules::ValidBlock;
use crate::state::EarlierState;
use crate::tree::SideChanges;

/// What there is to do for a worker.
pub(super) enum Job {
    /// A parcel that nobody has looked into.
    Parcel(Arc<Parcel>),
    /// Rule and settle what is ready.
    Advance,
    /// Some of a parcel's signatures.
    Signatures(Arc<Parcel>, Range<usize>),
    /// Those that only the ruling of a parcel told, unless it is to be ruled again.
    LateSignatures(Weak<LateClaims>),
    /// The batch of a number of transactions that want to be admitted.
    Admission(u64, Batch),
}

/// Somebody who waits for a copy of the state.
pub(super) struct StateRequest {
    pub(super) answer: Promise<EarlierState>,
    pub(super) which: Which,
    /// Whether nothing may be ruled until a block on it has come.
    pub(super) holds: bool,
}

/// Which state somebody waits for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which {
    /// That after the last block.
    Last,
    /// That after the last block that names a state root.
    Named,
    /// The one that is written down: after a final block.
    Base,
}

/// What the thread that commits is asked for, in order.
pub(super) enum Command {
    /// Commit this.
    Settled(Settled),
    /// Keep this state, which was taken when all before this command, or some of it, had been settled.
    Snapshot {
        state: EncodedState,
        /// The end of the chain then.
        end: u64,
    },
    /// Put a branch in the place of some of the chain's blocks. All before is committed.
    Replace(Box<Replacing>),
    /// Keep what came beside the chain, and no longer what went from there.
    Branches(SideChanges, Promise<()>),
    /// Remove what a policy doesn't keep, as soon as the next snapshot is taken.
    Prune(Box<Pruning>),
    /// Change who is registered as a follower.
    Register(Registering),
    /// Make everything before as durable as the store can.
    Sync(Promise<Receipt>),
    /// Drop what is kept for later, since the engine failed.
    Failed,
    /// Keep the encoded state, if there is one, make everything durable, and end.
    Stop(Option<EncodedState>, Promise<Receipt>),
}

/// A branch that takes the place of the chain's own blocks.
pub(super) struct Replacing {
    /// Height of the last block that stays.
    pub(super) common: u64,
    pub(super) valid: Vec<ValidBlock>,
    pub(super) replaced: Vec<Block>,
    pub(super) answer: Promise<Receipt>,
}

/// A pruning that somebody waits for.
pub(super) struct Pruning {
    pub(super) policy: PrunePolicy,
    pub(super) archive: Option<ArchiveWriter>,
    /// The end of the chain when it was asked for: a snapshot of less than that doesn't do.
    pub(super) committed: u64,
    pub(super) answer: Promise<Result<PruneReport, EngineError>>,
}

/// A follower that is to be registered, or to be moved.
pub(super) struct Registering {
    pub(super) name: String,
    /// Without it, the follower is to be removed.
    pub(super) start: Option<Start>,
    pub(super) answer: Promise<Result<Claim, EngineError>>,
}

/// The verdict on a submitted transaction: its id, if it waits for a block now, or the first rule that it breaks.
pub type Admission = Result<TransactionId, Fault>;

/// A transaction on its way through admission.
pub(super) struct Submission {
    pub(super) transaction: Transaction,
    pub(super) source: Source,
    pub(super) answer: Promise<Admission>,
    pub(super) since: Instant,
    pub(super) permit: Permit,
}

/// Submissions that are judged together.
pub(super) type Batch = Vec<Submission>;

/// A batch that was judged.
pub(super) struct JudgedBatch {
    pub(super) batch: Batch,
    /// What is wrong with each.
    pub(super) faults: Vec<Option<Fault>>,
    /// The senders' accounts.
    pub(super) known: Known,
    /// When it was judged, by the timer.
    pub(super) steady_us: u64,
}

/// Batches that were judged, waiting for those before them. Workers judge several at once, but transactions enter the pool in
/// the order in which they were submitted: else a block could take a sender's later nonce, and the earlier one be lost.
#[derive(Default)]
pub(super) struct InOrder {
    pub(super) next: u64,
    pub(super) judged: BTreeMap<u64, JudgedBatch>,
}

impl InOrder {
    /// Gives away what waits, to be dropped once nothing is locked.
    #[must_use]
    pub(super) fn clear(&mut self) -> BTreeMap<u64, JudgedBatch> {
        std::mem::take(&mut self.judged)
    }
}
