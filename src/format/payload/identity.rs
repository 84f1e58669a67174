//! Payloads about names, and the keys that speak for them.

use serde_json::{Map, Value};

use super::super::codec::{self, DecodeError, DecodeProblem, NAME_BYTES_MAX, Reader};
use super::super::digest::Digest;
use super::key_set::{optional, put_optional, put_optional_name};
use super::{Form, KeySet, Profile, json};

/// The longest purpose of an attestation, in bytes.
pub const PURPOSE_BYTES_MAX: usize = 64;

/// Binds the sender's name to keys, once. The transaction is signed by enough of them, unless others speak for the name
/// already: then by those.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register {
    /// The keys that speak for it from this block on.
    pub keys: KeySet,
    /// Those that may revoke its keys, and give it new ones.
    pub recovery: Option<KeySet>,
    /// What it puts up; 0 for nothing.
    pub stake: u64,
    /// The member that attested to these keys for the purpose `membership`, where one is needed.
    pub attester: Option<String>,
    /// What it says of itself.
    pub profile: Profile,
}

impl Form for Register {
    fn encode(&self, out: &mut Vec<u8>) {
        self.keys.encode(out);
        put_optional(self.recovery.as_ref(), out);
        codec::put_u64(out, self.stake);
        put_optional_name(self.attester.as_deref(), out);
        self.profile.encode(out);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            keys: KeySet::decode(reader)?,
            recovery: optional(reader)?,
            stake: reader.u64("stake")?,
            attester: {
                let name = reader.text("attester", NAME_BYTES_MAX)?;
                (!name.is_empty()).then(|| name.to_owned())
            },
            profile: Profile::decode(reader)?,
        })
    }

    fn to_json(&self) -> Value {
        let mut object = Map::new();
        self.profile.put_json(&mut object);
        json::put_key_set(&self.keys, json::KEYS, &mut object);
        if let Some(recovery) = &self.recovery {
            json::put_key_set(recovery, json::RECOVERY, &mut object);
        }
        object.insert("stake_amount".to_owned(), self.stake.into());
        if let Some(attester) = &self.attester {
            object.insert("attester".to_owned(), attester.clone().into());
        }
        Value::Object(object)
    }

    fn from_json(object: &json::Object) -> Option<Self> {
        let [one, many, threshold] = json::KEYS;
        Some(Self {
            keys: object.key_set(one, many, threshold)?,
            recovery: object.recovery()?,
            stake: object.number_or("stake_amount", 0)?,
            attester: object.optional_name("attester")?,
            profile: Profile::from_json(object)?,
        })
    }
}

/// Exchanges the keys that speak for the sender, in the word of those that do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotate {
    /// The new ones.
    pub keys: KeySet,
    /// The height from which on they speak; 0 for the next one.
    pub effective: u64,
    /// For how many heights from there on those before speak as well.
    pub grace: u32,
}

impl Form for Rotate {
    fn encode(&self, out: &mut Vec<u8>) {
        self.keys.encode(out);
        codec::put_u64(out, self.effective);
        codec::put_u32(out, self.grace);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            keys: KeySet::decode(reader)?,
            effective: reader.u64("effective")?,
            grace: reader.u32("grace")?,
        })
    }

    fn to_json(&self) -> Value {
        let mut object = Map::new();
        json::put_key_set(&self.keys, json::KEYS, &mut object);
        object.insert("effective".to_owned(), self.effective.into());
        object.insert("grace".to_owned(), self.grace.into());
        Value::Object(object)
    }

    fn from_json(object: &json::Object) -> Option<Self> {
        let [one, many, threshold] = json::KEYS;
        Some(Self {
            keys: object.key_set(one, many, threshold)?,
            effective: object.number_or("effective", 0)?,
            grace: u32::try_from(object.number_or("grace", 0)?).ok()?,
        })
    }
}

/// Says that the sender's keys speak for it no more, from the next transaction on: in their own word, or in that of the
/// recovery keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoke;

impl Form for Revoke {
    fn encode(&self, _out: &mut Vec<u8>) {}

    fn decode(_reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self)
    }

    fn to_json(&self) -> Value {
        Value::Object(Map::new())
    }

    fn from_json(_object: &json::Object) -> Option<Self> {
        Some(Self)
    }
}

