//! What can be asked of the queue.

use bytes::Bytes;
use hubledger_storage::{KeyRange, RangeLimit};

use super::kinds::Overflow;
use super::names::Pattern;
use super::rows::{
    Done, Group, Message, Place, TABLE_DEAD, TABLE_DONE, TABLE_FLOORS, TABLE_GROUPS, TABLE_LANES,
    TABLE_LOG, TABLE_MESSAGES, TABLE_NAMES, TABLE_TOPICS, Topic, decode_place, floor_key, key,
    lane_key, last_of, number,
};
use super::view::{damaged, missing, read};
use crate::view::{AsOf, Result, Snapshot};

/// The queue as of one block.
#[derive(Debug, Clone)]
pub struct Queue {
    snapshot: Snapshot,
}

/// A message that a group has acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// So many messages were acknowledged for the group before.
    pub number: u64,
    /// Its topic.
    pub topic: String,
    /// The message; `None` if the topic has dropped it.
    pub message: Option<Message>,
    /// The acknowledgement.
    pub done: Done,
}

/// A message that a group has given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// So many were given up before.
    pub number: u64,
    /// Its topic.
    pub topic: String,
    /// Its offset there.
    pub offset: u64,
    /// The message; `None` if the topic has dropped it.
    pub message: Option<Message>,
    /// What was said with the last refusal.
    pub reason: String,
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
    /// Of this and all others: the store failed, or a row is damaged.
    pub fn topic(&self, name: &str) -> Result<Option<Topic>> {
        let row = self.snapshot.get(TABLE_TOPICS, name.as_bytes())?;
        read(TABLE_TOPICS, row, |row| Topic::decode(row))
    }

    /// The topics that a pattern has, by name, behind `after` if that is given, at most so many. O(log rows + topics with the same beginning).
    ///
    /// # Errors
    /// As [`Queue::topic`].
    pub fn topics(
        &self,
        pattern: &Pattern,
        after: Option<&str>,
        most: usize,
    ) -> Result<Vec<(String, Topic)>> {
        if let Some(name) = pattern.exact() {
            let is_behind = after.is_none_or(|after| name > after);
            let topic = self.topic(name)?.filter(|_| is_behind && most > 0);
            return Ok(topic
                .map(|topic| (name.to_owned(), topic))
                .into_iter()
                .collect());
        }
        let prefix = pattern.prefix();
        let mut from = prefix.as_bytes().to_vec();
        if let Some(after) = after.filter(|after| after.as_bytes() >= &*from) {
            from = after.as_bytes().to_vec();
            from.push(0);
        }
        let mut found = Vec::new();
        loop {
            let range = KeyRange {
                from: from.clone().into(),
                ..KeyRange::default()
            };
            let rows = self.snapshot.range(TABLE_TOPICS, &range, PAGE)?;
            let Some((last, _)) = rows.last() else {
                return Ok(found);
            };
            from = last.to_vec();
            from.push(0);
            for (name, row) in rows {
                let name = String::from_utf8_lossy(&name);
                if found.len() >= most || !name.starts_with(prefix) {
                    return Ok(found);
                }
                if pattern.has(&name) {
                    let topic = Topic::decode(&row).map_err(damaged(TABLE_TOPICS))?;
                    found.push((name.into_owned(), topic));
                }
            }
        }
    }

    /// A message of a topic. O(log rows).
    ///
    /// # Errors
    /// As [`Queue::topic`].
    pub fn message(&self, topic: &Topic, offset: u64) -> Result<Option<Message>> {
        let row = self
            .snapshot
            .get(TABLE_MESSAGES, &key([topic.number], offset))?;
        read(TABLE_MESSAGES, row, |row| Message::decode(offset, row))
    }

    /// Messages of a topic from an offset on, within a limit. O(log rows + messages).
    ///
    /// # Errors
    /// As [`Queue::topic`].
    pub fn messages(&self, topic: &Topic, from: u64, limit: RangeLimit) -> Result<Vec<Message>> {
        let range = within([topic.number], from, topic.end);
        let rows = self.snapshot.range(TABLE_MESSAGES, &range, limit)?;
        let read = rows.into_iter().map(|(key, row)| {
            let offset = last_of(&key).map_err(damaged(TABLE_MESSAGES))?;
            Message::decode(offset, &row).map_err(damaged(TABLE_MESSAGES))
        });
        read.collect()
    }

    /// The offset of the first message in a block of this time or later; the topic's end if there is none. O(log messages · log rows).
    ///
    /// # Errors
    /// As [`Queue::topic`].
    pub fn offset_at(&self, topic: &Topic, timestamp: u64) -> Result<u64> {
        let (mut low, mut high) = (topic.first, topic.end);
        if timestamp == 0 {
            return Ok(low);
        }
        while low < high {
            let middle = low + (high - low) / 2;
            let message = self.message(topic, middle)?;
            let message = message.ok_or_else(|| missing(TABLE_MESSAGES))?;
            match message.timestamp < timestamp {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        Ok(low)
    }

    /// How many messages a topic has room for now; `None` if for any number. For whoever would rather wait than have a message recorded
    /// that isn't counted. O(groups · log rows).
    ///
    /// # Errors
    /// As [`Queue::topic`].
    pub fn room(&self, topic: &Topic) -> Result<Option<u64>> {
        let Some(limits) = &topic.limits else {
            return Ok(None);
        };
        if limits.messages_max == 0 || limits.overflow != Overflow::Refuse {
            return Ok(None);
        }
        let mut lowest = topic.end;
        for (group, _) in &limits.groups {
            lowest = lowest.min(self.noted_floor(*group, topic)?);
        }
        Ok(Some(limits.messages_max.saturating_sub(topic.end - lowest)))
    }

    /// What is known of a group. O(log rows).
    ///
    /// # Errors
    /// As [`Queue::topic`].
    pub fn group(&self, name: &str) -> Result<Option<Group>> {
        let row = self.snapshot.get(TABLE_GROUPS, name.as_bytes())?;
        read(TABLE_GROUPS, row, |row| Group::decode(row))
    }

    /// Groups by name, behind `after` if that is given, at most so many. O(log rows + groups).
    ///
    /// # Errors
    /// As [`Queue::topic`].
    pub fn groups(&self, after: Option<&str>, most: usize) -> Result<Vec<(String, Group)>> {
        let from = after.map_or_else(Vec::new, |after| [after.as_bytes(), &[0]].concat());
        let range = KeyRange {
            from: from.into(),
            ..KeyRange::default()
        };
        let limit = RangeLimit {
            rows: most,
            bytes: usize::MAX,
        };
        let rows = self.snapshot.range(TABLE_GROUPS, &range, limit)?;
        let read = rows.into_iter().take(most).map(|(name, row)| {
            let group = Group::decode(&row).map_err(damaged(TABLE_GROUPS))?;
            Ok((String::from_utf8_lossy(&name).into_owned(), group))
        });
        read.collect()
    }

    /// The offset below which a group has nothing to do in a topic. O(log messages · log rows).
    ///
    /// # Errors
    /// As [`Queue::topic`].
    pub fn floor(&self, group: &Group, topic: &Topic) -> Result<u64> {
        let noted = self.noted_floor(group.number, topic)?;
        // Once something is finished, the floor is noted, and above what was before the group.
        match noted > topic.first {
            true => Ok(noted),
            false => self.offset_at(topic, group.since),
        }
    }

    fn noted_floor(&self, group: u32, topic: &Topic) -> Result<u64> {
        let row = self
            .snapshot
            .get(TABLE_FLOORS, &floor_key(group, topic.number))?;
        let floor = read(TABLE_FLOORS, row, |row| number(row))?;
        Ok(floor.unwrap_or(0).max(topic.first))
    }

    /// How a message was finished for a group; `None` if it isn't. O(log rows).
    ///
    /// # Errors
    /// As [`Queue::topic`].
    pub fn done(&self, group: &Group, topic: &Topic, offset: u64) -> Result<Option<Done>> {
        let key = key([group.number, topic.number], offset);
        let row = self.snapshot.get(TABLE_DONE, &key)?;
        read(TABLE_DONE, row, |row| Done::decode(row))
    }

    /// The offsets of messages between two that are finished for a group, ascending.
    pub(super) fn done_between(
        &self,
        group: &Group,
        topic: &Topic,
        from: u64,
        below: u64,
    ) -> Result<Vec<u64>> {
        let range = within([group.number, topic.number], from, below);
        let rows = self.snapshot.range(TABLE_DONE, &range, ALL)?;
        let offsets = rows.iter().map(|(key, _)| last_of(key));
        offsets
            .collect::<std::result::Result<_, _>>()
            .map_err(damaged(TABLE_DONE))
    }

    /// The offsets of messages in a lane, from one on.
    pub(super) fn of_lane(
        &self,
        topic: &Topic,
        lane: u8,
        from: u64,
        rows: usize,
    ) -> Result<Vec<u64>> {
        let range = KeyRange {
            from: lane_key(topic.number, lane, from).into(),
            below: Some(lane_key(topic.number, lane, topic.end).into()),
            is_descending: false,
        };
        let limit = RangeLimit {
            rows,
            bytes: usize::MAX,
        };
        let rows = self.snapshot.range(TABLE_LANES, &range, limit)?;
        let offsets = rows.iter().map(|(key, _)| last_of(key));
        offsets
            .collect::<std::result::Result<_, _>>()
            .map_err(damaged(TABLE_LANES))
    }

    /// The log of acknowledgements of a group, from a number on: each message once, in the order in which they were acknowledged. O(log rows) each.
    ///
    /// # Errors
    /// As [`Queue::topic`].
    pub fn acknowledged(&self, group: &Group, from: u64, most: usize) -> Result<Vec<Acknowledged>> {
        let places = self.places(TABLE_LOG, group, from, group.acknowledged, most)?;
        let read = places.into_iter().map(|(number, (topic, offset, _))| {
            let (topic, held) = self.named(topic)?;
            Ok(Acknowledged {
                number,
                topic,
                message: self.message(&held, offset)?,
                done: self
                    .done(group, &held, offset)?
                    .ok_or_else(|| missing(TABLE_DONE))?,
            })
        });
        read.collect()
    }

    /// The dead letters of a group, from a number on. O(log rows) each.
    ///
    /// # Errors
    /// As [`Queue::topic`].
    pub fn dead_letters(&self, group: &Group, from: u64, most: usize) -> Result<Vec<DeadLetter>> {
        let places = self.places(TABLE_DEAD, group, from, group.dead, most)?;
        let read = places.into_iter().map(|(number, (topic, offset, reason))| {
            let (topic, held) = self.named(topic)?;
            Ok(DeadLetter {
                number,
                topic,
                offset,
                message: self.message(&held, offset)?,
                reason,
            })
        });
        read.collect()
    }

    fn places(
        &self,
        table: u8,
        group: &Group,
        from: u64,
        below: u64,
        most: usize,
    ) -> Result<Vec<(u64, Place)>> {
        let range = within([group.number], from, below);
        let limit = RangeLimit {
            rows: most,
            bytes: usize::MAX,
        };
        let rows = self.snapshot.range(table, &range, limit)?;
        let read = rows.into_iter().take(most).map(|(key, row)| {
            let number = last_of(&key).map_err(damaged(table))?;
            Ok((number, decode_place(&row).map_err(damaged(table))?))
        });
        read.collect()
    }

    fn named(&self, number: u32) -> Result<(String, Topic)> {
        let name = self.snapshot.get(TABLE_NAMES, &number.to_be_bytes())?;
        let name = name.ok_or_else(|| missing(TABLE_NAMES))?;
        let name = String::from_utf8_lossy(&name).into_owned();
        let topic = self.topic(&name)?.ok_or_else(|| missing(TABLE_TOPICS))?;
        Ok((name, topic))
    }
}

/// Rows that are read at a time where nobody says how many.
const PAGE: RangeLimit = RangeLimit {
    rows: 256,
    bytes: 1 << 20,
};

const ALL: RangeLimit = RangeLimit {
    rows: usize::MAX,
    bytes: usize::MAX,
};

fn within<const N: usize>(numbers: [u32; N], from: u64, below: u64) -> KeyRange {
    KeyRange {
        from: Bytes::from(key(numbers, from)),
        below: Some(key(numbers, below.max(from)).into()),
        is_descending: false,
    }
}
