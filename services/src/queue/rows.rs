//! The rows of the queue.

use bytes::Bytes;
use hubledger::codec::{self, DecodeError, DecodeProblem, Reader};
use hubledger::digest::TransactionId;

use super::kinds::{Guarantee, Overflow, Priority};
use super::names::{Pattern, TOPIC_BYTES_MAX};
use super::payload::{CONSUMERS_MAX, LIMIT_GROUPS_MAX, PATTERNS_MAX};

/// Topics by name.
pub(super) const TABLE_TOPICS: u8 = 0;
/// Messages by the number of their topic and their offset.
pub(super) const TABLE_MESSAGES: u8 = 1;
/// How many there are: of topics under [`COUNT_TOPICS`], of groups under [`COUNT_GROUPS`].
pub(super) const TABLE_COUNTS: u8 = 2;
/// Messages that are found by more than their offset, by topic, lane and offset, without values: those of another priority than normal in the lane with the
/// priority's number, and ordered ones in [`LANE_ORDERED`].
pub(super) const TABLE_LANES: u8 = 3;
/// Groups by name.
pub(super) const TABLE_GROUPS: u8 = 4;
/// By group and topic: below which offset all messages are finished.
pub(super) const TABLE_FLOORS: u8 = 5;
/// Finished messages by group, topic and offset.
pub(super) const TABLE_DONE: u8 = 6;
/// Acknowledged messages by group and the number of the acknowledgement.
pub(super) const TABLE_LOG: u8 = 7;
/// Dead letters by group and number.
pub(super) const TABLE_DEAD: u8 = 8;
/// How often messages were refused, by group, topic and offset.
pub(super) const TABLE_REFUSALS: u8 = 9;
/// Names of topics by number.
pub(super) const TABLE_NAMES: u8 = 10;

pub(super) const LANE_ORDERED: u8 = 5;

pub(super) const COUNT_TOPICS: &[u8] = &[0];
pub(super) const COUNT_GROUPS: &[u8] = &[1];

/// Numbers of 32 bits, big-endian, then one of 64: so that rows lie in the order of their numbers.
pub(super) fn key<const N: usize>(numbers: [u32; N], last: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(4 * N + 8);
    for number in numbers {
        key.extend_from_slice(&number.to_be_bytes());
    }
    key.extend_from_slice(&last.to_be_bytes());
    key
}

/// The key of a message in [`TABLE_LANES`].
pub(super) fn lane_key(topic: u32, lane: u8, offset: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(13);
    key.extend_from_slice(&topic.to_be_bytes());
    key.push(lane);
    key.extend_from_slice(&offset.to_be_bytes());
    key
}

/// The key of a group's floor in a topic.
pub(super) fn floor_key(group: u32, topic: u32) -> [u8; 8] {
    let mut key = [0; 8];
    key[..4].copy_from_slice(&group.to_be_bytes());
    key[4..].copy_from_slice(&topic.to_be_bytes());
    key
}

/// The last number of a key.
pub(super) fn last_of(key: &[u8]) -> Result<u64, DecodeError> {
    let last = key.last_chunk().copied().map(u64::from_be_bytes);
    last.ok_or_else(|| Reader::new(key).error("key", DecodeProblem::Value("too short")))
}

/// A number that is a whole row.
pub(super) fn number(row: &[u8]) -> Result<u64, DecodeError> {
    let mut reader = Reader::new(row);
    let number = reader.u64("number")?;
    reader.finish("number")?;
    Ok(number)
}

/// What is known of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// So many topics were begun before it.
    pub number: u32,
    /// The offset of its oldest message that is held.
    pub first: u64,
    /// The offset that its next message gets.
    pub end: u64,
    /// So many messages didn't get in, since there was no room.
    pub refused: u64,
    /// What it has room for, if anybody said.
    pub limits: Option<Limits>,
}

/// What a topic has room for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Who says.
    pub owner: String,
    /// Messages at most; 0: any number.
    pub messages_max: u64,
    /// What becomes of more.
    pub overflow: Overflow,
    /// The groups that make room: the number of each, and the time since which messages are for it.
    pub groups: Vec<(u32, u64)>,
}