/// Gives the sender new keys from the next height on, in the word of its recovery keys. Those before speak no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recover {
    /// The new keys.
    pub keys: KeySet,
    /// Those that may do so the next time; none leaves the ones that did it now.
    pub recovery: Option<KeySet>,
}

impl Form for Recover {
    fn encode(&self, out: &mut Vec<u8>) {
        self.keys.encode(out);
        put_optional(self.recovery.as_ref(), out);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            keys: KeySet::decode(reader)?,
            recovery: optional(reader)?,
        })
    }

    fn to_json(&self) -> Value {
        let mut object = Map::new();
        json::put_key_set(&self.keys, json::KEYS, &mut object);
        if let Some(recovery) = &self.recovery {
            json::put_key_set(recovery, json::RECOVERY, &mut object);
        }
        Value::Object(object)
    }

    fn from_json(object: &json::Object) -> Option<Self> {
        let [one, many, threshold] = json::KEYS;
        Some(Self {
            keys: object.key_set(one, many, threshold)?,
            recovery: object.recovery()?,
        })
    }
}

/// Ends the sender's identity. Its name is nobody's any more, for ever, and its stake goes back to its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leave;

impl Form for Leave {
    fn encode(&self, _out: &mut Vec<u8>) {}

    fn decode(_reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self)
    }

    fn to_json(&self) -> Value {
        Value::Object(Map::new())
    }

    fn from_json(_object: &json::Object) -> Option<Self> {
        Some(Self)
    }
}

/// Vouches for another name's keys. One that is there for the same name and purpose is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attest {
    /// Whose keys they are.
    pub subject: String,
    /// [`KeySet::digest`] of them.
    pub keys: Digest,
    /// What for, of 1 to [`PURPOSE_BYTES_MAX`] bytes. `membership` lets the subject join.
    pub purpose: String,
    /// The height from which on it counts no more; 0 for never.
    pub expiry: u64,
}

impl Form for Attest {
    fn encode(&self, out: &mut Vec<u8>) {
        codec::put_bytes(out, self.subject.as_bytes());
        out.extend_from_slice(&self.keys.0);
        codec::put_bytes(out, self.purpose.as_bytes());
        codec::put_u64(out, self.expiry);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            subject: reader.name("subject")?.to_owned(),
            keys: Digest(reader.array("keys")?),
            purpose: purpose(reader)?,
            expiry: reader.u64("expiry")?,
        })
    }

    fn to_json(&self) -> Value {
        serde_json::json!({
            "subject": self.subject,
            "keys": self.keys.to_string(),
            "purpose": self.purpose,
            "expiry": self.expiry,
        })
    }

    fn from_json(object: &json::Object) -> Option<Self> {
        Some(Self {
            subject: object.name("subject")?,
            keys: object.digest("keys")?,
            purpose: purpose_of(object)?,
            expiry: object.number_or("expiry", 0)?,
        })
    }
}

/// Takes back what the sender vouched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retract {
    /// Whose keys they were.
    pub subject: String,
    /// What for.
    pub purpose: String,
}

impl Form for Retract {
    fn encode(&self, out: &mut Vec<u8>) {
        codec::put_bytes(out, self.subject.as_bytes());
        codec::put_bytes(out, self.purpose.as_bytes());
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            subject: reader.name("subject")?.to_owned(),
            purpose: purpose(reader)?,
        })
    }

    fn to_json(&self) -> Value {
        serde_json::json!({ "subject": self.subject, "purpose": self.purpose })
    }

    fn from_json(object: &json::Object) -> Option<Self> {
        Some(Self {
            subject: object.name("subject")?,
            purpose: purpose_of(object)?,
        })
    }
}

fn purpose(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    let start = reader.clone();
    match reader.text("purpose", PURPOSE_BYTES_MAX)? {
        "" => Err(start.error("purpose", DecodeProblem::Value("a purpose can't be empty"))),
        purpose => Ok(purpose.to_owned()),
    }
}

fn purpose_of(object: &json::Object) -> Option<String> {
    let purpose = object.text("purpose", PURPOSE_BYTES_MAX)?;
    (!purpose.is_empty()).then_some(purpose)
}
