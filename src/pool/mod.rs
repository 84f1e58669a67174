//! Transactions that are in no block yet: whether one could be in the next, which wait, which a block takes, and whose signatures
//! were checked. Values and pure functions: time and accounts come in as arguments, and the engine brings threads and files.
//!
//! # What holds
//!
//! - **Bounded.** No more wait than [`Bounds`] allow, by number and by bytes. What is refused leaves nothing behind.
//! - **A block takes by fee**, the highest first, each sender's in the order of their nonces; among equal fees by weight, where the
//!   [`Terms`] weigh senders, then whichever came first.
//! - **What something is worth** is the lowest fee among its sender's from the first up to it, for a block takes it no earlier than those.
//!   So of each sender's, the last is worth least, and whoever hides cheap ones before a dear one gains nothing.
//! - **Room is made from the end.** Only a sender's last one leaves for another, so that nothing that stays loses one that belongs before
//!   it; what can be in no block (behind a gap, or without cover) leaves first; and what enters pushes out nothing that is worth
//!   more, nor more than some dozens.
//! - **Shares.** A sender has at most a fixed part of the room. A [`Source`] has at most a part of what it has and what is free: so
//!   however much one of them sends, and at whatever fee, there is room left for the next. The same rule shares out a block, as long
//!   as others have something to put into it. (It is the dynamic threshold of Choudhury and Hahne, "Dynamic Queue
//!   Length Thresholds for Shared-Memory Packet Switches", 1998.)
//! - **Cover.** Where balances are kept, what enters has to be covered by the sender's balance together with everything else of that sender that
//!   waits. What loses its cover by a block is not taken until it has it again.
//! - **Logarithmic.** Entering, leaving and telling an account cost O(log n) each for every transaction that comes or goes.
//!
//! # When blocks are taken back
//!
//! [`Pool::tell_account`] says what an account is now, later or earlier than before, and [`Pool::enter`] takes the transactions of the lost
//! blocks like any others.

mod admission;
mod bounds;
mod enter;
pub(crate) mod journal;
mod make_room;
mod order;
mod queue;
mod select;
mod sender;
mod source;
mod tell;
mod verified;
mod view;
mod waiting;

pub use self::bounds::{Bounds, Terms};
pub use self::enter::{Bound, Entered};
pub use self::select::Room;
pub(crate) use self::verified::Verified;
pub use self::view::{SourceCount, WaitingTransaction, WaitsFor};
pub use self::waiting::{Left, Pool};
pub use crate::format::Source;
