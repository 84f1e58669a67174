//! A message queue: topics, consumer groups, and what each group has done.
//!
//! # What is on the chain
//!
//! Messages ([`Enqueue`]), who consumes what ([`Subscribe`]), acknowledgements ([`Acknowledge`]), refusals ([`Refuse`]), and limits of topics
//! ([`Limit`]) are transactions. What they come to is the same at every hub and can be proved: the offset of a message in its topic, which messages a group has done
//! and by whose word, its dead letters, whether a topic is full. Time is that of blocks there: a message is expired in a block whose
//! timestamp has reached its expiry.
//!
//! # What is only this hub's
//!
//! Who has a message in hand at this moment ([`Leases`]), and until when. It is in memory: if the hub goes down, messages in hand are given out again. Their
//! visibility timeout, delays and expiry go by the hub's clock there.
//!
//! # Guarantees
//!
//! | guarantee | how a consumer gets the message | what is certain |
//! |---|---|---|
//! | `at_least_once` | leased; acknowledged when it is done | it comes again until it is acknowledged or dead |
//! | `ordered` | the same, once all `ordered` messages before it in its topic are finished | and in the order of the topic |
//! | `at_most_once` | claimed: acknowledged first, then read from the log of acknowledgements | one acknowledgement counts, and who reads it once has it once |
//! | `exactly_once` | the same; the consumer keeps the number that it has reached in that log together with what it made of it | each message once, whatever is killed |
//!
//! The log of acknowledgements ([`Queue::acknowledged`]) has each message of a group once, in the order of the chain. Nothing can be both seen and uncounted
//! there: a consumer that was killed goes on from its own number.

mod acknowledge;
mod enqueue;
mod kinds;
mod leases;
mod names;
mod payload;
mod proof;
mod reader;
mod rows;
mod subscribe;
mod view;

pub use self::kinds::{Guarantee, Overflow, Priority};
pub use self::leases::{Delivery, LEASES_MAX, Leases};
pub use self::names::{Pattern, TOPIC_BYTES_MAX, is_topic};
pub use self::payload::{
    ACKNOWLEDGED_MAX, Acknowledge, BODY_BYTES_MAX, CONSUMER_BYTES_MAX, CONSUMERS_MAX, Enqueue,
    GROUP_BYTES_MAX, LIMIT_GROUPS_MAX, Limit, MessageName, PATTERNS_MAX, QueuePayload,
    REASON_BYTES_MAX, Refuse, Subscribe,
};
pub use self::proof::{Carried, Delivered, DeliveryProof, ProofProblem};
pub use self::reader::{Acknowledged, DeadLetter, Queue};
pub use self::rows::{Done, Group, Limits, Message, Topic};
pub use self::view::QueueView;
