//! What transactions say to the queue.

use hubledger::codec::{self, DecodeError, DecodeProblem, NAME_BYTES_MAX, Reader};
use hubledger::digest::TransactionId;
use serde_json::{Map, Value, json};

use super::kinds::{Guarantee, Overflow, Priority};
use super::names::{Pattern, TOPIC_BYTES_MAX, is_topic};
use crate::payload::{Fields, Form, MEANING_BYTES_MAX};
use crate::service_payloads;

/// The longest body of a message, in bytes.
pub const BODY_BYTES_MAX: usize = MEANING_BYTES_MAX - 1024;
/// The longest name of a consumer group, in bytes.
pub const GROUP_BYTES_MAX: usize = 128;
/// Most messages that one transaction acknowledges.
pub const ACKNOWLEDGED_MAX: usize = 256;
/// The longest reason of a refusal, in bytes.
pub const REASON_BYTES_MAX: usize = 256;
/// Most patterns of a group.
pub const PATTERNS_MAX: usize = 16;
/// Most consumers of a group, beside whoever began it.
pub const CONSUMERS_MAX: usize = 32;
/// The longest name of a consumer that a group lists, in bytes.
pub const CONSUMER_BYTES_MAX: usize = 256;
/// Most groups that make room in a topic.
pub const LIMIT_GROUPS_MAX: usize = 8;

service_payloads! {
    /// What transactions say to the queue.
    QueuePayload {
        /// Puts a message into a topic.
        Enqueue = 32, "enqueue", [Message];
        /// Says that a group has done messages of a topic, or claims them.
        Acknowledge = 33, "acknowledge", [Message];
        /// Says that a group couldn't do a message.
        Refuse = 34, "refuse", [Message];
        /// Begins a group, or changes it.
        Subscribe = 35, "subscribe", [Message];
        /// Says how many messages a topic has room for.
        Limit = 36, "limit", [Message];
    }
}

/// Puts a message into a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enqueue {
    /// The topic, such as `trades.eu`.
    pub topic: String,
    /// How urgent it is.
    pub priority: Priority,
    /// How often it may be given out.
    pub guarantee: Guarantee,
    /// When it is no longer of use, in microseconds since 1970; 0: never.
    pub expiry: u64,
    /// It isn't given out before this time; 0: at once.
    pub not_before: u64,
    /// The message, at most [`BODY_BYTES_MAX`] bytes.
    pub body: Vec<u8>,
}

impl Enqueue {
    /// A normal message that is given out until it is acknowledged.
    #[must_use]
    pub fn new(topic: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            topic: topic.to_owned(),
            priority: Priority::Normal,
            guarantee: Guarantee::AtLeastOnce,
            expiry: 0,
            not_before: 0,
            body: body.into(),
        }
    }
}

/// A message, by its place and by the transaction that carries it: in another branch of the chain another may have its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageName {
    /// Its offset in the topic.
    pub offset: u64,
    /// Its transaction.
    pub id: TransactionId,
}

/// Says that a group has done messages of a topic, or claims them. It counts message by message: only one that is there, isn't expired,
/// and wasn't finished for this group before; and only of the group's owner and consumers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledge {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// 1 to [`ACKNOWLEDGED_MAX`] messages.
    pub messages: Vec<MessageName>,
}

/// Says that a group couldn't do a message. After as many refusals as the group allows it is a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refuse {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The message.
    pub message: MessageName,
    /// Why; may be empty.
    pub reason: String,
}

/// Begins a group, which belongs to whoever does; or changes all but its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribe {
    /// The group.
    pub group: String,
    /// 1 to [`PATTERNS_MAX`] patterns of topics.
    pub patterns: Vec<Pattern>,
    /// Who may acknowledge and refuse for it beside its owner; at most [`CONSUMERS_MAX`].
    pub consumers: Vec<String>,
    /// So long a message is in one consumer's hand before it is given out again, in microseconds; at least 1.
    pub visibility: u64,
    /// After so many refusals a message is a dead letter; 0: never.
    pub refusals_max: u16,
    /// Messages in blocks of this time and later are for the group, in microseconds since 1970; those of blocks after its own, at most that late.
    pub since: u64,
}

