//! The tree over a state: what a root in every block costs, what cold accounts cost, updates beside peers, proofs.
//!
//! The peers are trees over keys that others keep on a disk ([`peers`]). Each gets the same rows, the same batches, and makes each batch as
//! durable as the other side.

mod chains;
mod measure;
mod peers;
mod rows;
mod tree;
mod updates;

pub(crate) use self::measure::{ACCOUNTS, Bench, Extent, Test};
pub(crate) use self::peers::Peer;
