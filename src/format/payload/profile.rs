//! What a node says of itself: in MPREG's words. Nothing of it decides about a block.

use super::super::codec::{self, DecodeError, DecodeProblem, Reader};
use super::json;

/// The longest text of a profile, in bytes.
pub const PROFILE_TEXT_BYTES_MAX: usize = 256;

/// The most capabilities that a node can name.
pub const CAPABILITIES_MAX: usize = 64;

/// What a node says of itself. Texts have at most [`PROFILE_TEXT_BYTES_MAX`] bytes each and may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profile {
    /// Such as `full_node`.
    pub node_type: String,
    /// Such as `hub`.
    pub role: String,
    /// Where it is, such as `us_east`.
    pub region: String,
    /// Where it can be reached.
    pub network_address: String,
    /// What it can do, at most [`CAPABILITIES_MAX`], in its own order.
    pub capabilities: Vec<String>,
}

impl Profile {
    const TEXTS: [&'static str; 4] = ["node_type", "role", "region", "network_address"];

    const fn texts(&self) -> [&String; 4] {
        [
            &self.node_type,
            &self.role,
            &self.region,
            &self.network_address,
        ]
    }

    fn of(
        [node_type, role, region, network_address]: [String; 4],
        capabilities: Vec<String>,
    ) -> Self {
        Self {
            node_type,
            role,
            region,
            network_address,
            capabilities,
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for text in self.texts() {
            codec::put_bytes(out, text.as_bytes());
        }
        out.push(self.capabilities.len() as u8);
        for capability in &self.capabilities {
            codec::put_bytes(out, capability.as_bytes());
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut texts: [String; 4] = std::array::from_fn(|_| String::new());
        for (text, field) in texts.iter_mut().zip(Self::TEXTS) {
            *text = reader.text(field, PROFILE_TEXT_BYTES_MAX)?.to_owned();
        }
        let start = reader.clone();
        let count = usize::from(reader.u8("capabilities")?);
        if count > CAPABILITIES_MAX {
            let problem = DecodeProblem::Limit {
                found: count as u64,
                limit: CAPABILITIES_MAX as u64,
            };
            return Err(start.error("capabilities", problem));
        }
        let mut capabilities = Vec::with_capacity(count);
        for _ in 0..count {
            let capability = reader.text("capabilities", PROFILE_TEXT_BYTES_MAX)?;
            capabilities.push(capability.to_owned());
        }
        Ok(Self::of(texts, capabilities))
    }

    pub(super) fn put_json(&self, object: &mut serde_json::Map<String, serde_json::Value>) {
        for (text, field) in self.texts().into_iter().zip(Self::TEXTS) {
            if !text.is_empty() {
                object.insert(field.to_owned(), text.clone().into());
            }
        }
        object.insert("capabilities".to_owned(), self.capabilities.clone().into());
    }

    pub(super) fn from_json(object: &json::Object) -> Option<Self> {
        let mut texts: [String; 4] = std::array::from_fn(|_| String::new());
        for (text, field) in texts.iter_mut().zip(Self::TEXTS) {
            *text = object.text_or_empty(field, PROFILE_TEXT_BYTES_MAX)?;
        }
        let capabilities =
            object.texts("capabilities", CAPABILITIES_MAX, PROFILE_TEXT_BYTES_MAX)?;
        Some(Self::of(texts, capabilities))
    }
}
