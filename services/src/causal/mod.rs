//! What happened before, after and concurrently with a transaction, as far as vector clocks tell (Fidge 1988, Mattern 1989).
//!
//! There are two orders, and each answer is by one of them. Both are strict partial orders: nothing is before itself, and what is before something
//! that is before a third is before the third.
//!
//! # By messages
//!
//! An *event* is a transaction whose payload carries a vector clock: a `causal_event`, or the field `vector_clock` of any payload in JSON. It is
//! the sender's: the sender's own entry is the *counter* of the event. A clock counts if
//!
//! - the counter is above that of the sender's event before (or `repeated`, which is also said where the sender has no entry), and
//! - it knows all that it says it knows: for each other node in it, the last event of that node that is in the chain before, and has a counter no
//!   larger than the entry, knew nothing that this one doesn't; and no more does the sender's event before (or `inconsistent`).
//!
//! Counters of a node need not be consecutive: not everything that happens comes to the chain. An entry above all that is in the chain says
//! nothing about what comes later: an event *knows* of a node its last event in the chain before that has a counter no larger than the entry, so
//! nobody can claim to have known what was still to come. An event is before another one if the other one knows it or a later one of its node. It
//! follows that it is also before it in the chain, and that its clock is smaller wherever both know something. Two of which neither is before the
//! other are concurrent.
//!
//! # By blocks
//!
//! The clock of a transaction is that of its block. Blocks come one after the other, so this is the order of the chain, but for transactions of one
//! block, and of imported blocks with equal clocks: those are concurrent.
//!
//! All of that is on the chain, and nothing is this hub's alone.

mod payload;
mod reader;
mod rows;
mod sides;
mod view;

pub use self::payload::{CausalEvent, CausalPayload, EVENT_BYTES_MAX, MESSAGE_CLOCK_ENTRIES_MAX};
pub use self::reader::{BlockRange, Causal, Event, Events, Relation};
pub use self::rows::{Refusal, Standing};
pub use self::view::CausalView;
