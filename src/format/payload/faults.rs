//! Payloads by which anybody hands in what proves a fault.

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::codec::{self, DecodeError, Reader};
use super::super::evidence::Evidence;
use super::super::signature::{PublicKey, Signature};
use super::{Form, MEANING_BYTES_MAX, json};

/// Has a member punished for a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Convict {
    /// What proves the fault. Headers that are so long that it doesn't fit into a payload with a meaning convict nobody.
    pub evidence: Evidence,
}

impl Convict {
    /// Tells `claim` every signature of the evidence: key, message, signature.
    pub(super) fn claims(&self, claim: impl FnMut(PublicKey, &[u8], Signature)) {
        self.evidence.claims(claim);
    }
}

impl Form for Convict {
    fn encode(&self, out: &mut Vec<u8>) {
        codec::put_bytes(out, &self.evidence.encode());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = reader.bytes("evidence", MEANING_BYTES_MAX)?;
        let start = reader.position() - bytes.len();
        // A copy, since headers keep the bytes that they came in, and a payload's may go.
        let evidence = Evidence::decode(&Bytes::copy_from_slice(bytes));
        Ok(Self {
            evidence: evidence.map_err(|error| error.at_base(start))?,
        })
    }

    fn to_json(&self) -> Value {
        json!({ "evidence": hex::encode(self.evidence.encode()) })
    }

    fn from_json(object: &json::Object) -> Option<Self> {
        let text = object.text("evidence", 2 * MEANING_BYTES_MAX)?;
        let bytes = hex::decode(&text).ok()?;
        // One value has one text.
        if hex::encode(&bytes) != text {
            return None;
        }
        let evidence = Evidence::decode(&Bytes::from(bytes)).ok()?;
        Some(Self { evidence })
    }
}
