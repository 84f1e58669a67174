//! Why the engine couldn't do what was asked: a fault of this process, its disk or its callers, never of somebody's block.

use std::any::Any;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use super::feed::FeedError;
use super::metrics::Stage;
use crate::format::codec::FieldError;
use crate::format::signature::SetupError;
use crate::ledger::LedgerError;
use crate::ledger::snapshot::SnapshotError;

/// Why the engine couldn't do what was asked. Clones share their cause, since everybody who waits gets it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The ledger or its store failed; after a failed commit the engine has to be opened again.
    #[error(transparent)]
    Ledger(Arc<LedgerError>),
    /// A stage panicked. What was acknowledged is durable; the engine has to be opened again.
    #[error("the stage {stage} panicked: {message}")]
    Panicked {
        /// The stage.
        stage: Stage,
        /// What it said.
        message: String,
    },
    /// The timer, which may be injected, panicked. What was acknowledged is durable; the engine has to be opened again.
    #[error("the timer panicked: {message}")]
    TimerPanicked {
        /// What it said.
        message: String,
    },
    /// There is no room at the moment, and the caller didn't want to wait.
    #[error("busy: no room at the moment")]
    Busy,
    /// The engine was shut down.
    #[error("the engine was shut down")]
    Stopped,
    /// The system starts no thread.
    #[error("can't start a thread: {0}")]
    Threads(Arc<io::Error>),
    /// No verifier of signatures can be set up.
    #[error("can't set up the checking of signatures: {0}")]
    Signatures(Arc<SetupError>),
    /// The block that was to be produced can't be.
    #[error("can't produce a block: {0}")]
    Produce(String),
    /// The pool's journal can't be opened.
    #[error("{}: the pool's journal can't be opened: {problem}", path.display())]
    PoolJournal {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A snapshot can't be written.
    #[error(transparent)]
    Snapshot(Arc<SnapshotError>),
    /// The chain can't be followed as was asked.
    #[error(transparent)]
    Feed(#[from] FeedError),
}

impl From<LedgerError> for EngineError {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(Arc::new(error))
    }
}

impl From<FieldError> for EngineError {
    fn from(error: FieldError) -> Self {
        Self::Produce(error.to_string())
    }
}

/// Why the engine stopped, once it has. The first reason stays.
#[derive(Debug, Default)]
pub(super) struct Latch {
    error: OnceLock<EngineError>,
}

impl Latch {
    /// Notes a failure. Whether it was the first.
    pub(super) fn set(&self, error: EngineError) -> bool {
        // Later failures follow from the first one, and would hide it.
        self.error.set(error).is_ok()
    }

    pub(super) fn check(&self) -> Result<(), EngineError> {
        self.error.get().cloned().map_or(Ok(()), Err)
    }

    pub(super) fn is_set(&self) -> bool {
        self.error.get().is_some()
    }

    /// What to tell somebody whose answer will not come.
    pub(super) fn reason(&self) -> EngineError {
        self.error.get().cloned().unwrap_or(EngineError::Stopped)
    }
}

/// What a panic that was caught said.
pub(super) fn message_of(payload: Box<dyn Any + Send>) -> String {
    let payload = match payload.downcast::<&str>() {
        Ok(message) => return (*message).to_owned(),
        Err(payload) => payload,
    };
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => {
            // It may be anything, and panic again when it is dropped.
            std::mem::forget(payload);
            "no message".to_owned()
        }
    }
}
