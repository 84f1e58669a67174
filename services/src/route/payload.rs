//! What transactions say about the ways that messages take.

use hubledger::codec::{self, DecodeError, DecodeProblem, Reader};
use hubledger::digest::TransactionId;
use serde_json::{Map, Number, Value};

use crate::payload::{Fields, Form, MEANING_BYTES_MAX};
use crate::service_payloads;

/// The most hops that a message can take.
pub const HOPS_MAX: usize = 64;

/// The most bytes that a message and the names in its path have together.
pub const ROUTED_BYTES_MAX: usize = MEANING_BYTES_MAX - 1024;

service_payloads! {
    /// What transactions say about the ways that messages take.
    RoutePayload {
        /// Sends a message by way of nodes.
        RoutedMessage = 48, "message_route", [Message];
        /// A node says that it has had a message.
        MessageForward = 49, "message_forward", [NodeUpdate];
    }
}

/// Sends a message by way of nodes. Its transaction's receiver is whom it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutedMessage {
    /// The nodes that are to carry it, in this order: 1 to [`HOPS_MAX`] names. Who comes behind the last of them is for that node to say.
    pub path: Vec<String>,
    /// The message; with the names at most [`ROUTED_BYTES_MAX`] bytes.
    pub body: Vec<u8>,
}

/// What a message pays by the length of its way, where the hubs of a chain have agreed on that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoutingFee {
    /// For the message itself.
    pub base: u64,
    /// For each hop.
    pub per_hop: u64,
}

impl RoutingFee {
    /// The fee of a message over so many hops; `u64::MAX` if it would be more.
    #[must_use]
    pub const fn of(self, hops: usize) -> u64 {
        self.base
            .saturating_add(self.per_hop.saturating_mul(hops as u64))
    }
}

impl RoutedMessage {
    fn is_within_limits(&self) -> bool {
        let names: usize = self.path.iter().map(String::len).sum();
        (1..=HOPS_MAX).contains(&self.path.len()) && names + self.body.len() <= ROUTED_BYTES_MAX
    }
}

impl Form for RoutedMessage {
    fn encode(&self, out: &mut Vec<u8>) {
        codec::put_count(out, self.path.len());
        for name in &self.path {
            codec::put_bytes(out, name.as_bytes());
        }
        codec::put_bytes(out, &self.body);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.clone();
        let count = reader.count("routing_path", HOPS_MAX, 5)?;
        let path: Result<_, DecodeError> = (0..count)
            .map(|_| reader.name("routing_path").map(str::to_owned))
            .collect();
        let message = Self {
            path: path?,
            body: reader.bytes("body", ROUTED_BYTES_MAX)?.to_vec(),
        };
        match message.is_within_limits() {
            true => Ok(message),
            false => Err(start.error("routing_path", DecodeProblem::Value("no path, or too long"))),
        }
    }

    fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("routing_path".to_owned(), self.path.clone().into());
        let body = String::from_utf8_lossy(&self.body).into_owned();
        object.insert("body".to_owned(), body.into());
        Value::Object(object)
    }

    fn from_fields(fields: &Fields) -> Option<Self> {
        let path = fields.texts("routing_path", HOPS_MAX, codec::NAME_BYTES_MAX)?;
        let message = Self {
            path,
            body: fields
                .text_or_empty("body", ROUTED_BYTES_MAX)?
                .as_bytes()
                .to_vec(),
        };
        let is_named = message.path.iter().all(|name| !name.is_empty());
        (is_named && message.is_within_limits()).then_some(message)
    }
}

/// A node, the transaction's sender, says that it has had a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageForward {
    /// The transaction that carries the message.
    pub original_message_id: TransactionId,
    /// So many nodes had it before: below [`HOPS_MAX`].
    pub hop_number: u32,
    /// When the node had it, in microseconds since 1970; 0 says no more than the timestamp of the transaction does.
    pub timestamp: u64,
    /// Whom it hands the message to. It counts for nothing where the message's own path names a node there, and `None` behind the path says that
    /// the message has arrived.
    pub next_hop: Option<String>,
}

