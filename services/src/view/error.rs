//! Why views can't go on.

use hubledger::digest::{BlockHash, ChainId};
use hubledger::engine::EngineError;
use hubledger::ledger::LedgerError;

/// Why views can't go on or can't answer. Never that of a transaction, whatever it says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// The store of the views failed; the message names the file.
    #[error(transparent)]
    Storage(#[from] hubledger_storage::Error),
    /// The chain can't be read.
    #[error(transparent)]
    Chain(#[from] LedgerError),
    /// The engine failed, or can't be followed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Bodies were pruned that the view hasn't seen.
    #[error(
        "view {view}: block {next} comes next, and bodies below block {floor} were pruned; rebuild it to begin there"
    )]
    Gap {
        /// The view.
        view: &'static str,
        /// The height that comes next.
        next: u64,
        /// The lowest height whose body is held.
        floor: u64,
    },
    /// A view can't begin at a height: bodies there were pruned, or the chain isn't so long.
    #[error(
        "view {view} can't begin at block {from}: the chain has bodies from {floor} to below {end}"
    )]
    Start {
        /// The view.
        view: &'static str,
        /// The height that was asked for.
        from: u64,
        /// The lowest height whose body is held.
        floor: u64,
        /// The height of the next block.
        end: u64,
    },
    /// The rows are of another chain.
    #[error("view {view} is of chain {held}, not of {asked}")]
    OtherChain {
        /// The view.
        view: &'static str,
        /// The chain that the rows are of.
        held: ChainId,
        /// The chain that it is opened for.
        asked: ChainId,
    },
    /// A block doesn't follow the one that the view goes up to: the chain is changing at this moment.
    #[error("view {view}: block {height} {hash} doesn't follow the last one seen")]
    Apart {
        /// The view.
        view: &'static str,
        /// Height of the block.
        height: u64,
        /// Its hash.
        hash: BlockHash,
    },
    /// A row can't be what the view wrote, though its checksum is right.
    #[error("damaged view {view}: table {table}: {problem}")]
    Damaged {
        /// The view.
        view: &'static str,
        /// The table.
        table: u8,
        /// What is wrong.
        problem: String,
    },
    /// A question is about more than can be answered at once.
    #[error("view {view}: more than {limit} {what}; ask for fewer")]
    TooWide {
        /// The view.
        view: &'static str,
        /// Of what there is too much.
        what: &'static str,
        /// The most.
        limit: usize,
    },
    /// What an answer is to go on behind isn't there, or not any more.
    #[error("view {view}: there is no {what} to go on behind")]
    Cursor {
        /// The view.
        view: &'static str,
        /// What was named.
        what: String,
    },
    /// There is no view of this name here.
    #[error("there is no view {0:?} here")]
    Unknown(String),
    /// Two views have one name.
    #[error("there are two views of the name {0}")]
    Twice(&'static str),
    /// The thread that ran the views has ended, for the reason that stopping it gives.
    #[error("the views have stopped")]
    Stopped,
}
