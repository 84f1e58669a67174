//! The rows of the cache.

use bytes::Bytes;
use hubledger::codec::{self, DecodeError, DecodeProblem, NAME_BYTES_MAX, Reader};
use hubledger::model::VectorClock;

use crate::recorded::Recorded;

/// What stands at each key of a namespace: [`CacheEntry`] by namespace, 0, key.
pub(super) const TABLE_ENTRIES: u8 = 0;
/// The keys of each namespace by the place of the write that stands: key by namespace, 0, height, index.
pub(super) const TABLE_CHANGES: u8 = 1;
/// [`Namespace`] by name.
pub(super) const TABLE_NAMESPACES: u8 = 2;
/// The highest count of each hub that a namespace has seen: u64 by namespace, 0, hub.
pub(super) const TABLE_CLOCKS: u8 = 3;
/// What hubs say of roots: [`Recorded`] and root by height of the root, big-endian, and sender.
pub(super) const TABLE_CHECKPOINTS: u8 = 4;

/// What stands at a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheEntry {
    /// The value; `None` if it was invalidated.
    pub value: Option<Bytes>,
    /// The write that stands.
    pub recorded: Recorded,
    /// Who wrote it.
    pub sender: String,
    /// What it comes after.
    pub clock: VectorClock,
}

impl CacheEntry {
    pub(super) fn encode(&self) -> Vec<u8> {
        let length = self.value.as_ref().map_or(0, Bytes::len);
        let mut row = Vec::with_capacity(128 + length);
        row.push(u8::from(self.value.is_some()));
        self.recorded.encode(&mut row);
        codec::put_bytes(&mut row, self.sender.as_bytes());
        self.clock.encode(&mut row);
        row.extend_from_slice(self.value.as_deref().unwrap_or_default());
        row
    }

    pub(super) fn decode(row: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(row);
        let has_value = reader.flag("kind")?;
        let recorded = Recorded::decode(&mut reader)?;
        let sender = reader.text("sender", NAME_BYTES_MAX)?.to_owned();
        let clock = VectorClock::decode(&mut reader)?;
        let value = row.slice(reader.position()..);
        if !has_value {
            reader.finish("entry")?;
        }
        Ok(Self {
            value: has_value.then_some(value),
            recorded,
            sender,
            clock,
        })
    }
}

/// What is known of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Namespace {
    /// Keys with a value.
    pub values: u64,
    /// Keys that were invalidated.
    pub invalidated: u64,
    /// Writes that stood when they came.
    pub writes: u64,
    /// Those of them that could not have known of the one before.
    pub conflicts: u64,
    /// Values that did not stand against an invalidation they could not have known of.
    pub lost: u64,
    /// Writes whose clock does not count their author further.
    pub stale: u64,
    /// Writes whose clock counts somebody further than the chain has seen.
    pub unseen: u64,
}

impl Namespace {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(56);
        for count in [
            self.values,
            self.invalidated,
            self.writes,
            self.conflicts,
            self.lost,
            self.stale,
            self.unseen,
        ] {
            codec::put_u64(&mut row, count);
        }
        row
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(row);
        let namespace = Self {
            values: reader.u64("values")?,
            invalidated: reader.u64("invalidated")?,
            writes: reader.u64("writes")?,
            conflicts: reader.u64("conflicts")?,
            lost: reader.u64("lost")?,
            stale: reader.u64("stale")?,
            unseen: reader.u64("unseen")?,
        };
        reader.finish("namespace")?;
        Ok(namespace)
    }
}

/// A key of a namespace. Names of namespaces have no control characters, so that 0 ends them.
pub(super) fn within(namespace: &str, key: &[u8]) -> Vec<u8> {
    [namespace.as_bytes(), &[0], key].concat()
}

pub(super) fn counter(row: &[u8]) -> Result<u64, DecodeError> {
    let mut reader = Reader::new(row);
    let counter = reader.u64("counter")?;
    reader.finish("counter")?;
    Ok(counter)
}

pub(super) fn text(bytes: &[u8]) -> Result<String, DecodeError> {
    let utf8 = String::from_utf8(bytes.to_vec());
    utf8.map_err(|_| Reader::new(bytes).error("key", DecodeProblem::Utf8))
}
