//! What blocks come to in the queue.

use bytes::Bytes;
use hubledger::codec::DecodeError;

use super::payload::QueuePayload;
use super::rows::{Group, Message, TABLE_GROUPS, TABLE_MESSAGES, TABLE_TOPICS, Topic, key};
use super::{acknowledge, enqueue, subscribe};
use crate::view::{CommittedBlock, Entry, Result, Rows, View, ViewError};

/// Topics, the messages of each in the order of the chain, consumer groups, and what these have done.
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
            let Some(said) = QueuePayload::of(&entry) else {
                continue;
            };
            let at = At { block, entry };
            match said {
                QueuePayload::Enqueue(said) => enqueue::enqueue(&at, said, rows)?,
                QueuePayload::Acknowledge(said) => acknowledge::acknowledge(&at, &said, rows)?,
                QueuePayload::Refuse(said) => acknowledge::refuse(&at, &said, rows)?,
                QueuePayload::Subscribe(said) => subscribe::subscribe(&at, said, rows)?,
                QueuePayload::Limit(said) => subscribe::limit(&at, said, rows)?,
            }
        }
        Ok(())
    }
}

/// Where something is said.
pub(super) struct At<'a> {
    pub(super) block: &'a CommittedBlock<'a>,
    pub(super) entry: Entry<'a>,
}

/// A row that can't be what the view wrote.
pub(super) fn damaged(table: u8) -> impl Fn(DecodeError) -> ViewError {
    move |error| ViewError::Damaged {
        view: QueueView::NAME,
        table,
        problem: error.to_string(),
    }
}

/// The same of a row that isn't there.
pub(super) fn missing(table: u8) -> ViewError {
    ViewError::Damaged {
        view: QueueView::NAME,
        table,
        problem: "a row is missing".to_owned(),
    }
}

pub(super) fn read<T>(
    table: u8,
    row: Option<Bytes>,
    decode: impl Fn(&Bytes) -> std::result::Result<T, DecodeError>,
) -> Result<Option<T>> {
    row.map(|row| decode(&row))
        .transpose()
        .map_err(damaged(table))
}

pub(super) fn topic(rows: &mut Rows, name: &str) -> Result<Option<Topic>> {
    let row = rows.get(TABLE_TOPICS, name.as_bytes())?;
    read(TABLE_TOPICS, row, |row| Topic::decode(row))
}

pub(super) fn put_topic(rows: &mut Rows, name: &str, topic: &Topic) {
    rows.put(TABLE_TOPICS, name.as_bytes().to_vec(), topic.encode());
}

pub(super) fn group(rows: &mut Rows, name: &str) -> Result<Option<Group>> {
    let row = rows.get(TABLE_GROUPS, name.as_bytes())?;
    read(TABLE_GROUPS, row, |row| Group::decode(row))
}

pub(super) fn put_group(rows: &mut Rows, name: &str, group: &Group) {
    rows.put(TABLE_GROUPS, name.as_bytes().to_vec(), group.encode());
}

pub(super) fn message(rows: &mut Rows, topic: u32, offset: u64) -> Result<Option<Message>> {
    let row = rows.get(TABLE_MESSAGES, &key([topic], offset))?;
    read(TABLE_MESSAGES, row, |row| Message::decode(offset, row))
}
