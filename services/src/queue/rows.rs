//! The rows of the queue.

use hubledger::codec::{self, DecodeError, Reader};

/// Topics by name.
pub(super) const TABLE_TOPICS: u8 = 0;
/// Messages by the number of their topic and their offset.
pub(super) const TABLE_MESSAGES: u8 = 1;
/// One row, that of the empty key: how many topics there are.
pub(super) const TABLE_COUNT: u8 = 2;

/// What is known of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topic {
    /// So many topics were begun before it.
    pub number: u32,
    /// The offset that its next message gets.
    pub end: u64,
}

impl Topic {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(12);
        codec::put_u32(&mut row, self.number);
        codec::put_u64(&mut row, self.end);
        row
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(row);
        let topic = Self {
            number: reader.u32("number")?,
            end: reader.u64("end")?,
        };
        reader.finish("topic")?;
        Ok(topic)
    }
}

/// The key of a message, so that messages of a topic lie in the order of their offsets.
pub(super) fn message_key(topic: u32, offset: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&topic.to_be_bytes());
    key[4..].copy_from_slice(&offset.to_be_bytes());
    key
}
