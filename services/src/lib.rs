//! What a hub does with a chain beside validating it, as *views*: what follows from committed blocks alone, kept beside the chain, and
//! worked out as blocks commit.
//!
//! Each service is a module with its payloads (what its transactions say), its [`View`](view::View) (what they come to) and a reader, which
//! answers as of a height. [`view`] is the room they stand in: it runs them over an engine or over a store that nobody writes to, keeps what they
//! know in a store of its own, and takes back what is no longer in the chain. [`payload`] is how services write down what transactions say.
//!
//! | module | what it answers |
//! |---|---|
//! | [`audit`] | who did what, and what this hub saw beside the chain |
//! | [`cache`] | what stands at each key of a common cache |
//! | [`causal`] | what happened before, after and concurrently with a transaction, by vector clocks |
//! | [`queue`] | messages by topic |
//! | [`records`] | what hubs measured, by hub and time |
//! | [`updates`] | what a peer lacks since a block that it names |
//! | [`registry`] | who is in the federation, with what, who was, and who is alive |
//! | [`route`] | which way messages took, with proof; the cheapest and the fastest route |
//!
//! With the feature `testing`, the module `testing` has random histories of chains, through which every view is run beside a naive one.

pub mod audit;
pub mod cache;
pub mod causal;
pub mod payload;
pub mod queue;
pub mod recorded;
pub mod records;
pub mod registry;
pub mod route;
#[cfg(feature = "testing")]
pub mod testing;
pub mod updates;
pub mod view;
