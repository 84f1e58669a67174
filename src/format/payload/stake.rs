//! Payloads by which names put value up behind members, and take it back.

use serde_json::{Value, json};

use super::super::codec::{self, DecodeError, Reader};
use super::super::signature::PublicKey;
use super::{Form, json};

/// Puts value of the sender up behind itself, and says with which key it takes part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stake {
    /// The key that it seals and votes with, from the next change of members on.
    pub key: PublicKey,
    /// What is added to its stake; 0 to exchange the key alone.
    pub amount: u64,
}

impl Form for Stake {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.key.as_bytes());
        codec::put_u64(out, self.amount);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            key: PublicKey::from_bytes(reader.array("key")?),
            amount: reader.u64("amount")?,
        })
    }

    fn to_json(&self) -> Value {
        json!({ "key": self.key.to_string(), "amount": self.amount })
    }

    fn from_json(object: &json::Object) -> Option<Self> {
        Some(Self {
            key: object.value("key")?.as_str()?.parse().ok()?,
            amount: object.value("amount")?.as_u64()?,
        })
    }
}

/// Puts value of the sender up behind a member, or behind who may become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegate {
    /// Behind whom.
    pub to: String,
    /// What is added to what the sender has there.
    pub amount: u64,
}

impl Form for Delegate {
    fn encode(&self, out: &mut Vec<u8>) {
        codec::put_bytes(out, self.to.as_bytes());
        codec::put_u64(out, self.amount);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            to: reader.name("to")?.to_owned(),
            amount: reader.u64("amount")?,
        })
    }

    fn to_json(&self) -> Value {
        json!({ "to": self.to, "amount": self.amount })
    }

    fn from_json(object: &json::Object) -> Option<Self> {
        Some(Self {
            to: object.name("to")?,
            amount: object.value("amount")?.as_u64()?,
        })
    }
}

/// Takes value back that the sender has behind a member: it counts until the next change of members, can be punished for the time of
/// the release after it, and is paid out by a [`Withdraw`] then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Behind whom; the sender itself for its own stake.
    pub from: String,
    /// How much.
    pub amount: u64,
}

impl Form for Release {
    fn encode(&self, out: &mut Vec<u8>) {
        codec::put_bytes(out, self.from.as_bytes());
        codec::put_u64(out, self.amount);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            from: reader.name("from")?.to_owned(),
            amount: reader.u64("amount")?,
        })
    }

    fn to_json(&self) -> Value {
        json!({ "from": self.from, "amount": self.amount })
    }

    fn from_json(object: &json::Object) -> Option<Self> {
        Some(Self {
            from: object.name("from")?,
            amount: object.value("amount")?.as_u64()?,
        })
    }
}

/// Pays out what the sender took back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdraw {
    /// Behind whom it was.
    pub from: String,
    /// The height from which on it didn't count any more.
    pub boundary: u64,
}

impl Form for Withdraw {
    fn encode(&self, out: &mut Vec<u8>) {
        codec::put_bytes(out, self.from.as_bytes());
        codec::put_u64(out, self.boundary);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            from: reader.name("from")?.to_owned(),
            boundary: reader.u64("boundary")?,
        })
    }

    fn to_json(&self) -> Value {
        json!({ "from": self.from, "boundary": self.boundary })
    }

    fn from_json(object: &json::Object) -> Option<Self> {
        Some(Self {
            from: object.name("from")?,
            boundary: object.value("boundary")?.as_u64()?,
        })
    }
}
