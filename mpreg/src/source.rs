//! Where MPREG's chains are read from: its SQLite store, or one chain as a JSON file.
//!
//! Both give the same thing, [`RawRow`]s in the order of MPREG's loader, one in memory at a time. The store is
//! never written to, and no file is made beside it where SQLite can do without.
//!
//! What is wrong with a *block* (broken JSON, a missing value, too long a text) is the row's own content and
//! becomes a verdict; what is wrong with the *file* is a [`SourceError`].

mod json;
mod sqlite;

use std::io::{self, Read as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use hubledger_storage::opening::open_regular;

use super::block::Block;
use super::config::ChainConfig;
use super::entry::Entry;
use hubledger::rejection::{Reason, Rejected};

/// The longest JSON text of one block that is read; longer ones are malformed.
pub const BLOCK_JSON_MAX_BYTES: usize = 64 << 20;

const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The file can't be read as what it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// There is nothing at this path.
    #[error("{}: no such file", path.display())]
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// A directory, or another thing that is no file.
    #[error("{}: not a file", path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// Neither an MPREG database nor an MPREG chain as JSON.
    #[error("{}: not an MPREG store: {reason}", path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// The store has no chain of this name.
    #[error("{}: no chain {chain:?}; it has {}", path.display(), list(chains))]
    NoSuchChain {
        /// The file.
        path: PathBuf,
        /// The chain that was asked for.
        chain: String,
        /// The chains that there are.
        chains: Vec<String>,
    },
    /// The database's pages contradict each other.
    #[error("{}: the database is corrupt: {source}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// SQLite's report.
        source: rusqlite::Error,
    },
    /// The database's index gives fewer of a chain's blocks than its table holds.
    #[error("{}: the database is corrupt: its index has {found} blocks, its table {expected}", path.display())]
    MissingRows {
        /// The file.
        path: PathBuf,
        /// Blocks by the index.
        found: u64,
        /// Blocks by the table.
        expected: u64,
    },
    /// SQLite failed otherwise: locked, out of memory, unreadable.
    #[error("{}: {source}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// SQLite's report.
        source: rusqlite::Error,
    },
    /// Whoever was told of the progress stopped it.
    #[error("{}: stopped before the chain's end", path.display())]
    Stopped {
        /// The file.
        path: PathBuf,
    },
    /// Reading failed.
    #[error("{}: {operation}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done.
        operation: &'static str,
        /// The system's report.
        source: io::Error,
    },
}

fn list(chains: &[String]) -> String {
    const SHOWN: usize = 20;
    if chains.is_empty() {
        return "none".to_owned();
    }
    let shown: Vec<String> = chains
        .iter()
        .take(SHOWN)
        .map(|chain| format!("{chain:?}"))
        .collect();
    let rest = chains.len().saturating_sub(SHOWN);
    let more = if rest > 0 {
        format!(" and {rest} more")
    } else {
        String::new()
    };
    format!("{}{more}", shown.join(", "))
}

impl SourceError {
    /// Whether the store itself is damaged, so that somebody has to repair or restore it.
    #[must_use]
    pub const fn is_corrupt(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::MissingRows { .. })
    }

    fn io(path: &Path, operation: &'static str, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound { path },
            io::ErrorKind::IsADirectory => Self::NotAFile { path },
            _ => Self::Io {
                path,
                operation,
                source,
            },
        }
    }
}

/// A chain in a source.
#[derive(Debug, Clone)]
pub struct ChainInfo {
    /// MPREG's name for it.
    pub id: String,
    /// Its configuration, or why MPREG couldn't have read it.
    pub config: Result<ChainConfig, String>,
    /// How many blocks the source holds for it, the first included.
    pub blocks: u64,
}

/// One block as it is stored, before anything about it is checked.
#[derive(Debug)]
pub struct RawRow<'a> {
    /// The table's height. A JSON file has none.
    pub height: Option<u64>,
    /// The table's hash. MPREG's rules ignore it.
    pub hash: Option<&'a str>,
    /// The table's timestamp. MPREG's rules ignore it.
    pub timestamp: Option<f64>,
    /// The block's JSON, or why there is none.
    pub json: Result<&'a [u8], String>,
}