/// Says how many messages a topic has room for. The topic's limits belong to whoever says it first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// The topic.
    pub topic: String,
    /// Messages at most; 0: any number.
    pub messages_max: u64,
    /// What becomes of more.
    pub overflow: Overflow,
    /// The groups that make room by finishing messages; at most [`LIMIT_GROUPS_MAX`], none where the oldest go.
    pub groups: Vec<String>,
}

fn wrong(start: &Reader<'_>, field: &'static str, problem: &'static str) -> DecodeError {
    start.error(field, DecodeProblem::Value(problem))
}

fn topic(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    let start = reader.clone();
    let topic = reader.text("topic", TOPIC_BYTES_MAX)?;
    match is_topic(topic) {
        true => Ok(topic.to_owned()),
        false => Err(wrong(&start, "topic", "not the name of a topic")),
    }
}

fn filled(
    reader: &mut Reader<'_>,
    field: &'static str,
    bytes_max: usize,
) -> Result<String, DecodeError> {
    let start = reader.clone();
    match reader.text(field, bytes_max)? {
        "" => Err(wrong(&start, field, "empty")),
        text => Ok(text.to_owned()),
    }
}

fn numbered<T>(
    reader: &mut Reader<'_>,
    field: &'static str,
    of: impl Fn(u8) -> Option<T>,
) -> Result<T, DecodeError> {
    let start = reader.clone();
    let number = reader.u8(field)?;
    of(number).ok_or_else(|| start.error(field, DecodeProblem::Tag(number)))
}

/// A count of one byte within limits.
fn count(
    reader: &mut Reader<'_>,
    field: &'static str,
    least: usize,
    most: usize,
) -> Result<usize, DecodeError> {
    let start = reader.clone();
    let count = usize::from(reader.u8(field)?);
    match (least..=most).contains(&count) {
        true => Ok(count),
        false => Err(wrong(&start, field, "too few or too many")),
    }
}

fn message(reader: &mut Reader<'_>) -> Result<MessageName, DecodeError> {
    Ok(MessageName {
        offset: reader.u64("offset")?,
        id: TransactionId(reader.array("id")?),
    })
}

fn put_message(out: &mut Vec<u8>, message: &MessageName) {
    codec::put_u64(out, message.offset);
    out.extend_from_slice(&message.id.0);
}

fn topic_field(fields: &Fields) -> Option<String> {
    let topic = fields.text("topic", TOPIC_BYTES_MAX)?;
    is_topic(topic).then(|| topic.to_owned())
}

fn group_field(fields: &Fields) -> Option<String> {
    let group = fields.text("group", GROUP_BYTES_MAX)?;
    (!group.is_empty()).then(|| group.to_owned())
}

fn message_of(value: &Value) -> Option<MessageName> {
    Some(MessageName {
        offset: value.get("offset")?.as_u64()?,
        id: value.get("id")?.as_str()?.parse().ok()?,
    })
}

fn message_json(message: &MessageName) -> Value {
    json!({ "offset": message.offset, "id": message.id })
}

impl Form for Enqueue {
    fn encode(&self, out: &mut Vec<u8>) {
        codec::put_bytes(out, self.topic.as_bytes());
        out.push(self.priority.number());
        out.push(self.guarantee.number());
        codec::put_u64(out, self.expiry);
        codec::put_u64(out, self.not_before);
        codec::put_bytes(out, &self.body);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            topic: topic(reader)?,
            priority: numbered(reader, "priority", Priority::from_number)?,
            guarantee: numbered(reader, "guarantee", Guarantee::from_number)?,
            expiry: reader.u64("expiry")?,
            not_before: reader.u64("not_before")?,
            body: reader.bytes("body", BODY_BYTES_MAX)?.to_vec(),
        })
    }

    fn to_json(&self) -> Value {
        json!({
            "topic": self.topic,
            "priority": self.priority.word(),
            "delivery_guarantee": self.guarantee.word(),
            "expiry": self.expiry,
            "not_before": self.not_before,
            "body": String::from_utf8_lossy(&self.body),
        })
    }

    fn from_fields(fields: &Fields) -> Option<Self> {
        Some(Self {
            topic: topic_field(fields)?,
            priority: fields.word_or("priority", Priority::from_word, Priority::Normal)?,
            guarantee: fields.word_or(
                "delivery_guarantee",
                Guarantee::from_word,
                Guarantee::AtLeastOnce,
            )?,
            expiry: fields.number_or("expiry", 0)?,
            not_before: fields.number_or("not_before", 0)?,
            body: fields.text_or_empty("body", BODY_BYTES_MAX)?.into(),
        })
    }
}

