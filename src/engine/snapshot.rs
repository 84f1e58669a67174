//! Encoding states for snapshots, in a thread of its own: it takes as long as there are names, and neither rules nor commits
//! wait for it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::EngineError;
use super::channel::Receiver;
use super::error::message_of;
use super::message::Command;
use super::metrics::Stage;
use super::shared::Shared;
use crate::ledger::EncodedState;
use crate::state::EarlierState;

/// States that can be on their way: one of those that the thread that commits asks for by itself, and one for a pruning
/// that somebody waits for, each perhaps asked for again.
pub(super) const STATES_MAX: usize = 4;

/// Encodes until it is told that no more will come.
pub(super) fn encode(shared: &Shared, states: &Receiver<Option<EarlierState>>) {
    while let Ok(Some(state)) = states.recv() {
        // States that still come are dropped, not left in the channel: each keeps copies of the accounts alive.
        if shared.latch.is_set() {
            continue;
        }
        let end = state.last_height() + 1;
        // Dropped before what came of it is handed on: while it lives, changes to accounts cost copies.
        match catch_unwind(AssertUnwindSafe(|| EncodedState::of(state))) {
            Ok(Ok(state)) => shared.send_commit(Command::Snapshot { state, end }),
            Ok(Err(error)) => shared.fail(error.into()),
            Err(payload) => shared.fail(EngineError::Panicked {
                stage: Stage::Commit,
                message: message_of(payload),
            }),
        }
    }
}
