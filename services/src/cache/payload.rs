//! What transactions say to the cache.

use hubledger::codec::{self, DecodeError, DecodeProblem, NAME_BYTES_MAX, Reader};
use hubledger::digest::Digest;
use hubledger::model::VectorClock;
use serde_json::{Map, Value, json};

use crate::payload::{Fields, Form};
use crate::service_payloads;

/// The longest name of a namespace, in bytes.
pub const NAMESPACE_BYTES_MAX: usize = 128;
/// The longest key, in bytes.
pub const CACHE_KEY_BYTES_MAX: usize = 1024;
/// The longest value, in bytes.
pub const CACHE_VALUE_BYTES_MAX: usize = 48 << 10;
/// The most hubs that a clock counts.
pub const CLOCK_NODES_MAX: usize = 64;

service_payloads! {
    /// What transactions say to the cache.
    CachePayload {
        /// Puts a value.
        CachePut = 56, "cache_put", [Message];
        /// Says that whatever value a key has is wrong.
        CacheInvalidate = 57, "cache_invalidate", [Message];
        /// Says what the root over the cache is.
        CacheCheckpoint = 58, "cache_checkpoint", [Message];
    }
}

/// Puts a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachePut {
    /// The namespace: 1 to [`NAMESPACE_BYTES_MAX`] bytes without control characters.
    pub namespace: String,
    /// The key: 1 to [`CACHE_KEY_BYTES_MAX`] bytes.
    pub key: String,
    /// The value: at most [`CACHE_VALUE_BYTES_MAX`] bytes.
    pub value: Vec<u8>,
    /// What its author knew of, at most [`CLOCK_NODES_MAX`] hubs; empty: all that the chain has before it.
    pub clock: VectorClock,
}

/// Says that whatever value a key has is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheInvalidate {
    /// The namespace.
    pub namespace: String,
    /// The key.
    pub key: String,
    /// What its author knew of.
    pub clock: VectorClock,
}

/// Says what the root over the cache is after a block, in the word of its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheCheckpoint {
    /// Height of the block.
    pub height: u64,
    /// The root.
    pub root: Digest,
}

fn is_namespace(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAMESPACE_BYTES_MAX && !name.contains(char::is_control)
}

fn put_place(namespace: &str, key: &str, clock: &VectorClock, out: &mut Vec<u8>) {
    codec::put_bytes(out, namespace.as_bytes());
    codec::put_bytes(out, key.as_bytes());
    clock.encode(out);
}

fn place(reader: &mut Reader<'_>) -> Result<(String, String, VectorClock), DecodeError> {
    let start = reader.clone();
    let namespace = reader.text("namespace", NAMESPACE_BYTES_MAX)?;
    if !is_namespace(namespace) {
        return Err(start.error("namespace", DecodeProblem::Value("not a namespace")));
    }
    let start = reader.clone();
    let key = reader.text("key", CACHE_KEY_BYTES_MAX)?;
    if key.is_empty() {
        return Err(start.error("key", DecodeProblem::Value("a key can't be empty")));
    }
    let start = reader.clone();
    let clock = VectorClock::decode(reader)?;
    if clock.len() > CLOCK_NODES_MAX {
        let problem = DecodeProblem::Limit {
            found: clock.len() as u64,
            limit: CLOCK_NODES_MAX as u64,
        };
        return Err(start.error("clock", problem));
    }
    Ok((namespace.to_owned(), key.to_owned(), clock))
}

fn place_in(fields: &Fields) -> Option<(String, String, VectorClock)> {
    let namespace = fields.text("namespace", NAMESPACE_BYTES_MAX)?;
    let key = fields.text("key", CACHE_KEY_BYTES_MAX)?;
    let clock = clock_in(fields)?;
    (is_namespace(namespace) && !key.is_empty())
        .then(|| (namespace.to_owned(), key.to_owned(), clock))
}

/// The clock of a payload, an object of counters by name; empty where it isn't there.
fn clock_in(fields: &Fields) -> Option<VectorClock> {
    let Some(value) = fields.value("vector_clock") else {
        return Some(VectorClock::empty());
    };
    let counters = value
        .as_object()
        .filter(|all| all.len() <= CLOCK_NODES_MAX)?;
    let entries = counters.iter().map(|(node, counter)| {
        let is_name = !node.is_empty() && node.len() <= NAME_BYTES_MAX;
        let counter = counter.as_u64().filter(|counter| *counter > 0 && is_name)?;
        Some((node.clone(), counter))
    });
    VectorClock::new(entries.collect::<Option<Vec<_>>>()?).ok()
}

pub(super) fn clock_json(clock: &VectorClock) -> Value {
    let counters = clock
        .iter()
        .map(|(node, counter)| (node.to_owned(), counter.into()));
    Value::Object(counters.collect::<Map<_, _>>())
}

impl Form for CachePut {
    fn encode(&self, out: &mut Vec<u8>) {
        put_place(&self.namespace, &self.key, &self.clock, out);
        codec::put_bytes(out, &self.value);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (namespace, key, clock) = place(reader)?;
        let value = reader.bytes("value", CACHE_VALUE_BYTES_MAX)?.to_vec();
        Ok(Self {
            namespace,
            key,
            value,
            clock,
        })
    }

    fn to_json(&self) -> Value {
        json!({
            "namespace": self.namespace,
            "key": self.key,
            "value": String::from_utf8_lossy(&self.value),
            "vector_clock": clock_json(&self.clock),
        })
    }

    fn from_fields(fields: &Fields) -> Option<Self> {
        let (namespace, key, clock) = place_in(fields)?;
        let value = fields.text_or_empty("value", CACHE_VALUE_BYTES_MAX)?;
        Some(Self {
            namespace,
            key,
            value: value.as_bytes().to_vec(),
            clock,
        })
    }
}

impl Form for CacheInvalidate {
    fn encode(&self, out: &mut Vec<u8>) {
        put_place(&self.namespace, &self.key, &self.clock, out);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (namespace, key, clock) = place(reader)?;
        Ok(Self {
            namespace,
            key,
            clock,
        })
    }

    fn to_json(&self) -> Value {
        json!({
            "namespace": self.namespace,
            "key": self.key,
            "vector_clock": clock_json(&self.clock),
        })
    }

    fn from_fields(fields: &Fields) -> Option<Self> {
        let (namespace, key, clock) = place_in(fields)?;
        Some(Self {
            namespace,
            key,
            clock,
        })
    }
}

impl Form for CacheCheckpoint {
    fn encode(&self, out: &mut Vec<u8>) {
        codec::put_u64(out, self.height);
        out.extend_from_slice(&self.root.0);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            height: reader.u64("height")?,
            root: Digest(reader.array("root")?),
        })
    }

    fn to_json(&self) -> Value {
        json!({ "height": self.height, "root": self.root })
    }

    fn from_fields(fields: &Fields) -> Option<Self> {
        let height = fields.value("height")?.as_u64()?;
        let root = fields.digest("root")?;
        Some(Self { height, root })
    }
}
