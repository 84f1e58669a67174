//! What nodes say of their state.

use hubledger::codec::{self, DecodeError, DecodeProblem, Reader};
use serde_json::{Value, json};

use crate::payload::{Fields, Form};
use crate::service_payloads;

/// The longest kind of an update, in bytes.
pub const UPDATE_TYPE_BYTES_MAX: usize = 64;
/// The longest state, in bytes.
pub const STATE_BYTES_MAX: usize = 48 << 10;

service_payloads! {
    /// What nodes say of their state.
    UpdatePayload {
        /// Says what the state of its sender is.
        StateUpdate = 68, "state_update", [NodeUpdate];
    }
}

/// Says what the state of its sender is, in one respect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateUpdate {
    /// In which respect, such as `load`: 1 to [`UPDATE_TYPE_BYTES_MAX`] bytes.
    pub update_type: String,
    /// Counts the sender's updates in this respect; the highest one stands.
    pub version: u64,
    /// The state, at most [`STATE_BYTES_MAX`] bytes.
    pub state: Vec<u8>,
}

impl Form for StateUpdate {
    fn encode(&self, out: &mut Vec<u8>) {
        codec::put_bytes(out, self.update_type.as_bytes());
        codec::put_u64(out, self.version);
        codec::put_bytes(out, &self.state);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.clone();
        let update_type = reader
            .text("update_type", UPDATE_TYPE_BYTES_MAX)?
            .to_owned();
        if update_type.is_empty() {
            return Err(start.error("update_type", DecodeProblem::Value("it can't be empty")));
        }
        Ok(Self {
            update_type,
            version: reader.u64("version")?,
            state: reader.bytes("state", STATE_BYTES_MAX)?.to_vec(),
        })
    }

    fn to_json(&self) -> Value {
        json!({
            "update_type": self.update_type,
            "version": self.version,
            "state": String::from_utf8_lossy(&self.state),
        })
    }

    fn from_fields(fields: &Fields) -> Option<Self> {
        let update_type = fields.text("update_type", UPDATE_TYPE_BYTES_MAX)?;
        let version = fields.value("version")?.as_u64()?;
        let state = fields.text_or_empty("state", STATE_BYTES_MAX)?;
        (!update_type.is_empty()).then(|| Self {
            update_type: update_type.to_owned(),
            version,
            state: state.as_bytes().to_vec(),
        })
    }
}
