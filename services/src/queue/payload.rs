//! What transactions say to the queue.

use hubledger::codec::{self, DecodeError, DecodeProblem, Reader};
use serde_json::{Map, Value};

use crate::payload::{Fields, Form, MEANING_BYTES_MAX};
use crate::service_payloads;

/// The longest name of a topic, in bytes.
pub const TOPIC_BYTES_MAX: usize = 256;

/// The longest body of a message, in bytes.
pub const BODY_BYTES_MAX: usize = MEANING_BYTES_MAX - 1024;

service_payloads! {
    /// What transactions say to the queue.
    QueuePayload {
        /// Puts a message into a topic.
        Enqueue = 32, "enqueue", [Message];
    }
}

/// How urgent a message is, in MPREG's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// Before everything else.
    Emergency,
    /// Before what is normal.
    High,
    /// Where nothing is said.
    #[default]
    Normal,
    /// After what is normal.
    Low,
    /// After everything else.
    Bulk,
}

impl Priority {
    /// All, the most urgent first.
    pub const ALL: [Self; 5] = [
        Self::Emergency,
        Self::High,
        Self::Normal,
        Self::Low,
        Self::Bulk,
    ];

    /// The word that stands for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Emergency => "emergency",
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
            Self::Bulk => "bulk",
        }
    }

    /// What a word stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }

    /// Its place in [`Priority::ALL`].
    #[must_use]
    pub const fn rank(self) -> u8 {
        self as u8
    }

    /// What stands at a place in [`Priority::ALL`].
    #[must_use]
    pub fn from_rank(rank: u8) -> Option<Self> {
        Self::ALL.get(usize::from(rank)).copied()
    }
}

/// Whether a text is the name of a topic: parts of 1 or more bytes without `*`, `#` and control characters, separated by `.`.
pub(super) fn is_topic(name: &str) -> bool {
    name.len() <= TOPIC_BYTES_MAX
        && name.split('.').all(|part| {
            !part.is_empty()
                && !part.contains(|letter: char| "*#".contains(letter) || letter.is_control())
        })
}

/// Puts a message into a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enqueue {
    /// The topic, such as `trades.eu`: at most [`TOPIC_BYTES_MAX`] bytes.
    pub topic: String,
    /// How urgent it is.
    pub priority: Priority,
    /// The message, at most [`BODY_BYTES_MAX`] bytes.
    pub body: Vec<u8>,
}

impl Form for Enqueue {
    fn encode(&self, out: &mut Vec<u8>) {
        codec::put_bytes(out, self.topic.as_bytes());
        out.push(self.priority.rank());
        codec::put_bytes(out, &self.body);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.clone();
        let topic = reader.text("topic", TOPIC_BYTES_MAX)?;
        if !is_topic(topic) {
            return Err(start.error("topic", DecodeProblem::Value("not the name of a topic")));
        }
        let start = reader.clone();
        let rank = reader.u8("priority")?;
        let priority = Priority::from_rank(rank)
            .ok_or_else(|| start.error("priority", DecodeProblem::Tag(rank)))?;
        Ok(Self {
            topic: topic.to_owned(),
            priority,
            body: reader.bytes("body", BODY_BYTES_MAX)?.to_vec(),
        })
    }

    fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("topic".to_owned(), self.topic.clone().into());
        object.insert("priority".to_owned(), self.priority.word().into());
        let body = String::from_utf8_lossy(&self.body).into_owned();
        object.insert("body".to_owned(), body.into());
        Value::Object(object)
    }

    fn from_fields(fields: &Fields) -> Option<Self> {
        let topic = fields.text("topic", TOPIC_BYTES_MAX)?;
        let priority = match fields.has("priority") {
            true => Priority::from_word(fields.text("priority", 16)?)?,
            false => Priority::default(),
        };
        let body = fields.text_or_empty("body", BODY_BYTES_MAX)?;
        is_topic(topic).then(|| Self {
            topic: topic.to_owned(),
            priority,
            body: body.as_bytes().to_vec(),
        })
    }
}
