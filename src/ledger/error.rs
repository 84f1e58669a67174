//! Faults of this ledger, its store or its callers; never of somebody's block, which is a
//! [`Rejected`](crate::format::rejection::Rejected).

use super::alarm::Alarm;
use super::keep::policy::PolicyError;
use super::missing::{Losses, LostPart};
use crate::format::codec::DecodeError;
use crate::format::digest::{BlockHash, ChainId};
use crate::ledger::archive::ArchiveError;
use crate::state::StateFailure;

/// Why the ledger couldn't do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The store failed; the message names the file.
    #[error(transparent)]
    Storage(#[from] hubledger_storage::Error),
    /// The store holds no chain yet.
    #[error("the store holds no chain; create one from a specification")]
    Uninitialised,
    /// The store holds another chain.
    #[error("the store holds chain {held}, not {asked}: the specifications differ")]
    OtherChain {
        /// The chain in the store.
        held: ChainId,
        /// The chain asked for.
        asked: ChainId,
    },
    /// A stored record can't be decoded or contradicts another, though its checksum is right.
    #[error("damaged store: {record} at height {height}: {problem}")]
    Damaged {
        /// What kind of record.
        record: &'static str,
        /// The height it belongs to.
        height: u64,
        /// What is wrong.
        problem: String,
    },
    /// A stored record that belongs to no height can't be decoded.
    #[error("damaged store: {record}: {problem}")]
    DamagedValue {
        /// The meta key.
        record: &'static str,
        /// What is wrong.
        problem: DecodeError,
    },
    /// A part of the state can't be read from the store's tables.
    #[error("damaged store: {0}")]
    State(#[from] StateFailure),
    /// The block names no root over the state after it, so that nothing of that state can be proved.
    #[error(
        "block {0} names no state root: chains of version 1 have none, and the specification says at which heights others do"
    )]
    NoStateRoot(u64),
    /// No sound state snapshot is at or above the floor of bodies, and the blocks below it can't be replayed.
    #[error(
        "damaged store: bodies were pruned below block {floor}, and no sound state snapshot reaches it; \
         restore the chain from an archive or a backup"
    )]
    NoState {
        /// The lowest height whose body is held.
        floor: u64,
    },
    /// The state is larger than a named value may be, so that no snapshot can stand in for pruned bodies.
    #[error("can't prune: the state has {0} bytes, more than a store takes as one value")]
    StateTooLarge(u64),
    /// The policy can't be followed.
    #[error("pruning policy: {0}")]
    Policy(#[from] PolicyError),
    /// The store is the target of a copy, or of the import of a snapshot, that was interrupted.
    #[error(
        "the store is an incomplete copy of a chain; start the migration, backup or import of the snapshot again to finish it"
    )]
    Incomplete,
    /// The target of a copy holds something already.
    #[error("the target store is not empty, and no incomplete copy of this chain")]
    TargetInUse,
    /// The target was begun as another copy of this chain.
    #[error("the target is an incomplete {0}; go on with that, or begin anew in another place")]
    OtherCopy(String),
    /// The chain went on under another specification after its reader was opened.
    #[error(
        "the chain goes on under another specification since this was begun; start it again to go on"
    )]
    Upgraded,
    /// Two quorums decided differently, and no rule says which of the two histories is right: nothing more is committed.
    #[error("halted: {0}")]
    Halted(Box<Alarm>),
    /// The caller stopped it.
    #[error("stopped; start it again to go on")]
    Stopped,
    /// A copy is not equal to what it is a copy of.
    #[error("the copy differs from its source: {0}")]
    CopyDiffers(String),
    /// The archive can't be written.
    #[error("archive: {0}")]
    Archive(#[from] ArchiveError),
    /// The block asked about isn't in the chain.
    #[error("no block {0} in this chain")]
    UnknownBlock(BlockHash),
    /// The transaction asked about isn't in the chain.
    #[error("no transaction {0} in this chain")]
    UnknownTransaction(String),
    /// The proof that was to be carried on proves nothing, or its block is not in this chain.
    #[error("the proof can't be carried on: {0}")]
    NotCarried(String),
    /// The body was pruned and no leaf hashes of it were kept.
    #[error("the body of block {0} was pruned, and its leaf hashes were not kept")]
    LeavesPruned(u64),
    /// The transaction is not in the block that it was said to be in.
    #[error("no such transaction, with this witness, in block {0}")]
    NotInBlock(u64),
    /// The transaction is above the head that the proof was asked for.
    #[error("the transaction is in block {height}, above the head asked for (height {head})")]
    AboveHead {
        /// The transaction's block.
        height: u64,
        /// The head asked for.
        head: u64,
    },
    /// The head that is to be extended is not below the one that is to extend it.
    #[error(
        "block {old} is not below the head asked for (height {new}): a chain extends earlier heads only"
    )]
    NotExtended {
        /// Height of the head that was to be extended.
        old: u64,
        /// Height of the head that was to extend it.
        new: u64,
    },
    /// The body that the answer needs was pruned.
    #[error("the body of block {0} was pruned")]
    Pruned(u64),
    /// The header that the answer needs was pruned.
    #[error("the header of block {0} was pruned")]
    HeaderPruned(u64),
    /// The transaction asked about may be in a block whose index entries were pruned.
    #[error("the index was pruned below block {0}; it can't tell")]
    Forgotten(u64),
    /// The part that the answer needs was lost: the store was made from a damaged one, in which it could not be read.
    #[error("the {part} of block {height} was lost before this store was made from a damaged one")]
    Lost {
        /// The part.
        part: LostPart,
        /// The block's height.
        height: u64,
    },
    /// What was asked for is in no block that is known, and may be in one of which the part was lost that would tell.
    #[error(
        "the {part} of {blocks} blocks, the first of them block {first}, was lost before this store was made from a \
         damaged one; it can't tell"
    )]
    CantTell {
        /// The part.
        part: LostPart,
        /// The lowest height whose part was lost.
        first: u64,
        /// How many blocks have lost it.
        blocks: u64,
    },
    /// Parts of blocks can't be read. Everything else was.
    #[error("damaged store: {0}")]
    Unreadable(Box<Losses>),
    /// The specification, without which nothing can be told from damage, can't be read.
    #[error("the chain's specification can't be read, so nothing can be saved of it: {0}")]
    SpecLost(String),
    /// The target of a copy was begun from a damaged source, and lacks what could not be read then.
    #[error(
        "the target is an incomplete copy that was begun without the blocks that could not be read ({0}); go on with \
         --skip-damaged, or begin anew in another place"
    )]
    SalvageBegun(String),
    /// The damage is in too many places for a list of them.
    #[error("too many places are damaged: {0} ranges of blocks")]
    TooMuchMissing(usize),
    /// The threads that a store was checked on failed, or could not be started.
    #[error("{0}")]
    Threads(String),
    /// The index isn't complete yet.
    #[error("the index reaches height {0} only; ask again later")]
    NotIndexed(u64),
}

impl LedgerError {
    /// Whether the store itself is damaged, so that an operator has to repair or restore it.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        match self {
            Self::Storage(error) => error.is_corrupt(),
            Self::Archive(error) => error.is_corrupt(),
            Self::Damaged { .. }
            | Self::DamagedValue { .. }
            | Self::State(_)
            | Self::NoState { .. }
            | Self::Lost { .. }
            | Self::CantTell { .. }
            | Self::Unreadable(_)
            | Self::SpecLost(_) => true,
            _ => false,
        }
    }
}