impl Form for Acknowledge {
    fn encode(&self, out: &mut Vec<u8>) {
        codec::put_bytes(out, self.group.as_bytes());
        codec::put_bytes(out, self.topic.as_bytes());
        codec::put_count(out, self.messages.len());
        for message in &self.messages {
            put_message(out, message);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let group = filled(reader, "group", GROUP_BYTES_MAX)?;
        let topic = topic(reader)?;
        let start = reader.clone();
        let count = reader.length("messages", ACKNOWLEDGED_MAX)?;
        if count == 0 {
            return Err(wrong(&start, "messages", "none"));
        }
        let messages = (0..count).map(|_| message(reader));
        Ok(Self {
            group,
            topic,
            messages: messages.collect::<Result<_, _>>()?,
        })
    }

    fn to_json(&self) -> Value {
        let messages: Vec<Value> = self.messages.iter().map(message_json).collect();
        json!({ "group": self.group, "topic": self.topic, "messages": messages })
    }

    fn from_fields(fields: &Fields) -> Option<Self> {
        let messages = fields.value("messages")?.as_array()?;
        if messages.is_empty() || messages.len() > ACKNOWLEDGED_MAX {
            return None;
        }
        Some(Self {
            group: group_field(fields)?,
            topic: topic_field(fields)?,
            messages: messages.iter().map(message_of).collect::<Option<_>>()?,
        })
    }
}

impl Form for Refuse {
    fn encode(&self, out: &mut Vec<u8>) {
        codec::put_bytes(out, self.group.as_bytes());
        codec::put_bytes(out, self.topic.as_bytes());
        put_message(out, &self.message);
        codec::put_bytes(out, self.reason.as_bytes());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            group: filled(reader, "group", GROUP_BYTES_MAX)?,
            topic: topic(reader)?,
            message: message(reader)?,
            reason: reader.text("reason", REASON_BYTES_MAX)?.to_owned(),
        })
    }

    fn to_json(&self) -> Value {
        json!({
            "group": self.group,
            "topic": self.topic,
            "offset": self.message.offset,
            "id": self.message.id,
            "reason": self.reason,
        })
    }

    fn from_fields(fields: &Fields) -> Option<Self> {
        Some(Self {
            group: group_field(fields)?,
            topic: topic_field(fields)?,
            message: MessageName {
                offset: fields.value("offset")?.as_u64()?,
                id: TransactionId(fields.digest("id")?.0),
            },
            reason: fields.text_or_empty("reason", REASON_BYTES_MAX)?.to_owned(),
        })
    }
}

impl Form for Subscribe {
    fn encode(&self, out: &mut Vec<u8>) {
        codec::put_bytes(out, self.group.as_bytes());
        out.push(self.patterns.len() as u8);
        for pattern in &self.patterns {
            codec::put_bytes(out, pattern.as_str().as_bytes());
        }
        out.push(self.consumers.len() as u8);
        for consumer in &self.consumers {
            codec::put_bytes(out, consumer.as_bytes());
        }
        codec::put_u64(out, self.visibility);
        out.extend_from_slice(&self.refusals_max.to_le_bytes());
        codec::put_u64(out, self.since);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let group = filled(reader, "group", GROUP_BYTES_MAX)?;
        let patterns = (0..count(reader, "patterns", 1, PATTERNS_MAX)?).map(|_| {
            let start = reader.clone();
            Pattern::new(reader.text("pattern", TOPIC_BYTES_MAX)?)
                .ok_or_else(|| wrong(&start, "pattern", "not a pattern of topics"))
        });
        let patterns = patterns.collect::<Result<_, _>>()?;
        let consumers = (0..count(reader, "consumers", 0, CONSUMERS_MAX)?)
            .map(|_| filled(reader, "consumer", CONSUMER_BYTES_MAX));
        let consumers = consumers.collect::<Result<_, _>>()?;
        let start = reader.clone();
        let visibility = reader.u64("visibility")?;
        if visibility == 0 {
            return Err(wrong(&start, "visibility", "0"));
        }
        Ok(Self {
            group,
            patterns,
            consumers,
            visibility,
            refusals_max: u16::from_le_bytes(reader.array("refusals_max")?),
            since: reader.u64("since")?,
        })
    }