impl RawRow<'_> {
    /// Reads the block. `expected_height` stands in where neither text nor table gives a height.
    ///
    /// # Errors
    /// As [`Block::from_json`]; an absent text is malformed.
    pub fn read(&self, expected_height: u64) -> Result<Block, Rejected> {
        self.read_with(Block::from_json, expected_height)
    }

    /// [`RawRow::read`] without a look at the Merkle root.
    pub(super) fn read_but_for_root<T: Entry>(
        &self,
        expected_height: u64,
    ) -> Result<Block<T>, Rejected> {
        self.read_with(Block::read, expected_height)
    }

    fn read_with<T>(
        &self,
        read: impl FnOnce(&[u8], u64) -> Result<Block<T>, Rejected>,
        expected_height: u64,
    ) -> Result<Block<T>, Rejected> {
        let fallback_height = self.height.unwrap_or(expected_height);
        match &self.json {
            Ok(json) => read(json, fallback_height),
            Err(detail) => Err(Rejected::block(
                fallback_height,
                Reason::Malformed,
                detail.clone(),
            )),
        }
    }
}

/// What is done with each row; breaking off ends the reading.
pub type RowVisitor<'v> = dyn FnMut(RawRow<'_>) -> ControlFlow<()> + 'v;

/// An open file of MPREG chains.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    chains: Vec<ChainInfo>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Sqlite(sqlite::Store),
    Json(json::Layout),
}

impl Source {
    /// Opens `path`, telling a database from JSON by its first bytes, and lists the chains. A JSON file is
    /// read through once, because its configuration comes after its blocks.
    ///
    /// # Errors
    /// If the file can't be read, or is no MPREG store.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let io_error = |operation| move |source| SourceError::io(path, operation, source);
        let metadata = path.metadata().map_err(io_error("look up"))?;
        // Asked before anything is opened: opening a named pipe would wait for somebody to write into it.
        if !metadata.is_file() {
            return Err(SourceError::NotAFile {
                path: path.to_owned(),
            });
        }
        let file = open_regular(path).map_err(io_error("open"))?;
        let mut start = Vec::new();
        let head_bytes = SQLITE_MAGIC.len() as u64 + 4;
        file.take(head_bytes)
            .read_to_end(&mut start)
            .map_err(io_error("read"))?;
        let (kind, chains) = if start.starts_with(SQLITE_MAGIC) {
            let (store, chains) = sqlite::Store::open(path, &start)?;
            (Kind::Sqlite(store), chains)
        } else {
            let (layout, chain) = json::Layout::read(path)?;
            (Kind::Json(layout), vec![chain])
        };
        Ok(Self {
            path: path.to_owned(),
            chains,
            kind,
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The chains, in the order of their names.
    #[must_use]
    pub fn chains(&self) -> &[ChainInfo] {
        &self.chains
    }

    /// The chain of that name.
    ///
    /// # Errors
    /// [`SourceError::NoSuchChain`].
    pub fn chain(&self, id: &str) -> Result<&ChainInfo, SourceError> {
        self.chains
            .iter()
            .find(|chain| chain.id == id)
            .ok_or_else(|| SourceError::NoSuchChain {
                path: self.path.clone(),
                chain: id.to_owned(),
                chains: self.chains.iter().map(|chain| chain.id.clone()).collect(),
            })
    }

    /// Hands the chain's blocks to `visit` in order until it breaks off. The row borrows from a buffer that the
    /// next one overwrites.
    ///
    /// # Errors
    /// [`SourceError::NoSuchChain`], or what keeps the file from being read on.
    pub fn for_each_row(&self, id: &str, visit: &mut RowVisitor<'_>) -> Result<(), SourceError> {
        let expected = self.chain(id)?.blocks;
        match &self.kind {
            Kind::Sqlite(store) => store.for_each_row(&self.path, id, expected, visit),
            Kind::Json(layout) => layout.for_each_row(&self.path, visit),
        }
    }
}
