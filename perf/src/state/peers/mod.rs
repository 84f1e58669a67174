//! The peers: trees over keys that others keep on a disk, as they come.

use std::fmt;
use std::path::Path;

use anyhow::Result;
use hubledger_storage::Durability;

use super::updates::Updates;

#[cfg(feature = "peers")]
mod jmt;
#[cfg(all(feature = "peers", target_os = "linux"))]
mod nomt;

/// A peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// A binary tree in pages of its own files, over a B-tree with the values.
    Nomt,
    /// A log of updates with a Merkle mountain range over it, and the places of keys in memory.
    Qmdb,
    /// The tree of sixteen children that Diem began and Penumbra keeps, its nodes in RocksDB.
    RocksDbTree,
}

impl Peer {
    /// How durable its commits are as it comes.
    pub(super) const fn durability(self) -> Durability {
        match self {
            Self::Nomt | Self::Qmdb => Durability::Disk,
            // A write is in the log of RocksDB, which isn't synced.
            Self::RocksDbTree => Durability::Os,
        }
    }

    /// A new, empty one in a directory.
    ///
    /// # Errors
    /// It is not built into this binary, or the disk fails.
    #[cfg(feature = "peers")]
    pub(super) fn create(self, directory: &Path) -> Result<Box<dyn Updates>> {
        Ok(match self {
            #[cfg(target_os = "linux")]
            Self::Nomt => Box::new(nomt::NomtRows::create(directory)?),
            Self::RocksDbTree => Box::new(jmt::JmtRows::create(directory)?),
            other => anyhow::bail!("{other} is not built"),
        })
    }

    #[cfg(not(feature = "peers"))]
    pub(super) fn create(self, _: &Path) -> Result<Box<dyn Updates>> {
        anyhow::bail!("{self} is not built")
    }

    /// Why it can't be measured with this binary, if it can't.
    pub(super) fn missing(self) -> Option<String> {
        if self == Self::Qmdb {
            let why = "its runtime brings some 250 crates (an HTTP client and server, telemetry), which this package doesn't build";
            return Some(format!("{self} is not built: {why}"));
        }
        if !cfg!(feature = "peers") {
            return Some(format!("{self} is not built: it needs the feature `peers`"));
        }
        (self == Self::Nomt && !cfg!(target_os = "linux"))
            .then(|| format!("{self} is measured on Linux, where it has io_uring"))
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Nomt => "nomt",
            Self::Qmdb => "commonware-storage",
            Self::RocksDbTree => "jmt over RocksDB",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::Rows;
    use super::*;

    #[test]
    fn a_peer_keeps_rows_under_a_root_or_says_what_is_missing() {
        for peer in [Peer::Nomt, Peer::Qmdb, Peer::RocksDbTree] {
            let directory = tempfile::tempdir().expect("a directory");
            let kept = peer.create(directory.path());
            if let Some(missing) = peer.missing() {
                assert!(missing.contains(&peer.to_string()) && kept.is_err());
                continue;
            }
            let (mut kept, mut rows) =
                (kept.expect("a directory to write to"), Rows::new(2_000, 1));
            for batch in rows.all() {
                kept.put(&batch).expect("it can be written");
            }
            let batch = rows.batch();
            let first = kept.put(&batch).expect("it can be written");
            for (key, value) in &batch {
                let found = kept.value(key).expect("it can be read");
                assert_eq!(found.as_deref(), Some(&value[..]));
            }
            assert_ne!(kept.put(&rows.batch()).expect("it can be written"), first);
        }
    }
}
