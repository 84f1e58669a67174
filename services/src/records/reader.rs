//! What can be asked of the records.

use std::collections::BTreeMap;

use bytes::Bytes;
use hubledger::codec::{DecodeError, DecodeProblem, Reader};
use hubledger_storage::{KeyRange, RangeLimit};
use serde_json::{Map, Value};

use super::payload::{figures, figures_json};
use super::rows::{Hub, TABLE_HUBS, TABLE_RECORDS, TABLE_TIMES, at, hub_prefix};
use super::view::damaged;
use crate::recorded::Recorded;
use crate::view::{AsOf, Result, Snapshot};

/// A hub's figures of a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The hub.
    pub hub: String,
    /// When the period began, in microseconds since 1970.
    pub start: u64,
    /// When it ended.
    pub end: u64,
    /// Figures by name.
    pub figures: BTreeMap<String, u64>,
    /// Where the hub says so.
    pub recorded: Recorded,
}

/// Records within a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordPage {
    /// By the ends of their periods, and then in the order of the chain.
    pub records: Vec<Record>,
    /// Where to go on: end, height, index; `None` if that was all.
    pub next: Option<(u64, (u64, u32))>,
}

/// What a figure was over several records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// So many records have it.
    pub count: u64,
    /// All together.
    pub sum: u128,
    /// The smallest.
    pub min: u64,
    /// The largest.
    pub max: u64,
}

impl Record {
    /// For outputs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("hub".to_owned(), self.hub.clone().into());
        object.insert("start".to_owned(), self.start.into());
        object.insert("end".to_owned(), self.end.into());
        object.insert("figures".to_owned(), figures_json(&self.figures));
        self.recorded.put_json(&mut object);
        Value::Object(object)
    }
}

impl RecordPage {
    /// What the figures were over these records, by name.
    #[must_use]
    pub fn summaries(&self) -> BTreeMap<&str, Summary> {
        let mut summaries: BTreeMap<&str, Summary> = BTreeMap::new();
        for (name, figure) in self.records.iter().flat_map(|record| &record.figures) {
            let summary = summaries.entry(name).or_default();
            summary.min = match summary.count {
                0 => *figure,
                _ => summary.min.min(*figure),
            };
            summary.max = summary.max.max(*figure);
            summary.sum += u128::from(*figure);
            summary.count += 1;
        }
        summaries
    }
}

/// Performance records as of one block.
#[derive(Debug, Clone)]
pub struct Records {
    snapshot: Snapshot,
}

impl Records {
    /// Over a snapshot of the [view](super::RecordsView).
    #[must_use]
    pub const fn new(snapshot: Snapshot) -> Self {
        Self { snapshot }
    }

    /// After which block the answers are right.
    #[must_use]
    pub const fn as_of(&self) -> Option<AsOf> {
        self.snapshot.as_of()
    }

    /// What is known of a hub. O(log rows).
    ///
    /// # Errors
    /// The store failed; a damaged row.
    pub fn hub(&self, name: &str) -> Result<Option<Hub>> {
        let row = self.snapshot.get(TABLE_HUBS, name.as_bytes())?;
        let hub = row.map(|row| Hub::decode(&row)).transpose();
        hub.map_err(|error| damaged(TABLE_HUBS, error))
    }

    /// Records of one hub, or of all, whose period ended from a time on and before `below`, at most so many. `from` is a time with (0, 0), or where an answer
    /// before says to go on. O(log rows + records).
    ///
    /// # Errors
    /// The store failed; a damaged row.
    pub fn records(
        &self,
        hub: Option<&str>,
        from: (u64, (u64, u32)),
        below: u64,
        most: usize,
    ) -> Result<RecordPage> {
        let (table, prefix) = match hub.map(hub_prefix) {
            Some(Some(prefix)) => (TABLE_RECORDS, prefix),
            None => (TABLE_TIMES, Vec::new()),
            Some(None) => return Ok(RecordPage::none()),
        };
        if from.0 >= below {
            return Ok(RecordPage::none());
        }
        let range = KeyRange {
            from: at(&prefix, from.0, from.1).into(),
            below: Some(at(&prefix, below, (0, 0)).into()),
            is_descending: false,
        };
        let limit = RangeLimit {
            rows: most.max(1).saturating_add(1),
            bytes: usize::MAX,
        };
        let rows = self.snapshot.range(table, &range, limit)?;
        let mut page = RecordPage::none();
        for (key, row) in rows {
            let (end, place) = time_of(&key).ok_or_else(|| damaged(table, "a short key"))?;
            if page.records.len() >= most.max(1) {
                page.next = Some((end, place));
                break;
            }
            page.records.push(match hub {
                Some(hub) => decode(hub, end, &row)?,
                None => self.record_at(&row, end, place)?,
            });
        }
        Ok(page)
    }

    fn record_at(&self, hub: &Bytes, end: u64, place: (u64, u32)) -> Result<Record> {
        let text = std::str::from_utf8(hub);
        let hub = text.map_err(|error| damaged(TABLE_TIMES, error))?;
        let prefix = hub_prefix(hub).ok_or_else(|| damaged(TABLE_TIMES, "not a name"))?;
        let row = self.snapshot.get(TABLE_RECORDS, &at(&prefix, end, place))?;
        decode(
            hub,
            end,
            &row.ok_or_else(|| damaged(TABLE_TIMES, "no record"))?,
        )
    }
}

impl RecordPage {
    const fn none() -> Self {
        Self {
            records: Vec::new(),
            next: None,
        }
    }
}

/// The end of the period and the place that a key ends in.
fn time_of(key: &[u8]) -> Option<(u64, (u64, u32))> {
    let (before, order) = key.split_last_chunk::<12>()?;
    let end = before.last_chunk::<8>()?;
    Some((u64::from_be_bytes(*end), Recorded::place(order)?))
}

fn decode(hub: &str, end: u64, row: &[u8]) -> Result<Record> {
    let read = || {
        let mut reader = Reader::new(row);
        let recorded = Recorded::decode(&mut reader)?;
        let start = reader.u64("start")?;
        let figures = figures(&mut reader)?;
        match reader.remaining() {
            0 => Ok((recorded, start, figures)),
            rest => Err(reader.error("record", DecodeProblem::Trailing(rest))),
        }
    };
    let (recorded, start, figures) =
        read().map_err(|error: DecodeError| damaged(TABLE_RECORDS, error))?;
    Ok(Record {
        hub: hub.to_owned(),
        start,
        end,
        figures,
        recorded,
    })
}
