//! What is kept of a chain: the policy as data and a pure function to floors, pruning by it once or as the chain grows, the leaf
//! hashes of what was pruned, and the smallest size that a store can be pruned to.

mod budget;
pub(crate) mod leaves;
pub mod policy;
mod prune;
mod retention;

pub use self::prune::{PruneProgress, PruneReport, PruneStep, Pruned};
pub(crate) use self::retention::Retention;
