//! Cache synchronisation: what hubs put into a common cache and invalidate, ordered by the chain.
//!
//! A namespace has keys, and each key has a value or was invalidated. Hubs write by transactions; whoever has the same chain has the same cache.
//!
//! # Which write stands
//!
//! A write may carry a vector clock, which counts the writes of each hub to the namespace that its author knew of. It has to count its own
//! author further than any write before, and nobody else further than the chain has seen: a clock can't speak for others. Then
//!
//! - a write that comes after the one that stands, by their clocks, takes its place;
//! - of two that could not have known of each other, an invalidation stands against a value, since a cache that misses is right and one that
//!   is stale is wrong; of two of a kind, the later one in the chain stands. The one that stands gets both clocks, so that a write which knew of one
//!   alone conflicts as well, until somebody has seen both;
//! - a write without a clock comes after everything that the chain has before it.
//!
//! # What is where
//!
//! All of it is on the chain; a hub has nothing here of its own. A value that stands is proved by its transaction. That nothing newer stands, and that nothing
//! stands at all, is proved against the root of a tree over all keys ([`CacheTree`]), which hubs write into the chain (`cache_checkpoint`): whoever has
//! a head hash alone believes as many of them as it wants, and whoever has the chain works the root out.

mod payload;
mod proof;
mod reader;
mod rows;
mod view;

pub use self::payload::{
    CACHE_KEY_BYTES_MAX, CACHE_VALUE_BYTES_MAX, CLOCK_NODES_MAX, CacheCheckpoint, CacheInvalidate,
    CachePayload, CachePut, NAMESPACE_BYTES_MAX,
};
pub use self::proof::{CacheProof, CacheTree, Standing};
pub use self::reader::{Cache, Checkpoint, Missed};
pub use self::rows::{CacheEntry, Namespace};
pub use self::view::CacheView;