    fn to_json(&self) -> Value {
        let patterns: Vec<&str> = self.patterns.iter().map(Pattern::as_str).collect();
        json!({
            "group": self.group,
            "patterns": patterns,
            "consumers": self.consumers,
            "visibility": self.visibility,
            "refusals_max": self.refusals_max,
            "since": self.since,
        })
    }

    fn from_fields(fields: &Fields) -> Option<Self> {
        let patterns = fields.texts("patterns", PATTERNS_MAX, TOPIC_BYTES_MAX)?;
        let patterns: Vec<Pattern> = patterns
            .iter()
            .map(|text| Pattern::new(text))
            .collect::<Option<_>>()?;
        let consumers = fields.texts("consumers", CONSUMERS_MAX, CONSUMER_BYTES_MAX)?;
        let visibility = fields.number_or("visibility", VISIBILITY_US)?;
        if patterns.is_empty() || visibility == 0 || consumers.iter().any(String::is_empty) {
            return None;
        }
        Some(Self {
            group: group_field(fields)?,
            patterns,
            consumers,
            visibility,
            refusals_max: fields.number_or("refusals_max", 0)?.try_into().ok()?,
            since: fields.number_or("since", 0)?,
        })
    }
}

/// How long a message is in one consumer's hand, where nothing is said: 30 seconds.
const VISIBILITY_US: u64 = 30_000_000;

impl Form for Limit {
    fn encode(&self, out: &mut Vec<u8>) {
        codec::put_bytes(out, self.topic.as_bytes());
        codec::put_u64(out, self.messages_max);
        out.push(self.overflow.number());
        out.push(self.groups.len() as u8);
        for group in &self.groups {
            codec::put_bytes(out, group.as_bytes());
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let topic = topic(reader)?;
        let messages_max = reader.u64("messages_max")?;
        let start = reader.clone();
        let overflow = numbered(reader, "overflow", Overflow::from_number)?;
        let groups = (0..count(reader, "groups", 0, LIMIT_GROUPS_MAX)?)
            .map(|_| filled(reader, "group", GROUP_BYTES_MAX));
        let limit = Self {
            topic,
            messages_max,
            overflow,
            groups: groups.collect::<Result<_, _>>()?,
        };
        match limit.can_make_room() {
            true => Ok(limit),
            false => Err(wrong(&start, "overflow", NO_ROOM)),
        }
    }

    fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("topic".to_owned(), self.topic.clone().into());
        object.insert("messages_max".to_owned(), self.messages_max.into());
        object.insert("overflow".to_owned(), self.overflow.word().into());
        object.insert("groups".to_owned(), self.groups.clone().into());
        Value::Object(object)
    }

    fn from_fields(fields: &Fields) -> Option<Self> {
        let limit = Self {
            topic: topic_field(fields)?,
            messages_max: fields.number_or("messages_max", 0)?,
            overflow: fields.word_or("overflow", Overflow::from_word, Overflow::Refuse)?,
            groups: fields.texts("groups", LIMIT_GROUPS_MAX, GROUP_BYTES_MAX)?,
        };
        let is_filled = limit.groups.iter().all(|group| !group.is_empty());
        (is_filled && limit.can_make_room()).then_some(limit)
    }
}

const NO_ROOM: &str = "new messages are refused until groups have done some, and no other way";

impl Limit {
    /// A topic that refuses messages and that no group makes room in would be closed for ever; where the oldest go, no group matters.
    fn can_make_room(&self) -> bool {
        match self.overflow {
            Overflow::Refuse => self.messages_max == 0 || !self.groups.is_empty(),
            Overflow::DropOldest => self.groups.is_empty(),
        }
    }
}

const _: () = assert!(CONSUMER_BYTES_MAX <= NAME_BYTES_MAX);
