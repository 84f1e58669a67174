//! What blocks update.

use hubledger::model::Operation;

use super::payload::UpdatePayload;
use super::rows::{Stated, Stream, TABLE_STATES, TABLE_STREAMS, state_key};
use crate::queue::QueuePayload;
use crate::recorded::Recorded;
use crate::view::{CommittedBlock, Entry, Result, Rows, View, ViewError};

/// Which transactions update what, and the states of nodes.
#[derive(Debug, Clone, Copy, Default)]
pub struct UpdatesView;

impl UpdatesView {
    /// What the view is called.
    pub const NAME: &'static str = "updates";
}

impl View for UpdatesView {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn apply(&self, block: &CommittedBlock<'_>, rows: &mut Rows) -> Result<()> {
        for entry in block.notable() {
            let Some(stream) = stream_of(&entry) else {
                continue;
            };
            let recorded = Recorded::of(block, &entry);
            let key = stream.key(recorded.height, recorded.index);
            rows.put(TABLE_STREAMS, key, recorded.id.0.to_vec());
            if let Some(UpdatePayload::StateUpdate(said)) = UpdatePayload::of(&entry) {
                let stated = Stated {
                    version: said.version,
                    recorded,
                    state: said.state.into(),
                };
                state(entry.sender(), &said.update_type, &stated, rows)?;
            }
        }
        Ok(())
    }
}

pub(super) fn damaged(table: u8, problem: impl ToString) -> ViewError {
    ViewError::Damaged {
        view: UpdatesView::NAME,
        table,
        problem: problem.to_string(),
    }
}

/// The stream that a transaction belongs to, if any.
fn stream_of(entry: &Entry<'_>) -> Option<Stream> {
    match entry.operation() {
        Operation::NodeUpdate => Some(Stream::Nodes),
        Operation::FederationJoin | Operation::FederationLeave | Operation::NodeRegister => {
            Some(Stream::Registry)
        }
        Operation::Message => match QueuePayload::of(entry)? {
            QueuePayload::Enqueue(said) => Some(Stream::Topic(said.topic)),
            #[allow(unreachable_patterns, reason = "the queue may say more than this")]
            _ => None,
        },
        _ => None,
    }
}

/// Keeps the state of the highest version; of equal ones, the first.
fn state(sender: &str, update_type: &str, stated: &Stated, rows: &mut Rows) -> Result<()> {
    let Some(key) = state_key(sender, update_type) else {
        return Ok(());
    };
    if let Some(row) = rows.get(TABLE_STATES, &key)? {
        let held = Stated::decode(&row).map_err(|error| damaged(TABLE_STATES, error))?;
        if held.version >= stated.version {
            return Ok(());
        }
    }
    rows.put(TABLE_STATES, key, stated.encode());
    Ok(())
}
