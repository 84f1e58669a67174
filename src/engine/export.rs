//! Exporting a snapshot while the engine works: a copy of the state is written in the caller's thread.

use std::path::Path;

use super::sync::Arc;
use super::{Engine, EngineError, state_request};
use crate::ledger::StepProgress;
use crate::ledger::snapshot::{self, ExportReport, SnapshotError};

impl Engine {
    /// Writes a snapshot of the state after the last block into `folder`, in this thread, while blocks are taken in and committed: see
    /// [`snapshot::export`]. If that block names no state root, it can be tried again after a later one.
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
            state_request::copy(self.shared(), &permit)?
        };
        // The block that it stands after is on its way to the store.
        self.sync()?;
        let report = snapshot::export(&self.reader(), &state, folder, progress)?;
        Ok(report)
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
