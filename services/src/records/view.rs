//! What blocks come to in the records.

use hubledger::codec;

use super::payload::{PerformanceRecord, RecordPayload, put_figures};
use super::rows::{Hub, TABLE_HUBS, TABLE_RECORDS, TABLE_TIMES, at, hub_prefix};
use crate::recorded::Recorded;
use crate::view::{CommittedBlock, Result, Rows, View, ViewError};

/// Performance records by hub and time.
#[derive(Debug, Clone, Copy, Default)]
pub struct RecordsView;

impl RecordsView {
    /// What the view is called.
    pub const NAME: &'static str = "records";
}

/// Whether a hub that commits its figures every so many blocks does so after the block at `height`; never with 0.
#[must_use]
pub const fn is_due(height: u64, every: u64) -> bool {
    every > 0 && height > 0 && height.is_multiple_of(every)
}

impl View for RecordsView {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn apply(&self, block: &CommittedBlock<'_>, rows: &mut Rows) -> Result<()> {
        for entry in block.sayings() {
            if let Some(RecordPayload::PerformanceRecord(said)) = RecordPayload::of(&entry) {
                keep(entry.sender(), &said, &Recorded::of(block, &entry), rows)?;
            }
        }
        Ok(())
    }
}

pub(super) fn damaged(table: u8, problem: impl ToString) -> ViewError {
    ViewError::Damaged {
        view: RecordsView::NAME,
        table,
        problem: problem.to_string(),
    }
}

fn keep(
    sender: &str,
    said: &PerformanceRecord,
    recorded: &Recorded,
    rows: &mut Rows,
) -> Result<()> {
    let Some(prefix) = hub_prefix(sender) else {
        return Ok(());
    };
    let place = (recorded.height, recorded.index);
    let mut row = Vec::with_capacity(64 + 24 * said.figures.len());
    recorded.encode(&mut row);
    codec::put_u64(&mut row, said.start);
    put_figures(&said.figures, &mut row);
    rows.put(TABLE_RECORDS, at(&prefix, said.end, place), row);
    rows.put(
        TABLE_TIMES,
        at(&[], said.end, place),
        sender.as_bytes().to_vec(),
    );
    let hub = match rows.get(TABLE_HUBS, sender.as_bytes())? {
        Some(row) => Hub::decode(&row).map_err(|error| damaged(TABLE_HUBS, error))?,
        None => Hub {
            records: 0,
            last_end: 0,
        },
    };
    let hub = Hub {
        records: hub.records + 1,
        last_end: hub.last_end.max(said.end),
    };
    rows.put(TABLE_HUBS, sender.as_bytes().to_vec(), hub.encode());
    Ok(())
}
