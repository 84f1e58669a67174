//! What the chain changed of its own parameters, and from when to when each value holds.

use super::{Table, whole};
use crate::format::codec::{self, DecodeError, DecodeProblem, Reader};
use crate::format::payload::ParameterValue;
use crate::format::spec::Parameter;

/// A value of a parameter, at the heights from one, which is in the row's key, up to and without another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The height at which it holds no more; 0 while that isn't known.
    pub until: u64,
    /// The first height of the value before; 0 if that is the specification's.
    pub before: u64,
    /// The value.
    pub value: ParameterValue,
}

/// A row about a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterRow {
    /// The first height of its last value, which may be to come. The row that leads to all others.
    Last(u64),
    /// One of its values.
    Change(Parameter, Change),
}

/// The table of parameters: by the parameter's number, and by that and the first height of a value.
#[derive(Debug, Clone, Copy)]
pub struct Parameters;

impl Parameters {
    /// The key of the row that names the last change.
    #[must_use]
    pub fn last_key(parameter: Parameter) -> Vec<u8> {
        vec![parameter.number()]
    }

    /// The key of a value: the parameter's number and the value's first height, big-endian.
    #[must_use]
    pub fn key(parameter: Parameter, from: u64) -> Vec<u8> {
        [&[parameter.number()][..], &from.to_be_bytes()].concat()
    }
}

impl Table for Parameters {
    const NUMBER: u8 = 5;
    type Value = ParameterRow;

    fn check_key(key: &[u8]) -> Result<(), DecodeProblem> {
        let is_known = key
            .first()
            .and_then(|number| Parameter::from_number(*number));
        match (is_known, key.len()) {
            (Some(_), 1 | 9) => Ok(()),
            _ => Err(DecodeProblem::Value("not a parameter")),
        }
    }

    fn encode(value: &ParameterRow) -> Vec<u8> {
        let mut out = Vec::with_capacity(32);
        match value {
            ParameterRow::Last(from) => {
                out.push(0);
                codec::put_u64(&mut out, *from);
            }
            ParameterRow::Change(parameter, change) => {
                out.push(parameter.number());
                codec::put_u64(&mut out, change.until);
                codec::put_u64(&mut out, change.before);
                change.value.encode(&mut out);
            }
        }
        out
    }

    fn decode(bytes: &[u8]) -> Result<ParameterRow, DecodeError> {
        whole(bytes, "parameter", |reader| {
            let start: Reader<'_> = reader.clone();
            let number = reader.u8("parameter")?;
            if number == 0 {
                return Ok(ParameterRow::Last(reader.u64("from")?));
            }
            let parameter = Parameter::from_number(number)
                .ok_or_else(|| start.error("parameter", DecodeProblem::Tag(number)))?;
            Ok(ParameterRow::Change(
                parameter,
                Change {
                    until: reader.u64("until")?,
                    before: reader.u64("before")?,
                    value: ParameterValue::decode(parameter, reader)?,
                },
            ))
        })
    }
}