impl Form for MessageForward {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.original_message_id.0);
        codec::put_u32(out, self.hop_number);
        codec::put_u64(out, self.timestamp);
        out.push(self.next_hop.is_some().into());
        if let Some(name) = &self.next_hop {
            codec::put_bytes(out, name.as_bytes());
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let original_message_id = TransactionId(reader.array("original_message_id")?);
        let start = reader.clone();
        let hop_number = reader.u32("hop_number")?;
        if hop_number as usize >= HOPS_MAX {
            return Err(start.error("hop_number", DecodeProblem::Value("too many hops")));
        }
        Ok(Self {
            original_message_id,
            hop_number,
            timestamp: reader.u64("timestamp")?,
            next_hop: match reader.flag("next_hop")? {
                true => Some(reader.name("next_hop")?.to_owned()),
                false => None,
            },
        })
    }

    fn to_json(&self) -> Value {
        let mut object = Map::new();
        let id = self.original_message_id.to_string();
        object.insert("original_message_id".to_owned(), id.into());
        object.insert("hop_number".to_owned(), self.hop_number.into());
        object.insert("timestamp".to_owned(), seconds(self.timestamp));
        if let Some(name) = &self.next_hop {
            object.insert("next_hop".to_owned(), name.clone().into());
        }
        Value::Object(object)
    }

    fn from_fields(fields: &Fields) -> Option<Self> {
        let hop_number = fields.value("hop_number")?.as_u64()?;
        Some(Self {
            original_message_id: TransactionId(fields.digest("original_message_id")?.0),
            hop_number: u32::try_from(hop_number)
                .ok()
                .filter(|number| (*number as usize) < HOPS_MAX)?,
            timestamp: match fields.value("timestamp") {
                Some(Value::Number(number)) => microseconds(number)?,
                Some(_) => return None,
                None => 0,
            },
            next_hop: match fields.has("next_hop") {
                true => Some(fields.name("next_hop")?.to_owned()),
                false => None,
            },
        })
    }
}

/// Microseconds as seconds, as MPREG writes a time. Exact, which a binary floating-point number isn't.
fn seconds(microseconds: u64) -> Value {
    let (whole, rest) = (microseconds / 1_000_000, microseconds % 1_000_000);
    let text = format!("{whole}.{rest:06}");
    text.parse::<Number>().map_or(Value::Null, Value::Number)
}

/// Seconds, whole or with a fraction, in microseconds; what is smaller is cut off. `None` of what is negative, written with an exponent, or too
/// large.
fn microseconds(seconds: &Number) -> Option<u64> {
    let text = seconds.as_str();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_decimal = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
    if !is_decimal(whole) || !is_decimal(fraction) {
        return None;
    }
    let mut rest = 0;
    for place in 0..6 {
        let digit = fraction
            .as_bytes()
            .get(place)
            .map_or(0, |digit| digit - b'0');
        rest = rest * 10 + u64::from(digit);
    }
    let whole: u64 = whole.parse().ok()?;
    whole.checked_mul(1_000_000)?.checked_add(rest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_are_read_as_python_writes_them() {
        for (text, expected) in [
            ("1767225600", Some(1_767_225_600_000_000)),
            ("1767225600.5", Some(1_767_225_600_500_000)),
            ("1767225600.1234567", Some(1_767_225_600_123_456)),
            ("0.000001", Some(1)),
            ("-1.0", None),
            ("1e3", None),
            ("18446744073709.551615", Some(u64::MAX)),
            ("18446744073709.551616", None),
        ] {
            let number: Number = text.parse().unwrap();
            assert_eq!(microseconds(&number), expected, "{text}");
        }
        for time in [0, 1, 999_999, 1_767_225_600_123_456, u64::MAX] {
            let Value::Number(number) = seconds(time) else {
                panic!("not a number");
            };
            assert_eq!(microseconds(&number), Some(time));
        }
    }
}
