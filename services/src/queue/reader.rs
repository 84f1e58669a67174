//! What can be asked of the queue.

use bytes::Bytes;
use hubledger::codec::Reader;
use hubledger::digest::TransactionId;
use hubledger_storage::{KeyRange, RangeLimit};

use super::Priority;
use super::rows::{TABLE_MESSAGES, TABLE_TOPICS, Topic, message_key};
use super::view::damaged;
use crate::view::{AsOf, Result, Snapshot};

/// A message in its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// So many messages came before it in its topic.
    pub offset: u64,
    /// Height of its block.
    pub height: u64,
    /// Its index in the block.
    pub index: u32,
    /// The transaction that carries it.
    pub id: TransactionId,
    /// How urgent it is.
    pub priority: Priority,
    /// What it says.
    pub body: Bytes,
}

/// The queue as of one block.
#[derive(Debug, Clone)]
pub struct Queue {
    snapshot: Snapshot,
}

impl Queue {
    /// Over a snapshot of the [view](super::QueueView).
    #[must_use]
    pub const fn new(snapshot: Snapshot) -> Self {
        Self { snapshot }
    }

    /// After which block the answers are right.
    #[must_use]
    pub const fn as_of(&self) -> Option<AsOf> {
        self.snapshot.as_of()
    }

    /// What is known of a topic. O(log rows).
    ///
    /// # Errors
    /// The store failed.
    pub fn topic(&self, name: &str) -> Result<Option<Topic>> {
        let row = self.snapshot.get(TABLE_TOPICS, name.as_bytes())?;
        let topic = row.map(|row| Topic::decode(&row)).transpose();
        topic.map_err(|error| damaged(TABLE_TOPICS, error))
    }

    /// All topics, by name. O(topics).
    ///
    /// # Errors
    /// The store failed.
    pub fn topics(&self) -> Result<Vec<(String, Topic)>> {
        let limit = RangeLimit {
            rows: usize::MAX,
            bytes: usize::MAX,
        };
        let rows = self
            .snapshot
            .range(TABLE_TOPICS, &KeyRange::default(), limit)?;
        let read = rows.into_iter().map(|(name, row)| {
            let topic = Topic::decode(&row).map_err(|error| damaged(TABLE_TOPICS, error))?;
            Ok((String::from_utf8_lossy(&name).into_owned(), topic))
        });
        read.collect()
    }

    /// Messages of a topic from an offset on, within a limit; none of a topic that there is none of. O(log rows + messages).
    ///
    /// # Errors
    /// The store failed.
    pub fn messages(&self, topic: &str, from: u64, limit: RangeLimit) -> Result<Vec<Message>> {
        let Some(topic) = self.topic(topic)? else {
            return Ok(Vec::new());
        };
        let range = KeyRange {
            from: Bytes::copy_from_slice(&message_key(topic.number, from)),
            below: Some(Bytes::copy_from_slice(&message_key(topic.number, u64::MAX))),
            is_descending: false,
        };
        let rows = self.snapshot.range(TABLE_MESSAGES, &range, limit)?;
        let read = rows.into_iter().map(|(key, row)| decode(&key, &row));
        read.collect()
    }
}

fn decode(key: &[u8], row: &Bytes) -> Result<Message> {
    let read = || {
        let mut reader = Reader::new(row);
        let height = reader.u64("height")?;
        let index = reader.u32("index")?;
        let id = TransactionId(reader.array("id")?);
        let rank = reader.u8("priority")?;
        Ok((height, index, id, rank, reader.position()))
    };
    let (height, index, id, rank, body_at) =
        read().map_err(|error: hubledger::codec::DecodeError| damaged(TABLE_MESSAGES, error))?;
    let offset = key.last_chunk().copied().map(u64::from_be_bytes);
    Ok(Message {
        offset: offset.ok_or_else(|| damaged(TABLE_MESSAGES, "a short key"))?,
        height,
        index,
        id,
        priority: Priority::from_rank(rank)
            .ok_or_else(|| damaged(TABLE_MESSAGES, "no priority"))?,
        body: row.slice(body_at..),
    })
}
