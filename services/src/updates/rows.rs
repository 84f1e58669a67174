//! The rows of state updates.

use bytes::Bytes;
use hubledger::codec::{self, DecodeError, Reader};

use crate::recorded::Recorded;

/// The id of each transaction that updates something, by stream, height, index.
pub(super) const TABLE_STREAMS: u8 = 0;
/// [`Stated`] by the length of the sender's name (u16, big-endian), the name, and the kind.
pub(super) const TABLE_STATES: u8 = 1;

/// What peers can ask for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// Updates of nodes: transactions of the operation `node_update`.
    Nodes,
    /// Changes of the registry: `federation_join`, `federation_leave` and `node_register`.
    Registry,
    /// Messages of a topic of the [queue](crate::queue).
    Topic(String),
}

impl Stream {
    /// What the keys of its rows begin with. No topic has a control character, so that 0 ends it.
    pub(super) fn prefix(&self) -> Vec<u8> {
        match self {
            Self::Nodes => vec![0],
            Self::Registry => vec![1],
            Self::Topic(name) => [&[2], name.as_bytes(), &[0]].concat(),
        }
    }

    /// The lowest key that a topic can have whose name begins so.
    pub(super) fn topics_from(prefix: &str) -> Vec<u8> {
        [&[2], prefix.as_bytes()].concat()
    }

    /// The topic whose row this is the key of; `None` of any other key.
    pub(super) fn topic_of(key: &[u8]) -> Option<&str> {
        let name = key.strip_prefix(&[2])?;
        let (name, _) = name.split_last_chunk::<12>()?;
        std::str::from_utf8(name.strip_suffix(&[0])?).ok()
    }

    /// Above all of its rows and below those of any other stream that is above.
    pub(super) fn end(&self) -> Vec<u8> {
        let mut end = self.prefix();
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        end
    }

    pub(super) fn key(&self, height: u64, index: u32) -> Vec<u8> {
        let mut key = self.prefix();
        key.extend_from_slice(&Recorded::order(height, index));
        key
    }

    /// The word for outputs.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Nodes => "node",
            Self::Registry => "registry",
            Self::Topic(_) => "message",
        }
    }
}

/// What a node said of its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated {
    /// Its number among the node's updates of this kind.
    pub version: u64,
    /// Where it said so.
    pub recorded: Recorded,
    /// The state.
    pub state: Bytes,
}

impl Stated {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(52 + self.state.len());
        codec::put_u64(&mut row, self.version);
        self.recorded.encode(&mut row);
        row.extend_from_slice(&self.state);
        row
    }

    pub(super) fn decode(row: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(row);
        let version = reader.u64("version")?;
        let recorded = Recorded::decode(&mut reader)?;
        Ok(Self {
            version,
            recorded,
            state: row.slice(reader.position()..),
        })
    }
}

/// The key of a state; `None` of what can be no name.
pub(super) fn state_key(sender: &str, update_type: &str) -> Option<Vec<u8>> {
    let length = u16::try_from(sender.len()).ok()?;
    let parts = [
        &length.to_be_bytes(),
        sender.as_bytes(),
        update_type.as_bytes(),
    ];
    Some(parts.concat())
}
