//! Payloads by which a chain changes its own parameters.

use serde_json::{Value, json};

use super::super::codec::{self, DecodeError, DecodeProblem, Reader};
use super::super::digest::TransactionId;
use super::super::signature::PublicKey;
use super::super::spec::{Authority, Parameter};
use super::{Form, json};

/// The longest encoding of a parameter's value, in bytes.
pub const VALUE_BYTES_MAX: usize = 32 * 1024;

/// The most members that a chain which changes them can have.
pub const VALUE_MEMBERS_MAX: usize = 256;

/// What a parameter is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterValue {
    /// Of every parameter that is a number.
    Number(u64),
    /// Of [`Parameter::Members`]: who takes part, all of them, in turn order.
    Members(Vec<Authority>),
}

impl ParameterValue {
    /// Whether it is of the kind that this parameter has.
    #[must_use]
    pub const fn fits(&self, parameter: Parameter) -> bool {
        matches!((self, parameter), (Self::Members(_), Parameter::Members))
            || (matches!(self, Self::Number(_)) && !matches!(parameter, Parameter::Members))
    }

    /// Appends the canonical bytes: a number u64, or the list of members, each with name, key and weight u64.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(number) => codec::put_u64(out, *number),
            Self::Members(members) => {
                codec::put_count(out, members.len());
                for member in members {
                    codec::put_bytes(out, member.name.as_bytes());
                    out.extend_from_slice(member.key.as_bytes());
                    codec::put_u64(out, member.weight);
                }
            }
        }
    }

    /// Reads a value of this parameter.
    ///
    /// # Errors
    /// Anything but its canonical bytes, within [`VALUE_MEMBERS_MAX`] and [`VALUE_BYTES_MAX`].
    pub fn decode(parameter: Parameter, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        const FIELD: &str = "value";
        if parameter != Parameter::Members {
            return Ok(Self::Number(reader.u64(FIELD)?));
        }
        let start = reader.clone();
        let count = reader.count(FIELD, VALUE_MEMBERS_MAX, 45)?;
        let mut members = Vec::with_capacity(count);
        for _ in 0..count {
            let name = reader.name(FIELD)?.to_owned();
            let key = PublicKey::from_bytes(reader.array(FIELD)?);
            let weight = reader.u64(FIELD)?;
            members.push(Authority { name, key, weight });
        }
        if reader.position() - start.position() > VALUE_BYTES_MAX {
            let problem = DecodeProblem::Limit {
                found: (reader.position() - start.position()) as u64,
                limit: VALUE_BYTES_MAX as u64,
            };
            return Err(start.error(FIELD, problem));
        }
        Ok(Self::Members(members))
    }

    /// The JSON form: a number, or a list of objects with name and key.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Number(number) => json!(number),
            Self::Members(members) => {
                let member = |one: &Authority| match one.weight {
                    1 => json!({ "name": one.name, "key": one.key.to_string() }),
                    weight => {
                        json!({ "name": one.name, "key": one.key.to_string(), "weight": weight })
                    }
                };
                members.iter().map(member).collect()
            }
        }
    }

    fn from_json(value: &Value) -> Option<Self> {
        if let Some(number) = value.as_u64() {
            return Some(Self::Number(number));
        }
        let members = value
            .as_array()
            .filter(|list| list.len() <= VALUE_MEMBERS_MAX)?;
        let member = |one: &Value| {
            let one = json::Object::within(one.as_object()?.clone());
            Some(Authority {
                name: one.name("name")?,
                key: one.value("key")?.as_str()?.parse().ok()?,
                weight: match one.value("weight") {
                    Some(weight) => weight.as_u64()?,
                    None => 1,
                },
            })
        };
        let members = Self::Members(members.iter().map(member).collect::<Option<_>>()?);
        let mut bytes = Vec::new();
        members.encode(&mut bytes);
        (bytes.len() <= VALUE_BYTES_MAX).then_some(members)
    }
}

/// Proposes that a parameter be something else from a height on. Whoever proposes approves; another proposal of the same sender takes
/// its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Propose {
    /// Which one.
    pub parameter: Parameter,
    /// What it is to be.
    pub value: ParameterValue,
    /// The height from which on.
    pub effective: u64,
}

impl Form for Propose {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.parameter.number());
        codec::put_u64(out, self.effective);
        self.value.encode(out);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.clone();
        let number = reader.u8("parameter")?;
        let parameter = Parameter::from_number(number)
            .ok_or_else(|| start.error("parameter", DecodeProblem::Tag(number)))?;
        let effective = reader.u64("effective")?;
        let value = ParameterValue::decode(parameter, reader)?;
        Ok(Self {
            parameter,
            value,
            effective,
        })
    }

    fn to_json(&self) -> Value {
        json!({
            "parameter": self.parameter.word(),
            "value": self.value.to_json(),
            "effective": self.effective,
        })
    }

    fn from_json(object: &json::Object) -> Option<Self> {
        let word = object.value("parameter")?.as_str()?;
        let parameter = Parameter::from_word(word)?;
        let value = ParameterValue::from_json(object.value("value")?)?;
        let effective = object.value("effective")?.as_u64()?;
        value.fits(parameter).then_some(Self {
            parameter,
            value,
            effective,
        })
    }
}

/// Approves of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approve {
    /// Whose proposal.
    pub proposer: String,
    /// The transaction in which it was made: a later one of the same proposer is another.
    pub proposal: TransactionId,
}

impl Form for Approve {
    fn encode(&self, out: &mut Vec<u8>) {
        codec::put_bytes(out, self.proposer.as_bytes());
        out.extend_from_slice(&self.proposal.0);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            proposer: reader.name("proposer")?.to_owned(),
            proposal: TransactionId(reader.array("proposal")?),
        })
    }

    fn to_json(&self) -> Value {
        json!({ "proposer": self.proposer, "proposal": self.proposal.to_string() })
    }

    fn from_json(object: &json::Object) -> Option<Self> {
        Some(Self {
            proposer: object.name("proposer")?,
            proposal: object.value("proposal")?.as_str()?.parse().ok()?,
        })
    }
}
