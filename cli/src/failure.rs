//! How a command can fail, and with which exit code.

use hubledger::blockfile::BlockFileError;
use hubledger::codec::FieldError;
use hubledger::engine::{EngineError, RestoreError};
use hubledger::ledger::archive::ArchiveError;
use hubledger::ledger::snapshot::SnapshotError;
use hubledger::ledger::{ForkError, LedgerError, UpgradeError};
use hubledger::rejection::{Fault, Rejected};
use hubledger_services::view::ViewError;
use serde_json::{Map, Value, json};

/// Why a command didn't end in "done and valid".
pub(crate) enum Failure {
    /// A block or chain is invalid (exit code 3); the map goes beside the verdict.
    Invalid(Rejected, Map<String, Value>),
    /// Something that is in no block breaks a rule, or can't be read (exit code 3).
    Refused(Fault),
    /// The store is corrupt (exit code 4).
    Corrupt(anyhow::Error),
    /// Anything else (exit code 1).
    Failed(anyhow::Error),
    /// The answer was printed and is "no" (exit code 1).
    Negative,
    /// The verdict was printed: a proof proves nothing, or a chain, specification or transaction is invalid (exit code 3).
    InvalidVerdict,
    /// The damage was printed (exit code 4).
    Damaged,
    /// A signal stopped it in good order (exit code 128 and the signal's number).
    Stopped {
        signal: i32,
        /// What was done and how to go on.
        detail: String,
        report: Map<String, Value>,
    },
}

pub(crate) type Result<T = ()> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Stopped { signal, .. } => u8::try_from(128 + signal).unwrap_or(1),
            Self::Failed(_) | Self::Negative => 1,
            Self::Invalid(..) | Self::Refused(_) | Self::InvalidVerdict => 3,
            Self::Corrupt(_) | Self::Damaged => 4,
        }
    }

    /// An invalid block.
    pub(crate) fn invalid(rejected: Rejected) -> Self {
        Self::Invalid(rejected, Map::new())
    }

    /// Something in no block that breaks a rule.
    pub(crate) fn refused(fault: Fault) -> Self {
        Self::Refused(fault)
    }

    /// A failure with a message of its own.
    pub(crate) fn message(message: impl std::fmt::Display) -> Self {
        Self::Failed(anyhow::anyhow!("{message}"))
    }
}

/// The fields of a verdict against a block.
pub(crate) fn verdict(rejected: &Rejected) -> Map<String, Value> {
    let value = json!({
        "verdict": "invalid",
        "height": rejected.height,
        "transaction": rejected.transaction,
        "reason": rejected.reason.word(),
        "detail": rejected.detail,
    });
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The fields of a verdict against something that is in no block.
pub(crate) fn fault_fields(fault: &Fault) -> Map<String, Value> {
    Map::from_iter([
        ("verdict".to_owned(), "invalid".into()),
        ("reason".to_owned(), fault.reason.word().into()),
        ("detail".to_owned(), fault.detail.as_str().into()),
    ])
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        if error.is_corrupt() {
            Self::Corrupt(error.into())
        } else {
            Self::Failed(error.into())
        }
    }
}

impl From<UpgradeError> for Failure {
    fn from(error: UpgradeError) -> Self {
        match error {
            UpgradeError::Ledger(error) => error.into(),
            error => Self::Failed(error.into()),
        }
    }
}

impl From<ForkError> for Failure {
    fn from(error: ForkError) -> Self {
        match error {
            ForkError::Ledger(error) => error.into(),
            error => Self::Failed(error.into()),
        }
    }
}

impl From<ViewError> for Failure {
    fn from(error: ViewError) -> Self {
        match error {
            ViewError::Storage(error) => error.into(),
            ViewError::Chain(error) => error.into(),
            error @ ViewError::Damaged { .. } => Self::Corrupt(error.into()),
            error => Self::Failed(error.into()),
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        match &error {
            EngineError::Ledger(cause) if cause.is_corrupt() => Self::Corrupt(error.into()),
            _ => Self::Failed(error.into()),
        }
    }
}

impl From<hubledger_storage::Error> for Failure {
    fn from(error: hubledger_storage::Error) -> Self {
        LedgerError::from(error).into()
    }
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        if error.is_corrupt() {
            Self::Corrupt(error.into())
        } else {
            Self::Failed(error.into())
        }
    }
}

impl From<SnapshotError> for Failure {
    fn from(error: SnapshotError) -> Self {
        match error {
            SnapshotError::Ledger(error) => error.into(),
            error if error.is_corrupt() => Self::Corrupt(error.into()),
            error => Self::Failed(error.into()),
        }
    }
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::Ledger(error) => error.into(),
            RestoreError::Archive(error) => error.into(),
            RestoreError::Engine(error) => error.into(),
            RestoreError::Rejected(rejected) => Self::invalid(rejected),
            error => Self::Failed(error.into()),
        }
    }
}

impl From<BlockFileError> for Failure {
    fn from(error: BlockFileError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<FieldError> for Failure {
    fn from(error: FieldError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}
