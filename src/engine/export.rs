//! Exporting a snapshot while the engine works: a copy of the state is written in the caller's thread.

use std::path::Path;

use super::message::Which;
use hubledger_storage::Durability;

use super::sync::Arc;
use super::{Engine, EngineError, state_request};
use crate::ledger::StepProgress;
use crate::ledger::snapshot::{self, ExportReport, SnapshotError};
use crate::state::State;

impl Engine {
    /// Writes a snapshot of the state after the last final block that names a state root into `folder`, in this thread, while blocks are
    /// taken in and committed: see [`snapshot::export`]. If there is no such block near, it can be tried again after a later one.
    ///
    /// # Errors
    /// As there; the engine failed or was shut down.
    pub fn export_snapshot(
        &self,
        folder: &Path,
        progress: &mut StepProgress<'_>,
    ) -> Result<ExportReport, EngineError> {
        self.shared().latch.check()?;
        let state = {
            // Held until the state is there, so that no shutdown passes it by.
            let permit = self.permit(1)?;
            state_request::copy_of(self.shared(), Which::Base, &permit)?
        };
        let state = state.into_state();
        // The block that it stands after is on its way to the store.
        self.sync()?;
        let report = snapshot::export(&self.reader(), &state, folder, progress)?;
        Ok(report)
    }

    /// The state after the last block that names a state root, from which can be proved what the chain knows
    /// ([`ChainReader::prove_row`](crate::ledger::ChainReader::prove_row)); that after the last block if there is no such one near. Its block
    /// is in the store when this returns. O(what changed since).
    ///
    /// # Errors
    /// The engine failed or was shut down.
    pub fn named_state(&self) -> Result<State, EngineError> {
        self.shared().latch.check()?;
        let state = {
            let permit = self.permit(1)?;
            state_request::copy_of(self.shared(), Which::Named, &permit)?
        };
        self.wait_committed(state.last_height(), Durability::Memory)?;
        Ok(state.into_state())
    }
}

impl From<SnapshotError> for EngineError {
    fn from(error: SnapshotError) -> Self {
        match error {
            SnapshotError::Ledger(error) => error.into(),
            error => Self::Snapshot(Arc::new(error)),
        }
    }
}
