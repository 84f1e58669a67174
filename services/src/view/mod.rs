//! The room in which services stand: views, which follow from committed blocks alone.
//!
//! A [`View`] says what a block changes in rows of its own, as a pure function of the block and the rows before it. [`Views`] runs any number of
//! them over one chain: blocks are read and decoded once for all. The rows of each are a table set of a store beside the chain's, and
//! are committed together with the block that they go up to; so a crash leaves rows and height of one moment, and what comes next is
//! always known. Nothing in the engine knows of it: a hub without views pays nothing.
//!
//! ```text
//!   engine ─▸ Follower ─┐                                  ┌─▸ rows of "queue"  ─▸ Snapshot: answers as of a height
//!                       ├─▸ Views ─▸ CommittedBlock ─▸ View┤
//!   ChainReader ────────┘      (decoded once)              └─▸ rows of "…"      ─▸ Snapshot
//! ```
//!
//! # Blocks that go
//!
//! Where blocks can be replaced, the store keeps what takes a commit back (`TableWriter::undo`), as deep as the chain isn't final. A view
//! therefore writes down nothing in order to be taken back. While it was down, the chain may have changed too: the hash of the block that
//! rows go up to is compared with the chain's, whenever views are opened and whenever a block doesn't follow.
//!
//! # What can't be seen
//!
//! A view that begins above genesis, because bodies below were pruned, says so in every answer ([`AsOf::seen_from`]). One that was left behind
//! by pruning doesn't go on as if nothing had happened: that is [`ViewError::Gap`], and [`Views::rebuild`] begins it anew at the floor. While
//! views [follow](Views::follow) an engine, pruning waits for them.

mod block;
mod error;
mod follow;
mod kept;
mod place;
mod rows;
mod runner;
mod snapshot;
mod table;

pub use self::block::{CommittedBlock, Entry};
pub use self::error::ViewError;
pub use self::follow::Following;
pub use self::place::beside;
pub use self::rows::Rows;
pub use self::runner::{Settings, Views};
pub use self::snapshot::{AsOf, Snapshot, ViewReader};

/// The result of what views do.
pub type Result<T> = std::result::Result<T, ViewError>;

/// What follows from committed blocks, in rows of its own.
pub trait View: Send {
    /// What it is called: part of the name of its table set, so 1 to 32 of `a`–`z`, `0`–`9`, `-`, `_` and `.`, and never another view's.
    fn name(&self) -> &'static str;

    /// Which rows it makes of a block. Another version than the one that rows were made by has them made anew.
    fn version(&self) -> u32;

    /// Says what a block changes. `rows` are the view's own, after the block before.
    ///
    /// To be correct, what it does follows from `block` and `rows` alone; whatever transactions say, it is no error, and what one of them
    /// makes the view keep is bounded. Tables are numbered from 0 to 254; the last belongs to the room.
    ///
    /// # Errors
    /// The store failed.
    fn apply(&self, block: &CommittedBlock<'_>, rows: &mut Rows) -> Result<()>;
}
