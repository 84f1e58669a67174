//! What transactions say about what their senders knew.

use hubledger::codec::{self, DecodeError, DecodeProblem, Reader};
use hubledger::model::{Kind, Transaction, VectorClock};
use serde_json::{Map, Value};

use crate::payload::{Fields, Form, MEANING_BYTES_MAX};
use crate::service_payloads;
use crate::view::Entry;

/// The most entries that the clock of a message can have.
pub const MESSAGE_CLOCK_ENTRIES_MAX: usize = 64;

/// The most bytes that the body of an event and the names in its clock have together.
pub const EVENT_BYTES_MAX: usize = MEANING_BYTES_MAX - 1024;

const CLOCK: &str = "vector_clock";

service_payloads! {
    /// What transactions say to the causal order.
    CausalPayload {
        /// Something happened, of which its sender says what it knew then.
        CausalEvent = 50, "causal_event", [Message, NodeUpdate];
    }
}

/// Something happened, of which the transaction's sender says what it knew then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CausalEvent {
    /// How many events of each node the sender knew, this one among its own; at most [`MESSAGE_CLOCK_ENTRIES_MAX`] entries.
    pub vector_clock: VectorClock,
    /// What happened; with the names in the clock at most [`EVENT_BYTES_MAX`] bytes.
    pub body: Vec<u8>,
}

impl CausalEvent {
    fn is_within_limits(&self) -> bool {
        let names: usize = self.vector_clock.iter().map(|(name, _)| name.len()).sum();
        (1..=MESSAGE_CLOCK_ENTRIES_MAX).contains(&self.vector_clock.len())
            // An entry takes 12 bytes beside its name.
            && names + 12 * self.vector_clock.len() + self.body.len() <= EVENT_BYTES_MAX
    }
}

impl Form for CausalEvent {
    fn encode(&self, out: &mut Vec<u8>) {
        self.vector_clock.encode(out);
        codec::put_bytes(out, &self.body);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.clone();
        let event = Self {
            vector_clock: VectorClock::decode(reader)?,
            body: reader.bytes("body", EVENT_BYTES_MAX)?.to_vec(),
        };
        match event.is_within_limits() {
            true => Ok(event),
            false => Err(start.error(CLOCK, DecodeProblem::Value("no entries, or too long"))),
        }
    }

    fn to_json(&self) -> Value {
        let entries = self.vector_clock.iter();
        let entries = entries.map(|(name, counter)| (name.to_owned(), counter.into()));
        let mut object = Map::new();
        object.insert(CLOCK.to_owned(), Value::Object(entries.collect()));
        let body = String::from_utf8_lossy(&self.body).into_owned();
        object.insert("body".to_owned(), body.into());
        Value::Object(object)
    }

    fn from_fields(fields: &Fields) -> Option<Self> {
        let body = fields.text_or_empty("body", EVENT_BYTES_MAX)?;
        let event = Self {
            vector_clock: clock_of(fields)?,
            body: body.as_bytes().to_vec(),
        };
        event.is_within_limits().then_some(event)
    }
}

/// The clock that a payload in JSON carries, whatever else it says: an object of whole numbers by name.
fn clock_of(fields: &Fields) -> Option<VectorClock> {
    let entries = fields.value(CLOCK)?.as_object()?;
    if entries.is_empty() || entries.len() > MESSAGE_CLOCK_ENTRIES_MAX {
        return None;
    }
    let entries: Option<Vec<_>> = entries
        .iter()
        .map(|(name, counter)| Some((name.clone(), counter.as_u64()?)))
        .collect();
    VectorClock::new(entries?)
        .ok()
        .filter(|clock| !clock.is_empty())
}

/// The clock that a transaction carries: that of an event, or the field `vector_clock` of any payload in JSON.
pub(super) fn clock(entry: &Entry<'_>) -> Option<VectorClock> {
    if let Some(CausalPayload::CausalEvent(event)) = CausalPayload::of(entry) {
        return Some(event.vector_clock);
    }
    let transaction: &Transaction = entry.transaction();
    match transaction.kind() {
        Kind::Native => clock_of(entry.fields()?),
        // Its payload is a record of the original's.
        Kind::Mpreg => None,
    }
}
