//! Who keeps blocks, by name: our backends, and the plain peers that they are measured against.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Result, bail};
use hubledger_storage::{Durability, StoreUrl};

use super::keeper::{Index, Keeper};
use super::ours::{Ours, Scheme, known_forms};
use super::peers;

/// The name of a keeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Contender {
    /// A backend of ours, by the scheme of its URL.
    Ours(Scheme),
    /// One file: a frame with a CRC32C for each block.
    PlainFile,
    /// RocksDB with its defaults, and a Bloom filter of ten bits.
    PlainRocksDb(Index),
    /// SQLite in WAL mode, with its defaults.
    PlainSqlite(Index),
    /// fjall with its defaults.
    PlainFjall(Index),
    /// redb with its defaults.
    PlainRedb(Index),
}

/// Peers and their names.
const PEERS: [(&str, Contender); 9] = [
    ("plain-file", Contender::PlainFile),
    ("plain-rocksdb", Contender::PlainRocksDb(Index::None)),
    ("plain-rocksdb-indexed", Contender::PlainRocksDb(Index::Ids)),
    ("plain-sqlite", Contender::PlainSqlite(Index::None)),
    ("plain-sqlite-indexed", Contender::PlainSqlite(Index::Ids)),
    ("plain-fjall", Contender::PlainFjall(Index::None)),
    ("plain-fjall-indexed", Contender::PlainFjall(Index::Ids)),
    ("plain-redb", Contender::PlainRedb(Index::None)),
    ("plain-redb-indexed", Contender::PlainRedb(Index::Ids)),
];

impl Contender {
    /// Our backend of a scheme that is known to exist.
    pub(crate) fn ours(scheme: &str) -> Self {
        Self::Ours(Scheme::new(scheme))
    }

    /// The URL of a store of ours in a directory that holds nothing else.
    ///
    /// # Errors
    /// It is a peer.
    pub(crate) fn store_url(&self, directory: &Path) -> Result<StoreUrl> {
        match self {
            Self::Ours(scheme) => scheme.url(directory),
            peer => bail!("{peer} is a peer, which only keeps blocks"),
        }
    }

    /// Whether it is ours.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self, Self::Ours(_))
    }

    /// Opens what this keeper left in the directory, or begins there.
    ///
    /// # Errors
    /// It is not built into this binary, or the disk fails.
    pub(crate) fn open(&self, directory: &Path, durability: Durability) -> Result<Box<dyn Keeper>> {
        Ok(match self {
            Self::Ours(scheme) => Box::new(Ours::open(scheme, directory, durability)?),
            Self::PlainFile => Box::new(peers::file::PlainFile::open(directory, durability)?),
            Self::PlainSqlite(index) => Box::new(peers::sqlite::PlainSqlite::open(
                directory, durability, *index,
            )?),
            Self::PlainRocksDb(index) => peers::rocksdb(directory, durability, *index)?,
            Self::PlainFjall(index) => peers::fjall(directory, durability, *index)?,
            Self::PlainRedb(index) => peers::redb(directory, durability, *index)?,
        })
    }

    /// Why it can't be measured with this binary, if it can't.
    pub(crate) fn missing(&self) -> Option<String> {
        match self {
            Self::Ours(scheme) => scheme.missing(),
            Self::PlainRocksDb(_) | Self::PlainFjall(_) | Self::PlainRedb(_) => {
                let missing = !cfg!(feature = "peers");
                missing.then(|| format!("{self} is not built: it needs the feature `peers`"))
            }
            Self::PlainFile | Self::PlainSqlite(_) => None,
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Ours(scheme) = self {
            return f.pad(scheme.name());
        }
        let name = PEERS.iter().find(|(_, peer)| peer == self);
        f.pad(name.map_or("peer", |(name, _)| name))
    }
}

impl FromStr for Contender {
    type Err = anyhow::Error;

    /// A peer's name, or a scheme of `StoreUrl`.
    fn from_str(name: &str) -> Result<Self> {
        if let Some((_, peer)) = PEERS.iter().find(|(known, _)| *known == name) {
            return Ok(peer.clone());
        }
        if let Some(scheme) = Scheme::find(name) {
            return Ok(Self::Ours(scheme));
        }
        let peers: Vec<&str> = PEERS.iter().map(|(name, _)| *name).collect();
        bail!(
            "unknown backend {name:?}: known are {}, and the peers {}",
            known_forms(),
            peers.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_unknown_ones_list_the_known() {
        let ours = ["memory", "log", "sqlite", "rocksdb"];
        for name in ours.into_iter().chain(PEERS.iter().map(|(name, _)| *name)) {
            let contender: Contender = name.parse().expect("a known name");
            assert_eq!(contender.to_string(), name);
            assert_eq!(contender.is_ours(), ours.contains(&name));
        }
        for name in ["", "mysql", "log:", "log:x", "plain"] {
            let text = name.parse::<Contender>().expect_err("unknown").to_string();
            assert!(
                text.contains("sqlite") && text.contains("plain-file"),
                "{text}"
            );
        }
    }
}
