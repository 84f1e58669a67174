//! What can be asked of the audit.

use std::ops::Range;

use bytes::Bytes;
use hubledger_storage::{KeyRange, RangeLimit};
use serde_json::{Map, Value};

use super::rows::{Act, Done, TABLE_ACTS, TABLE_BY_ACT, TABLE_BY_ACTOR, actor_prefix, with_order};
use super::view::damaged;
use crate::recorded::Recorded;
use crate::view::{AsOf, Result, Snapshot};

/// Rows that are looked at for one answer, whether they pass the filter or not.
const LOOKED_AT_MAX: usize = 100_000;
/// Rows are read so many at a time.
const READ_ROWS: usize = 1024;

/// Which lines are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    /// Of one of these acts; of any if empty.
    pub acts: Vec<Act>,
    /// By this one alone.
    pub actor: Option<String>,
    /// To this subject alone.
    pub subject: Option<String>,
}

/// Who did what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLine {
    /// The transaction that proves it.
    pub recorded: Recorded,
    /// When its block was made, in microseconds since 1970.
    pub time: u64,
    /// What.
    pub act: Act,
    /// Who: the sender.
    pub actor: String,
    /// To whom or what; may be empty.
    pub subject: String,
}

/// Lines within a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    /// In the order of the chain.
    pub lines: Vec<AuditLine>,
    /// Where to go on; `None` if that was all.
    pub next: Option<(u64, u32)>,
}

impl AuditLine {
    /// As a line of an export.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("source".to_owned(), "chain".into());
        object.insert("time".to_owned(), self.time.into());
        object.insert("act".to_owned(), self.act.word().into());
        object.insert("actor".to_owned(), self.actor.clone().into());
        object.insert("subject".to_owned(), self.subject.clone().into());
        self.recorded.put_json(&mut object);
        Value::Object(object)
    }
}

/// The audit as of one block.
#[derive(Debug, Clone)]
pub struct Audit {
    snapshot: Snapshot,
}

impl Audit {
    /// Over a snapshot of the [view](super::AuditView).
    #[must_use]
    pub const fn new(snapshot: Snapshot) -> Self {
        Self { snapshot }
    }

    /// After which block the answers are right.
    #[must_use]
    pub const fn as_of(&self) -> Option<AsOf> {
        self.snapshot.as_of()
    }

    /// The lines that pass a filter, from a place on the chain to below a height, at most so many. At most 100,000 rows are looked at: an answer may have
    /// fewer lines than there are, or none, and go on elsewhere. An actor is looked up by an index, else one act alone.
    ///
    /// # Errors
    /// The store failed; a damaged row.
    pub fn lines(
        &self,
        filter: &AuditFilter,
        (height, index): (u64, u32),
        below: u64,
        most: usize,
    ) -> Result<Lines> {
        let Some((table, prefix)) = index_of(filter).filter(|_| height < below) else {
            let lines = Vec::new();
            return Ok(Lines { lines, next: None });
        };
        let keys = Range {
            start: with_order(prefix.clone(), height, index),
            end: with_order(prefix, below, 0),
        };
        self.pass(filter, table, keys, most)
    }

    fn pass(
        &self,
        filter: &AuditFilter,
        table: u8,
        keys: Range<Vec<u8>>,
        most: usize,
    ) -> Result<Lines> {
        let mut range = KeyRange {
            from: keys.start.into(),
            below: Some(keys.end.into()),
            is_descending: false,
        };
        let limit = RangeLimit {
            rows: READ_ROWS,
            bytes: usize::MAX,
        };
        let (mut lines, mut looked_at) = (Vec::new(), 0);
        loop {
            let rows = self.snapshot.range(table, &range, limit)?;
            let Some((last, _)) = rows.last() else {
                return Ok(Lines { lines, next: None });
            };
            range.from = [&last[..], &[0]].concat().into();
            for (key, row) in rows {
                let place = place(table, &key)?;
                if lines.len() >= most.max(1) || looked_at >= LOOKED_AT_MAX {
                    let next = Some(place);
                    return Ok(Lines { lines, next });
                }
                looked_at += 1;
                let line = self.line(table, place, row)?;
                if filter.passes(&line) {
                    lines.push(line);
                }
            }
        }
    }

    fn line(&self, table: u8, (height, index): (u64, u32), row: Bytes) -> Result<AuditLine> {
        let row = match table {
            TABLE_ACTS => row,
            _ => {
                let order = with_order(Vec::new(), height, index);
                let row = self.snapshot.get(TABLE_ACTS, &order)?;
                row.ok_or_else(|| damaged(table, "a place where nothing was done"))?
            }
        };
        let done = Done::decode(&row).map_err(|error| damaged(TABLE_ACTS, error))?;
        Ok(AuditLine {
            recorded: Recorded {
                height,
                index,
                id: done.id,
            },
            time: done.time,
            act: done.act,
            actor: done.actor,
            subject: done.subject,
        })
    }
}

impl AuditFilter {
    fn passes(&self, line: &AuditLine) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| *wanted == found)
        };
        (self.acts.is_empty() || self.acts.contains(&line.act))
            && is(&self.actor, &line.actor)
            && is(&self.subject, &line.subject)
    }
}

/// The table that leads to what passes a filter, and what its keys begin with; `None` where nothing can pass.
fn index_of(filter: &AuditFilter) -> Option<(u8, Vec<u8>)> {
    match (&filter.actor, filter.acts.as_slice()) {
        (Some(actor), _) => Some((TABLE_BY_ACTOR, actor_prefix(actor)?)),
        (None, [act]) => Some((TABLE_BY_ACT, vec![act.number()])),
        (None, _) => Some((TABLE_ACTS, Vec::new())),
    }
}

fn place(table: u8, key: &[u8]) -> Result<(u64, u32)> {
    let place = key.last_chunk::<12>();
    Recorded::place(place.ok_or_else(|| damaged(table, "a short key"))?)
        .ok_or_else(|| damaged(table, "a short key"))
}
