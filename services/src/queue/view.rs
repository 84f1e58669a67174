//! What blocks come to in the queue.

use hubledger::codec;

use super::payload::{Enqueue, QueuePayload};
use super::rows::{TABLE_COUNT, TABLE_MESSAGES, TABLE_TOPICS, Topic, message_key};
use crate::view::{CommittedBlock, Entry, Result, Rows, View, ViewError};

/// Topics, and the messages of each in the order of the chain.
#[derive(Debug, Clone, Copy, Default)]
pub struct QueueView;

impl QueueView {
    /// What the view is called.
    pub const NAME: &'static str = "queue";
}

impl View for QueueView {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn apply(&self, block: &CommittedBlock<'_>, rows: &mut Rows) -> Result<()> {
        for entry in block.sayings() {
            match QueuePayload::of(&entry) {
                Some(QueuePayload::Enqueue(said)) => enqueue(block, &entry, &said, rows)?,
                None => {}
            }
        }
        Ok(())
    }
}

pub(super) fn damaged(table: u8, problem: impl ToString) -> ViewError {
    ViewError::Damaged {
        view: QueueView::NAME,
        table,
        problem: problem.to_string(),
    }
}

fn enqueue(
    block: &CommittedBlock<'_>,
    entry: &Entry<'_>,
    said: &Enqueue,
    rows: &mut Rows,
) -> Result<()> {
    let name = said.topic.as_bytes();
    let mut topic = match rows.get(TABLE_TOPICS, name)? {
        Some(row) => Topic::decode(&row).map_err(|error| damaged(TABLE_TOPICS, error))?,
        None => Topic {
            number: count_one_more(rows)?,
            end: 0,
        },
    };
    let mut row = Vec::with_capacity(45 + said.body.len());
    codec::put_u64(&mut row, block.height());
    codec::put_u32(&mut row, entry.index);
    row.extend_from_slice(&entry.id().0);
    row.push(said.priority.rank());
    row.extend_from_slice(&said.body);
    let key = message_key(topic.number, topic.end);
    rows.put(TABLE_MESSAGES, key.to_vec(), row);
    topic.end += 1;
    rows.put(TABLE_TOPICS, name.to_vec(), topic.encode());
    Ok(())
}

/// The number of the next topic.
fn count_one_more(rows: &mut Rows) -> Result<u32> {
    let count = match rows.get(TABLE_COUNT, &[])? {
        Some(row) => row[..]
            .try_into()
            .map(u32::from_le_bytes)
            .map_err(|_| damaged(TABLE_COUNT, "not a number"))?,
        None => 0,
    };
    rows.put(TABLE_COUNT, Vec::new(), (count + 1).to_le_bytes().to_vec());
    Ok(count)
}
