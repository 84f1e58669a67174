//! Who is in the federation: nodes with their profiles, stakes and keys, who was active at any height, and who is alive.
//!
//! # What counts
//!
//! The chain's own payloads say who registers, exchanges keys, loses them, and leaves ([`hubledger::payload`]); [`RegistryPayload`] adds what they lack.
//! Where the chain keeps registrations (version 2, names that belong to somebody), the registry counts exactly what the chain does, so that
//! a registration can also be [proved](proof) from the state. In every other chain, JSON as MPREG's hubs write it counts too, with or without keys,
//! and the registry is worth as much as the chain's names are: whoever the chain lets speak for a name speaks for the node.
//!
//! | | where the chain keeps registrations | elsewhere |
//! |---|---|---|
//! | stake | what the chain holds: nothing without balances, a later join adds to it | what was said last |
//! | registering again | only in order to join, which the chain sees to | replaces profile, keys and stake |
//! | registering after leaving | never, which the chain sees to | begins anew |
//!
//! # Who is alive
//!
//! A node shows that it is alive by a heartbeat, and by registering, updating or exchanging keys. It is alive at a time `now` while the timestamp of
//! the block with its last sign is not more than its `registration_ttl` before `now`. `now` is the caller's. A block's timestamp is its producer's word, within the
//! bounds that the chain sets to it. Of heartbeats the last one is kept and no others: who was alive in the past isn't known, who was active is.
//!
//! # What is kept
//!
//! One row for each event of a node, so that its history is as long as its own transactions make it; its present state; and a row for each thing that it
//! can be found by while it is active. All of it follows from the chain, and nothing is this hub's alone.

mod event;
pub mod file;
mod heard;
mod node;
mod payload;
pub mod proof;
mod reader;
mod rows;
mod view;

pub use self::event::{Event, Place, Said};
pub use self::heard::keeps_registrations;
pub use self::node::{Life, Node};
pub use self::payload::{
    Announce, Heartbeat, LOAD_PERCENT_MAX, RegistryPayload, TTL_SECONDS, TTL_SECONDS_MAX,
    UpdateProfile,
};
pub use self::reader::{AtHeight, Criteria, Facet, Registry};
pub use self::view::RegistryView;
pub use hubledger::state::tables::{Standing, Tenure};
