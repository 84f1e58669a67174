//! The engine: one object that a hub embeds and that validates, commits, finds and proves, on threads of its own.
//!
//! ```
//! use hubledger::engine::{Engine, Outcome};
//! use hubledger::generate::{Generator, Recipe};
//! use hubledger_storage::StoreUrl;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut generator = Generator::new(Recipe { transactions: 200, per_block: 50, ..Recipe::default() })?;
//! let store = "memory:".parse::<StoreUrl>()?.create()?;
//! let engine = Engine::builder().threads(2).create(store, generator.spec())?;
//! let blocks = std::iter::from_fn(|| generator.next_block().ok()?).map(|block| block.encode().into());
//! for outcome in engine.import(blocks) {
//!     assert!(matches!(outcome?, Outcome::Committed(_)));
//! }
//! assert_eq!(engine.head()?.height, 4);
//! engine.shutdown()?;
//! # Ok(())
//! # }
//! ```
//!
//! # The path of a block
//!
//! ```text
//! import ─▸ parcel ─▸ worker: decode ▸ hash ─┬─▸ chain: rules, in order ─┬─▸ commit thread ─▸ answers
//!           (room)                           └─▸ worker: signatures ─────┘    (groups)
//! ```
//!
//! A parcel is a few blocks of one caller. A worker takes it through everything that follows from its bytes and checks its
//! signatures in one batch, while they are in its cache; the rules run over it as soon as it is decoded and its turn has
//! come, by whichever worker brings the news. So there is no thread for a stage that could be the slow one, and two cores
//! work on two parcels. Committing has a thread of its own, because it waits for the disk.
//!
//! It is the one road for blocks: a restoring is an import from an archive, and a store is verified by an engine whose last
//! thread looks at the index where another commits, and writes nothing.
//!
//! # What holds
//!
//! - The verdicts are those of the [sequential validator](crate::rules), whatever the threads, batch sizes and timing:
//!   what follows from bytes is computed apart, everything about the state in one order, and a verdict is given when the rules
//!   and the signatures of a block and of all blocks before it are known.
//! - Only [`ValidBlock`](crate::rules::ValidBlock)s reach the commit thread, and a block is acknowledged when its commit is.
//! - Nothing is unbounded: memory is granted before a parcel is taken in, and every channel has room for all parcels in
//!   flight, so that no stage waits for a later one, and nobody can be in a circle of those who wait.
//! - A stage that fails or panics stops the engine, and everybody who waits gets that as the error.
//! - What is on its way holds a permit from before it is sent until it is answered. Stopping closes the budgets, waits until
//!   nothing is out of them, and tells the threads only then: so no call that comes meanwhile is left without an answer.
//! - Nothing of a caller's, such as a waker, is run while something is locked, and its panic is nobody else's.
//!
//! # The modules
//!
//! | module | what it is |
//! |---|---|
//! | `handle`, `builder` | the object that a hub embeds, and opening it |
//! | `settings`, `error`, `metrics`, `histogram` | how it is set up, why it failed, where the time goes |
//! | `import`, `admission` | blocks and transactions coming in |
//! | `message` | what threads hand to each other |
//! | `parcel`, `chain`, `worker`, `advance`, `commit` | what goes through the stages, in which order, and by whom |
//! | `branches`, `replaced`, `give_back` | keeping to the best of several branches; the way back for those who have seen another; transactions of blocks that went |
//! | `feed`, `registry` | every block for those who follow, and how far those have got who are registered |
//! | `end` | what the last stage does with valid blocks |
//! | `verify`, `restore` | a store again, and a chain from an archive |
//! | `permits`, `ticket`, `turn`, `watermark`, `subscription` | the hand-written concurrency, each checked by itself |
//! | `pool` | the pool beside the chain: what enters it, what blocks tell it, and looking at it |
//! | `fate` | what became of a transaction, from the index, the pool and the last blocks that went |
//! | `pool_journal` | what waits, in a file |
//! | `producer`, `pace`, `bell` | making blocks by itself: the thread, when a block is due (pure), and what wakes it |
//! | `build`, `export`, `state_request` | building and checking blocks, and exporting snapshots, on copies of the state |
//! | `snapshot` | encoding states, beside everything else |
//! | `workers`, `resources` | the threads of the pool, and what several engines of one process can share |
//! | `shared`, `threads` | what all threads share, and how they end |
//! | `sync`, `channel` | what all of it is built on, exchanged where tests walk through interleavings |

mod admission;
mod advance;
mod ahead;
mod bell;
mod branches;
mod build;
mod builder;
mod chain;
mod channel;
mod commit;
mod end;
mod error;
mod export;
mod fate;
pub mod feed;
mod give_back;
mod handle;
mod histogram;
mod import;
mod message;
mod metrics;
mod pace;
mod parcel;
mod permits;
mod pool;
mod pool_journal;
mod producer;
mod recent;
mod registry;
mod replaced;
mod resources;
mod restore;
mod settings;
mod shared;
mod snapshot;
mod state_request;
mod subscription;
mod sync;
mod threads;
mod ticket;
mod turn;
mod verify;
#[cfg(test)]
mod walk;
mod watermark;
mod worker;
mod workers;

pub use self::build::Verdict;
pub use self::builder::EngineBuilder;
pub use self::error::EngineError;
pub use self::fate::Fate;
pub use self::feed::{Change, FeedError, Follower, Start};
pub use self::handle::Engine;
pub use self::histogram::Histogram;
pub use self::import::Import;
pub use self::message::Admission;
pub use self::metrics::{EngineMetrics, Stage, StageMetrics};
pub use self::parcel::{Committed, Outcome};
pub use self::pool::PoolView;
pub use self::producer::{Producer, ProducerReport, ProducerSettings, Production};
pub use self::resources::Resources;
pub use self::restore::{RestoreError, RestoreReport, restore_archive};
pub use self::settings::{Probe, Settings};
pub use self::subscription::{Event, Subscription};
pub use self::ticket::Ticket;
pub use self::verify::verify_store;

/// What a caller wants when there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// To wait for it.
    Wait,
    /// To be told [`EngineError::Busy`].
    Refuse,
}
