//! Messages by topic, in the order of the chain.

mod payload;
mod reader;
mod rows;
mod view;

pub use self::payload::{BODY_BYTES_MAX, Enqueue, Priority, QueuePayload, TOPIC_BYTES_MAX};
pub use self::reader::{Message, Queue};
pub use self::rows::Topic;
pub use self::view::QueueView;