impl Topic {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(29);
        codec::put_u32(&mut row, self.number);
        for number in [self.first, self.end, self.refused] {
            codec::put_u64(&mut row, number);
        }
        row.push(u8::from(self.limits.is_some()));
        if let Some(limits) = &self.limits {
            codec::put_bytes(&mut row, limits.owner.as_bytes());
            codec::put_u64(&mut row, limits.messages_max);
            row.push(limits.overflow.number());
            codec::put_count(&mut row, limits.groups.len());
            for (group, since) in &limits.groups {
                codec::put_u32(&mut row, *group);
                codec::put_u64(&mut row, *since);
            }
        }
        row
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(row);
        let mut topic = Self {
            number: reader.u32("number")?,
            first: reader.u64("first")?,
            end: reader.u64("end")?,
            refused: reader.u64("refused")?,
            limits: None,
        };
        if reader.flag("limits")? {
            topic.limits = Some(Limits::decode(&mut reader)?);
        }
        reader.finish("topic")?;
        Ok(topic)
    }
}

impl Limits {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let owner = reader.name("owner")?.to_owned();
        let messages_max = reader.u64("messages_max")?;
        let overflow = of_number(reader, "overflow", Overflow::from_number)?;
        let count = reader.count("groups", LIMIT_GROUPS_MAX, 12)?;
        let groups = (0..count).map(|_| Ok((reader.u32("group")?, reader.u64("since")?)));
        Ok(Self {
            owner,
            messages_max,
            overflow,
            groups: groups.collect::<Result<_, _>>()?,
        })
    }
}

fn of_number<T>(
    reader: &mut Reader<'_>,
    field: &'static str,
    of: impl Fn(u8) -> Option<T>,
) -> Result<T, DecodeError> {
    let start = reader.clone();
    let number = reader.u8(field)?;
    of(number).ok_or_else(|| start.error(field, DecodeProblem::Tag(number)))
}

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
    /// Its block's time, in microseconds since 1970.
    pub timestamp: u64,
    /// How urgent it is.
    pub priority: Priority,
    /// How often it may be given out.
    pub guarantee: Guarantee,
    /// When it is no longer of use; 0: never.
    pub expiry: u64,
    /// It isn't given out before this time; 0: at once.
    pub not_before: u64,
    /// What it says.
    pub body: Bytes,
}

impl Message {
    /// Whether it is no longer of use at a time.
    #[must_use]
    pub const fn is_expired(&self, at_us: u64) -> bool {
        self.expiry != 0 && at_us >= self.expiry
    }

    /// The lanes that it is in.
    pub(super) fn lanes(&self) -> impl Iterator<Item = u8> + use<> {
        let priority = (self.priority != Priority::Normal).then(|| self.priority.number());
        let ordered = (self.guarantee == Guarantee::Ordered).then_some(LANE_ORDERED);
        priority.into_iter().chain(ordered)
    }

    /// Bytes of a row before the body.
    const HEAD: usize = 8 + 4 + 32 + 8 + 1 + 1 + 8 + 8;

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(Self::HEAD + self.body.len());
        codec::put_u64(&mut row, self.height);
        codec::put_u32(&mut row, self.index);
        row.extend_from_slice(&self.id.0);
        codec::put_u64(&mut row, self.timestamp);
        row.push(self.priority.number());
        row.push(self.guarantee.number());
        codec::put_u64(&mut row, self.expiry);
        codec::put_u64(&mut row, self.not_before);
        row.extend_from_slice(&self.body);
        row
    }

    pub(super) fn decode(offset: u64, row: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(row);
        Ok(Self {
            offset,
            height: reader.u64("height")?,
            index: reader.u32("index")?,
            id: TransactionId(reader.array("id")?),
            timestamp: reader.u64("timestamp")?,
            priority: of_number(&mut reader, "priority", Priority::from_number)?,
            guarantee: of_number(&mut reader, "guarantee", Guarantee::from_number)?,
            expiry: reader.u64("expiry")?,
            not_before: reader.u64("not_before")?,
            body: row.slice(Self::HEAD..),
        })
    }
}

/// What is known of a consumer group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// So many groups were begun before it.
    pub number: u32,
    /// Who began it.
    pub owner: String,
    /// Which topics it consumes.
    pub patterns: Vec<Pattern>,
    /// Who may acknowledge for it beside its owner.
    pub consumers: Vec<String>,
    /// So long a message is in one consumer's hand, in microseconds.
    pub visibility: u64,
    /// After so many refusals a message is a dead letter; 0: never.
    pub refusals_max: u16,
    /// Messages in blocks of this time and later are for it.
    pub since: u64,
    /// So many messages it has acknowledged.
    pub acknowledged: u64,
    /// So many became dead letters.
    pub dead: u64,
}

