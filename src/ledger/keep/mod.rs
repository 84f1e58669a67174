//! What is kept of a chain: the policy as data and a pure function to floors, pruning by it once or as the chain grows, the leaf
//! hashes of what was pruned, the smallest size that a store can be pruned to, and the followers that pruning waits for.

mod budget;
mod followers;
pub(crate) mod leaves;
pub mod policy;
mod prune;
mod retention;

pub use self::followers::{
    FOLLOWER_NAME_BYTES_MAX, FOLLOWERS_MAX, FollowerRefused, Followers, HeldBack, Position,
};
pub use self::prune::{PruneReport, Pruned};
pub(crate) use self::retention::Retention;
