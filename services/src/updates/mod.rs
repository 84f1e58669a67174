//! State updates since a block: what a peer that names a block lacks, and the transactions of a block that it lacks.
//!
//! A peer names the last blocks that it has, in the chain or not ([`Updates::base`]): from the last one that both have in common, it gets what it
//! asked for, in the order of the chain, bounded, and with the place where to go on ([`Updates::since`]). Each update is proved like any transaction.
//! What a node says of itself (`state_update`) has a version, and the highest one stands ([`Updates::state`]).
//!
//! A peer that has a block's header and some of its transactions asks for the others by id ([`parts_of`]), each of which
//! comes with its path to the header's root.
//!
//! All of it is on the chain.

mod parts;
mod payload;
mod reader;
mod rows;
mod since;
mod view;

pub use self::parts::{Part, Parts, WANTED_MAX, parts_of};
pub use self::payload::{STATE_BYTES_MAX, StateUpdate, UPDATE_TYPE_BYTES_MAX, UpdatePayload};
pub use self::reader::Updates;
pub use self::rows::{Stated, Stream};
pub use self::since::{Answer, Interests, TOPICS_MAX, Update};
pub use self::view::UpdatesView;