impl Group {
    /// Whether somebody may acknowledge and refuse for it.
    #[must_use]
    pub fn is_of(&self, consumer: &str) -> bool {
        self.owner == consumer || self.consumers.iter().any(|one| one == consumer)
    }

    /// Whether it consumes a topic.
    #[must_use]
    pub fn has(&self, topic: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.has(topic))
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut row = Vec::new();
        codec::put_u32(&mut row, self.number);
        codec::put_bytes(&mut row, self.owner.as_bytes());
        codec::put_count(&mut row, self.patterns.len());
        for pattern in &self.patterns {
            codec::put_bytes(&mut row, pattern.as_str().as_bytes());
        }
        codec::put_count(&mut row, self.consumers.len());
        for consumer in &self.consumers {
            codec::put_bytes(&mut row, consumer.as_bytes());
        }
        row.extend_from_slice(&self.refusals_max.to_le_bytes());
        for number in [self.visibility, self.since, self.acknowledged, self.dead] {
            codec::put_u64(&mut row, number);
        }
        row
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(row);
        let number = reader.u32("number")?;
        let owner = reader.name("owner")?.to_owned();
        let patterns = (0..reader.count("patterns", PATTERNS_MAX, 4)?).map(|_| {
            let start = reader.clone();
            let pattern = Pattern::new(reader.text("pattern", TOPIC_BYTES_MAX)?);
            pattern.ok_or_else(|| start.error("pattern", DecodeProblem::Value("not a pattern")))
        });
        let patterns = patterns.collect::<Result<_, _>>()?;
        let consumers = (0..reader.count("consumers", CONSUMERS_MAX, 4)?)
            .map(|_| reader.name("consumer").map(str::to_owned))
            .collect::<Result<_, _>>()?;
        let group = Self {
            number,
            owner,
            patterns,
            consumers,
            refusals_max: u16::from_le_bytes(reader.array("refusals_max")?),
            visibility: reader.u64("visibility")?,
            since: reader.u64("since")?,
            acknowledged: reader.u64("acknowledged")?,
            dead: reader.u64("dead")?,
        };
        reader.finish("group")?;
        Ok(group)
    }
}

/// How a message was finished for a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Whether it is a dead letter, rather than acknowledged.
    pub is_dead: bool,
    /// The number among the group's acknowledgements, or among its dead letters.
    pub number: u64,
    /// Height of the block with the acknowledgement, or with the last refusal.
    pub height: u64,
    /// Its index in the block.
    pub index: u32,
    /// Its transaction.
    pub id: TransactionId,
    /// Its block's time, in microseconds since 1970.
    pub timestamp: u64,
    /// Who sent it.
    pub consumer: String,
}

impl Done {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(65 + self.consumer.len());
        row.push(u8::from(self.is_dead));
        codec::put_u64(&mut row, self.number);
        codec::put_u64(&mut row, self.height);
        codec::put_u32(&mut row, self.index);
        row.extend_from_slice(&self.id.0);
        codec::put_u64(&mut row, self.timestamp);
        codec::put_bytes(&mut row, self.consumer.as_bytes());
        row
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(row);
        let done = Self {
            is_dead: reader.flag("is_dead")?,
            number: reader.u64("number")?,
            height: reader.u64("height")?,
            index: reader.u32("index")?,
            id: TransactionId(reader.array("id")?),
            timestamp: reader.u64("timestamp")?,
            consumer: reader.name("consumer")?.to_owned(),
        };
        reader.finish("done")?;
        Ok(done)
    }
}

/// A row of [`TABLE_LOG`] or, with the reason behind it, of [`TABLE_DEAD`].
pub(super) fn encode_place(topic: u32, offset: u64, reason: &str) -> Vec<u8> {
    let mut row = Vec::with_capacity(12 + reason.len());
    codec::put_u32(&mut row, topic);
    codec::put_u64(&mut row, offset);
    row.extend_from_slice(reason.as_bytes());
    row
}

/// The number of a topic, an offset in it, and a reason.
pub(super) type Place = (u32, u64, String);

pub(super) fn decode_place(row: &[u8]) -> Result<Place, DecodeError> {
    let mut reader = Reader::new(row);
    let (topic, offset) = (reader.u32("topic")?, reader.u64("offset")?);
    let reason = String::from_utf8_lossy(&row[reader.position()..]);
    Ok((topic, offset, reason.into_owned()))
}
