//! What RocksDB's errors mean for a store.

use std::io;
use std::path::Path;

use rocksdb::ErrorKind;

use crate::{DamageAt, Error};

/// Translates an error of RocksDB. `damage_at` is what was being read or written, in case it is damaged.
pub(super) fn fault(
    path: &Path,
    operation: &'static str,
    damage_at: DamageAt,
) -> impl Fn(rocksdb::Error) -> Error {
    let path = path.to_owned();
    move |error| {
        let path = path.clone();
        let text = error.to_string();
        match error.kind() {
            ErrorKind::Corruption => Error::Corrupt {
                path,
                damage_at,
                reason: text,
            },
            _ if text.contains("No space left on device") || text.contains("File too large") => {
                Error::Full { operation, path }
            }
            _ if text.contains("Read-only file system") || text.contains("Permission denied") => {
                Error::ReadOnly { operation, path }
            }
            // A file that the database's own list names is gone.
            ErrorKind::IOError if text.contains("No such file or directory") => Error::Corrupt {
                path,
                damage_at,
                reason: text,
            },
            // What RocksDB can't make sense of was not written by it.
            ErrorKind::InvalidArgument | ErrorKind::NotSupported => Error::Corrupt {
                path,
                damage_at,
                reason: text,
            },
            _ => Error::Io {
                operation,
                path,
                source: io::Error::other(error),
            },
        }
    }
}
