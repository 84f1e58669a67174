//! What SQLite's errors mean for a store.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::{DamageAt, Error};

/// The file that errors are about.
#[derive(Debug, Clone)]
pub(super) struct DatabaseFile {
    pub(super) path: PathBuf,
}

impl DatabaseFile {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// Translates an error of SQLite. `damage_at` is what was being read or written, in case it is damaged.
    ///
    /// All SQL of this backend is fixed and tested, so SQLite's "SQL logic error" (a table or column that
    /// isn't there) and its constraints can only mean that the file is not what we made it.
    pub(super) fn fault(
        &self,
        operation: &'static str,
        damage_at: DamageAt,
    ) -> impl Fn(rusqlite::Error) -> Error {
        move |error| {
            use rusqlite::Error as E;
            let path = self.path.clone();
            let conversion = matches!(
                error,
                E::FromSqlConversionFailure(..)
                    | E::IntegralValueOutOfRange(..)
                    | E::InvalidColumnType(..)
                    | E::QueryReturnedNoRows
                    | E::Utf8Error(..)
            );
            match error.sqlite_error_code() {
                Some(ErrorCode::DiskFull) => Error::Full { operation, path },
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::InUse { path },
                Some(ErrorCode::ReadOnly) => Error::ReadOnly { operation, path },
                Some(
                    ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
                    | ErrorCode::Unknown
                    | ErrorCode::ConstraintViolation
                    | ErrorCode::TypeMismatch
                    | ErrorCode::TooBig,
                ) => Error::Corrupt {
                    path,
                    damage_at,
                    reason: error.to_string(),
                },
                None if conversion => Error::Corrupt {
                    path,
                    damage_at,
                    reason: error.to_string(),
                },
                _ => Error::Io {
                    operation,
                    path,
                    source: io::Error::other(error),
                },
            }
        }
    }
}
