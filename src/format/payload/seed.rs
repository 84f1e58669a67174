//! Payloads by which members add to the seed that chooses proposers.

use serde_json::{Value, json};

use super::super::codec::{DecodeError, Reader};
use super::super::digest::Digest;
use super::{Form, json};

/// Commits to an onion of hashes: from the next epoch on, the sender reveals its layers from the outermost one on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The outermost layer, which is never revealed itself.
    pub layer: Digest,
}

/// Reveals the next layer of the sender's onion, in a block of the sender's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reveal {
    /// The layer, around which is the one that was committed to or revealed last.
    pub layer: Digest,
}

fn decode(reader: &mut Reader<'_>) -> Result<Digest, DecodeError> {
    Ok(Digest(reader.array("layer")?))
}

fn to_json(layer: &Digest) -> Value {
    json!({ "layer": layer.to_string() })
}

fn from_json(object: &json::Object) -> Option<Digest> {
    object.digest("layer")
}

impl Form for Commit {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.layer.0);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        decode(reader).map(|layer| Self { layer })
    }

    fn to_json(&self) -> Value {
        to_json(&self.layer)
    }

    fn from_json(object: &json::Object) -> Option<Self> {
        from_json(object).map(|layer| Self { layer })
    }
}

impl Form for Reveal {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.layer.0);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        decode(reader).map(|layer| Self { layer })
    }

    fn to_json(&self) -> Value {
        to_json(&self.layer)
    }

    fn from_json(object: &json::Object) -> Option<Self> {
        from_json(object).map(|layer| Self { layer })
    }
}
