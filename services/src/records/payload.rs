//! What hubs say of their performance.

use std::collections::BTreeMap;

use hubledger::codec::{self, DecodeError, DecodeProblem, Reader};
use serde_json::{Map, Value, json};

use crate::payload::{Fields, Form};
use crate::service_payloads;

/// The most figures in a record.
pub const FIGURES_MAX: usize = 64;
/// The longest name of a figure, in bytes.
pub const FIGURE_NAME_BYTES_MAX: usize = 64;

service_payloads! {
    /// What hubs say of their performance.
    RecordPayload {
        /// Says what its sender measured.
        PerformanceRecord = 64, "performance_record", [Message, NodeUpdate];
    }
}

/// What its sender measured in a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerformanceRecord {
    /// When the period began, in microseconds since 1970.
    pub start: u64,
    /// When it ended; not before it began.
    pub end: u64,
    /// The figures by name: at most [`FIGURES_MAX`], names of 1 to [`FIGURE_NAME_BYTES_MAX`] bytes.
    pub figures: BTreeMap<String, u64>,
}

impl Form for PerformanceRecord {
    fn encode(&self, out: &mut Vec<u8>) {
        codec::put_u64(out, self.start);
        codec::put_u64(out, self.end);
        put_figures(&self.figures, out);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let first = reader.clone();
        let (start, end) = (reader.u64("start")?, reader.u64("end")?);
        if end < start {
            return Err(first.error("end", DecodeProblem::Value("it ends before it begins")));
        }
        let figures = figures(reader)?;
        Ok(Self {
            start,
            end,
            figures,
        })
    }

    fn to_json(&self) -> Value {
        json!({ "start": self.start, "end": self.end, "figures": figures_json(&self.figures) })
    }

    fn from_fields(fields: &Fields) -> Option<Self> {
        let start = fields.value("start")?.as_u64()?;
        let end = fields.value("end")?.as_u64().filter(|end| *end >= start)?;
        let object = fields.value("figures")?.as_object();
        let object = object.filter(|object| object.len() <= FIGURES_MAX)?;
        let figures = object.iter().map(|(name, figure)| {
            is_name(name).then_some(())?;
            Some((name.clone(), figure.as_u64()?))
        });
        Some(Self {
            start,
            end,
            figures: figures.collect::<Option<_>>()?,
        })
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= FIGURE_NAME_BYTES_MAX
}

pub(super) fn put_figures(figures: &BTreeMap<String, u64>, out: &mut Vec<u8>) {
    codec::put_count(out, figures.len());
    for (name, figure) in figures {
        codec::put_bytes(out, name.as_bytes());
        codec::put_u64(out, *figure);
    }
}

pub(super) fn figures(reader: &mut Reader<'_>) -> Result<BTreeMap<String, u64>, DecodeError> {
    const FIELD: &str = "figures";
    let count = reader.count(FIELD, FIGURES_MAX, 13)?;
    let mut figures: BTreeMap<String, u64> = BTreeMap::new();
    for _ in 0..count {
        let start = reader.clone();
        let name = reader.text(FIELD, FIGURE_NAME_BYTES_MAX)?;
        if !is_name(name) {
            return Err(start.error(FIELD, DecodeProblem::Value("a name can't be empty")));
        }
        let last = figures.last_key_value();
        if last.is_some_and(|(last, _)| last.as_str() >= name) {
            return Err(start.error(FIELD, DecodeProblem::Order));
        }
        figures.insert(name.to_owned(), reader.u64(FIELD)?);
    }
    Ok(figures)
}

pub(super) fn figures_json(figures: &BTreeMap<String, u64>) -> Value {
    let figures = figures
        .iter()
        .map(|(name, figure)| (name.clone(), (*figure).into()));
    Value::Object(figures.collect::<Map<_, _>>())
}
